"""What the function's role may do against the calls that src/aws can make: nothing more, nothing less."""

import json
import re
import unittest
from collections.abc import Callable, Iterator
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.pages import blocks
from ami_share_tools.repository import ROOT
from ami_share_tools.template import resources, template

# The prefix of a client's actions in IAM (Service Authorization Reference), where it is not the client's own name.
PREFIXES = {"eventbridge": "events"}
# What is done in the role's name by others, and why.
IN_ITS_NAME = {
    "iam:PassRole": "scheduler:CreateSchedule names the role by which Scheduler puts hints on the bus",
    "ec2:CreateTags": "CopyImage tags the copy with its source's tags",
    "kms:Decrypt": "Parameter Store decrypts a SecureString, SQS the messages of an encrypted queue, EC2 the source of a copy",
    "kms:GenerateDataKeyWithoutPlaintext": "EC2 encrypts a copy",
    "kms:ReEncryptFrom": "EC2 encrypts a copy",
    "kms:ReEncryptTo": "EC2 encrypts a copy",
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


def policies_of_the_guides() -> Iterator[tuple[str, list[Document]]]:
    """The policies that the guides tell readers to paste, by page."""
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]):
        found = [json.loads(text) for text in blocks(str(page.relative_to(ROOT)), "json")]
        yield page.name, [block for block in found if "Statement" in block]


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
            "ec2:DescribeImageUsageReportEntries",
            "ec2:DescribeImageUsageReports",
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

    # What Scheduler does in a role's name with an event that it can't deliver.
    KEEPING = [
        ("sqs:SendMessage", {"GetAtt": "UndeliveredEvents.Arn"}),
        (["kms:GenerateDataKey", "kms:Decrypt"], {"Ref": "EncryptionKeyArn"}),
    ]

    def test_scheduler_takes_each_role_for_schedules_of_one_group_and_keeps_what_it_can_not_deliver(self) -> None:
        roles = {"ExpiryRole": "schedule-group/${Expiries}", "AuditRole": "schedule-group/default"}
        for name, group in roles.items():
            role = resources()[name]["Properties"]
            [trust] = statements(role["AssumeRolePolicyDocument"])
            self.assertEqual(set(trust["Condition"]["StringEquals"]), {"aws:SourceAccount", "aws:SourceArn"})
            self.assertTrue(trust["Condition"]["StringEquals"]["aws:SourceArn"]["Sub"].endswith(group), name)
            kept = [
                (s["Action"], s["Resource"]) for s in statements(role["Policies"]) if s["Action"] != "events:PutEvents"
            ]
            self.assertEqual(kept, self.KEEPING, name)
        queue = {"GetAtt": "UndeliveredEvents.Arn"}
        self.assertEqual(resources()["Audit"]["Properties"]["Target"]["DeadLetterConfig"], {"Arn": queue})
        variables = resources()["Function"]["Properties"]["Environment"]["Variables"]
        self.assertEqual(variables["AMI_SHARE_SCHEDULE_DLQ_ARN"], {"If": ["HasExpiry", queue, ""]})

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
            (name, statement["Action"], statement["Resource"]),
            ("ExpiryRole", "events:PutEvents", {"GetAtt": "Bus.Arn"}),
        )
        self.assertEqual(
            statement["Condition"],
            {"ForAllValues:StringEquals": {"events:source": hints}, "Null": {"events:source": "false"}},
        )
        role = resources()["ExpiryRole"]["Properties"]
        self.assertEqual(
            [(s["Action"], s["Resource"]) for s in statements(role["Policies"]) if s != statement], self.KEEPING
        )
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
        for where, policies in (("template.yaml", resources()), *policies_of_the_guides()):
            seen = set()
            for statement in statements(policies):
                condition = statement.get("Condition", {})
                for operator, keys in condition.items():
                    branches = keys["If"][1:] if "If" in keys else [keys]
                    for key in {key for branch in branches for key in branch if key in several}:
                        seen.add(key)
                        if statement["Effect"] == "Allow" and operator != "Null":
                            self.assertEqual(operator, "ForAllValues:StringEquals", (where, statement))
                            self.assertEqual(condition["Null"][key], "false", (where, statement))
            self.assertEqual(
                seen,
                {
                    "template.yaml": several,
                    "deployment.md": {"events:source", "events:detail-type"},
                    "copies.md": {"events:source"},
                }.get(where, set()),
                where,
            )

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
            if resource["Type"] in ("AWS::IAM::Role", "AWS::Serverless::Function"):
                self.assertEqual(resource["Properties"].get("PermissionsBoundary"), boundary, name)

    def test_only_the_triggers_may_invoke_the_function(self) -> None:
        permissions = {
            name: r["Properties"] for name, r in resources().items() if r["Type"] == "AWS::Lambda::Permission"
        }
        self.assertEqual(set(permissions), {"ApiPermission", "HttpApiPermission"})
        for name, properties in permissions.items():
            self.assertEqual(properties["Principal"], "apigateway.amazonaws.com")
            self.assertIn(f"${{{name.removesuffix('Permission')}}}/", properties["SourceArn"]["Sub"])


NO_VALUE = {"Ref": "AWS::NoValue"}


