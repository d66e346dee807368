"""CopyImage, EBS encryption by default and the events of copies behave as the AWS documentation says, seen through boto3."""

import json
import os
import time
import unittest
from collections.abc import Callable
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import LocalAws
from tests.local_aws import cases

OTHER, TARGET = "444455556666", "111122223333"
AWAY = "us-east-1"
aws: LocalAws


def setUpModule() -> None:
    global aws
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))


def client(service: str, region: str | None = None, **credentials: Any) -> Any:
    return aws.client(service, region=region, **credentials)


def source(key: Document | str | None = None, **fields: Any) -> str:
    """A new image with a snapshot of 8 GiB, on a new key if one is given, and an empty volume of 4."""
    snapshot: Document = {"size": 8} | ({"key": key} if key is not None else {})
    mappings = [{"device": "/dev/xvda", "snapshot": snapshot, "size": 8}, {"device": "/dev/sdb", "size": 4}]
    return aws.seed(images=[{"mappings": mappings} | fields])["images"][0]["imageId"]


def new_key(**fields: Any) -> str:
    return aws.seed(keys=[fields])["keys"][0]["arn"]


def copy(image_id: str, region: str = AWAY, **given: Any) -> str:
    """The new image's ID."""
    request = {"SourceRegion": aws.region, "SourceImageId": image_id, "Name": f"copy-{image_id}"} | given
    credentials = request.pop("credentials", {})
    return client("ec2", region, **credentials).copy_image(**request)["ImageId"]


def finish(image_id: str, **given: Any) -> Document:
    [ended] = aws.control("POST", "/_local/copies", {"ids": [image_id]} | given)
    return ended


def image(image_id: str, region: str = AWAY, **credentials: Any) -> Document:
    [found] = client("ec2", region, **credentials).describe_images(ImageIds=[image_id])["Images"]
    return found


def snapshots(image_id: str, region: str = AWAY, **credentials: Any) -> list[Document]:
    """The snapshots behind an image."""
    ids = [
        m["Ebs"]["SnapshotId"]
        for m in image(image_id, region, **credentials)["BlockDeviceMappings"]
        if "SnapshotId" in m["Ebs"]
    ]
    return client("ec2", region, **credentials).describe_snapshots(SnapshotIds=ids)["Snapshots"]


class Case(cases.Case):
    def setUp(self) -> None:
        self.addCleanup(aws.control, "DELETE", "/_local/state")


