"""What the function's role may do against the calls that src/aws can make: nothing more, nothing less."""

import re
import unittest
from collections.abc import Iterator
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.repository import ROOT
from ami_share_tools.template import resources, template

# The prefix of a client's actions in IAM (Service Authorization Reference), where it is not the client's own name.
PREFIXES = {"eventbridge": "events"}
# What is done in the role's name by others, and why.
IN_ITS_NAME = {
    "iam:PassRole": "scheduler:CreateSchedule names the role by which Scheduler puts hints on the bus",
    "kms:Decrypt": "Parameter Store decrypts a SecureString, SQS the messages of an encrypted queue",
    "kms:GenerateDataKey": "SQS encrypts what Lambda keeps of a failed invocation",
    "sqs:ReceiveMessage": "Lambda polls the queue",
    "sqs:DeleteMessage": "Lambda polls the queue",
    "sqs:GetQueueAttributes": "Lambda polls the queue",
}


def statements(part: Any) -> Iterator[Document]:
    """Every policy statement in a part of the template, whatever conditions it stands under."""
    if isinstance(part, dict):
        if "Effect" in part:
            yield part
        for value in part.values():
            yield from statements(value)
    elif isinstance(part, list):
        for value in part:
            yield from statements(value)


def permitted() -> tuple[list[Document], set[str]]:
    found = list(statements(resources()["Function"]["Properties"]["Policies"]))
    actions: set[str] = set()
    for statement in found:
        if statement["Effect"] == "Allow":
            action = statement["Action"]
            actions.update([action] if isinstance(action, str) else action)
    return found, actions


def sources() -> Iterator[tuple[str, str]]:
    files = [ROOT / "src/aws.rs", *sorted((ROOT / "src/aws").glob("*.rs"))]
    for file in files:
        code = file.read_text().split("#[cfg(test)]")[0]
        yield file.name, "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("//"))


def clients() -> dict[str, str]:
    """Field → IAM prefix, from the fields of `Aws` that are SDK clients."""
    fields: dict[str, str] = dict(
        re.findall(r"^    (\w+): aws_sdk_(\w+)::Client,$", (ROOT / "src/aws.rs").read_text(), re.M)
    )
    named = {name for _, code in sources() for name in re.findall(r"aws_sdk_(\w+)::Client\b", code)}
    assert fields and set(fields.values()) == named, f"a client that is no field of Aws: {named - set(fields.values())}"
    return {field: PREFIXES.get(field, field) for field in fields}


def callable_by_source() -> set[str]:
    """The calls of src/aws, from the operations of the SDK's clients. Whatever can't be read is an error."""
    calls = set()
    for name, code in sources():
        for field, prefix in clients().items():
            for use in re.finditer(rf"\bself\s*\.\s*{field}\b", code):
                operation = re.match(r"\s*\.\s*([a-z][a-z_]*)\(\)", code[use.end() :])
                assert operation, f"{name}: what is called here? {code[use.start() : use.end() + 60]!r}"
                calls.add(f"{prefix}:" + "".join(map(str.capitalize, operation[1].split("_"))))
    return calls


def told_by_source() -> set[str]:
    """The calls as src/aws names them in outcomes and logs."""
    prefixes = "|".join(clients().values())
    return {call for _, code in sources() for call in re.findall(rf'"((?:{prefixes}):[A-Z]\w+)"', code)}


class Permissions(unittest.TestCase):
    def test_every_call_is_named_as_what_it_is(self) -> None:
        self.assertEqual(told_by_source(), callable_by_source())

    def test_the_role_may_make_every_call(self) -> None:
        self.assertEqual(callable_by_source() - permitted()[1], set())

    def test_the_role_may_do_nothing_else(self) -> None:
        self.assertEqual(permitted()[1] - callable_by_source(), set(IN_ITS_NAME))

    def test_nothing_is_allowed_by_a_wildcard(self) -> None:
        found, actions = permitted()
        self.assertGreater(len(found), 12)
        self.assertGreater(len(actions), 20)
        self.assertFalse([action for action in actions if "*" in action])
        for statement in found:
            self.assertIn("Sid", statement)
            self.assertNotIn("NotAction", statement)
            self.assertNotIn("NotResource", statement)

    def test_all_resources_only_where_iam_knows_no_others(self) -> None:
        # Service Authorization Reference: actions without a resource type.
        without = {
            "ec2:DescribeImages",
            "ec2:DescribeSnapshots",
            "ec2:GetImageBlockPublicAccessState",
            "scheduler:ListSchedules",
        }
        for statement in permitted()[0]:
            if statement["Effect"] == "Allow" and statement["Resource"] == "*":
                action = statement["Action"]
                self.assertLessEqual(set([action] if isinstance(action, str) else action), without, statement["Sid"])


