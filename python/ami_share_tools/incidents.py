"""Follow docs/incidents.md against the local AWS, command by command:

    python -m ami_share_tools.incidents BINARY LOG

The stack's function is the binary. What it logged is written to LOG, so that the page's queries can be tried on it.

What isn't here stands in as for the first hour: see first_hour.py. The editor takes the wrong account out of the allowlist.
What each block prints must be what the page says; `…` stands for anything.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ami_share_tools import first_hour
from ami_share_tools.local_aws.client import Aws, LocalAws
from ami_share_tools.local_aws.deploy import deploy
from ami_share_tools.repository import ALLOWLIST, PYTHON, ROOT

PAGE = ROOT / "docs/incidents.md"
WRONG, PROD = "444455556666", "111122223333"
RULES = f"""version: 1
accounts:
  "{WRONG}": {{name: sandbox}}
rules:
  - name: operators
    requesters: ["arn:aws:iam::999988887777:role/{first_hour.ROLE}"]
    actions: [list, check, revoke, reset, audit, repair]
    images: all
    targets: ["{PROD}"]
  - name: portal
    requesters: ["events:999988887777:com.example.portal"]
    actions: [share]
    images: {{names: ["golden-*"]}}
    access: copy
    keys: grant
    targets:
      - "{PROD}"
      - sandbox
"""
# Who shared what with the wrong account: the images of each request, and why.
SHARES = [([1, 2, 3], "launch", "spring release"), ([4], "launch", "for the web team"), ([5], "copy", "they copy it")]
SHARE_SECONDS = 60


def steps() -> list[tuple[str, str | None]]:
    """The commands of the page, each block with what it prints, or nothing where the page doesn't say."""
    found: list[tuple[str, str | None]] = []
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        if kind == "sh":
            found.append((text, None))
        elif kind == "text":
            found[-1] = (found[-1][0], text)
    return found


def key_policy(*accounts: str) -> dict[str, Any]:
    def statement(account: str) -> dict[str, Any]:
        principal = {"AWS": f"arn:aws:iam::{account}:root"}
        return {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}

    return {"Version": "2012-10-17", "Statement": [statement("999988887777"), *map(statement, accounts)]}


def world(aws: Aws) -> tuple[dict[int, str], list[str]]:
    """Eight images: three open, two on a key that lets the wrong account in, one shared by console, two not shared with it."""

    def image(number: int, key: str | None = None, **more: Any) -> dict[str, Any]:
        snapshot = {"key": key} if key else {}
        mapping = {"device": "/dev/xvda", "snapshot": snapshot}
        return {"ref": str(number), "name": f"golden-{number}", "mappings": [mapping]} | more

    made = aws.seed(
        keys=[
            {"ref": "golden", "alias": "alias/golden", "policy": key_policy(PROD, WRONG)},
            {"ref": "vault", "policy": key_policy()},
        ],
        images=[
            *(image(number) for number in (1, 2, 3)),
            image(4, "golden"),
            image(5, "golden"),
            image(6, launchPermissions=[WRONG]),
            image(7, "vault", launchPermissions=[PROD]),
            image(8),
        ],
    )
    return {int(one["ref"]): one["imageId"] for one in made["images"]}, [key["arn"] for key in made["keys"]]


def share(aws: Aws, images: dict[int, str]) -> None:
    """Shares by the event bus, and waits until they are there."""
    for numbers, access, reason in SHARES:
        image_ids = [images[number] for number in numbers]
        request = {"action": "share", "imageIds": image_ids, "accountIds": [WRONG], "access": access, "reason": reason}
        event = {
            "EventBusName": "ami-share",
            "Source": "com.example.portal",
            "DetailType": "AMI Share Request",
            "Detail": json.dumps(request),
        }
        answer = aws.client("events").put_events(Entries=[event])
        assert answer["FailedEntryCount"] == 0, answer
        until(partial(is_shared, aws, image_ids[-1]), f"{reason}: this is not shared")


def is_shared(aws: Aws, image: str) -> bool:
    attribute = aws.client("ec2").describe_image_attribute(ImageId=image, Attribute="launchPermission")
    return {"UserId": WRONG} in attribute["LaunchPermissions"]


def until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + SHARE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.1)


def follow(binary: str, log: str) -> None:
    with LocalAws(log=os.devnull) as aws, tempfile.TemporaryDirectory() as folder:
        images, keys = world(aws)
        aws.seed(parameters=[{"name": "/ami-share/allowlist", "value": RULES}])
        stack = deploy(
            aws,
            Path(binary),
            ALLOWLIST,
            AllowlistParameter="/ami-share/allowlist",
            AllowlistTtlSeconds="1",
            EnableKeyGrants="true",
            KeyArns=",".join(keys),
            EnableCopyAccess="true",
            AuditSchedule="",
        )
        share(aws, images)
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": folder,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(PYTHON),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ROOT": str(ROOT),
            "BINARY": str(Path(binary).absolute()),
            "AWS_ENDPOINT_URL": aws.endpoint,
            "PORT": aws.endpoint.rpartition(":")[2],
            "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true",
            "EDITOR": r"sed -i -e /sandbox$/d",
        } | first_hour.signed_in(aws)
        found = steps()
        # After the allowlist was put, a reader waits for a minute; here a copy of it is used for a second.
        separator = f"echo '{first_hour.SEPARATOR}'\nsleep 1\n"
        script = first_hour.PRELUDE + separator.join(commands for commands, _ in found)
        answer = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, timeout=900
        )
        printed = answer.stdout.split(f"{first_hour.SEPARATOR}\n")
        for (commands, expected), actual in zip(found, printed):
            if expected is not None and not first_hour.matches(expected, actual):
                raise SystemExit(f"{commands}\nprinted\n\n{actual}\nand docs/incidents.md says\n\n{expected}")
        if answer.returncode or len(printed) != len(found):
            raise SystemExit(f"this failed with {answer.returncode}:\n{found[len(printed) - 1][0]}\n{printed[-1]}")
        pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=stack["LogGroupName"])
        lines = (event["message"].rstrip("\n") for page in pages for event in page["events"])
        Path(log).write_text("".join(f"{line}\n" for line in lines))
    print(f"{len(found)} steps did what docs/incidents.md says")


if __name__ == "__main__":
    follow(*sys.argv[1:])
