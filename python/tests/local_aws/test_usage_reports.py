"""Image usage reports behave as the AWS documentation says, seen through boto3."""

import datetime
import os
import time
import unittest
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import LocalAws
from tests.local_aws import cases

OTHER, TARGET, SECOND = "444455556666", "111122223333", "222233334444"
BOTH = [{"ResourceType": "ec2:Instance"}, {"ResourceType": "ec2:LaunchTemplate"}]
aws: LocalAws
ec2: Any


def setUpModule() -> None:
    global aws, ec2
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    ec2 = aws.client("ec2")


def used(*usage: tuple[str, str, int], **fields: Any) -> str:
    """A new image that these accounts use."""
    entries = [{"account": account, "resourceType": kind, "count": count} for account, kind, count in usage]
    return aws.seed(images=[fields | {"usage": entries}])["images"][0]["imageId"]


def create(image_id: str, client: Any = None, **given: Any) -> str:
    request = {"ImageId": image_id, "ResourceTypes": BOTH} | given
    return (client or ec2).create_image_usage_report(**request)["ReportId"]


def finish(report_id: str, **given: Any) -> None:
    [ended] = aws.control("POST", "/_local/usage-reports", {"ids": [report_id]} | given)
    assert ended["reportId"] == report_id


def reports(**given: Any) -> list[Document]:
    return ec2.describe_image_usage_reports(**given)["ImageUsageReports"]


def entries(**given: Any) -> list[tuple[str, str, int]]:
    found = ec2.describe_image_usage_report_entries(**given)["ImageUsageReportEntries"]
    return [(e["AccountId"], e["ResourceType"], e["UsageCount"]) for e in found]


class Case(cases.Case):
    def setUp(self) -> None:
        self.addCleanup(aws.control, "DELETE", "/_local/state")


