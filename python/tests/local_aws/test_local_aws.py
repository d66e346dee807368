"""The local AWS behaves as the AWS documentation says, seen through boto3."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import LocalAws
from ami_share_tools.local_aws.identities import make_role, session
from tests.local_aws.cases import Case

OTHER, TARGET, SECOND = "444455556666", "111122223333", "222233334444"
ORGANIZATION = "arn:aws:organizations::123456789012:organization/o-a1b2c3d4e5"
OU = "arn:aws:organizations::123456789012:ou/o-a1b2c3d4e5/ou-ab12-11111111"


aws: LocalAws
ec2: Any
kms: Any


def setUpModule() -> None:
    global aws, ec2, kms
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    ec2, kms = aws.client("ec2"), aws.client("kms")


def image(**fields: Any) -> str:
    """A new image's ID."""
    return aws.seed(images=[fields])["images"][0]["imageId"]


def on_key(**key: Any) -> tuple[str, str, str]:
    """A new image with one snapshot on a new key: (image ID, snapshot ID, key ARN)."""
    made = aws.seed(
        keys=[key | {"ref": "k"}],
        snapshots=[{"ref": "s", "key": "k"}],
        images=[{"mappings": [{"device": "/dev/xvda", "snapshot": "s"}]}],
    )
    return made["images"][0]["imageId"], made["snapshots"][0]["snapshotId"], made["keys"][0]["arn"]


def launch(image_id: str, client: Any = None) -> list[dict[str, str]]:
    return (client or ec2).describe_image_attribute(ImageId=image_id, Attribute="launchPermission")["LaunchPermissions"]


def add(image_id: str, *entries: dict[str, str], client: Any = None) -> None:
    (client or ec2).modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": list(entries)})


def remove(image_id: str, *entries: dict[str, str]) -> None:
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Remove": list(entries)})


class Documents(Case):
    def test_a_parameter_is_decrypted_and_overwritten(self) -> None:
        for value in ("one", "two"):
            aws.seed(parameters=[{"name": "/documents/a", "value": value}])
            found = aws.client("ssm").get_parameter(Name="/documents/a", WithDecryption=True)["Parameter"]
            self.assertEqual((found["Type"], found["Value"]), ("SecureString", value))

    def test_a_poll_of_a_configuration_brings_what_is_new_to_it(self) -> None:
        def deploy(content: str) -> None:
            aws.seed(configurations=[{"application": "a", "environment": "e", "profile": "p", "content": content}])

        data = aws.client("appconfigdata")
        deploy("one")
        token = data.start_configuration_session(
            ApplicationIdentifier="a", EnvironmentIdentifier="e", ConfigurationProfileIdentifier="p"
        )["InitialConfigurationToken"]
        seen = []
        for new in (None, None, "two", None):
            if new:
                deploy(new)
            poll = data.get_latest_configuration(ConfigurationToken=token)
            token = poll["NextPollConfigurationToken"]
            seen.append(poll["Configuration"].read())
        self.assertEqual(seen, [b"one", b"", b"two", b""])


