"""What the tests of the local AWS share: an error by its code, and a role that may do this and nothing else."""

import contextlib
import json
import unittest
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from local_aws.client import LocalAws


class Case(unittest.TestCase):
    def refused(self, code: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)


def role(aws: LocalAws, *statements: dict[str, Any]) -> dict[str, str]:
    """Credentials of a role with these statements, which allow, and on every resource where they name none."""
    iam, name = aws.client("iam"), "role"
    root = f"arn:aws:iam::{aws.account}:root"
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": root}}]}
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*"} | s for s in statements]}
    iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=json.dumps(document))
    session = aws.client("sts").assume_role(RoleArn=f"arn:aws:iam::{aws.account}:role/{name}", RoleSessionName="session")
    made = session["Credentials"]
    return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"],
            "aws_session_token": made["SessionToken"]}