class Reports(Case):
    USAGE = ((TARGET, "ec2:Instance", 15), (TARGET, "ec2:LaunchTemplate", 4), (SECOND, "ec2:Instance", 2))

    def test_a_report_is_pending_first_and_then_tells_who_uses_the_image(self) -> None:
        one = used(*self.USAGE)
        made = create(
            one, TagSpecifications=[{"ResourceType": "image-usage-report", "Tags": [{"Key": "a", "Value": "b"}]}]
        )
        self.assertRegex(made, "^amiur-[0-9a-f]{17}$")
        [waits] = reports(ReportIds=[made])
        self.assertEqual(
            (waits["ImageId"], waits["State"], waits["ResourceTypes"], waits["Tags"]),
            (one, "pending", BOTH, [{"Key": "a", "Value": "b"}]),
        )
        self.assertNotIn("AccountIds", waits)
        self.assertEqual(waits["ExpirationTime"] - waits["CreationTime"], datetime.timedelta(days=30))
        self.assertEqual(entries(ReportIds=[made]), [])
        finish(made)
        self.assertEqual([r["State"] for r in reports(ImageIds=[one])], ["available"])
        self.assertEqual(entries(ReportIds=[made]), list(self.USAGE))
        [first, *_] = ec2.describe_image_usage_report_entries(ImageIds=[one])["ImageUsageReportEntries"]
        self.assertEqual(
            (first["ReportId"], first["ImageId"], first["ReportCreationTime"]), (made, one, waits["CreationTime"])
        )

    def test_a_report_tells_of_the_types_and_accounts_it_was_made_for_and_never_of_the_owner(self) -> None:
        one = used(*self.USAGE, (aws.account, "ec2:Instance", 9))
        depth = {
            "ResourceType": "ec2:LaunchTemplate",
            "ResourceTypeOptions": [{"OptionName": "version-depth", "OptionValues": ["100"]}],
        }
        rows: list[tuple[Document, list[tuple[str, str, int]]]] = [
            ({}, list(self.USAGE)),
            ({"ResourceTypes": BOTH[:1]}, [self.USAGE[0], self.USAGE[2]]),
            ({"ResourceTypes": [depth]}, [self.USAGE[1]]),
            ({"AccountIds": [SECOND]}, [self.USAGE[2]]),
            ({"AccountIds": [OTHER]}, []),
        ]
        for given, expected in rows:
            with self.subTest(given):
                made = create(one, **given)
                finish(made)
                self.assertEqual(entries(ReportIds=[made]), expected)
                [found] = reports(ReportIds=[made])
                self.assertEqual(found["ResourceTypes"], given.get("ResourceTypes", BOTH))
                self.assertEqual(found.get("AccountIds"), given.get("AccountIds"))

    def test_a_report_can_end_in_an_error(self) -> None:
        one = used(*self.USAGE)
        made = create(one)
        finish(made, state="error", reason="no luck")
        [found] = reports(ReportIds=[made])
        self.assertEqual((found["State"], found["StateReason"]), ("error", "no luck"))
        self.assertEqual(entries(ReportIds=[made]), [])
        self.assertNotEqual(create(one), made)

    def test_one_report_is_pending_for_an_image(self) -> None:
        one = used()
        made = create(one, ClientToken="t")
        self.assertEqual(create(one, ClientToken="t"), made)
        self.refused("IdempotentParameterMismatch", create, one, ClientToken="t", AccountIds=[OTHER])
        self.refused("ResourceLimitExceeded", create, one)
        create(used())
        finish(made)
        create(one)

    def test_what_is_no_report(self) -> None:
        one = used()
        self.refused("InvalidParameterValue", create, one, ResourceTypes=[{"ResourceType": "ec2:Volume"}])
        self.refused("InvalidParameterValue", create, one, AccountIds=["12"])
        self.refused("InvalidParameterValue", create, one, AccountIds=[f"{n:012}" for n in range(201)])
        self.refused("InvalidParameterValue", create, one, TagSpecifications=[{"ResourceType": "image", "Tags": []}])
        self.refused("AuthFailure", create, used(account=OTHER, launchPermissions=[aws.account]))
        self.refused("InvalidAMIID.NotFound", create, "ami-00000000000000000")
        self.refused("DryRunOperation", create, one, DryRun=True)
        self.assertEqual(reports(), [])

    def test_deleted_and_expired_reports_and_those_of_others(self) -> None:
        one = used()
        made = create(one)
        ec2.delete_image_usage_report(ReportId=made)
        self.refused("InvalidImageUsageReportId.NotFound", ec2.delete_image_usage_report, ReportId=made)
        self.refused("InvalidImageUsageReportId.NotFound", ec2.describe_image_usage_reports, ReportIds=[made])
        old = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=31)).isoformat()
        aws.seed(usageReports=[{"imageId": one, "createdAt": old}])
        self.assertEqual(reports(), [])
        theirs = create(used(account=OTHER), aws.client("ec2", account=OTHER))
        self.refused("InvalidImageUsageReportId.NotFound", ec2.describe_image_usage_reports, ReportIds=[theirs])
        self.assertEqual(reports(), [])

    def test_pages_and_filters(self) -> None:
        one = used(*self.USAGE)
        for number in range(3):
            aws.seed(usageReports=[{"imageId": one, "createdAt": f"{datetime.date.today()}T0{number}:00:00+00:00"}])
        aws.seed(usageReports=[{"imageId": one, "state": "error"}, {"imageId": used(), "state": "pending"}])
        pages = ec2.get_paginator("describe_image_usage_reports").paginate(
            ImageIds=[one], PaginationConfig={"PageSize": 3}
        )
        self.assertEqual([len(page["ImageUsageReports"]) for page in pages], [3, 1])
        aws.seed(settings={"pageSize": 2})
        pages = ec2.get_paginator("describe_image_usage_report_entries").paginate(ImageIds=[one])
        self.assertEqual([len(page["ImageUsageReportEntries"]) for page in pages], [2, 2, 2, 2, 1])
        aws.seed(settings={"pageSize": 1000})

        def filtered(name: str, value: str) -> list[dict[str, str | list[str]]]:
            return [{"Name": name, "Values": [value]}]

        self.assertEqual([r["State"] for r in reports(Filters=filtered("state", "error"))], ["error"])
        self.assertEqual(len(reports(Filters=filtered("creation-time", "*T02:*"))), 1)
        self.assertEqual(set(entries(Filters=filtered("account-id", SECOND))), {self.USAGE[2]})
        self.assertEqual(set(entries(Filters=filtered("resource-type", "ec2:LaunchTemplate"))), {self.USAGE[1]})

    def test_seeded_reports_and_reports_that_end_by_themselves(self) -> None:
        made = aws.seed(
            images=[{"ref": "i", "usage": [{"account": TARGET, "resourceType": "ec2:Instance", "count": 1}]}],
            usageReports=[{"ref": "r", "imageId": "i"}],
        )
        one, report = made["images"][0]["imageId"], made["usageReports"][0]["reportId"]
        self.assertEqual(made["usageReports"][0]["ref"], "r")
        self.assertEqual(entries(ReportIds=[report]), [(TARGET, "ec2:Instance", 1)])
        aws.seed(settings={"reportSeconds": 0})
        second, deadline = create(one), time.monotonic() + 10
        while reports(ReportIds=[second])[0]["State"] == "pending" and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(len(entries(ImageIds=[one])), 2)
        state = aws.control("POST", "/_local/state", {"ids": [one]})
        self.assertEqual(state["usageReports"], {r: {"imageId": one, "state": "available"} for r in (report, second)})
        aws.control("DELETE", "/_local/state", {"ids": [one]})
        self.assertEqual(reports(), [])