class TheCopy(Case):
    def test_a_copy_is_pending_until_it_is_available_and_names_its_source(self) -> None:
        key = new_key(region=AWAY)
        one = source(
            key={},
            architecture="arm64",
            launchPermissions=[TARGET],
            deprecationTime="2027-01-01T00:00:00.000Z",
            tags={"Tier": "gold"},
        )
        made = copy(one, Name="golden", Description="away", Encrypted=True, KmsKeyId=key)
        waits = image(made)
        self.assertEqual(
            (waits["State"], waits["SourceImageId"], waits["SourceImageRegion"], waits["Name"], waits["Description"]),
            ("pending", one, aws.region, "golden", "away"),
        )
        self.assertEqual(finish(made), {"imageId": made, "region": AWAY, "state": "available", "reason": None})
        found = image(made)
        self.assertEqual(
            (found["State"], found["OwnerId"], found["Architecture"], found["RootDeviceName"], found["Public"]),
            ("available", aws.account, "arm64", "/dev/xvda", False),
        )
        for absent in ("SourceInstanceId", "DeprecationTime", "Tags", "StateReason"):
            self.assertNotIn(absent, found)
        self.assertEqual(
            [(m["DeviceName"], m["Ebs"]["VolumeSize"], m["Ebs"]["Encrypted"]) for m in found["BlockDeviceMappings"]],
            [("/dev/xvda", 8, True), ("/dev/sdb", 4, False)],
        )
        attribute = client("ec2", AWAY).describe_image_attribute(ImageId=made, Attribute="launchPermission")
        self.assertEqual(attribute["LaunchPermissions"], [])
        [snapshot] = snapshots(made)
        self.assertEqual(
            (snapshot["OwnerId"], snapshot["KmsKeyId"], snapshot["VolumeSize"], snapshot["State"]),
            (aws.account, key, 8, "completed"),
        )
        self.assertEqual(image(one, aws.region)["State"], "available")
        self.refused("InvalidAMIID.NotFound", client("ec2").describe_images, ImageIds=[made])

    def test_the_source_is_a_filter(self) -> None:
        one = source()
        made, other = copy(one, aws.region), copy(source(), aws.region)
        instance = source(sourceImageId=one, sourceImageRegion=aws.region, sourceInstanceId="i-0123456789abcdef0")

        def ids(**filters: str) -> set[str]:
            given = [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]
            return {i["ImageId"] for i in client("ec2").describe_images(Filters=given)["Images"]}

        self.assertEqual(ids(source_image_id=one, source_image_region=aws.region), {made, instance})
        self.assertEqual(ids(source_image_region=aws.region), {made, instance, other})
        self.assertEqual(ids(source_image_id=one, source_image_region=AWAY), set())
        self.assertEqual(ids(source_instance_id="i-*"), {instance})
        self.assertEqual(image(instance, aws.region)["SourceInstanceId"], "i-0123456789abcdef0")

    def test_a_copy_fails_with_the_reason_a_test_gives(self) -> None:
        made = copy(source())
        ended = finish(made, state="failed", reason="the disk is full")
        self.assertEqual((ended["state"], ended["reason"]), ("failed", "the disk is full"))
        found = image(made)
        self.assertEqual((found["State"], found["StateReason"]["Message"]), ("failed", "the disk is full"))
        self.assertEqual(found["BlockDeviceMappings"], [])
        self.assertEqual(aws.control("POST", "/_local/copies", {"ids": [made]}), [])

    def test_a_copy_that_is_deregistered_while_it_waits_never_comes_to_be(self) -> None:
        made = copy(source())
        client("ec2", AWAY).deregister_image(ImageId=made)
        self.assertEqual(aws.control("POST", "/_local/copies", {}), [])
        self.refused("InvalidAMIID.NotFound", client("ec2", AWAY).describe_images, ImageIds=[made])

    def test_a_pending_copy_is_not_shared(self) -> None:
        made = copy(source())
        share = {"ImageId": made, "LaunchPermission": {"Add": [{"UserId": TARGET}]}}
        self.refused("InvalidAMIID.Unavailable", client("ec2", AWAY).modify_image_attribute, **share)

    def test_copies_end_by_themselves_where_a_time_is_set(self) -> None:
        aws.seed(settings={"copySeconds": 0})
        made, deadline = copy(source()), time.monotonic() + 10
        while image(made)["State"] == "pending" and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(image(made)["State"], "available")

    def test_tags_are_copied_and_given_when_asked_for(self) -> None:
        one = source(tags={"Tier": "gold", "aws:system": "x", "Kept": "old"})
        specifications = [
            {"ResourceType": "image", "Tags": [{"Key": "Kept", "Value": "new"}]},
            {"ResourceType": "snapshot", "Tags": [{"Key": "Of", "Value": "copy"}]},
        ]
        made = copy(one, CopyImageTags=True, TagSpecifications=specifications)
        finish(made)
        self.assertEqual({t["Key"]: t["Value"] for t in image(made)["Tags"]}, {"Tier": "gold", "Kept": "new"})
        self.assertEqual(snapshots(made)[0]["Tags"], [{"Key": "Of", "Value": "copy"}])
        self.refused(
            "InvalidParameterValue",
            copy,
            one,
            Name="bad",
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}],
        )
        self.refused(
            "InvalidParameterValue",
            copy,
            one,
            Name="bad",
            TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "aws:a", "Value": "b"}]}],
        )

    def test_a_dry_run_makes_nothing(self) -> None:
        self.refused("DryRunOperation", copy, source(), DryRun=True)
        self.assertEqual(client("ec2", AWAY).describe_images(Owners=["self"])["Images"], [])


