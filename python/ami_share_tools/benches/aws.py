"""Owns the AWS of the benches: it answers what a share asks, each call after the same delay, and keeps who asked when.

It is no model of AWS (the local AWS is): it knows one share, forgets every write, and is quick, so that what is measured
is the function.
"""

import asyncio
import json
import re
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ami_share_tools.document import Document

ACCOUNT = "999988887777"
REGION = "eu-west-1"
OPEN = ["kms:DescribeKey", "kms:CreateGrant", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*"]


@dataclass(frozen=True)
class Share:
    """How big a share is; `snapshots` of every image, `keys` of all together."""

    images: int = 1
    snapshots: int = 4
    keys: int = 2
    accounts: int = 100

    def image_ids(self) -> list[str]:
        return [f"ami-{n:017x}" for n in range(self.images)]

    def account_ids(self) -> list[str]:
        return [f"{111100000000 + n:012}" for n in range(self.accounts)]

    def request(self) -> Document:
        return {"action": "share", "imageIds": self.image_ids(), "accountIds": self.account_ids()}

    def allowlist(self) -> str:
        rule = {
            "name": "portal",
            "requesters": ["lambda:invoke"],
            "actions": ["share"],
            "images": {"names": ["golden-*"]},
            "targets": self.account_ids(),
        }
        return json.dumps({"version": 1, "rules": [rule]})

    def key_of(self, snapshot_id: str) -> str:
        return (
            f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{int(snapshot_id[5:], 16) % self.keys:08}-1111-2222-3333-444444444444"
        )

    def policy(self) -> str:
        roots = [f"arn:aws:iam::{account}:root" for account in self.account_ids()]
        owner = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
        users = {"Effect": "Allow", "Principal": {"AWS": roots}, "Action": OPEN, "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [owner, users]})


@dataclass(frozen=True)
class Call:
    name: str
    begin: float
    end: float


def waves(calls: list[Call]) -> int:
    """The longest chain of calls of which each began after the one before had its answer."""
    chains: list[tuple[float, int]] = []
    for call in sorted(calls, key=lambda call: call.end):
        chains.append((call.end, 1 + max((length for end, length in chains if end <= call.begin), default=0)))
    return max((length for _, length in chains), default=0)


class Aws:
    """A running endpoint."""

    def __init__(self, share: Share = Share(), delay: float = 0.0, tls: tuple[str, str] | None = None) -> None:
        self.share, self.delay, self.connections = share, delay, 0
        self.calls: list[Call] = []
        self.policy_text = share.policy()
        started = threading.Event()

        async def serve() -> None:
            context = None
            if tls:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*tls)
            self.stop = asyncio.Event()
            server = await asyncio.start_server(self.connection, "127.0.0.1", 0, ssl=context, limit=1 << 20)
            self.port = server.sockets[0].getsockname()[1]
            self.loop = asyncio.get_running_loop()
            started.set()
            await self.stop.wait()
            server.close()

        self.thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        self.thread.start()
        started.wait()
        self.endpoint = f"https://localhost:{self.port}" if tls else f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()

    def forget(self) -> None:
        self.calls, self.connections = [], 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?im)^content-length: *(\d+)", head)
                body = (await reader.readexactly(int(length[1]))).decode() if length else ""
                begin = time.monotonic()
                name, status, kind, answer = self.answer(head, body)
                if self.delay:
                    await asyncio.sleep(self.delay)
                self.calls.append(Call(name, begin, time.monotonic()))
                content = answer.encode()
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\n\r\n".encode()
                    + content
                )
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def answer(self, head: str, body: str) -> tuple[str, int, str, str]:
        target = re.search(r"(?im)^x-amz-target: *\w+\.(\w+)", head)
        if target:
            return (
                f"kms:{target[1]}",
                200,
                "application/x-amz-json-1.1",
                json.dumps(self.kms(target[1], json.loads(body))),
            )
        parameters = dict(parse_qsl(body))
        action = parameters.get("Action")
        if action is None:
            return f"other:{head.split(' ', 2)[1]}", 404, "text/plain", "?"
        values = [value for name, value in parameters.items() if name.startswith("Filter.1.Value")]
        content = getattr(self, action)(parameters, values)
        xml = f'<{action}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId>{content}</{action}Response>'
        return f"ec2:{action}", 200, "text/xml;charset=UTF-8", xml

    def DescribeImages(self, parameters: dict[str, str], values: list[str]) -> str:
        asked = values or [value for name, value in parameters.items() if name.startswith("ImageId")]
        return f"<imagesSet>{''.join(map(self.image, asked))}</imagesSet>"

    def image(self, image_id: str) -> str:
        first = int(image_id[4:], 16) * self.share.snapshots
        mapping = "".join(
            f"<item><deviceName>/dev/sd{n}</deviceName><ebs><snapshotId>snap-{first + n:017x}</snapshotId></ebs></item>"
            for n in range(self.share.snapshots)
        )
        return (
            f"<item><imageId>{image_id}</imageId><imageState>available</imageState><imageOwnerId>{ACCOUNT}</imageOwnerId>"
            f"<name>golden-{image_id}</name><blockDeviceMapping>{mapping}</blockDeviceMapping></item>"
        )

    def DescribeImageAttribute(self, parameters: dict[str, str], values: list[str]) -> str:
        return f"<imageId>{parameters['ImageId']}</imageId><launchPermission/>"

    def DescribeSnapshots(self, parameters: dict[str, str], values: list[str]) -> str:
        asked = values or [value for name, value in parameters.items() if name.startswith("SnapshotId")]
        items = (
            f"<item><snapshotId>{snapshot}</snapshotId><ownerId>{ACCOUNT}</ownerId><encrypted>true</encrypted>"
            f"<kmsKeyId>{self.share.key_of(snapshot)}</kmsKeyId></item>"
            for snapshot in asked
        )
        return f"<snapshotSet>{''.join(items)}</snapshotSet>"

    def ModifyImageAttribute(self, parameters: dict[str, str], values: list[str]) -> str:
        return "<return>true</return>"

    def kms(self, operation: str, request: Document) -> Document:
        if operation == "GetKeyPolicy":
            return {"Policy": self.policy_text, "PolicyName": "default"}
        metadata = {
            "Arn": request["KeyId"],
            "KeyId": request["KeyId"].rpartition("/")[2],
            "AWSAccountId": ACCOUNT,
            "Enabled": True,
            "KeyManager": "CUSTOMER",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyState": "Enabled",
            "KeyUsage": "ENCRYPT_DECRYPT",
        }
        return {"KeyMetadata": metadata}
