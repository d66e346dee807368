"""The JWT authorizer of HTTP APIs: what API Gateway refuses beside a wrong signature, issuer or audience.

API Gateway Developer Guide, "Control access to HTTP APIs with JWT authorizers in API Gateway": only algorithms of RSA; `exp` must
be after the current time, `nbf` and `iat` before it.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from ami_share_tools.document import Document
from ami_share_tools.local_aws import adapter

Validated = tuple[Document | None, list[str] | None, adapter.Answer | None]
TIMES = ("exp", "nbf", "iat")


def install() -> None:
    adapter.validate_token.replace(validate)


async def validate(route: Document, authorizer: Document, headers: Mapping[str, str], query: Any) -> Validated:
    """Claims and scopes, or the refusal. A token that is not well made is as good as none."""
    made = {name: value for name, value in headers.items() if name.lower() != "authorization" or is_well_made(value)}
    validated: Validated = await adapter.validate_token(route, authorizer, made, query)
    return validated


def is_well_made(authorization: str) -> bool:
    try:
        header, claims = (part(text) for text in authorization.split()[-1].split(".")[:2])
    except (ValueError, IndexError):
        return False
    times = [claims[name] for name in TIMES if name in claims]
    return "exp" in claims and header.get("alg") == "RS256" and all(type(time) in (int, float) for time in times)


def part(text: str) -> Document:
    """One of the parts of a token."""
    document = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if not isinstance(document, dict):
        raise ValueError("not an object")
    return document