class Tokens(Case):
    def test_the_same_request_with_the_same_token_makes_one_image(self) -> None:
        one = source()
        made = copy(one, ClientToken="t")
        self.assertEqual(copy(one, ClientToken="t"), made)
        finish(made)
        self.assertEqual(copy(one, ClientToken="t"), made)
        self.refused("IdempotentParameterMismatch", copy, one, ClientToken="t", Name="another")
        self.refused("IdempotentParameterMismatch", copy, one, ClientToken="t", CopyImageTags=True)
        self.assertEqual(len(client("ec2", AWAY).describe_images(Owners=["self"])["Images"]), 1)

    def test_a_token_is_of_one_region_and_one_account(self) -> None:
        one = source(launchPermissions=[OTHER])
        snapshot = image(one, aws.region)["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        client("ec2").modify_snapshot_attribute(
            SnapshotId=snapshot, CreateVolumePermission={"Add": [{"UserId": OTHER}]}
        )
        made = {
            copy(one, AWAY, ClientToken="t"),
            copy(one, "eu-central-1", ClientToken="t"),
            copy(one, AWAY, ClientToken="t", credentials={"account": OTHER}),
        }
        self.assertEqual(len(made), 3)

    def test_a_token_outlives_what_it_made(self) -> None:
        one = source()
        made = copy(one, ClientToken="t")
        client("ec2", AWAY).deregister_image(ImageId=made)
        self.assertEqual(copy(one, ClientToken="t"), made)
        self.assertEqual(client("ec2", AWAY).describe_images(Owners=["self"])["Images"], [])
        self.assertNotEqual(copy(one, ClientToken="u"), made)

    def test_the_length_of_a_token(self) -> None:
        copy(source(), ClientToken="t" * 64)
        self.refused("InvalidParameterValue", copy, source(), ClientToken="t" * 65)


class Refusals(Case):
    def test_a_name_is_taken_once_in_an_account_and_region(self) -> None:
        first = source(name="golden")
        self.refused("InvalidAMIName.Duplicate", copy, first, aws.region, Name="golden")
        made = copy(first, Name="golden")
        self.refused("InvalidAMIName.Duplicate", copy, source(), Name="golden")
        finish(made, state="failed")
        self.refused("InvalidAMIName.Duplicate", copy, source(), Name="golden")
        client("ec2", AWAY).deregister_image(ImageId=made)
        copy(source(), Name="golden")
        self.refused("InvalidAMIName.Malformed", copy, source(), Name="a*b")

    def test_a_source_that_is_not_there_or_not_available(self) -> None:
        self.refused("InvalidAMIID.NotFound", copy, "ami-00000000000000000")
        self.refused("InvalidAMIID.NotFound", copy, source(), SourceRegion="eu-central-1")
        self.refused("InvalidAMIID.Malformed", copy, "ami-x")
        for state in ("pending", "failed", "disabled"):
            self.refused("InvalidAMIID.Unavailable", copy, source(state=state))
        self.refused("InvalidParameterValue", copy, source(), "cn-north-1")
        copy(source(region="us-gov-west-1"), "us-gov-east-1", SourceRegion="us-gov-west-1")

    def test_an_image_of_others_is_copied_by_whom_it_and_its_storage_are_shared_with(self) -> None:
        def shared(launch: list[str], storage: list[str], **fields: Any) -> str:
            snapshot = {"account": OTHER, "createVolumePermissions": storage} | fields
            return source(
                account=OTHER, launchPermissions=launch, mappings=[{"device": "/dev/xvda", "snapshot": snapshot}]
            )

        self.refused("InvalidAMIID.NotFound", copy, shared([], [aws.account]))
        self.refused("InvalidRequest", copy, shared([aws.account], []))
        made = copy(shared([aws.account], [aws.account]))
        finish(made)
        self.assertEqual((image(made)["OwnerId"], snapshots(made)[0]["OwnerId"]), (aws.account, aws.account))

    def test_a_key_without_encrypted(self) -> None:
        self.refused("InvalidParameterDependency", copy, source(), KmsKeyId=new_key(region=AWAY))
        self.refused("InvalidParameterDependency", copy, source(), KmsKeyId=new_key(region=AWAY), Encrypted=False)

    def test_the_quota_counts_pending_copies_into_a_region(self) -> None:
        aws.seed(settings={"copyQuota": 1})
        one, two = source(), source()
        made = copy(one, ClientToken="t")
        self.refused("ResourceLimitExceeded", copy, two)
        self.assertEqual(copy(one, ClientToken="t"), made)
        copy(two, "eu-central-1")
        finish(made)
        copy(two)


