"""The role that the template gives the function, enforced by the local AWS: what it may do and what not."""

import os
import unittest
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from ami_share_tools.local_aws.client import LocalAws
from ami_share_tools.local_aws.identities import session_like
from ami_share_tools.local_aws.role import without_binary

TARGET, OTHER = "111122223333", "222233334444"
EVERY_KEY = "arn:aws:kms:eu-west-1:999988887777:key/*"


aws: LocalAws
stack: dict[str, str]


def setUpModule() -> None:
    global aws, stack
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    stack = deployed("ami-share")


def deployed(name: str, **parameters: str) -> dict[str, str]:
    return without_binary(aws, name, **parameters)


class Denied(unittest.TestCase):
    """For tests of what a role may not do."""

    def denied(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        self.assertIn(
            caught.exception.response["Error"]["Code"],
            ("UnauthorizedOperation", "AccessDeniedException", "AccessDenied"),
        )


class Role(Denied):
    """Every statement of the function's role, with every switch on."""

    stack: dict[str, str]
    credentials: dict[str, str]
    ec2: Any
    kms: Any
    image: str
    foreign: str
    snapshot: str
    key: str

    @classmethod
    def setUpClass(cls) -> None:
        cls.stack = deployed(
            "role", EnableKeyGrants="true", KeyArns=EVERY_KEY, EnableCopyAccess="true", OutcomeBusName="outcomes"
        )
        cls.credentials = made = session_like(aws, cls.stack["FunctionRoleArn"])
        cls.ec2, cls.kms = aws.client("ec2", **made), aws.client("kms", **made)
        seeded = aws.seed(
            keys=[{"ref": "k"}],
            snapshots=[{"ref": "s", "key": "k"}],
            images=[
                {"mappings": [{"device": "/dev/xvda", "snapshot": "s"}]},
                {"account": TARGET, "launchPermissions": [aws.account]},
            ],
        )
        [cls.image, cls.foreign] = [image["imageId"] for image in seeded["images"]]
        cls.snapshot, cls.key = seeded["snapshots"][0]["snapshotId"], seeded["keys"][0]["arn"]

    def test_it_may_do_what_sharing_takes(self) -> None:
        add = {"Add": [{"UserId": TARGET}]}
        self.assertEqual(len(self.ec2.describe_images(ImageIds=[self.image])["Images"]), 1)
        self.assertEqual(len(self.ec2.describe_snapshots(SnapshotIds=[self.snapshot])["Snapshots"]), 1)
        self.ec2.modify_image_attribute(ImageId=self.image, LaunchPermission=add)
        told = self.ec2.describe_image_attribute(ImageId=self.image, Attribute="launchPermission")
        self.assertEqual(told["LaunchPermissions"], [{"UserId": TARGET}])
        self.ec2.reset_image_attribute(ImageId=self.image, Attribute="launchPermission")
        self.assertEqual(self.kms.describe_key(KeyId=self.key)["KeyMetadata"]["Arn"], self.key)
        self.kms.get_key_policy(KeyId=self.key)
        for change in ("add", "remove"):
            self.ec2.modify_snapshot_attribute(
                SnapshotId=self.snapshot, Attribute="createVolumePermission", OperationType=change, UserIds=[TARGET]
            )
        told = self.ec2.describe_snapshot_attribute(SnapshotId=self.snapshot, Attribute="createVolumePermission")
        self.assertEqual(told["CreateVolumePermissions"], [])
        self.ec2.get_image_block_public_access_state()
        service_role = f"arn:aws:iam::{TARGET}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        for grantee in (f"arn:aws:iam::{TARGET}:root", service_role):
            grant = self.kms.create_grant(
                KeyId=self.key, GranteePrincipal=grantee, Operations=["Decrypt", "CreateGrant"]
            )
            self.kms.revoke_grant(KeyId=self.key, GrantId=grant["GrantId"])
        self.assertEqual(self.kms.list_grants(KeyId=self.key)["Grants"], [])

    def test_it_may_record_expiries_in_its_own_group_only_and_change_none(self) -> None:
        scheduler = aws.client("scheduler", **self.credentials)
        groups = aws.client("scheduler").list_schedule_groups()["ScheduleGroups"]
        [group] = [g["Name"] for g in groups if g["Name"] == "role-expiries"]
        record = {
            "Name": "record",
            "ScheduleExpression": "at(2099-01-01T00:00:00)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": stack["BusArn"],
                "RoleArn": f"arn:aws:iam::{aws.account}:role/any",
                "Input": "{}",
                "EventBridgeParameters": {"Source": "ami-share.ends", "DetailType": "AMI Share Record Due"},
            },
        }
        scheduler.create_schedule(GroupName=group, **record)
        self.denied(scheduler.update_schedule, GroupName=group, **record)
        self.assertEqual(len(scheduler.list_schedules(GroupName=group)["Schedules"]), 1)
        scheduler.delete_schedule(GroupName=group, Name="record")
        self.denied(scheduler.create_schedule, GroupName="default", **record)

    def test_it_may_not_change_anything_else_of_an_image(self) -> None:
        image = {"ImageId": self.image}
        self.denied(self.ec2.modify_image_attribute, Description={"Value": "x"}, **image)
        self.denied(self.ec2.modify_image_attribute, ImdsSupport={"Value": "v2.0"}, **image)
        self.denied(self.ec2.disable_image, **image)
        self.denied(self.ec2.deregister_image, **image)
        self.denied(self.ec2.create_tags, Resources=[self.image], Tags=[{"Key": "Tier", "Value": "gold"}])

    def test_it_may_not_touch_other_accounts_images(self) -> None:
        self.denied(
            self.ec2.modify_image_attribute, ImageId=self.foreign, LaunchPermission={"Add": [{"UserId": TARGET}]}
        )
        self.denied(self.ec2.describe_image_attribute, ImageId=self.foreign, Attribute="launchPermission")

    def test_it_may_not_open_keys_snapshots_or_the_account(self) -> None:
        grantee = f"arn:aws:iam::{TARGET}:root"
        self.denied(
            self.kms.create_grant, KeyId=self.key, GranteePrincipal=grantee, Operations=["Decrypt", "RetireGrant"]
        )
        for other in (f"arn:aws:iam::{TARGET}:role/app", f"arn:aws:iam::{TARGET}:user/ada"):
            self.denied(self.kms.create_grant, KeyId=self.key, GranteePrincipal=other, Operations=["Decrypt"])
        self.denied(self.kms.put_key_policy, KeyId=self.key, Policy="{}")
        self.denied(
            self.ec2.modify_snapshot_attribute,
            SnapshotId=self.snapshot,
            CreateVolumePermission={"Add": [{"Group": "all"}]},
        )
        self.denied(
            self.ec2.modify_snapshot_attribute,
            SnapshotId=self.snapshot,
            Attribute="createVolumePermission",
            OperationType="add",
            GroupNames=["all"],
        )
        self.denied(self.ec2.disable_image_block_public_access)

    def test_it_puts_events_under_its_own_sources_only(self) -> None:
        aws.client("events").create_event_bus(Name="outcomes")
        events = aws.client("events", **self.credentials)

        def put(bus: str, *entries: tuple[str, str]) -> None:
            events.put_events(
                Entries=[
                    {"EventBusName": bus, "Source": source, "DetailType": kind, "Detail": "{}"}
                    for source, kind in entries
                ]
            )

        own, rest = ("ami-share", "AMI Share Request Completed"), ("ami-share.audit", "AMI Share Request")
        put("outcomes", own)
        put(self.stack["BusName"], rest)
        # Both keys have several values: one entry of another source and the whole call is refused.
        for bus, *entries in (
            ("outcomes", rest),
            ("outcomes", own, ("com.example", "x")),
            (self.stack["BusName"], own),
            (self.stack["BusName"], rest, own),
            (self.stack["BusName"], ("ami-share.audit", "x")),
        ):
            with self.subTest(bus=bus, entries=entries):
                self.denied(put, bus, *entries)


