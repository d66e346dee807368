"""Parameters of the data type aws:ec2:image behave as the AWS documentation says, seen through boto3."""

import os
import unittest
from typing import Any

from botocore.exceptions import ClientError

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import LocalAws
from tests.local_aws import cases

OTHER = "444455556666"
aws: LocalAws
ssm: Any


def setUpModule() -> None:
    global aws, ssm
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    ssm = aws.client("ssm")


def image(**fields: Any) -> str:
    return aws.seed(images=[fields])["images"][0]["imageId"]


def put(value: str, name: str = "/golden/web/latest", client: Any = None, **given: Any) -> int:
    """The version that the answer names."""
    request = {"Name": name, "Value": value, "Type": "String", "DataType": "aws:ec2:image", "Overwrite": True} | given
    return (client or ssm).put_parameter(**request)["Version"]


def get(name: str = "/golden/web/latest", client: Any = None) -> tuple[str, int, str] | None:
    try:
        found = (client or ssm).get_parameter(Name=name)["Parameter"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ParameterNotFound", "ParameterVersionNotFound"):
            return None
        raise
    return found["Value"], found["Version"], found["DataType"]


class Case(cases.Case):
    def setUp(self) -> None:
        self.addCleanup(aws.control, "DELETE", "/_local/state")


class Images(Case):
    def test_versions_are_counted_and_read_by_number(self) -> None:
        one, two = image(), image()
        self.assertEqual(put(one, Overwrite=False), 1)
        self.refused("ParameterAlreadyExists", put, two, Overwrite=False)
        self.assertEqual(put(two), 2)
        self.assertEqual(get(), (two, 2, "aws:ec2:image"))
        self.assertEqual(get("/golden/web/latest:1"), (one, 1, "aws:ec2:image"))
        self.assertIsNone(get("/golden/web/latest:3"))
        ssm.label_parameter_version(Name="/golden/web/latest", ParameterVersion=1, Labels=["old"])
        self.assertEqual(get("/golden/web/latest:old"), (one, 1, "aws:ec2:image"))

    def test_what_is_no_available_image_is_answered_with_success_and_never_there(self) -> None:
        good = image()
        rows = [
            "ami-00000000000000000",
            "ami-x",
            "latest",
            image(state="pending"),
            image(state="disabled"),
            image(region="us-east-1"),
            image(account=OTHER),
        ]
        for number, value in enumerate(rows):
            with self.subTest(value):
                self.assertEqual(put(value, f"/golden/{number}"), 1)
                self.assertIsNone(get(f"/golden/{number}"))
        put(good)
        self.assertEqual(put("latest"), 2)
        self.assertEqual(get(), (good, 1, "aws:ec2:image"))
        self.assertEqual(put(good), 3)
        self.assertEqual(get(), (good, 3, "aws:ec2:image"))
        self.assertIsNone(get("/golden/web/latest:2"))
        theirs = image(account=OTHER, launchPermissions=[aws.account])
        put(theirs)
        self.assertEqual(get(), (theirs, 4, "aws:ec2:image"))

    def test_the_validation_waits_where_it_is_told_to(self) -> None:
        one, two = image(), image()
        aws.seed(settings={"parametersWait": True})
        self.assertEqual((put(one), put("latest"), put(two)), (1, 2, 3))
        self.assertIsNone(get())
        told = aws.control("POST", "/_local/parameters", {})
        self.assertEqual([(t["version"], t["valid"]) for t in told], [(1, True), (2, False), (3, True)])
        self.assertEqual(get(), (two, 3, "aws:ec2:image"))
        self.assertEqual(get("/golden/web/latest:1"), (one, 1, "aws:ec2:image"))
        self.assertEqual(aws.control("POST", "/_local/parameters", {}), [])

    def test_data_type_and_type_stay_what_they_are(self) -> None:
        one = image()
        ssm.put_parameter(Name="/text", Value="x", Type="String")
        put(one)
        self.refused("ValidationException", put, one, "/text")
        self.refused("ValidationException", put, one, DataType="text")
        self.refused("ValidationException", put, one, "/secret", Type="SecureString")
        aws.seed(parameters=[{"name": "/secret", "value": "x"}])
        self.refused("HierarchyTypeMismatchException", put, "x", "/secret", DataType="text")
        self.assertEqual(get("/text"), ("x", 1, "text"))
        self.assertEqual(ssm.put_parameter(Name="/golden/web/latest", Value="latest", Overwrite=True)["Version"], 2)
        self.assertEqual(get(), (one, 1, "aws:ec2:image"))

    def test_a_seeded_parameter_is_not_validated(self) -> None:
        aws.seed(
            parameters=[
                {
                    "name": "/golden/web/latest",
                    "value": "ami-00000000000000000",
                    "type": "String",
                    "dataType": "aws:ec2:image",
                }
            ]
        )
        self.assertEqual(get(), ("ami-00000000000000000", 1, "aws:ec2:image"))
        self.assertEqual(put(image()), 2)

    def test_names(self) -> None:
        one = image()
        self.refused("ValidationException", put, one, "/golden/web latest")
        self.refused("HierarchyLevelLimitExceededException", put, one, "/" + "/".join("abcdefghijklmnop"))
        put(one, "/" + "/".join("abcdefghijklmno"))
        self.refused("AccessDeniedException", put, one, "/aws/golden")
        self.refused("ValidationException", put, one, "/ssm/golden")

    def test_a_hundred_versions_are_kept_and_a_labelled_one_is_not_lost(self) -> None:
        one = image()
        for number in range(1, 102):
            self.assertEqual(put(one), number)
        self.assertIsNone(get("/golden/web/latest:1"))
        self.assertEqual(get("/golden/web/latest:2"), (one, 2, "aws:ec2:image"))
        ssm.label_parameter_version(Name="/golden/web/latest", ParameterVersion=2, Labels=["keep"])
        self.refused("ParameterMaxVersionLimitExceeded", put, one)

    def test_the_state_shows_parameters_by_name_and_by_value(self) -> None:
        one = image()
        put(one)
        ssm.put_parameter(Name="/text", Value="x", Type="String")
        shown = {"value": one, "version": 1, "dataType": "aws:ec2:image"}
        self.assertEqual(
            aws.control("POST", "/_local/state", {"ids": [one]})["parameters"], {"/golden/web/latest": shown}
        )
        self.assertEqual(set(aws.control("POST", "/_local/state", {})["parameters"]), {"/golden/web/latest", "/text"})
        aws.control("DELETE", "/_local/state", {"ids": [one]})
        self.assertEqual((get(), get("/text")), (None, ("x", 1, "text")))
        self.assertEqual(put(image()), 1)


class Roles(Case):
    def role(self, *statements: Document) -> Any:
        return aws.client("ssm", **cases.role(aws, *statements))

    def test_a_prefix_of_names_and_the_right_to_describe_images(self) -> None:
        one, denied = image(), "AccessDeniedException"
        prefix = {
            "Action": ["ssm:PutParameter", "ssm:GetParameter"],
            "Resource": f"arn:aws:ssm:{aws.region}:{aws.account}:parameter/golden/*",
        }
        describe = {"Action": "ec2:DescribeImages", "Resource": "*"}
        may = self.role(prefix, describe)
        self.assertEqual(put(one, client=may), 1)
        self.assertEqual(get(client=may), (one, 1, "aws:ec2:image"))
        self.assertEqual(get("/golden/web/latest:1", may), (one, 1, "aws:ec2:image"))
        exact = {
            "Action": "ssm:GetParameter",
            "Resource": f"arn:aws:ssm:{aws.region}:{aws.account}:parameter/golden/web/latest",
        }
        self.assertEqual(get("/golden/web/latest:1", self.role(exact)), (one, 1, "aws:ec2:image"))
        self.refused(denied, put, one, "/silver/latest", client=self.role(prefix, describe))
        self.refused(denied, get, "/silver/latest:1", self.role(prefix))
        blind = self.role(prefix)
        self.assertEqual(put(one, "/golden/blind", client=blind), 1)
        self.assertIsNone(get("/golden/blind"))
        new_only = prefix | {"Condition": {"StringEquals": {"ssm:Overwrite": "false"}}}
        self.refused(denied, put, one, client=self.role(new_only, describe))
        put(one, "/golden/new", client=self.role(new_only, describe), Overwrite=False)


if __name__ == "__main__":
    unittest.main()
