"""The only file that knows MiniStack: every member of it that the local AWS reads, calls or replaces, and what for.

Most are private members, which may change with any version. This file is written for MiniStack 1.5.33. With another version
look at each of them again: those that are no longer there are named when this file is imported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from importlib import metadata
from re import Pattern
from types import ModuleType
from typing import Any, Generic, TypeVar, overload

from ministack import app
from ministack.core import hypercorn_compat, iam_actions, iam_evaluator, lambda_runtime, responses, router
from ministack.services import apigateway, appconfig, ec2, eventbridge, kms, lambda_svc, scheduler, ssm

from ami_share_tools.document import Document

VERSION = "1.5.33"

Params = Mapping[str, Any]
# Status, headers and body.
Answer = tuple[int, dict[str, str], Any]
# Account, Region and the key in a store.
Place = tuple[str, str, str]
Handler = Callable[[Params], Answer]
Thing = TypeVar("Thing")


class Drift(Exception):
    """The MiniStack that is installed lacks members that the local AWS needs."""


MISSING: list[str] = []


def member(module: ModuleType, name: str, purpose: str) -> Any:
    """A member of a module of MiniStack, and what the local AWS needs it for."""
    if not hasattr(module, name):
        MISSING.append(f"{module.__name__}.{name}, which the local AWS needs to {purpose}")
    return getattr(module, name, None)


class Store(Generic[Thing]):
    """All things of one kind. MiniStack keeps them apart by account and Region; the caller's own are those of a dict."""

    def __init__(self, module: ModuleType, name: str, purpose: str) -> None:
        self.kept = member(module, name, purpose)

    def everywhere(self) -> list[tuple[Place, Thing]]:
        """Those of every account and Region."""
        return list(self.kept._data.items())

    def __getitem__(self, key: str) -> Thing:
        return self.kept[key]

    def __setitem__(self, key: str, thing: Thing) -> None:
        self.kept[key] = thing

    @overload
    def get(self, key: str) -> Thing | None: ...

    @overload
    def get(self, key: str, default: Thing) -> Thing: ...

    def get(self, key: str, default: Thing | None = None) -> Thing | None:
        return self.kept.get(key, default)

    def pop(self, key: str) -> None:
        """Removes it, if it is there."""
        self.kept.pop(key, None)

    def put_back(self, key: str, thing: Thing | None) -> None:
        """What was there before, which may be nothing."""
        if thing is None:
            self.pop(key)
        else:
            self[key] = thing

    def mine(self) -> list[tuple[str, Thing]]:
        """The caller's own."""
        return list(self.kept.items())

    def of(self, place: Place) -> Thing | None:
        """That of some account and Region."""
        return self.kept._data.get(place)

    def remove(self, place: Place) -> None:
        """Removes that of some account and Region, if it is there."""
        self.kept._data.pop(place, None)

    def remove_everywhere(self, is_meant: Callable[[str], bool]) -> None:
        """Removes what has such a key, whoever owns it."""
        for place, _ in self.everywhere():
            if is_meant(place[-1]):
                del self.kept._data[place]

    def clear_everywhere(self) -> None:
        self.kept._data.clear()


class Replaceable:
    """A function of MiniStack in whose place the local AWS puts its own. A call is always one of MiniStack's."""

    def __init__(self, module: ModuleType, name: str, purpose: str) -> None:
        self.module, self.name = module, name
        self.original = member(module, name, purpose)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.original(*arguments, **named)

    def replace(self, own: Callable[..., Any]) -> None:
        setattr(self.module, self.name, own)