class Switches(Denied):
    """What EnableKeyGrants and EnableCopyAccess let the role do, on and off, and for which keys and accounts."""

    def setUp(self) -> None:
        made = aws.seed(keys=[{"ref": "k"}, {"ref": "l"}], snapshots=[{"ref": "s", "key": "k"}])
        self.key, self.other_key = (key["arn"] for key in made["keys"])
        self.snapshot = made["snapshots"][0]["snapshotId"]

    def role(self, name: str, **parameters: str) -> tuple[dict[str, str], Any, Any]:
        outputs = deployed(name, **parameters)
        made = session_like(aws, outputs["FunctionRoleArn"])
        return outputs, aws.client("ec2", **made), aws.client("kms", **made)

    def grant(self, kms: Any, account: str, key: str | None = None, grantee: str = "root") -> str:
        return kms.create_grant(
            KeyId=key or self.key, GranteePrincipal=f"arn:aws:iam::{account}:{grantee}", Operations=["Decrypt"]
        )["GrantId"]

    def modify(self, ec2: Any, change: str, account: str) -> None:
        ec2.modify_snapshot_attribute(
            SnapshotId=self.snapshot, Attribute="createVolumePermission", OperationType=change, UserIds=[account]
        )

    def environment(self, outputs: dict[str, str]) -> tuple[str, str]:
        client = aws.client("lambda")
        variables = client.get_function_configuration(FunctionName=outputs["FunctionArn"])["Environment"]["Variables"]
        return variables["AMI_SHARE_KEY_GRANTS"], variables["AMI_SHARE_COPY_ACCESS"]

    def test_off_nothing_is_given_and_everything_taken(self) -> None:
        outputs, ec2, kms = self.role("switched-off")
        self.assertEqual(self.environment(outputs), ("off", "off"))
        self.denied(self.grant, kms=kms, account=TARGET)
        self.denied(self.modify, ec2=ec2, change="add", account=TARGET)
        grant = self.grant(aws.client("kms"), TARGET)
        self.modify(aws.client("ec2"), "add", TARGET)
        kms.revoke_grant(KeyId=self.key, GrantId=grant)
        self.modify(ec2, "remove", TARGET)
        told = aws.client("ec2").describe_snapshot_attribute(
            SnapshotId=self.snapshot, Attribute="createVolumePermission"
        )
        self.assertEqual(told["CreateVolumePermissions"], [])

    def test_one_does_not_bring_the_other(self) -> None:
        outputs, ec2, kms = self.role("copy-only", EnableCopyAccess="true")
        self.assertEqual(self.environment(outputs), ("off", "on"))
        self.modify(ec2, "add", TARGET)
        self.denied(self.grant, kms=kms, account=TARGET)
        outputs, ec2, kms = self.role("grants-only", EnableKeyGrants="true", KeyArns=EVERY_KEY)
        self.assertEqual(self.environment(outputs), ("on", "off"))
        self.grant(kms, TARGET)
        self.denied(self.modify, ec2=ec2, change="add", account=TARGET)

    def test_grants_are_made_on_the_keys_that_are_named(self) -> None:
        _, _, kms = self.role("named-keys", EnableKeyGrants="true", KeyArns=f"{self.key},{self.key}0")
        self.grant(kms, TARGET)
        self.denied(self.grant, kms=kms, account=TARGET, key=self.other_key)

    def test_grants_are_made_on_keys_with_the_tag(self) -> None:
        _, _, kms = self.role("tagged-keys", EnableKeyGrants="true", KeyTagValue="golden")
        self.denied(self.grant, kms=kms, account=TARGET)
        for key, value in ((self.key, "golden"), (self.other_key, "silver")):
            aws.client("kms").tag_resource(KeyId=key, Tags=[{"TagKey": "ami-share", "TagValue": value}])
        self.grant(kms, TARGET)
        self.denied(self.grant, kms=kms, account=TARGET, key=self.other_key)

    def test_only_the_accounts_of_the_list_are_given_anything(self) -> None:
        _, ec2, kms = self.role(
            "few-targets",
            EnableKeyGrants="true",
            KeyArns=EVERY_KEY,
            EnableCopyAccess="true",
            TargetAccounts=f"{TARGET},{OTHER}",
        )
        role = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        for account in (TARGET, OTHER):
            for grantee in ("root", role):
                self.grant(kms, account, grantee=grantee)
            self.denied(self.grant, kms=kms, account=account, grantee="role/app")
            self.modify(ec2, "add", account)
        for grantee in ("root", role):
            self.denied(self.grant, kms=kms, account="333344445555", grantee=grantee)
        self.denied(self.modify, ec2=ec2, change="add", account="333344445555")
        self.denied(
            ec2.modify_snapshot_attribute,
            SnapshotId=self.snapshot,
            Attribute="createVolumePermission",
            OperationType="add",
            UserIds=[TARGET, "333344445555"],
        )
        # Whoever has something from before loses it all the same.
        self.modify(aws.client("ec2"), "add", "333344445555")
        self.modify(ec2, "remove", "333344445555")


