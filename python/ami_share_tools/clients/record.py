"""Record what the deployed API answers, as the examples of openapi.bundle.yaml: `make record`.

An argument is the path of a built function; without one cargo builds it. Each row of `ANSWERS` is one request to the
template on the local AWS. IDs and times, which differ from run to run, become those of the documentation. What only
API Gateway says is taken from the template's own texts.
"""

import contextlib
import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import yaml
from botocore.credentials import Credentials

from ami_share_tools import function
from ami_share_tools.demo import portal, stage
from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import Aws
from ami_share_tools.repository import EXAMPLES, ROOT
from ami_share_tools.template import resources

WEB, DB, VAULT, LEGACY, TRIAL = "golden-web", "golden-db", "golden-vault", "golden-legacy", "trial-app"
NODE, FLEET, LICENSED = "analytics-node", "fleet-node", "licensed-app"
ASKED = "the share that was asked for last"  # its approval's ID, which the answer has
NO_IMAGE = "ami-00000000000000bad"
LATER = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")

# (summary, role, operation, what fills its path and query, body, error that AWS answers with instead).
ANSWERS = [
    (
        "An image is shared",
        "portal",
        "shareImage",
        {"imageId": WEB},
        {"accountIds": [stage.PROD], "reason": "release 1.4"},
    ),
    (
        "A share on top of an encrypted snapshot, planned",
        "portal",
        "shareImage",
        {"imageId": DB, "dryRun": "true"},
        {"accountIds": [stage.PROD]},
    ),
    ("A share that must expire", "portal", "shareImage", {"imageId": TRIAL}, {"accountIds": [stage.BATCH]}),
    (
        "A share that expires",
        "portal",
        "shareImage",
        {"imageId": TRIAL},
        {"accountIds": [stage.BATCH], "expiresAt": LATER},
    ),
    (
        "A share that waits for a copy under another key",
        "portal",
        "shareImage",
        {"imageId": LEGACY, "copyFrom": "eu-west-1"},
        {"accountIds": [stage.PROD]},
    ),
    (
        "Is it still waiting?",
        "portal",
        "checkShare",
        {"imageId": LEGACY, "target": stage.PROD, "copyFrom": "eu-west-1"},
        None,
    ),
    (
        "A share that somebody must approve",
        "portal",
        "shareImage",
        {"imageId": LICENSED},
        {"accountIds": [stage.PROD], "reason": "for the shop"},
    ),
    ("What waits for an approval", "platform-operator", "listApprovals", {}, None),
    ("Whoever asked can't approve", "portal", "approveShare", {"id": ASKED}, None),
    ("What an approval would do", "platform-operator", "approveShare", {"id": ASKED, "dryRun": "true"}, None),
    ("A share is approved", "platform-operator", "approveShare", {"id": ASKED}, {"reason": "license 4711"}),
    ("It was approved before", "platform-operator", "approveShare", {"id": ASKED}, None),
    (
        "Another one",
        "portal",
        "sendRequest",
        {},
        {"action": "share", "imageIds": [LICENSED], "accountIds": [stage.STAGING]},
    ),
    ("A list of approvals", "platform-operator", "sendRequest", {}, {"action": "approvals"}),
    ("A share is rejected", "platform-operator", "rejectShare", {"id": ASKED, "reason": "not now"}, None),
    ("A share that makes grants", "portal", "shareImage", {"imageId": NODE}, {"accountIds": [stage.PROD]}),
    ("A share whose grants are gone", "portal", "checkShare", {"imageId": NODE, "target": stage.STAGING}, None),
    ("A share that would be refused", "portal", "checkShare", {"imageId": VAULT, "target": stage.PROD}, None),
    ("Would it launch?", "portal", "checkShare", {"imageId": DB, "target": stage.PROD}, None),
    ("The images that the portal may share", "portal", "listImages", {"name": "golden-*"}, None),
    ("Who has access", "portal", "listShares", {"imageId": WEB}, None),
    ("Which images an account has", "portal", "listSharesOfAccount", {"accountId": stage.PROD}, None),
    ("Which accounts use it", "portal", "getUsage", {"imageId": WEB}, None),
    ("A report on who uses it is started", "portal", "getUsage", {"imageId": DB}, None),
    ("A share is taken back", "portal", "revokeShare", {"imageId": WEB, "target": stage.PROD}, None),
    ("A revoke that leaves access", "platform-operator", "revokeShare", {"imageId": FLEET, "target": stage.PROD}, None),
    ("A share", "portal", "sendRequest", {}, {"action": "share", "imageIds": [WEB, DB], "accountIds": [stage.PROD]}),
    ("A check", "portal", "sendRequest", {}, {"action": "check", "imageIds": [VAULT], "accountIds": [stage.PROD]}),
    ("The catalogue", "platform-operator", "sendRequest", {}, {"action": "images", "name": "fleet-*"}),
    ("A list", "portal", "sendRequest", {}, {"action": "list", "imageIds": [WEB, DB]}),
    ("A revoke", "portal", "sendRequest", {}, {"action": "revoke", "imageIds": [DB], "accountIds": [stage.PROD]}),
    ("A reset", "platform-operator", "sendRequest", {}, {"action": "reset", "imageIds": [WEB]}),
    ("An audit", "platform-operator", "sendRequest", {}, {"action": "audit"}),
    ("Who can really launch what", "platform-operator", "sendRequest", {}, {"action": "audit", "rows": True}),
    ("A repair", "platform-operator", "sendRequest", {}, {"action": "repair"}),
    ("A field that does not exist", "portal", "shareImage", {"imageId": WEB}, {"accountId": [stage.PROD]}),
    ("A parameter that the route does not have", "portal", "listShares", {"imageId": WEB, "dryRun": "true"}, None),
    ("Root is nobody a rule could name", "root", "listShares", {"imageId": WEB}, None),
    ("A target that no rule names", "portal", "shareImage", {"imageId": WEB}, {"accountIds": [stage.OFF_LIST]}),
    ("A requester that no rule names", "stranger", "listShares", {"imageId": WEB}, None),
    ("An action that no rule allows", "portal", "sendRequest", {}, {"action": "reset", "imageIds": [WEB]}),
    ("There is no such image", "portal", "listShares", {"imageId": NO_IMAGE}, None),
    ("A key that does not let the target in", "portal", "shareImage", {"imageId": VAULT}, {"accountIds": [stage.PROD]}),
    ("The AWS managed key", "portal", "shareImage", {"imageId": LEGACY}, {"accountIds": [stage.PROD]}),
    (
        "AWS denies a call",
        "portal",
        "listShares",
        {"imageId": WEB},
        None,
        {
            "call": "ec2:DescribeImages",
            "code": "UnauthorizedOperation",
            "status": 403,
            "message": "You are not authorized",
            "times": 50,
        },
    ),
    (
        "AWS throttles a call",
        "portal",
        "listShares",
        {"imageId": WEB},
        None,
        {
            "call": "ec2:DescribeImages",
            "code": "RequestLimitExceeded",
            "status": 503,
            "message": "Request limit exceeded.",
            "times": 50,
        },
    ),
]
# What the function answers to an event that the REST API never lets through.
EVENTS = [("A method that the route does not have", "rest-wrong-method", "listShares")]
# API Gateway's own answers: the template's text, the status and the message that it fills in.
OF_THE_GATEWAY = [
    ("The body is no JSON object", "BAD_REQUEST_BODY", 400, ""),
    (
        "IAM does not allow the caller this",
        "DEFAULT_4XX",
        403,
        "User: arn:aws:sts::999988887777:assumed-role/portal/session is not authorized",
    ),
    ("Too many requests", "THROTTLED", 429, "Too Many Requests"),
    ("The request could not be authorized", "DEFAULT_5XX", 500, None),
    ("No answer within 29 seconds", "DEFAULT_5XX", 504, "Endpoint request timed out"),
]


