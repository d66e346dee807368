"""Try the bundle and the clients, as CI does: `make test-clients`.

Two linters and two generators read openapi.bundle.yaml; what is generated compiles, and an example with a signature of
its own calls the template on the local AWS. Then the clients of this folder: their types, their tests on loopback, and
one against the local AWS. What needs Node.js is skipped where there is none; `--node` only says whether it is there, and
fails where it isn't.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ami_share_tools import function
from ami_share_tools.demo import portal, stage
from ami_share_tools.repository import CLIENTS, ROOT

GENERATORS, OUT = CLIENTS / "generators", CLIENTS / "generators/out"
PYTHON, TYPESCRIPT = CLIENTS / "python", CLIENTS / "typescript"
BUNDLE = ROOT / "openapi.bundle.yaml"
GENERATED = OUT / "ami_share_generated"
UNITTEST = "python -W error::ResourceWarning -m unittest -q"
OLDEST_NODE = (20, 19)


def main() -> None:
    if missing := node_missing():
        if "--node" in sys.argv:
            sys.exit(f"{missing}: install it, or put it first in PATH, and run this again.")
        print(f"Skipped: redocly, spectral, openapi-typescript and the TypeScript client. {missing}; CI has it.")
    if "--node" in sys.argv:
        return
    has_node = not missing
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    python_offline()
    if has_node:
        node_offline()
    binary = function.chosen()
    with local_api(binary) as environment:
        run("The Python client against the local AWS", PYTHON, f"{UNITTEST} tests.test_local", **environment)
        generated = {"PYTHONPATH": str(OUT)}
        run(
            "openapi-python-client's against the local AWS", GENERATORS, "python example.py", **generated, **environment
        )
        if has_node:
            test = "node --test dist/test/local.test.js"
            run("The TypeScript client against the local AWS", TYPESCRIPT, test, **environment)
            run("openapi-typescript's against the local AWS", GENERATORS, "node out/example.js", **environment)


def node_missing() -> str | None:
    """What is missing of Node.js, in words."""
    needed = f"Node.js {'.'.join(map(str, OLDEST_NODE))} or newer with npm is needed"
    missing = [tool for tool in ("node", "npm") if not shutil.which(tool)]
    if missing:
        return f"{needed}, and there is no {' and no '.join(missing)}"
    version = subprocess.check_output(["node", "--version"], text=True).strip()
    is_new = tuple(map(int, version.lstrip("v").split(".")[:2])) >= OLDEST_NODE
    return None if is_new else f"{needed}, and this is {version}"


def python_offline() -> None:
    run("The Python client's types", PYTHON, "python -m mypy")
    run("The Python client on loopback", PYTHON, f"{UNITTEST} tests.test_client tests.test_events")
    generate = (
        "python -m openapi_python_client generate --meta none --config openapi-python-client.yaml --fail-on-warning"
    )
    run("openapi-python-client", GENERATORS, generate, "--path", BUNDLE, "--output-path", GENERATED)
    cache = {"PYTHONPYCACHEPREFIX": str(OUT / "cache")}
    run("It compiles", GENERATORS, "python -m compileall -q", GENERATED, **cache)
    types = "python -m mypy --strict --config-file"
    run("Its types", GENERATORS, types, PYTHON / "pyproject.toml", GENERATED, "example.py", MYPYPATH=str(OUT))


def node_offline() -> None:
    for folder in (GENERATORS, TYPESCRIPT):
        installed, lock = folder / "node_modules/.package-lock.json", folder / "package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            run(f"What clients/{folder.name} needs", folder, "npm ci --silent")
            installed.touch()
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    run("redocly", GENERATORS, "npx --no-install redocly lint", BUNDLE, **quiet)
    run("spectral", GENERATORS, "npx --no-install spectral lint --quiet --fail-severity hint", BUNDLE)
    schema = OUT / "schema.ts"
    run("openapi-typescript", GENERATORS, "npx --no-install openapi-typescript", BUNDLE, "--output", schema)
    run("It compiles", GENERATORS, "npx --no-install tsc")
    if schema.read_text() != (TYPESCRIPT / "src/schema.ts").read_text():
        sys.exit("clients/typescript/src/schema.ts is not what openapi.bundle.yaml gives: run make bundle.")
    run("The TypeScript client on loopback", TYPESCRIPT, "npm test --silent")


@contextlib.contextmanager
def local_api(binary: Path) -> Iterator[dict[str, str]]:
    """The template on the local AWS: what a caller needs, as environment variables."""
    with stage.deployed(binary) as deployed:
        aws = deployed.aws
        with contextlib.redirect_stdout(io.StringIO()):
            credentials = portal.Role(aws, "portal").credentials
        yield {
            "API_URL": stage.address(aws, deployed.stack["ApiUrl"]),
            "AWS_REGION": aws.region,
            "IMAGE_ID": deployed.images["golden-web"],
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "AWS_SESSION_TOKEN": credentials.token,
        }


def run(what: str, folder: Path, words: str, *more: str | Path, **environment: str) -> None:
    """Run a step; what it says is shown where it fails. The word `python` is the Python that runs this."""
    started = time.monotonic()
    command = [sys.executable if word == "python" else word for word in words.split()] + list(map(str, more))
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        print(done.stdout)
        sys.exit(f"{what}: failed ({words} … in {folder.relative_to(ROOT)})")
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
