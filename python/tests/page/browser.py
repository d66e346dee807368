"""A real Chromium for the tests of the page, and axe-core: where each comes from, or why it is not there."""

import os
import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# WCAG 2.2, levels A and AA, and what axe-core's makers recommend.
AXE_OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


class Missing(Exception):
    """What the tests need and this machine lacks."""


def chromium() -> str:
    """The path of a Chromium that is installed; AMI_SHARE_CHROMIUM may name one."""
    given = os.environ.get("AMI_SHARE_CHROMIUM")
    found = given or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        raise Missing("there is no Chromium: install it (Debian: apt-get install chromium), or set AMI_SHARE_CHROMIUM")
    return found


def axe() -> str:
    """The source of axe-core, in the version that package-lock.json names."""
    source = FOLDER / "node_modules/axe-core/axe.min.js"
    installed = FOLDER / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
        if not shutil.which("npm"):
            raise Missing("axe-core comes from npm, which is not here: install Node.js")
        done = subprocess.run(
            ["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=FOLDER, text=True, capture_output=True
        )
        if done.returncode:
            raise Missing(f"axe-core could not be installed: {(done.stdout + done.stderr).strip()[-400:]}")
        installed.touch()
    return source.read_text()
