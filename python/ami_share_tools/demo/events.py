"""Scenes without an HTTP request: the bus, the queue, an image that became available, a share that expires."""

import json
import time
from datetime import UTC, datetime, timedelta

from ami_share_tools.demo import screen
from ami_share_tools.demo.deployment import EVENT_SECONDS, STACK, Deployment
from ami_share_tools.demo.portal import invoke, put_event
from ami_share_tools.demo.promises import completed, expect
from ami_share_tools.demo.screen import fact, section
from ami_share_tools.demo.stage import BATCH, PROD, STAGING
from ami_share_tools.document import Document


def over_the_bus(demo: Deployment) -> None:
    section(
        "The other door: an event",
        "A pipeline puts a request on the bus; who asks is the event's account and"
        " source. Nobody waits for an answer: it is in the function's log.",
    )
    accepted = put_event(
        demo.aws,
        demo.stack["BusName"],
        "com.example.pipeline",
        {"action": "share", "imageIds": [demo.images["golden-web"]], "accountIds": [PROD]},
    )
    expect(accepted, "the bus should take the event")
    demo.until(lambda: demo.entries("golden-web"), "the image was not shared")
    expect(demo.permissions("golden-web") == [PROD], "the image should be shared with prod-web")
    demo.logged(f"events:{demo.aws.account}:com.example.pipeline")


def one_after_the_other(demo: Deployment) -> None:
    section(
        "The serial door: a queue",
        "Two messages about one image, in the image's message group: a revoke and"
        " a share. They are worked off in this order, so the image is shared in the end.",
    )
    one, sqs = demo.images["golden-web"], demo.aws.client("sqs")
    expect(demo.permissions("golden-web") == [PROD], "the image should be shared from the scene before")
    for number, action in enumerate(("revoke", "share")):
        body = {"action": action, "imageIds": [one], "accountIds": [PROD]}
        screen.request(f"sqs:{demo.stack['QueueArn']}", f"message {number + 1}, group {one}", body)
        sqs.send_message(
            QueueUrl=demo.stack["QueueUrl"],
            MessageBody=json.dumps(body),
            MessageGroupId=one,
            MessageDeduplicationId=f"{one}-{number}",
        )
    deadline = time.monotonic() + EVENT_SECONDS
    requester = f"sqs:{demo.stack['QueueArn']}"
    while len(lines := [line for line in demo.function_log() if requester in line and '"message"' in line]) < 2:
        expect(time.monotonic() < deadline, f"both messages should be worked off within {EVENT_SECONDS} seconds")
        time.sleep(0.1)
    told = [json.loads(line)["message"] for line in lines]
    for message in told:
        fact("logged", message)
    expect([message.split()[0] for message in told] == ["revoke", "share"], f"in this order, not {told}")
    expect(all(message.endswith("completed") for message in told), f"both should complete: {told}")
    expect(demo.permissions("golden-web") == [PROD], "the image should be shared with prod-web in the end")


def by_itself(demo: Deployment) -> None:
    section(
        "No request at all",
        "A build registers nightly-42. EC2 says so on the default bus, and the rule"
        " nightly-builds has `onAvailable`: staging-web gets it, and its parameter names it.",
    )
    register(demo, "nightly-42")
    demo.until(lambda: demo.entries("nightly-42"), "the image was not shared")
    expect(demo.permissions("nightly-42") == [STAGING], "the image should be shared with staging-web")
    name = "/golden/nightly/latest"
    published = demo.until(lambda: demo.parameter(name), "the image was not published")
    fact("SSM now says", f"{name} is {published}", "bold")
    expect(published == demo.images["nightly-42"], "the parameter should name the image")


def an_expiry(demo: Deployment) -> None:
    section(
        "A share that expires",
        "trial-app may be shared for 30 days at most, so the request says until when. The"
        " expiry is recorded in a schedule before anything is given.",
    )
    until = datetime.now(UTC) + timedelta(days=2)
    status, outcome = demo.api.call(
        demo.portal,
        "POST",
        demo.shares("trial-app"),
        {"accountIds": [BATCH], "expiresAt": until.strftime("%Y-%m-%dT%H:%M:%SZ")},
    )
    completed(status, outcome, changed=True)
    expect(demo.permissions("trial-app") == [BATCH], "the image should be shared with batch")
    demo.schedule = the_schedule(demo)
    fact("record", f"{demo.schedule['Name']} {demo.schedule['ScheduleExpression']}", "bold")


