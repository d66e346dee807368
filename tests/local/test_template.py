"""The template, deployed to the local AWS: what its role may do, who may invoke the function, what its parts say."""

import contextlib
import http.client
import json
import os
import time
import unittest
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from local_aws.client import LocalAws
from local_aws.role import credentials, without_binary

TARGET, OTHER = "111122223333", "222233334444"
EVERY_KEY = "arn:aws:kms:eu-west-1:999988887777:key/*"


def setUpModule():
    global aws, stack
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    stack = deployed("ami-share")


def deployed(name, **parameters):
    return without_binary(aws, name, **parameters)


def statements(outputs):
    iam, name = aws.client("iam"), outputs["FunctionRoleArn"].rpartition("/")[2]
    document = iam.get_role_policy(RoleName=name, PolicyName="FunctionRolePolicy0")["PolicyDocument"]
    return {statement["Sid"]: statement for statement in document["Statement"]}


class Denied:
    """For tests of what a role may not do."""

    def denied(self, call, *args, **kwargs):
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        self.assertIn(caught.exception.response["Error"]["Code"],
                      ("UnauthorizedOperation", "AccessDeniedException", "AccessDenied"))


class Role(Denied, unittest.TestCase):
    """Every statement of the function's role, with every switch on."""

    @classmethod
    def setUpClass(cls):
        cls.stack = deployed("role", EnableKeyGrants="true", KeyArns=EVERY_KEY, EnableCopyAccess="true", OutcomeBusName="outcomes")
        cls.credentials = made = credentials(aws, cls.stack["FunctionRoleArn"])
        cls.ec2, cls.kms = aws.client("ec2", **made), aws.client("kms", **made)
        seeded = aws.seed(keys=[{"ref": "k"}], snapshots=[{"ref": "s", "key": "k"}],
                          images=[{"mappings": [{"device": "/dev/xvda", "snapshot": "s"}]},
                                  {"account": TARGET, "launchPermissions": [aws.account]}])
        [cls.image, cls.foreign] = [image["imageId"] for image in seeded["images"]]
        cls.snapshot, cls.key = seeded["snapshots"][0]["snapshotId"], seeded["keys"][0]["arn"]

    def test_it_may_do_what_sharing_takes(self):
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
            self.ec2.modify_snapshot_attribute(SnapshotId=self.snapshot, Attribute="createVolumePermission",
                                               OperationType=change, UserIds=[TARGET])
        told = self.ec2.describe_snapshot_attribute(SnapshotId=self.snapshot, Attribute="createVolumePermission")
        self.assertEqual(told["CreateVolumePermissions"], [])
        self.ec2.get_image_block_public_access_state()
        service_role = f"arn:aws:iam::{TARGET}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        for grantee in (f"arn:aws:iam::{TARGET}:root", service_role):
            grant = self.kms.create_grant(KeyId=self.key, GranteePrincipal=grantee, Operations=["Decrypt", "CreateGrant"])
            self.kms.revoke_grant(KeyId=self.key, GrantId=grant["GrantId"])
        self.assertEqual(self.kms.list_grants(KeyId=self.key)["Grants"], [])

    def test_it_may_record_expiries_in_its_own_group_only_and_change_none(self):
        scheduler = aws.client("scheduler", **self.credentials)
        groups = aws.client("scheduler").list_schedule_groups()["ScheduleGroups"]
        [group] = [g["Name"] for g in groups if g["Name"] == "role-ends"]
        record = {"Name": "record", "ScheduleExpression": "at(2099-01-01T00:00:00)", "FlexibleTimeWindow": {"Mode": "OFF"},
                  "Target": {"Arn": stack["BusArn"], "RoleArn": f"arn:aws:iam::{aws.account}:role/any", "Input": "{}",
                             "EventBridgeParameters": {"Source": "ami-share.ends", "DetailType": "AMI Share Record Due"}}}
        scheduler.create_schedule(GroupName=group, **record)
        self.denied(scheduler.update_schedule, GroupName=group, **record)
        self.assertEqual(len(scheduler.list_schedules(GroupName=group)["Schedules"]), 1)
        scheduler.delete_schedule(GroupName=group, Name="record")
        self.denied(scheduler.create_schedule, GroupName="default", **record)

    def test_it_may_not_change_anything_else_of_an_image(self):
        image = {"ImageId": self.image}
        self.denied(self.ec2.modify_image_attribute, Description={"Value": "x"}, **image)
        self.denied(self.ec2.modify_image_attribute, ImdsSupport={"Value": "v2.0"}, **image)
        self.denied(self.ec2.disable_image, **image)
        self.denied(self.ec2.deregister_image, **image)
        self.denied(self.ec2.create_tags, Resources=[self.image], Tags=[{"Key": "Tier", "Value": "gold"}])

    def test_it_may_not_touch_other_accounts_images(self):
        self.denied(self.ec2.modify_image_attribute, ImageId=self.foreign, LaunchPermission={"Add": [{"UserId": TARGET}]})
        self.denied(self.ec2.describe_image_attribute, ImageId=self.foreign, Attribute="launchPermission")

    def test_it_may_not_open_keys_snapshots_or_the_account(self):
        grantee = f"arn:aws:iam::{TARGET}:root"
        self.denied(self.kms.create_grant, KeyId=self.key, GranteePrincipal=grantee, Operations=["Decrypt", "RetireGrant"])
        for other in (f"arn:aws:iam::{TARGET}:role/app", f"arn:aws:iam::{TARGET}:user/ada"):
            self.denied(self.kms.create_grant, KeyId=self.key, GranteePrincipal=other, Operations=["Decrypt"])
        self.denied(self.kms.put_key_policy, KeyId=self.key, Policy="{}")
        self.denied(self.ec2.modify_snapshot_attribute, SnapshotId=self.snapshot,
                    CreateVolumePermission={"Add": [{"Group": "all"}]})
        self.denied(self.ec2.modify_snapshot_attribute, SnapshotId=self.snapshot, Attribute="createVolumePermission",
                    OperationType="add", GroupNames=["all"])
        self.denied(self.ec2.disable_image_block_public_access)


    def test_it_puts_events_under_its_own_sources_only(self):
        aws.client("events").create_event_bus(Name="outcomes")
        events = aws.client("events", **self.credentials)

        def put(bus, *entries):
            events.put_events(Entries=[{"EventBusName": bus, "Source": source, "DetailType": kind, "Detail": "{}"}
                                       for source, kind in entries])

        own, rest = ("ami-share", "AMI Share Request Completed"), ("ami-share.audit", "AMI Share Request")
        put("outcomes", own)
        put(self.stack["BusName"], rest)
        # Both keys have several values: one entry of another source and the whole call is refused.
        for bus, *entries in (("outcomes", rest), ("outcomes", own, ("com.example", "x")), (self.stack["BusName"], own),
                              (self.stack["BusName"], rest, own), (self.stack["BusName"], ("ami-share.audit", "x"))):
            with self.subTest(bus=bus, entries=entries):
                self.denied(put, bus, *entries)


