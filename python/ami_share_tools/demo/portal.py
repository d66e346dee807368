"""A portal's side: IAM roles, requests signed with Signature Version 4, events put on the bus."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ami_share_tools.demo import screen
from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import Aws
from ami_share_tools.local_aws.identities import make_role, session

TIMEOUT_SECONDS = 40


class Api:
    """The deployed REST API, as callers of the account reach it."""

    def __init__(self, aws: Aws, url: str) -> None:
        parts = urlsplit(url)
        self.aws, self.stage, self.local = aws, parts.path, urlsplit(aws.endpoint)
        # The local AWS answers under this name what AWS answers under {api}.execute-api.{region}.amazonaws.com.
        self.host = f"{parts.netloc.split('.')[0]}.execute-api.localhost:{self.local.port}"

    def call(self, role: Role | None, method: str, route: str, body: Document | None = None) -> tuple[int, Document]:
        """(status, document) of one request; `role` None sends it unsigned."""
        screen.request(role.arn if role else "nobody: no signature", f"{method} {self.stage}{route}", body)
        data = json.dumps(body) if body is not None else None
        signed = AWSRequest(method, f"http://{self.host}{self.stage}{route}", {"Host": self.host}, data)
        if body is not None:
            signed.headers["Content-Type"] = "application/json"
        if role:
            SigV4Auth(role.credentials, "execute-api", self.aws.region).add_auth(signed)
        connection = http.client.HTTPConnection(self.local.netloc, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, self.stage + route, data, dict(signed.headers))
            answer = connection.getresponse()
            status, document = answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()
        screen.answer(status, document)
        return status, document


class Role:
    """An IAM role that may call the API, or has other statements, and a session of it."""

    def __init__(self, aws: Aws, name: str, *statements: Document, hours: int = 1) -> None:
        call = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
        self.arn = make_role(aws, name, *(statements or [call]), hours=hours)
        made = session(aws, self.arn, "demo", hours)
        self.credentials = Credentials(
            made["aws_access_key_id"], made["aws_secret_access_key"], made["aws_session_token"]
        )


def put_event(aws: Aws, bus: str, source: str, detail: Document) -> bool:
    screen.request(f"events:{aws.account}:{source}", f"AMI Share Request on the bus {bus}", detail)
    answer = aws.client("events").put_events(
        Entries=[
            {"EventBusName": bus, "Source": source, "DetailType": "AMI Share Request", "Detail": json.dumps(detail)}
        ]
    )
    return answer["FailedEntryCount"] == 0


def invoke(aws: Aws, function: str, event: Document) -> Document:
    """The answer of a direct invocation."""
    screen.request("lambda:invoke", "lambda invoke", event)
    answer = json.load(aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))["Payload"])
    screen.answer(200, answer)
    return answer
