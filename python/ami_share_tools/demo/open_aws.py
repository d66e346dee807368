"""Keep a local AWS open until Ctrl-C: the template deployed with the self-service page, a local issuer to sign in at, images on
keys of every sort. `make local-aws`.

An argument is the path of a built function; without one cargo builds it.
"""

import signal
import sys
import tempfile
from pathlib import Path

from ami_share_tools import function
from ami_share_tools.demo import self_service
from ami_share_tools.demo.screen import fact, say, section
from ami_share_tools.interrupts import raise_keyboard_interrupt
from ami_share_tools.repository import ROOT


def main() -> None:
    raise_keyboard_interrupt()
    try:
        section(
            "Build",
            "The function's binary, dev profile. The first build takes about 7 minutes and up to 9 GB of memory.",
        )
        binary = function.chosen(*sys.argv[1:2])
        with tempfile.TemporaryDirectory(prefix="ami-share-local-") as scratch:
            log = Path(scratch) / "local-aws.log"
            with self_service.opened(binary, log, copy_seconds=20) as service:
                describe(service, log)
                signal.pause()
    except KeyboardInterrupt:
        say("\nStopped; nothing is left.")


def describe(service: self_service.SelfService, log: Path) -> None:
    aws = service.aws
    section("The page", "Sign in as anybody; there are no passwords.")
    fact("address", service.url, "bold")
    for person in service.issuer.people.values():
        fact(person.name, ", ".join(person.groups) or "in no group: nobody has let this person in")
    fact("allowlist", self_service.ALLOWLIST.relative_to(ROOT))
    section("A local AWS", "Loopback only. Ctrl-C ends it.")
    fact("endpoint", aws.endpoint, "bold")
    fact("account", aws.account)
    fact("region", aws.region)
    fact("log", log)
    section("Its images", "On keys of every sort; what the demo's self_service.py seeds.")
    for name, image_id in service.images.items():
        fact(name, image_id)
    section("Try it", "An account's ID is the access key of its root, `test` the secret.")
    say(f"""
     export AWS_ENDPOINT_URL={aws.endpoint} AWS_REGION={aws.region}
     export AWS_ACCESS_KEY_ID={aws.account} AWS_SECRET_ACCESS_KEY=test
     aws ec2 describe-images --owners self
     curl -d '{{"images": [{{"name": "golden-mine"}}]}}' {aws.endpoint}/_local/seed
     curl {aws.endpoint}/_local/calls

     python/ami_share_tools/local_aws/control.py says what else can be seeded.""")


if __name__ == "__main__":
    main()