class Switches(Denied, unittest.TestCase):
    """What EnableKeyGrants and EnableCopyAccess let the role do, on and off, and for which keys and accounts."""

    def setUp(self):
        made = aws.seed(keys=[{"ref": "k"}, {"ref": "l"}], snapshots=[{"ref": "s", "key": "k"}])
        self.key, self.other_key = (key["arn"] for key in made["keys"])
        self.snapshot = made["snapshots"][0]["snapshotId"]

    def role(self, name, **parameters):
        outputs = deployed(name, **parameters)
        made = credentials(aws, outputs["FunctionRoleArn"])
        return outputs, aws.client("ec2", **made), aws.client("kms", **made)

    def grant(self, kms, account, key=None, grantee="root"):
        return kms.create_grant(KeyId=key or self.key, GranteePrincipal=f"arn:aws:iam::{account}:{grantee}",
                                Operations=["Decrypt"])["GrantId"]

    def modify(self, ec2, change, account):
        ec2.modify_snapshot_attribute(SnapshotId=self.snapshot, Attribute="createVolumePermission",
                                      OperationType=change, UserIds=[account])

    def environment(self, outputs):
        client = aws.client("lambda")
        variables = client.get_function_configuration(FunctionName=outputs["FunctionArn"])["Environment"]["Variables"]
        return variables["AMI_SHARE_KEY_GRANTS"], variables["AMI_SHARE_COPY_ACCESS"]

    def test_off_nothing_is_given_and_everything_taken(self):
        outputs, ec2, kms = self.role("switched-off")
        self.assertEqual(self.environment(outputs), ("off", "off"))
        self.denied(self.grant, kms=kms, account=TARGET)
        self.denied(self.modify, ec2=ec2, change="add", account=TARGET)
        grant = self.grant(aws.client("kms"), TARGET)
        self.modify(aws.client("ec2"), "add", TARGET)
        kms.revoke_grant(KeyId=self.key, GrantId=grant)
        self.modify(ec2, "remove", TARGET)
        told = aws.client("ec2").describe_snapshot_attribute(SnapshotId=self.snapshot, Attribute="createVolumePermission")
        self.assertEqual(told["CreateVolumePermissions"], [])

    def test_one_does_not_bring_the_other(self):
        outputs, ec2, kms = self.role("copy-only", EnableCopyAccess="true")
        self.assertEqual(self.environment(outputs), ("off", "on"))
        self.modify(ec2, "add", TARGET)
        self.denied(self.grant, kms=kms, account=TARGET)
        outputs, ec2, kms = self.role("grants-only", EnableKeyGrants="true", KeyArns=EVERY_KEY)
        self.assertEqual(self.environment(outputs), ("on", "off"))
        self.grant(kms, TARGET)
        self.denied(self.modify, ec2=ec2, change="add", account=TARGET)

    def test_grants_are_made_on_the_keys_that_are_named(self):
        _, _, kms = self.role("named-keys", EnableKeyGrants="true", KeyArns=f"{self.key},{self.key}0")
        self.grant(kms, TARGET)
        self.denied(self.grant, kms=kms, account=TARGET, key=self.other_key)

    def test_grants_are_made_on_keys_with_the_tag(self):
        _, _, kms = self.role("tagged-keys", EnableKeyGrants="true", KeyTagValue="golden")
        self.denied(self.grant, kms=kms, account=TARGET)
        for key, value in ((self.key, "golden"), (self.other_key, "silver")):
            aws.client("kms").tag_resource(KeyId=key, Tags=[{"TagKey": "ami-share", "TagValue": value}])
        self.grant(kms, TARGET)
        self.denied(self.grant, kms=kms, account=TARGET, key=self.other_key)

    def test_only_the_accounts_of_the_list_are_given_anything(self):
        _, ec2, kms = self.role("few-targets", EnableKeyGrants="true", KeyArns=EVERY_KEY, EnableCopyAccess="true",
                                TargetAccounts=f"{TARGET},{OTHER}")
        role = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        for account in (TARGET, OTHER):
            for grantee in ("root", role):
                self.grant(kms, account, grantee=grantee)
            self.denied(self.grant, kms=kms, account=account, grantee="role/app")
            self.modify(ec2, "add", account)
        for grantee in ("root", role):
            self.denied(self.grant, kms=kms, account="333344445555", grantee=grantee)
        self.denied(self.modify, ec2=ec2, change="add", account="333344445555")
        self.denied(ec2.modify_snapshot_attribute, SnapshotId=self.snapshot, Attribute="createVolumePermission",
                    OperationType="add", UserIds=[TARGET, "333344445555"])
        # Whoever has something from before loses it all the same.
        self.modify(aws.client("ec2"), "add", "333344445555")
        self.modify(ec2, "remove", "333344445555")


