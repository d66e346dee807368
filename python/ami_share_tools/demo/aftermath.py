"""What must be true of the machine: only loopback was listened on, and nothing that was started is left."""

import os
import time
from pathlib import Path

LISTENING = "0A"
GONE_SECONDS = 10


def session_processes(session: int) -> set[int] | None:
    """The processes of a session, from /proc; None where there is no /proc to ask."""
    if not Path("/proc/self/stat").exists():
        return None
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found


def listeners(processes: set[int]) -> list[str]:
    """The addresses, as /proc/net writes them, that these processes listen on."""
    inodes = set()
    for process in processes:
        for link in Path(f"/proc/{process}/fd").glob("*"):
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    rows = [
        line.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for line in Path(table).read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == LISTENING and row[9] in inodes]


def is_loopback(address: str) -> bool:
    """127.0.0.1 in /proc/net/tcp's byte order; no IPv6 address is expected at all."""
    return address.partition(":")[0] == "0100007F"


def wait_until_gone(session: int) -> set[int] | None:
    deadline = time.monotonic() + GONE_SECONDS
    while (left := session_processes(session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