class Triggers(unittest.TestCase):
    """Who may come in: the policies of API, bus, queue, role and function."""

    def test_nothing_is_open_to_everybody(self) -> None:
        allowed = [s for s in statements(resources()) if s["Effect"] == "Allow" and "Principal" in s]
        self.assertGreater(len(allowed), 3)
        for statement in allowed:
            principal = statement["Principal"]
            if principal == "*":  # everybody in an organization
                self.assertEqual(
                    statement["Condition"]["StringEquals"], {"aws:PrincipalOrgID": {"Ref": "SenderOrganizationId"}}
                )
            else:
                self.assertNotIn("*", principal.values())

    def test_services_act_for_this_stack_only(self) -> None:
        for statement in statements(resources()):
            if "Service" in statement.get("Principal", {}):
                keys = {key for operator in statement["Condition"].values() for key in operator}
                self.assertTrue(keys & {"aws:SourceArn", "aws:SourceAccount"}, statement)

    def test_other_accounts_send_under_their_own_sources_only(self) -> None:
        accounts, organization = statements(resources()["Bus"])
        tied = {
            "ForAllValues:StringEquals": {
                "events:source": {"Split": [",", {"Ref": "SenderSources"}]},
                "events:detail-type": "AMI Share Request",
            },
            "Null": {"events:source": "false", "events:detail-type": "false"},
        }
        self.assertEqual(accounts["Principal"], {"AWS": {"Split": [",", {"Ref": "SenderAccountIds"}]}})
        self.assertEqual(accounts["Condition"], tied)
        # A bus's policy lets principals of its own account in without any of theirs, so they are left out.
        self.assertEqual(
            organization["Condition"],
            tied
            | {
                "StringEquals": {"aws:PrincipalOrgID": {"Ref": "SenderOrganizationId"}},
                "StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}},
            },
        )

    def test_nobody_is_given_the_sources_of_the_stack(self) -> None:
        pattern = template()["Parameters"]["SenderSources"]["AllowedPattern"]
        for sources, is_allowed in [
            ("", True),
            ("com.example", True),
            ("com.example,com.ami-share.x", True),
            ("ami-share.ends", False),
            ("com.example,ami-share.ends", False),
            ("ami-share", False),
        ]:
            self.assertEqual(bool(re.fullmatch(pattern, sources)), is_allowed, sources)

    def test_only_scheduler_for_our_group_puts_hints_and_does_nothing_else(self) -> None:
        hints = "ami-share.ends"
        allowing = [
            (name, statement)
            for name, resource in resources().items()
            for statement in statements(resource)
            if hints in str(statement)
        ]
        [(name, statement)] = allowing
        self.assertEqual(
            (name, statement["Action"], statement["Resource"]), ("EndsRole", "events:PutEvents", {"GetAtt": "Bus.Arn"})
        )
        self.assertEqual(
            statement["Condition"],
            {"ForAllValues:StringEquals": {"events:source": hints}, "Null": {"events:source": "false"}},
        )
        role = resources()["EndsRole"]["Properties"]
        [trust] = role["AssumeRolePolicyDocument"]["Statement"]
        self.assertEqual(set(trust["Condition"]["StringEquals"]), {"aws:SourceAccount", "aws:SourceArn"})
        self.assertIn("schedule-group/${Ends}", trust["Condition"]["StringEquals"]["aws:SourceArn"]["Sub"])
        self.assertEqual([len(policy["PolicyDocument"]["Statement"]) for policy in role["Policies"]], [1])
        others = [r for r in resources().values() if r["Type"] == "AWS::IAM::Policy"]
        self.assertEqual(others, [], "no policy adds to the role's")
        rule = resources()["Function"]["Properties"]["Events"]["RecordDue"]["Properties"]
        self.assertEqual(
            rule["Pattern"],
            {"source": [hints], "detail-type": ["AMI Share Record Due"], "account": [{"Ref": "AWS::AccountId"}]},
        )

    def test_whoever_may_put_events_may_use_a_source_of_their_own_only(self) -> None:
        for statement in statements(resources()):
            if statement["Effect"] == "Allow" and "events:PutEvents" in str(statement["Action"]):
                self.assertIn("events:source", str(statement["Condition"]), statement)

    def test_keys_that_hold_several_values_are_compared_as_such(self) -> None:
        # Service Authorization Reference: the ArrayOfString keys that are used here. Of one value alone a plain operator
        # compares, and where there is none ForAllValues is content.
        several = {"events:source", "events:detail-type", "ec2:Add/userId", "ec2:Remove/userId", "kms:GrantOperations"}
        seen = set()
        for statement in statements(resources()):
            condition = statement.get("Condition", {})
            for operator, keys in condition.items():
                branches = keys["If"][1:] if "If" in keys else [keys]
                for key in {key for branch in branches for key in branch if key in several}:
                    seen.add(key)
                    if statement["Effect"] == "Allow" and operator != "Null":
                        self.assertEqual(operator, "ForAllValues:StringEquals", statement)
                        self.assertEqual(condition["Null"][key], "false", statement)
        self.assertEqual(seen, several)

    def test_queues_take_nothing_without_tls(self) -> None:
        queues = {name for name, r in resources().items() if r["Type"] == "AWS::SQS::Queue"}
        policies = [r["Properties"] for r in resources().values() if r["Type"] == "AWS::SQS::QueuePolicy"]
        denying = {
            queue["Ref"]
            for policy in policies
            for queue in policy["Queues"]
            for s in statements(policy)
            if (s["Effect"], s["Principal"], s["Condition"])
            == ("Deny", "*", {"Bool": {"aws:SecureTransport": "false"}})
        }
        self.assertEqual(denying, queues)

    def test_apis_take_no_tls_older_than_1_2(self) -> None:
        api = resources()["Api"]["Properties"]
        self.assertEqual(api["SecurityPolicy"], "SecurityPolicy_TLS13_1_2_2021_06")
        self.assertEqual(resources()["HttpApi"]["Properties"]["ProtocolType"], "HTTP")

    def test_a_private_api_has_no_other_way_in(self) -> None:
        allow, deny = statements(resources()["Api"])
        self.assertEqual((allow["Effect"], deny["Effect"], deny["Principal"]), ("Allow", "Deny", "*"))
        self.assertEqual(
            deny["Condition"], {"StringNotEquals": {"aws:SourceVpce": {"Split": [",", {"Ref": "ApiVpcEndpointIds"}]}}}
        )

    def test_every_role_of_the_stack_takes_the_boundary(self) -> None:
        boundary = {"If": ["HasBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]}
        for name, resource in resources().items():
            if resource["Type"] in ("AWS::IAM::Role", "AWS::Serverless::Function") and name != "EndsRole":
                self.assertEqual(resource["Properties"].get("PermissionsBoundary"), boundary, name)

    def test_only_the_triggers_may_invoke_the_function(self) -> None:
        permissions = {
            name: r["Properties"] for name, r in resources().items() if r["Type"] == "AWS::Lambda::Permission"
        }
        self.assertEqual(set(permissions), {"ApiPermission", "HttpApiPermission"})
        for name, properties in permissions.items():
            self.assertEqual(properties["Principal"], "apigateway.amazonaws.com")
            self.assertIn(f"${{{name.removesuffix('Permission')}}}/", properties["SourceArn"]["Sub"])


class Kept(unittest.TestCase):
    """What can't be made again outlives its stack, and stands in the way of no other."""

    def test_failures_and_logs_are_kept_and_have_no_names_that_collide(self) -> None:
        for name, resource in resources().items():
            if resource["Type"] in ("AWS::SQS::Queue", "AWS::Logs::LogGroup") and name != "Requests":  # it is no record
                with self.subTest(name):
                    self.assertEqual(
                        (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]),
                        ("RetainExceptOnCreate", "Retain"),
                    )
                    properties = resource["Properties"]
                    given = properties.get("QueueName") or properties.get("LogGroupName") or "AWS::StackId"
                    self.assertIn("AWS::StackId", str(given))

    def test_the_group_of_records_is_kept(self) -> None:
        # Deleting a group deletes its schedules: the shares that they would end last.
        group = resources()["Ends"]
        self.assertEqual((group["DeletionPolicy"], group["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))

    def test_the_longest_stack_name_the_guide_allows_fits_every_name(self) -> None:
        # The limits of the names, by their API references.
        limits = {
            "AWS::Events::EventBus": ("Name", 256),
            "AWS::Scheduler::ScheduleGroup": ("Name", 64),
            "AWS::ApiGatewayV2::Api": ("Name", 128),
            "AWS::Serverless::LayerVersion": ("LayerName", 140),
            "AWS::CloudWatch::Dashboard": ("DashboardName", 255),
            "AWS::SSM::Parameter": ("Name", 1011),
            "AWS::Logs::LogGroup": ("LogGroupName", 512),
            "AWS::SQS::Queue": ("QueueName", 80),
            "AWS::Serverless::Api": ("Name", 1024),
        }
        guide = (ROOT / "docs/deployment.md").read_text()
        longest = int(re.findall(r"stack's name has at most (\d+) characters", guide)[0])
        seen = 0
        for name, resource in resources().items():
            field, limit = limits.get(resource["Type"], ("", 0))
            text = str(resource["Properties"].get(field))
            if "AWS::StackName" in text:
                seen += 1
                given = re.search(r"\S*\$\{AWS::StackName\}[^'\"]*", text)
                rest = re.sub(r"\$\{AWS::StackName\}|^['\"\[{]+", "", given[0]) if given else ""
                rest = rest.replace("${AWS::Region}", "ap-southeast-99").replace("${Id}", "0" * 36)
                self.assertLessEqual(longest + len(rest), limit, name)
            elif field and "AWS::StackName" not in text:
                self.assertIn(text, ("None",), f"{name} has one name in all stacks")
        self.assertGreater(seen, 6)


if __name__ == "__main__":
    unittest.main()
