"""The client against a server on loopback that takes signed requests alone."""

from __future__ import annotations

import unittest
from typing import Any
from unittest import mock

from ami_share_client import ApiError, Client, RequestDocument, Share
from ami_share_client.client import backoff, seconds
from botocore.credentials import Credentials
from botocore.exceptions import HTTPClientError

from .fake_server import CREDENTIALS, REGION, Answer, FakeServer, recorded

IMAGE, ACCOUNT = "ami-0123456789abcdef0", "111122223333"
SHARE: Share = {"accountIds": [ACCOUNT], "reason": "release 1.4"}
SHARED, THROTTLED = recorded(200, "shareImage"), recorded(503, "listShares")
MALFORMED, TOO_MANY = recorded(400, "shareImage"), recorded(429)


class Signed(unittest.TestCase):
    def client(self, server: FakeServer, credentials: Any = CREDENTIALS, **more: Any) -> Client:
        self.waits: list[float] = []
        client = Client(server.url, REGION, credentials=credentials, sleep=self.waits.append, **more)
        self.addCleanup(client.close)
        return client


class Operations(Signed):
    def test_each_operation_is_the_request_that_the_api_describes(self) -> None:
        request: RequestDocument = {"action": "list", "imageIds": [IMAGE]}
        with FakeServer(Answer(200, SHARED)) as server:
            client = self.client(server)
            outcomes = [client.share_image(IMAGE, SHARE, dry_run=True), client.share_image(IMAGE, SHARE), client.list_shares(IMAGE),
                        client.check_share(IMAGE, ACCOUNT), client.revoke_share(IMAGE, ACCOUNT, dry_run=False), client.send_request(request)]
        self.assertEqual(outcomes, [SHARED] * 6)
        self.assertEqual(server.asked, [
            ("POST", f"/v1/images/{IMAGE}/shares?dryRun=true", SHARE),
            ("POST", f"/v1/images/{IMAGE}/shares", SHARE),
            ("GET", f"/v1/images/{IMAGE}/shares", None),
            ("GET", f"/v1/images/{IMAGE}/shares/{ACCOUNT}", None),
            ("DELETE", f"/v1/images/{IMAGE}/shares/{ACCOUNT}?dryRun=false", None),
            ("POST", "/v1/requests", request),
        ])

    def test_what_a_path_holds_stays_one_segment(self) -> None:
        with FakeServer(Answer(200, SHARED)) as server:
            self.client(server).check_share("ami-1/../x", "a b?c=é")
        self.assertEqual(server.asked[0].path, "/v1/images/ami-1%2F..%2Fx/shares/a%20b%3Fc%3D%C3%A9")

    def test_a_query_has_no_plus_for_a_space(self) -> None:
        with FakeServer(Answer(200, SHARED)) as server:
            self.client(server).list_images(name="web tier-*", next_token="a+b==")
        self.assertEqual(server.asked[0].path, "/v1/images?name=web%20tier-%2A&nextToken=a%2Bb%3D%3D")

    def test_another_secret_is_refused(self) -> None:
        with FakeServer(Answer(200, SHARED)) as server:
            with self.assertRaises(ApiError) as raised:
                self.client(server, Credentials("AKIDEXAMPLE", "wrong", "session")).list_shares(IMAGE)
        self.assertEqual((raised.exception.status, raised.exception.problem, raised.exception.retryable), (403, None, False))

    def test_a_field_that_does_not_exist_does_not_compile(self) -> None:
        # mypy refuses a comment that silences nothing: were the misspelt field taken, the check of types would fail.
        share: Share = {"acountIds": [ACCOUNT]}  # type: ignore[typeddict-unknown-key]
        request: RequestDocument = {"action": "list", "imageId": IMAGE}  # type: ignore[assignment]
        self.assertNotIn("accountIds", {**share, **request})


