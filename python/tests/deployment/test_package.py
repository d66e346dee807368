"""What `make package` makes: the same bytes each time, for the architecture of the binary and no other."""

import hashlib
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path

import yaml

from ami_share_tools.repository import ROOT

SCRIPT = ROOT / "deploy/package.py"


def stand_in(machine: int, glibc: str = "2.34") -> bytes:
    """As much of a program as the script looks at."""
    return (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + b"\x03\0"
        + machine.to_bytes(2, "little")
        + f"\0GLIBC_2.2.5\0GLIBC_{glibc}\0".encode()
    )


X86_64, ARM64 = stand_in(62), stand_in(183)


class Package(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.dist = self.folder / "dist"

    def pack(self, binary: bytes, out: Path | None = None) -> subprocess.CompletedProcess[str]:
        (self.folder / "bootstrap").write_bytes(binary)
        return subprocess.run(
            [sys.executable, SCRIPT, "--binary", self.folder / "bootstrap", "--out", out or self.dist],
            capture_output=True,
            text=True,
        )

    def template(self, arch: str) -> str:
        return (self.dist / f"ami-share-{arch}.yaml").read_text()

    def test_each_architecture_has_its_template_and_its_zip(self) -> None:
        for binary, arch in ((X86_64, "x86_64"), (ARM64, "arm64")):
            answer = self.pack(binary)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn(f"dist/ami-share-{arch}.yaml", answer.stdout)
            self.assertIn(f"Architectures: [{arch}]", self.template(arch))
            self.assertIn(f"CodeUri: ami-share-{arch}.zip", self.template(arch))
            self.assertNotIn("BuildMethod", self.template(arch))
            with zipfile.ZipFile(self.dist / f"ami-share-{arch}.zip") as archive:
                [entry] = archive.infolist()
                self.assertEqual(
                    (entry.filename, entry.external_attr >> 16, archive.read(entry)), ("bootstrap", 0o755, binary)
                )
        named = set(re.findall(r"(?:CodeUri|ContentUri|LicenseUrl|ReadmeUrl): (\S+)", self.template("arm64")))
        self.assertEqual({name for name in named if not (self.dist / name).exists()}, set())

    def test_it_differs_from_the_source_in_these_lines_alone(self) -> None:
        self.pack(X86_64)
        source, made = ((ROOT / "template.yaml").read_text().splitlines(), self.template("x86_64").splitlines())
        self.assertEqual(
            [line.strip() for line in made if line not in source],
            ["CodeUri: ami-share-x86_64.zip", "Architectures: [x86_64]", "ContentUri: allowlist-layer.zip"],
        )
        self.assertEqual(len(source) - len(made), 2)

    def test_the_same_input_gives_the_same_bytes(self) -> None:
        self.pack(X86_64)
        self.pack(X86_64, self.folder / "again")
        for file in self.dist.iterdir():
            self.assertEqual(file.read_bytes(), (self.folder / "again" / file.name).read_bytes(), file.name)

    def test_the_checksums_are_those_of_everything(self) -> None:
        self.pack(X86_64)
        self.pack(ARM64)
        listed = {
            name: digest
            for digest, name in (line.split("  ") for line in (self.dist / "SHA256SUMS").read_text().splitlines())
        }
        self.assertEqual(
            listed,
            {
                file.name: hashlib.sha256(file.read_bytes()).hexdigest()
                for file in self.dist.iterdir()
                if file.name != "SHA256SUMS"
            },
        )

    def test_what_lambda_could_not_start_is_not_packed(self) -> None:
        for binary, why in (
            (b"#!/bin/sh\n", "no 64-bit ELF"),
            (b"", "no 64-bit ELF"),
            (stand_in(243), "e_machine 243"),
            (stand_in(62, "2.39"), "needs glibc 2.39"),
        ):
            with self.subTest(why):
                answer = self.pack(binary)
                self.assertEqual(answer.returncode, 1)
                self.assertIn(why, answer.stderr)
                self.assertFalse(self.dist.exists())
        missing: list[str | Path] = [sys.executable, SCRIPT, "--binary", self.folder / "none", "--out", self.dist]
        self.assertEqual(subprocess.run(missing, capture_output=True).returncode, 1)

    def test_the_version_of_the_application_is_that_of_the_crate(self) -> None:
        cargo = re.findall(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.M)[0]
        self.assertIn(f"SemanticVersion: {cargo}\n", (ROOT / "template.yaml").read_text())

    def test_the_release_workflow_packs_both_and_names_no_other_file(self) -> None:
        workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
        rows = workflow["jobs"]["package"]["strategy"]["matrix"]["include"]
        self.assertEqual({row["architecture"] for row in rows}, {"x86_64", "arm64"})

    def test_workflows_name_actions_by_commit_and_leave_no_credentials_behind(self) -> None:
        for path in (ROOT / ".github/workflows").iterdir():
            text = path.read_text()
            # A tag can be moved; the comment says which version the commit is.
            for line in re.findall(r".*\buses:.*", text):
                self.assertRegex(line, r"uses: [\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", path.name)
            steps = [step for job in yaml.safe_load(text)["jobs"].values() for step in job["steps"]]
            for step in steps:
                if step.get("uses", "").startswith("actions/checkout@"):
                    self.assertIs(step["with"]["persist-credentials"], False, path.name)

    def test_ci_needs_node_and_runs_the_checks_of_the_clients(self) -> None:
        script = (ROOT / ".ci/run").read_text()
        self.assertIn("\nmake node\n", script)
        self.assertIn("\nexec make test test-clients\n", script)
        self.assertIn("lint-template", (ROOT / "Makefile").read_text().split("\ntest: ")[1].split("\n")[0])


if __name__ == "__main__":
    unittest.main()