class Stack(unittest.TestCase):
    def test_only_the_triggers_may_invoke_the_function(self):
        policy = json.loads(aws.client("lambda").get_policy(FunctionName=stack["FunctionArn"])["Policy"])
        allowed = sorted((s["Principal"]["Service"], s["Condition"]["ArnLike"]["AWS:SourceArn"].partition("/")[2])
                         for s in policy["Statement"])
        rules = [r for r in allowed if r[0] == "events.amazonaws.com"]
        self.assertEqual([r for r in allowed if r not in rules], [("apigateway.amazonaws.com", "v1/*")])
        # The rules on the bus of the stack, for requests and for records that are due, and the one on the default bus.
        self.assertEqual(sorted(r[1].startswith("ami-share/") for r in rules), [False, True, True], rules)

    def test_every_method_asks_for_a_signature(self):
        api = aws.client("apigateway")
        [one] = [a for a in api.get_rest_apis()["items"] if a["id"] in stack["ApiUrl"]]
        methods = {f"{name} {resource['path']}": api.get_method(
                       restApiId=one["id"], resourceId=resource["id"], httpMethod=name)["authorizationType"]
                   for resource in api.get_resources(restApiId=one["id"])["items"]
                   for name in resource.get("resourceMethods", {})}
        self.assertEqual(methods, dict.fromkeys((
            "POST /requests", "GET /images/{imageId}/shares", "POST /images/{imageId}/shares",
            "GET /images/{imageId}/shares/{target}", "DELETE /images/{imageId}/shares/{target}",
            "GET /targets/{accountId}/shares"), "AWS_IAM"))

    def test_a_request_that_fails_is_kept(self):
        detail = {"action": "list", "imageIds": ["ami-00000000"]}
        aws.client("events").put_events(Entries=[{"EventBusName": stack["BusName"], "Source": "test",
                                                  "DetailType": "AMI Share Request", "Detail": json.dumps(detail)}])
        sqs, deadline, found = aws.client("sqs"), time.monotonic() + 30, []
        while not found and time.monotonic() < deadline:
            found = sqs.receive_message(QueueUrl=stack["FailedRequestsUrl"], WaitTimeSeconds=2).get("Messages", [])
        self.assertEqual([json.loads(m["Body"])["requestPayload"]["detail"] for m in found], [detail])

    def test_failures_are_kept_encrypted(self):
        sqs = aws.client("sqs")
        for name in ("FailedRequestsUrl", "UndeliveredEventsUrl"):
            with self.subTest(name):
                told = sqs.get_queue_attributes(QueueUrl=stack[name], AttributeNames=["All"])["Attributes"]
                self.assertEqual((told["SqsManagedSseEnabled"], told["MessageRetentionPeriod"]), ("true", "1209600"))
        config = aws.client("lambda").get_function_event_invoke_config(
            FunctionName=stack["FunctionArn"], Qualifier="$LATEST")
        failed = config["DestinationConfig"]["OnFailure"]["Destination"]
        self.assertEqual(failed.rpartition(":")[2], stack["FailedRequestsUrl"].rpartition("/")[2])


