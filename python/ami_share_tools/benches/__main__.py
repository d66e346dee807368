"""The benches of the whole function: `make bench` prints the tables of docs/performance.md.

    python -m ami_share_tools.benches [waves] [start] [peer] [bill] [scale]      all of them where none is named

AMI_SHARE_BOOTSTRAP is the binary to measure; the peer needs the group `bench` of pyproject.toml.

    python -m ami_share_tools.benches profiles      compares binaries, such as those of several release profiles

AMI_SHARE_VARIANTS has their paths, separated by colons.
"""

import contextlib
import io
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ami_share_tools.benches.aws import Aws, Share, waves
from ami_share_tools.benches.lambda_api import Function
from ami_share_tools.benches.processor import cost_of_a_million, quota
from ami_share_tools.benches.scale import Burst, simulate

HERE = Path(__file__).parent
STARTS = 25
REQUESTS = 50
BILLED_STARTS = 7
BILLED_REQUESTS = 25
CPU_SHARE = "Under the share of a processor that Lambda gives 256 MB"
DELAY = 0.1
MB = 1_000_000


def main() -> None:
    wanted = sys.argv[1:] or [name for name in TABLES if name != "profiles"]
    binary = Path(os.environ["AMI_SHARE_BOOTSTRAP"])
    print(f"{binary}: {binary.stat().st_size / MB:.2f} MB, zipped {zipped(binary) / MB:.2f} MB\n")
    with tempfile.TemporaryDirectory(prefix="ami-share-bench-") as folder:
        for name in wanted:
            TABLES[name]([str(binary)], Path(folder))


def table(title: str, *rows: Sequence[Any]) -> None:
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ["-" * width for width in widths])
    print(f"{title}\n")
    for row in cells:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
    print(flush=True)


