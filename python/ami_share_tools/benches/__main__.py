"""The benches of the whole function: `make bench` prints the tables of docs/performance.md.

    python -m ami_share_tools.benches [waves] [start] [peer]      all of them where none is named

AMI_SHARE_BOOTSTRAP is the binary to measure; the peer needs the group `bench` of pyproject.toml.
"""

import io
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

HERE = Path(__file__).parent
STARTS = 25
REQUESTS = 50
DELAY = 0.1
MB = 1_000_000


def main() -> None:
    wanted = sys.argv[1:] or ["waves", "start", "peer"]
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
        )
    ]
    for share in shares:
        aws = Aws(share, DELAY)
        function = Function(command, folder, aws.endpoint, share.allowlist())
        before = function.cpu()
        _, took = function.invoke(share.request())
        writes = sum(call.name == "ec2:ModifyImageAttribute" for call in aws.calls)
        rows.append(
            (
                share.images,
                share.snapshots,
                share.keys,
                share.accounts,
                waves(aws.calls),
                writes,
                len(aws.calls),
                aws.connections,
                f"{took * 1000:.0f}",
                f"{(function.cpu() - before) * 1000:.0f}",
            )
        )
        function.close()
        aws.close()
    table("A share in a new function, each AWS call answered after 100 ms", *rows)


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
    python = [sys.executable, "-m", "awslambdaric", "lambda_function.handler"]
    peer = against(python, folder, {"PYTHONPATH": str(HERE / "peer")})
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


TABLES = {"waves": measure_waves, "start": measure_start, "peer": measure_peer}

if __name__ == "__main__":
    main()
