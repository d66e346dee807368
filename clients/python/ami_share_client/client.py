"""Owns the request: its signature, its repetition, and what becomes of the answer."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

from .documents import ErrorRow, Problem, Refusal
from .operations import Operations

# An answer takes 29 seconds at most: API Gateway gives up then.
TIMEOUT_SECONDS = 35.0
ATTEMPTS = 4
LONGEST_WAIT_SECONDS = 60.0
# Statuses that pass, where the answer itself doesn't say whether it is worth another try.
PASSING = {429, 500, 502, 503, 504}


class ApiError(Exception):
    """What the API answered instead of an outcome: a problem, or what something on the way said.

    `problem` has the outcome's fields too: with `result` `incomplete` some `steps` were done.
    """

    def __init__(self, status: int, problem: Problem | None, text: str) -> None:
        super().__init__(f"{status} {(problem and (problem['detail'] or problem['title'])) or text[:500]}")
        self.status = status
        self.problem = problem

    @property
    def refusals(self) -> list[Refusal]:
        """Why the request was refused; empty where it wasn't."""
        return self.problem["refusals"] if self.problem else []

    @property
    def errors(self) -> list[ErrorRow]:
        """What failed; empty where nothing did."""
        return self.problem["errors"] if self.problem else []

    @property
    def retryable(self) -> bool:
        """Whether sending the same request again helps."""
        return self.problem["retryable"] if self.problem else self.status in PASSING


class Client(Operations):
    """The API at an address, which is the stack's output `ApiUrl`.

    Credentials are looked for as the AWS SDKs do, unless they are given (botocore's `Credentials`, or what
    `boto3.Session().get_credentials()` answers). The same request again is safe, so what may pass is sent again: up to
    `attempts` times in all, after the seconds that `Retry-After` says, else after a random time that grows.
    """

    def __init__(self, url: str, region: str | None = None, *, credentials: Any = None, timeout: float = TIMEOUT_SECONDS,
                 attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = url.rstrip("/")
        self.region = region or region_of(self.url)
        self.credentials = credentials or botocore.session.get_session().get_credentials()
        if self.credentials is None:
            raise ValueError("no AWS credentials were found: requests can't be signed")
        self.attempts = attempts
        self.sleep = sleep
        self.session = URLLib3Session(timeout=timeout)

    def close(self) -> None:
        """Close the connections that are kept open for the next call."""
        self.session.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, path: str, query: Mapping[str, Any], body: Any) -> Any:
        """The document of an answer of success; anything else is raised as `ApiError`."""
        url = self.url + path + query_text(query)
        for attempt in range(1, self.attempts + 1):
            try:
                status, headers, text = self.send(method, url, body)
            except HTTPClientError:  # no answer says nothing about what was done; the same request finds out
                if attempt == self.attempts:
                    raise
                self.sleep(backoff(attempt))
                continue
            document = document_of(text)
            if status < 300 and document is not None:
                return document
            error = ApiError(status, problem_of(document), text)
            wait = seconds(headers.get("Retry-After")) or backoff(attempt)
            if attempt == self.attempts or not error.retryable or wait > LONGEST_WAIT_SECONDS:
                raise error
            self.sleep(wait)
        raise ValueError("attempts must be 1 or more")

    def send(self, method: str, url: str, body: Any) -> tuple[int, Mapping[str, str], str]:
        """Sign a request and send it once: status, headers and text of the answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if data else {})
        request = AWSRequest(method, url, headers, data)
        SigV4Auth(self.credentials.get_frozen_credentials(), "execute-api", self.region).add_auth(request)
        answer = self.session.send(request.prepare())
        return answer.status_code, answer.headers, answer.text


def region_of(url: str) -> str:
    """The Region that the address or the environment names."""
    named = re.search(r"\.execute-api\.([a-z0-9-]+)\.", urlsplit(url).netloc)
    region = named[1] if named else os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region:
        raise ValueError("the Region is in neither the address nor AWS_REGION: give it as region")
    return region


def query_text(query: Mapping[str, Any]) -> str:
    """What is given, as the API reads it: a plus sign would stand for itself."""
    given = {name: str(value).lower() if isinstance(value, bool) else value for name, value in query.items() if value is not None}
    return "?" + urlencode(given, doseq=True, quote_via=quote) if given else ""


def document_of(text: str) -> dict[str, Any] | None:
    """The object that an answer is; None where it is something else."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def problem_of(document: Any) -> Problem | None:
    """A problem of the function or of its API Gateway; None where something else answered."""
    return document if document and "result" in document and "refusals" in document else None


def seconds(retry_after: str | None) -> float | None:
    """What a Retry-After says, as seconds or as a date (RFC 9110, section 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None


def backoff(attempt: int) -> float:
    """A random time that grows with each attempt, so that callers who failed together don't come back together."""
    return random.uniform(0.1, min(20.0, 2.0 ** attempt))
