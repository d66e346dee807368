"""Install a group of pyproject.toml's `[dependency-groups]` into the environment that runs this:  python install.py GROUP

pip reads such groups by itself only since version 25.1, and the one that comes with Python 3.11 is older.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

GROUPS = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text())["dependency-groups"]


def requirements(group: str) -> list[str]:
    """The requirements of a group, with those of the groups that it includes."""
    found: list[str] = []
    for entry in GROUPS[group]:
        found += requirements(entry["include-group"]) if isinstance(entry, dict) else [entry]
    return found


if __name__ == "__main__":
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    sys.exit(subprocess.run([*command, *requirements(sys.argv[1])]).returncode)
