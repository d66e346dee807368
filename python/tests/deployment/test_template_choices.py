"""The template, deployed to the local AWS: who may invoke the function, what its parts say, what its parameters choose."""

import contextlib
import http.client
import json
import os
import time
import unittest
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import LocalAws
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


def statements(outputs: dict[str, str]) -> Document:
    iam, name = aws.client("iam"), outputs["FunctionRoleArn"].rpartition("/")[2]
    document = iam.get_role_policy(RoleName=name, PolicyName="FunctionRolePolicy0")["PolicyDocument"]
    return {statement["Sid"]: statement for statement in document["Statement"]}


class Stack(unittest.TestCase):
    def test_only_the_triggers_may_invoke_the_function(self) -> None:
        policy = json.loads(aws.client("lambda").get_policy(FunctionName=stack["FunctionArn"])["Policy"])
        allowed = sorted(
            (s["Principal"]["Service"], s["Condition"]["ArnLike"]["AWS:SourceArn"].partition("/")[2])
            for s in policy["Statement"]
        )
        rules = [r for r in allowed if r[0] == "events.amazonaws.com"]
        self.assertEqual([r for r in allowed if r not in rules], [("apigateway.amazonaws.com", "v1/*")])
        # The rules on the bus of the stack, for requests and for records that are due, and the one on the default bus.
        self.assertEqual(sorted(r[1].startswith("ami-share/") for r in rules), [False, True, True], rules)

    def test_every_method_asks_for_a_signature(self) -> None:
        api = aws.client("apigateway")
        [one] = [a for a in api.get_rest_apis()["items"] if a["id"] in stack["ApiUrl"]]
        methods = {
            f"{name} {resource['path']}": api.get_method(
                restApiId=one["id"], resourceId=resource["id"], httpMethod=name
            )["authorizationType"]
            for resource in api.get_resources(restApiId=one["id"])["items"]
            for name in resource.get("resourceMethods", {})
        }
        self.assertEqual(
            methods,
            dict.fromkeys(
                (
                    "POST /requests",
                    "GET /approvals",
                    "POST /approvals/{id}",
                    "DELETE /approvals/{id}",
                    "GET /images",
                    "GET /images/{imageId}/shares",
                    "POST /images/{imageId}/shares",
                    "GET /images/{imageId}/shares/{target}",
                    "DELETE /images/{imageId}/shares/{target}",
                    "GET /images/{imageId}/usage",
                    "GET /targets/{accountId}/shares",
                ),
                "AWS_IAM",
            ),
        )

    def test_a_request_that_fails_is_kept(self) -> None:
        detail = {"action": "list", "imageIds": ["ami-00000000"]}
        aws.client("events").put_events(
            Entries=[
                {
                    "EventBusName": stack["BusName"],
                    "Source": "test",
                    "DetailType": "AMI Share Request",
                    "Detail": json.dumps(detail),
                }
            ]
        )
        sqs, deadline = aws.client("sqs"), time.monotonic() + 30
        found: list[Document] = []
        while not found and time.monotonic() < deadline:
            found = sqs.receive_message(QueueUrl=stack["FailedRequestsUrl"], WaitTimeSeconds=2).get("Messages", [])
        self.assertEqual([json.loads(m["Body"])["requestPayload"]["detail"] for m in found], [detail])

    def test_failures_are_kept_encrypted(self) -> None:
        sqs = aws.client("sqs")
        for name in ("FailedRequestsUrl", "UndeliveredEventsUrl"):
            with self.subTest(name):
                told = sqs.get_queue_attributes(QueueUrl=stack[name], AttributeNames=["All"])["Attributes"]
                self.assertEqual((told["SqsManagedSseEnabled"], told["MessageRetentionPeriod"]), ("true", "1209600"))
        config = aws.client("lambda").get_function_event_invoke_config(
            FunctionName=stack["FunctionArn"], Qualifier="$LATEST"
        )
        failed = config["DestinationConfig"]["OnFailure"]["Destination"]
        self.assertEqual(failed.rpartition(":")[2], stack["FailedRequestsUrl"].rpartition("/")[2])