class Roles(Case):
    def role(self, *statements: Document) -> Any:
        return aws.client("ec2", **cases.role(aws, *statements))

    def test_the_image_and_the_report_are_asked_for(self) -> None:
        owner = {"StringEquals": {"ec2:Owner": aws.account}}
        images = {
            "Action": "ec2:CreateImageUsageReport",
            "Resource": f"arn:aws:ec2:{aws.region}::image/*",
            "Condition": owner,
        }
        kind = f"arn:aws:ec2:{aws.region}:{aws.account}:image-usage-report/*"
        made = {"Action": "ec2:CreateImageUsageReport", "Resource": kind}
        report = create(used(), self.role(images, made))
        self.refused("UnauthorizedOperation", create, used(), self.role(images))
        self.refused("UnauthorizedOperation", create, used(), self.role(made))
        foreign = used(account=OTHER, launchPermissions=[aws.account])
        self.refused("UnauthorizedOperation", create, foreign, self.role(images, made))
        tags = {"TagSpecifications": [{"ResourceType": "image-usage-report", "Tags": [{"Key": "a", "Value": "b"}]}]}
        self.refused("UnauthorizedOperation", create, used(), self.role(images, made), **tags)
        may_tag = {
            "Action": "ec2:CreateTags",
            "Resource": kind,
            "Condition": {"StringEquals": {"ec2:CreateAction": "CreateImageUsageReport"}},
        }
        create(used(), self.role(images, made, may_tag), **tags)
        deletes = {"Action": "ec2:DeleteImageUsageReport", "Resource": f"{kind[:-1]}{report}"}
        self.refused("UnauthorizedOperation", self.role(images).delete_image_usage_report, ReportId=report)
        self.role(deletes).delete_image_usage_report(ReportId=report)
        reads = {"Action": ["ec2:DescribeImageUsageReports", "ec2:DescribeImageUsageReportEntries"], "Resource": "*"}
        self.role(reads).describe_image_usage_reports(ImageIds=[used()])
        self.refused("UnauthorizedOperation", self.role(images).describe_image_usage_report_entries)


if __name__ == "__main__":
    unittest.main()
