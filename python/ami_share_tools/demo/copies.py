"""Scenes of snapshots and keys: accounts that may copy, grants, and a key policy that is mended."""

import json

from ami_share_tools.demo.deployment import Deployment
from ami_share_tools.demo.promises import completed, expect, refused
from ami_share_tools.demo.screen import fact, section
from ami_share_tools.demo.stage import BATCH, PROD, STAGING, UNIT
from ami_share_tools.document import Document


def copy_with_grants(demo: Deployment) -> None:
    section(
        "Let three accounts copy",
        "analytics-node has two volumes on two keys that let nobody in. Its rule says"
        " `access: copy` and `keys: grant`: grants first, then the snapshots, the launch permission last.",
    )
    status, outcome = demo.api.call(
        demo.portal, "POST", demo.shares("analytics-node"), {"accountIds": [PROD, STAGING, BATCH], "access": "copy"}
    )
    completed(status, outcome, changed=True)
    calls = [step["call"] for step in outcome["images"][0]["steps"]]
    expect(
        calls == ["kms:CreateGrant"] * 6 + ["ec2:ModifySnapshotAttribute"] * 2 + ["ec2:ModifyImageAttribute"],
        f"grants before snapshots before the launch permission were promised, not {calls}",
    )
    demo.everything_of("analytics-node", {PROD, STAGING, BATCH})


def copy_again(demo: Deployment) -> None:
    section("The same request again", "Every grant, snapshot entry and launch permission is found; nothing is written.")
    demo.aws.forget_calls()
    status, outcome = demo.api.call(
        demo.portal, "POST", demo.shares("analytics-node"), {"accountIds": [PROD, STAGING, BATCH], "access": "copy"}
    )
    completed(status, outcome, changed=False)
    demo.nothing_written()


def one_account_less(demo: Deployment) -> None:
    section(
        "Take one account back",
        "Its launch permission, its entry on both snapshots and its two grants go; those of the other accounts stay.",
    )
    status, outcome = demo.api.call(demo.portal, "DELETE", f"{demo.shares('analytics-node')}/{STAGING}")
    completed(status, outcome, changed=True)
    demo.everything_of("analytics-node", {PROD, BATCH})


def one_volume_spoils_it(demo: Deployment) -> None:
    section(
        "One volume on the AWS managed key",
        "analytics-mixed has its second volume on aws/ebs. No grant for the"
        " first is made: everything is decided before anything is written.",
    )
    demo.aws.forget_calls()
    status, outcome = demo.api.call(
        demo.portal, "POST", demo.shares("analytics-mixed"), {"accountIds": [PROD, BATCH], "access": "copy"}
    )
    refused(status, outcome, "DefaultKey", 409)
    demo.nothing_written()
    demo.everything_of("analytics-mixed", set())


def a_unit_without_create_grant(demo: Deployment) -> None:
    section(
        "A whole organizational unit",
        "The policy of fleet-node's key has the statement that AWS's page on"
        " organizations and keys gave in 2023. It lacks kms:CreateGrant, and every launch would fail.",
    )
    status, outcome = demo.api.call(demo.portal, "POST", "/requests", fleet_request(demo))
    refused(status, outcome, "KeyAccessMissing", 409)
    [key] = outcome["images"][0]["keys"]
    expect(key["missing"] == ["kms:CreateGrant"], f"CreateGrant alone should be missing, not {key['missing']}")
    expect(demo.permissions("fleet-node") == [], "a refusal should change nothing")
    demo.remedy = key


def the_remedy_applied(demo: Deployment) -> None:
    section(
        "The remedy, applied",
        "The key's administrator adds the statement of the refusal. The function never changes a key policy.",
    )
    kms, key = demo.aws.client("kms"), demo.remedy["keyArn"]
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    policy["Statement"] += demo.remedy["remedy"]
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    fact("put-key-policy", f"{len(demo.remedy['remedy'])} statement added to {key}")
    status, outcome = demo.api.call(demo.portal, "POST", "/requests", fleet_request(demo))
    completed(status, outcome, changed=True)
    expect(demo.permissions("fleet-node") == [UNIT], "the image should be shared with the unit")


def fleet_request(demo: Deployment) -> Document:
    return {"action": "share", "imageIds": [demo.images["fleet-node"]], "organizationalUnitArns": [UNIT]}


SCENES = (
    copy_with_grants,
    copy_again,
    one_account_less,
    one_volume_spoils_it,
    a_unit_without_create_grant,
    the_remedy_applied,
)
