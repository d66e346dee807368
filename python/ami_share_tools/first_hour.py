"""Follow "The first hour" of docs/deployment.md against the local AWS, command by command:
`python -m ami_share_tools.first_hour BINARY`, with the binary that the stack's function shall be.

The commands run in one bash, as a reader would paste them, with the real AWS CLI, curl and jq. What isn't here stands in:
`make package` packs the binary that is given, `sam deploy` creates the stack of the package through the local
CloudFormation, curl goes to the local address of the API, and version 1 of the AWS CLI, which is the one of PyPI, learns
`export-credentials` of version 2. What each block prints must be what the page says; `…`
stands for anything.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ami_share_tools.local_aws.client import Aws, LocalAws
from ami_share_tools.local_aws.deploy import BUCKET, create
from ami_share_tools.local_aws.identities import make_role, session, variables
from ami_share_tools.repository import PYTHON, ROOT

ROLE = "AWSReservedSSO_PlatformAdmin_0123456789abcdef"
# What the local AWS prints in place of what AWS does.
DEVIATIONS = {"pending confirmation\n": "arn:aws:sns:…\n"}
SEPARATOR = "----- next step -----"
PRELUDE = """
set -euo pipefail
make() { "$PYTHON" "$ROOT/deploy/package.py" --binary "$BINARY" --out dist; }
aws() {
  if [ "$1 $2" = "configure export-credentials" ]; then
    printf 'export %s\n' "AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN=$AWS_SESSION_TOKEN"
  else
    command aws "$@"
  fi
}
sam() { "$PYTHON" -m ami_share_tools.first_hour sam "$@"; }
curl() {
  local arguments=()
  for argument in "$@"; do
    arguments+=("$(sed -E "s#^https://([a-z0-9]+)[.]execute-api[.][a-z0-9-]+[.]amazonaws[.]com#http://\\1.execute-api.localhost:$PORT#" <<< "$argument")")
  done
  command curl "${arguments[@]}"
}
"""


def steps() -> list[list[str]]:
    """The blocks to run, each with what it prints, or nothing where the page doesn't say."""
    page = (ROOT / "docs/deployment.md").read_text()
    hour = page[page.index("\n## The first hour\n") : page.index("\n## What to choose\n")]
    found = []
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", hour, re.M | re.S):
        if kind == "sh":
            found.append([text, ""])
        elif kind == "text":
            found[-1][1] = text
        else:
            raise SystemExit(f"what is this block?\n{text}")
    return found


def follow(binary: str) -> None:
    with LocalAws(log=os.devnull) as aws, tempfile.TemporaryDirectory() as folder:
        aws.seed(images=[{"name": "golden-web", "mappings": [{"device": "/dev/xvda", "snapshot": {}}]}])
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": folder,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(PYTHON),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ROOT": str(ROOT),
            "BINARY": str(Path(binary).absolute()),
            "AWS_ENDPOINT_URL": aws.endpoint,
            "PORT": aws.endpoint.rpartition(":")[2],
            "LOCAL_AWS": json.dumps({"endpoint": aws.endpoint, "account": aws.account, "region": aws.region}),
            "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true",
        } | signed_in(aws)
        found = steps()
        script = PRELUDE + f"echo '{SEPARATOR}'\n".join(commands for commands, _ in found)
        answer = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE)
    printed = answer.stdout.split(f"{SEPARATOR}\n")
    for (commands, expected), actual in zip(found, printed):
        if not matches(expected, actual):
            raise SystemExit(f"{commands}\nprinted\n\n{actual}\nand docs/deployment.md says\n\n{expected}")
    if answer.returncode or len(printed) != len(found):
        raise SystemExit(f"this failed with {answer.returncode}:\n{found[len(printed) - 1][0]}")
    print(f"{len(found)} steps did what docs/deployment.md says")


def matches(expected: str, actual: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in DEVIATIONS.get(expected, expected).split("…"))
    return re.fullmatch(pattern, actual, re.S) is not None


def signed_in(aws: Aws) -> dict[str, str]:
    """What somebody has who signed in by IAM Identity Center: a session of a role that may administer the account."""
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    role = make_role(aws, ROLE, everything, path="/aws-reserved/sso.amazonaws.com/eu-west-1/")
    return variables(session(aws, role, "ada"))


def sam(arguments: list[str]) -> None:
    """`sam deploy` of a packaged template: upload what it names, and create the stack."""
    if arguments[0] != "deploy":
        raise SystemExit(f"sam {arguments[0]} isn't here")
    options = {name: arguments[arguments.index(name) + 1] for name in ("--template-file", "--stack-name")}
    parameters = dict(value.split("=", 1) for value in arguments[arguments.index("--parameter-overrides") + 1 :])
    template = Path(options["--template-file"])
    aws = Aws(**json.loads(os.environ["LOCAL_AWS"]))
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.region})

    def uploaded(match: re.Match[str]) -> str:
        s3.put_object(Bucket=BUCKET, Key=match[2], Body=(template.parent / match[2]).read_bytes())
        return f"{match[1]}s3://{BUCKET}/{match[2]}"

    create(
        aws,
        re.sub(r"((?:CodeUri|ContentUri): )(\S+[.]zip)", uploaded, template.read_text()),
        options["--stack-name"],
        parameters,
    )
    print(f"\nSuccessfully created/updated stack - {options['--stack-name']} in {aws.region}")


if __name__ == "__main__":
    if sys.argv[1] == "sam":
        sam(sys.argv[2:])
    else:
        follow(sys.argv[1])