class Answers(Signed):
    def refused(self, answer: Answer, waits: list[float] | None = None) -> ApiError:
        with FakeServer(answer) as server:
            with self.assertRaises(ApiError) as raised:
                self.client(server).share_image(IMAGE, SHARE)
        if waits is not None:
            self.assertEqual(self.waits, waits)
        return raised.exception

    def test_a_refusal_is_raised_at_once_with_its_reasons(self) -> None:
        error = self.refused(Answer(400, MALFORMED), waits=[])
        self.assertEqual(error.refusals, MALFORMED["refusals"])
        self.assertIn(MALFORMED["detail"], str(error))
        self.assertFalse(error.retryable)

    def test_what_may_pass_is_sent_again_after_the_seconds_that_the_answer_says(self) -> None:
        with FakeServer(Answer(503, THROTTLED, {"Retry-After": "7"}), Answer(429, TOO_MANY, {"Retry-After": "2"}), Answer(200, SHARED)) as server:
            self.assertEqual(self.client(server).share_image(IMAGE, SHARE), SHARED)
        self.assertEqual((self.waits, len(server.asked)), ([7.0, 2.0], 3))

    def test_a_refusal_that_may_pass_is_sent_again(self) -> None:
        pending = recorded(409, "shareImage") | {"retryable": True}
        with FakeServer(Answer(409, pending, {"Retry-After": "10"}), Answer(200, SHARED)) as server:
            self.client(server).share_image(IMAGE, SHARE)
        self.assertEqual(self.waits, [10.0])

    def test_without_a_time_it_waits_longer_each_time_and_then_gives_up(self) -> None:
        error = self.refused(Answer(503, THROTTLED))
        self.assertEqual((error.status, len(self.waits)), (503, 3))
        for attempt, wait in enumerate(self.waits, 1):
            self.assertTrue(0.1 <= wait <= 2 ** attempt)

    def test_a_longer_wait_than_a_minute_is_the_callers_business(self) -> None:
        self.refused(Answer(503, THROTTLED, {"Retry-After": "3600"}), waits=[])

    def test_what_something_else_answers_is_an_error_too(self) -> None:
        for answer, times in ((Answer(403, {"message": "Forbidden"}), 0), (Answer(502, "<html>Bad Gateway</html>"), 3), (Answer(500, []), 3),
                              (Answer(200, "not JSON"), 0), (Answer(302, {}, {"Location": "http://127.0.0.1:9/"}), 0)):
            with self.subTest(answer):
                error = self.refused(answer)
                self.assertEqual((error.status, error.problem, error.refusals, len(self.waits)), (answer.status, None, [], times))

    def test_a_broken_connection_is_tried_again(self) -> None:
        with FakeServer(None, Answer(200, SHARED)) as server:
            self.client(server).share_image(IMAGE, SHARE)
        self.assertEqual(len(self.waits), 1)
        with FakeServer(None) as server:
            with self.assertRaises(HTTPClientError):
                self.client(server).share_image(IMAGE, SHARE)

    def test_retry_after_is_seconds_or_a_date(self) -> None:
        with mock.patch("time.time", return_value=784111777.0):  # Sun, 06 Nov 1994 08:49:37 GMT
            for value, expected in (("3", 3.0), ("0", 0.0), ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
                                    ("Sun, 06 Nov 1994 08:49:27 GMT", 0.0), ("soon", None), ("-1", None), (None, None)):
                self.assertEqual(seconds(value), expected, value)
        self.assertLessEqual(backoff(50), 20.0)


class Settings(unittest.TestCase):
    def test_the_region_is_that_of_the_address_or_of_the_environment(self) -> None:
        address = "https://api123.execute-api.eu-west-1.amazonaws.com/v1"
        for url, environment, region in ((address, {}, "eu-west-1"), (address, {"AWS_REGION": "us-east-1"}, "eu-west-1"),
                                         ("https://shares.example.com", {"AWS_REGION": "us-east-1"}, "us-east-1"),
                                         ("https://shares.example.com", {"AWS_DEFAULT_REGION": "us-east-2"}, "us-east-2")):
            with self.subTest(url), mock.patch.dict("os.environ", environment, clear=True):
                self.assertEqual(Client(url, credentials=CREDENTIALS).region, region)

    def test_what_is_missing_is_named(self) -> None:
        with mock.patch.dict("os.environ", {}, clear=True), self.assertRaisesRegex(ValueError, "AWS_REGION"):
            Client("https://shares.example.com", credentials=CREDENTIALS)
        with mock.patch("botocore.session.Session.get_credentials", return_value=None), self.assertRaisesRegex(ValueError, "credentials"):
            Client("https://shares.example.com", "eu-west-1")


if __name__ == "__main__":
    unittest.main()
