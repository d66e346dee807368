"""Put a request on the bus, and put its outcome events together: `python gather.py IMAGE_ID…`.

BUS_ARN is the stack's output, OUTCOMES_URL a queue behind a rule on the outcome bus, as `make playground` has them.
Outcomes of other requests are left in the queue.
"""

import json
import os
import sys
import time

import boto3
from ami_share_client import Gathering, put_request

WAIT_SECONDS = 60


def main(images: list[str]) -> str | None:
    request_id = put_request(boto3.client("events"), os.environ["BUS_ARN"], "com.example.pipeline",
                             {"action": "share", "imageIds": images, "accountIds": ["111122223333"]})
    gathering = Gathering(request_id, images)
    sqs, queue = boto3.client("sqs"), os.environ["OUTCOMES_URL"]
    deadline = time.monotonic() + WAIT_SECONDS
    while not gathering.is_complete:
        if time.monotonic() > deadline:
            return f"{request_id} was not answered within {WAIT_SECONDS} seconds"
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", []):
            if gathering.add(message["Body"]):
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    print(json.dumps(gathering.outcome, indent=2))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
