"""Start the local AWS from Python and talk to it: `with LocalAws() as aws: aws.client("ec2")`."""

import json
import os
import select
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

import boto3
from botocore.config import Config

START_SECONDS = 60
STOP_SECONDS = 15


class Aws:
    """A local AWS that runs somewhere."""

    def __init__(self, endpoint: str, account: str, region: str) -> None:
        self.endpoint, self.account, self.region = endpoint, account, region

    def client(self, service: str, account: str | None = None, region: str | None = None, **credentials: str) -> Any:
        """A boto3 client: of an account (its ID is the access key), or with credentials of STS; in its own Region or another."""
        credentials = credentials or {"aws_access_key_id": account or self.account, "aws_secret_access_key": "test"}
        return boto3.client(
            service,
            region_name=region or self.region,
            endpoint_url=self.endpoint,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
            **credentials,
        )

    def seed(self, **document: Any) -> dict[str, list[dict[str, Any]]]:
        made: dict[str, list[dict[str, Any]]] = self.control("POST", "/_local/seed", document)
        return made

    def calls(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.control("GET", "/_local/calls")
        return listed

    def forget_calls(self) -> None:
        self.control("DELETE", "/_local/calls")

    def control(self, method: str, path: str, document: dict[str, Any] | None = None) -> Any:
        body = json.dumps(document).encode() if document is not None else None
        request = urllib.request.Request(self.endpoint + path, body, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


class LocalAws(Aws):
    """One that this process starts; it ends with the `with` block, and with this process however that ends."""

    process: subprocess.Popen[bytes]

    def __init__(self, log: str | Path | None = None) -> None:
        self.log = log

    def __enter__(self) -> Self:
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
        log = ["--log", str(self.log)] if self.log else []
        # A session of its own: Ctrl-C reaches only us, and closing its input ends it in good order.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ami_share_tools.local_aws", *log],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )
        assert self.process.stdout
        try:
            readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
            line = self.process.stdout.readline() if readable else b""
            if not line:
                raise RuntimeError(f"the local AWS did not start within {START_SECONDS} seconds")
            super().__init__(**json.loads(line))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