def main() -> None:
    with stage.deployed(function.chosen(*sys.argv[1:2]), switched_on=True) as deployed:
        aws, images, api = deployed.aws, deployed.images, portal.Api(deployed.aws, deployed.stack["ApiUrl"])
        roles: dict[str, Any] = {"root": SimpleNamespace(arn="root", credentials=Credentials(aws.account, "test"))}
        with contextlib.redirect_stdout(io.StringIO()):
            roles |= {name: portal.Role(aws, name) for name in ("portal", "platform-operator", "stranger")}
            behind_its_back(aws, images)
            known = dict(images)
            recorded = [record(aws, api, roles, known, row) for row in ANSWERS]
            recorded += [direct(aws, deployed.stack["FunctionArn"], *row) for row in EVENTS]
    recorded += [of_the_gateway(*row) for row in OF_THE_GATEWAY]
    alike = Alike(images)
    EXAMPLES.write_text(json.dumps([alike.document(one) for one in recorded], indent=2, ensure_ascii=False) + "\n")
    print(f"{len(recorded)} answers are recorded in {EXAMPLES.relative_to(ROOT)}; now run make bundle")


def behind_its_back(aws: Aws, images: dict[str, str]) -> None:
    """What an audit finds: a share by console, one without its grants, and a grant whose image is deregistered. A share
    with a unit, which covers an account's. And a report on who uses an image."""
    aws.seed(usageReports=[{"imageId": images[WEB]}])
    entries = [
        (DB, {"UserId": stage.OFF_LIST}),
        (NODE, {"UserId": stage.STAGING}),
        (FLEET, {"OrganizationalUnitArn": stage.UNIT}),
    ]
    for image, entry in entries:
        aws.client("ec2").modify_image_attribute(ImageId=images[image], LaunchPermission={"Add": [entry]})
    key = aws.client("kms").describe_key(KeyId="alias/golden")["KeyMetadata"]["Arn"]
    aws.client("kms").create_grant(
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{stage.PROD}:root",
        Operations=["Decrypt"],
        Name=f"ami-share/{NO_IMAGE}/{stage.PROD}",
    )