class Copies(Denied):
    """What EnableCopies lets the role do: copies of owned images of the named Regions, under the named keys, by EC2 only."""

    SOURCE, ELSEWHERE = "eu-central-1", "us-east-1"

    credentials: dict[str, str]
    ec2: Any
    kms: Any
    record_key: str
    key: str
    source_key: str
    other_key: str

    @classmethod
    def setUpClass(cls) -> None:
        keys = aws.seed(keys=[{}, {"region": cls.SOURCE}, {}])["keys"]
        cls.key, cls.source_key, cls.other_key = (key["arn"] for key in keys)
        outputs = deployed(
            "copies",
            EnableCopies="true",
            CopySourceRegions=f"{cls.SOURCE},{aws.region}",
            CopyKeyArns=f"{cls.key},{cls.source_key}",
        )
        cls.credentials = made = session_like(aws, outputs["FunctionRoleArn"])
        cls.ec2, cls.kms = aws.client("ec2", **made), aws.client("kms", **made)
        variables = aws.client("lambda").get_function_configuration(FunctionName=outputs["FunctionArn"])
        cls.record_key = variables["Environment"]["Variables"]["AMI_SHARE_RECORD_KEY"]

    def image(self, region: str, key: str | None = None, account: str | None = None) -> str:
        snapshot = {"key": key} if key else {"createVolumePermissions": [aws.account]}
        given = {"region": region, "tags": {"Tier": "gold"}, "launchPermissions": [aws.account]} | (
            {"account": account} if account else {}
        )
        mappings = [{"device": "/dev/xvda", "snapshot": snapshot}]
        return aws.seed(images=[given | {"mappings": mappings}])["images"][0]["imageId"]

    def copy(self, image: str, region: str, key: str | None = None) -> str:
        return self.ec2.copy_image(
            SourceImageId=image,
            SourceRegion=region,
            Name=f"copy of {image} {region}"[:128],
            Encrypted=True,
            KmsKeyId=key or self.key,
            CopyImageTags=True,
        )["ImageId"]

    def ended(self, image: str) -> str:
        [ended] = aws.control("POST", "/_local/copies", {"ids": [image]})
        return ended["state"]

    def test_it_copies_owned_images_of_the_named_regions_under_the_named_keys(self) -> None:
        for region, key in ((self.SOURCE, self.source_key), (self.SOURCE, None), (aws.region, self.key)):
            copy = self.copy(self.image(region, key), region)
            self.assertEqual(self.ended(copy), "available", (region, key))
            [found] = aws.client("ec2").describe_images(ImageIds=[copy])["Images"]
            self.assertEqual(found["Tags"], [{"Key": "Tier", "Value": "gold"}])

    def test_it_copies_nothing_else(self) -> None:
        self.denied(self.copy, self.image(self.ELSEWHERE), self.ELSEWHERE)
        for region in (self.SOURCE, aws.region):
            self.denied(self.copy, self.image(region, account=OTHER), region)

    def test_a_copy_fails_whose_keys_are_not_named(self) -> None:
        self.assertEqual(self.ended(self.copy(self.image(self.SOURCE), self.SOURCE, self.other_key)), "failed")
        self.assertEqual(self.ended(self.copy(self.image(aws.region, self.other_key), aws.region)), "failed")

    def test_it_reads_the_keys_of_the_named_regions(self) -> None:
        for region, is_allowed in ((self.SOURCE, True), (self.ELSEWHERE, False)):
            [key] = aws.seed(keys=[{"region": region}])["keys"]
            kms = aws.client("kms", region=region, **self.credentials)
            if is_allowed:
                self.assertEqual(kms.describe_key(KeyId=key["arn"])["KeyMetadata"]["Arn"], key["arn"])
            else:
                self.denied(kms.describe_key, KeyId=key["arn"])

    def test_it_neither_uses_the_keys_itself_nor_tags_an_image(self) -> None:
        self.denied(self.kms.generate_data_key_without_plaintext, KeyId=self.key, KeySpec="AES_256")
        self.denied(
            self.kms.create_grant,
            KeyId=self.key,
            GranteePrincipal=f"arn:aws:iam::{TARGET}:root",
            Operations=["Decrypt"],
        )
        for image in (self.image(aws.region), self.ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]):
            self.denied(self.ec2.create_tags, Resources=[image], Tags=[{"Key": "Tier", "Value": "gold"}])

    def test_it_makes_codes_with_the_key_of_its_stack_only(self) -> None:
        self.kms.generate_mac(KeyId=self.record_key, MacAlgorithm="HMAC_SHA_256", Message=b"text")
        self.denied(self.kms.generate_mac, KeyId=self.record_key, MacAlgorithm="HMAC_SHA_512", Message=b"text")
        [other] = aws.seed(keys=[{"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"}])["keys"]
        self.denied(self.kms.generate_mac, KeyId=other["arn"], MacAlgorithm="HMAC_SHA_256", Message=b"text")

    def test_off_it_copies_nothing(self) -> None:
        made = session_like(aws, stack["FunctionRoleArn"])
        ec2 = aws.client("ec2", **made)
        self.denied(
            ec2.copy_image, SourceImageId=self.image(aws.region), SourceRegion=aws.region, Name="a copy", Encrypted=True
        )


