"""What the tests of the local AWS share: an error by its code, and a role that may do this and nothing else."""

import contextlib
import unittest
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from ami_share_tools.document import Document
from ami_share_tools.local_aws.client import LocalAws
from ami_share_tools.local_aws.identities import make_role, policy, session


class Case(unittest.TestCase):
    def refused(self, code: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        with self.assertRaises(ClientError) as caught:
            call(*args, **kwargs)
        self.assertEqual(caught.exception.response["Error"]["Code"], code)


def role(aws: LocalAws, *statements: Document) -> dict[str, str]:
    """Credentials of a role with these statements, which allow, and on every resource where they name none."""
    iam, name = aws.client("iam"), "role"
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        make_role(aws, name)
    document = policy(*({"Effect": "Allow", "Resource": "*"} | one for one in statements))
    iam.put_role_policy(RoleName=name, PolicyName="policy", PolicyDocument=document)
    return session(aws, f"arn:aws:iam::{aws.account}:role/{name}")
