"""The demo: deploy the real template to a local AWS, share and refuse images through its doors, check every scene.

Run it with `make demo`. It exits with 1 and a sentence when something is not as promised, with 130 after Ctrl-C.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from ami_share_tools import function
from ami_share_tools.demo import aftermath, approvals, audits, copies, events, regions, shares
from ami_share_tools.demo.deployment import Deployment
from ami_share_tools.demo.promises import NotAsPromised, expect
from ami_share_tools.demo.screen import fact, paint, say, section
from ami_share_tools.interrupts import raise_keyboard_interrupt
from ami_share_tools.local_aws.client import LocalAws

SCENES = (*shares.SCENES, *copies.SCENES, *regions.SCENES, *approvals.SCENES, *events.SCENES, *audits.SCENES)


def main() -> int:
    raise_keyboard_interrupt()
    scratch = Path(tempfile.mkdtemp(prefix="ami-share-demo-"))
    try:
        play(scratch)
    except KeyboardInterrupt:
        say("\nStopped. Everything the demo started is gone.")
        shutil.rmtree(scratch)
        return 130
    except Exception as problem:
        kind = "" if isinstance(problem, NotAsPromised) else f"{type(problem).__name__}: "
        say(f"\n{paint('The demo failed', 'bold', 'red')}: {kind}{problem}")
        say(f"The logs are in {scratch}")
        return 1
    shutil.rmtree(scratch)
    return 0


def play(logs: Path) -> None:
    section(
        "Build", "The function's binary, dev profile. The first build takes about 7 minutes and up to 9 GB of memory."
    )
    binary = function.build()
    with LocalAws(logs / "local-aws.log") as aws:
        session = aws.process.pid  # it leads a session of its own, in which all it starts is
        demo = Deployment(aws, binary)
        try:
            for scene in SCENES:
                scene(demo)
        except Exception:
            (logs / "function.log").write_text("\n".join(demo.function_log()))
            raise
        section("Afterwards")
        running = aftermath.session_processes(session)
        if running is not None:
            heard = aftermath.listeners(running)
            expect(heard and all(map(aftermath.is_loopback, heard)), f"something listened beyond loopback: {heard}")
            fact("listening", f"{len(heard)} sockets, all on 127.0.0.1")
    left = aftermath.wait_until_gone(session)
    expect(not left, f"processes were left behind: {left}")
    fact("left behind", "nothing" if left is not None else "not checked: this system has no /proc")
    say(f"\n{paint('Every scene was as promised.', 'bold', 'green')}\n")


if __name__ == "__main__":
    sys.exit(main())
