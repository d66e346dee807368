"""Hooks of schemathesis: requests signed as the role `portal`, and often about images that are there.

The settings come from __main__.py through the environment.
"""

import json
import os
from typing import Any

import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests.auth import AuthBase

TO = json.loads(os.environ["AMI_SHARE_FUZZ"])


class SignatureV4(AuthBase):
    """Signs the request as it will be sent."""

    def __call__(self, request: Any) -> Any:
        url = request.url.replace(TO["local"], TO["host"], 1)
        signed = AWSRequest(request.method, url, {"Host": TO["host"]}, request.body)
        SigV4Auth(Credentials(*TO["credentials"]), "execute-api", TO["region"]).add_auth(signed)
        request.headers.update(signed.headers)
        return request


schemathesis.auth.set_from_requests(SignatureV4())


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """The name under which the API is known, also where a request is sent unsigned on purpose."""
    case.headers["Host"] = TO["host"]


@schemathesis.check
def no_fault(context: Any, response: Any, case: Any) -> None:
    """No answer says that the function failed."""
    if response.status_code >= 500:
        raise AssertionError(f"{response.status_code}: {response.text[:500]}")


def known(image_id: str) -> str:
    """One of the images that are there for an id that isn't; the same one each time."""
    return TO["images"][sum(image_id.encode()) % len(TO["images"])]


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: Any) -> Any:
    image_id = (path_parameters or {}).get("imageId")
    if isinstance(image_id, str) and image_id.startswith("ami-"):
        path_parameters["imageId"] = known(image_id)
    return path_parameters


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    ids = body.get("imageIds") if isinstance(body, dict) else None
    if isinstance(ids, list) and ids and all(isinstance(one, str) and one.startswith("ami-") for one in ids):
        body["imageIds"] = list(dict.fromkeys(map(known, ids)))
    return body
