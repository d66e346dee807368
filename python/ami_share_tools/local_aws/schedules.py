"""EventBridge Scheduler as its API Reference has it: names, pages of a list, and the target EventBridge PutEvents.

A schedule whose target is an event bus puts its input there as the detail of an event with the source and detail-type of
its EventBridgeParameters (API Reference, "EventBridgeParameters"; User Guide, "Using templated targets").
"""

import datetime
import json
import re
import uuid
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter, settings
from ami_share_tools.local_aws.adapter import Answer, get_account_id, get_region

# "CreateSchedule", URI Request Parameters and "Target".
NAME = re.compile(r"[0-9a-zA-Z\-_.]{1,64}")
MAX_INPUT = 256 * 1024


def install() -> None:
    adapter.create_schedule.replace(create)
    adapter.list_schedules.replace(pages)
    adapter.invoke_target.replace(invoke)


def create(name: str, body: Document) -> Answer:
    target = body.get("Target") or {}
    if not NAME.fullmatch(name):
        return invalid(f"Value '{name}' at 'name' failed to satisfy constraint: [0-9a-zA-Z-_.]+, at most 64 characters")
    if len(target.get("Input", "")) > MAX_INPUT:
        return invalid("Value at 'target.input' is longer than 256 KB")
    if ":event-bus/" in target.get("Arn", ""):
        parameters = target.get("EventBridgeParameters") or {}
        if not (parameters.get("Source") and parameters.get("DetailType")):
            return invalid("EventBridgeParameters with Source and DetailType are required for an event bus")
        try:
            json.loads(target.get("Input", ""))
        except ValueError:
            return invalid("the Input for an event bus must be well-formed JSON")
    return adapter.create_schedule(name, body)


def invalid(message: str) -> Answer:
    return adapter.scheduler_error(400, "ValidationException", message)


def pages(query: Document) -> Answer:
    """ "ListSchedules": MaxResults is 1 to 100, and NextToken goes on where the page ended."""
    size = min(int(query.get("MaxResults", 100)), settings.CURRENT["pageSize"])
    status, headers, body = adapter.list_schedules({**query, "MaxResults": len(adapter.schedules.everywhere()) or 1})
    found = sorted(json.loads(body)["Schedules"], key=lambda schedule: (schedule["GroupName"], schedule["Name"]))
    start = int(query.get("NextToken", 0))
    page: Document = {"Schedules": found[start : start + size]}
    if start + size < len(found):
        page["NextToken"] = str(start + size)
    return status, headers, json.dumps(page).encode()


def invoke(target: Document, event: Document, rule: Any, view: Any = None) -> Any:
    if "EventBridgeParameters" not in target:
        return adapter.invoke_target(target, event, rule, view)
    parameters = target["EventBridgeParameters"]
    return adapter.put_events(
        {
            "Entries": [
                {
                    "EventBusName": target["Arn"],
                    "Source": parameters["Source"],
                    "DetailType": parameters["DetailType"],
                    "Detail": target["Input"],
                    "Resources": event.get("Resources", []),
                }
            ]
        }
    )


def hint(schedule: Document) -> Document:
    """The event that a rule on its bus hands on when this schedule is due."""
    parameters = schedule["Target"]["EventBridgeParameters"]
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": parameters["DetailType"],
        "source": parameters["Source"],
        "account": get_account_id(),
        "time": now,
        "region": get_region(),
        "resources": [schedule["Arn"]],
        "detail": json.loads(schedule["Target"]["Input"]),
    }