class Keys(Case):
    def test_the_key_of_the_copies_snapshots(self) -> None:
        own, away, default, here = new_key(), new_key(region=AWAY), new_key(region=AWAY), new_key()
        plain, encrypted = source(), source(key=own)
        foreign = source(
            account=OTHER,
            launchPermissions=[aws.account],
            mappings=[
                {
                    "device": "/dev/xvda",
                    "snapshot": {
                        "account": OTHER,
                        "createVolumePermissions": [aws.account],
                        "key": {
                            "account": OTHER,
                            "policy": {
                                "Statement": [
                                    {
                                        "Effect": "Allow",
                                        "Principal": {"AWS": aws.account},
                                        "Action": "kms:*",
                                        "Resource": "*",
                                    }
                                ]
                            },
                        },
                    },
                }
            ],
        )
        aws.seed(encryption=[{"region": AWAY, "key": default}, {"key": here}])
        named = {"Encrypted": True, "KmsKeyId": away}
        rows: list[
            tuple[str, str, Document, bool, str | None]
        ] = [  # source, destination, what is asked for, encryption by default, the key
            (plain, AWAY, {}, False, None),
            (plain, AWAY, {}, True, default),
            (plain, AWAY, {"Encrypted": True}, False, default),
            (plain, AWAY, named, False, away),
            (plain, AWAY, named, True, away),
            (encrypted, aws.region, {}, False, own),
            (encrypted, aws.region, {"Encrypted": True}, False, own),
            (encrypted, aws.region, {"Encrypted": False}, False, own),
            (encrypted, aws.region, {}, True, own),
            (encrypted, AWAY, named, False, away),
            (encrypted, AWAY, {}, False, default),
            (foreign, aws.region, {}, False, here),
            (foreign, aws.region, {"Encrypted": True}, False, here),
        ]
        for number, (one, region, given, by_default, key) in enumerate(rows):
            with self.subTest(number=number):
                ec2 = client("ec2", region)
                (ec2.enable_ebs_encryption_by_default if by_default else ec2.disable_ebs_encryption_by_default)()
                made = copy(one, region, Name=f"copy-{number}", **given)
                self.assertEqual(finish(made)["state"], "available")
                [snapshot] = snapshots(made, region)
                self.assertEqual((snapshot.get("KmsKeyId"), snapshot["Encrypted"]), (key, key is not None))

    def test_a_key_is_named_by_id_alias_and_their_arns(self) -> None:
        [key] = aws.seed(keys=[{"region": AWAY, "alias": "alias/golden"}])["keys"]
        alias = key["arn"].replace(f"key/{key['keyId']}", "alias/golden")
        for number, name in enumerate((key["keyId"], key["arn"], "alias/golden", alias)):
            with self.subTest(name):
                made = copy(source(), Name=f"copy-{number}", Encrypted=True, KmsKeyId=name)
                finish(made)
                self.assertEqual(snapshots(made)[0]["KmsKeyId"], key["arn"])

    def test_a_key_that_cannot_be_used_fails_the_copy_and_not_the_call(self) -> None:
        closed = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": TARGET}, "Action": "kms:*", "Resource": "*"}]}
        opened = {
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": aws.account}, "Action": "kms:*", "Resource": "*"}]
        }
        no_write = {
            "Statement": opened["Statement"]
            + [{"Effect": "Deny", "Principal": "*", "Resource": "*", "Action": "kms:GenerateDataKeyWithoutPlaintext"}]
        }
        sign = {"spec": "RSA_2048", "usage": "SIGN_VERIFY"}
        rows: list[tuple[str, Document | None, str]] = [  # a source key or none, the copy's key, what becomes of it
            ("", {"region": AWAY}, "available"),
            ("", {"region": AWAY, "state": "Disabled"}, "failed"),
            ("", {"region": AWAY, "state": "PendingDeletion"}, "failed"),
            ("", {"region": AWAY} | sign, "failed"),
            ("", {}, "failed"),
            ("", None, "failed"),
            ("", {"region": AWAY, "policy": closed}, "failed"),
            ("", {"region": AWAY, "policy": no_write}, "failed"),
            ("", {"region": AWAY, "account": OTHER, "policy": opened}, "available"),
            ("", {"region": AWAY, "account": OTHER}, "failed"),
            ("Enabled", {"region": AWAY}, "available"),
            ("Disabled", {"region": AWAY}, "failed"),
        ]
        for number, (state, key, expected) in enumerate(rows):
            with self.subTest(number=number):
                arn = f"arn:aws:kms:{AWAY}:{aws.account}:key/none" if key is None else new_key(**key)
                one = source(key={"state": state}) if state else source()
                made = copy(one, Name=f"copy-{number}", Encrypted=True, KmsKeyId=arn)
                self.assertEqual(image(made)["State"], "pending")
                ended = finish(made)
                self.assertEqual(ended["state"], expected)
                self.assertEqual(image(made).get("StateReason", {}).get("Message"), ended["reason"])
                self.assertEqual(bool(ended["reason"]), expected == "failed")

    def test_the_default_key_is_the_aws_managed_one_until_another_is_chosen(self) -> None:
        ec2 = client("ec2", AWAY)
        self.assertEqual(ec2.get_ebs_default_kms_key_id()["KmsKeyId"], "alias/aws/ebs")
        made = copy(source(), Encrypted=True)
        finish(made)
        told = client("kms", AWAY).describe_key(KeyId=snapshots(made)[0]["KmsKeyId"])["KeyMetadata"]
        self.assertEqual(told["KeyManager"], "AWS")
        key = new_key(region=AWAY)
        self.assertEqual(ec2.modify_ebs_default_kms_key_id(KmsKeyId=key)["KmsKeyId"], key)
        self.assertEqual(ec2.get_ebs_default_kms_key_id()["KmsKeyId"], key)
        ec2.reset_ebs_default_kms_key_id()
        self.assertEqual(ec2.get_ebs_default_kms_key_id()["KmsKeyId"], "alias/aws/ebs")
        self.assertTrue(ec2.enable_ebs_encryption_by_default()["EbsEncryptionByDefault"])
        self.assertFalse(client("ec2").get_ebs_encryption_by_default()["EbsEncryptionByDefault"])


