"""An API on loopback that answers what a test says, and takes signed requests alone."""

from __future__ import annotations

import json
import threading
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret", "session")
REGION = "eu-west-1"
# What the function answered to the requests of `make record`.
RECORDED = json.loads((Path(__file__).parents[2] / "examples.json").read_text())


class Answer(NamedTuple):
    status: int
    document: Any = None
    headers: dict[str, str] = {}


class Asked(NamedTuple):
    method: str
    path: str
    body: Any


def recorded(status: int, operation: str | None = None) -> Any:
    """The first document that was recorded with this status, of an operation or of API Gateway itself."""
    return next(one["answer"] for one in RECORDED if (one["status"], one["operationId"]) == (status, operation))


class FakeServer:
    """Gives its answers one after the other, and remembers what was asked; the last answer is given again."""

    def __init__(self, *answers: Answer | None) -> None:
        self.answers, self.asked = list(answers), list[Asked]()

    def __enter__(self) -> FakeServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append(Asked(self.command, self.path, json.loads(body) if body else None))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                if answer is None:  # the connection breaks
                    self.close_connection = True
                    return
                if not is_signed(self.command, self.path, dict(self.headers), body):
                    answer = Answer(403, {"message": "The request signature we calculated does not match"})
                text = (answer.document if isinstance(answer.document, str) else json.dumps(answer.document)).encode()
                self.send_response(answer.status)
                for name, value in {"Content-Length": str(len(text)), **answer.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = do_any

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


def is_signed(method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether the signature is what botocore makes of the request for this Region and service at the time it names."""
    given = {name.lower(): value for name, value in headers.items()}
    signed = AWSRequest(method, f"http://{given['host']}{path}", {"Host": given["host"]}, body or None)
    names = given.get("authorization", "").partition("SignedHeaders=")[2].partition(",")[0].split(";")
    for name in names:
        if name in given and name not in ("host", "x-amz-date", "x-amz-security-token"):
            signed.headers[name] = given[name]
    with mock.patch("botocore.auth.get_current_datetime") as now:
        now.return_value = datetime.strptime(given.get("x-amz-date", "20000101T000000Z"), "%Y%m%dT%H%M%SZ")
        SigV4Auth(CREDENTIALS, "execute-api", REGION).add_auth(signed)
    return bool(signed.headers["Authorization"] == given.get("authorization"))
