"""Scenes of what was done behind the function's back, and of callers that may do nothing."""

from ami_share_tools.demo.deployment import Deployment
from ami_share_tools.demo.portal import put_event
from ami_share_tools.demo.promises import expect, refused
from ami_share_tools.demo.screen import fact, section
from ami_share_tools.demo.stage import OFF_LIST, PROD


def an_audit(demo: Deployment) -> None:
    section(
        "What was done behind its back",
        "Block public access is off. By console, somebody makes golden-web public and shares golden-db with"
        f" {OFF_LIST}; a grant is left from an image that is gone. An audit names them, and nothing legitimate.",
    )
    demo.aws.seed(settings={"blockPublicAccess": False})
    demo.ec2.modify_image_attribute(ImageId=demo.images["golden-web"], LaunchPermission={"Add": [{"Group": "all"}]})
    demo.ec2.modify_image_attribute(ImageId=demo.images["golden-db"], LaunchPermission={"Add": [{"UserId": OFF_LIST}]})
    key = demo.key_of("golden-db")
    demo.aws.client("kms").create_grant(
        KeyId=key,
        GranteePrincipal=f"arn:aws:iam::{PROD}:root",
        Operations=["Decrypt"],
        Name=f"ami-share/ami-00000000000000bad/{PROD}",
    )
    status, outcome = demo.api.call(demo.operator, "POST", "/requests", {"action": "audit"})
    found = sorted(finding["code"] for finding in outcome.get("findings", []))
    expect(
        (status, found) == (200, ["GrantLeft", "PublicImage", "SharedOutsideAllowlist"]),
        f"three findings were promised, not {status} with {found}",
    )


def a_repair(demo: Deployment) -> None:
    section(
        "A repair",
        "It revokes the grant, which its Name says is its own. The rest is somebody's decision, and stays.",
    )
    status, outcome = demo.api.call(demo.operator, "POST", "/requests", {"action": "repair"})
    steps = [step["call"] for image in outcome["images"] for step in image["steps"]]
    expect((status, steps) == (200, ["kms:RevokeGrant"]), f"one revoked grant was promised, not {steps}")
    expect(set(demo.permissions("golden-web")) == {PROD, "all"}, "a repair should change no launch permission")


def audit_by_schedule(demo: Deployment) -> None:
    section(
        "The same, every night",
        "The template's schedule puts this event on the bus. Findings are in the log, in"
        " the metrics, and on the outcome bus where there is one.",
    )
    put_event(demo.aws, demo.stack["BusName"], "ami-share.audit", {"action": "audit"})
    demo.logged(f"events:{demo.aws.account}:ami-share.audit")


def a_stranger(demo: Deployment) -> None:
    section(
        "A stranger",
        "The role may call the API, but no rule names it. It learns nothing, and AWS is asked nothing.",
    )
    demo.aws.forget_calls()
    status, outcome = demo.api.call(
        demo.stranger, "POST", "/requests", {"action": "list", "imageIds": [demo.images["golden-vault"]]}
    )
    refused(status, outcome, "RequesterNotAllowed", 403)
    asked = demo.calls_of_the_function()
    fact("AWS calls", len(asked))
    expect(not asked, f"the function should have asked AWS nothing, not {asked}")


def unsigned(demo: Deployment) -> None:
    section("Nobody at all", "A request without a signature ends at API Gateway.")
    status, _ = demo.api.call(None, "GET", demo.shares("golden-web"))
    expect(status == 403, f"403 was promised, not {status}")


SCENES = (
    an_audit,
    a_repair,
    audit_by_schedule,
    a_stranger,
    unsigned,
)