class Events(Case):
    def queue(self, region: str) -> Callable[[], list[Document]]:
        """What reaches the default bus of a Region from now on."""
        sqs, events, name = client("sqs", region), client("events", region), f"copies-{region}"
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(
            Name=name, EventPattern=json.dumps({"source": ["aws.ec2"], "detail-type": ["EC2 AMI State Change"]})
        )
        events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        self.addCleanup(sqs.delete_queue, QueueUrl=url)
        self.addCleanup(events.delete_rule, Name=name)
        self.addCleanup(events.remove_targets, Rule=name, Ids=["queue"])
        return lambda: [
            json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        ]

    def test_ec2_tells_the_default_bus_of_the_destination_what_became_of_a_copy(self) -> None:
        here, away = self.queue(aws.region), self.queue(AWAY)
        good, bad, silent = (copy(source()) for _ in range(3))
        finish(good)
        finish(bad, state="failed", reason="the disk is full")
        finish(silent, event=False)
        events = {e["detail"]["ImageId"]: e for e in away()}
        self.assertEqual(set(events), {good, bad})
        self.assertEqual((events[good]["detail"]["State"], events[good]["detail"]["ErrorMessage"]), ("available", ""))
        self.assertEqual(
            (events[bad]["detail"]["State"], events[bad]["detail"]["ErrorMessage"]), ("failed", "the disk is full")
        )
        self.assertEqual(
            (events[good]["region"], events[good]["account"], events[good]["resources"]),
            (AWAY, aws.account, [f"arn:aws:ec2:{AWAY}::image/{good}"]),
        )
        self.assertEqual(here(), [])


