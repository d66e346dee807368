"""What DescribeImages says of watermarks, scans, Allowed AMIs and shared tags, as the AWS documentation has it, through boto3."""

import os
import unittest
import xml.etree.ElementTree as ET
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import LocalAws
from tests.local_aws import cases

OTHER, TARGET = "444455556666", "111122223333"
AWAY = "us-east-1"
THEN = "2026-05-01T10:00:00.000Z"
aws: LocalAws
ec2: Any


def setUpModule() -> None:
    global aws, ec2
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    ec2 = aws.client("ec2")


def image(**fields: Any) -> str:
    return aws.seed(images=[fields])["images"][0]["imageId"]


def described(image_id: str, client: Any = None) -> Document:
    [found] = (client or ec2).describe_images(ImageIds=[image_id])["Images"]
    return found


def answer(image_id: str) -> ET.Element:
    """The image as it comes over the wire; boto3 as it is pinned here doesn't know every field."""
    bodies: list[bytes] = []
    client = aws.client("ec2")
    client.meta.events.register(
        "before-parse.ec2.DescribeImages", lambda response_dict, **_: bodies.append(response_dict["body"])
    )
    client.describe_images(ImageIds=[image_id])
    for element in (root := ET.fromstring(bodies[0])).iter():
        element.tag = element.tag.rpartition("}")[2]
    [found] = root.findall("imagesSet/item")
    return found


def ids(client: Any = None, **filters: str) -> list[str]:
    given = [{"Name": name, "Values": [value]} for name, value in filters.items()]
    return [i["ImageId"] for i in (client or ec2).describe_images(Filters=given)["Images"]]


class Case(cases.Case):
    def setUp(self) -> None:
        self.addCleanup(aws.control, "DELETE", "/_local/state")


class Watermarks(Case):
    def test_a_watermark_names_its_account_and_the_image_it_was_attached_to(self) -> None:
        one = image(creationDate=THEN)
        self.assertEqual(
            ec2.attach_image_watermark(ImageId=one, WatermarkName="approved")["WatermarkKey"], f"{aws.account}:approved"
        )
        [mark] = described(one)["ImageWatermarks"]
        self.assertEqual(
            (mark["WatermarkKey"], mark["SourceImageId"], mark["SourceImageRegion"]),
            (f"{aws.account}:approved", one, aws.region),
        )
        self.assertEqual(mark["SourceImageCreationTime"].isoformat(), "2026-05-01T10:00:00+00:00")
        self.assertEqual(ids(**{"image-watermark.watermark-key": "*:approved"}), [one])
        for _ in range(2):
            ec2.detach_image_watermark(ImageId=one, WatermarkKey=f"{aws.account}:approved")
        self.assertNotIn("ImageWatermarks", described(one))

    def test_only_the_owner_attaches_five_at_most_and_none_to_a_public_image(self) -> None:
        one = image()
        for number in range(5):
            ec2.attach_image_watermark(ImageId=one, WatermarkName=f"mark-{number}")
        self.refused("ResourceLimitExceeded", ec2.attach_image_watermark, ImageId=one, WatermarkName="mark-5")
        ec2.attach_image_watermark(ImageId=one, WatermarkName="mark-4")
        self.refused("InvalidParameterValue", ec2.attach_image_watermark, ImageId=one, WatermarkName="a:b")
        shared = image(account=OTHER, launchPermissions=[aws.account])
        self.refused("AuthFailure", ec2.attach_image_watermark, ImageId=shared, WatermarkName="mine")
        self.refused("AuthFailure", ec2.detach_image_watermark, ImageId=shared, WatermarkKey=f"{OTHER}:x")
        self.refused(
            "OperationNotPermitted",
            ec2.attach_image_watermark,
            ImageId=image(launchPermissions=["all"]),
            WatermarkName="mine",
        )
        aws.seed(settings={"blockPublicAccess": False})
        self.refused(
            "OperationNotPermitted",
            ec2.modify_image_attribute,
            ImageId=one,
            LaunchPermission={"Add": [{"Group": "all"}]},
        )

    def test_copies_keep_watermarks_and_are_not_touched_by_detaching(self) -> None:
        one, away = image(watermarks=[f"{aws.account}:approved"]), aws.client("ec2", region=AWAY)
        made = away.copy_image(SourceRegion=aws.region, SourceImageId=one, Name="copy")["ImageId"]
        aws.control("POST", "/_local/copies", {"ids": [made]})
        ec2.detach_image_watermark(ImageId=one, WatermarkKey=f"{aws.account}:approved")
        [mark] = described(made, away)["ImageWatermarks"]
        self.assertEqual(
            (mark["WatermarkKey"], mark["SourceImageId"], mark["SourceImageRegion"]),
            (f"{aws.account}:approved", one, aws.region),
        )

    def test_a_seeded_watermark_may_come_from_another_image(self) -> None:
        other = {"key": f"{OTHER}:approved", "sourceImageId": "ami-0123456789abcdef0", "sourceImageRegion": AWAY}
        one = image(watermarks=[f"{aws.account}:own", other])
        self.assertEqual(
            [
                (m["WatermarkKey"], m["SourceImageId"], m["SourceImageRegion"])
                for m in described(one)["ImageWatermarks"]
            ],
            [(f"{aws.account}:own", one, aws.region), (f"{OTHER}:approved", "ami-0123456789abcdef0", AWAY)],
        )
        self.assertEqual(
            ids(
                **{
                    "image-watermark.source-image-id": "ami-0123456789abcdef0",
                    "image-watermark.source-image-region": AWAY,
                }
            ),
            [one],
        )


