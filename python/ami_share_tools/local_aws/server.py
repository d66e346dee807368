"""Serve MiniStack with the additions on one loopback socket, and end without leaving a process or a file."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from hypercorn.asyncio import serve
from hypercorn.config import Config

from ami_share_tools.document import Document
from ami_share_tools.local_aws import (
    access,
    adapter,
    control,
    copies,
    ebs_encryption,
    functions,
    image_events,
    images,
    keys,
    parameters,
    schedules,
    snapshots,
    tokens,
    usage_reports,
    watermarks,
)
from ami_share_tools.local_aws.adapter import Answer, Params

GRACE_SECONDS = 1
Receive = Callable[[], Awaitable[Document]]
Send = Callable[[Document], Awaitable[None]]
App = Callable[[Document, Receive, Send], Awaitable[None]]


def install(account: str, region: str) -> App:
    """Add what is missing, and put the control door and the list of calls in front."""
    for part in (
        images,
        image_events,
        snapshots,
        keys,
        schedules,
        functions,
        access,
        copies,
        ebs_encryption,
        usage_reports,
        watermarks,
        parameters,
        tokens,
    ):
        part.install()

    async def recorded(
        method: str, path: str, headers: dict[str, str], body: bytes, query_params: Params, request_id: str
    ) -> Answer:
        params = adapter.routing_params(method, path, headers, body, query_params)
        service = adapter.detect_service(method, path, headers, params)
        call = control.record(service, method, path, headers, body, params)
        return control.fault(call) or await adapter.dispatch(method, path, headers, body, query_params, request_id)

    adapter.dispatch.replace(recorded)

    async def door(scope: Document, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/_local/"):
            await adapter.serve_http(scope, receive, send)
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = control.handle(scope["method"], scope["path"], body, account, region)
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return door


async def run(door: App, listener: socket.socket, ready: Callable[[], None], stop: asyncio.Event) -> None:
    """Serve until `stop` (an asyncio.Event) is set; call `ready` once requests are answered."""

    async def app(scope: Document, receive: Receive, send: Send) -> None:
        async def announced(message: Document) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                ready()

        await door(scope, receive, announced if scope["type"] == "lifespan" else send)

    adapter.install_reason_phrases()
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.graceful_timeout = config.shutdown_timeout = GRACE_SECONDS
    config.keep_alive_timeout = 75
    try:
        await serve(cast(Any, app), config, shutdown_trigger=stop.wait)
    finally:
        adapter.end_function_processes()  # ends the bootstrap processes