class Roles(Case):
    """Policies decide about copies: "Grant permissions to copy Amazon EC2 AMIs"."""

    KEY_ACTIONS = [
        "kms:DescribeKey",
        "kms:CreateGrant",
        "kms:Decrypt",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncrypt*",
    ]

    def role(self, *statements: Document) -> dict[str, str]:
        return cases.role(aws, *statements)

    def source_only(self, **condition: Any) -> Document:
        return {"Action": "ec2:CopyImage", "Resource": f"arn:aws:ec2:{aws.region}::image/*"} | condition

    NEW = {"Action": "ec2:CopyImage", "Resource": [f"arn:aws:ec2:{AWAY}::image/*", f"arn:aws:ec2:{AWAY}::snapshot/*"]}

    def test_the_source_the_new_image_and_its_snapshots_are_asked_for(self) -> None:
        own = {"Condition": {"StringEquals": {"ec2:Owner": aws.account}}}
        copy(source(), credentials=self.role(self.source_only(**own), self.NEW))
        refused = "UnauthorizedOperation"
        self.refused(refused, copy, source(), credentials=self.role(self.source_only()))
        self.refused(refused, copy, source(), credentials=self.role(self.NEW))
        self.refused(refused, copy, source(), credentials=self.role(self.source_only(), self.NEW | own))
        image_only = self.NEW | {"Resource": f"arn:aws:ec2:{AWAY}::image/*"}
        self.refused(refused, copy, source(), credentials=self.role(self.source_only(), image_only))
        foreign = source(account=OTHER, launchPermissions=["all"], mappings=[])
        self.refused(refused, copy, foreign, credentials=self.role(self.source_only(**own), self.NEW))
        copy(foreign, credentials=self.role(self.source_only(), self.NEW))

    def test_tags_are_created_by_the_create_action_only(self) -> None:
        def tagging(**condition: str) -> Document:
            return {"Action": "ec2:CreateTags", "Condition": {"StringEquals": condition}}

        may_copy = {"Action": "ec2:CopyImage"}
        image_tag: Document = {"TagSpecifications": [{"ResourceType": "image", "Tags": [{"Key": "a", "Value": "b"}]}]}
        snapshot_tag = {"TagSpecifications": [{"ResourceType": "snapshot", "Tags": [{"Key": "a", "Value": "b"}]}]}
        by_copy, by_run = tagging(**{"ec2:CreateAction": "CopyImage"}), tagging(**{"ec2:CreateAction": "RunInstances"})
        every: tuple[Document, ...] = ({"CopyImageTags": True}, image_tag, snapshot_tag)
        for given in every:
            with self.subTest(given):
                self.refused("UnauthorizedOperation", copy, source(), credentials=self.role(may_copy), **given)
                self.refused("UnauthorizedOperation", copy, source(), credentials=self.role(may_copy, by_run), **given)
                copy(source(), credentials=self.role(may_copy, by_copy), **given)
        one = source()
        ec2 = client("ec2", **self.role(may_copy, by_copy))
        self.refused("UnauthorizedOperation", ec2.create_tags, Resources=[one], Tags=[{"Key": "a", "Value": "b"}])
        only_a = tagging(**{"ec2:CreateAction": "CopyImage", "aws:RequestTag/a": "b"})
        copy(source(), credentials=self.role(may_copy, only_a), **image_tag)
        other: Document = {"TagSpecifications": [{"ResourceType": "image", "Tags": [{"Key": "a", "Value": "c"}]}]}
        self.refused("UnauthorizedOperation", copy, source(), credentials=self.role(may_copy, only_a), **other)

    def test_the_caller_must_be_allowed_to_use_the_keys_through_ec2(self) -> None:
        may_copy = {"Action": "ec2:CopyImage"}

        def use(region: str, **more: Any) -> Document:
            condition = {"StringEquals": {"kms:ViaService": f"ec2.{region}.amazonaws.com"}}
            return {"Action": self.KEY_ACTIONS, "Condition": condition} | more

        for_aws = {
            "StringEquals": {"kms:ViaService": f"ec2.{AWAY}.amazonaws.com"},
            "Bool": {"kms:GrantIsForAWSResource": "true"},
        }
        rows: list[
            tuple[list[Document], bool, str]
        ] = [  # the role's statements about keys, whether the source is encrypted, what becomes of the copy
            ([], False, "failed"),
            ([use(AWAY)], False, "available"),
            ([use("eu-central-1")], False, "failed"),
            ([use(AWAY)], True, "failed"),
            ([use(AWAY), use(aws.region)], True, "available"),
            ([use(AWAY, Action=self.KEY_ACTIONS[:3])], False, "failed"),
            (
                [
                    use(AWAY, Action=self.KEY_ACTIONS[:1] + self.KEY_ACTIONS[2:]),
                    use(AWAY, Action="kms:CreateGrant", Condition=for_aws),
                ],
                False,
                "available",
            ),
        ]
        for number, (statements, encrypted, expected) in enumerate(rows):
            with self.subTest(number=number):
                one, key = source(key={}) if encrypted else source(), new_key(region=AWAY)
                made = copy(
                    one,
                    Name=f"copy-{number}",
                    Encrypted=True,
                    KmsKeyId=key,
                    credentials=self.role(may_copy, *statements),
                )
                self.assertEqual(finish(made)["state"], expected)

    def test_a_source_on_the_aws_managed_key_needs_no_policy_for_it(self) -> None:
        key = new_key(region=AWAY)
        statement = {"Action": self.KEY_ACTIONS, "Resource": key}
        made = copy(
            source(key={"manager": "AWS"}),
            Encrypted=True,
            KmsKeyId=key,
            credentials=self.role({"Action": "ec2:CopyImage"}, statement),
        )
        self.assertEqual(finish(made)["state"], "available")
        self.assertEqual(snapshots(made)[0]["KmsKeyId"], key)


