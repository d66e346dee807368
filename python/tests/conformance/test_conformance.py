"""The conformance script, as far as a local AWS goes: that it asks first, prints its table and leaves nothing behind.

What its checks see here says nothing about AWS; that is what the script is for."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from types import SimpleNamespace

from ami_share_tools.conformance.checks import CHECKS
from ami_share_tools.conformance.policies import POLICIES
from ami_share_tools.conformance.world import whole
from ami_share_tools.differential import evaluator
from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import LocalAws
from ami_share_tools.repository import ROOT

CONFORMANCE = [sys.executable, "-m", "ami_share_tools.conformance"]
OWNER, TARGET = "999988887777", "111122223333"


aws: LocalAws
environment: dict[str, str]


def setUpModule() -> None:
    global aws, environment
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    folder = Path(unittest.enterModuleContext(tempfile.TemporaryDirectory()))
    profiles = {"owner": OWNER, "target": TARGET}
    (folder / "config").write_text(
        "".join(
            f"[profile {name}]\naws_access_key_id = {account}\naws_secret_access_key = test\nendpoint_url = {aws.endpoint}\n"
            for name, account in profiles.items()
        )
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_CONFIG_FILE": str(folder / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none")}


def command(*options: str, target: str = "target") -> list[str]:
    return [*CONFORMANCE, "--owner-profile", "owner", "--target-profile", target, "--region", aws.region, *options]


def run(*options: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*options, **more), env=environment, capture_output=True, text=True, timeout=120)


class Judge:
    """In place of the accounts: what the second evaluator says where AWS would be asked."""

    owner, target, partition = OWNER, TARGET, "aws"
    options = SimpleNamespace(region="eu-west-1")

    def __init__(self) -> None:
        self.statements: list[Document] = []
        self.questions: list[Document] = []
        self.said: list[evaluator.Answer] = []

    @property
    def their_kms(self) -> "Judge":
        return self

    def key(self) -> str:
        return f"arn:aws:kms:{self.options.region}:{OWNER}:key/1"

    def let_in(self, *statements: Document) -> None:
        self.statements = whole(f"arn:aws:iam::{TARGET}:root", *statements)

    def describe_key(self, KeyId: str) -> None:
        self.judge(KeyId, "kms:DescribeKey", {})

    def encrypt(self, KeyId: str, Plaintext: bytes, EncryptionContext: dict[str, str]) -> None:
        context: Document = {f"kms:EncryptionContext:{name}": value for name, value in EncryptionContext.items()}
        if EncryptionContext:
            context["kms:EncryptionContextKeys"] = list(EncryptionContext)
        self.judge(KeyId, "kms:Encrypt", context)

    def judge(self, key: str, action: str, context: Document) -> None:
        always = {
            "aws:SecureTransport": "true",
            "aws:CurrentTime": "2026-11-29T12:00:00Z",
            "aws:SourceIp": "203.0.113.7",
        }
        who: Document = {"account": TARGET, "arn": f"arn:aws:iam::{TARGET}:user/Bob", "org_id": None, "org_paths": []}
        question = {
            "policy": {"Version": "2012-10-17", "Statement": self.statements},
            "principal": who,
            "action": action,
            "resource": key,
            "context_mode": "closed",
            "context": always | context,
        }
        self.questions.append(question)
        self.said.append(evaluator.judge_action(question, action))


class Conformance(unittest.TestCase):
    def setUp(self) -> None:
        aws.control("DELETE", "/_local/state")
        aws.seed(settings={"copySeconds": 0})  # the script waits for its copy; its pause between two looks is long

    def assert_nothing_left(self) -> None:
        state = aws.control("POST", "/_local/state", {})
        self.assertEqual((state["images"], state["snapshots"], state["grants"]), ({}, {}, []))
        ec2, kms = aws.client("ec2"), aws.client("kms")
        self.assertEqual(ec2.describe_volumes()["Volumes"], [])
        for arn in state["keys"]:
            self.assertEqual(kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"], "PendingDeletion")
        self.assertEqual(
            [r["RoleName"] for r in aws.client("iam").list_roles(PathPrefix="/ami-share-conformance/")["Roles"]], []
        )
        buses = aws.client("events").list_event_buses(NamePrefix="ami-share-conformance-")["EventBuses"]
        stacks = [
            stack
            for stack in aws.client("cloudformation").describe_stacks()["Stacks"]
            if stack["StackStatus"] != "DELETE_COMPLETE"
        ]
        self.assertEqual((buses, stacks), ([], []))
        scheduler = aws.client("scheduler")
        self.assertEqual([group["Name"] for group in scheduler.list_schedule_groups()["ScheduleGroups"]], ["default"])
        self.assertEqual(scheduler.list_schedules()["Schedules"], [])
        instances = [
            i for r in aws.client("ec2", account=TARGET).describe_instances()["Reservations"] for i in r["Instances"]
        ]
        self.assertEqual({i["State"]["Name"] for i in instances} - {"terminated", "shutting-down"}, set())

    def interrupted(self, number: signal.Signals) -> tuple[int, str]:
        """A run that gets a signal while a check waits with a key, an image and a volume made."""
        process = subprocess.Popen(
            command("--yes", "--only", "idempotent", "--only", "bool-spelling"),
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        with process.stdout as output:
            for line in output:
                if line.startswith("bool-spelling"):
                    break
            else:
                self.fail("the check did not begin")
            end = time.monotonic() + 30
            while not aws.control("POST", "/_local/state", {})["keys"]:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)
            time.sleep(0.5)
            process.send_signal(number)
            rest = output.read()
        return process.wait(60), rest

    def test_it_needs_both_profiles_and_a_region(self) -> None:
        answer = subprocess.run([*CONFORMANCE, "--yes"], env=environment, capture_output=True, text=True)
        self.assertEqual(answer.returncode, 2)
        for option in ("--owner-profile", "--target-profile", "--region"):
            self.assertIn(option, answer.stderr)

    def test_nothing_is_done_unless_told(self) -> None:
        aws.forget_calls()
        dry, unsure = run("--dry-run", "--yes"), run()
        self.assertEqual((dry.returncode, unsure.returncode), (0, 2))
        for answer in (dry, unsure):
            self.assertIn("launch-by-grant: ", answer.stdout)
            self.assertIn("Cost: ", answer.stdout)
        self.assertIn("Say --yes", unsure.stdout)
        self.assertEqual(aws.calls(), [])

    def test_the_plan_is_what_was_chosen(self) -> None:
        self.assertNotIn("launch-", run("--dry-run", "--no-launch").stdout)
        chosen = run("--dry-run", "--only", "reset").stdout
        self.assertTrue(chosen.startswith("reset: ") and "idempotent" not in chosen)
        self.assertEqual(run("--dry-run", "--only", "nonsense").returncode, 2)

    def test_two_accounts_are_needed(self) -> None:
        answer = run("--yes", target="owner")
        self.assertEqual(answer.returncode, 2)
        self.assertIn("two different accounts", answer.stderr)
        self.assertEqual(run("--yes", target="nobody").returncode, 2)

    def test_a_table_is_printed_and_everything_removed(self) -> None:
        answer = run("--yes", "--grant-seconds", "0")
        self.assertEqual(answer.returncode, 1, answer.stdout)  # the local AWS is not AWS
        table = answer.stdout[answer.stdout.index("\n  check") :].splitlines()
        rows = {line[2:].split()[0]: (line[0], line) for line in table[2:]}
        planned = [line.split(":")[0] for line in run("--dry-run").stdout.splitlines()[:-4:2]]
        self.assertEqual(list(rows), planned)
        for name in (
            "idempotent",
            "reset",
            "target-reads-permissions",
            "copy-token",
            "copy-under-a-missing-key",
            "copy-conditions",
            "mixed-sources",
            "add-condition",
            "remove-condition",
            "tagged-key",
            "fifo-name",
        ):
            self.assertEqual(rows[name][0], " ", rows[name])
        mark, line = rows["pending-image"]
        self.assertTrue(mark == " " and " while " in line, line)
        self.assertNotIn("LEFT BEHIND", answer.stdout)
        self.assert_nothing_left()

    def test_all_as_expected_is_success(self) -> None:
        answer = run("--yes", "--only", "reset")
        self.assertEqual(answer.returncode, 0, answer.stdout)
        self.assert_nothing_left()

    def test_everything_is_removed_after_an_interruption(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                code, rest = self.interrupted(number)
                self.assertEqual(code, 130, rest)
                self.assertRegex(rest, r"(?s)Removing what was made.*idempotent +accepted")
                self.assert_nothing_left()

    def test_what_a_killed_run_left_is_swept(self) -> None:
        self.interrupted(signal.SIGKILL)
        with self.assertRaises(AssertionError):
            self.assert_nothing_left()
        answer = run("--yes", "--sweep")
        self.assertEqual(answer.returncode, 0, answer.stdout + answer.stderr)
        self.assert_nothing_left()

    def test_the_page_has_every_question(self) -> None:
        page = (ROOT / "docs/conformance.md").read_text()
        told = [
            (name, question, expected.strip("`"))
            for name, question, expected in re.findall(r"^\| `([a-z-]+)` \| (.*) \| (.*) \|$", page, re.M)
        ]
        lines = run("--dry-run").stdout.splitlines()
        planned = [
            (*first.split(": ", 1), second.rpartition("expected: ")[2])
            for first, second in zip(lines[:-4:2], lines[1:-4:2])
        ]
        self.assertGreater(len(planned), 10)
        self.assertEqual(told, planned)

    def test_every_open_question_has_a_check_or_says_why_not(self) -> None:
        page = Path(evaluator.__file__).with_name("open-questions.md").read_text()
        rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
        asked = [row.split(" | ")[3].removesuffix(" |") for row in rows]
        named = {name for cell in asked for name in re.findall(r"`([a-z-]+)`", cell)}
        self.assertGreater(len(asked), 30)
        self.assertEqual([cell for cell in asked if not re.match("`|none: ", cell)], [])
        self.assertLessEqual(named, {check.name for check in CHECKS})
        self.assertEqual({one.name for one in POLICIES} - named, {"key-policy"})

    def test_every_policy_that_is_asked_about_is_one_that_the_pages_leave_open(self) -> None:
        for policies in POLICIES:
            with self.subTest(policies.name):
                judge = Judge()
                policies.ask(judge)  # type: ignore[arg-type]
                is_open = [bool(said.notes) or said.verdict == "conditional" for said in judge.said]
                if policies.name == "key-policy":
                    self.assertEqual([said.verdict for said in judge.said], ["allowed", "allowed"])
                elif policies.name == "many-values-without-a-set-operator":
                    self.assertEqual(is_open, [True, True, False])  # the last one says what no value at all means
                else:
                    self.assertTrue(is_open and all(is_open))

    def test_what_can_not_be_removed_is_told(self) -> None:
        aws.seed(
            faults=[
                {
                    "call": "ec2:DeregisterImage",
                    "code": "InternalError",
                    "status": 500,
                    "message": "no",
                    "after": 0,
                    "times": 20,
                }
            ]
        )
        answer = run("--yes", "--only", "reset")
        self.assertEqual(answer.returncode, 1)
        self.assertRegex(answer.stdout, r"LEFT BEHIND[^\n]*\n  ami-\w+: .*InternalError")


if __name__ == "__main__":
    unittest.main()
