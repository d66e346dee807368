"""Keep the template deployed on a local AWS until Ctrl-C, with a role for each kind of caller, and follow the function's
log: `make playground`.

An argument is the path of a built function; without one cargo builds it.
"""

import json
import re
import shlex
import signal
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from ami_share_tools import function
from ami_share_tools.demo import aftermath, stage
from ami_share_tools.demo.portal import Role
from ami_share_tools.demo.screen import fact, paint, say, section
from ami_share_tools.document import Document
from ami_share_tools.interrupts import raise_keyboard_interrupt
from ami_share_tools.local_aws.client import Aws, LocalAws
from ami_share_tools.local_aws.deploy import deploy
from ami_share_tools.pages import blocks
from ami_share_tools.repository import ALLOWLIST, CLIENTS, ROOT

OUTCOMES = "ami-share-outcomes"
SOURCE = "com.example.pipeline"
PAGE = "docs/portal-integration.md"
IMAGE = "ami-0123456789abcdef0"  # in the docs
LOOK_SECONDS = 0.5
SESSION_HOURS = 12  # the longest a role's session may be
LEVELS = {"ERROR": "red", "WARN": "yellow"}


def main() -> None:
    raise_keyboard_interrupt(signal.SIGHUP)
    try:
        section(
            "Build",
            "The function's binary, dev profile. The first build takes about 7 minutes and up to 9 GB of memory.",
        )
        binary = function.chosen(*sys.argv[1:2])
        with (
            tempfile.TemporaryDirectory(prefix="ami-share-playground-") as scratch,
            LocalAws(Path(scratch) / "local-aws.log") as aws,
        ):
            play(aws, binary, Path(scratch))
    except KeyboardInterrupt:
        say("\nStopped; nothing is left.")


def play(aws: LocalAws, binary: Path, scratch: Path) -> None:
    section("Deploy", "template.yaml on a local AWS: loopback only, no AWS account. Everything is gone after Ctrl-C.")
    outcomes = outcome_bus(aws)
    stack = deploy(aws, binary, ALLOWLIST, Queue="fifo", OutcomeBusName=OUTCOMES)
    images = stage.seed(aws)
    url = stage.address(aws, stack["ApiUrl"])
    fact("address", url, "bold")
    fact("local AWS", f"{aws.endpoint}, account {aws.account}, {aws.region}")
    fact("allowlist", ALLOWLIST.relative_to(ROOT))
    fact("listening", listening(aws))
    for name, image_id in images.items():
        fact(name, image_id)
    caller(
        aws,
        scratch,
        "portal",
        "A portal: shares golden images with prod-web and staging-web by the API.",
        {"API_URL": url},
    )
    docs("As the portal: the commands of docs/portal-integration.md", portal_commands(scratch, images["golden-web"]))
    bus = {"BUS_ARN": stack["BusArn"], "OUTCOMES_URL": outcomes["url"], "AWS_ENDPOINT_URL": aws.endpoint}
    caller(
        aws,
        scratch,
        "pipeline",
        "A pipeline: puts requests on the bus, and receives the outcomes from a queue.",
        bus,
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": stack["BusArn"],
            # The key has a value for each entry of a call; without `Null` a call without any would be allowed.
            "Condition": {
                "ForAllValues:StringEquals": {"events:source": SOURCE},
                "Null": {"events:source": "false"},
            },
        },
        {"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage"], "Resource": outcomes["arn"]},
    )
    docs("As the pipeline: an event, and one whose outcomes are gathered", pipeline_commands(scratch, images))
    caller(aws, scratch, "platform-operator", "An operator: may also audit, repair and reset.", {"API_URL": url})
    docs("As the operator", operator_commands())
    section("The function's log", "Ctrl-C ends it all.")
    follow(aws, stack["LogGroupName"])


def listening(aws: LocalAws) -> str:
    """What is listened on, where the system can be asked; anything but loopback ends it all."""
    running = aftermath.session_processes(aws.process.pid)
    if running is None:
        return "not checked: this system has no /proc"
    heard = aftermath.listeners(running)
    if not heard or not all(map(aftermath.is_loopback, heard)):
        raise SystemExit(f"something listens beyond loopback: {heard}")
    return f"{len(heard)} sockets, all on 127.0.0.1"


