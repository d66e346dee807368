"""Parameters of Parameter Store: Systems Manager API Reference, PutParameter; Systems Manager User Guide, "Using native
parameter support in Parameter Store for Amazon Machine Image IDs", "Parameter data types in Parameter Store" and "Working
with parameter versions".

A value of the data type aws:ec2:image is validated after the answer, which has a version number already. What is invalid is
never there. With the setting `parametersWait` the validation waits until a test asks for it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ami_share_tools.document import Document
from ami_share_tools.local_aws import access, adapter, images, settings
from ami_share_tools.local_aws.adapter import (
    Answer,
    Place,
    error_response_json,
    get_account_id,
    get_region,
    json_response,
    request_scope,
)
from ami_share_tools.local_aws.wire import Refusal

IMAGE = "aws:ec2:image"
FIXED = {IMAGE, "aws:ssm:integration"}
NAME = re.compile(r"[a-zA-Z0-9_.\-/]+")
LEVELS = 15  # "a hierarchy … maximum of fifteen levels"
VERSIONS = 100  # "retains the 100 most recently created versions of a parameter"


@dataclass
class Waiting:
    """A new version that isn't validated yet."""

    owner: str
    region: str
    name: str
    parameter: Document
    history: Document
    may_describe: bool


_WAITING: list[Waiting] = []
# The last version number given out, which may be one that never came to be.
_VERSIONS: dict[Place, int] = {}


def install() -> None:
    adapter.put_parameter.replace(put)


def clear() -> None:
    adapter.ssm_parameters.clear_everywhere()
    adapter.parameter_history.clear_everywhere()
    _VERSIONS.clear()
    _WAITING.clear()


def forget(parts: Sequence[str]) -> None:
    """Forget the parameters that hold one of these in their name or value."""
    for place, parameter in adapter.ssm_parameters.everywhere():
        if is_asked(place[-1], parameter, parts):
            adapter.ssm_parameters.remove(place)
            adapter.parameter_history.remove(place)
            _VERSIONS.pop(place, None)
    _WAITING[:] = [one for one in _WAITING if not is_asked(one.name, one.parameter, parts)]


def is_asked(name: str, parameter: Document, parts: Sequence[str]) -> bool:
    return any(part in name or part in parameter["OriginalValue"] for part in parts)


def state(parts: Sequence[str]) -> dict[str, Document]:
    return {
        key[-1]: {
            "value": parameter["OriginalValue"],
            "version": parameter["Version"],
            "dataType": parameter["DataType"],
        }
        for key, parameter in adapter.ssm_parameters.everywhere()
        if is_asked(key[-1], parameter, parts)
    }


# PutParameter.


def put(request: Document) -> Answer:
    name = request.get("Name") or ""
    existing = adapter.ssm_parameters.get(name)
    data_type = request.get("DataType") or (existing or {}).get("DataType", "text")
    error = refusal(name, request, existing, data_type) or full_history(name)
    if error:
        return error
    if data_type != IMAGE:
        return trimmed(name, adapter.put_parameter(request | {"DataType": data_type}))
    history = adapter.parameter_history.get(name)
    before = None if history is None else list(history)
    answer = adapter.put_parameter(request | {"DataType": data_type})
    if answer[0] != 200:
        return answer
    one = taken_out(name, existing, before)
    _WAITING.append(one)
    if not settings.CURRENT["parametersWait"]:
        validate()
    return json_response({"Version": one.parameter["Version"], "Tier": one.parameter["Tier"]})


def refusal(name: str, request: Document, existing: Document | None, data_type: str) -> Answer | None:
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
        return refused(
            "ValidationException", f"The data type of a parameter can't be changed to or from {sorted(FIXED)}"
        )
    return None


def refused(code: str, message: str) -> Answer:
    return error_response_json(code, message, 400)


def full_history(name: str) -> Answer | None:
    """PutParameter, Errors: ParameterMaxVersionLimitExceeded, if the oldest version, which would go, has a label."""
    history = adapter.parameter_history.get(name, [])
    if len(history) < VERSIONS or not history[0].get("Labels"):
        return None
    return refused(
        "ParameterMaxVersionLimitExceeded",
        f"Version {history[0]['Version']} has a label, so a new version can't be created",
    )


def trimmed(name: str, answer: Answer) -> Answer:
    history = adapter.parameter_history.get(name)
    if history:
        del history[:-VERSIONS]
    return answer


def taken_out(name: str, existing: Document | None, before: list[Document] | None) -> Waiting:
    """The version that MiniStack made at once, taken out again, with the next number that nobody was told yet."""
    owner, region = get_account_id(), get_region()
    one = Waiting(
        owner,
        region,
        name,
        adapter.ssm_parameters[name],
        adapter.parameter_history[name][-1],
        access.is_allowed("ec2:DescribeImages", "*", {}),
    )
    adapter.ssm_parameters.put_back(name, existing)
    adapter.parameter_history.put_back(name, before)
    key = (owner, region, name)
    _VERSIONS[key] = max(_VERSIONS.get(key, 0), (existing or {}).get("Version", 0)) + 1
    one.parameter["Version"] = one.history["Version"] = _VERSIONS[key]
    return one


# The validation.


def validate() -> list[Document]:
    """Of all versions that wait, in the order of their calls: those whose value is an AMI ID that "is available in your AWS
    account", asked for by somebody with "both ssm:PutParameter and ec2:DescribeImages permissions", come to be."""
    results = []
    for one in _WAITING:
        with request_scope(one.owner, one.region):
            is_valid = one.may_describe and is_available(one.parameter["OriginalValue"])
            if is_valid:
                adapter.ssm_parameters[one.name] = one.parameter
                adapter.parameter_history[one.name] = [*adapter.parameter_history.get(one.name, []), one.history]
                trimmed(one.name, (200, {}, b""))
            results.append({"name": one.name, "version": one.parameter["Version"], "valid": is_valid})
    _WAITING.clear()
    return results


def is_available(image_id: str) -> bool:
    try:
        _, image = images.find(image_id)
    except Refusal:
        return False
    return images.visible(image) and images.state(image) == "available"
