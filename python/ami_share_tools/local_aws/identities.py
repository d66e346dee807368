"""Roles in the local AWS, and sessions of them."""

import json
from collections.abc import Callable
from typing import Any

from ami_share_tools.local_aws.client import Aws

HOUR = 3600


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def make_role(aws: Aws, name: str, *statements: dict[str, Any], path: str = "/", hours: int = 1) -> str:
    """The ARN of a new role that everybody in the account may assume, and that has these statements."""
    iam = aws.client("iam")
    root = {"AWS": f"arn:aws:iam::{aws.account}:root"}
    trust = policy({"Effect": "Allow", "Principal": root, "Action": "sts:AssumeRole"})
    made = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=trust, MaxSessionDuration=hours * HOUR)
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=policy(*statements))
    arn: str = made["Role"]["Arn"]
    return arn


def session(aws: Aws, role_arn: str, name: str = "session", hours: int = 1) -> dict[str, str]:
    """The credentials of a session, named as boto3 names them."""
    assumed = aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=name, DurationSeconds=hours * HOUR)
    made = assumed["Credentials"]
    return {
        "aws_access_key_id": made["AccessKeyId"],
        "aws_secret_access_key": made["SecretAccessKey"],
        "aws_session_token": made["SessionToken"],
    }


def session_like(aws: Aws, role_arn: str, change: Callable[[str], str] = lambda text: text) -> dict[str, str]:
    """Of a role with every inline policy of the other, which a test may assume."""
    iam, name = aws.client("iam"), role_arn.rpartition("/")[2]
    like = f"like-{name}"[:64]
    made = make_role(aws, like)
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        iam.put_role_policy(RoleName=like, PolicyName=policy, PolicyDocument=change(json.dumps(document)))
    return session(aws, made)


def variables(credentials: dict[str, str]) -> dict[str, str]:
    """The same as environment variables."""
    return {name.upper(): value for name, value in credentials.items()}