def outcome_bus(aws: Aws) -> dict[str, str]:
    """A bus for outcomes, and a queue behind it."""
    events, sqs = aws.client("events"), aws.client("sqs")
    events.create_event_bus(Name=OUTCOMES)
    url = sqs.create_queue(QueueName=OUTCOMES)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_rule(Name=OUTCOMES, EventBusName=OUTCOMES, EventPattern=json.dumps({"source": ["ami-share"]}))
    events.put_targets(Rule=OUTCOMES, EventBusName=OUTCOMES, Targets=[{"Id": "queue", "Arn": arn}])
    return {"url": url, "arn": arn}


def caller(aws: Aws, scratch: Path, name: str, story: str, settings: dict[str, str], *statements: Document) -> None:
    """A role and its `export` lines, printed and in a file."""
    role = Role(aws, name, *statements, hours=SESSION_HOURS)
    credentials = role.credentials
    settings = settings | {
        "AWS_REGION": aws.region,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token,
    }
    lines = [f"export {variable}={shlex.quote(value)}" for variable, value in settings.items()]
    file = scratch / f"{name}.sh"
    file.write_text("\n".join(lines) + "\n")
    section(name, story)
    say(paint(f"   Paste these lines, or: . {shlex.quote(str(file))}", "dim"))
    say("\n".join(lines))


def docs(title: str, commands: list[str]) -> None:
    say()
    say(paint(f"   {title}", "bold"))
    for command in commands:
        say()
        say(command.strip())


def script(scratch: Path, name: str, code: str) -> str:
    """A Python example as a file, and the command that runs it."""
    (scratch / name).write_text(code)
    return shlex.join([sys.executable, str(scratch / name)])


def portal_commands(scratch: Path, image: str) -> list[str]:
    sharing_first = sorted(
        (block for block in blocks(PAGE, "sh") if "--aws-sigv4" in block), key=lambda block: "--json" not in block
    )
    python = next(block for block in blocks(PAGE, "python") if "SigV4Auth" in block)
    return [block.replace(IMAGE, image) for block in sharing_first] + [
        script(scratch, "share.py", python.replace(IMAGE, image))
    ]


def pipeline_commands(scratch: Path, images: dict[str, str]) -> list[str]:
    put = next(block for block in blocks(PAGE, "python") if "put_events" in block)
    client = CLIENTS / "python"
    gather = shlex.join([sys.executable, str(client / "examples/gather.py"), images["golden-web"], images["golden-db"]])
    return [
        script(scratch, "put.py", put.replace(IMAGE, images["golden-db"])),
        f"PYTHONPATH={shlex.quote(str(client))} {gather}",
    ]


def operator_commands() -> list[str]:
    post = next(block for block in blocks(PAGE, "sh") if "--json" in block)
    return [
        re.sub(r"--json .*", f"--json '{json.dumps({'action': action})}' \"$API_URL/requests\"", post)
        for action in ("audit", "repair")
    ]


def follow(aws: Aws, group: str) -> None:
    """Print the log as it grows."""
    logs, seen = aws.client("logs"), 0
    while True:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        messages = [event["message"] for page in pages for event in page["events"]]
        for message in messages[seen:]:
            if line := readable(message):
                say(line)
        seen = len(messages)
        time.sleep(LOOK_SECONDS)


def readable(message: str) -> str | None:
    """A line of the log without what Lambda and the metrics add to it."""
    try:
        record = json.loads(message)
    except ValueError:
        return None if re.match(r"(START|END|REPORT) RequestId", message) else message
    if "_aws" in record or "message" not in record:
        return None
    at = datetime.fromisoformat(record["timestamp"]).astimezone().strftime("%H:%M:%S")
    level = record.get("level", "INFO")
    more = {name: value for name, value in record.items() if name not in ("timestamp", "level", "message", "span")}
    return (
        f"{at} {paint(f'{level:<5}', LEVELS.get(level, 'green'))} {record['message']} {paint(json.dumps(more), 'dim')}"
    )


if __name__ == "__main__":
    main()