class Control(Case):
    def test_the_state_shows_copies_with_their_source_and_removes_them_with_it(self) -> None:
        one, other = source(), source()
        made, kept = copy(one, ClientToken="t"), copy(other)
        finish(made)
        state = aws.control("POST", "/_local/state", {"ids": [one]})
        self.assertEqual(set(state["images"]), {one, made})
        self.assertEqual(
            (state["images"][made]["region"], state["images"][made]["source"]), (AWAY, f"{aws.region}/{one}")
        )
        self.assertNotIn("source", state["images"][one])
        self.assertEqual(set(state["snapshots"]), set(state["images"][made]["snapshots"]))
        aws.control("DELETE", "/_local/state", {"ids": [one]})
        left = aws.control("POST", "/_local/state", {})
        self.assertEqual(set(left["images"]), {other, kept})
        self.assertFalse(set(state["snapshots"]) & set(left["snapshots"]))

    def test_the_same_copy_in_another_run_has_the_same_ids(self) -> None:
        runs = []
        for _ in range(2):
            one = source(id="ami-0000000000000abcd")
            first, second = copy(one, Name="one"), copy(one, Name="two")
            finish(first)
            self.assertNotEqual(first, second)
            runs.append((first, second, snapshots(first)[0]["SnapshotId"]))
            aws.control("DELETE", "/_local/state", {"ids": [one]})
        self.assertEqual(runs[0], runs[1])

    def test_calls_and_faults(self) -> None:
        one = source()
        aws.forget_calls()
        aws.seed(faults=[{"call": "ec2:CopyImage", "code": "RequestLimitExceeded", "status": 503}])
        self.refused("RequestLimitExceeded", copy, one)
        copy(one)
        self.assertEqual([c["operation"] for c in aws.calls()], ["CopyImage", "CopyImage"])


if __name__ == "__main__":
    unittest.main()
