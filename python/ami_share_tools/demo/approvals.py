"""Scenes of shares that somebody else must approve: one asks, waits, and another person says yes."""

from ami_share_tools.demo.deployment import Deployment
from ami_share_tools.demo.promises import completed, expect, refused
from ami_share_tools.demo.screen import fact, section
from ami_share_tools.demo.stage import PROD


def it_waits(demo: Deployment) -> None:
    section(
        "A share that somebody must approve",
        "The rule `licensed` has approvers. Everything is decided, image, target and key; then the share waits. The answer"
        " is 202, with the ID of what waits.",
    )
    status, outcome = demo.api.call(
        demo.portal, "POST", demo.shares("licensed-app"), {"accountIds": [PROD], "reason": "for the shop"}
    )
    expect((status, outcome.get("result")) == (202, "accepted"), f"202 and accepted were promised, not {status}")
    expect(demo.permissions("licensed-app") == [], "nothing should be shared yet")
    demo.approval = outcome["approval"]["id"]


def not_by_who_asked(demo: Deployment) -> None:
    section("Not by who asked", "Whoever asked is no approver of it, whatever the rule says.")
    status, outcome = demo.api.call(demo.portal, "POST", f"/approvals/{demo.approval}")
    refused(status, outcome, "ApprovalNotAllowed", 403)


def somebody_else_approves(demo: Deployment) -> None:
    section(
        "Somebody else approves",
        "An operator sees what waits, and approves it. It is decided anew, with the allowlist and the key as they are now,"
        " and shared under the ID of the first request.",
    )
    status, waiting = demo.api.call(demo.operator, "GET", "/approvals")
    expect([one["id"] for one in waiting["approvals"]] == [demo.approval], "one share should wait")
    status, outcome = demo.api.call(demo.operator, "POST", f"/approvals/{demo.approval}", {"reason": "license 4711"})
    completed(status, outcome, changed=True)
    fact("asked by", outcome["requester"])
    fact("approved by", outcome["approvedBy"], "bold")
    expect(demo.permissions("licensed-app") == [PROD], "the image should be shared with prod-web")


SCENES = (it_waits, not_by_who_asked, somebody_else_approves)
