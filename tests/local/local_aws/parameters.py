"""Parameters of Parameter Store: Systems Manager API Reference, PutParameter; Systems Manager User Guide, "Using native
parameter support in Parameter Store for Amazon Machine Image IDs", "Parameter data types in Parameter Store" and "Working
with parameter versions".

A value of the data type aws:ec2:image is validated after the answer, which has a version number already. What is invalid is
never there. With the setting `parametersWait` the validation waits until a test asks for it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, request_scope
from ministack.services import ssm

from local_aws import access, images, settings
from local_aws.wire import Refusal

IMAGE = "aws:ec2:image"
FIXED = {IMAGE, "aws:ssm:integration"}
NAME = re.compile(r"[a-zA-Z0-9_.\-/]+")
LEVELS = 15  # "a hierarchy … maximum of fifteen levels"
VERSIONS = 100  # "retains the 100 most recently created versions of a parameter"

Record = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Waiting:
    """A new version that isn't validated yet."""

    owner: str
    region: str
    name: str
    parameter: Record
    history: Record
    may_describe: bool


_WAITING: list[Waiting] = []
# The last version number given out, which may be one that never came to be.
_VERSIONS: dict[tuple[str, str, str], int] = {}
unvalidated: Callable[[Record], Answer] = ssm._put_parameter


def install() -> None:
    ssm._put_parameter = put


def clear() -> None:
    for store in (ssm._parameters, ssm._parameter_history, _VERSIONS, _WAITING):
        store.clear()


def forget(parts: list[str]) -> None:
    """Forget the parameters that hold one of these in their name or value."""
    for account, region, name in [key for key in ssm._parameters._data if is_asked(key[-1], ssm._parameters._data[key], parts)]:
        for store in (ssm._parameters, ssm._parameter_history):
            store.pop_scoped(account, region, name, None)
        _VERSIONS.pop((account, region, name), None)
    _WAITING[:] = [one for one in _WAITING if not is_asked(one.name, one.parameter, parts)]


def is_asked(name: str, parameter: Record, parts: list[str]) -> bool:
    return any(part in name or part in parameter["OriginalValue"] for part in parts)


def state(parts: list[str]) -> dict[str, Record]:
    return {key[-1]: {"value": parameter["OriginalValue"], "version": parameter["Version"], "dataType": parameter["DataType"]}
            for key, parameter in ssm._parameters.all_items() if is_asked(key[-1], parameter, parts)}


# PutParameter.

def put(request: Record) -> Answer:
    name = request.get("Name") or ""
    existing = ssm._parameters.get(name)
    data_type = request.get("DataType") or (existing or {}).get("DataType", "text")
    error = refusal(name, request, existing, data_type) or full_history(name)
    if error:
        return error
    if data_type != IMAGE:
        return trimmed(name, unvalidated(request | {"DataType": data_type}))
    history = ssm._parameter_history.get(name)
    before = None if history is None else list(history)
    answer = unvalidated(request | {"DataType": data_type})
    if answer[0] != 200:
        return answer
    one = taken_out(name, existing, before)
    _WAITING.append(one)
    if not settings.CURRENT["parametersWait"]:
        validate()
    return json_response({"Version": one.parameter["Version"], "Tier": one.parameter["Tier"]})


def refusal(name: str, request: Record, existing: Record | None, data_type: str) -> Answer | None:
    """The errors of PutParameter's page; for a changed data type it names none."""
    if name and not NAME.fullmatch(name):
        return refused("ValidationException", "Parameter name must consist of letters, numbers and the symbols . - _ /")
    if name.strip("/").count("/") >= LEVELS:
        return refused("HierarchyLevelLimitExceededException", f"A parameter's hierarchy has at most {LEVELS} levels")
    kind = request.get("Type") or (existing or {}).get("Type")
    if data_type == IMAGE and kind not in (None, "String"):
        return refused("ValidationException", f"The data type {IMAGE} is for parameters of the type String")
    if existing is None or not request.get("Overwrite"):
        return None  # MiniStack answers ParameterAlreadyExists
    if kind != existing["Type"]:
        return refused("HierarchyTypeMismatchException", "Parameter Store doesn't support changing a parameter type")
    if data_type != existing["DataType"] and FIXED & {data_type, existing["DataType"]}:
        return refused("ValidationException", f"The data type of a parameter can't be changed to or from {sorted(FIXED)}")
    return None


def refused(code: str, message: str) -> Answer:
    answer: Answer = error_response_json(code, message, 400)
    return answer


def full_history(name: str) -> Answer | None:
    """PutParameter, Errors: ParameterMaxVersionLimitExceeded, if the oldest version, which would go, has a label."""
    history = ssm._parameter_history.get(name) or []
    if len(history) < VERSIONS or not history[0].get("Labels"):
        return None
    return refused("ParameterMaxVersionLimitExceeded",
                   f"Version {history[0]['Version']} has a label, so a new version can't be created")


def trimmed(name: str, answer: Answer) -> Answer:
    history = ssm._parameter_history.get(name)
    if history:
        del history[:-VERSIONS]
    return answer


def taken_out(name: str, existing: Record | None, before: list[Record] | None) -> Waiting:
    """The version that MiniStack made at once, taken out again, with the next number that nobody was told yet."""
    owner, region = get_account_id(), get_region()
    one = Waiting(owner, region, name, ssm._parameters[name], ssm._parameter_history[name][-1],
                  access.is_allowed("ec2:DescribeImages", "*", {}))
    for store, old in ((ssm._parameters, existing), (ssm._parameter_history, before)):
        if old is None:
            del store[name]
        else:
            store[name] = old
    key = (owner, region, name)
    _VERSIONS[key] = max(_VERSIONS.get(key, 0), (existing or {}).get("Version", 0)) + 1
    one.parameter["Version"] = one.history["Version"] = _VERSIONS[key]
    return one


# The validation.

def validate() -> list[Record]:
    """Of all versions that wait, in the order of their calls: those whose value is an AMI ID that "is available in your AWS
    account", asked for by somebody with "both ssm:PutParameter and ec2:DescribeImages permissions", come to be."""
    results = []
    for one in _WAITING:
        with request_scope(one.owner, one.region):
            is_valid = one.may_describe and is_available(one.parameter["OriginalValue"])
            if is_valid:
                ssm._parameters[one.name] = one.parameter
                ssm._parameter_history.setdefault(one.name, []).append(one.history)
                trimmed(one.name, (200, {}, b""))
            results.append({"name": one.name, "version": one.parameter["Version"], "valid": is_valid})
    _WAITING.clear()
    return results


def is_available(image_id: str) -> bool:
    try:
        _, image = images.find(image_id)
    except Refusal:
        return False
    return bool(images.visible(image) and images.state(image) == "available")
