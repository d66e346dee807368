"""The template, deployed to the local AWS: what its role may do, who may invoke the function, what its parts say."""

import contextlib
import http.client
import json
import os
import tempfile
import time
import unittest
from pathlib import Path
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from local_aws.client import LocalAws
from local_aws.deploy import deploy

TARGET = "111122223333"


def setUpModule():
    global aws, stack
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    with tempfile.TemporaryDirectory() as folder:
        nothing = Path(folder) / "nothing"  # a function that can only fail
        nothing.write_text("")
        stack = deploy(aws, nothing, nothing)


class Role(unittest.TestCase):
    """Every statement of the function's role, in a role that a test may assume."""

    @classmethod
    def setUpClass(cls):
        iam, sts = aws.client("iam"), aws.client("sts")
        name = aws.client("lambda").get_function_configuration(FunctionName=stack["FunctionArn"])["Role"].rpartition("/")[2]
        trust = {"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"}, "Action": "sts:AssumeRole"}]}
        made = iam.create_role(RoleName="like-the-function", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            iam.put_role_policy(RoleName="like-the-function", PolicyName=policy, PolicyDocument=json.dumps(document))
        session = sts.assume_role(RoleArn=made["Arn"], RoleSessionName="test")["Credentials"]
        credentials = {"aws_access_key_id": session["AccessKeyId"], "aws_session_token": session["SessionToken"],
                       "aws_secret_access_key": session["SecretAccessKey"]}
        cls.credentials = credentials
        cls.ec2, cls.kms = aws.client("ec2", **credentials), aws.client("kms", **credentials)
        seeded = aws.seed(keys=[{"ref": "k"}], snapshots=[{"ref": "s", "key": "k"}],
                          images=[{"mappings": [{"device": "/dev/xvda", "snapshot": "s"}]},
                                  {"account": TARGET, "launchPermissions": [aws.account]}])
        [cls.image, cls.foreign] = [image["imageId"] for image in seeded["images"]]
        cls.snapshot, cls.key = seeded["snapshots"][0]["snapshotId"], seeded["keys"][0]["arn"]

    def denied(self, call, **kwargs):
        with self.assertRaises(ClientError) as caught:
            call(**kwargs)
        self.assertIn(caught.exception.response["Error"]["Code"], ("UnauthorizedOperation", "AccessDeniedException"))

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
        [group] = [g["Name"] for g in groups if g["Name"] == "ami-share-ends"]
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


class Stack(unittest.TestCase):
    def test_only_the_doors_may_invoke_the_function(self):
        policy = json.loads(aws.client("lambda").get_policy(FunctionName=stack["FunctionArn"])["Policy"])
        allowed = sorted((s["Principal"]["Service"], s["Condition"]["ArnLike"]["AWS:SourceArn"].partition("/")[2])
                         for s in policy["Statement"])
        rules = [r for r in allowed if r[0] == "events.amazonaws.com"]
        self.assertEqual([r for r in allowed if r not in rules], [("apigateway.amazonaws.com", "v1/*")])
        # The rule on the bus of the stack, and the one for images that became available on the default bus.
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
            "GET /images/{imageId}/shares/{target}", "DELETE /images/{imageId}/shares/{target}"), "AWS_IAM"))

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

    ALWAYS = {"BusName", "BusArn", "FunctionArn", "LogGroupName", "FailedRequestsUrl", "UndeliveredEventsUrl"}
    KEY = "arn:aws:kms:eu-west-1:999988887777:key/1234abcd-12ab-34cd-56ef-1234567890ab"

    def deployed(self, name, **parameters):
        with tempfile.TemporaryDirectory() as folder:
            nothing = Path(folder) / "nothing"
            nothing.write_text("")
            return deploy(aws, nothing, nothing, stack=name, **parameters)

    def statements(self, outputs):
        iam = aws.client("iam")
        name = aws.client("lambda").get_function_configuration(FunctionName=outputs["FunctionArn"])["Role"].rpartition("/")[2]
        document = iam.get_role_policy(RoleName=name, PolicyName="FunctionRolePolicy0")["PolicyDocument"]
        return {statement["Sid"]: statement for statement in document["Statement"]}

    def environment(self, outputs):
        return aws.client("lambda").get_function_configuration(FunctionName=outputs["FunctionArn"])["Environment"]["Variables"]

    def resources(self, name):
        pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
        return {r["LogicalResourceId"]: r["ResourceType"] for page in pages for r in page["StackResourceSummaries"]}

    def test_everything_optional_can_be_left_out(self):
        outputs = self.deployed("bare", EnableRestApi="false", EnableEnds="false", CreateAlarms="false", CreateDashboard="false")
        self.assertEqual(set(outputs), self.ALWAYS)
        self.assertFalse([sid for sid in self.statements(outputs) if "Expiries" in sid or "Scheduler" in sid])
        environment = self.environment(outputs)
        self.assertEqual((environment["AMI_SHARE_SCHEDULE_GROUP"], environment["AMI_SHARE_SCHEDULE_ROLE_ARN"]), ("", ""))
        kinds = set(self.resources("bare").values())
        for kind in ("AWS::ApiGateway::RestApi", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::Scheduler::ScheduleGroup",
                     "AWS::Lambda::Url", "AWS::ApiGatewayV2::Api", "AWS::Lambda::EventSourceMapping"):
            self.assertNotIn(kind, kinds)

    def test_every_door_can_be_opened(self):
        outputs = self.deployed(
            "open", JwtIssuer="https://login.example.com", JwtAudience="portal,cli", Queue="fifo", EnableFunctionUrl="true",
            OutcomeBusName="outcomes", EncryptionKeyArn=self.KEY, ReservedConcurrency="5")
        self.assertEqual(set(outputs), self.ALWAYS | {"ApiUrl", "ApiArn", "HttpApiUrl", "FunctionUrl", "QueueUrl", "QueueArn",
                                                      "FailedMessagesUrl"})
        statements = self.statements(outputs)
        self.assertEqual(statements["WorkOffTheQueue"]["Resource"], outputs["QueueArn"])
        self.assertEqual(statements["UseTheKeyOfTheQueues"]["Resource"], self.KEY)
        self.assertIn("PublishOutcomes", statements)
        client = aws.client("lambda")
        [mapping] = client.list_event_source_mappings(FunctionName=outputs["FunctionArn"])["EventSourceMappings"]
        self.assertEqual(mapping["FunctionResponseTypes"], ["ReportBatchItemFailures"])
        self.assertEqual(client.get_function_url_config(FunctionName=outputs["FunctionArn"])["AuthType"], "AWS_IAM")
        queue = aws.client("sqs").get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])["Attributes"]
        self.assertEqual((queue["FifoQueue"], queue["KmsMasterKeyId"]), ("true", self.KEY))
        client = aws.client("apigatewayv2")
        [api] = client.get_apis()["Items"]
        [route] = client.get_routes(ApiId=api["ApiId"])["Items"]
        self.assertEqual((route["RouteKey"], route["AuthorizationType"]), ("$default", "JWT"))
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
        outputs = self.deployed("parameter", AllowlistParameter="/ami-share/allowlist", AllowlistParameterKeyArn=self.KEY)
        self.assertEqual(self.environment(outputs)["AMI_SHARE_ALLOWLIST"], "ssm:/ami-share/allowlist")
        statements = self.statements(outputs)
        parameter = f"arn:aws:ssm:{aws.region}:{aws.account}:parameter/ami-share/allowlist"
        self.assertEqual(statements["ReadTheAllowlistParameter"]["Resource"], parameter)
        self.assertEqual(statements["DecryptTheAllowlistParameter"]["Condition"],
                         {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": parameter}})
        outputs = self.deployed("profile", AllowlistApplicationId="abc1234", AllowlistEnvironmentId="bcd1234",
                                AllowlistProfileId="cde1234")
        self.assertEqual(self.environment(outputs)["AMI_SHARE_ALLOWLIST"], "appconfig:abc1234/bcd1234/cde1234")
        self.assertEqual(self.statements(outputs)["ReadTheAllowlistProfile"]["Resource"],
                         f"arn:aws:appconfig:{aws.region}:{aws.account}:application/abc1234/environment/bcd1234/configuration/cde1234")
        for name in ("parameter", "profile"):
            self.assertNotIn("AWS::Lambda::LayerVersion", self.resources(name).values())

    def test_parameters_that_make_no_sense_together_are_refused(self):
        for parameters, why in (
                ({"AllowlistParameter": "/a", "AllowlistApplicationId": "abc1234"}, "either in a parameter"),
                ({"AllowlistApplicationId": "abc1234"}, "needs AllowlistEnvironmentId"),
                ({"JwtIssuer": "https://login.example.com"}, "needs JwtAudience"),
                ({"SenderAccountId": TARGET}, "needs SenderSources")):
            with self.subTest(why), self.assertRaisesRegex(ClientError, why):
                self.deployed("refused", **parameters)


if __name__ == "__main__":
    unittest.main()
