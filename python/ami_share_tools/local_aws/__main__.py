"""Start the local AWS:  python -m ami_share_tools.local_aws [--port N] [--account ID] [--region NAME] [--ready-fd FD] [--log FILE]

When it answers requests it writes one line to the ready descriptor (standard output, unless told otherwise):

    {"endpoint": "http://127.0.0.1:PORT", "account": "…", "region": "…"}

Signatures are verified and IAM policies decide, as on AWS. An account's 12-digit ID is the access key of that
account's root, and its secret is `test`; other identities are made with IAM and STS.

It listens on 127.0.0.1 alone and ends, with everything it started and wrote, on SIGTERM, on SIGINT, and when its
standard input reaches its end: keep a pipe open to it and it can't outlive you. Its log goes to standard error.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading


def main() -> None:
    options = arguments()
    ready_fd = os.dup(options.ready_fd)
    log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if options.log else 2
    os.dup2(log, 1)
    os.dup2(log, 2)
    scratch = tempfile.mkdtemp(prefix="local-aws-")
    try:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", options.port))
        listener.listen(128)
        port = listener.getsockname()[1]
        set_environment(options, port, scratch)
        asyncio.run(serve(options, listener, port, ready_fd))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    sys.stderr.flush()
    os._exit(0)  # MiniStack's worker threads have nothing left to do


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="ami_share_tools.local_aws", description="A local AWS for tests, on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="the port; 0 (default) means any free port")
    parser.add_argument(
        "--account", default="999988887777", help="the account of callers without a 12-digit access key"
    )
    parser.add_argument("--region", default="eu-west-1")
    parser.add_argument("--ready-fd", type=int, default=1, help="where the ready line goes; default standard output")
    parser.add_argument("--log", help="a file for the log; default standard error")
    return parser.parse_args()


def set_environment(options: argparse.Namespace, port: int, scratch: str) -> None:
    """Only what MiniStack and the functions it runs need: nothing of the caller's AWS settings gets in."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    os.environ.clear()
    os.environ.update(
        kept,
        HOME=scratch,
        TMPDIR=scratch,
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        MINISTACK_ACCOUNT_ID=options.account,
        MINISTACK_REGION=options.region,
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        AUTH="true",
        LAMBDA_EXECUTOR="local",
        LOG_LEVEL="INFO",
        # MiniStack's other listeners, which would not stay on loopback.
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
    )
    tempfile.tempdir = scratch


async def serve(options: argparse.Namespace, listener: socket.socket, port: int, ready_fd: int) -> None:
    from ami_share_tools.local_aws import server  # reads the environment when imported

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    threading.Thread(target=stop_at_end_of_input, args=(loop, stop), daemon=True).start()

    def ready() -> None:
        line = {"endpoint": f"http://127.0.0.1:{port}", "account": options.account, "region": options.region}
        os.write(ready_fd, (json.dumps(line) + "\n").encode())
        os.close(ready_fd)

    await server.run(server.install(options.account, options.region), listener, ready, stop)


def stop_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(0, 4096):
        pass
    loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    main()
