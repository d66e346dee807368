"""EC2's own events about images on the default bus: EC2 User Guide, "Monitor AMI events using Amazon EventBridge".

An image becomes available when it is registered and when it is enabled again; what becomes of a copy, `copies` announces.
"""

import json
import re
import uuid

from ami_share_tools.local_aws import adapter
from ami_share_tools.local_aws.adapter import Answer, Handler, Params, ec2_actions, ec2_param, get_region


def install() -> None:
    for name in ("RegisterImage", "EnableImage"):
        ec2_actions[name] = announcing(ec2_actions[name])


def announcing(handler: Handler) -> Handler:
    def run(params: Params) -> Answer:
        status, headers, body = handler(params)
        if status == 200:
            text = body.decode() if isinstance(body, bytes) else body
            registered = re.search("<imageId>(.*)</imageId>", text)
            announce(registered.group(1) if registered else ec2_param(params, "ImageId"), "available")
        return status, headers, body

    return run


def announce(image_id: str, state: str, error: str = "") -> None:
    """ "ErrorMessage" is "the reason for the failed operation"."""
    detail = {"RequestId": str(uuid.uuid4()), "ImageId": image_id, "State": state, "ErrorMessage": error}
    adapter.put_events(
        {
            "Entries": [
                {
                    "Source": "aws.ec2",
                    "DetailType": "EC2 AMI State Change",
                    "Detail": json.dumps(detail),
                    "Resources": [f"arn:aws:ec2:{get_region()}::image/{image_id}"],
                }
            ]
        },
        allow_aws_source=True,
    )
