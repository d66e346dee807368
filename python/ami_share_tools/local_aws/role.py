"""Credentials with the policies that template.yaml gives the function:  python -m ami_share_tools.local_aws.role ENDPOINT ACCOUNT REGION [PARAMETER=VALUE…]

Creates the stack with these parameters, and prints the variables for a process that is to have its role. The policies are
what CloudFormation makes of the template, but that the stack's group of schedules is the group `default`.
"""

import json
import sys
import tempfile
from pathlib import Path

from ami_share_tools.local_aws.client import LocalAws
from ami_share_tools.local_aws.deploy import deploy

STACK = "role"


def credentials(aws, role_arn, change=lambda text: text):
    """Of a role with every inline policy of the other, which a test may assume."""
    iam, name = aws.client("iam"), role_arn.rpartition("/")[2]
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.account}:root"}, "Action": "sts:AssumeRole"}
        ],
    }
    like = f"like-{name}"[:64]
    made = iam.create_role(RoleName=like, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        iam.put_role_policy(RoleName=like, PolicyName=policy, PolicyDocument=change(json.dumps(document)))
    session = aws.client("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="test")["Credentials"]
    return {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_session_token": session["SessionToken"],
        "aws_secret_access_key": session["SecretAccessKey"],
    }


def without_binary(aws, stack, **parameters):
    """The outputs of a stack whose function can only fail."""
    with tempfile.TemporaryDirectory() as folder:
        nothing = Path(folder) / "nothing"
        nothing.write_text("")
        return deploy(aws, nothing, nothing, stack=stack, **parameters)


def main(endpoint, account, region, *parameters):
    aws = LocalAws()
    aws.endpoint, aws.account, aws.region = endpoint, account, region
    stack = f"{STACK}-{len(aws.client('cloudformation').describe_stacks()['Stacks'])}"
    outputs = without_binary(aws, stack, **dict(parameter.split("=", 1) for parameter in parameters))
    made = credentials(aws, outputs["FunctionRoleArn"], lambda text: text.replace(f"{stack}-expiries", "default"))
    print(json.dumps({name.upper(): value for name, value in made.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
