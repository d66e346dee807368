"""What a run made, and how it is unmade: in the reverse order, whatever happened."""

import signal

from botocore.exceptions import BotoCoreError, ClientError

TAG = "ami-share-conformance"
GONE = ("NotFound", "NoSuchEntity", "KMSInvalidState", "Unavailable")


class Ledger:
    """A `with` block at whose end everything entered is undone; `left` is what could not be."""

    def __init__(self):
        self.entries, self.left = [], []

    def __enter__(self):
        return self

    def enter(self, what, undo):
        self.entries.append((what, undo))

    def __exit__(self, *_):
        # A second Ctrl-C must not cut the removal short.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            self.undo_to(0)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def undo_to(self, mark):
        """Undo what was entered after so many entries."""
        while len(self.entries) > mark:
            what, undo = self.entries.pop()
            problem = attempt(undo)
            if problem:
                self.left.append(f"{what}: {problem}")
            else:
                print(f"  removed {what}", flush=True)


def attempt(undo):
    """None once it is undone, or was gone already; else why not."""
    try:
        undo()
    except ClientError as error:
        if not any(part in error.response["Error"]["Code"] for part in GONE):
            return str(error)
    except BotoCoreError as error:
        return str(error)
    return None


def sweep(owner, target):
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
                f"schedule group {group['Name']}", lambda n=group["Name"]: scheduler.delete_schedule_group(Name=n)
            )
        for schedule in scheduler.list_schedules(GroupName="default", NamePrefix=f"{TAG}-")["Schedules"]:
            ledger.enter(f"schedule {schedule['Name']}", lambda n=schedule["Name"]: scheduler.delete_schedule(Name=n))
        for bus in events.list_event_buses(NamePrefix=f"{TAG}-")["EventBuses"]:
            ledger.enter(f"event bus {bus['Name']}", lambda n=bus["Name"]: events.delete_event_bus(Name=n))
        for stack in cloudformation.get_paginator("describe_stacks").paginate().build_full_result()["Stacks"]:
            if stack["StackName"].startswith(f"{TAG}-"):
                ledger.enter(
                    f"stack {stack['StackName']}", lambda n=stack["StackName"]: cloudformation.delete_stack(StackName=n)
                )
        kms = owner.client("kms")
        for key in kms.get_paginator("list_keys").paginate().build_full_result()["Keys"]:
            enter_tagged_key(ledger, kms, key["KeyId"])
        ec2 = owner.client("ec2")
        for volume in ec2.describe_volumes(Filters=tagged)["Volumes"]:
            ledger.enter(volume["VolumeId"], lambda v=volume["VolumeId"]: ec2.delete_volume(VolumeId=v))
        for snapshot in ec2.describe_snapshots(OwnerIds=["self"], Filters=tagged)["Snapshots"]:
            ledger.enter(snapshot["SnapshotId"], lambda s=snapshot["SnapshotId"]: ec2.delete_snapshot(SnapshotId=s))
        for image in ec2.describe_images(Owners=["self"], Filters=tagged)["Images"]:
            ledger.enter(image["ImageId"], lambda i=image["ImageId"]: ec2.deregister_image(ImageId=i))
        theirs = target.client("ec2")
        for reservation in theirs.describe_instances(Filters=tagged)["Reservations"]:
            for instance in reservation["Instances"]:
                ledger.enter(
                    instance["InstanceId"], lambda i=instance["InstanceId"]: theirs.terminate_instances(InstanceIds=[i])
                )
    for line in ledger.left:
        print(f"LEFT BEHIND: {line}")
    return int(bool(ledger.left))


def enter_role(ledger, iam, name):
    ledger.enter(f"role {name}", lambda: iam.delete_role(RoleName=name))
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        ledger.enter(f"policy {policy}", lambda p=policy: iam.delete_role_policy(RoleName=name, PolicyName=p))


def enter_tagged_key(ledger, kms, key):
    try:
        tags = kms.list_resource_tags(KeyId=key)["Tags"]
        state = kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    except ClientError:
        return  # a key that can't be read is none of a run's
    if TAG in [tag["TagKey"] for tag in tags] and state != "PendingDeletion":
        ledger.enter(f"key {key}", lambda: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7))
