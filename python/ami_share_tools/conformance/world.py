"""The two accounts, and what checks make in them; everything made is entered into the ledger at once."""

import argparse
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import ClientError, WaiterError

from ami_share_tools.conformance.ledger import TAG, Ledger
from ami_share_tools.document import Document

# What a launch needs of a key, by the documentation (docs/key-access.md), and one call to try a policy with.
LAUNCH = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncryptFrom"]
BOTH = [*LAUNCH, "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptTo"]
GRANT = ["CreateGrant", "Decrypt", "DescribeKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"]
POLICY_SECONDS = 15  # a changed key policy or role is felt within seconds
LAUNCH_SECONDS = 240
COPY_SECONDS = 1200  # of an empty image, in the same Region
SESSION = "check"


class World:
    ledger: Ledger  # of what all checks use,
    passing: Ledger  # and of what is one check's alone

    def __init__(
        self, owner: boto3.Session, target: boto3.Session, identities: list[Document], options: argparse.Namespace
    ) -> None:
        self.owner, self.target = (identity["Account"] for identity in identities)
        self.partition = identities[0]["Arn"].split(":")[1]
        self.ec2, self.kms, self.iam, self.sts, self.events, self.cloudformation, self.scheduler = (
            owner.client(name) for name in ("ec2", "kms", "iam", "sts", "events", "cloudformation", "scheduler")
        )
        self.their_ec2, self.their_kms = target.client("ec2"), target.client("kms")
        self.options = options
        self.made: dict[str, str] = {}
        self.run = uuid.uuid4().hex[:8]

    def once(self, name: str, make: Callable[[], str]) -> str:
        """What `make` gives, made when it is first needed."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def tags(self, kind: str) -> list[Document]:
        return [
            {
                "ResourceType": kind,
                "Tags": [{"Key": TAG, "Value": self.run}, {"Key": "Name", "Value": f"{TAG}-{self.run}"}],
            }
        ]

    def key(self) -> str:
        """ARN of a key of the owner."""

        def make() -> str:
            key = self.kms.create_key(Description=f"{TAG} {self.run}", Tags=[{"TagKey": TAG, "TagValue": self.run}])[
                "KeyMetadata"
            ]
            self.ledger.enter(
                f"key {key['Arn']} (pending deletion for 7 days)",
                lambda: self.kms.schedule_key_deletion(KeyId=key["Arn"], PendingWindowInDays=7),
            )
            return key["Arn"]

        return self.once("key", make)

    def let_in(self, *statements: Document) -> None:
        """The key's policy: its owner, and these statements for the target's root or somebody else."""
        root = f"arn:{self.partition}:iam::{{}}:root"
        owner = {
            "Sid": "Owner",
            "Effect": "Allow",
            "Principal": {"AWS": root.format(self.owner)},
            "Action": "kms:*",
            "Resource": "*",
        }
        theirs = whole(root.format(self.target), *statements)
        policy = {"Version": "2012-10-17", "Statement": [owner, *theirs]}
        self.kms.put_key_policy(KeyId=self.key(), PolicyName="default", Policy=json.dumps(policy))
        self.wait(POLICY_SECONDS)

    def wait(self, seconds: float) -> None:
        time.sleep(min(seconds, self.options.grant_seconds))

    def patiently(self, call: Callable[..., Any], **arguments: Any) -> Any:
        """A new role is not known everywhere at once."""
        for _ in range(5):
            try:
                return call(**arguments)
            except ClientError:
                self.wait(POLICY_SECONDS)
        return call(**arguments)

    def snapshot(self, key: str | None = None) -> str:
        """An empty snapshot of 1 GiB, not encrypted or under a key."""

        def make() -> str:
            zone = self.ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
            encryption = {"Encrypted": True, "KmsKeyId": key} if key else {}
            volume = self.ec2.create_volume(
                AvailabilityZone=zone, Size=1, VolumeType="gp3", **encryption, TagSpecifications=self.tags("volume")
            )["VolumeId"]
            self.ledger.enter(volume, lambda: self.ec2.delete_volume(VolumeId=volume))
            self.ec2.get_waiter("volume_available").wait(VolumeIds=[volume])
            snapshot = self.ec2.create_snapshot(VolumeId=volume, TagSpecifications=self.tags("snapshot"))["SnapshotId"]
            self.ledger.enter(snapshot, lambda: self.ec2.delete_snapshot(SnapshotId=snapshot))
            self.ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot])
            return snapshot

        return self.once(f"snapshot {key}", make)

    def image(self, key: str | None = None) -> str:
        """An image on such a snapshot, shared with nobody. It boots into nothing, which is running enough."""
        snapshot = self.snapshot(key)

        def make() -> str:
            image = self.ec2.register_image(
                Name=f"{TAG}-{self.run}-{len(self.made)}",
                Architecture="x86_64",
                VirtualizationType="hvm",
                EnaSupport=True,
                RootDeviceName="/dev/xvda",
                BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot}}],
                TagSpecifications=self.tags("image"),
            )["ImageId"]
            self.ledger.enter(image, lambda: self.ec2.deregister_image(ImageId=image))
            self.ec2.get_waiter("image_available").wait(ImageIds=[image])
            return image

        image = self.once(f"image {key}", make)
        self.ec2.reset_image_attribute(ImageId=image, Attribute="launchPermission")
        return image

    def copy(self, image: str, ec2: Any = None, **given: Any) -> str:
        """A copy that was only just begun, or that an earlier call with the same client token began."""
        request = {
            "SourceImageId": image,
            "SourceRegion": self.options.region,
            "Name": f"{TAG}-{self.run}-copy-{len(self.passing.entries)}",
            "TagSpecifications": self.tags("image") + self.tags("snapshot"),
        }
        copy: str = (ec2 or self.ec2).copy_image(**request | given)["ImageId"]

        def remove() -> None:
            if self.ended(copy) != "deregistered":
                self.deregister(copy)

        self.passing.enter(f"{copy} and its snapshot", remove)
        return copy

    def ended(self, copy: str) -> str:
        """The state in which a copy ends up; `deregistered` where there is no such image any more."""
        end, state = time.monotonic() + COPY_SECONDS, "pending"
        by_id = [{"Name": "image-id", "Values": [copy]}]
        while state == "pending" and time.monotonic() < end:
            found = self.ec2.describe_images(Filters=by_id)["Images"]
            state = found[0]["State"] if found else "deregistered"
            if state == "pending":
                time.sleep(2)
        return state

    def deregister(self, copy: str) -> None:
        [described] = self.ec2.describe_images(ImageIds=[copy])["Images"]
        self.ec2.deregister_image(ImageId=copy)
        for mapping in described.get("BlockDeviceMappings", []):
            if "SnapshotId" in mapping.get("Ebs", {}):
                self.ec2.delete_snapshot(SnapshotId=mapping["Ebs"]["SnapshotId"])

    def share(self, image: str, **change: Any) -> None:
        self.ec2.modify_image_attribute(ImageId=image, LaunchPermission=change or {"Add": [{"UserId": self.target}]})

    def shared_with(self, image: str) -> list[str]:
        told = self.ec2.describe_image_attribute(ImageId=image, Attribute="launchPermission")["LaunchPermissions"]
        return sorted(value for permission in told for value in permission.values())

    def grant(self, grantee: str, operations: list[str] = GRANT, **given: Any) -> None:
        grant = self.kms.create_grant(
            KeyId=self.key(), GranteePrincipal=grantee, Operations=operations, Name=f"{TAG}-{self.run}", **given
        )["GrantId"]
        self.passing.enter(f"grant {grant[:16]}", lambda: self.kms.revoke_grant(KeyId=self.key(), GrantId=grant))
        self.wait(self.options.grant_seconds)

    def launch(self, image: str) -> str:
        """What becomes of an instance that the target starts of the image: its state, or why there is none."""
        subnet = {"SubnetId": self.options.subnet_id} if self.options.subnet_id else {}
        try:
            [instance] = self.their_ec2.run_instances(
                ImageId=image,
                InstanceType=self.options.instance_type,
                MinCount=1,
                MaxCount=1,
                **subnet,
                TagSpecifications=self.tags("instance"),
            )["Instances"]
        except ClientError as error:
            return error.response["Error"]["Code"]
        number = instance["InstanceId"]

        def remove() -> None:
            self.their_ec2.terminate_instances(InstanceIds=[number])
            self.their_ec2.get_waiter("instance_terminated").wait(InstanceIds=[number])

        self.passing.enter(number, remove)
        end = time.monotonic() + LAUNCH_SECONDS
        while time.monotonic() < end:
            [told] = self.their_ec2.describe_instances(InstanceIds=[number])["Reservations"][0]["Instances"]
            state = told["State"]["Name"]
            if state == "running":
                return state
            if state in ("terminated", "shutting-down"):
                reason = told.get("StateReason", {}).get("Code", "no reason")
                return f"terminated: {reason}"
            time.sleep(2)
        return "still pending"

    def bus(self) -> str:
        """The ARN of an event bus of the owner that no rule listens to."""
        name = f"{TAG}-{self.run}"
        arn = self.events.create_event_bus(Name=name, Tags=[{"Key": TAG, "Value": self.run}])["EventBusArn"]
        self.passing.enter(f"event bus {name}", lambda: self.events.delete_event_bus(Name=name))
        return arn

    def stack(self, resource: Document) -> str:
        """What CloudFormation calls a resource of its own stack."""
        name = f"{TAG}-{self.run}"
        self.cloudformation.create_stack(
            StackName=name,
            TemplateBody=json.dumps({"Resources": {"Resource": resource}}),
            Tags=[{"Key": TAG, "Value": self.run}],
        )

        def remove() -> None:
            self.cloudformation.delete_stack(StackName=name)
            self.cloudformation.get_waiter("stack_delete_complete").wait(StackName=name)

        self.passing.enter(f"stack {name}", remove)
        self.cloudformation.get_waiter("stack_create_complete").wait(StackName=name)
        found = self.cloudformation.describe_stack_resource(StackName=name, LogicalResourceId="Resource")
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def schedule_group(self) -> str:
        """The name of a schedule group of the owner."""
        name = f"{TAG}-{self.run}"
        self.scheduler.create_schedule_group(Name=name, Tags=[{"Key": TAG, "Value": self.run}])
        self.passing.enter(f"schedule group {name}", lambda: self.scheduler.delete_schedule_group(Name=name))
        return name

    def schedule(self, group: str, bus: str, role: str) -> None:
        """A schedule in a group, which puts an event on the bus with a role in ten years."""
        name = f"{TAG}-{self.run}"
        self.scheduler.create_schedule(
            Name=name,
            GroupName=group,
            ScheduleExpression=f"at({time.gmtime().tm_year + 10}-01-01T00:00:00)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": bus,
                "RoleArn": role,
                "Input": "{}",
                "EventBridgeParameters": {"DetailType": "check", "Source": "com.example"},
            },
        )
        self.passing.enter(
            f"schedule {group}/{name}", lambda: self.scheduler.delete_schedule(Name=name, GroupName=group)
        )

    def role(self, *statements: Document, service: str = "ec2") -> Any:
        """A client of a service, of a role of the owner with these statements."""
        return self.client_of(self.own_role(*statements), service)

    def own_role(self, *statements: Document) -> str:
        """The ARN of a role of the owner with these statements, which the owner may assume."""
        return self.role_arn({"AWS": f"arn:{self.partition}:iam::{self.owner}:root"}, {}, *statements)

    def client_of(self, role: str, service: str) -> Any:
        session = self.patiently(self.sts.assume_role, RoleArn=role, RoleSessionName=SESSION)["Credentials"]
        return boto3.client(
            service,
            region_name=self.options.region,
            endpoint_url=self.ec2.meta.endpoint_url,
            aws_access_key_id=session["AccessKeyId"],
            aws_secret_access_key=session["SecretAccessKey"],
            aws_session_token=session["SessionToken"],
        )

    def role_arn(self, principal: Document, condition: Document, *statements: Document) -> str:
        """A role of the owner with these statements, which the principal may assume on the condition."""
        name = f"{TAG}-{self.run}-{len(self.passing.entries)}"
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal, "Condition": condition}
            ],
        }
        arn = self.iam.create_role(
            RoleName=name,
            Path=f"/{TAG}/",
            AssumeRolePolicyDocument=json.dumps(trust),
            Tags=[{"Key": TAG, "Value": self.run}],
        )["Role"]["Arn"]
        self.passing.enter(f"role {name}", lambda: self.iam.delete_role(RoleName=name))
        self.iam.put_role_policy(
            RoleName=name,
            PolicyName="check",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}),
        )
        self.passing.enter(f"policy of {name}", lambda: self.iam.delete_role_policy(RoleName=name, PolicyName="check"))
        self.wait(POLICY_SECONDS)
        return arn


def whole(principal: str, *statements: Document) -> list[Document]:
    """The statements with what they don't say: they allow, this principal, and on every resource."""
    default = {"Effect": "Allow", "Principal": {"AWS": principal}, "Resource": "*"}
    return [
        {name: it for name, it in default.items() if f"Not{name}" not in statement} | statement
        for statement in statements
    ]


def answer(call: Callable[..., Any], **arguments: Any) -> str:
    """`accepted`, or the code of AWS's error."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    except WaiterError as error:
        return f"never came about: {error}"
    return "accepted"
