"""Package the built binary as `sam package` would, and deploy the real template.yaml through CloudFormation."""

import contextlib
import io
import re
import time
import zipfile
from pathlib import Path

from ami_share_tools.local_aws.client import Aws
from ami_share_tools.repository import ROOT

BUCKET = "ami-share-artifacts"
DEPLOY_SECONDS = 120


class DeployFailed(Exception):
    """CloudFormation did not create the stack."""


# The parameters that say where the allowlist is.
ALLOWLIST = ("AllowlistParameter", "AllowlistApplicationId", "AllowlistInLayer")


def deploy(aws: Aws, binary: Path, allowlist: Path, stack: str = "ami-share", **parameters: str) -> dict[str, str]:
    """Create the stack in the local AWS and answer its outputs. The allowlist goes into the layer, unless a parameter says
    that it is somewhere else."""
    if not any(name in parameters for name in ALLOWLIST):
        parameters["AllowlistInLayer"] = "true"
    s3 = aws.client("s3")
    with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):  # a second stack
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.region})
    s3.put_object(Bucket=BUCKET, Key="function.zip", Body=zipped("bootstrap", binary.read_bytes(), 0o755))
    s3.put_object(Bucket=BUCKET, Key="allowlist.zip", Body=zipped("allowlist.yaml", allowlist.read_bytes(), 0o644))
    return create(aws, packaged(), stack, parameters)


def create(aws: Aws, template: str, stack: str, parameters: dict[str, str]) -> dict[str, str]:
    """Create a stack of a packaged template and answer its outputs."""
    cloudformation = aws.client("cloudformation")
    # Larger than a request may be (CloudFormation quotas, "Template body size in a request"), so it is uploaded too.
    aws.client("s3").put_object(Bucket=BUCKET, Key="template.yaml", Body=template.encode())
    cloudformation.create_stack(
        StackName=stack,
        TemplateURL=f"{aws.endpoint}/{BUCKET}/template.yaml",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        [described] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        if described["StackStatus"] == "CREATE_COMPLETE":
            return {o["OutputKey"]: o["OutputValue"] for o in described["Outputs"]}
        if "ROLLBACK" in described["StackStatus"] or "FAILED" in described["StackStatus"]:
            events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
            reasons = [
                f"{e['LogicalResourceId']}: {e['ResourceStatusReason']}"
                for e in events
                if "FAILED" in e["ResourceStatus"] and e.get("ResourceStatusReason")
            ]
            raise DeployFailed("; ".join(reasons) or described.get("StackStatusReason", described["StackStatus"]))
        time.sleep(0.2)
    raise DeployFailed(f"the stack was not there after {DEPLOY_SECONDS} seconds")


def packaged() -> str:
    """The template with its two local paths replaced by where the archives were uploaded, and nothing else changed."""
    text = (ROOT / "template.yaml").read_text()
    for name, path, archive in (("CodeUri", ".", "function.zip"), ("ContentUri", "examples/", "allowlist.zip")):
        text, count = re.subn(rf"^( +{name}: ){re.escape(path)}$", rf"\1s3://{BUCKET}/{archive}", text, flags=re.M)
        if count != 1:
            raise DeployFailed(f"template.yaml should have one line {name}: {path}")
    return text


def zipped(name: str, content: bytes, mode: int) -> bytes:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, content, zipfile.ZIP_DEFLATED, compresslevel=1)
    return archive.getvalue()
