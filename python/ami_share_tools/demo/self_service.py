"""The self-service page on a local AWS: a local issuer and its people, rules that name them, images on keys of every sort."""

from __future__ import annotations

import contextlib
import http.client
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ami_share_tools.demo import stage
from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import Aws, LocalAws
from ami_share_tools.local_aws.deploy import deploy
from ami_share_tools.local_aws.issuer import Issuer, Person
from ami_share_tools.repository import ROOT

ALLOWLIST = ROOT / "demo/self-service.yaml"
IN_THE_ALLOWLIST = "https://issuer.example"
CLIENT = "ami-share-page"

ADA = Person("ada", "Ada Lovelace", ("web-team",))
GRACE = Person("grace", "Grace Hopper", ("approvers",))
EDSGER = Person("edsger", "Edsger Dijkstra", ("platform",))
STRANGER = Person("mallory", "Mallory", ())
PEOPLE = (ADA, GRACE, EDSGER, STRANGER)

PROD, STAGING, BATCH = stage.PROD, stage.STAGING, stage.BATCH
LAB, CI = "333344445555", "666677778888"
BY_HAND = "777788889999"  # an account that no rule names


@dataclass
class SelfService:
    """A deployment with the page."""

    aws: Aws
    issuer: Issuer
    url: str
    images: dict[str, str]

    def call(self, person: Person, method: str, route: str, body: Document | None = None) -> tuple[int, Document]:
        """(status, document) of one request with a token of this person."""
        return self.send(self.issuer.token(person), method, route, body)

    def send(self, token: str | None, method: str, route: str, body: Document | None = None) -> tuple[int, Document]:
        parts = urlsplit(self.url)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        with contextlib.closing(http.client.HTTPConnection(parts.netloc, timeout=40)) as connection:
            connection.request(
                method, parts.path.rstrip("/") + route, json.dumps(body) if body is not None else None, headers
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")


@contextlib.contextmanager
def opened(
    binary: Path, log: Path | None = None, images: list[Document] | None = None, copy_seconds: int | None = None
) -> Iterator[SelfService]:
    """The template deployed with the page, and images of every sort, or these. A copy is made in so many seconds, or when a test
    says so."""
    with tempfile.TemporaryDirectory(prefix="ami-share-page-") as folder, Issuer(PEOPLE, CLIENT) as issuer:
        allowlist = Path(folder) / "allowlist.yaml"
        allowlist.write_text(ALLOWLIST.read_text().replace(IN_THE_ALLOWLIST, issuer.url))
        with LocalAws(log or Path(folder) / "local-aws.log") as aws:
            stack = deploy(
                aws,
                binary,
                allowlist,
                JwtIssuer=issuer.url,
                JwtAudience=CLIENT,
                PageClientId=CLIENT,
                EnableCopyAccess="true",
                EnableKeyGrants="true",
                KeyArns=f"arn:aws:kms:{aws.region}:{aws.account}:key/*",
                EnableApprovals="true",
                EnableCopies="true",
                CopySourceRegions=aws.region,
                CopyKeyArns=stage.COPY_KEY,
            )
            service = SelfService(aws, issuer, address(aws, stack["PageUrl"]), seed(aws, images, copy_seconds))
            if images is None:
                share(service)
            yield service


def address(aws: Aws, url: str) -> str:
    """Where the local AWS answers what AWS answers at the output `PageUrl`."""
    return f"{stage.address(aws, url).rstrip('/')}/$default/"


def seed(aws: Aws, images: list[Document] | None, copy_seconds: int | None) -> dict[str, str]:
    """Name → image ID."""
    everybody = (PROD, STAGING, BATCH, LAB, CI)
    policies = {
        "open": stage.key_policy(aws, *everybody),
        "web": stage.key_policy(aws, PROD, STAGING),
        "closed": stage.key_policy(aws),
        "tagged": only_teams(stage.key_policy(aws, *everybody)),
        "not-batch": denying(stage.key_policy(aws, *everybody), BATCH),
    }
    keys: list[Document] = [
        {"ref": name, "alias": f"alias/{name}", "policy": policy} for name, policy in policies.items()
    ]
    keys += [
        {"id": stage.COPY_KEY.rpartition("/")[2], "alias": "alias/copies", "policy": policies["open"]},
        # Nobody but its owner may read its policy.
        {"ref": "partner", "account": stage.PARTNER, "policy": policies["open"]},
        {"ref": "managed", "alias": "alias/aws/ebs", "manager": "AWS", "policy": stage.aws_ebs_policy(aws)},
    ]
    made = aws.seed(
        keys=keys, images=own_images() if images is None else images, settings={"copySeconds": copy_seconds}
    )
    return {image["ref"]: image["imageId"] for image in made["images"]}


def image(name: str, key: str | None = None, age: int = 10, *shared: str, **more: Any) -> Document:
    """An image of this age in days, with a volume on this key, or one that is not encrypted."""
    created = (datetime.now(UTC) - timedelta(days=age)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    volume = {"device": "/dev/xvda", "snapshot": {"key": key} if key else {}}
    tags = {"Tier": "gold", "Team": "platform"}
    return {"ref": name, "name": name, "creationDate": created, "tags": tags, "mappings": [volume]} | (
        {"launchPermissions": list(shared)} | more
    )


def own_images() -> list[Document]:
    return [
        image("golden-web-2026.11", None, 6),
        image("golden-web-2026.10", None, 38, PROD, STAGING, BATCH),
        image("golden-db-2026.11", "web", 5, PROD, LAB),
        image("golden-vault-2026.09", "closed", 61, PROD),
        image("golden-legacy-2025.12", "tagged", 340, PROD, STAGING, CI),
        image("base-al2023-2026.11", "open", 3, PROD, STAGING, BATCH, LAB, CI),
        image("base-al2023-arm64-2026.11", "open", 3, STAGING, CI, architecture="arm64"),
        image("base-ubuntu-24.04", "not-batch", 20, PROD, BATCH, LAB),
        image("analytics-node-7", "closed", 15, LAB),
        image("trial-app-0.9", None, 2),
        image("golden-web-2026.09", None, 70, PROD),
        image("fleet-gateway-3", "open", 12, PROD),
        image("fleet-gateway-2", "open", 90, PROD, BY_HAND),
        image("partner-node-88", "partner", 1, CI, BATCH),
        image("reports-2026.10", "managed", 30),
    ]


def share(service: SelfService) -> None:
    """What the people have shared already: for a time, and by grants."""
    soon = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name, account, wish in (
        ("trial-app-0.9", STAGING, {"expiresAt": soon}),
        ("trial-app-0.9", BATCH, {"expiresAt": soon.replace(soon[:10], later(25))}),
        ("analytics-node-7", BATCH, {"access": "copy"}),
    ):
        route = f"/images/{service.images[name]}/shares"
        status, outcome = service.call(ADA, "POST", route, {"accountIds": [account], "reason": "spring release"} | wish)
        assert status == 200, outcome


def later(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")


def only_teams(policy: Document) -> Document:
    """The policy for principals with a tag, which nobody outside their account knows."""
    for statement in policy["Statement"][1:]:
        statement.setdefault("Condition", {})["StringEquals"] = {"aws:PrincipalTag/team": "web"}
    return policy


def denying(policy: Document, account: str) -> Document:
    """The policy with a Deny of this account."""
    deny = {
        "Sid": "NotForBatch",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "kms:*",
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": account}},
    }
    return policy | {"Statement": [*policy["Statement"], deny]}
