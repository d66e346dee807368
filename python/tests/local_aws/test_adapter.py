"""The members of MiniStack that the local AWS relies on are there, and only the adapter names them."""

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import unittest
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "ami_share_tools"
ADAPTER = "ami_share_tools.local_aws.adapter"


def imported(before: str = "") -> subprocess.CompletedProcess[str]:
    """Imports the adapter in a process of its own, because MiniStack reads its environment when it is imported."""
    with tempfile.TemporaryDirectory() as home:
        program = f"{before}\nimport {ADAPTER} as adapter\nprint(adapter.VERSION)"
        environment = os.environ | {"HOME": home, "TMPDIR": home}
        return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)


class Adapter(unittest.TestCase):
    def test_every_member_is_there(self) -> None:
        done = imported()
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_member_that_is_missing_is_named_with_what_it_is_for(self) -> None:
        done = imported("from ministack.services import ec2, kms\ndel ec2._images, kms._create_grant")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"adapter\.py is written for MiniStack [\d.]+, and this is [\d.]+\. It lacks:")
        self.assertIn("- ministack.services.ec2._images, which the local AWS needs to keep images\n", done.stderr)
        self.assertIn("- ministack.services.kms._create_grant, which the local AWS needs to refuse", done.stderr)

    def test_it_is_written_for_the_version_that_is_pinned_and_installed(self) -> None:
        groups = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["dependency-groups"]
        written = imported().stdout.strip()
        self.assertIn(f"ministack=={written}", groups["local"], "adapter.py is written for another version")
        self.assertEqual(metadata.version("ministack"), written, "another version than the one pinned is installed")

    def test_no_other_file_names_ministack_s_modules(self) -> None:
        for file in PACKAGE.rglob("*.py"):
            if file.name != "adapter.py":
                with self.subTest(file.relative_to(PACKAGE)):
                    self.assertIsNone(re.search(r"^\s*(from|import) ministack\b", file.read_text(), re.M))


if __name__ == "__main__":
    unittest.main()
