"""Owns requests and outcomes as events: put one on the bus, gather what comes back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NotRequired, TypedDict, TypeVar, cast

from .documents import Outcome, OutcomeResult, RequestDocument

Item = TypeVar("Item")

# The results, from the best to the worst: of a request whose images differ, the worst counts.
BEST_TO_WORST: list[str] = ["completed", "planned", "accepted", "refused", "failed", "incomplete"]

OutcomeEvent = TypedDict("OutcomeEvent", {
    "id": str, "source": Literal["ami-share"], "detail-type": str, "time": str, "detail": Outcome,
    "account": NotRequired[str], "region": NotRequired[str], "resources": NotRequired[list[str]], "version": NotRequired[str],
})
"""An event on the outcome bus: one for each image of a request, or one in all where there is no image."""


def put_request(events: Any, bus: str, source: str, request: RequestDocument) -> str:
    """Put a request on the bus, and answer the ID that its outcome events will have; `events` is boto3's client."""
    entry = {"EventBusName": bus, "Source": source, "DetailType": "AMI Share Request", "Detail": json.dumps(request)}
    answer = events.put_events(Entries=[entry])
    [taken] = answer["Entries"]
    if answer["FailedEntryCount"]:
        raise RuntimeError(f"the bus did not take the event: {taken.get('ErrorCode')}: {taken.get('ErrorMessage')}")
    event_id: str = taken["EventId"]
    return event_id


class Gathering:
    """The outcome events of one request, in whatever order and however often they come.

    It is complete once there is an event for each image, and none of them is `accepted`. Without `image_ids` it knows the
    number of images only from the events: a request that is one event, or `imageCount`.
    """

    def __init__(self, request_id: str, image_ids: Iterable[str] = ()) -> None:
        self.request_id = request_id
        self.image_ids = frozenset(image_ids)
        self._events: dict[str | None, OutcomeEvent] = {}
        self._seen: set[str] = set()

    def add(self, event: OutcomeEvent | Mapping[str, Any] | str) -> bool:
        """Take an event, as an object or as text; False where it is none of this request or tells nothing newer."""
        taken = cast(OutcomeEvent, json.loads(event) if isinstance(event, str) else event)
        if taken.get("source") != "ami-share" or taken["detail"]["requestId"] != self.request_id or taken["id"] in self._seen:
            return False
        self._seen.add(taken["id"])
        image = image_of(taken["detail"])
        # What was accepted is reported again when it is done; the later event counts.
        if image in self._events and self._events[image]["time"] > taken["time"]:
            return False
        self._events[image] = taken
        return True

    @property
    def is_complete(self) -> bool:
        details: list[Any] = [event["detail"] for event in self._events.values()]
        if any(detail["result"] == "accepted" for detail in details):
            return False
        if None in self._events:
            return True
        if self.image_ids:
            return self.image_ids <= set(self._events)
        return 0 < max((detail.get("imageCount", 0) for detail in details), default=0) <= len(details)

    @property
    def outcome(self) -> Outcome | None:
        """What is known so far, as one document; None before the first event."""
        details = [event["detail"] for event in self._events.values()]
        if not details:
            return None
        result: OutcomeResult = max((detail["result"] for detail in details), key=badness)
        whole: Outcome = {**details[0], "result": result, "retryable": any(detail["retryable"] for detail in details)}
        whole["images"] = [row for detail in details for row in detail["images"]]
        whole["refusals"] = distinct(detail["refusals"] for detail in details)
        whole["errors"] = distinct(detail["errors"] for detail in details)
        whole["warnings"] = distinct(detail["warnings"] for detail in details)
        return whole


def image_of(outcome: Outcome) -> str | None:
    """The image that an event is about; None where the event is about the whole request."""
    if "findings" in outcome or len(outcome["images"]) > 1:
        return None
    named = [row["imageId"] for row in outcome["images"]]
    named += [refusal["imageId"] for refusal in outcome["refusals"] if "imageId" in refusal]
    return named[0] if named else None


def badness(result: str) -> int:
    return BEST_TO_WORST.index(result) if result in BEST_TO_WORST else len(BEST_TO_WORST)


def distinct(lists: Iterable[list[Item]]) -> list[Item]:
    """What several events say alike, once."""
    found: list[Item] = []
    for items in lists:
        found += [item for item in items if item not in found]
    return found
