"""Owns the Lambda of the benches: a Runtime API on loopback, and a function's process with what it costs.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

from ami_share_tools.benches.aws import ACCOUNT, REGION
from ami_share_tools.document import Document

EVENT_SECONDS = 60


class Function:
    """A started function. `first_poll` is the time from the start of the process to its first question for an event."""

    def __init__(
        self, command: list[str], folder: Path, endpoint: str, allowlist: str, variables: dict[str, str] | None = None
    ) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(EVENT_SECONDS)
        folder = Path(folder)
        (folder / "allowlist.yaml").write_text(allowlist)
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self.listener.getsockname()[1]}",
            "AWS_LAMBDA_FUNCTION_NAME": "ami-share",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/ami-share",
            "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
            "LAMBDA_TASK_ROOT": str(folder),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_ENDPOINT_URL": endpoint,
            "AMI_SHARE_ALLOWLIST": f"file:{folder / 'allowlist.yaml'}",
            **(variables or {}),
        }
        log = (os.POSIX_SPAWN_OPEN, 1, str(folder / "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.started = time.monotonic()
        self.pid = os.posix_spawn(command[0], command, environment, file_actions=[log])
        self.accept()
        self.wait_for_poll()
        self.first_poll = time.monotonic() - self.started
        self.first_poll_cpu = self.cpu()

    def accept(self) -> None:
        self.accepted, _ = self.listener.accept()
        self.accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = self.accepted.makefile("rwb")

    def read(self) -> tuple[str, bytes]:
        """One request of the function: its first line and its body. Each connection but the last is done with."""
        while True:
            line = self.connection.readline().decode()
            if not line:
                self.hang_up()
                self.accept()
                continue
            length, chunked = 0, False
            while (header := self.connection.readline().decode().strip().lower()) != "":
                name, _, value = header.partition(":")
                length = int(value) if name == "content-length" else length
                chunked = chunked or (name == "transfer-encoding" and "chunked" in value)
            return line, self.chunks() if chunked else self.connection.read(length)

    def hang_up(self) -> None:
        self.connection.close()
        self.accepted.close()

    def chunks(self) -> bytes:
        body = b""
        while (size := int(self.connection.readline(), 16)) > 0:
            body += self.connection.read(size)
            self.connection.readline()
        self.connection.readline()
        return body

    def wait_for_poll(self) -> None:
        line, _ = self.read()
        assert line.startswith("GET") and "/next" in line, line

    def write(self, status: int, headers: dict[str, Any], body: bytes) -> None:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.connection.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n{head}\r\n".encode() + body)
        self.connection.flush()

    def invoke(self, event: Document) -> tuple[Document, float]:
        """Answers the poll with an event; gives the function's answer and how long it took. Ends at the next poll."""
        begin = time.monotonic()
        self.write(
            200,
            {
                "content-type": "application/json",
                "lambda-runtime-aws-request-id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                "lambda-runtime-deadline-ms": int((time.time() + EVENT_SECONDS) * 1000),
                "lambda-runtime-invoked-function-arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ami-share",
            },
            json.dumps(event).encode(),
        )
        line, body = self.read()
        took = time.monotonic() - begin
        self.write(202, {"content-type": "application/json"}, b'{"status":"OK"}')
        self.wait_for_poll()
        assert "/response" in line, body
        outcome = json.loads(body)
        assert outcome["result"] == "completed", outcome
        return outcome, took

    def cpu(self) -> float:
        """Seconds of processor time so far, of all threads."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9

    def peak_memory(self) -> int:
        """Bytes of memory at most so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.hang_up()
        self.listener.close()
