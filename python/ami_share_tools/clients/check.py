"""Try the bundle and the clients, as CI does: `make test-clients`.

Two linters and two generators read openapi.bundle.yaml; what is generated compiles, and an example with a signature of
its own calls the template on the local AWS. Then the clients of this folder: their types, their tests on loopback, and
one against the local AWS. What needs Node.js is skipped where there is none.
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
OLDEST_NODE = (20, 19)


def main() -> None:
    has_node = is_node_there()
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    python_offline()
    if has_node:
        node_offline()
    binary = function.chosen()
    with local_api(binary) as environment:
        run(
            "The Python client against the local AWS",
            PYTHON,
            sys.executable,
            "-W",
            "error::ResourceWarning",
            "-m",
            "unittest",
            "-q",
            "tests.test_local",
            **environment,
        )
        run(
            "openapi-python-client's against the local AWS",
            GENERATORS,
            sys.executable,
            "example.py",
            PYTHONPATH=str(OUT),
            **environment,
        )
        if has_node:
            run(
                "The TypeScript client against the local AWS",
                TYPESCRIPT,
                "node",
                "--test",
                "dist/test/local.test.js",
                **environment,
            )
            run("openapi-typescript's against the local AWS", GENERATORS, "node", "out/example.js", **environment)


def is_node_there() -> bool:
    """Whether Node.js is there; what is skipped without it is said."""
    missing = [tool for tool in ("node", "npm") if not shutil.which(tool)]
    version = (
        ""
        if missing
        else subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    )
    if not missing and tuple(map(int, version.lstrip("v").split(".")[:2])) >= OLDEST_NODE:
        return True
    print(
        f"Skipped: redocly, spectral, openapi-typescript and the TypeScript client need Node.js {'.'.join(map(str, OLDEST_NODE))} or newer with"
        f" npm, and {f'this is {version}' if version else 'here is no ' + ' and no '.join(missing)}. CI has it."
    )
    return False


def python_offline() -> None:
    run("The Python client's types", PYTHON, sys.executable, "-m", "mypy")
    run(
        "The Python client on loopback",
        PYTHON,
        sys.executable,
        "-W",
        "error::ResourceWarning",
        "-m",
        "unittest",
        "-q",
        "tests.test_client",
        "tests.test_events",
    )
    generated = OUT / "ami_share_generated"
    run(
        "openapi-python-client",
        GENERATORS,
        sys.executable,
        "-m",
        "openapi_python_client",
        "generate",
        "--path",
        ROOT / "openapi.bundle.yaml",
        "--meta",
        "none",
        "--config",
        "openapi-python-client.yaml",
        "--output-path",
        generated,
        "--fail-on-warning",
    )
    run(
        "It compiles",
        GENERATORS,
        sys.executable,
        "-m",
        "compileall",
        "-q",
        generated,
        PYTHONPYCACHEPREFIX=str(OUT / "cache"),
    )
    run(
        "Its types",
        GENERATORS,
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file",
        PYTHON / "pyproject.toml",
        generated,
        "example.py",
        MYPYPATH=str(OUT),
    )


def node_offline() -> None:
    for folder in (GENERATORS, TYPESCRIPT):
        installed, lock = folder / "node_modules/.package-lock.json", folder / "package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            run(f"What clients/{folder.name} needs", folder, "npm", "ci", "--silent")
            installed.touch()
    run(
        "redocly",
        GENERATORS,
        "npx",
        "--no-install",
        "redocly",
        "lint",
        ROOT / "openapi.bundle.yaml",
        REDOCLY_TELEMETRY="off",
        REDOCLY_SUPPRESS_UPDATE_NOTICE="true",
    )
    run(
        "spectral",
        GENERATORS,
        "npx",
        "--no-install",
        "spectral",
        "lint",
        "--quiet",
        "--fail-severity",
        "hint",
        ROOT / "openapi.bundle.yaml",
    )
    schema = OUT / "schema.ts"
    run(
        "openapi-typescript",
        GENERATORS,
        "npx",
        "--no-install",
        "openapi-typescript",
        ROOT / "openapi.bundle.yaml",
        "--output",
        schema,
    )
    run("It compiles", GENERATORS, "npx", "--no-install", "tsc")
    if schema.read_text() != (TYPESCRIPT / "src/schema.ts").read_text():
        sys.exit("clients/typescript/src/schema.ts is not what openapi.bundle.yaml gives: run make bundle.")
    run("The TypeScript client on loopback", TYPESCRIPT, "npm", "test", "--silent")


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


def run(what: str, folder: Path, *command: str | Path, **environment: str) -> None:
    """Run a step; what it says is shown where it fails."""
    started = time.monotonic()
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        print(done.stdout)
        sys.exit(f"{what}: failed ({' '.join(map(str, command[:4]))} … in {folder.relative_to(ROOT)})")
    print(f"{what}: {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()