class Scans(Case):
    def test_the_severity_is_there_with_findings_and_the_date_with_a_scan(self) -> None:
        bad, clean, never = image(scan={"severity": "critical", "at": THEN}), image(scan={"at": THEN}), image()
        self.assertEqual(
            [(e.tag, e.text) for e in answer(bad).findall("scanResults/*")],
            [("highestFindingSeverityLabel", "critical"), ("findingScanDate", THEN)],
        )
        self.assertEqual([e.tag for e in answer(clean).findall("scanResults/*")], ["findingScanDate"])
        self.assertIsNone(answer(never).find("scanResults"))
        self.assertEqual(ids(**{"scan-result.highest-finding-severity-label": "critical"}), [bad])
        self.assertEqual(set(ids(**{"scan-result.finding-scan-date": "2026-05-01T*"})), {bad, clean})

    def test_a_copy_was_not_scanned_yet(self) -> None:
        one = image(scan={"severity": "low", "at": THEN})
        made = ec2.copy_image(SourceRegion=aws.region, SourceImageId=one, Name="copy")["ImageId"]
        aws.control("POST", "/_local/copies", {})
        self.assertIsNone(answer(made).find("scanResults"))


class OtherFields(Case):
    def test_allowed_amis_lineage_reason_and_creation_date(self) -> None:
        one = image(
            allowed=False,
            sourceImageId="ami-0123456789abcdef0",
            sourceImageRegion=AWAY,
            sourceInstanceId="i-1",
            state="failed",
            stateReason="no",
            creationDate=THEN,
        )
        found = described(one)
        self.assertEqual(
            (
                found["ImageAllowed"],
                found["SourceImageId"],
                found["SourceImageRegion"],
                found["SourceInstanceId"],
                found["StateReason"]["Message"],
                found["CreationDate"],
            ),
            (False, "ami-0123456789abcdef0", AWAY, "i-1", "no", THEN),
        )
        plain = described(image())
        for absent in ("ImageAllowed", "SourceImageId", "SourceInstanceId", "StateReason", "ImageWatermarks"):
            self.assertNotIn(absent, plain)
        self.assertEqual(
            ids(**{"image-allowed": "false", "state-reason-message": "n*", "creation-date": "2026-05-*"}), [one]
        )

    def test_other_accounts_see_shared_tags_only(self) -> None:
        tags = {"Tier": "gold", "ec2:SharedTag/Owner": "platform"}
        one = image(tags=tags, launchPermissions=[TARGET])
        target = aws.client("ec2", account=TARGET)
        self.assertEqual({t["Key"]: t["Value"] for t in described(one)["Tags"]}, tags)
        self.assertEqual(described(one, target)["Tags"], [{"Key": "ec2:SharedTag/Owner", "Value": "platform"}])
        self.assertEqual(ids(target, **{"tag:Tier": "gold"}), [])
        self.assertEqual(ids(target, **{"tag:ec2:SharedTag/Owner": "platform"}), [one])
        target.create_tags(Resources=[one], Tags=[{"Key": "Mine", "Value": "x"}])
        self.assertEqual({t["Key"] for t in described(one, target)["Tags"]}, {"Mine", "ec2:SharedTag/Owner"})
        self.assertEqual({t["Key"] for t in described(one)["Tags"]}, set(tags))

    def test_a_copy_of_others_image_takes_their_shared_tags_along(self) -> None:
        tags = {"Tier": "gold", "ec2:SharedTag/Owner": "platform"}
        one = image(tags=tags, account=OTHER, launchPermissions=[aws.account])
        made = ec2.copy_image(SourceRegion=aws.region, SourceImageId=one, Name="copy", CopyImageTags=True)["ImageId"]
        self.assertEqual(described(made)["Tags"], [{"Key": "ec2:SharedTag/Owner", "Value": "platform"}])


if __name__ == "__main__":
    unittest.main()
