"""The demo: deploy the real template to a local AWS, share and refuse images through its doors, check every scene.

Run it with `make demo`. It exits with 1 and a sentence when something is not as promised, with 130 after Ctrl-C.
"""

import json
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ami_share_tools.demo import aftermath
from ami_share_tools.demo import screen
from ami_share_tools.demo import stage
from ami_share_tools.local_aws.client import LocalAws
from ami_share_tools.local_aws.deploy import ROOT, deploy
from ami_share_tools.demo.portal import Api, Role, invoke, put_event
from ami_share_tools.demo.screen import fact, launch_permissions, paint, say, section, snapshot_permissions
from ami_share_tools.demo.stage import BATCH, OFF_LIST, PARTNER, PROD, STAGING, UNIT

EVENT_SECONDS = 30
STACK = "ami-share"


class NotAsPromised(Exception):
    """A scene did not show what it says."""


def expect(truth, promise):
    if not truth:
        raise NotAsPromised(promise)


def main():
    for number in (signal.SIGINT, signal.SIGTERM):  # whatever the shell that started us ignores
        signal.signal(number, signal.default_int_handler)
    scratch = Path(tempfile.mkdtemp(prefix="ami-share-demo-"))
    try:
        play(scratch)
    except KeyboardInterrupt:
        say("\nStopped. Everything the demo started is gone.")
        shutil.rmtree(scratch)
        return 130
    except Exception as problem:
        kind = "" if isinstance(problem, NotAsPromised) else f"{type(problem).__name__}: "
        say(f"\n{paint('The demo failed', 'bold', 'red')}: {kind}{problem}")
        say(f"The logs are in {scratch}")
        return 1
    shutil.rmtree(scratch)
    return 0


def play(logs):
    section(
        "Build", "The function's binary, dev profile. The first build takes about 7 minutes and up to 9 GB of memory."
    )
    binary = Path(stage.build())
    with LocalAws(logs / "local-aws.log") as aws:
        session = aws.process.pid  # it leads a session of its own, in which all it starts is
        scenes = Scenes(aws, binary)
        try:
            scenes.play()
        except Exception:
            (logs / "function.log").write_text("\n".join(scenes.function_log()))
            raise
        section("Afterwards")
        running = aftermath.session_processes(session)
        if running is not None:
            heard = aftermath.listeners(running)
            expect(heard and all(map(aftermath.is_loopback, heard)), f"something listened beyond loopback: {heard}")
            fact("listening", f"{len(heard)} sockets, all on 127.0.0.1")
    left = aftermath.wait_until_gone(session)
    expect(not left, f"processes were left behind: {left}")
    fact("left behind", "nothing" if left is not None else "not checked: this system has no /proc")
    say(f"\n{paint('Every scene was as promised.', 'bold', 'green')}\n")