class Images(Case):
    def test_mappings_say_encrypted_and_keep_those_without_a_snapshot(self) -> None:
        made = aws.seed(
            keys=[{"ref": "k"}],
            images=[
                {
                    "name": "golden",
                    "tags": {"Tier": "gold"},
                    "mappings": [
                        {"device": "/dev/xvda", "snapshot": {"key": "k"}},
                        {"device": "/dev/sdb", "snapshot": {}},
                        {"device": "/dev/sdc", "size": 4},
                        {"device": "/dev/sdd", "virtualName": "ephemeral0"},
                        {"device": "/dev/sde", "noDevice": True},
                    ],
                }
            ],
        )
        [found] = ec2.describe_images(ImageIds=[made["images"][0]["imageId"]])["Images"]
        root, plain, empty, ephemeral, absent = found["BlockDeviceMappings"]
        self.assertEqual((root["Ebs"]["Encrypted"], plain["Ebs"]["Encrypted"]), (True, False))
        self.assertNotIn("KmsKeyId", root["Ebs"])
        self.assertNotIn("SnapshotId", empty["Ebs"])
        self.assertEqual((ephemeral["VirtualName"], absent["NoDevice"]), ("ephemeral0", ""))
        self.assertEqual(
            (found["Name"], found["Tags"], found["OwnerId"], found["State"]),
            ("golden", [{"Key": "Tier", "Value": "gold"}], aws.account, "available"),
        )

    def test_an_unknown_id_is_an_error_by_id_and_nothing_by_filter(self) -> None:
        known, unknown = image(), "ami-00000000000000000"
        by_filter = ec2.describe_images(Filters=[{"Name": "image-id", "Values": [known, unknown]}])["Images"]
        self.assertEqual([i["ImageId"] for i in by_filter], [known])
        self.refused("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=[known, unknown])
        self.refused("InvalidAMIID.Malformed", ec2.describe_images, ImageIds=["ami-X"])
        self.refused("InvalidParameterValue", ec2.describe_images, Filters=[{"Name": "colour", "Values": ["red"]}])

    def test_filters_take_wildcards_tags_and_owners(self) -> None:
        mine = image(name="filter-1", tags={"Set": "f1"})
        image(name="filter-2", tags={"Set": "f2"})
        foreign = image(name="filter-3", account=OTHER, launchPermissions=[aws.account])

        def ids(**given: Any) -> list[str]:
            filters = [{"Name": k, "Values": [v]} for k, v in given.items()]
            return [i["ImageId"] for i in ec2.describe_images(Filters=filters)["Images"]]

        self.assertEqual(ids(**{"tag:Set": "f?", "name": "*-1"}), [mine])
        self.assertEqual(ids(**{"name": "filter-*", "owner-id": OTHER}), [foreign])
        self.assertEqual(ids(name="FILTER-*"), [])
        too_many = [{"Name": "name", "Values": ["x"] * 201}]
        self.refused("FilterLimitExceeded", ec2.describe_images, Filters=too_many)

    def test_pages(self) -> None:
        wanted = {image(name=f"page-{n}") for n in range(5)}
        filters = [{"Name": "name", "Values": ["page-*"]}]
        pages = list(ec2.get_paginator("describe_images").paginate(Filters=filters, PaginationConfig={"PageSize": 2}))
        self.assertEqual([len(p["Images"]) for p in pages], [2, 2, 1])
        self.assertEqual({i["ImageId"] for p in pages for i in p["Images"]}, wanted)
        self.refused("InvalidParameterCombination", ec2.describe_images, ImageIds=list(wanted), MaxResults=2)

    def test_foreign_images_are_seen_only_when_shared_and_changed_never(self) -> None:
        hidden, shared = image(account=OTHER), image(account=OTHER, launchPermissions=[aws.account])
        found = ec2.describe_images(Filters=[{"Name": "image-id", "Values": [hidden, shared]}])["Images"]
        self.assertEqual([i["ImageId"] for i in found], [shared])
        self.refused("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=[hidden])
        for call in (add, remove):
            self.refused("AuthFailure", call, shared, {"UserId": TARGET})
        self.refused("AuthFailure", launch, shared)
        self.refused("AuthFailure", ec2.reset_image_attribute, ImageId=shared, Attribute="launchPermission")

    def test_states(self) -> None:
        for state in ("pending", "failed", "disabled", "deregistered"):
            with self.subTest(state):
                one = image(state=state, name=f"state-{state}")
                filters = [{"Name": "image-id", "Values": [one]}]
                found = ec2.describe_images(Filters=filters, IncludeDisabled=True)["Images"]
                self.assertEqual([i["State"] for i in found], [state])
                shown = ec2.describe_images(Filters=filters)["Images"]
                self.assertEqual(len(shown), 0 if state == "disabled" else 1)
                self.refused("InvalidAMIID.Unavailable", add, one, {"UserId": TARGET})
                self.refused("InvalidAMIID.Unavailable", remove, one, {"UserId": TARGET})

    def test_disabling_takes_every_permission_away_for_good(self) -> None:
        one = image(launchPermissions=[TARGET, OU])
        ec2.disable_image(ImageId=one)
        self.assertEqual(launch(one), [])
        ec2.enable_image(ImageId=one)
        self.assertEqual(launch(one), [])
        self.assertEqual(ec2.describe_images(ImageIds=[one])["Images"][0]["State"], "available")


class LaunchPermissions(Case):
    def test_every_kind_is_kept_and_removed_in_both_forms(self) -> None:
        one = image()
        entries = [{"UserId": TARGET}, {"OrganizationArn": ORGANIZATION}, {"OrganizationalUnitArn": OU}]
        add(one, *entries)
        add(one, *entries)
        self.assertEqual(launch(one), entries)
        remove(one, entries[1])
        remove(one, entries[1])
        self.assertEqual(launch(one), [entries[0], entries[2]])
        ec2.modify_image_attribute(
            ImageId=one,
            Attribute="launchPermission",
            OperationType="add",
            UserIds=[SECOND],
            OrganizationArns=[ORGANIZATION],
        )
        ec2.modify_image_attribute(
            ImageId=one,
            Attribute="launchPermission",
            OperationType="remove",
            UserIds=[TARGET],
            OrganizationalUnitArns=[OU],
        )
        self.assertEqual(launch(one), [{"UserId": SECOND}, {"OrganizationArn": ORGANIZATION}])
        ec2.reset_image_attribute(ImageId=one, Attribute="launchPermission")
        self.assertEqual(launch(one), [])

    def test_what_is_no_account_organization_or_ou(self) -> None:
        for entry in (
            {"UserId": "1234"},
            {"UserId": "1111-2222-3333"},
            {"Group": "everyone"},
            {"OrganizationArn": "o-a1b2c3d4e5"},
            {"OrganizationalUnitArn": "ou-ab12-11111111"},
        ):
            with self.subTest(entry):
                self.refused("InvalidAMIAttributeItemValue", add, image(), entry)

    def test_one_bad_item_changes_nothing(self) -> None:
        one = image()
        self.refused("InvalidAMIAttributeItemValue", add, one, {"UserId": TARGET}, {"UserId": "1"})
        self.assertEqual(launch(one), [])

    def test_an_image_on_the_aws_managed_key_is_not_shared(self) -> None:
        managed, _, _ = on_key(manager="AWS")
        self.refused("InvalidParameter", add, managed, {"UserId": TARGET})
        customer, _, _ = on_key()
        add(customer, {"UserId": TARGET})
        self.assertEqual(launch(customer), [{"UserId": TARGET}])

    def test_publishing(self) -> None:
        one, everybody = image(), {"Group": "all"}
        self.refused("OperationNotPermitted", add, one, everybody)
        aws.seed(settings={"blockPublicAccess": False})
        self.addCleanup(aws.seed, settings={"blockPublicAccess": True})
        self.refused("UnsupportedOperation", add, on_key()[0], everybody)
        marketplace = image(productCodes=[{"id": "abc", "type": "marketplace"}])
        self.refused("OperationNotPermitted", add, marketplace, everybody)
        add(one, everybody)
        self.assertTrue(ec2.describe_images(ImageIds=[one])["Images"][0]["Public"])

    def test_the_quota_counts_accounts_organizations_and_ous(self) -> None:
        one = image(launchPermissions=[ORGANIZATION, OU])
        aws.seed(settings={"entityQuota": 3})
        self.addCleanup(aws.seed, settings={"entityQuota": 1000})
        add(one, {"UserId": TARGET})
        self.refused("ResourceLimitExceeded", add, one, {"UserId": SECOND})
        add(one, {"UserId": TARGET})
        remove(one, {"UserId": TARGET})
        self.assertEqual(len(launch(one)), 2)

    def test_a_dry_run_changes_nothing(self) -> None:
        one = image()
        self.refused(
            "DryRunOperation",
            ec2.modify_image_attribute,
            ImageId=one,
            DryRun=True,
            LaunchPermission={"Add": [{"UserId": TARGET}]},
        )
        self.refused(
            "AuthFailure",
            ec2.modify_image_attribute,
            ImageId=image(account=OTHER),
            DryRun=True,
            LaunchPermission={"Add": [{"UserId": TARGET}]},
        )
        self.assertEqual(launch(one), [])


class Snapshots(Case):
    def test_the_key_is_told_by_describe_snapshots(self) -> None:
        _, keyed, arn = on_key()
        plain = aws.seed(snapshots=[{}])["snapshots"][0]["snapshotId"]
        found = {s["SnapshotId"]: s for s in ec2.describe_snapshots(SnapshotIds=[keyed, plain])["Snapshots"]}
        self.assertEqual((found[keyed]["Encrypted"], found[keyed]["KmsKeyId"]), (True, arn))
        self.assertFalse(found[plain]["Encrypted"])
        self.assertNotIn("KmsKeyId", found[plain])

    def test_unknown_ids_and_pages(self) -> None:
        made = aws.seed(snapshots=[{"tags": {"Set": "pages"}}] * 3)["snapshots"]
        filters = [{"Name": "tag:Set", "Values": ["pages"]}]
        pages = list(
            ec2.get_paginator("describe_snapshots").paginate(Filters=filters, PaginationConfig={"PageSize": 2})
        )
        self.assertEqual([len(p["Snapshots"]) for p in pages], [2, 1])
        unknown = "snap-00000000000000000"
        by_filter = [{"Name": "snapshot-id", "Values": [unknown, made[0]["snapshotId"]]}]
        self.assertEqual(len(ec2.describe_snapshots(Filters=by_filter)["Snapshots"]), 1)
        self.refused("InvalidSnapshot.NotFound", ec2.describe_snapshots, SnapshotIds=[unknown])
        foreign = aws.seed(snapshots=[{"account": OTHER}])["snapshots"][0]["snapshotId"]
        self.refused("InvalidSnapshot.NotFound", ec2.describe_snapshots, SnapshotIds=[foreign])

    def test_create_volume_permissions(self) -> None:
        _, one, _ = on_key()

        def change(**permission: Any) -> None:
            ec2.modify_snapshot_attribute(SnapshotId=one, CreateVolumePermission=permission)

        def accounts() -> list[str]:
            answer = ec2.describe_snapshot_attribute(SnapshotId=one, Attribute="createVolumePermission")
            return [p["UserId"] for p in answer["CreateVolumePermissions"]]

        change(Add=[{"UserId": TARGET}, {"UserId": SECOND}])
        change(Add=[{"UserId": TARGET}])
        self.assertEqual(accounts(), [TARGET, SECOND])
        change(Remove=[{"UserId": TARGET}])
        change(Remove=[{"UserId": TARGET}])
        self.assertEqual(accounts(), [SECOND])
        self.refused("InvalidParameterCombination", change, Add=[{"UserId": TARGET}], Remove=[{"UserId": SECOND}])
        self.refused("InvalidAMIAttributeItemValue", change, Add=[{"UserId": "12"}])
        self.refused("OperationNotPermitted", change, Add=[{"Group": "all"}])
        many = [{"UserId": f"{n:012}"} for n in range(501)]
        self.refused("ResourceCountExceeded", change, Add=many)
        ec2.reset_snapshot_attribute(SnapshotId=one, Attribute="createVolumePermission")
        self.assertEqual(accounts(), [])

    def test_a_snapshot_on_the_aws_managed_key_is_not_shared(self) -> None:
        _, one, _ = on_key(manager="AWS")
        self.refused(
            "OperationNotPermitted",
            ec2.modify_snapshot_attribute,
            SnapshotId=one,
            CreateVolumePermission={"Add": [{"UserId": TARGET}]},
        )


class Keys(Case):
    def test_metadata(self) -> None:
        for manager, state in (("AWS", "Enabled"), ("CUSTOMER", "Disabled"), ("CUSTOMER", "PendingDeletion")):
            with self.subTest(manager=manager, state=state):
                [key] = aws.seed(keys=[{"manager": manager, "state": state}])["keys"]
                told = kms.describe_key(KeyId=key["arn"])["KeyMetadata"]
                self.assertEqual(
                    (told["KeyManager"], told["KeyState"], told["Enabled"], told["AWSAccountId"]),
                    (manager, state, state == "Enabled", aws.account),
                )
        [key] = aws.seed(keys=[{"spec": "RSA_2048", "usage": "SIGN_VERIFY"}])["keys"]
        told = kms.describe_key(KeyId=key["keyId"])["KeyMetadata"]
        self.assertEqual((told["KeySpec"], told["KeyUsage"]), ("RSA_2048", "SIGN_VERIFY"))

    def test_policies(self) -> None:
        policy = {"Version": "2012-10-17", "Statement": []}
        [key] = aws.seed(keys=[{"policy": policy, "alias": "alias/policies"}])["keys"]
        self.assertEqual(json.loads(kms.get_key_policy(KeyId=key["arn"])["Policy"]), policy)
        self.assertEqual(kms.describe_key(KeyId="alias/policies")["KeyMetadata"]["Arn"], key["arn"])
        self.refused("NotFoundException", kms.get_key_policy, KeyId="alias/policies")
        self.refused("NotFoundException", kms.get_key_policy, KeyId=key["arn"], PolicyName="AWS_RAM")

    def test_an_hmac_key_makes_codes_and_verifies_them(self) -> None:
        [key] = aws.seed(keys=[{"spec": "HMAC_256", "usage": "GENERATE_VERIFY_MAC"}])["keys"]
        given = {"KeyId": key["arn"], "MacAlgorithm": "HMAC_SHA_256", "Message": b"m" * 4096}
        mac = kms.generate_mac(**given)["Mac"]
        self.assertEqual((len(mac), kms.verify_mac(**given, Mac=mac)["MacValid"]), (32, True))
        self.refused("KMSInvalidMacException", kms.verify_mac, **given | {"Message": b"other"}, Mac=mac)

    def test_other_accounts_keys(self) -> None:
        open_policy = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"},
                    "Action": "kms:*",
                    "Resource": "*",
                }
            ],
        }
        closed, opened = aws.seed(keys=[{"account": OTHER}, {"account": OTHER, "policy": open_policy}])["keys"]
        self.refused("AccessDeniedException", kms.describe_key, KeyId=closed["arn"])
        self.assertEqual(kms.describe_key(KeyId=opened["arn"])["KeyMetadata"]["AWSAccountId"], OTHER)
        self.refused("AccessDeniedException", kms.get_key_policy, KeyId=opened["arn"])

    def test_grants(self) -> None:
        [key] = aws.seed(
            keys=[
                {
                    "grants": [
                        {"grantee": f"arn:aws:iam::{TARGET}:root", "operations": ["Decrypt"], "issuingAccount": TARGET}
                    ]
                }
            ]
        )["keys"]

        def grant(**changes: Any) -> str:
            given = {
                "KeyId": key["arn"],
                "Operations": ["Decrypt", "CreateGrant"],
                "Name": "ami-share/x/y",
                "GranteePrincipal": f"arn:aws:iam::{TARGET}:root",
            }
            return kms.create_grant(**(given | changes))["GrantId"]

        first = grant()
        self.assertEqual(grant(), first)
        self.assertNotEqual(grant(Operations=["Decrypt"]), first)
        listed = {g["GrantId"]: g for g in kms.list_grants(KeyId=key["arn"])["Grants"]}
        self.assertEqual(len(listed), 3)
        self.assertEqual(listed[first]["IssuingAccount"], f"arn:aws:iam::{aws.account}:root")
        self.assertIn(f"arn:aws:iam::{TARGET}:root", [g["IssuingAccount"] for g in listed.values()])
        kms.revoke_grant(KeyId=key["arn"], GrantId=first)
        self.refused("NotFoundException", kms.revoke_grant, KeyId=key["arn"], GrantId=first)
        self.refused("InvalidArnException", grant, GranteePrincipal=ORGANIZATION)
        self.refused("ValidationException", grant, Name="no spaces")
        for state, code in (("Disabled", "DisabledException"), ("PendingDeletion", "KMSInvalidStateException")):
            [unusable] = aws.seed(keys=[{"state": state}])["keys"]
            self.refused(code, grant, KeyId=unusable["arn"])


