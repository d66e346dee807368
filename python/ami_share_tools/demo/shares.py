"""Scenes of launch permissions: what is shared, what is refused and why."""

from ami_share_tools.demo.deployment import Deployment
from ami_share_tools.demo.promises import completed, expect, refused
from ami_share_tools.demo.screen import fact, section
from ami_share_tools.demo.stage import OFF_LIST, PARTNER, PROD, STAGING


def share(demo: Deployment) -> None:
    section("Share an image", "golden-web is not encrypted. The portal may share golden images with prod-web.")
    status, outcome = demo.api.call(
        demo.portal, "POST", demo.shares("golden-web"), {"accountIds": [PROD], "reason": "release 1.4"}
    )
    completed(status, outcome, changed=True)
    expect(demo.permissions("golden-web") == [PROD], "the image should be shared with prod-web and nobody else")


def share_again(demo: Deployment) -> None:
    section("The same request again", "What is there already is not written again.")
    demo.aws.forget_calls()
    status, outcome = demo.api.call(demo.portal, "POST", demo.shares("golden-web"), {"accountIds": [PROD]})
    completed(status, outcome, changed=False)
    expect(outcome["images"][0]["steps"] == [], "a repeat should have no steps")
    demo.nothing_written()


def key_lets_in(demo: Deployment) -> None:
    section(
        "Share an encrypted image",
        "The snapshot behind golden-db is on a customer managed key. Its policy has"
        " the two statements of AWS's guide for prod-web.",
    )
    status, outcome = demo.api.call(demo.portal, "POST", demo.shares("golden-db"), {"accountIds": [PROD]})
    completed(status, outcome, changed=True)
    expect([key["verdict"] for key in outcome["images"][0]["keys"]] == ["allowed"], "the key should be allowed")
    expect(demo.permissions("golden-db") == [PROD], "the image should be shared with prod-web")


def target_off_the_list(demo: Deployment) -> None:
    section("A target that is not on the allowlist", f"No rule lets the portal share anything with {OFF_LIST}.")
    status, outcome = demo.api.call(demo.portal, "POST", demo.shares("golden-web"), {"accountIds": [OFF_LIST]})
    refused(status, outcome, "TargetNotAllowed", 403)
    expect(demo.permissions("golden-web") == [PROD], "a refusal should change nothing")


def key_lets_nobody_in(demo: Deployment) -> None:
    section(
        "A key that lets nobody in",
        "golden-vault could be shared, and every launch of it would fail: its key's"
        " policy does not know prod-web. The refusal brings the statements to add.",
    )
    status, outcome = demo.api.call(demo.portal, "POST", demo.shares("golden-vault"), {"accountIds": [PROD]})
    refused(status, outcome, "KeyAccessMissing", 409)
    expect(outcome["refusals"][0].get("remedy"), "the refusal should bring a remedy")
    expect(demo.permissions("golden-vault") == [], "a refusal should change nothing")


def aws_managed_key(demo: Deployment) -> None:
    section("The AWS managed key", "golden-legacy is encrypted with aws/ebs, whose policy nobody can change.")
    status, outcome = demo.api.call(demo.portal, "POST", demo.shares("golden-legacy"), {"accountIds": [PROD]})
    refused(status, outcome, "DefaultKey", 409)
    expect(demo.permissions("golden-legacy") == [], "a refusal should change nothing")


def somebody_elses(demo: Deployment) -> None:
    section(
        "Somebody else's image",
        "Operators may reset any image, yet golden-partner belongs to another account,"
        f" {PARTNER}: this one may only launch it.",
    )
    status, outcome = demo.api.call(
        demo.operator, "POST", "/requests", {"action": "reset", "imageIds": [demo.images["golden-partner"]]}
    )
    refused(status, outcome, "ImageNotOwned", 409)


def dry_run(demo: Deployment) -> None:
    section("A dry run", "Decide and plan everything, change nothing: would golden-web go to staging-web as well?")
    status, outcome = demo.api.call(
        demo.portal, "POST", demo.shares("golden-web") + "?dryRun=true", {"accountIds": [STAGING]}
    )
    expect((status, outcome.get("result")) == (200, "planned"), f"200 and planned were promised, not {status}")
    expect([s["state"] for s in outcome["images"][0]["steps"]] == ["planned"], "one planned step was promised")
    expect(demo.permissions("golden-web") == [PROD], "a dry run should change nothing")


def list_shares(demo: Deployment) -> None:
    section("Who may launch it?", "The list is what EC2 says at this moment.")
    status, outcome = demo.api.call(demo.portal, "GET", demo.shares("golden-db"))
    expect((status, outcome.get("result")) == (200, "completed"), f"200 and completed were promised, not {status}")
    told = outcome["images"][0]["permissions"]["launch"]
    fact("permissions", ", ".join(f"{entry['type']} {entry['id']}" for entry in told))
    expect(told == [{"type": "account", "id": PROD}], "the list should name prod-web alone")


def check_share(demo: Deployment) -> None:
    section("Would it launch?", "A check answers for one image and one account, and names what a share would meet.")
    status, outcome = demo.api.call(demo.portal, "GET", f"{demo.shares('golden-vault')}/{PROD}")
    expect(status == 200, f"200 was promised, not {status}")
    expect([t["state"] for t in outcome["images"][0]["targets"]] == ["not-shared"], "it should not be shared")
    expect(
        "KeyAccessMissing" in [r["code"] for r in outcome["refusals"]],
        "the check should name the missing key access",
    )


def who_uses_it(demo: Deployment) -> None:
    section(
        "Who breaks?",
        "Before access is taken away: which accounts use golden-web? EC2 makes a report of it, and takes its time.",
    )
    path = demo.shares("golden-web").removesuffix("shares") + "usage"
    status, outcome = demo.api.call(demo.portal, "GET", path)
    expect((status, outcome.get("result")) == (202, "accepted"), f"202 and accepted were promised, not {status}")
    demo.aws.control("POST", "/_local/usage-reports", {"ids": [demo.images["golden-web"]], "state": "available"})
    section(
        "The same question, when the report is there", "Of accounts that no rule of the portal names there is a sum."
    )
    status, outcome = demo.api.call(demo.portal, "GET", path)
    expect((status, outcome.get("result")) == (200, "completed"), f"200 and completed were promised, not {status}")
    entries = [(entry["accountId"], entry["count"]) for entry in outcome["images"][0]["usage"]["entries"]]
    expect(entries == [(PROD, 3), (PROD, 1), (None, 2)], f"prod-web's numbers and a sum were promised, not {entries}")


def revoke(demo: Deployment) -> None:
    section("Take it back")
    status, outcome = demo.api.call(demo.portal, "DELETE", f"{demo.shares('golden-web')}/{PROD}")
    completed(status, outcome, changed=True)
    expect([t["state"] for t in outcome["images"][0]["targets"]] == ["revoked"], "the target should be revoked")
    expect(demo.permissions("golden-web") == [], "nobody should be left")


SCENES = (
    share,
    share_again,
    key_lets_in,
    target_off_the_list,
    key_lets_nobody_in,
    aws_managed_key,
    somebody_elses,
    dry_run,
    list_shares,
    check_share,
    who_uses_it,
    revoke,
)
