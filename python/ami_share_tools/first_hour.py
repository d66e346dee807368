"""Follow docs/deployment.md against the local AWS, command by command:

    python -m ami_share_tools.first_hour BINARY [audit]

with the function's binary. With `audit` after it, the daily audit of a stack without parameters instead.

The commands run in one bash, as a reader would paste them, with the real AWS CLI, curl and jq. Stand-ins replace what isn't
here: `make package` packs the given binary, a little longer each time as if it were another version; `sam deploy` and `sam
delete` use the local CloudFormation; curl calls the local address of the API; and version 1 of the AWS CLI, which is the one
of PyPI, learns `export-credentials` of version 2. Each block must print what the page says; `…` stands for anything.
"""

import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from botocore.exceptions import ClientError

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import Aws, LocalAws
from ami_share_tools.local_aws.deploy import BUCKET, create, deploy
from ami_share_tools.local_aws.identities import make_role, session, session_like, variables
from ami_share_tools.repository import PYTHON, ROOT

ROLE = "AWSReservedSSO_PlatformAdmin_0123456789abcdef"
# What the local AWS prints in place of what AWS does.
DEVIATIONS = {"pending confirmation\n": "arn:aws:sns:…\n"}
SEPARATOR = "----- next step -----"
PRELUDE = """
set -euo pipefail
cp "$BINARY" built && { strip built || true; }  # without debug information it is packed in a fraction of the time
make() { echo >> built; "$PYTHON" "$ROOT/deploy/package.py" --binary built --out dist; }
aws() {
  if [ "$1 $2" = "configure export-credentials" ]; then
    printf 'export %s\n' "AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN=$AWS_SESSION_TOKEN"
  else
    command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"
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
    found = []
    for kind, text in re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs/deployment.md").read_text(), re.M | re.S):
        if kind == "sh":
            found.append([text, ""])
        elif kind == "text":
            found[-1][1] = text
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
        answer = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, timeout=900
        )
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


def sam(command: str, *arguments: str) -> None:
    """`sam deploy` of a packaged template, and `sam delete`."""
    options = {name: value for name, value in itertools.pairwise(arguments) if name.startswith("--")}
    parameters = dict(word.split("=", 1) for word in arguments if re.match(r"[A-Z]\w+=", word))
    here = json.loads(os.environ["LOCAL_AWS"]) | {"region": options.get("--region", os.environ["AWS_REGION"])}
    aws, stack = Aws(**here), options["--stack-name"]
    if command == "deploy":
        deployed(aws, stack, Path(options["--template-file"]), parameters)
    elif command == "delete":
        deleted(aws, stack)
    else:
        raise SystemExit(f"sam {command} isn't here")


def deployed(aws: Aws, stack: str, template: Path, parameters: dict[str, str]) -> None:
    """What a template names is uploaded, and the stack is created, or updated where it is there."""
    s3, cloudformation = aws.client("s3"), aws.client("cloudformation")
    here = f"{BUCKET}-{aws.region}"  # Lambda takes code from a bucket of its own Region
    for bucket in {BUCKET, here} - {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": aws.region})

    def uploaded(match: re.Match[str]) -> str:  # under the content's hash, like `sam package`
        content = (template.parent / match[2]).read_bytes()
        key = f"{hashlib.sha256(content).hexdigest()}-{match[2]}"
        s3.put_object(Bucket=here, Key=key, Body=content)
        return f"{match[1]}s3://{here}/{key}"

    text = re.sub(r"((?:CodeUri|ContentUri): )(\S+[.]zip)", uploaded, template.read_text())
    try:
        [there] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError:
        create(aws, text, stack, parameters)
    else:
        s3.put_object(Bucket=BUCKET, Key="template.yaml", Body=text.encode())
        before = [
            {"ParameterKey": p["ParameterKey"], "UsePreviousValue": True}
            for p in there["Parameters"]
            if p["ParameterKey"] not in parameters
        ]
        cloudformation.update_stack(
            StackName=stack,
            TemplateURL=f"{aws.endpoint}/{BUCKET}/template.yaml",
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=before + [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        cloudformation.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    print(f"\nSuccessfully created/updated stack - {stack} in {aws.region}")


def deleted(aws: Aws, stack: str) -> None:
    cloudformation = aws.client("cloudformation")
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})
    print("\nDeleted successfully")


def audit(binary: str) -> None:
    """A stack without parameters: what its schedule sends, with the schedule's role, is an audit that completes, and the
    metric that the alarm on missing audits watches."""
    with LocalAws(log=os.devnull) as aws:
        aws.seed(images=[{"name": "shared-before", "mappings": [], "launchPermissions": ["111122223333"]}])
        outputs = deploy(aws, Path(binary), Path(binary), stack="plain", AllowlistParameter="")

        def physical(name: str) -> str:
            found = aws.client("cloudformation").describe_stack_resource(StackName="plain", LogicalResourceId=name)
            return found["StackResourceDetail"]["PhysicalResourceId"]

        target = aws.client("scheduler").get_schedule(Name=physical("Audit"))["Target"]
        events = aws.client("events", **session_like(aws, target["RoleArn"]))
        answer = events.put_events(
            Entries=[{"EventBusName": target["Arn"], "Detail": target["Input"]} | target["EventBridgeParameters"]]
        )
        assert answer["FailedEntryCount"] == 0, answer
        [alarm] = aws.client("cloudwatch").describe_alarms(AlarmNames=[physical("AuditMissingAlarm")])["MetricAlarms"]
        watched = {d["Name"]: d["Value"] for d in alarm["Dimensions"]}
        deadline = time.monotonic() + 30
        lines: list[Document] = []
        found: list[Document] = []
        while not found and time.monotonic() < deadline:
            pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=outputs["LogGroupName"])
            lines = [json.loads(e["message"]) for page in pages for e in page["events"] if e["message"].startswith("{")]
            found = [line for line in lines if watched.items() <= line.items() and line.get(alarm["MetricName"]) == 1]
            time.sleep(0.2)
        assert found, lines
        directives = [
            directive
            for directive in found[0]["_aws"]["CloudWatchMetrics"]
            if directive["Namespace"] == alarm["Namespace"]
        ]
        assert any(set(watched) == set(names) for directive in directives for names in directive["Dimensions"]), found
        assert any("SharedOutsideAllowlist" in json.dumps(line) for line in lines), lines
    print("the audit of a stack without parameters completes")


if __name__ == "__main__":
    if sys.argv[1] == "sam":
        sam(*sys.argv[2:])
    else:
        {"": follow, "audit": audit}["".join(sys.argv[2:])](sys.argv[1])
