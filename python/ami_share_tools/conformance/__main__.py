"""Ask AWS what no emulator and no page of its documentation answers: `python -m ami_share_tools.conformance --help`.

Two accounts are needed, an owner of images and a target they are shared with. The run makes a key, snapshots, images,
a role and, for some checks, instances; it removes everything again, also after a failure or Ctrl-C. It has never been
run against AWS by this project: what it expects is what the function relies on, what it sees is the answer.
"""

import argparse
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from ami_share_tools.conformance.checks import CHECKS, Check
from ami_share_tools.conformance.ledger import TAG, Ledger, sweep
from ami_share_tools.conformance.world import World
from ami_share_tools.interrupts import raise_keyboard_interrupt

COST = """\
Cost: a KMS key until its deletion is scheduled at the end (it is then pending for 7 days, which is free of charge), a
few snapshots of 1 GiB and instances of the smallest sort for minutes. By the price lists well under one US dollar;
never measured."""


def main() -> int:
    options = arguments()
    checks = [
        check
        for check in CHECKS
        if (not options.only or check.name in options.only) and not (options.no_launch and check.launches)
    ]
    if options.dry_run:
        plan(checks)
        return 0
    if not options.yes:
        plan(checks)
        print("\nNothing was done. Say --yes to make these things in both accounts and remove them again.")
        return 2
    raise_keyboard_interrupt()
    try:
        owner, target = (
            boto3.Session(profile_name=profile, region_name=options.region)
            for profile in (options.owner_profile, options.target_profile)
        )
        identities = [session.client("sts").get_caller_identity() for session in (owner, target)]
    except (BotoCoreError, ClientError) as problem:
        print(f"No access to both accounts: {problem}", file=sys.stderr)
        return 2
    if identities[0]["Account"] == identities[1]["Account"]:
        print(
            f"Both profiles are of account {identities[0]['Account']}; two different accounts are needed.",
            file=sys.stderr,
        )
        return 2
    if options.sweep:
        return sweep(owner, target)
    return run(World(owner, target, identities, options), checks)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="conformance",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"Everything made has the tag {TAG}.\n{COST}",
    )
    parser.add_argument("--owner-profile", required=True, help="profile of the account that owns the images")
    parser.add_argument(
        "--target-profile", required=True, help="profile of the account that the images are shared with"
    )
    parser.add_argument("--region", required=True, help="the Region, in both accounts")
    parser.add_argument("--yes", action="store_true", help="create and remove resources in both accounts")
    parser.add_argument("--dry-run", action="store_true", help="print the plan without calling AWS")
    parser.add_argument(
        "--only",
        action="append",
        choices=[check.name for check in CHECKS],
        metavar="CHECK",
        help="run only this check; can be repeated. " + ", ".join(check.name for check in CHECKS),
    )
    parser.add_argument("--no-launch", action="store_true", help="skip the checks that start instances")
    parser.add_argument("--subnet-id", help="subnet of the target's instances; by default one of the default VPC")
    parser.add_argument("--instance-type", default="t3.micro", help="default %(default)s")
    parser.add_argument(
        "--grant-seconds",
        type=int,
        default=300,
        help="how long to wait until a grant has taken effect everywhere; default %(default)s",
    )
    parser.add_argument(
        "--sweep", action="store_true", help="only remove the resources of an earlier run, which are found by their tag"
    )
    return parser.parse_args()


def plan(checks: list[Check]) -> None:
    for check in checks:
        print(f"{check.name}: {check.question}\n    makes {check.makes}; expected: {check.expected or 'not known'}")
    print(f"\n{COST}")


def run(world: World, checks: list[Check]) -> int:
    rows, interrupted = [], False
    with Ledger() as ledger:
        world.ledger = ledger
        try:
            for check in checks:
                print(f"{check.name} ...", flush=True)
                rows.append((check, check.see(world)))
        except KeyboardInterrupt:
            interrupted = True
            print("\nStopped. Removing what was made:", flush=True)
    table(rows)
    if ledger.left:
        print("\nLEFT BEHIND, remove it by hand or with --sweep:\n  " + "\n  ".join(ledger.left))
    if interrupted:
        return 130
    return int(bool(ledger.left) or any(not check.is_met_by(seen) for check, seen in rows))


def table(rows: list[tuple[Check, str]]) -> None:
    told = [("check", "expected", "seen"), *((check.name, check.expected or "not known", seen) for check, seen in rows)]
    marks = [" ", *(" " if check.is_met_by(seen) else "!" for check, seen in rows)]
    name, expected = (max(len(row[column]) for row in told) for column in (0, 1))
    print()
    for mark, row in zip(marks, told):
        print(f"{mark} {row[0]:{name}}  {row[1]:{expected}}  {row[2]}")


if __name__ == "__main__":
    sys.exit(main())
