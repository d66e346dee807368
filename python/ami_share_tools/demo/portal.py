"""A portal's side: IAM roles, requests signed with Signature Version 4, events put on the bus."""

import http.client
import json
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ami_share_tools.demo import screen

TIMEOUT_SECONDS = 40


class Api:
    """The deployed REST API, as callers of the account reach it."""

    def __init__(self, aws, url):
        parts = urlsplit(url)
        self.aws, self.stage, self.local = aws, parts.path, urlsplit(aws.endpoint)
        # The local AWS answers under this name what AWS answers under {api}.execute-api.{region}.amazonaws.com.
        self.host = f"{parts.hostname.split('.')[0]}.execute-api.localhost:{self.local.port}"

    def call(self, role, method, route, body=None):
        """(status, document) of one request; `role` None sends it unsigned."""
        screen.request(role.arn if role else "nobody: no signature", f"{method} {self.stage}{route}", body)
        data = json.dumps(body) if body is not None else None
        signed = AWSRequest(method, f"http://{self.host}{self.stage}{route}", {"Host": self.host}, data)
        if body is not None:
            signed.headers["Content-Type"] = "application/json"
        if role:
            SigV4Auth(role.credentials, "execute-api", self.aws.region).add_auth(signed)
        connection = http.client.HTTPConnection(self.local.hostname, self.local.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, self.stage + route, data, dict(signed.headers))
            answer = connection.getresponse()
            status, document = answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()
        screen.answer(status, document)
        return status, document


class Role:
    """An IAM role that may call the API, and a session of it."""

    def __init__(self, aws, name, hours=1):
        iam = aws.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
            "Action": "sts:AssumeRole",
        }
        call = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
        self.arn = iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=policy(trust), MaxSessionDuration=hours * 3600
        )["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="call-the-api", PolicyDocument=policy(call))
        assumed = aws.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="demo", DurationSeconds=hours * 3600)
        session = assumed["Credentials"]
        self.credentials = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def put_event(aws, bus, source, detail):
    screen.request(f"events:{aws.account}:{source}", f"AMI Share Request on the bus {bus}", detail)
    answer = aws.client("events").put_events(
        Entries=[
            {"EventBusName": bus, "Source": source, "DetailType": "AMI Share Request", "Detail": json.dumps(detail)}
        ]
    )
    return answer["FailedEntryCount"] == 0


def invoke(aws, function, event):
    """The answer of a direct invocation."""
    screen.request("lambda:invoke", "lambda invoke", event)
    answer = json.load(aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))["Payload"])
    screen.answer(200, answer)
    return answer
