"""The Python and curl examples of docs/portal-integration.md, as they stand there, against the locally deployed API.

The function behind it can only fail: what is tested is that API Gateway takes the signature.
"""

import contextlib
import io
import os
import re
import socket
import subprocess
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from ami_share_tools.demo import portal
from ami_share_tools.local_aws.client import LocalAws
from ami_share_tools.local_aws.role import without_binary
from ami_share_tools.pages import blocks

PAGE = "docs/portal-integration.md"


api: portal.Api
aws: LocalAws
role: portal.Role
bus: str


def setUpModule() -> None:
    global api, aws, role, bus
    aws = unittest.enterModuleContext(LocalAws(log=os.devnull))
    stack = without_binary(aws)
    with contextlib.redirect_stdout(io.StringIO()):
        api, role, bus = portal.Api(aws, stack["ApiUrl"]), portal.Role(aws, "portal"), stack["BusName"]


def environment(secret: str | None = None) -> dict[str, str]:
    credentials = role.credentials
    return {
        "API_URL": f"http://{api.host}{api.stage}",
        "AWS_REGION": aws.region,
        "AWS_DEFAULT_REGION": aws.region,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": secret or credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token,
    }


def on_loopback(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """Not every system knows that names below localhost are this machine (RFC 6761)."""

    def resolved(host: str | bytes, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return resolve("127.0.0.1" if name.endswith(".localhost") else host, *rest, **more)

    return resolved


def status_of(code: str, secret: str | None = None) -> int:
    """The status that the example's own print tells."""
    told = io.StringIO()
    with (
        mock.patch.dict(os.environ, environment(secret)),
        contextlib.redirect_stdout(told),
        mock.patch.object(socket, "getaddrinfo", on_loopback(socket.getaddrinfo)),
    ):
        exec(compile(code, PAGE, "exec"), {"__name__": "example"})
    return int(told.getvalue().split()[0])


class Examples(unittest.TestCase):
    def test_pythons_signature_is_taken(self) -> None:
        code, _ = blocks(PAGE, "python")
        self.assertEqual(status_of(code) // 100, 5, "not what a function that can only fail answers")
        self.assertEqual(status_of(code, secret="wrong"), 403)

    def test_pythons_event_is_taken(self) -> None:
        _, code = blocks(PAGE, "python")
        own = {
            "BUS_ARN": bus,
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_DEFAULT_REGION": aws.region,
            "AWS_ACCESS_KEY_ID": aws.account,
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        aws.forget_calls()
        with mock.patch.dict(os.environ, own):
            os.environ.pop("AWS_SESSION_TOKEN", None)
            exec(compile(code, PAGE, "exec"), {"__name__": "example"})
        self.assertIn("PutEvents", [call["operation"] for call in aws.calls()])

    def test_curls_signature_is_taken(self) -> None:
        try:
            version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[
                1
            ]
        except FileNotFoundError:
            self.skipTest("no curl")
        if tuple(map(int, re.findall(r"\d+", version)[:2])) < (7, 86):
            self.skipTest(f"curl {version} is older than the page asks for")
        commands = [block for block in blocks(PAGE, "sh") if "--aws-sigv4" in block]
        self.assertEqual(len(commands), 2)

        def status(command: str, secret: str | None = None) -> int:
            told = subprocess.run(
                ["sh", "-ec", command.rstrip() + ' --output /dev/null --write-out "%{http_code}"'],
                env=os.environ | environment(secret),
                capture_output=True,
                text=True,
                check=True,
            )
            return int(told.stdout)

        for command in commands:
            self.assertEqual(status(command) // 100, 5, f"not what a function that can only fail answers to\n{command}")
            self.assertEqual(status(command, secret="wrong"), 403)


if __name__ == "__main__":
    unittest.main()
