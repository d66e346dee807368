"""A client that openapi-python-client makes of the bundle, with a signature: asks who has access to an image."""

import os
import sys
from collections.abc import Generator

import httpx
from ami_share_generated import Client
from ami_share_generated.api.requests import send_request
from ami_share_generated.api.shares import share_image
from ami_share_generated.models import ListRequest, Outcome, OutcomeResult, Problem, Share
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

IMAGE = os.environ["IMAGE_ID"]


class Signature(httpx.Auth):
    """Signature Version 4 for API Gateway, of the body too."""

    requires_request_body = True

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        credentials = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["AWS_SESSION_TOKEN"])
        signed = AWSRequest(request.method, str(request.url), {"Host": request.headers["Host"]}, request.content)
        SigV4Auth(credentials, "execute-api", os.environ["AWS_REGION"]).add_auth(signed)
        request.headers.update(dict(signed.headers))
        yield request


with Client(base_url=os.environ["API_URL"], httpx_args={"auth": Signature()}) as client:
    listed = send_request.sync(client=client, body=ListRequest(action="list", image_ids=[IMAGE]))
    refused = share_image.sync(IMAGE, client=client, body=Share(account_ids=["777788889999"]))

if not isinstance(listed, Outcome) or listed.result is not OutcomeResult.COMPLETED:
    sys.exit(f"not what was expected: {listed}")
print(listed.result, [image.permissions for image in listed.images])
if not isinstance(refused, Problem):
    sys.exit(f"not what was expected: {refused}")
print([refusal.code for refusal in refused.refusals])


def misspelt() -> ListRequest:
    # mypy refuses a comment that silences nothing: were the misspelt field taken, the check of types would fail.
    return ListRequest(action="list", image_id=[IMAGE])  # type: ignore[call-arg]