class Events(Case):
    def test_a_role_puts_events_under_the_sources_that_its_policy_names(self) -> None:
        allowed = {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": "*",
            "Condition": {
                "ForAllValues:StringEquals": {"events:source": "own", "events:detail-type": "Request"},
                "Null": {"events:source": "false", "events:detail-type": "false"},
            },
        }
        events = aws.client("events", **session(aws, make_role(aws, "sender", allowed)))
        own = {"Source": "own", "DetailType": "Request", "Detail": "{}"}
        self.assertEqual(events.put_events(Entries=[own, own])["FailedEntryCount"], 0)
        for entries in ([own | {"Source": "other"}], [own | {"DetailType": "Other"}], [own, own | {"Source": "other"}]):
            self.refused("AccessDeniedException", events.put_events, Entries=entries)


class Control(Case):
    def test_calls_are_listed_in_order_until_forgotten(self) -> None:
        one = image()
        aws.forget_calls()
        add(one, {"UserId": TARGET})
        [key] = aws.seed(keys=[{}])["keys"]
        kms.describe_key(KeyId=key["arn"])
        modify, describe = aws.calls()
        self.assertEqual((modify["service"], modify["operation"]), ("ec2", "ModifyImageAttribute"))
        self.assertEqual(modify["params"], {"ImageId": one, "LaunchPermission.Add.1.UserId": TARGET})
        self.assertEqual(
            (describe["service"], describe["operation"], describe["params"]),
            ("kms", "DescribeKey", {"KeyId": key["arn"]}),
        )
        self.assertEqual({c["account"] for c in (modify, describe)}, {aws.account})
        aws.forget_calls()
        self.assertEqual(aws.calls(), [])

    def test_faults_meet_the_calls_they_name(self) -> None:
        one = image()
        aws.seed(
            faults=[
                {"call": "ec2:DescribeImageAttribute", "code": "RequestLimitExceeded", "status": 503, "after": 1},
                {"call": "kms:DescribeKey", "code": "KMSInternalException"},
            ]
        )
        launch(one)
        self.refused("RequestLimitExceeded", launch, one)
        launch(one)
        self.refused("KMSInternalException", kms.describe_key, KeyId="alias/any")
        self.refused("NotFoundException", kms.describe_key, KeyId="alias/any")

    def test_a_fault_with_a_text_meets_the_calls_that_hold_it(self) -> None:
        one, other = image(), image()
        aws.seed(faults=[{"call": "ec2:DescribeImageAttribute", "code": "RequestLimitExceeded", "holding": one}])
        launch(other)
        self.refused("RequestLimitExceeded", launch, one)
        launch(one)

    def test_a_seed_that_is_not_understood_is_refused(self) -> None:
        seeds: list[Document] = [{"image": []}, {"images": [{"nmae": "x"}]}, {"snapshots": [{"key": "nowhere"}]}]
        for seed in seeds:
            with self.subTest(seed), self.assertRaises(urllib.error.HTTPError) as caught:
                aws.seed(**seed)
            self.assertEqual(caught.exception.code, 400)
            caught.exception.close()

    def test_the_state_shows_everybody_s_things_and_can_be_narrowed_and_removed(self) -> None:
        aws.control("DELETE", "/_local/state")
        shared, snapshot, key = on_key()
        add(shared, {"UserId": TARGET})
        grant = {"grantee": f"arn:aws:iam::{TARGET}:root", "operations": ["Encrypt", "Decrypt"], "name": "n"}
        made = aws.seed(
            images=[{"account": OTHER, "launchPermissions": ["all"]}],
            keys=[{"grants": [grant]}],
            settings={"entityQuota": 1},
            faults=[{"call": "ec2:DescribeImages", "code": "X"}],
        )
        foreign, granted = made["images"][0]["imageId"], made["keys"][0]["arn"]

        state = aws.control("POST", "/_local/state", {})
        self.assertEqual(
            state["images"][shared],
            {
                "owner": aws.account,
                "region": aws.region,
                "state": "available",
                "snapshots": [snapshot],
                "launchPermissions": [TARGET],
            },
        )
        self.assertEqual(state["images"][foreign]["launchPermissions"], ["all"])
        self.assertEqual(
            state["snapshots"][snapshot], {"owner": aws.account, "key": key, "createVolumePermissions": []}
        )
        self.assertEqual(
            state["grants"],
            [
                {
                    "key": granted,
                    "name": "n",
                    "grantee": grant["grantee"],
                    "issuingAccount": f"arn:aws:iam::{aws.account}:root",
                    "operations": ["Decrypt", "Encrypt"],
                }
            ],
        )
        part = aws.control("POST", "/_local/state", {"ids": [foreign], "keys": [key]})
        self.assertEqual(
            (list(part["images"]), part["snapshots"], list(part["keys"]), part["grants"]), ([foreign], {}, [key], [])
        )

        seeded = aws.seed(
            keys=[{"ref": "k"}],
            schedules=[
                {
                    "group": "default",
                    "name": f"{foreign}-1",
                    "expression": "at(2100-01-01T00:00:00)",
                    "input": {"keyArns": ["k"]},
                }
            ],
        )
        schedule = aws.control("POST", "/_local/state", {"ids": [foreign]})["schedules"][f"default/{foreign}-1"]
        self.assertEqual(json.loads(schedule["input"]), {"keyArns": [seeded["keys"][0]["arn"]]})
        aws.control("DELETE", "/_local/state", {"ids": [foreign]})
        left = aws.control("POST", "/_local/state", {})
        self.assertEqual((left["schedules"], foreign in left["images"]), ({}, False))
        self.assertEqual(sorted(left["images"]), sorted(key for key in state["images"] if key != foreign))
        aws.control("DELETE", "/_local/state")
        empty = aws.control("POST", "/_local/state", {})
        self.assertEqual(
            empty,
            {
                "images": {},
                "snapshots": {},
                "keys": {},
                "grants": [],
                "schedules": {},
                "parameters": {},
                "usageReports": {},
            },
        )
        self.assertEqual(ec2.describe_images()["Images"], [])  # the fault is forgotten too


