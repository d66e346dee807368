"""Start the local AWS from Python and talk to it: `with LocalAws() as aws: aws.client("ec2")`."""

import json
import os
import select
import subprocess
import sys
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config

START_SECONDS = 60
STOP_SECONDS = 15


class LocalAws:
    """A running local AWS; it ends with the `with` block, and with this process however that ends."""

    endpoint: str
    account: str
    region: str

    def __init__(self, log=None):
        self.log = log

    def __enter__(self):
        path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "local_aws"] + (["--log", str(self.log)] if self.log else [])
        # A session of its own: Ctrl-C reaches only us, and closing its input ends it in good order.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=os.environ | {"PYTHONPATH": path}, start_new_session=True)
        try:
            readable, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
            line = self.process.stdout.readline() if readable else b""
            if not line:
                raise RuntimeError(f"the local AWS did not start within {START_SECONDS} seconds")
            self.__dict__.update(json.loads(line))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def client(self, service, account=None, region=None, **credentials):
        """A boto3 client: of an account (its ID is the access key), or with credentials of STS; in its own Region or another."""
        credentials = credentials or {"aws_access_key_id": account or self.account, "aws_secret_access_key": "test"}
        return boto3.client(service, region_name=region or self.region, endpoint_url=self.endpoint,
                            config=Config(retries={"total_max_attempts": 1}, read_timeout=60), **credentials)

    def seed(self, **document):
        return self.control("POST", "/_local/seed", document)

    def calls(self):
        return self.control("GET", "/_local/calls")

    def forget_calls(self):
        self.control("DELETE", "/_local/calls")

    def control(self, method, path, document=None):
        body = json.dumps(document).encode() if document is not None else None
        with urllib.request.urlopen(urllib.request.Request(self.endpoint + path, body, method=method), timeout=10) as answer:
            return json.load(answer)
