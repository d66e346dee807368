"""The template deployed for the demo, its callers, and what AWS itself says of its images."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ami_share_tools.demo import stage
from ami_share_tools.demo.portal import Api, Role
from ami_share_tools.demo.promises import expect
from ami_share_tools.demo.screen import fact, launch_permissions, section, snapshot_permissions
from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import Aws
from ami_share_tools.local_aws.deploy import deploy
from ami_share_tools.repository import ALLOWLIST

EVENT_SECONDS = 30
STACK = "ami-share"
Found = TypeVar("Found")


class Deployment:
    """What the scenes are played on, and what one leaves for the next."""

    # The first expiry's schedule, the key whose policy lacks an action, and the approval that a share waits for.
    schedule: Document
    remedy: Document
    approval: str

    def __init__(self, aws: Aws, binary: Path) -> None:
        self.aws, self.ec2 = aws, aws.client("ec2")
        section(
            "Deploy",
            "template.yaml, as it is, through CloudFormation: the function, its REST API with IAM"
            " authorization, its event bus, its FIFO queue. The allowlist is demo/allowlist.yaml.",
        )
        started = time.monotonic()
        self.stack = deploy(
            aws,
            binary,
            ALLOWLIST,
            Queue="fifo",
            EnableCopyAccess="true",
            **stage.switches(aws),
            PublishPrefix="/golden/nightly/",
        )
        for name in ("ApiUrl", "BusArn", "QueueArn", "FunctionArn"):
            fact(name, self.stack[name])
        fact("took", f"{time.monotonic() - started:.1f} s")
        self.images = stage.seed(aws)
        self.api = Api(aws, self.stack["ApiUrl"])
        self.portal, self.operator, self.stranger = (
            Role(aws, name) for name in ("portal", "platform-operator", "stranger")
        )

    def shares(self, image: str) -> str:
        return f"/images/{self.images[image]}/shares"

    def entries(self, image: str) -> list[dict[str, str]]:
        """EC2's own answer, without the function in between."""
        told = self.ec2.describe_image_attribute(ImageId=self.images[image], Attribute="launchPermission")
        return told["LaunchPermissions"]

    def permissions(self, image: str) -> list[str]:
        """The same, shown, as ids and ARNs."""
        told = self.entries(image)
        launch_permissions(told)
        return [value for permission in told for value in permission.values()]

    def parameter(self, name: str) -> str | None:
        found = self.aws.client("ssm").get_parameters(Names=[name])["Parameters"]
        return found[0]["Value"] if found else None

    def key_of(self, image: str) -> str:
        """The key of an image's only snapshot."""
        [described] = self.ec2.describe_images(ImageIds=[self.images[image]])["Images"]
        [mapping] = described["BlockDeviceMappings"]
        [snapshot] = self.ec2.describe_snapshots(SnapshotIds=[mapping["Ebs"]["SnapshotId"]])["Snapshots"]
        return snapshot["KmsKeyId"]

    def everything_of(self, image: str, accounts: set[str]) -> None:
        """Launch permissions, create volume permissions and grants of an image, as AWS has them: just these accounts'."""
        expect(set(self.permissions(image)) == accounts, f"{image} should be shared with {sorted(accounts)}")
        [described] = self.ec2.describe_images(ImageIds=[self.images[image]])["Images"]
        kms, names = self.aws.client("kms"), set()
        for snapshot in (mapping["Ebs"]["SnapshotId"] for mapping in described["BlockDeviceMappings"]):
            told = self.ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
            snapshot_permissions(snapshot, told["CreateVolumePermissions"])
            users = {permission["UserId"] for permission in told["CreateVolumePermissions"]}
            expect(users == accounts, f"{sorted(accounts)} should be let create volumes from {snapshot}")
            [key] = [s["KmsKeyId"] for s in self.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]]
            grants = {grant["Name"] for grant in kms.list_grants(KeyId=key)["Grants"]}
            expect(
                grants == {f"ami-share/{self.images[image]}/{account}" for account in accounts},
                f"{key} should have grants for {sorted(accounts)}, not {sorted(grants)}",
            )
            names |= grants
        fact(
            "KMS now says",
            f"on each key, {len(names)} grants: {', '.join(sorted(names))}" if names else "no grants on its keys",
            "bold",
        )

    def until(self, is_so: Callable[[], Found], otherwise: str) -> Found:
        """What `is_so` gives as soon as it gives something; nobody says when an event has been dealt with."""
        deadline = time.monotonic() + EVENT_SECONDS
        while not (found := is_so()):
            expect(time.monotonic() < deadline, f"{otherwise} within {EVENT_SECONDS} seconds")
            time.sleep(0.1)
        return found

    def logged(self, requester: str) -> None:
        lines = self.until(
            lambda: [line for line in self.function_log() if requester in line and "completed" in line],
            "the outcome was not logged",
        )
        fact("logged", json.loads(lines[0])["message"])

    def nothing_written(self) -> None:
        written = [
            call["operation"]
            for call in self.calls_of_the_function()
            if not call["operation"].startswith(("Describe", "Generate", "Get", "List"))
        ]
        fact("writes", len(written))
        expect(not written, f"nothing should be written, not {written}")

    def function_log(self) -> list[str]:
        described = self.aws.client("cloudformation").describe_stack_resources(LogicalResourceId="Log", StackName=STACK)
        group = described["StackResources"][0]["PhysicalResourceId"]
        pages = self.aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def calls_of_the_function(self) -> list[Document]:
        return [call for call in self.aws.calls() if "aws-sdk-rust" in call["agent"]]
