"""Credentials with the policies that template.yaml gives the function:

    python -m ami_share_tools.local_aws.role ENDPOINT ACCOUNT REGION [PARAMETER=VALUE…]

Creates the stack with these parameters, and prints the variables for a process that is to have its role. The policies are
what CloudFormation makes of the template, but that the stack's group of schedules is the group `default`, and the key of its
records is any key.
"""

import json
import sys
import tempfile
from pathlib import Path

from ami_share_tools.local_aws.client import Aws
from ami_share_tools.local_aws.deploy import deploy
from ami_share_tools.local_aws.identities import session_like, variables

STACK = "role"


def without_binary(aws: Aws, stack: str = "ami-share", **parameters: str) -> dict[str, str]:
    """The outputs of a stack whose function can only fail."""
    with tempfile.TemporaryDirectory() as folder:
        nothing = Path(folder) / "nothing"
        nothing.write_text("")
        return deploy(aws, nothing, nothing, stack=stack, **parameters)


def main(endpoint: str, account: str, region: str, *parameters: str) -> None:
    aws = Aws(endpoint, account, region)
    stack = f"{STACK}-{len(aws.client('cloudformation').describe_stacks()['Stacks'])}"
    outputs = without_binary(aws, stack, **dict(parameter.split("=", 1) for parameter in parameters))
    function = aws.client("lambda").get_function_configuration(FunctionName=outputs["FunctionArn"])
    key = function["Environment"]["Variables"]["AMI_SHARE_RECORD_KEY"]

    def change(text: str) -> str:
        text = text.replace(f"{stack}-expiries", "default")
        return text.replace(key, f"arn:aws:kms:{region}:{account}:key/*") if key else text

    made = session_like(aws, outputs["FunctionRoleArn"], change)
    print(json.dumps(variables(made)))


if __name__ == "__main__":
    main(*sys.argv[1:])