def zipped(*paths: Path) -> int:
    """The size of the deployment package with these files and folders."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in paths:
            files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
            for file in files:
                if "__pycache__" not in file.parts:
                    archive.write(file, file.relative_to(path.parent))
    return package.tell()


# Waves: every call is answered after 100 ms.


def measure_waves(command: list[str], folder: Path) -> None:
    one = Share()
    shares = [
        one,
        Share(snapshots=40),
        Share(keys=4),
        Share(accounts=1),
        Share(accounts=200),
        Share(images=10),
        Share(images=50, accounts=20),
        Share(images=50, snapshots=10, keys=10, accounts=20),
    ]
    rows: list[tuple[Any, ...]] = [
        (
            "images",
            "snapshots each",
            "keys",
            "accounts",
            "waves",
            "writes",
            "calls",
            "connections",
            "ms",
            "processor ms",
            "warm waves",
            "warm calls",
            "warm ms",
        )
    ]
    for share in shares:
        aws = Aws(share, DELAY)
        function = Function(command, folder, aws.endpoint, share.allowlist())
        before = function.cpu()
        _, took = function.invoke(share.request())
        cpu = function.cpu() - before
        writes = sum(call.name == "ec2:ModifyImageAttribute" for call in aws.calls)
        cold = (waves(aws.calls), writes, len(aws.calls), aws.connections)
        aws.forget()
        _, warm = function.invoke(share.request())
        rows.append(
            (
                share.images,
                share.snapshots,
                share.keys,
                share.accounts,
                *cold,
                f"{took * 1000:.0f}",
                f"{cpu * 1000:.0f}",
                waves(aws.calls),
                len(aws.calls),
                f"{warm * 1000:.0f}",
            )
        )
        function.close()
        aws.close()
    table("A share in a new function and the same again, each AWS call answered after 100 ms", *rows)


# Start: from the start of the process to the first poll and the first answer.


def measure_start(command: list[str], folder: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        ("AWS", "certificates", "first poll ms", "processor ms", "first answer ms", "processor ms", "peak MB")
    ]
    bundle = one_file(folder)
    ways: list[tuple[str, str, dict[str, str], tuple[str, str] | None]] = [("http", "searched for", {}, None)]
    if bundle:
        ways.append(("http", "one file", {"SSL_CERT_FILE": bundle}, None))
    if bundle and (own := own_certificate(folder, bundle)):
        ways.append(("https", "one file", {"SSL_CERT_FILE": own[0]}, own[1:]))
    for scheme, certificates, variables, tls in ways:
        starts = [start(command, folder, variables, tls) for _ in range(STARTS)]
        rows.append((scheme, certificates, *medians(starts)))
    table(
        f"A share of one image with 4 snapshots on 2 keys with 100 accounts in a new function: medians of {STARTS}",
        *rows,
    )


def start(
    command: list[str], folder: Path, variables: dict[str, str] | None = None, tls: tuple[str, str] | None = None
) -> tuple[float, float, float, float, float]:
    share = Share()
    aws = Aws(share, tls=tls)
    function = Function(command, folder, aws.endpoint, share.allowlist(), variables)
    _, took = function.invoke(share.request())
    cpu, memory = function.cpu(), function.peak_memory()
    function.close()
    aws.close()
    first = function.first_poll
    return first * 1e3, function.first_poll_cpu * 1e3, (first + took) * 1e3, cpu * 1e3, memory / MB


def medians(runs: Iterable[Sequence[float]]) -> list[str]:
    return [f"{statistics.median(column):.1f}" for column in zip(*runs)]


def one_file(folder: Path) -> str | None:
    """The certificates of public authorities in one file, as Lambda has them."""
    for path in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"):
        if Path(path).exists():
            return path
    return None


def own_certificate(folder: Path, bundle: str) -> tuple[str, str, str] | None:
    """The bundle with a certificate for localhost, that certificate and its key; none where there is no openssl."""
    if not shutil.which("openssl"):
        return None
    certificate, key, both = folder / "certificate.pem", folder / "key.pem", folder / "bundle.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    both.write_text(Path(bundle).read_text() + certificate.read_text())
    return str(both), str(certificate), str(key)


# Peer: the same job in Python with boto3, under the same Runtime API and the same AWS.


def measure_peer(command: list[str], folder: Path) -> None:
    ours = against(command, folder, {})
    peer = against(PEER, folder, PEER_VARIABLES)
    packages = [Path(folder) for folder in __import__("boto3").__path__]
    packages += [
        packages[0].parent / name for name in ("botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")
    ]
    function = HERE / "peer" / "lambda_function.py"
    ours["package MB"], peer["package MB"] = zipped(Path(command[0])) / MB, zipped(function, *packages) / MB
    rows: list[tuple[Any, ...]] = [("", "ami-share", "Python, boto3", "ratio")]
    for name, own in ours.items():
        other = peer[name]
        shown = [f"{value:.1f}" if isinstance(value, float) else value for value in (own, other)]
        rows.append((name, *shown, f"{other / own:.1f}"))
    table(f"Against a peer: medians of {STARTS} starts and {REQUESTS} requests", *rows)


def against(command: list[str], folder: Path, variables: dict[str, str]) -> dict[str, Any]:
    starts = [start(command, folder, variables) for _ in range(STARTS)]
    first_poll, _, first_answer, _, memory = (statistics.median(column) for column in zip(*starts))
    share = Share()
    aws = Aws(share)
    function = Function(command, folder, aws.endpoint, share.allowlist(), variables)
    function.invoke(share.request())
    aws.forget()
    before = function.cpu()
    times = [function.invoke(share.request())[1] for _ in range(REQUESTS)]
    cpu = (function.cpu() - before) / REQUESTS
    calls = len(aws.calls) // REQUESTS
    function.close()
    aws.close()
    slow = Aws(share, DELAY)
    function = Function(command, folder, slow.endpoint, share.allowlist(), variables)
    function.invoke(share.request())
    slow.forget()
    _, took = function.invoke(share.request())
    function.close()
    slow.close()
    return {
        "first poll ms": first_poll,
        "first answer ms": first_answer,
        "peak MB": memory,
        "warm request ms": statistics.median(times) * 1e3,
        "its processor ms": cpu * 1e3,
        "calls": calls,
        "waves": waves(slow.calls),
        "warm request ms, calls taking 100": took * 1e3,
    }


# Bill: what Lambda bills for a request, under the share of a processor that it gives.


def measure_bill(command: list[str], folder: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        (
            "accounts",
            "calls take ms",
            "",
            "start ms",
            "first request ms",
            "warm request ms",
            "processor ms",
            "$ a million",
        )
    ]
    with contextlib.ExitStack() as stack:
        try:
            within = stack.enter_context(quota())
        except OSError as error:
            print(f"{CPU_SHARE}: skipped, because cgroups can't be written here ({error})\n")
            return
        for accounts in (1, 100):
            for delay in (0.0, 0.05):
                share = Share(accounts=accounts)
                ways: list[tuple[str, list[str], dict[str, str]]] = [
                    ("ami-share", command, {}),
                    ("Python, boto3", PEER, PEER_VARIABLES),
                ]
                for name, words, variables in ways:
                    billed = bill([*within, *words], folder, share, delay, variables)
                    rows.append((accounts, round(delay * 1e3), name, *billed))
    table(f"{CPU_SHARE}: medians of {BILLED_STARTS} starts, means of {BILLED_REQUESTS} requests", *rows)


def bill(
    command: list[str], folder: Path, share: Share, delay: float, variables: dict[str, str]
) -> tuple[str, str, str, str, str]:
    """The billed milliseconds, which are rounded up, and the cost of a million warm requests."""
    firsts: list[tuple[float, float]] = []
    for _ in range(BILLED_STARTS):
        aws = Aws(share, delay)
        function = Function(command, folder, aws.endpoint, share.allowlist(), variables)
        _, took = function.invoke(share.request())
        firsts.append((function.first_poll * 1e3, took * 1e3))
        function.close()
        aws.close()
    aws = Aws(share, delay)
    function = Function(command, folder, aws.endpoint, share.allowlist(), variables)
    function.invoke(share.request())
    before = function.cpu()
    times = [math.ceil(function.invoke(share.request())[1] * 1e3) for _ in range(BILLED_REQUESTS)]
    cpu = (function.cpu() - before) / BILLED_REQUESTS
    function.close()
    aws.close()
    starts, requests = (math.ceil(statistics.median(column)) for column in zip(*firsts))
    mean = statistics.mean(times)
    return str(starts), str(requests), f"{mean:.0f}", f"{cpu * 1e3:.1f}", f"{cost_of_a_million(mean):.2f}"


# Profiles: what the settings of a build cost and save.


def measure_profiles(command: list[str], folder: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        (
            "binary",
            "MB",
            "zipped",
            "first poll, processor ms",
            "first answer, processor ms",
            "1 account, processor ms",
            "100 accounts, processor ms",
            "start ms",
            "first request ms",
            "warm request ms",
        )
    ]
    with contextlib.ExitStack() as stack:
        try:
            within = stack.enter_context(quota())
        except OSError as error:
            print(f"{CPU_SHARE}: skipped, because cgroups can't be written here ({error})\n")
            within = None
        for path in os.environ.get("AMI_SHARE_VARIANTS", command[0]).split(os.pathsep):
            _, first_poll, _, first_answer, _ = medians(start([path], folder) for _ in range(STARTS))
            warm = [f"{warm_cost(path, folder, accounts) * 1e3:.2f}" for accounts in (1, 100)]
            billed = bill([*within, path], folder, Share(), 0.0, {})[:3] if within else ("", "", "")
            sizes = (f"{Path(path).stat().st_size / MB:.2f}", f"{zipped(Path(path)) / MB:.2f}")
            rows.append((path, *sizes, first_poll, first_answer, *warm, *billed))
    table(
        f"Binaries: medians of {STARTS} starts, means of {REQUESTS} requests. The last three are medians of {BILLED_STARTS} starts "
        f"and the mean of {BILLED_REQUESTS} requests, with 100 accounts under the share of a processor that Lambda gives 256 MB",
        *rows,
    )


def warm_cost(path: str, folder: Path, accounts: int) -> float:
    """Seconds of processor time of a request in a process that has answered before."""
    share = Share(accounts=accounts)
    aws = Aws(share)
    function = Function([path], folder, aws.endpoint, share.allowlist())
    function.invoke(share.request())
    before = function.cpu()
    for _ in range(REQUESTS):
        function.invoke(share.request())
    cost = (function.cpu() - before) / REQUESTS
    function.close()
    aws.close()
    return cost


# Scale: a simulation, without any binary.


def measure_scale(_: list[str], __: Path) -> None:
    bursts = [
        Burst(10_000, concurrency=1_000),
        Burst(10_000, concurrency=20),
        Burst(10_000, concurrency=5, longest_age=3_600),
        Burst(10_000, concurrency=2, longest_age=3_600, is_queue=True),
        Burst(10_000, concurrency=20, writes_a_second=20),
        Burst(10_000, concurrency=2, longest_age=3_600, writes_a_second=20, is_queue=True),
    ]
    rows: list[tuple[Any, ...]] = [
        ("way", "at once", "writes a second", "longest age s", "shared", "stale", "failed", "minutes")
    ]
    for burst in bursts:
        end = simulate(burst)
        way = "queue" if burst.is_queue else "events"
        limits = (burst.concurrency, f"{burst.writes_a_second:.0f}", f"{burst.longest_age:.0f}")
        rows.append((way, *limits, end.shared, end.stale, end.failed, f"{end.seconds / 60:.0f}"))
    table("A burst of 10,000 events, simulated", *rows)


PEER = [sys.executable, "-m", "awslambdaric", "lambda_function.handler"]
PEER_VARIABLES = {"PYTHONPATH": str(HERE / "peer")}

TABLES = {
    "waves": measure_waves,
    "start": measure_start,
    "peer": measure_peer,
    "bill": measure_bill,
    "scale": measure_scale,
    "profiles": measure_profiles,
}

if __name__ == "__main__":
    main()