class Scenes:
    """The stage set up, and one method a scene."""

    def __init__(self, aws, binary):
        self.aws, self.ec2 = aws, aws.client("ec2")
        section(
            "Deploy",
            "template.yaml, as it is, through CloudFormation: the function, its REST API with IAM"
            " authorization, its event bus, its FIFO queue. The allowlist is demo/allowlist.yaml.",
        )
        started = time.monotonic()
        every_key = f"arn:aws:kms:{aws.region}:{aws.account}:key/*"  # made after the stack; name yours
        self.stack = deploy(
            aws,
            binary,
            ROOT / "demo/allowlist.yaml",
            Queue="fifo",
            EnableCopyAccess="true",
            EnableKeyGrants="true",
            KeyArns=every_key,
        )
        for name in ("ApiUrl", "BusArn", "QueueArn", "FunctionArn"):
            fact(name, self.stack[name])
        fact("took", f"{time.monotonic() - started:.1f} s")
        self.images = stage.seed(aws)
        self.api = Api(aws, self.stack["ApiUrl"])
        self.portal, self.operator, self.stranger = (
            Role(aws, name) for name in ("portal", "platform-operator", "stranger")
        )

    def play(self):
        for scene in (
            self.share,
            self.share_again,
            self.key_lets_in,
            self.target_off_the_list,
            self.key_lets_nobody_in,
            self.aws_managed_key,
            self.somebody_elses,
            self.dry_run,
            self.list,
            self.check,
            self.revoke,
            self.copy_with_grants,
            self.copy_again,
            self.one_account_less,
            self.one_volume_spoils_it,
            self.a_unit_without_create_grant,
            self.the_remedy_applied,
            self.over_the_bus,
            self.one_after_the_other,
            self.by_itself,
            self.an_expiry,
            self.a_forged_expiry,
            self.its_expiry,
            self.an_expiry_without_its_image,
            self.an_audit,
            self.a_repair,
            self.audit_by_schedule,
            self.a_stranger,
            self.unsigned,
        ):
            scene()

    def shares(self, image):
        return f"/images/{self.images[image]}/shares"

    def entries(self, image):
        """EC2's own answer, without the function in between."""
        told = self.ec2.describe_image_attribute(ImageId=self.images[image], Attribute="launchPermission")
        return told["LaunchPermissions"]

    def permissions(self, image):
        """The same, shown, as ids and ARNs."""
        told = self.entries(image)
        launch_permissions(told)
        return [value for permission in told for value in permission.values()]

    def key_of(self, image):
        """The key of an image's only snapshot."""
        [described] = self.ec2.describe_images(ImageIds=[self.images[image]])["Images"]
        [mapping] = described["BlockDeviceMappings"]
        [snapshot] = self.ec2.describe_snapshots(SnapshotIds=[mapping["Ebs"]["SnapshotId"]])["Snapshots"]
        return snapshot["KmsKeyId"]

    def the_schedule(self):
        """The only record of an expiry, or None."""
        scheduler, group = self.aws.client("scheduler"), f"{STACK}-expiries"
        names = [schedule["Name"] for schedule in scheduler.list_schedules(GroupName=group)["Schedules"]]
        expect(len(names) <= 1, f"one record at most was promised, not {names}")
        return scheduler.get_schedule(GroupName=group, Name=names[0]) if names else None

    def until(self, is_so, otherwise):
        """What `is_so` gives as soon as it gives something; nobody says when an event has been dealt with."""
        deadline = time.monotonic() + EVENT_SECONDS
        while not (found := is_so()):
            expect(time.monotonic() < deadline, f"{otherwise} within {EVENT_SECONDS} seconds")
            time.sleep(0.1)
        return found

    def logged(self, requester):
        lines = self.until(
            lambda: [line for line in self.function_log() if requester in line and "completed" in line],
            "the outcome was not logged",
        )
        fact("logged", json.loads(lines[0])["message"])

    def refused(self, status, outcome, code, http):
        codes = [refusal["code"] for refusal in outcome.get("refusals", [])]
        expect(
            (status, codes) == (http, [code]), f"a refusal {code} with {http} was promised, not {status} with {codes}"
        )

    def completed(self, status, outcome, changed):
        expect(
            (status, outcome.get("result")) == (200, "completed"),
            f"200 and completed were promised, not {status} and {outcome.get('result')}",
        )
        expect([image["changed"] for image in outcome["images"]] == [changed], f"changed: {changed} was promised")

    def share(self):
        section("Share an image", "golden-web is not encrypted. The portal may share golden images with prod-web.")
        status, outcome = self.api.call(
            self.portal, "POST", self.shares("golden-web"), {"accountIds": [PROD], "reason": "release 1.4"}
        )
        self.completed(status, outcome, changed=True)
        expect(self.permissions("golden-web") == [PROD], "the image should be shared with prod-web and nobody else")

    def share_again(self):
        section("The same request again", "What is there already is not written again.")
        self.aws.forget_calls()
        status, outcome = self.api.call(self.portal, "POST", self.shares("golden-web"), {"accountIds": [PROD]})
        self.completed(status, outcome, changed=False)
        expect(outcome["images"][0]["steps"] == [], "a repeat should have no steps")
        self.nothing_written()

    def key_lets_in(self):
        section(
            "Share an encrypted image",
            "The snapshot behind golden-db is on a customer managed key. Its policy has"
            " the two statements of AWS's guide for prod-web.",
        )
        status, outcome = self.api.call(self.portal, "POST", self.shares("golden-db"), {"accountIds": [PROD]})
        self.completed(status, outcome, changed=True)
        expect([key["verdict"] for key in outcome["images"][0]["keys"]] == ["allowed"], "the key should be allowed")
        expect(self.permissions("golden-db") == [PROD], "the image should be shared with prod-web")

    def target_off_the_list(self):
        section("A target that is not on the allowlist", f"No rule lets the portal share anything with {OFF_LIST}.")
        status, outcome = self.api.call(self.portal, "POST", self.shares("golden-web"), {"accountIds": [OFF_LIST]})
        self.refused(status, outcome, "TargetNotAllowed", 403)
        expect(self.permissions("golden-web") == [PROD], "a refusal should change nothing")

    def key_lets_nobody_in(self):
        section(
            "A key that lets nobody in",
            "golden-vault could be shared, and every launch of it would fail: its key's"
            " policy does not know prod-web. The refusal brings the statements to add.",
        )
        status, outcome = self.api.call(self.portal, "POST", self.shares("golden-vault"), {"accountIds": [PROD]})
        self.refused(status, outcome, "KeyAccessMissing", 409)
        expect(outcome["refusals"][0].get("remedy"), "the refusal should bring a remedy")
        expect(self.permissions("golden-vault") == [], "a refusal should change nothing")

    def aws_managed_key(self):
        section("The AWS managed key", "golden-legacy is encrypted with aws/ebs, whose policy nobody can change.")
        status, outcome = self.api.call(self.portal, "POST", self.shares("golden-legacy"), {"accountIds": [PROD]})
        self.refused(status, outcome, "DefaultKey", 409)
        expect(self.permissions("golden-legacy") == [], "a refusal should change nothing")

    def somebody_elses(self):
        section(
            "Somebody else's image",
            "Operators may reset any image, yet golden-partner belongs to another account,"
            f" {PARTNER}: this one may only launch it.",
        )
        status, outcome = self.api.call(
            self.operator, "POST", "/requests", {"action": "reset", "imageIds": [self.images["golden-partner"]]}
        )
        self.refused(status, outcome, "ImageNotOwned", 409)

    def dry_run(self):
        section("A dry run", "Decide and plan everything, change nothing: would golden-web go to staging-web as well?")
        status, outcome = self.api.call(
            self.portal, "POST", self.shares("golden-web") + "?dryRun=true", {"accountIds": [STAGING]}
        )
        expect((status, outcome.get("result")) == (200, "planned"), f"200 and planned were promised, not {status}")
        expect([s["state"] for s in outcome["images"][0]["steps"]] == ["planned"], "one planned step was promised")
        expect(self.permissions("golden-web") == [PROD], "a dry run should change nothing")

    def list(self):
        section("Who may launch it?", "The list is what EC2 says at this moment.")
        status, outcome = self.api.call(self.portal, "GET", self.shares("golden-db"))
        expect((status, outcome.get("result")) == (200, "completed"), f"200 and completed were promised, not {status}")
        told = outcome["images"][0]["permissions"]["launch"]
        fact("permissions", ", ".join(f"{entry['type']} {entry['id']}" for entry in told))
        expect(told == [{"type": "account", "id": PROD}], "the list should name prod-web alone")

    def check(self):
        section("Would it launch?", "A check answers for one image and one account, and names what a share would meet.")
        status, outcome = self.api.call(self.portal, "GET", f"{self.shares('golden-vault')}/{PROD}")
        expect(status == 200, f"200 was promised, not {status}")
        expect([t["state"] for t in outcome["images"][0]["targets"]] == ["not-shared"], "it should not be shared")
        expect(
            "KeyAccessMissing" in [r["code"] for r in outcome["refusals"]],
            "the check should name the missing key access",
        )

    def revoke(self):
        section("Take it back")
        status, outcome = self.api.call(self.portal, "DELETE", f"{self.shares('golden-web')}/{PROD}")
        self.completed(status, outcome, changed=True)
        expect([t["state"] for t in outcome["images"][0]["targets"]] == ["revoked"], "the target should be revoked")
        expect(self.permissions("golden-web") == [], "nobody should be left")

    def copy_with_grants(self):
        section(
            "Let three accounts copy",
            "analytics-node has two volumes on two keys that let nobody in. Its rule says"
            " `access: copy` and `keys: grant`: grants first, then the snapshots, the launch permission last.",
        )
        status, outcome = self.api.call(
            self.portal, "POST", self.shares("analytics-node"), {"accountIds": [PROD, STAGING, BATCH], "access": "copy"}
        )
        self.completed(status, outcome, changed=True)
        calls = [step["call"] for step in outcome["images"][0]["steps"]]
        expect(
            calls == ["kms:CreateGrant"] * 6 + ["ec2:ModifySnapshotAttribute"] * 2 + ["ec2:ModifyImageAttribute"],
            f"grants before snapshots before the launch permission were promised, not {calls}",
        )
        self.everything_of("analytics-node", {PROD, STAGING, BATCH})

    def copy_again(self):
        section(
            "The same request again", "Every grant, snapshot entry and launch permission is found; nothing is written."
        )
        self.aws.forget_calls()
        status, outcome = self.api.call(
            self.portal, "POST", self.shares("analytics-node"), {"accountIds": [PROD, STAGING, BATCH], "access": "copy"}
        )
        self.completed(status, outcome, changed=False)
        self.nothing_written()

    def one_account_less(self):
        section(
            "Take one account back",
            "Its launch permission, its entry on both snapshots and its two grants go; those"
            " of the other accounts stay.",
        )
        status, outcome = self.api.call(self.portal, "DELETE", f"{self.shares('analytics-node')}/{STAGING}")
        self.completed(status, outcome, changed=True)
        self.everything_of("analytics-node", {PROD, BATCH})

    def one_volume_spoils_it(self):
        section(
            "One volume on the AWS managed key",
            "analytics-mixed has its second volume on aws/ebs. No grant for the"
            " first is made: everything is decided before anything is written.",
        )
        self.aws.forget_calls()
        status, outcome = self.api.call(
            self.portal, "POST", self.shares("analytics-mixed"), {"accountIds": [PROD, BATCH], "access": "copy"}
        )
        self.refused(status, outcome, "DefaultKey", 409)
        self.nothing_written()
        self.everything_of("analytics-mixed", set())

    def a_unit_without_create_grant(self):
        section(
            "A whole organizational unit",
            "The policy of fleet-node's key has the statement that AWS's page on"
            " organizations and keys gave in 2023. It lacks kms:CreateGrant, and every launch would fail.",
        )
        status, outcome = self.api.call(self.portal, "POST", "/requests", self.fleet_request())
        self.refused(status, outcome, "KeyAccessMissing", 409)
        [key] = outcome["images"][0]["keys"]
        expect(key["missing"] == ["kms:CreateGrant"], f"CreateGrant alone should be missing, not {key['missing']}")
        expect(self.permissions("fleet-node") == [], "a refusal should change nothing")
        self.remedy = key

    def the_remedy_applied(self):
        section(
            "The remedy, applied",
            "The key's administrator adds the statement of the refusal. The function never changes a key policy.",
        )
        kms, key = self.aws.client("kms"), self.remedy["keyArn"]
        policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
        policy["Statement"] += self.remedy["remedy"]
        kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
        fact("put-key-policy", f"{len(self.remedy['remedy'])} statement added to {key}")
        status, outcome = self.api.call(self.portal, "POST", "/requests", self.fleet_request())
        self.completed(status, outcome, changed=True)
        expect(self.permissions("fleet-node") == [UNIT], "the image should be shared with the unit")

    def fleet_request(self):
        return {"action": "share", "imageIds": [self.images["fleet-node"]], "organizationalUnitArns": [UNIT]}

    def everything_of(self, image, accounts):
        """Launch permissions, create volume permissions and grants of an image, as AWS has them: just these accounts'."""
        expect(set(self.permissions(image)) == accounts, f"{image} should be shared with {sorted(accounts)}")
        [described] = self.ec2.describe_images(ImageIds=[self.images[image]])["Images"]
        kms, names = self.aws.client("kms"), set()
        for snapshot in (mapping["Ebs"]["SnapshotId"] for mapping in described["BlockDeviceMappings"]):
            told = self.ec2.describe_snapshot_attribute(SnapshotId=snapshot, Attribute="createVolumePermission")
            snapshot_permissions(snapshot, told["CreateVolumePermissions"])
            users = {permission["UserId"] for permission in told["CreateVolumePermissions"]}
            expect(users == accounts, f"{sorted(accounts)} should be let create volumes from {snapshot}")
            [key] = [s["KmsKeyId"] for s in self.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]]
            grants = {grant["Name"] for grant in kms.list_grants(KeyId=key)["Grants"]}
            expect(
                grants == {f"ami-share/{self.images[image]}/{account}" for account in accounts},
                f"{key} should have grants for {sorted(accounts)}, not {sorted(grants)}",
            )
            names |= grants
        fact(
            "KMS now says",
            f"on each key, {len(names)} grants: {', '.join(sorted(names))}" if names else "no grants on its keys",
            "bold",
        )

    def nothing_written(self):
        written = [
            call["operation"]
            for call in self.calls_of_the_function()
            if not call["operation"].startswith(("Describe", "Get", "List"))
        ]
        fact("writes", len(written))
        expect(not written, f"nothing should be written, not {written}")

    def over_the_bus(self):
        section(
            "The other door: an event",
            "A pipeline puts a request on the bus; who asks is the event's account and"
            " source. Nobody waits for an answer: it is in the function's log.",
        )
        accepted = put_event(
            self.aws,
            self.stack["BusName"],
            "com.example.pipeline",
            {"action": "share", "imageIds": [self.images["golden-web"]], "accountIds": [PROD]},
        )
        expect(accepted, "the bus should take the event")
        self.until(lambda: self.entries("golden-web"), "the image was not shared")
        expect(self.permissions("golden-web") == [PROD], "the image should be shared with prod-web")
        self.logged(f"events:{self.aws.account}:com.example.pipeline")

    def by_itself(self):
        section(
            "No request at all",
            "A build registers nightly-42. EC2 says so on the default bus, and the rule"
            " nightly-builds has `onAvailable`: staging-web gets it.",
        )
        self.register("nightly-42")
        self.until(lambda: self.entries("nightly-42"), "the image was not shared")
        expect(self.permissions("nightly-42") == [STAGING], "the image should be shared with staging-web")

    def register(self, name):
        [snapshot] = self.aws.seed(snapshots=[{}])["snapshots"]
        volume = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot["snapshotId"]}}
        registered = self.ec2.register_image(Name=name, RootDeviceName="/dev/sda1", BlockDeviceMappings=[volume])
        self.images[name] = registered["ImageId"]
        fact("register-image", f"{name} {registered['ImageId']}")

    def an_expiry(self):
        section(
            "A share that expires",
            "trial-app may be shared for 30 days at most, so the request says until when. The"
            " expiry is recorded in a schedule before anything is given.",
        )
        until = datetime.now(UTC) + timedelta(days=2)
        status, outcome = self.api.call(
            self.portal,
            "POST",
            self.shares("trial-app"),
            {"accountIds": [BATCH], "expiresAt": until.strftime("%Y-%m-%dT%H:%M:%SZ")},
        )
        self.completed(status, outcome, changed=True)
        expect(self.permissions("trial-app") == [BATCH], "the image should be shared with batch")
        self.schedule = self.the_schedule()
        fact("record", f"{self.schedule['Name']} {self.schedule['ScheduleExpression']}", "bold")

    def a_forged_expiry(self):
        section(
            "A hint is not a record",
            "Somebody invokes the function with the name of that record, two days early,"
            " and with one that doesn't exist. The record decides: nothing is due.",
        )
        for name in (self.schedule["Name"], self.schedule["Name"][:-4] + "0000"):
            answer = invoke(self.aws, self.stack["FunctionArn"], {"action": "expire", "schedule": name})
            expect(answer["result"] == "completed" and not answer["images"], "nothing should have been done")
        expect(self.permissions("trial-app") == [BATCH], "the share should still be there")

    def its_expiry(self):
        section(
            "Its time comes",
            "A record of the same share takes its place that is due now. Scheduler looks every ten"
            " seconds here and puts its hint on the bus; the function takes the share and then the record away.",
        )
        self.make_due(self.schedule)
        self.until(lambda: not self.entries("trial-app") and not self.the_schedule(), "the share did not expire")
        expect(self.permissions("trial-app") == [], "nobody should be left")
        fact("records", "none left", "bold")

    def an_expiry_without_its_image(self):
        section(
            "A record outlives its image",
            "trial-gone is shared until the day after tomorrow, and deregistered"
            " today. When the time comes EC2 says that there is no such image, and the record goes.",
        )
        self.register("trial-gone")
        until = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        status, outcome = self.api.call(
            self.portal, "POST", self.shares("trial-gone"), {"accountIds": [BATCH], "expiresAt": until}
        )
        self.completed(status, outcome, changed=True)
        self.ec2.deregister_image(ImageId=self.images["trial-gone"])
        self.make_due(self.the_schedule())
        self.until(lambda: not self.the_schedule(), "the record of a share stayed behind")
        fact("records", "none left", "bold")

    def make_due(self, record):
        """Puts a record that is due now in the place of one that is ahead: no record is ever moved."""
        now = datetime.now(UTC)
        name = f"{record['Name'].rpartition('-')[0]}-{int(now.timestamp()):08x}"
        detail = json.loads(record["Target"]["Input"]) | {
            "schedule": name,
            "expiresAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        kept = {field: record[field] for field in ("GroupName", "FlexibleTimeWindow", "ScheduleExpressionTimezone")}
        scheduler = self.aws.client("scheduler")
        scheduler.delete_schedule(GroupName=record["GroupName"], Name=record["Name"])
        scheduler.create_schedule(
            **kept,
            Name=name,
            ScheduleExpression=now.strftime("at(%Y-%m-%dT%H:%M:%S)"),
            Target=record["Target"] | {"Input": json.dumps(detail)},
            ActionAfterCompletion="NONE",
        )

    def an_audit(self):
        section(
            "What was done behind its back",
            "Block public access is off. By console, somebody makes golden-web public and shares golden-db with"
            f" {OFF_LIST}; a grant is left from an image that is gone. An audit names them, and nothing legitimate.",
        )
        self.aws.seed(settings={"blockPublicAccess": False})
        self.ec2.modify_image_attribute(ImageId=self.images["golden-web"], LaunchPermission={"Add": [{"Group": "all"}]})
        self.ec2.modify_image_attribute(
            ImageId=self.images["golden-db"], LaunchPermission={"Add": [{"UserId": OFF_LIST}]}
        )
        key = self.key_of("golden-db")
        self.aws.client("kms").create_grant(
            KeyId=key,
            GranteePrincipal=f"arn:aws:iam::{PROD}:root",
            Operations=["Decrypt"],
            Name=f"ami-share/ami-00000000000000bad/{PROD}",
        )
        status, outcome = self.api.call(self.operator, "POST", "/requests", {"action": "audit"})
        found = sorted(finding["code"] for finding in outcome.get("findings", []))
        expect(
            (status, found) == (200, ["GrantLeft", "PublicImage", "SharedOutsideAllowlist"]),
            f"three findings were promised, not {status} with {found}",
        )

    def a_repair(self):
        section(
            "A repair",
            "It revokes the grant, which its Name says is its own. The rest is somebody's decision, and stays.",
        )
        status, outcome = self.api.call(self.operator, "POST", "/requests", {"action": "repair"})
        steps = [step["call"] for image in outcome["images"] for step in image["steps"]]
        expect((status, steps) == (200, ["kms:RevokeGrant"]), f"one revoked grant was promised, not {steps}")
        expect(set(self.permissions("golden-web")) == {PROD, "all"}, "a repair should change no launch permission")

    def audit_by_schedule(self):
        section(
            "The same, every night",
            "The template's schedule puts this event on the bus. Findings are in the log, in"
            " the metrics, and on the outcome bus where there is one.",
        )
        put_event(self.aws, self.stack["BusName"], "ami-share.audit", {"action": "audit"})
        self.logged(f"events:{self.aws.account}:ami-share.audit")

    def one_after_the_other(self):
        section(
            "The serial door: a queue",
            "Two messages about one image, in the image's message group: a revoke and"
            " a share. They are worked off in this order, so the image is shared in the end.",
        )
        one, sqs = self.images["golden-web"], self.aws.client("sqs")
        expect(self.permissions("golden-web") == [PROD], "the image should be shared from the scene before")
        for number, action in enumerate(("revoke", "share")):
            body = {"action": action, "imageIds": [one], "accountIds": [PROD]}
            screen.request(f"sqs:{self.stack['QueueArn']}", f"message {number + 1}, group {one}", body)
            sqs.send_message(
                QueueUrl=self.stack["QueueUrl"],
                MessageBody=json.dumps(body),
                MessageGroupId=one,
                MessageDeduplicationId=f"{one}-{number}",
            )
        deadline = time.monotonic() + EVENT_SECONDS
        requester = f"sqs:{self.stack['QueueArn']}"
        while len(lines := [line for line in self.function_log() if requester in line and '"message"' in line]) < 2:
            expect(time.monotonic() < deadline, f"both messages should be worked off within {EVENT_SECONDS} seconds")
            time.sleep(0.1)
        told = [json.loads(line)["message"] for line in lines]
        for message in told:
            fact("logged", message)
        expect([message.split()[0] for message in told] == ["revoke", "share"], f"in this order, not {told}")
        expect(all(message.endswith("completed") for message in told), f"both should complete: {told}")
        expect(self.permissions("golden-web") == [PROD], "the image should be shared with prod-web in the end")

    def a_stranger(self):
        section(
            "A stranger",
            "The role may call the API, but no rule names it. It learns nothing, and AWS is asked nothing.",
        )
        self.aws.forget_calls()
        status, outcome = self.api.call(
            self.stranger, "POST", "/requests", {"action": "list", "imageIds": [self.images["golden-vault"]]}
        )
        self.refused(status, outcome, "RequesterNotAllowed", 403)
        asked = self.calls_of_the_function()
        fact("AWS calls", len(asked))
        expect(not asked, f"the function should have asked AWS nothing, not {asked}")

    def unsigned(self):
        section("Nobody at all", "A request without a signature ends at API Gateway.")
        status, _ = self.api.call(None, "GET", self.shares("golden-web"))
        expect(status == 403, f"403 was promised, not {status}")

    def function_log(self):
        described = self.aws.client("cloudformation").describe_stack_resources(LogicalResourceId="Log", StackName=STACK)
        group = described["StackResources"][0]["PhysicalResourceId"]
        pages = self.aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def calls_of_the_function(self):
        return [call for call in self.aws.calls() if "aws-sdk-rust" in call["agent"]]


if __name__ == "__main__":
    sys.exit(main())
