"""Scenes of copies that the function makes: an image on the AWS managed key under another key, and one of another Region."""

from ami_share_tools.demo.deployment import STACK, Deployment
from ami_share_tools.demo.portal import invoke
from ami_share_tools.demo.promises import completed, expect, refused
from ami_share_tools.demo.screen import fact, section
from ami_share_tools.demo.stage import AWAY, COPY_KEY, PROD, STAGING
from ami_share_tools.document import Document


def under_another_key(demo: Deployment) -> None:
    section(
        "A copy under another key",
        "golden-legacy can't be shared, because it is on aws/ebs. The rule `golden-copies` may make a copy under a key"
        " that lets prod-web in: `copyFrom` names the image's own Region. Nobody waits for the copy; the answer is 202.",
    )
    wait_for_a_copy(demo, "golden-legacy", demo.aws.region)


def asked_again(demo: Deployment) -> None:
    section("The same request again", "The copy is still pending. No second one is made.")
    demo.aws.forget_calls()
    status, outcome = share(demo, "golden-legacy", demo.aws.region)
    accepted(status, outcome)
    demo.nothing_written()


def shared_by_itself(demo: Deployment) -> None:
    section(
        "EC2 is done",
        "EC2 says on the default bus that the copy is available. The function decides again, and shares the copy.",
    )
    is_available(demo, "golden-legacy")
    expect(demo.permissions("golden-legacy") == [], "the source should be shared with nobody")


def a_tick_ends_it(demo: Deployment) -> None:
    section(
        "The record goes",
        "Scheduler looks at the record every ten minutes, for the case that no event comes. The next time there is nothing"
        " to do, and the function deletes the record. Here the demo sends that hint.",
    )
    [name] = records(demo)
    answer = invoke(demo.aws, demo.stack["FunctionArn"], {"action": "expire", "schedule": name})
    expect(answer["result"] == "completed", "the hint should be dealt with")
    expect(records(demo) == [], "no record should be left")
    fact("records", "none left", "bold")


def of_another_region(demo: Deployment) -> None:
    section(
        "A Region away",
        f"golden-away is in {AWAY}. The same request, with that Region in `copyFrom`: the copy is made here, and nothing"
        " changes there.",
    )
    wait_for_a_copy(demo, "golden-away", AWAY)
    is_available(demo, "golden-away")


def found_at_once(demo: Deployment) -> None:
    section(
        "The copy is there",
        "The same request again finds the copy, and that it is shared. A revoke takes it back. The copy stays, and costs"
        " storage, until somebody deregisters it.",
    )
    status, outcome = share(demo, "golden-away", AWAY)
    completed(status, outcome, changed=False)
    route = f"{demo.shares('golden-away')}/{PROD}?copyFrom={AWAY}"
    status, outcome = demo.api.call(demo.portal, "DELETE", route)
    completed(status, outcome, changed=True)
    expect(demo.permissions("copy of golden-away") == [], "nobody should be left")
    expect(records(demo) == [], "no record should be left")
    demo.ec2.deregister_image(ImageId=demo.images["copy of golden-away"])


def nothing_for_nothing(demo: Deployment) -> None:
    section(
        "No copy that couldn't be shared",
        "golden-db has no copy, and the key of the copies doesn't let staging-web in. That is found out before"
        " the copy is made, and not after it.",
    )
    demo.aws.forget_calls()
    route = f"{demo.shares('golden-db')}?copyFrom={demo.aws.region}"
    status, outcome = demo.api.call(demo.portal, "POST", route, {"accountIds": [STAGING]})
    refused(status, outcome, "KeyAccessMissing", 409)
    demo.nothing_written()


def share(demo: Deployment, image: str, region: str) -> tuple[int, Document]:
    return demo.api.call(demo.portal, "POST", f"{demo.shares(image)}?copyFrom={region}", {"accountIds": [PROD]})


def accepted(status: int, outcome: Document) -> None:
    expect((status, outcome.get("result")) == (202, "accepted"), f"202 and accepted were promised, not {status}")
    [image] = outcome["images"]
    expect([target["state"] for target in image["targets"]] == ["waiting"], "the target should wait")
    fact("waits for", f"{image['imageId']}, {image['copy']['state']}, until {image['copy']['until']}", "bold")


def wait_for_a_copy(demo: Deployment, image: str, region: str) -> None:
    demo.aws.forget_calls()
    status, outcome = share(demo, image, region)
    accepted(status, outcome)
    [row] = outcome["images"]
    expect(row["copyOf"] == {"region": region, "imageId": demo.images[image]}, "it should name the source")
    expect(row["copy"]["keyArn"] == COPY_KEY, "the rule's key should encrypt it")
    made = [call["params"] for call in demo.calls_of_the_function() if call["operation"] == "CopyImage"]
    expect(len(made) == 1, f"one CopyImage was promised, not {len(made)}")
    demo.images[f"copy of {image}"] = row["imageId"]
    expect(demo.permissions(f"copy of {image}") == [], "nobody should have access yet")
    expect(len(records(demo)) == 1, "there should be one record")


def is_available(demo: Deployment, image: str) -> None:
    copy = f"copy of {image}"
    [ended] = demo.aws.control("POST", "/_local/copies", {"ids": [demo.images[copy]]})
    fact("EC2", f"{ended['imageId']} is {ended['state']}", "bold")
    demo.until(lambda: demo.entries(copy), "the copy was not shared")
    expect(demo.permissions(copy) == [PROD], "the copy should be shared with prod-web")
    expect(demo.key_of(copy) == COPY_KEY, "the copy should be on the rule's key")


def records(demo: Deployment) -> list[str]:
    """The names of the records of copies."""
    listed = demo.aws.client("scheduler").list_schedules(GroupName=f"{STACK}-expiries", NamePrefix="copy-")
    return [schedule["Name"] for schedule in listed["Schedules"]]


SCENES = (
    under_another_key,
    asked_again,
    shared_by_itself,
    a_tick_ends_it,
    of_another_region,
    found_at_once,
    nothing_for_nothing,
)