# Requests: whose they are, where they go, and how errors are answered.
serve_http: Callable[..., Awaitable[None]] = member(app, "app", "serve MiniStack itself")
dispatch = Replaceable(app, "_dispatch_service_request", "list every call, and answer some with a fault")
routing_params: Callable[..., Params] = member(app, "_routing_params", "find the service of a call")
detect_service: Callable[..., str] = member(app, "detect_service", "find the service of a call")
pin_request_origin = Replaceable(app, "pin_request_origin", "take calls on loopback for calls over TLS")
get_account_id: Callable[[], str] = member(responses, "get_account_id", "know the caller's account")
get_region: Callable[[], str] = member(responses, "get_region", "know the caller's Region")
request_scope: Callable[[str, str], AbstractContextManager[None]] = member(
    responses, "request_scope", "act for an account in a Region"
)
json_response: Callable[[Document], Answer] = member(responses, "json_response", "answer in JSON")
error_response_json: Callable[..., Answer] = member(responses, "error_response_json", "answer with an error in JSON")
install_reason_phrases: Callable[[], None] = member(hypercorn_compat, "install", "serve as MiniStack's own server does")
end_function_processes: Callable[[], None] = member(lambda_runtime, "reset", "end the functions' processes")

# IAM.
extract_access_key_id: Callable[[Mapping[str, str], Params], str] = member(
    router, "extract_access_key_id", "ask IAM about the caller once more"
)
enforce: Callable[..., Any] = member(iam_evaluator, "enforce", "ask IAM what else a call takes")
caller_arn: Callable[[], str] = member(iam_evaluator, "caller_arn", "name the caller in a refusal and to a key policy")
extract_iam_action: Callable[..., str | None] = member(iam_actions, "extract_iam_action", "name a call by its action")
extract_resource_arn = Replaceable(
    iam_actions, "extract_resource_arn", "give images, snapshots and schedules their ARNs"
)
request_tag_context = Replaceable(iam_actions, "request_tag_context", "give a call the condition keys of its service")
EvalContext: Callable[..., Any] = member(iam_evaluator, "EvalContext", "ask a key policy about an account")
evaluate_resource_policy: Callable[..., Any] = member(
    iam_evaluator, "evaluate_resource_policy", "ask a key policy about an account"
)

# EC2.
images: Store[Document] = Store(ec2, "_images", "keep images")
snapshots: Store[Document] = Store(ec2, "_snapshots", "keep snapshots")
tags: Store[list[dict[str, str]]] = Store(ec2, "_tags", "keep the tags of images and snapshots")
ec2_actions: dict[str, Handler] = member(ec2, "_ACTION_MAP", "add to the actions of EC2")
ec2_param: Callable[[Params, str], str] = member(ec2, "_p", "read a parameter of a query")
ec2_members: Callable[[Params, str], list[str]] = member(ec2, "_parse_member_list", "read a list of a query")
ec2_filters: Callable[[Params], dict[str, list[str]]] = member(ec2, "_parse_filters", "read the filters of a query")
glob_matches: Callable[[str, str], bool] = member(ec2, "_glob_match", "compare with the wildcards of a filter")
ec2_answer: Callable[[int, str, str], Answer] = member(ec2, "_xml", "answer in XML")
ec2_error: Callable[[str, str, int], Answer] = member(ec2, "_error", "answer with an error in XML")
ami_name: Pattern[str] = member(ec2, "_AMI_NAME_RE", "refuse what is no name of an image or of a watermark")
ec2_now: Callable[[], str] = member(ec2, "_now_ts", "date what is made")

# KMS.
kms_keys: Store[Document] = Store(kms, "_keys", "keep keys")
kms_grants: Store[Document] = Store(kms, "_grants", "keep grants")
resolve_key: Callable[[str], Document | None] = member(kms, "_resolve_key", "find a key by what a call names it by")
reset_kms: Callable[[], None] = member(kms, "reset", "remove every key and grant")
create_key: Callable[[Document], Answer] = member(kms, "_create_key", "seed a key")
create_alias: Callable[[Document], Answer] = member(kms, "_create_alias", "seed the alias of a key")
key_metadata = Replaceable(kms, "_key_metadata", "tell a key's account, manager and state")
get_key_policy = Replaceable(kms, "_get_key_policy", "refuse aliases and policies that are not there")
create_grant = Replaceable(kms, "_create_grant", "refuse what is no grantee or no name")
handle_kms_request = Replaceable(kms, "handle_request", "let other accounts use a key that lets them in")