class Parameters(unittest.TestCase):
    """Each parameter at its default and at another value, by what the local AWS then has."""

    TOPIC = "arn:aws:sns:eu-west-1:999988887777:on-call"
    KEY = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    # Parameter: its other value, where to look, what is there by default, what with the other value.
    ROWS = {
        "AllowlistTtlSeconds": ("5", "environment AMI_SHARE_ALLOWLIST_TTL", "60", "5"),
        "MaxEventAgeSeconds": ("60", "environment AMI_SHARE_MAX_EVENT_AGE", "900", "60"),
        "EntityQuota": ("7", "environment AMI_SHARE_ENTITY_QUOTA", "1000", "7"),
        "GroupsClaim": ("cognito:groups", "environment AMI_SHARE_GROUPS_CLAIM", "groups", "cognito:groups"),
        "OutcomeBusName": ("outcomes", "environment AMI_SHARE_OUTCOME_BUS", "", "outcomes"),
        "EnableKeyGrants": ("true", "environment AMI_SHARE_KEY_GRANTS", "off", "on"),
        "EnableCopyAccess": ("true", "environment AMI_SHARE_COPY_ACCESS", "off", "on"),
        "LogLevel": ("DEBUG", "function LoggingConfig ApplicationLogLevel", "INFO", "DEBUG"),
        "StageName": ("live", "stage stageName", "v1", "live"),
        "ApiRateLimit": ("3", "stage methodSettings */* throttlingRateLimit", 10, 3),
        "ApiBurstLimit": ("4", "stage methodSettings */* throttlingBurstLimit", 20, 4),
        "LogRetentionDays": ("30", "log retentionInDays", 365, 30),
        "EncryptionKeyArn": (KEY, "failures KmsMasterKeyId", None, KEY),
        "AuditSchedule": ("cron(0 6 * * ? *)", "audit ScheduleExpression", "rate(1 day)", "cron(0 6 * * ? *)"),
        "AuditAlarmHours": ("30", "alarm AuditMissingAlarm EvaluationPeriods", 25, 30),
        "RefusalAlarmThreshold": ("3", "alarm RefusalsAlarm Threshold", 20, 3),
        "AlarmTopicArn": (TOPIC, "alarm RefusalsAlarm AlarmActions", [], [TOPIC]),
    }
    # Tried by other tests of this folder.
    ELSEWHERE = {
        "AllowlistParameter",
        "AllowlistParameterKeyArn",
        "AllowlistApplicationId",
        "AllowlistEnvironmentId",
        "AllowlistProfileId",
        "AllowlistInLayer",
        "EnableRestApi",
        "JwtIssuer",
        "JwtAudience",
        "CorsOrigins",
        "PageClientId",
        "PageTokenOrigin",
        "Queue",
        "EnableFunctionUrl",
        "EnableExpiry",
        "KeyArns",
        "KeyTagValue",
        "EnableCopies",
        "EnableApprovals",
        "CopySourceRegions",
        "CopyKeyArns",
        "TargetAccounts",
        "PublishPrefix",
        "CreateAlarms",
        "CreateDashboard",
    }
    # The local AWS ignores what they set: python/tests/api/test_permissions.py resolves the template with them.
    IGNORED = {
        "Tracing",
        "ReservedConcurrency",
        "RestApiAccessLog",
        "ApiCallerAccounts",
        "ApiVpcEndpointIds",
        "SenderAccountIds",
        "SenderOrganizationId",
        "SenderSources",
        "PermissionsBoundaryArn",
    }

    def test_each_is_tried_off_and_on(self) -> None:
        text = "".join(file.read_text() for file in Path(__file__).parent.glob("test_template_*.py"))
        summary = aws.client("cloudformation").get_template_summary(StackName="ami-share")["Parameters"]
        self.assertEqual({p["ParameterKey"] for p in summary}, set(self.ROWS) | self.ELSEWHERE | self.IGNORED)
        for name in self.ELSEWHERE:
            self.assertRegex(text, rf"\b{name}=", name)
        outputs = deployed("set", KeyTagValue="golden", **{name: row[0] for name, row in self.ROWS.items()})
        before, after = self.found("ami-share", stack), self.found("set", outputs)
        for name, (_, where, default, other) in self.ROWS.items():
            with self.subTest(name):
                kind, *path = where.split()
                self.assertEqual((self.at(before[kind], path), self.at(after[kind], path)), (default, other))

    def at(self, found: Any, path: list[str]) -> Any:
        for step in path:
            found = (found or {}).get(step)
        return found

    def found(self, name: str, outputs: dict[str, str]) -> Document:
        """What there is of a stack, by the words of the table."""

        def physical(logical: str) -> str:
            told = aws.client("cloudformation").describe_stack_resource(StackName=name, LogicalResourceId=logical)
            return told["StackResourceDetail"]["PhysicalResourceId"]

        function = aws.client("lambda").get_function_configuration(FunctionName=outputs["FunctionArn"])
        api = urlsplit(outputs["ApiUrl"]).netloc.partition(".")[0]
        alarms = aws.client("cloudwatch").describe_alarms(
            AlarmNames=[physical("AuditMissingAlarm"), physical("RefusalsAlarm")]
        )
        [log] = aws.client("logs").describe_log_groups(logGroupNamePrefix=outputs["LogGroupName"])["logGroups"]
        return {
            "function": function,
            "environment": function["Environment"]["Variables"],
            "stage": aws.client("apigateway").get_stages(restApiId=api)["item"][0],
            "log": log,
            "failures": aws.client("sqs").get_queue_attributes(
                QueueUrl=outputs["FailedRequestsUrl"], AttributeNames=["All"]
            )["Attributes"],
            "audit": aws.client("scheduler").get_schedule(Name=physical("Audit")),
            "alarm": {
                kind: alarm
                for alarm in alarms["MetricAlarms"]
                for kind in ("AuditMissingAlarm", "RefusalsAlarm")
                if alarm["AlarmName"] == physical(kind)
            },
        }


