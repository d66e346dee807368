"""Pack what is deployed into dist/:  python3 deploy/package.py --binary PATH [--out FOLDER]

For the architecture that the binary is built for: `ami-share-ARCH.zip` with it, and `ami-share-ARCH.yaml`, the template
that names this zip and this architecture, so that nobody can deploy the one with the other. Beside them the layer with
the example allowlist, the licences and the README that `sam publish` asks for, and SHA256SUMS of everything there. The
same input gives the same bytes.
"""

import argparse
import hashlib
import io
import re
import shutil
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# ELF: e_machine, at byte 18 of a 64-bit little-endian file.
MACHINES = {62: "x86_64", 183: "arm64"}
# provided.al2023 has glibc 2.34 (Amazon Linux 2023 User Guide, "Core glibc packages").
GLIBC = (2, 34)
BESIDE = ("README.md", "LICENSE-MIT", "LICENSE-APACHE")


class Unfit(Exception):
    """What is to be packed would not run."""


def architecture(binary: bytes) -> str:
    """What the binary runs on; Lambda would say so only at the first event."""
    if binary[:6] != b"\x7fELF\x02\x01":
        raise Unfit("it is no 64-bit ELF program for Linux")
    machine = int.from_bytes(binary[18:20], "little")
    if machine not in MACHINES:
        raise Unfit(f"it is for a machine that Lambda doesn't have (ELF e_machine {machine})")
    versions = {tuple(map(int, found.split(b"."))) for found in re.findall(rb"GLIBC_(2\.\d+)", binary)}
    newest = max(versions, default=GLIBC)
    if newest > GLIBC:
        raise Unfit(
            f"it needs glibc {newest[0]}.{newest[1]}, and Lambda's provided.al2023 has {GLIBC[0]}.{GLIBC[1]}: "
            "build it with cargo-lambda, or on Amazon Linux 2023"
        )
    return MACHINES[machine]


def zipped(name: str, content: bytes, mode: int) -> bytes:
    """An archive of one file, without anything of when and where it was made."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr, entry.compress_type = 3, mode << 16, zipfile.ZIP_DEFLATED
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, content, compresslevel=9)
    return archive.getvalue()


def template(arch: str) -> str:
    """template.yaml with the archives in place of the folders and the architecture fixed, nothing else changed."""
    text = (ROOT / "template.yaml").read_text()
    for old, new in (
        (r"^( +CodeUri: )\.$", rf"\1ami-share-{arch}.zip"),
        (r"^( +ContentUri: )examples/$", r"\1allowlist-layer.zip"),
        (r"^( +Architectures: )\[arm64\]$", rf"\1[{arch}]"),
        (r"^    Metadata:\n      BuildMethod: rust-cargolambda\n", ""),
    ):
        text, count = re.subn(old, new, text, flags=re.M)
        if count != 1:
            raise Unfit(f"template.yaml should have one {old}")
    return text


def package(binary: bytes, out: Path) -> str:
    arch = architecture(binary)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"ami-share-{arch}.zip").write_bytes(zipped("bootstrap", binary, 0o755))
    (out / f"ami-share-{arch}.yaml").write_text(template(arch))
    layer = (ROOT / "examples/allowlist.yaml").read_bytes()
    (out / "allowlist-layer.zip").write_bytes(zipped("allowlist.yaml", layer, 0o644))
    for name in BESIDE:
        shutil.copyfile(ROOT / name, out / name)
    files = sorted(path for path in out.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (out / "SHA256SUMS").write_text("".join(sums))
    return arch


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="package.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=Path, required=True, help="the built bootstrap")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="default dist/")
    options = parser.parse_args()
    try:
        arch = package(options.binary.read_bytes(), options.out)
    except (OSError, Unfit) as problem:
        print(f"{options.binary} can't be packed: {problem}", file=sys.stderr)
        return 1
    size = (options.out / f"ami-share-{arch}.zip").stat().st_size
    print(f"{options.out.name}/ami-share-{arch}.yaml and its zip of {size / 1e6:.1f} MB are ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