class Choices(unittest.TestCase):
    """What the parameters add and leave out."""

    ALWAYS = {"BusName", "BusArn", "FunctionArn", "FunctionRoleArn", "LogGroupName", "FailedRequestsUrl", "UndeliveredEventsUrl"}
    KEY = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"

    def environment(self, outputs):
        return aws.client("lambda").get_function_configuration(FunctionName=outputs["FunctionArn"])["Environment"]["Variables"]

    def resources(self, name):
        pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        return {r["LogicalResourceId"]: r["ResourceType"] for page in pages for r in page["StackResourceSummaries"]}

    def test_everything_optional_can_be_left_out(self):
        outputs = deployed("bare", EnableRestApi="false", EnableEnds="false", CreateAlarms="false", CreateDashboard="false")
        self.assertEqual(set(outputs), self.ALWAYS)
        self.assertFalse([sid for sid in statements(outputs) if "Expiries" in sid or "Scheduler" in sid])
        environment = self.environment(outputs)
        self.assertEqual((environment["AMI_SHARE_SCHEDULE_GROUP"], environment["AMI_SHARE_SCHEDULE_ROLE_ARN"]), ("", ""))
        kinds = set(self.resources("bare").values())
        for kind in ("AWS::ApiGateway::RestApi", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Scheduler::ScheduleGroup",
                     "AWS::Lambda::Url", "AWS::ApiGatewayV2::Api", "AWS::Lambda::EventSourceMapping"):
            self.assertNotIn(kind, kinds)

    def test_every_trigger_can_be_added(self):
        outputs = deployed(
            "open", JwtIssuer="https://login.example.com", JwtAudience="portal,cli", Queue="fifo", EnableFunctionUrl="true",
            OutcomeBusName="outcomes", EncryptionKeyArn=self.KEY, ReservedConcurrency="5", RestApiAccessLog="true",
            CorsOrigins="https://portal.example.com,http://localhost:8080")
        self.assertEqual(set(outputs), self.ALWAYS | {"ApiUrl", "ApiArn", "HttpApiUrl", "FunctionUrl", "QueueUrl", "QueueArn",
                                                      "FailedMessagesUrl"})
        found = statements(outputs)
        self.assertEqual(found["ProcessTheQueue"]["Resource"], outputs["QueueArn"])
        self.assertEqual(found["UseTheKeyOfTheQueues"]["Resource"], self.KEY)
        self.assertIn("PublishOutcomes", found)
        client = aws.client("lambda")
        [mapping] = client.list_event_source_mappings(FunctionName=outputs["FunctionArn"])["EventSourceMappings"]
        self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
        self.assertEqual(client.get_function_url_config(FunctionName=outputs["FunctionArn"])["AuthType"], "AWS_IAM")
        queue = aws.client("sqs").get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
        self.assertEqual((queue["FifoQueue"], queue["KmsMasterKeyId"]), ("true", self.KEY))
        self.assertTrue(outputs["QueueArn"].endswith(".fifo"))
        client = aws.client("apigatewayv2")
        [api] = client.get_apis()["Items"]
        routes = {route["RouteKey"]: route["AuthorizationType"] for route in client.get_routes(ApiId=api["ApiId"])["Items"]}
        self.assertEqual(routes, {"$default": "JWT", "OPTIONS /{proxy+}": "NONE"})
        [stage] = client.get_stages(ApiId=api["ApiId"])["Items"]
        self.assertIn(":log-group:/aws/vendedlogs/open/http-", stage["AccessLogSettings"]["DestinationArn"])
        [authorizer] = client.get_authorizers(ApiId=api["ApiId"])["Items"]
        self.assertEqual(authorizer["JwtConfiguration"], {"Issuer": "https://login.example.com", "Audience": ["portal", "cli"]})
        self.assertEqual(self.status(outputs["HttpApiUrl"], "/requests"), 401)

    def status(self, url, path):
        """What somebody without a token is answered."""
        connection = http.client.HTTPConnection(urlsplit(aws.endpoint).netloc, timeout=10)
        with contextlib.closing(connection):
            connection.request("POST", path, "{}", {"Host": urlsplit(url).netloc, "Content-Type": "application/json"})
            return connection.getresponse().status

    def test_the_allowlist_comes_from_where_the_parameters_say(self):
        outputs = deployed("parameter", AllowlistParameter="/ami-share/allowlist", AllowlistParameterKeyArn=self.KEY)
        self.assertEqual(self.environment(outputs)["AMI_SHARE_ALLOWLIST"], "ssm:/ami-share/allowlist")
        found = statements(outputs)
        parameter = f"arn:aws:ssm:{aws.region}:{aws.account}:parameter/ami-share/allowlist"
        self.assertEqual(found["ReadTheAllowlistParameter"]["Resource"], parameter)
        self.assertEqual(found["DecryptTheAllowlistParameter"]["Condition"],
                         {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": parameter}})
        outputs = deployed("profile", AllowlistApplicationId="abc1234", AllowlistEnvironmentId="bcd1234",
                                AllowlistProfileId="cde1234")
        self.assertEqual(self.environment(outputs)["AMI_SHARE_ALLOWLIST"], "appconfig:abc1234/bcd1234/cde1234")
        self.assertEqual(statements(outputs)["ReadTheAllowlistProfile"]["Resource"],
                         f"arn:aws:appconfig:{aws.region}:{aws.account}:application/abc1234/environment/bcd1234/configuration/cde1234")
        for name in ("parameter", "profile"):
            self.assertNotIn("AWS::Lambda::LayerVersion", self.resources(name).values())

    def test_parameters_that_make_no_sense_together_are_refused(self):
        for parameters, why in (
                ({"AllowlistParameter": "/a", "AllowlistApplicationId": "abc1234"}, "either in a parameter"),
                ({"AllowlistApplicationId": "abc1234"}, "needs AllowlistEnvironmentId"),
                ({"JwtIssuer": "https://login.example.com"}, "needs JwtAudience"),
                ({"AllowlistParameter": "/a", "AllowlistInLayer": "true"}, "or in the layer"),
                ({"AllowlistApplicationId": "abc1234", "AllowlistEnvironmentId": "bcd1234", "AllowlistProfileId": "cde1234",
                  "AllowlistInLayer": "true"}, "or in the layer"),
                ({"SenderAccountIds": TARGET}, "need SenderSources"),
                ({"SenderOrganizationId": "o-a1b2c3d4e5"}, "need SenderSources"),
                ({"CorsOrigins": "https://portal.example.com"}, "needs JwtIssuer"),
                ({"EnableKeyGrants": "true"}, "needs KeyArns or KeyTagValue"),
                ({"EnableKeyGrants": "true", "KeyArns": EVERY_KEY, "KeyTagValue": "golden"}, "either by KeyArns or"),
                # A space after a comma would be part of an account, an audience, a source.
                ({"JwtAudience": "portal, cli"}, "JwtAudience"),
                ({"SenderSources": "com.example, com.other"}, "SenderSources"),
                ({"SenderSources": "com.example,ami-share.ends"}, "SenderSources"),
                ({"ApiCallerAccounts": f"{TARGET}, {OTHER}"}, "ApiCallerAccounts"),
                ({"TargetAccounts": f"{TARGET}, {OTHER}"}, "TargetAccounts"),
                ({"KeyArns": f"{EVERY_KEY}, {EVERY_KEY}"}, "KeyArns"),
                ({"CorsOrigins": "https://a.example, https://b.example"}, "CorsOrigins"),
                ({"CorsOrigins": "*"}, "CorsOrigins")):
            with self.subTest(why), self.assertRaisesRegex(ClientError, why):
                deployed("refused", **parameters)

    def test_without_an_allowlist_the_stack_makes_one_for_this_account(self):
        outputs = deployed("first", AllowlistInLayer="false")
        self.assertEqual(self.environment(outputs)["AMI_SHARE_ALLOWLIST"], "ssm:/first/first-allowlist")
        parameter = f"arn:aws:ssm:{aws.region}:{aws.account}:parameter/first/first-allowlist"
        self.assertEqual(statements(outputs)["ReadTheFirstAllowlist"]["Resource"], parameter)
        text = aws.client("ssm").get_parameter(Name="/first/first-allowlist")["Parameter"]["Value"]
        self.assertIn(f'"events:{aws.account}:ami-share.audit"', text)
        self.assertNotIn("AWS::Lambda::LayerVersion", self.resources("first").values())

    def test_layers_are_each_stacks_own(self):
        for name in ("one", "two"):
            deployed(name)
        layers = {layer["LayerName"] for layer in aws.client("lambda").list_layers()["Layers"]}
        self.assertLessEqual({"one-allowlist", "two-allowlist"}, layers)

    def test_a_refused_audit_is_kept_and_missed(self):
        schedule = aws.client("scheduler").get_schedule(Name=self.physical("Audit"))
        self.assertEqual(schedule["Target"]["DeadLetterConfig"]["Arn"].rpartition(":")[2],
                         stack["UndeliveredEventsUrl"].rpartition("/")[2])
        alarm = self.alarm("AuditMissingAlarm")
        self.assertEqual((alarm["Period"] * alarm["EvaluationPeriods"], alarm["TreatMissingData"]), (25 * 3600, "breaching"))

    def test_alarms_watch_the_rules_and_the_group_of_this_stack(self):
        for rule, alarm in (("FunctionRequest", "LostRequestsAlarm"), ("FunctionRecordDue", "LostHintsAlarm")):
            name = self.physical(rule).rpartition("|")[2]
            told = {d["Name"]: d["Value"] for d in self.alarm(alarm)["Dimensions"]}
            self.assertEqual(told, {"EventBusName": "ami-share", "RuleName": name})
        told = {d["Name"]: d["Value"] for d in self.alarm("LostImageEventsAlarm")["Dimensions"]}
        self.assertEqual(told, {"RuleName": self.physical("FunctionImageAvailable")})
        told = {d["Name"]: d["Value"] for d in self.alarm("ScheduleDroppedAlarm")["Dimensions"]}
        self.assertEqual(told, {"ScheduleGroup": "ami-share-ends"})

    def physical(self, name):
        found = aws.client("cloudformation").describe_stack_resource(StackName="ami-share", LogicalResourceId=name)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def alarm(self, name):
        [alarm] = aws.client("cloudwatch").describe_alarms(AlarmNames=[self.physical(name)])["MetricAlarms"]
        return alarm


if __name__ == "__main__":
    unittest.main()
