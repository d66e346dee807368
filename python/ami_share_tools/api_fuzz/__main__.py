"""Deploy to a local AWS and send the API what openapi.yaml makes possible and impossible: `make api-fuzz`.

No answer may be a fault or differ from what is described, and no request that the schemas refuse may be accepted.
An argument is the path of a built function; without one cargo builds it. Further arguments go to schemathesis.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from ami_share_tools import function
from ami_share_tools.demo import portal, stage
from ami_share_tools.repository import PYTHON, ROOT

CHECKS = (
    "no_fault,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,negative_data_rejection,unsupported_method"
)


def main() -> int:
    arguments = sys.argv[1:]
    given = [arguments.pop(0)] if arguments and Path(arguments[0]).is_file() else []
    with tempfile.TemporaryDirectory() as folder, stage.deployed(function.chosen(*given)) as deployed:
        aws, images = deployed.aws, list(deployed.images.values())
        role, api = portal.Role(aws, "portal"), portal.Api(aws, deployed.stack["ApiUrl"])
        credentials = role.credentials
        settings = {
            "host": api.host,
            "local": urlsplit(aws.endpoint).netloc,
            "region": aws.region,
            "images": images,
            "credentials": [credentials.access_key, credentials.secret_key, credentials.token],
        }
        environment = os.environ | {
            "AMI_SHARE_FUZZ": json.dumps(settings),
            "SCHEMATHESIS_HOOKS": "ami_share_tools.api_fuzz.signing",
            "PYTHONPATH": str(PYTHON),
        }
        command: list[str | Path] = [
            Path(sys.executable).with_name("st"),
            "run",
            ROOT / "openapi.yaml",
            "--url",
            aws.endpoint + api.stage,
            "--checks",
            CHECKS,
            "--generation-database",
            "none",
            *arguments,
        ]
        return subprocess.run(command, cwd=folder, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