class Choices(unittest.TestCase):
    """What the parameters add and leave out."""

    ALWAYS = {
        "BusName",
        "BusArn",
        "FunctionArn",
        "FunctionRoleArn",
        "LogGroupName",
        "FailedRequestsUrl",
        "UndeliveredEventsUrl",
    }
    KEY = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"

    def environment(self, outputs: dict[str, str]) -> dict[str, str]:
        return aws.client("lambda").get_function_configuration(FunctionName=outputs["FunctionArn"])["Environment"][
            "Variables"
        ]

    def resources(self, name: str) -> dict[str, str]:
        pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        return {r["LogicalResourceId"]: r["ResourceType"] for page in pages for r in page["StackResourceSummaries"]}

    def test_everything_optional_can_be_left_out(self) -> None:
        outputs = deployed(
            "bare", EnableRestApi="false", EnableExpiry="false", CreateAlarms="false", CreateDashboard="false"
        )
        self.assertEqual(set(outputs), self.ALWAYS)
        self.assertFalse([sid for sid in statements(outputs) if "Expiries" in sid or "Scheduler" in sid])
        environment = self.environment(outputs)
        self.assertEqual(
            (environment["AMI_SHARE_SCHEDULE_GROUP"], environment["AMI_SHARE_SCHEDULE_ROLE_ARN"]), ("", "")
        )
        kinds = set(self.resources("bare").values())
        for kind in (
            "AWS::ApiGateway::RestApi",
            "AWS::CloudWatch::Alarm",
            "AWS::CloudWatch::Dashboard",
            "AWS::Scheduler::ScheduleGroup",
            "AWS::Lambda::Url",
            "AWS::ApiGatewayV2::Api",
            "AWS::Lambda::EventSourceMapping",
        ):
            self.assertNotIn(kind, kinds)

    def test_every_trigger_can_be_added(self) -> None:
        outputs = deployed(
            "open",
            JwtIssuer="https://login.example.com",
            JwtAudience="portal,cli",
            Queue="fifo",
            EnableFunctionUrl="true",
            OutcomeBusName="outcomes",
            EncryptionKeyArn=self.KEY,
            ReservedConcurrency="5",
            RestApiAccessLog="true",
            CorsOrigins="https://portal.example.com,http://localhost:8080",
            PageClientId="portal",
            PageTokenOrigin="https://tokens.example.com",
        )
        self.assertEqual(
            set(outputs),
            self.ALWAYS
            | {"ApiUrl", "ApiArn", "HttpApiUrl", "PageUrl", "FunctionUrl", "QueueUrl", "QueueArn", "FailedMessagesUrl"},
        )
        found = statements(outputs)
        self.assertEqual(found["ProcessTheQueue"]["Resource"], outputs["QueueArn"])
        self.assertEqual(found["UseTheKeyOfTheQueues"]["Resource"], self.KEY)
        self.assertIn("PublishOutcomes", found)
        client = aws.client("lambda")
        [mapping] = client.list_event_source_mappings(FunctionName=outputs["FunctionArn"])["EventSourceMappings"]
        self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
        self.assertEqual(client.get_function_url_config(FunctionName=outputs["FunctionArn"])["AuthType"], "AWS_IAM")
        queue = aws.client("sqs").get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])[
            "Attributes"
        ]
        self.assertEqual((queue["FifoQueue"], queue["KmsMasterKeyId"]), ("true", self.KEY))
        self.assertTrue(outputs["QueueArn"].endswith(".fifo"))
        client = aws.client("apigatewayv2")
        [api] = client.get_apis()["Items"]
        routes = {
            route["RouteKey"]: route["AuthorizationType"] for route in client.get_routes(ApiId=api["ApiId"])["Items"]
        }
        self.assertEqual(routes, {"$default": "JWT", "GET /": "NONE", "OPTIONS /{proxy+}": "NONE"})
        [stage] = client.get_stages(ApiId=api["ApiId"])["Items"]
        self.assertEqual(set(stage["RouteSettings"]), {"GET /"})
        self.assertEqual(outputs["PageUrl"], outputs["HttpApiUrl"] + "/")
        variables = self.environment(outputs)
        page = {name: value for name, value in variables.items() if name.startswith("AMI_SHARE_PAGE_")}
        self.assertEqual(
            page,
            {
                "AMI_SHARE_PAGE_ISSUER": "https://login.example.com",
                "AMI_SHARE_PAGE_CLIENT_ID": "portal",
                "AMI_SHARE_PAGE_TOKEN_ORIGIN": "https://tokens.example.com",
            },
        )
        self.assertIn(":log-group:/aws/vendedlogs/open/http-", stage["AccessLogSettings"]["DestinationArn"])
        [authorizer] = client.get_authorizers(ApiId=api["ApiId"])["Items"]
        self.assertEqual(
            authorizer["JwtConfiguration"], {"Issuer": "https://login.example.com", "Audience": ["portal", "cli"]}
        )
        self.assertEqual(self.status(outputs["HttpApiUrl"], "/requests"), 401)

    def status(self, url: str, path: str) -> int:
        """What somebody without a token is answered."""
        connection = http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", path, "{}", {"Host": urlsplit(url).netloc, "Content-Type": "application/json"})
            return connection.getresponse().status

    def test_the_allowlist_comes_from_where_the_parameters_say(self) -> None:
        outputs = deployed("parameter", AllowlistParameter="/ami-share/allowlist", AllowlistParameterKeyArn=self.KEY)
        self.assertEqual(self.environment(outputs)["AMI_SHARE_ALLOWLIST"], "ssm:/ami-share/allowlist")
        found = statements(outputs)
        parameter = f"arn:aws:ssm:{aws.region}:{aws.account}:parameter/ami-share/allowlist"
        self.assertEqual(found["ReadTheAllowlistParameter"]["Resource"], parameter)
        self.assertEqual(
            found["DecryptTheAllowlistParameter"]["Condition"],
            {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": parameter}},
        )
        outputs = deployed(
            "profile", AllowlistApplicationId="abc1234", AllowlistEnvironmentId="bcd1234", AllowlistProfileId="cde1234"
        )
        self.assertEqual(self.environment(outputs)["AMI_SHARE_ALLOWLIST"], "appconfig:abc1234/bcd1234/cde1234")
        self.assertEqual(
            statements(outputs)["ReadTheAllowlistProfile"]["Resource"],
            f"arn:aws:appconfig:{aws.region}:{aws.account}:application/abc1234/environment/bcd1234/configuration/cde1234",
        )
        for name in ("parameter", "profile"):
            self.assertNotIn("AWS::Lambda::LayerVersion", self.resources(name).values())

    def test_parameters_that_make_no_sense_together_are_refused(self) -> None:
        for parameters, why in (
            ({"AllowlistParameter": "/a", "AllowlistApplicationId": "abc1234"}, "either in a parameter"),
            ({"AllowlistApplicationId": "abc1234"}, "needs AllowlistEnvironmentId"),
            ({"JwtIssuer": "https://login.example.com"}, "needs JwtAudience"),
            ({"AllowlistParameter": "/a", "AllowlistInLayer": "true"}, "or in the layer"),
            (
                {
                    "AllowlistApplicationId": "abc1234",
                    "AllowlistEnvironmentId": "bcd1234",
                    "AllowlistProfileId": "cde1234",
                    "AllowlistInLayer": "true",
                },
                "or in the layer",
            ),
            ({"SenderAccountIds": TARGET}, "need SenderSources"),
            ({"SenderOrganizationId": "o-a1b2c3d4e5"}, "need SenderSources"),
            ({"CorsOrigins": "https://portal.example.com"}, "needs JwtIssuer"),
            ({"PageClientId": "portal"}, "needs JwtIssuer"),
            ({"PageTokenOrigin": "https://tokens.example.com"}, "needs PageClientId"),
            ({"PageTokenOrigin": "https://tokens.example.com/"}, "PageTokenOrigin"),
            ({"JwtIssuer": "http://login.example.com"}, "JwtIssuer"),
            ({"EnableKeyGrants": "true"}, "needs KeyArns or KeyTagValue"),
            ({"EnableKeyGrants": "true", "KeyArns": EVERY_KEY, "KeyTagValue": "golden"}, "either by KeyArns or"),
            ({"EnableCopies": "true", "CopyKeyArns": EVERY_KEY}, "needs CopySourceRegions and CopyKeyArns"),
            ({"EnableCopies": "true", "CopySourceRegions": "eu-west-1"}, "needs CopySourceRegions and CopyKeyArns"),
            (
                {
                    "EnableCopies": "true",
                    "CopySourceRegions": "eu-west-1",
                    "CopyKeyArns": EVERY_KEY,
                    "EnableExpiry": "false",
                },
                "EnableCopies needs EnableExpiry",
            ),
            ({"EnableApprovals": "true", "EnableExpiry": "false"}, "EnableApprovals needs EnableExpiry"),
            ({"CopySourceRegions": "eu-west-1, eu-central-1"}, "CopySourceRegions"),
            ({"CopySourceRegions": "*"}, "CopySourceRegions"),
            # A space after a comma would be part of an account, an audience, a source.
            ({"JwtAudience": "portal, cli"}, "JwtAudience"),
            ({"SenderSources": "com.example, com.other"}, "SenderSources"),
            ({"SenderSources": "com.example,ami-share.ends"}, "SenderSources"),
            ({"ApiCallerAccounts": f"{TARGET}, {OTHER}"}, "ApiCallerAccounts"),
            ({"TargetAccounts": f"{TARGET}, {OTHER}"}, "TargetAccounts"),
            ({"KeyArns": f"{EVERY_KEY}, {EVERY_KEY}"}, "KeyArns"),
            ({"CorsOrigins": "https://a.example, https://b.example"}, "CorsOrigins"),
            ({"CorsOrigins": "*"}, "CorsOrigins"),
        ):
            with self.subTest(why), self.assertRaisesRegex(ClientError, why):
                deployed("refused", **parameters)

    def test_without_an_allowlist_the_stack_makes_one_for_this_account(self) -> None:
        outputs = deployed("first", AllowlistInLayer="false")
        self.assertEqual(self.environment(outputs)["AMI_SHARE_ALLOWLIST"], "ssm:/first/first-allowlist")
        parameter = f"arn:aws:ssm:{aws.region}:{aws.account}:parameter/first/first-allowlist"
        self.assertEqual(statements(outputs)["ReadTheFirstAllowlist"]["Resource"], parameter)
        text = aws.client("ssm").get_parameter(Name="/first/first-allowlist")["Parameter"]["Value"]
        self.assertIn(f'"events:{aws.account}:ami-share.audit"', text)
        self.assertNotIn("AWS::Lambda::LayerVersion", self.resources("first").values())

    def test_a_stack_makes_copies_only_if_it_is_told_to(self) -> None:
        self.assertEqual(self.environment(stack)["AMI_SHARE_RECORD_KEY"], "")
        self.assertNotIn("AWS::KMS::Key", self.resources("ami-share").values())
        outputs = deployed("copying", EnableCopies="true", CopySourceRegions="eu-central-1", CopyKeyArns=self.KEY)
        arn = self.environment(outputs)["AMI_SHARE_RECORD_KEY"]
        self.assertEqual(self.switches(outputs), ("on", "off"))
        self.assertEqual(self.switches(stack), ("off", "off"))
        told = aws.client("kms").describe_key(KeyId=arn)["KeyMetadata"]
        self.assertEqual((told["Arn"], told["KeySpec"], told["KeyUsage"]), (arn, "HMAC_256", "GENERATE_VERIFY_MAC"))
        self.assertEqual(statements(outputs)["MakeTheCodesOfRecords"]["Resource"], arn)
        for name, states in (("ami-share", ["available"]), ("copying", ["available", "failed"])):
            rule = aws.client("events").describe_rule(Name=self.physical("FunctionImageAvailable", name))
            self.assertEqual(json.loads(rule["EventPattern"])["detail"], {"State": states}, name)

    def switches(self, outputs: dict[str, str]) -> tuple[str, str]:
        variables = self.environment(outputs)
        return variables["AMI_SHARE_COPIES"], variables["AMI_SHARE_APPROVALS"]

    def test_a_stack_with_approvals_marks_its_records(self) -> None:
        outputs = deployed("approving", EnableApprovals="true")
        arn = self.environment(outputs)["AMI_SHARE_RECORD_KEY"]
        self.assertEqual(self.switches(outputs), ("off", "on"))
        self.assertEqual(aws.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeySpec"], "HMAC_256")
        self.assertEqual(statements(outputs)["MakeTheCodesOfRecords"]["Resource"], arn)

    def test_layers_are_each_stacks_own(self) -> None:
        for name in ("one", "two"):
            deployed(name)
        layers = {layer["LayerName"] for layer in aws.client("lambda").list_layers()["Layers"]}
        self.assertLessEqual({"one-allowlist", "two-allowlist"}, layers)

    def test_a_refused_audit_is_kept_and_missed(self) -> None:
        schedule = aws.client("scheduler").get_schedule(Name=self.physical("Audit"))
        self.assertEqual(
            schedule["Target"]["DeadLetterConfig"]["Arn"].rpartition(":")[2],
            stack["UndeliveredEventsUrl"].rpartition("/")[2],
        )
        alarm = self.alarm("AuditMissingAlarm")
        self.assertEqual(
            (alarm["Period"] * alarm["EvaluationPeriods"], alarm["TreatMissingData"]), (25 * 3600, "breaching")
        )

    def test_alarms_watch_the_rules_and_the_group_of_this_stack(self) -> None:
        for rule, alarm in (("FunctionRequest", "LostRequestsAlarm"), ("FunctionRecordDue", "LostHintsAlarm")):
            name = self.physical(rule).rpartition("|")[2]
            told = {d["Name"]: d["Value"] for d in self.alarm(alarm)["Dimensions"]}
            self.assertEqual(told, {"EventBusName": "ami-share", "RuleName": name})
        told = {d["Name"]: d["Value"] for d in self.alarm("LostImageEventsAlarm")["Dimensions"]}
        self.assertEqual(told, {"RuleName": self.physical("FunctionImageAvailable")})
        told = {d["Name"]: d["Value"] for d in self.alarm("ScheduleDroppedAlarm")["Dimensions"]}
        self.assertEqual(told, {"ScheduleGroup": "ami-share-expiries"})

    def physical(self, name: str, of: str = "ami-share") -> str:
        found = aws.client("cloudformation").describe_stack_resource(StackName=of, LogicalResourceId=name)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def alarm(self, name: str) -> Document:
        [alarm] = aws.client("cloudwatch").describe_alarms(AlarmNames=[self.physical(name)])["MetricAlarms"]
        return alarm


if __name__ == "__main__":
    unittest.main()