def a_forged_expiry(demo: Deployment) -> None:
    section(
        "A hint is not a record",
        "Somebody invokes the function with the name of that record, two days early,"
        " and with one that doesn't exist. The record decides: nothing is due.",
    )
    for name in (demo.schedule["Name"], demo.schedule["Name"][:-4] + "0000"):
        answer = invoke(demo.aws, demo.stack["FunctionArn"], {"action": "expire", "schedule": name})
        expect(answer["result"] == "completed" and not answer["images"], "nothing should have been done")
    expect(demo.permissions("trial-app") == [BATCH], "the share should still be there")


def its_expiry(demo: Deployment) -> None:
    section(
        "Its time comes",
        "A record of the same share takes its place that is due now. Scheduler looks every ten"
        " seconds here and puts its hint on the bus; the function takes the share and then the record away.",
    )
    make_due(demo, demo.schedule)
    demo.until(lambda: not demo.entries("trial-app") and not the_schedule(demo), "the share did not expire")
    expect(demo.permissions("trial-app") == [], "nobody should be left")
    fact("records", "none left", "bold")


def an_expiry_without_its_image(demo: Deployment) -> None:
    section(
        "A record outlives its image",
        "trial-gone is shared until the day after tomorrow, and deregistered"
        " today. When the time comes EC2 says that there is no such image, and the record goes.",
    )
    register(demo, "trial-gone")
    until = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    status, outcome = demo.api.call(
        demo.portal, "POST", demo.shares("trial-gone"), {"accountIds": [BATCH], "expiresAt": until}
    )
    completed(status, outcome, changed=True)
    demo.ec2.deregister_image(ImageId=demo.images["trial-gone"])
    make_due(demo, the_schedule(demo))
    demo.until(lambda: not the_schedule(demo), "the record of a share stayed behind")
    fact("records", "none left", "bold")


def register(demo: Deployment, name: str) -> None:
    [snapshot] = demo.aws.seed(snapshots=[{}])["snapshots"]
    volume = {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot["snapshotId"]}}
    registered = demo.ec2.register_image(Name=name, RootDeviceName="/dev/sda1", BlockDeviceMappings=[volume])
    demo.images[name] = registered["ImageId"]
    fact("register-image", f"{name} {registered['ImageId']}")


def the_schedule(demo: Deployment) -> Document:
    """The only record, or an empty document."""
    scheduler, group = demo.aws.client("scheduler"), f"{STACK}-expiries"
    names = [schedule["Name"] for schedule in scheduler.list_schedules(GroupName=group)["Schedules"]]
    expect(len(names) <= 1, f"one record at most was promised, not {names}")
    return scheduler.get_schedule(GroupName=group, Name=names[0]) if names else {}


def make_due(demo: Deployment, record: Document) -> None:
    """Puts a record that is due now in the place of one that is ahead: no record is ever moved."""
    now = datetime.now(UTC)
    name = f"{record['Name'].rpartition('-')[0]}-{int(now.timestamp()):08x}"
    detail = json.loads(record["Target"]["Input"]) | {
        "schedule": name,
        "expiresAt": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    kept = {field: record[field] for field in ("GroupName", "FlexibleTimeWindow", "ScheduleExpressionTimezone")}
    scheduler = demo.aws.client("scheduler")
    scheduler.delete_schedule(GroupName=record["GroupName"], Name=record["Name"])
    scheduler.create_schedule(
        **kept,
        Name=name,
        ScheduleExpression=now.strftime("at(%Y-%m-%dT%H:%M:%S)"),
        Target=record["Target"] | {"Input": json.dumps(detail)},
        ActionAfterCompletion="NONE",
    )


SCENES = (
    over_the_bus,
    one_after_the_other,
    by_itself,
    an_expiry,
    a_forged_expiry,
    its_expiry,
    an_expiry_without_its_image,
)
