"""Keep a local AWS with the demo's images open until Ctrl-C, and say how to talk to it. `make local-aws`."""

import signal
import tempfile
from pathlib import Path

from ami_share_tools.demo import stage
from ami_share_tools.demo.screen import fact, say, section
from ami_share_tools.interrupts import raise_keyboard_interrupt
from ami_share_tools.local_aws.client import Aws, LocalAws


def main() -> None:
    raise_keyboard_interrupt()
    with tempfile.TemporaryDirectory(prefix="ami-share-local-") as scratch:
        log = Path(scratch) / "local-aws.log"
        try:
            with LocalAws(log) as aws:
                describe(aws, stage.seed(aws), log)
                signal.pause()
        except KeyboardInterrupt:
            say("\nStopped; nothing is left.")


def describe(aws: Aws, images: dict[str, str], log: Path) -> None:
    section("A local AWS", "Loopback only. Ctrl-C ends it.")
    fact("endpoint", aws.endpoint, "bold")
    fact("account", aws.account)
    fact("region", aws.region)
    fact("log", log)
    section("Its images", "On keys of every sort; what the demo's stage.py seeds.")
    for name, image_id in images.items():
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