def operations() -> dict[str, tuple[str, str]]:
    """Operation ID → (method, path)."""
    paths = yaml.safe_load((ROOT / "openapi.yaml").read_text())["paths"]
    return {
        operation["operationId"]: (method.upper(), path)
        for path, item in paths.items()
        for method, operation in item.items()
        if "operationId" in operation
    }


def record(aws: Aws, api: portal.Api, roles: dict[str, Any], known: dict[str, str], row: tuple[Any, ...]) -> Document:
    """Sends the request of a row, whose words stand for the IDs that are `known`."""
    summary, role, operation, values, body, *faults = row
    method, path = operations()[operation]
    values = {name: known.get(value, value) for name, value in values.items()}
    query = {name: value for name, value in values.items() if f"{{{name}}}" not in path}
    path = path.format(**values) + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    if body and "imageIds" in body:
        body = body | {"imageIds": [known[name] for name in body["imageIds"]]}
    aws.seed(faults=faults)
    status, answer = api.call(roles[role], method, path, body)
    aws.seed(faults=[])
    if "approval" in answer:
        known[ASKED] = answer["approval"]["id"]
    return {
        "summary": summary,
        "operationId": operation,
        "method": method,
        "path": path,
        "body": body,
        "status": status,
        "answer": answer,
    }


def direct(aws: Aws, function: str, summary: str, event: str, operation: str) -> Document:
    sent = json.loads((ROOT / f"events/{event}.json").read_text())
    answer = json.load(aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(sent))["Payload"])
    return {
        "summary": summary,
        "operationId": operation,
        "method": sent["httpMethod"],
        "path": sent["path"],
        "body": None,
        "status": answer["statusCode"],
        "answer": json.loads(answer["body"]),
    }


def of_the_gateway(summary: str, name: str, status: int, message: str | None) -> Document:
    text = resources()["Api"]["Properties"]["GatewayResponses"][name]["ResponseTemplates"]["application/json"]
    text = text.replace("$context.error.messageString", json.dumps(message)).replace("$context.requestId", REQUEST_ID)
    return {
        "summary": summary,
        "operationId": None,
        "method": None,
        "path": None,
        "body": None,
        "status": status,
        "answer": json.loads(text),
    }


REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


class Alike:
    """Makes two recordings alike: IDs become the documentation's, in the order in which they are seen."""

    def __init__(self, images: dict[str, str]) -> None:
        self.seen = {"ami": list(images.values()), "snap": [], "uuid": []}

    def document(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: REQUEST_ID if name == "requestId" else self.document(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.document(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, value: str) -> str:
        value = re.sub(
            r"\b(ami|snap)-(?!0{12}|0123456789abcdef)[0-9a-f]{17}\b",
            lambda m: f"{m[1]}-0123456789abcdef{self.number(m[1], m[0]):x}",
            value,
        )
        value = re.sub(
            r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",
            lambda m: f"1234abcd-12ab-34cd-56ef-{0x1234567890AB + self.number('uuid', m[0]):x}",
            value,
        )
        value = re.sub(r"\b[0-9a-f]{64}\b", "0123456789abcdef" * 4, value)
        value = re.sub(r"-[0-9a-f]{32}-[0-9a-f]{8}\b", "-0123456789abcdef0123456789abcdef-68b7a1f0", value)
        value = re.sub(r"(copy-ami-[0-9a-f]+)-[0-9a-f]{32}\b", r"\1-0123456789abcdef0123456789abcdef", value)
        value = re.sub(r"\b[0-9a-f]{32}\b", "0123456789abcdef0123456789abcdef", value)
        return re.sub(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2027-01-31T12:00:00Z", value)

    def number(self, kind: str, one: str) -> int:
        seen = self.seen[kind]
        if one not in seen:
            seen.append(one)
        return seen.index(one)


if __name__ == "__main__":
    main()
