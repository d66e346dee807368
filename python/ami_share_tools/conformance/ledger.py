"""What a run made, and how it is unmade: in the reverse order, whatever happened."""

import signal
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import boto3
from botocore.exceptions import BotoCoreError, ClientError

Undo = Callable[[], Any]
TAG = "ami-share-conformance"
GONE = ("NotFound", "NoSuchEntity", "KMSInvalidState", "Unavailable")


class Ledger:
    """A `with` block at whose end everything entered is undone; `left` is what could not be."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Undo]] = []
        self.left: list[str] = []

    def __enter__(self) -> Self:
        return self

    def enter(self, what: str, undo: Undo) -> None:
        self.entries.append((what, undo))

    def __exit__(self, *_: object) -> None:
        # A second Ctrl-C must not cut the removal short.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.undo_to(0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def undo_to(self, mark: int) -> None:
        """Undo what was entered after so many entries."""
        while len(self.entries) > mark:
            what, undo = self.entries.pop()
            problem = attempt(undo)
            if problem:
                self.left.append(f"{what}: {problem}")
            else:
                print(f"  removed {what}", flush=True)


def attempt(undo: Undo) -> str | None:
    """None once it is undone, or was gone already; else why not."""
    try:
        undo()
    except ClientError as error:
        if not any(part in error.response["Error"]["Code"] for part in GONE):
            return str(error)
    except BotoCoreError as error:
        return str(error)
    return None


def sweep(owner: boto3.Session, target: boto3.Session) -> int:
    """Remove what an earlier run left: everything with its tag. Answers the exit code."""
    tagged = [{"Name": "tag-key", "Values": [TAG]}]
    with Ledger() as ledger:
        iam = owner.client("iam")
        for role in iam.get_paginator("list_roles").paginate(PathPrefix=f"/{TAG}/").build_full_result()["Roles"]:
            enter_role(ledger, iam, role["RoleName"])
        events, cloudformation, scheduler = (
            owner.client("events"),
            owner.client("cloudformation"),
            owner.client("scheduler"),
        )
        for group in scheduler.list_schedule_groups(NamePrefix=f"{TAG}-")["ScheduleGroups"]:
            ledger.enter(
                f"schedule group {group['Name']}", partial(scheduler.delete_schedule_group, Name=group["Name"])
            )
        for schedule in scheduler.list_schedules(GroupName="default", NamePrefix=f"{TAG}-")["Schedules"]:
            ledger.enter(f"schedule {schedule['Name']}", partial(scheduler.delete_schedule, Name=schedule["Name"]))
        for bus in events.list_event_buses(NamePrefix=f"{TAG}-")["EventBuses"]:
            ledger.enter(f"event bus {bus['Name']}", partial(events.delete_event_bus, Name=bus["Name"]))
        for stack in cloudformation.get_paginator("describe_stacks").paginate().build_full_result()["Stacks"]:
            if stack["StackName"].startswith(f"{TAG}-"):
                ledger.enter(
                    f"stack {stack['StackName']}", partial(cloudformation.delete_stack, StackName=stack["StackName"])
                )
        kms = owner.client("kms")
        for key in kms.get_paginator("list_keys").paginate().build_full_result()["Keys"]:
            enter_tagged_key(ledger, kms, key["KeyId"])
        ec2 = owner.client("ec2")
        for volume in ec2.describe_volumes(Filters=tagged)["Volumes"]:
            ledger.enter(volume["VolumeId"], partial(ec2.delete_volume, VolumeId=volume["VolumeId"]))
        for snapshot in ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]:
            ledger.enter(snapshot["SnapshotId"], partial(ec2.delete_snapshot, SnapshotId=snapshot["SnapshotId"]))
        for image in ec2.describe_images(Owners=["self"], Filters=tagged)["Images"]:
            ledger.enter(image["ImageId"], partial(ec2.deregister_image, ImageId=image["ImageId"]))
        theirs = target.client("ec2")
        for reservation in theirs.describe_instances(Filters=tagged)["Reservations"]:
            for instance in reservation["Instances"]:
                ledger.enter(
                    instance["InstanceId"], partial(theirs.terminate_instances, InstanceIds=[instance["InstanceId"]])
                )
    for line in ledger.left:
        print(f"LEFT BEHIND: {line}")
    return int(bool(ledger.left))


def enter_role(ledger: Ledger, iam: Any, name: str) -> None:
    ledger.enter(f"role {name}", partial(iam.delete_role, RoleName=name))
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        ledger.enter(f"policy {policy}", partial(iam.delete_role_policy, RoleName=name, PolicyName=policy))


def enter_tagged_key(ledger: Ledger, kms: Any, key: str) -> None:
    try:
        tags = kms.list_resource_tags(KeyId=key)["Tags"]
        state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    except ClientError:
        return  # a key that can't be read is none of a run's
    if TAG in [tag["TagKey"] for tag in tags] and state != "PendingDeletion":
        ledger.enter(f"key {key}", lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7))
