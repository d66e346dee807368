"""Owns the share of a processor that Lambda gives a function: a cgroup with that quota, and what a request costs there.

"At 1,769 MB, a function has the equivalent of one vCPU": https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

MEMORY = 256
ONE_PROCESSOR = 1_769
# Lambda's own period is not documented.
PERIOD_MICROSECONDS = 20_000
QUOTA_MICROSECONDS = PERIOD_MICROSECONDS * MEMORY // ONE_PROCESSOR

# List prices in US dollars of x86 in us-east-1: https://aws.amazon.com/lambda/pricing/
PER_GB_SECOND = 0.000_016_666_7
PER_MILLION_REQUESTS = 0.20

CGROUPS = Path("/sys/fs/cgroup")


def cost_of_a_million(billed_ms: float) -> float:
    """What a million requests cost that are billed so many milliseconds each."""
    return 1_000_000 * MEMORY / 1_024 * billed_ms / 1_000 * PER_GB_SECOND + PER_MILLION_REQUESTS


@contextlib.contextmanager
def quota() -> Iterator[list[str]]:
    """A cgroup with the quota; gives the words to put before a command that is to run in it.

    Raises OSError where cgroups can't be written.
    """
    name = f"ami-share-bench-{os.getpid()}"
    if (CGROUPS / "cpu").is_dir():
        folder, limits = CGROUPS / "cpu" / name, {"cpu.cfs_period_us": PERIOD_MICROSECONDS}
        limits["cpu.cfs_quota_us"] = QUOTA_MICROSECONDS
        text = {file: str(value) for file, value in limits.items()}
    else:
        folder, text = CGROUPS / name, {"cpu.max": f"{QUOTA_MICROSECONDS} {PERIOD_MICROSECONDS}"}
    folder.mkdir()
    try:
        for file, value in text.items():
            (folder / file).write_text(value)
        yield ["/bin/sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$0" "$@"']
    finally:
        # Processes that were killed leave it a little later.
        for _ in range(100):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.05)