class Resolved:
    """The template with values for its parameters, as far as CloudFormation can know before it creates anything."""

    def __init__(self, **parameters: str) -> None:
        self.parameters = {name: str(p["Default"]) for name, p in template()["Parameters"].items()} | parameters

    def resource(self, name: str) -> Any:
        resource = resources()[name]
        return self.value(resource["Properties"]) if self.holds(resource.get("Condition")) else None

    def holds(self, condition: str | None) -> bool:
        return condition is None or bool(self.value(template()["Conditions"][condition]))

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self.value, value) if item != NO_VALUE]
        if not isinstance(value, dict):
            return value
        name, given = next(iter(value.items())) if len(value) == 1 else ("", {})
        if name == "Ref" and given in self.parameters:
            return self.parameters[given]
        if name == "Condition" and isinstance(given, str):
            return self.holds(given)
        if name == "If":
            return self.value(given[1] if self.holds(given[0]) else given[2])
        if name in ("Equals", "Not", "And", "Or", "Split"):
            functions: dict[str, Callable[[Any], Any]] = {
                "Equals": lambda given: str(given[0]) == str(given[1]),
                "Not": lambda given: not given[0],
                "And": all,
                "Or": any,
                "Split": lambda given: given[1].split(given[0]),
            }
            return functions[name](self.value(given))
        found = {key: self.value(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if item != NO_VALUE}


class Choices(unittest.TestCase):
    """What the parameters set whose effect the local AWS ignores; python/tests/deployment/test_template_choices.py tries the others."""

    BOUNDARY = "arn:aws:iam::999988887777:policy/boundary"
    ACCOUNTS = "111122223333,222233334444"

    def check(self, name: str, path: list[str | int], default: Any, other: Any, **parameters: str) -> None:
        rows: list[tuple[dict[str, str], Any]] = [({}, default), (parameters, other)]
        for given, expected in rows:
            found = Resolved(**given).resource(name)
            for step in path:
                found = None if found is None else found[step] if isinstance(step, int) else found.get(step)
            self.assertEqual(found, expected, (name, given))

    def test_the_function_is_as_the_parameters_say(self) -> None:
        self.check("Function", ["Tracing"], "Disabled", "Active", Tracing="Active")
        self.check("Api", ["TracingEnabled"], False, True, Tracing="Active")
        self.check("Function", ["ReservedConcurrentExecutions"], None, "0", ReservedConcurrency="0")
        for role in ("Function", "ExpiryRole", "AuditRole"):
            self.check(role, ["PermissionsBoundary"], None, self.BOUNDARY, PermissionsBoundaryArn=self.BOUNDARY)

    def test_the_rest_api_is_as_the_parameters_say(self) -> None:
        destination = {"GetAtt": "RestApiLog.Arn"}
        self.check("Api", ["AccessLogSetting", "DestinationArn"], None, destination, RestApiAccessLog="true")
        policy = ["DefinitionBody", "x-amazon-apigateway-policy", "Statement"]
        callers = {"AWS": self.ACCOUNTS.split(",")}
        self.check("Api", [*policy, 0, "Principal"], None, callers, ApiCallerAccounts=self.ACCOUNTS)
        endpoints = {"ApiVpcEndpointIds": "vpce-0a,vpce-0b"}
        self.check(
            "Api",
            ["EndpointConfiguration"],
            {"Type": "REGIONAL"},
            {"Type": "PRIVATE", "VPCEndpointIds": ["vpce-0a", "vpce-0b"]},
            **endpoints,
        )
        self.check("Api", ["EndpointAccessMode"], "STRICT", "BASIC", **endpoints)
        self.check("Api", [*policy, 0, "Principal"], None, {"AWS": {"Ref": "AWS::AccountId"}}, **endpoints)
        self.check(
            "Api",
            [*policy, 1, "Condition"],
            None,
            {"StringNotEquals": {"aws:SourceVpce": ["vpce-0a", "vpce-0b"]}},
            **endpoints,
        )

    def test_scripts_of_the_named_origins_alone_may_call_the_http_api(self) -> None:
        tokens = {"JwtIssuer": "https://login.example.com", "JwtAudience": "portal,cli"}
        self.check("HttpApi", ["CorsConfiguration"], None, None, **tokens)
        self.check(
            "HttpApi",
            ["CorsConfiguration"],
            None,
            {
                "AllowOrigins": ["https://portal.example.com", "http://localhost:8080"],
                "AllowMethods": ["GET", "POST", "DELETE"],
                "AllowHeaders": ["authorization", "content-type"],
                "ExposeHeaders": ["retry-after"],
                "MaxAge": 300,
            },
            CorsOrigins="https://portal.example.com,http://localhost:8080",
            **tokens,
        )

    def test_the_bus_takes_from_other_accounts_what_the_parameters_say(self) -> None:
        tied = {
            "ForAllValues:StringEquals": {
                "events:source": ["com.example", "com.other"],
                "events:detail-type": "AMI Share Request",
            },
            "Null": {"events:source": "false", "events:detail-type": "false"},
        }
        sources = {"SenderSources": "com.example,com.other"}
        self.check("Bus", ["Policy"], None, None, **sources)
        for given, principal, condition in (
            ({"SenderAccountIds": self.ACCOUNTS}, {"AWS": self.ACCOUNTS.split(",")}, tied),
            (
                {"SenderOrganizationId": "o-a1b2c3d4e5"},
                "*",
                tied
                | {
                    "StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"},
                    "StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}},
                },
            ),
        ):
            [statement] = Resolved(**sources, **given).resource("Bus")["Policy"]["Statement"]
            self.assertEqual((statement["Principal"], statement["Condition"]), (principal, condition))


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
        group = resources()["Expiries"]
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
