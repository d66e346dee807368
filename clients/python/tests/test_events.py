"""Requests put on a bus, and the outcome events of one request gathered."""

from __future__ import annotations

import json
import unittest
from typing import Any

from ami_share_client import Gathering, put_request

from .fake_server import recorded

SHARED = recorded(200, "shareImage")
MALFORMED = recorded(400, "shareImage")
ONE, TWO = "ami-0123456789abcdef0", "ami-0123456789abcdef1"


def event(number: int, image: str | None = None, request: str = "one", time: str = "2027-01-31T12:00:00Z", **changes: Any) -> dict[str, Any]:
    images = [SHARED["images"][0] | {"imageId": image}] if image else []
    return {"id": str(number), "source": "ami-share", "detail-type": "AMI Share Request Completed", "time": time,
            "detail": SHARED | {"requestId": request, "images": images} | changes}


class Gather(unittest.TestCase):
    def check(self, events: list[Any], images: list[str], complete: bool, taken: list[bool] | None = None, asked: tuple[str, ...] = (ONE, TWO)) -> Gathering:
        gathering = Gathering("one", asked)
        told = [gathering.add(one) for one in events]
        self.assertEqual(gathering.is_complete, complete)
        self.assertEqual([row["imageId"] for row in (gathering.outcome or {"images": []})["images"]], images)
        self.assertEqual(told, taken if taken is not None else [True] * len(events))
        return gathering

    def test_it_is_complete_with_an_event_of_each_image(self) -> None:
        self.check([], [], complete=False)
        self.check([event(1, ONE)], [ONE], complete=False)
        self.check([event(1, TWO), event(2, ONE)], [TWO, ONE], complete=True)
        self.check([event(1, ONE)], [ONE], complete=True, asked=(ONE,))

    def test_events_of_other_requests_and_of_others_are_left(self) -> None:
        other = event(2, TWO, request="two")
        self.check([event(1, ONE), other, event(3, TWO) | {"source": "aws.ec2"}], [ONE], complete=False, taken=[True, False, False])

    def test_an_event_that_comes_twice_counts_once(self) -> None:
        self.check([event(1, ONE), event(1, ONE)], [ONE], complete=False, taken=[True, False])

    def test_text_is_read(self) -> None:
        self.check([json.dumps(event(1, ONE)), json.dumps(event(2, TWO))], [ONE, TWO], complete=True)

    def test_what_was_accepted_is_complete_when_it_is_done(self) -> None:
        accepted, done = event(1, ONE, result="accepted"), event(2, ONE, time="2027-01-31T13:00:00Z")
        self.check([accepted], [ONE], complete=False, asked=(ONE,))
        self.assertEqual(self.check([accepted, done], [ONE], complete=True, asked=(ONE,)).outcome, done["detail"])
        self.assertEqual(self.check([done, accepted], [ONE], complete=True, taken=[True, False], asked=(ONE,)).outcome, done["detail"])

    def test_a_request_without_images_is_one_event(self) -> None:
        malformed = event(1, None, result="refused", refusals=MALFORMED["refusals"])
        self.check([malformed], [], complete=True, asked=())
        self.check([malformed], [], complete=True)
        audit = event(1, ONE, findings=[])
        self.check([audit], [ONE], complete=True, asked=())

    def test_events_may_say_how_many_there_are(self) -> None:
        self.check([event(1, ONE, imageCount=2)], [ONE], complete=False, asked=())
        self.check([event(1, ONE, imageCount=2), event(2, TWO, imageCount=2)], [ONE, TWO], complete=True, asked=())
        self.check([event(1, ONE)], [ONE], complete=False, asked=())

    def test_the_worst_result_counts_and_what_is_said_twice_is_said_once(self) -> None:
        unseen = {"code": "ImageNotFound", "imageId": TWO, "message": "there is no such image"}
        events = [event(1, ONE, warnings=["late"]), event(2, None, warnings=["late"], result="incomplete", retryable=True, refusals=[unseen])]
        outcome = self.check(events, [ONE], complete=True).outcome
        assert outcome
        self.assertEqual((outcome["result"], outcome["retryable"], outcome["warnings"], outcome["refusals"]), ("incomplete", True, ["late"], [unseen]))


class Bus:
    """boto3's client of EventBridge, as far as it is needed."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        self.entries = Entries
        return self.answer


class Put(unittest.TestCase):
    def test_the_events_id_is_the_requests(self) -> None:
        bus = Bus({"FailedEntryCount": 0, "Entries": [{"EventId": "one"}]})
        self.assertEqual(put_request(bus, "bus", "com.example.pipeline", {"action": "audit"}), "one")
        self.assertEqual(bus.entries, [{"EventBusName": "bus", "Source": "com.example.pipeline", "DetailType": "AMI Share Request",
                                        "Detail": '{"action": "audit"}'}])

    def test_an_event_that_the_bus_does_not_take_is_an_error(self) -> None:
        bus = Bus({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "AccessDenied", "ErrorMessage": "no"}]})
        with self.assertRaisesRegex(RuntimeError, "AccessDenied"):
            put_request(bus, "bus", "com.example.pipeline", {"action": "audit"})


if __name__ == "__main__":
    unittest.main()
