"""Follow docs/incidents.md against the local AWS, command by command: `python incidents.py BINARY LOG`. The stack's function is
the binary; what it logged is written to LOG, so that the page's queries can be tried on it.

What isn't here stands in as for the first hour: see first_hour.py. The editor takes the wrong account out of the allowlist.
What each block prints must be what the page says; `…` stands for anything.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import first_hour
from local_aws.client import LocalAws
from local_aws.deploy import deploy

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/incidents.md"
WRONG, PROD = "444455556666", "111122223333"
ALLOWLIST = f"""version: 1
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


def steps():
    """The commands of the page, each block with what it prints, or nothing where the page doesn't say."""
    found = []
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        if kind == "sh":
            found.append([text, None])
        elif kind == "text":
            found[-1][1] = text
    return found


def policy(*accounts):
    def statement(account):
        return {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement("999988887777"), *map(statement, accounts)]}


def world(aws):
    """Eight images: three open, two on a key that lets the wrong account in, one shared by console, two not shared with it."""
    def image(number, key=None, **more):
        return {"ref": str(number), "name": f"golden-{number}", "mappings": [{"device": "/dev/xvda", "snapshot": {"key": key} if key else {}}]} | more

    made = aws.seed(keys=[{"ref": "golden", "alias": "alias/golden", "policy": policy(PROD, WRONG)}, {"ref": "vault", "policy": policy()}],
                    images=[*(image(number) for number in (1, 2, 3)), image(4, "golden"), image(5, "golden"),
                            image(6, launchPermissions=[WRONG]), image(7, "vault", launchPermissions=[PROD]), image(8)])
    return {int(one["ref"]): one["imageId"] for one in made["images"]}, [key["arn"] for key in made["keys"]]


def share(aws, images):
    """Shares by the event bus, and waits until they are there."""
    events = aws.client("events")
    for number, (of, access, reason) in enumerate(SHARES):
        request = {"action": "share", "imageIds": [images[one] for one in of], "accountIds": [WRONG], "access": access, "reason": reason}
        answer = events.put_events(Entries=[{"EventBusName": "ami-share", "Source": "com.example.portal",
                                             "DetailType": "AMI Share Request", "Detail": json.dumps(request)}])
        assert answer["FailedEntryCount"] == 0, answer
        until(lambda: shared_with(aws, images[of[-1]]), f"share {number} is not there")


def shared_with(aws, image):
    permissions = aws.client("ec2").describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
    return {"UserId": WRONG} in permissions


def until(is_so, otherwise, seconds=60):
    import time
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.1)


def follow(binary, log):
    with LocalAws(log=os.devnull) as aws, tempfile.TemporaryDirectory() as folder:
        images, keys = world(aws)
        aws.seed(parameters=[{"name": "/ami-share/allowlist", "value": ALLOWLIST}])
        stack = deploy(aws, Path(binary), ROOT / "demo/allowlist.yaml", AllowlistParameter="/ami-share/allowlist", AllowlistTtlSeconds="1",
                       EnableKeyGrants="true", KeyArns=",".join(keys), EnableCopyAccess="true", AuditSchedule="")
        share(aws, images)
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "HOME": folder,
            "PYTHON": sys.executable, "ROOT": str(ROOT), "BINARY": binary, "SELF": "", "AWS_ENDPOINT_URL": aws.endpoint,
            "PORT": aws.endpoint.rpartition(":")[2], "AWS_PAGER": "", "AWS_EC2_METADATA_DISABLED": "true",
            "EDITOR": r"sed -i -e /sandbox$/d"} | first_hour.session(aws)
        found = steps()
        # After the allowlist was put, a reader waits for a minute; here a copy of it is used for a second.
        script = first_hour.PRELUDE + f"echo '{first_hour.SEPARATOR}'\nsleep 1\n".join(commands for commands, _ in found)
        answer = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE)
        printed = answer.stdout.split(f"{first_hour.SEPARATOR}\n")
        for (commands, expected), actual in zip(found, printed):
            if expected is not None and not first_hour.matches(expected, actual):
                raise SystemExit(f"{commands}\nprinted\n\n{actual}\nand docs/incidents.md says\n\n{expected}")
        if answer.returncode or len(printed) != len(found):
            raise SystemExit(f"this failed with {answer.returncode}:\n{found[len(printed) - 1][0]}\n{printed[-1]}")
        pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=stack["LogGroupName"])
        Path(log).write_text("".join(event["message"].rstrip("\n") + "\n" for page in pages for event in page["events"]))
    print(f"{len(found)} steps did what docs/incidents.md says")


if __name__ == "__main__":
    follow(*sys.argv[1:])