# EventBridge and EventBridge Scheduler.
schedules: Store[Document] = Store(scheduler, "_schedules", "keep schedules")
last_fired: dict[Place, float] = member(scheduler, "_schedule_last_fired", "forget when schedules were last due")
reset_scheduler: Callable[[], None] = member(scheduler, "reset", "remove every schedule and group")
create_schedule_group: Callable[[str, Document], Answer] = member(
    scheduler, "_create_schedule_group", "seed a schedule's group"
)
create_schedule = Replaceable(scheduler, "_create_schedule", "refuse what is no name, target or input")
list_schedules = Replaceable(scheduler, "_list_schedules", "answer in pages")
scheduler_error: Callable[[int, str, str], Answer] = member(scheduler, "_error", "refuse a schedule")
put_events: Callable[..., Answer] = member(eventbridge, "_put_events", "put events of EC2 and Scheduler on a bus")
invoke_target = Replaceable(eventbridge, "_invoke_target", "put a schedule's input on a bus")
dispatch_to_lambda = Replaceable(eventbridge, "_dispatch_to_lambda", "retry a rule's events as Lambda does")

# Lambda.
provided_worker_env = Replaceable(lambda_svc, "_provided_worker_env", "start a function as a process of this machine")
function_of_reference: Callable[[str], tuple[Document, Document, str]] = member(
    lambda_svc, "_get_func_record_for_ref", "find the function of a rule's target"
)
execution_record: Callable[[Document, Document], Document] = member(
    lambda_svc, "_execution_record_for_config", "invoke the function of a rule's target"
)
invoke_async: Callable[[Document, Document], None] = member(
    lambda_svc, "invoke_async_with_retry", "invoke the function of a rule's target"
)
layer_archive: Callable[[Any], bytes] = member(lambda_svc, "_resolve_layer_zip", "unpack a layer beside its function")

# API Gateway.
validate_token = Replaceable(apigateway, "_validate_jwt_authorizer", "refuse tokens that API Gateway refuses")

# Documents that a function reads at run time.
ssm_parameters: Store[Document] = Store(ssm, "_parameters", "keep parameters from sight until they are validated")
parameter_history: Store[list[Document]] = Store(ssm, "_parameter_history", "keep the versions of a parameter")
put_parameter = Replaceable(ssm, "_put_parameter", "seed a parameter, and validate the IDs of images")
appconfig_application: Callable[[str], str | None] = member(
    appconfig, "_resolve_application_id", "find an application by its name"
)
appconfig_environment: Callable[[str, str], str | None] = member(
    appconfig, "_resolve_environment_id", "find an environment by its name"
)
appconfig_profile: Callable[[str, str], str | None] = member(
    appconfig, "_resolve_configuration_profile_id", "find a profile by its name"
)
create_application: Callable[[Document], Answer] = member(
    appconfig, "_create_application", "seed the application of a configuration"
)
create_environment: Callable[[str, Document], Answer] = member(
    appconfig, "_create_environment", "seed the environment of a configuration"
)
create_configuration_profile: Callable[[str, Document], Answer] = member(
    appconfig, "_create_configuration_profile", "seed the profile of a configuration"
)
create_configuration_version: Callable[[str, str, bytes, str], Answer] = member(
    appconfig, "_create_hosted_configuration_version", "seed a configuration"
)
create_deployment_strategy: Callable[[Document], Answer] = member(
    appconfig, "_create_deployment_strategy", "deploy a configuration at once"
)
start_deployment: Callable[[str, str, Document], Answer] = member(
    appconfig, "_start_deployment", "deploy a configuration at once"
)

if MISSING:
    raise Drift(
        f"adapter.py is written for MiniStack {VERSION}, and this is {metadata.version('ministack')}. It lacks:\n"
        + "\n".join(f"- {one}" for one in MISSING)
    )
