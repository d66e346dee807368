"""Serve MiniStack with the additions on one loopback socket, and end without leaving a process or a file."""

import asyncio
import json

from hypercorn.asyncio import serve
from hypercorn.config import Config

from ministack import app as ministack
from ministack.core import lambda_runtime
from ministack.core.hypercorn_compat import install as install_reason_phrases

from local_aws import (access, control, copies, ebs_encryption, functions, image_events, images, keys, parameters, schedules,
                       snapshots, usage_reports, watermarks)

GRACE_SECONDS = 1


def install(account, region):
    """Add what is missing, and put the control door and the list of calls in front."""
    for part in (images, image_events, snapshots, keys, schedules, functions, access, copies, ebs_encryption, usage_reports,
                 watermarks, parameters):
        part.install()
    dispatch = ministack._dispatch_service_request

    async def recorded(method, path, headers, body, query_params, request_id):
        params = ministack._routing_params(method, path, headers, body, query_params)
        service = ministack.detect_service(method, path, headers, params)
        call = control.record(service, method, path, headers, body, params)
        return control.fault(call) or await dispatch(method, path, headers, body, query_params, request_id)

    ministack._dispatch_service_request = recorded

    async def door(scope, receive, send):
        if scope["type"] != "http" or not scope["path"].startswith("/_local/"):
            return await ministack.app(scope, receive, send)
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, answer = control.handle(scope["method"], scope["path"], body, account, region)
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    return door


async def run(door, listener, ready, stop):
    """Serve until `stop` (an asyncio.Event) is set; call `ready` once requests are answered."""

    async def app(scope, receive, send):
        async def announced(message):
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                ready()

        await door(scope, receive, announced if scope["type"] == "lifespan" else send)

    install_reason_phrases()
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.graceful_timeout = config.shutdown_timeout = GRACE_SECONDS
    config.keep_alive_timeout = 75
    try:
        await serve(app, config, shutdown_trigger=stop.wait)
    finally:
        lambda_runtime.reset()  # ends the bootstrap processes
