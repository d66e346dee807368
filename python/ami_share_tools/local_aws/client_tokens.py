"""Client tokens: EC2 Developer Guide, "Ensuring idempotency in Amazon EC2 API requests".

The same request with the same token is answered as the first time, whatever became of what it made: that page doesn't say
that a token ends with its resource. A token is one account's, in one Region, for one action.
"""

from collections.abc import Container

from ami_share_tools.document import Document
from ami_share_tools.local_aws.adapter import Params, get_account_id, get_region
from ami_share_tools.local_aws.wire import Refusal, param

# That page says 64 ASCII characters, the pages of the actions say 128. The smaller of the two serves both.
LENGTH = 64
NOT_COMPARED = {"Action", "ClientToken", "DryRun", "Version"}

_ANSWERS: dict[tuple[str, str, str, str], tuple[Document, str]] = {}


def earlier(params: Params) -> str | None:
    """The ID that this request was answered with before."""
    token = param(params, "ClientToken")
    if len(token) > LENGTH or not token.isascii():
        raise Refusal("InvalidParameterValue", f"A client token has at most {LENGTH} ASCII characters")
    if not token or _key(params) not in _ANSWERS:
        return None
    before, made = _ANSWERS[_key(params)]
    if before != _compared(params):
        raise Refusal("IdempotentParameterMismatch", "The client token was used for a request with other parameters")
    return made


def keep(params: Params, made: str) -> None:
    if param(params, "ClientToken"):
        _ANSWERS[_key(params)] = (_compared(params), made)


def forget(ids: Container[str]) -> None:
    """As if the requests that made these had never been."""
    for key in [key for key, (_, made) in _ANSWERS.items() if made in ids]:
        del _ANSWERS[key]


def clear() -> None:
    _ANSWERS.clear()


def _key(params: Params) -> tuple[str, str, str, str]:
    return get_account_id(), get_region(), param(params, "Action"), param(params, "ClientToken")


def _compared(params: Params) -> Document:
    return {name: param(params, name) for name in params if name not in NOT_COMPARED}