class Schedules(unittest.TestCase):
    """EventBridge Scheduler, API Reference."""

    def schedule(self, name: str, at: str = "2099-01-01T00:00:00", **target: Any) -> None:
        target = {
            "Arn": self.bus,
            "RoleArn": f"arn:aws:iam::{aws.account}:role/hints",
            "Input": '{"action": "expire"}',
            "EventBridgeParameters": {"Source": "ami-share.ends", "DetailType": "AMI Share Record Due"},
        } | target
        target = {field: value for field, value in target.items() if value is not None}
        aws.client("scheduler").create_schedule(
            Name=name, ScheduleExpression=f"at({at})", FlexibleTimeWindow={"Mode": "OFF"}, Target=target
        )

    def setUp(self) -> None:
        self.addCleanup(aws.control, "DELETE", "/_local/state")
        events = aws.client("events")
        with contextlib.suppress(events.exceptions.ResourceAlreadyExistsException):
            events.create_event_bus(Name="hints")
        self.bus = f"arn:aws:events:{aws.region}:{aws.account}:event-bus/hints"

    def refused(self, code: str, *args: Any, **kwargs: Any) -> None:
        with self.assertRaises(ClientError) as caught:
            self.schedule(*args, **kwargs)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)

    def test_a_name_has_64_characters_at_most_and_is_taken_once(self) -> None:
        self.schedule("a" * 64)
        self.refused("ConflictException", "a" * 64)
        for name in ("a" * 65, "a@b"):
            self.refused("ValidationException", name)

    def test_a_bus_as_target_wants_its_parameters_and_a_detail(self) -> None:
        self.refused("ValidationException", "one", EventBridgeParameters=None)
        self.refused("ValidationException", "one", Input="no JSON")

    def test_a_list_has_pages(self) -> None:
        for name in ("ami-1-a", "ami-1-b", "ami-1-c", "ami-2-a"):
            self.schedule(name)
        pages = (
            aws.client("scheduler")
            .get_paginator("list_schedules")
            .paginate(GroupName="default", NamePrefix="ami-1-", PaginationConfig={"PageSize": 2})
        )
        self.assertEqual(
            [[s["Name"] for s in page["Schedules"]] for page in pages], [["ami-1-a", "ami-1-b"], ["ami-1-c"]]
        )

    def test_a_schedule_that_is_due_puts_its_input_on_the_bus(self) -> None:
        events, sqs = aws.client("events"), aws.client("sqs")
        queue = sqs.create_queue(QueueName="hints")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {"source": ["ami-share.ends"], "detail-type": ["AMI Share Record Due"], "account": [aws.account]}
        events.put_rule(Name="hints", EventBusName="hints", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="hints", EventBusName="hints", Targets=[{"Id": "queue", "Arn": arn}])
        self.schedule("ami-3-due", at="2020-01-01T00:00:00", Input='{"action": "expire", "schedule": "ami-3-due"}')
        [told] = aws.control("POST", "/_local/hints", {"ids": ["ami-3"]})
        found: list[Document] = []
        deadline = time.monotonic() + 30  # it looks every ten seconds
        while not found and time.monotonic() < deadline:
            found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages", [])
        [message] = found
        event = json.loads(message["Body"])
        for field in ("source", "detail-type", "account", "region", "detail"):
            self.assertEqual(event[field], told[field])


class Process(unittest.TestCase):
    def start(self) -> subprocess.Popen[bytes]:
        scratch = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, scratch)  # fails if anything was left in it
        process = subprocess.Popen(
            [sys.executable, "-m", "ami_share_tools.local_aws"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
            env=os.environ | {"TMPDIR": scratch},
        )
        assert process.stdin and process.stdout
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.kill)
        self.assertRegex(json.loads(process.stdout.readline())["endpoint"], r"^http://127\.0\.0\.1:\d+$")
        return process

    def test_it_ends_at_the_end_of_its_input(self) -> None:
        process = self.start()
        assert process.stdin
        process.stdin.close()
        self.assertEqual(process.wait(15), 0)

    def test_it_ends_on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                process = self.start()
                process.send_signal(number)
                self.assertEqual(process.wait(15), 0)


if __name__ == "__main__":
    unittest.main()