if __name__ == "__main__":
    unittest.main()


class Publishing(Denied):
    """The parameters that PublishPrefix lets the role write: those that begin so, and no others."""

    def role(self, outputs: dict[str, str]) -> Any:
        return aws.client("ssm", **session_like(aws, outputs["FunctionRoleArn"]))

    def put(self, ssm: Any, name: str) -> None:
        image = aws.seed(images=[{"mappings": []}])["images"][0]["imageId"]
        ssm.put_parameter(Name=name, Value=image, Type="String", DataType="aws:ec2:image", Overwrite=True)
        told = ssm.get_parameter(Name=f"{name}:1")["Parameter"]
        self.assertEqual((told["Value"], told["DataType"]), (image, "aws:ec2:image"))

    def test_only_what_begins_with_the_prefix_is_written(self) -> None:
        ssm = self.role(deployed("publishing", PublishPrefix="/golden/web-"))
        self.put(ssm, "/golden/web-x86_64/latest")
        for name in ("/golden/db/latest", "/golden", "/ami-share/allowlist", "/aws/golden/web-1"):
            with self.subTest(name):
                self.denied(self.put, ssm, name)

    def test_without_a_prefix_nothing_is_written(self) -> None:
        ssm = self.role(deployed("publishing-nothing"))
        for name in ("/golden/latest", "/"):
            with self.subTest(name):
                self.denied(self.put, ssm, name)

    def test_the_prefix_is_literal_and_not_of_aws(self) -> None:
        for prefix in ("/", "golden/", "/golden/*", "/golden/{tag:Family}", "/aws/", "/Ssm", "/golden//"):
            with self.subTest(prefix), self.assertRaises(ClientError):
                deployed("odd-prefix", PublishPrefix=prefix)
