"""`make playground`: what it prints works when it is pasted, twice over, and nothing is left after Ctrl-C.

It needs the built function, which AMI_SHARE_BOOTSTRAP names; `make test-clients` runs it.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from ami_share_tools.repository import PYTHON

BOOTSTRAP = os.environ.get("AMI_SHARE_BOOTSTRAP", "")
CALLERS = ("portal", "pipeline", "platform-operator")


def found(pattern: str, text: str) -> str:
    """The first group of a match that must be there."""
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in\n{text}"
    return match[1]


class Playground:
    """A running one, and what it printed up to the function's log."""

    def __enter__(self) -> Self:
        self.folder = tempfile.TemporaryDirectory()
        environment = os.environ | {"TMPDIR": self.folder.name, "PYTHONPATH": str(PYTHON)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ami_share_tools.demo.playground", BOOTSTRAP],
            text=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self.process.stdout
        self.printed, self.told = self.process.stdout, ""
        for line in self.printed:
            self.told += line
            if "Ctrl-C ends it all" in line:
                return self
        self.__exit__()
        raise AssertionError(f"it ended by itself:\n{self.told}")

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.printed.close()
        self.folder.cleanup()

    def section(self, name: str) -> str:
        """What stands under a heading."""
        return found(rf"(?ms)^── {re.escape(name)} ─+\n(.*?)(?=^── |\Z)", self.told)

    def exports(self, name: str) -> str:
        return "\n".join(line for line in self.section(name).splitlines() if line.startswith("export "))

    def commands(self, name: str) -> list[str]:
        """The commands of a section, as they would be pasted."""
        return re.findall(r"^\S.*?(?<!\\)$", self.section(name).replace(self.exports(name), ""), re.M | re.S)

    def pasted(self, name: str, command: str, status: bool = False) -> str:
        """What a shell without settings of its own prints."""
        more = ' --output /dev/null --write-out "%{http_code}"' if status else ""
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder.name}
        done = subprocess.run(
            ["sh", "-ec", f"{self.exports(name)}\n{command}{more}"], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            raise AssertionError(f"{command}\n{done.stdout}{done.stderr}")
        return done.stdout

    def address(self) -> str:
        return found(r"export API_URL=(\S+)", self.told)

    def stop(self) -> tuple[str, int]:
        """Its last words and exit status after Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        rest = self.printed.read()
        return rest, self.process.wait(30)


@unittest.skipUnless(BOOTSTRAP, "AMI_SHARE_BOOTSTRAP does not name a built function")
class ThePlayground(unittest.TestCase):
    def test_what_it_prints_works_when_it_is_pasted(self) -> None:
        with Playground() as playground:
            self.assertRegex(playground.told, "listening +(.* all on 127.0.0.1|not checked)")
            self.assertNotIn("localhost", playground.told)
            for name in CALLERS:
                file = found(r"Paste these lines, or: \. (\S+)", playground.section(name))
                self.assertEqual(Path(file).read_text().strip(), playground.exports(name))
                commands = playground.commands(name)
                self.assertGreaterEqual(len(commands), 2, name)
                for command in commands:
                    with self.subTest(caller=name, command=command):
                        self.check_command(playground, name, command)
            told, _ = playground.stop()
            for requester in ("arn:aws:iam::999988887777:role/portal", "events:999988887777:com.example.pipeline"):
                self.assertRegex(told, f"INFO +share by {requester}: completed")

    def check_command(self, playground: Playground, name: str, command: str) -> None:
        if command.startswith("curl"):
            if not shutil.which("curl"):
                self.skipTest("no curl")
            self.assertEqual(playground.pasted(name, command, status=True), "200")
        else:
            told = playground.pasted(name, command)
            if "gather.py" in command:
                outcome = json.loads(told)
                self.assertEqual((outcome["result"], len(outcome["images"])), ("completed", 2))

    def test_it_works_a_second_time_and_leaves_nothing(self) -> None:
        for time in ("first", "second"):
            with self.subTest(time), Playground() as playground:
                address = playground.address()
                self.assertRegex(address, r"^http://127\.0\.0\.1:\d+/")
                with self.assertRaises(urllib.error.HTTPError) as unsigned:
                    urllib.request.urlopen(f"{address}/images/ami-1a2b3c4d/shares", timeout=5)
                self.assertEqual(unsigned.exception.code, 403)
                unsigned.exception.close()
                told, status = playground.stop()
                self.assertIn("Stopped; nothing is left.", told)
                self.assertEqual(status, 0)
                self.assertEqual(list(Path(playground.folder.name).iterdir()), [])
                with self.assertRaises(urllib.error.URLError) as refused:
                    urllib.request.urlopen(address, timeout=5)
                self.assertIsInstance(refused.exception.reason, ConnectionRefusedError)


if __name__ == "__main__":
    unittest.main()
