"""The function's binary that is deployed to the local AWS: one that is given, or what cargo builds."""

import json
import os
import subprocess
from pathlib import Path

from ami_share_tools.repository import ROOT


def chosen(argument: str | None = None) -> Path:
    """The binary that an argument or AMI_SHARE_BOOTSTRAP names; without either cargo builds it."""
    given = argument or os.environ.get("AMI_SHARE_BOOTSTRAP")
    return Path(given).resolve() if given else build()


def build() -> Path:
    """The dev binary's path, from cargo itself (it knows CARGO_TARGET_DIR); its progress goes to the screen."""
    command = ["cargo", "build", "--locked", "--bin", "bootstrap", "--message-format", "json-render-diagnostics"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as cargo:
        assert cargo.stdout
        messages = [json.loads(line) for line in cargo.stdout]
    if cargo.returncode:
        raise SystemExit("The build failed; cargo says why above.")
    return next(Path(m["executable"]) for m in messages if m["reason"] == "compiler-artifact" and m.get("executable"))
