"""Whether a statement's principals include the one who asks."""

import re
from functools import lru_cache
from typing import Any

from ami_share_tools.differential.logic import Kleene, any_of
from ami_share_tools.differential.request import Request, texts
from ami_share_tools.document import Document

ACCOUNT_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):root")
IDENTITY_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam::(\d{12}):(?:user|role)/|sts::(\d{12}):(?:assumed-role|federated-user)/)"
)


@lru_cache(maxsize=4096)
def account_of(listed: str) -> str | None:
    """principal: an account is its 12 digits or the ARN of its root, and both are the same."""
    if re.fullmatch(r"\d{12}", listed):
        return listed
    found = ACCOUNT_ARN.fullmatch(listed)
    return found.group(1) if found else None


def same_account(account: str | None, request: Request) -> Kleene:
    return None if request.account is None else account == request.account


@lru_cache(maxsize=4096)
def identity_account(listed: str) -> str | None:
    """The account of a user, role, session or federated user; nothing for what names none of them."""
    found = IDENTITY_ARN.match(listed)
    if not found or "*" in listed or "?" in listed:
        return None  # a deleted principal's unique id, a group, part of a name
    return found.group(1) or found.group(2)


def is_identity(listed: str, request: Request) -> Kleene:
    """principal: a user, a role, a session or a federated user, named by its whole ARN. A wildcard names nobody."""
    account = identity_account(listed)
    if account is None:
        return False
    if request.arn is None:
        # Not one identity asks but any of an account or an organization.
        return False if same_account(account, request) is False else None
    if listed == request.arn:
        return True
    if ":role/" in listed and ":assumed-role/" in request.arn:
        if request.role_arn:
            return listed == request.role_arn
        # principal: a role's sessions act as the role; their ARN has the role's name without its path.
        return account == request.account and listed.rsplit("/", 1)[1] == request.arn.split("/")[1]
    return False


def principals(element: Any, notes: set[str]) -> list[tuple[str, Any]]:
    """The pairs (kind, text) of a Principal element. grammar: `*` or a map of kinds to one or more texts."""
    if element == "*":
        return [("AWS", "*")]
    if not isinstance(element, dict):
        notes.add("a Principal that is neither * nor a map")
        return []
    pairs = [(kind, item) for kind, items in element.items() for item in texts(items)]
    if not pairs or any(kind not in ("AWS", "Service", "Federated") or item is None for kind, item in pairs):
        notes.add("a Principal that is empty or of a kind that key policies do not have")
    if ("Service", "*") in pairs:
        notes.add("a Principal that is every service")
    return pairs


def is_listed(kind: str, listed: str, request: Request) -> Kleene:
    if kind == "Service":
        return listed == request.service
    if kind != "AWS" or (request.service and listed != "*"):
        return False
    if listed == "*":
        return True
    account = account_of(listed)
    return same_account(account, request) if account else is_identity(listed, request)


def principal_holds(statement: Document, request: Request, depends_on: set[str]) -> Kleene:
    if "Principal" in statement and "NotPrincipal" in statement:
        request.notes.add("a statement with both an element and its negation")
    if statement.get("Principal") == "*" and "NotPrincipal" not in statement:
        return True
    if "Principal" in statement:
        listed = principals(statement["Principal"], request.notes)
        result = any_of([is_listed(kind, item, request) for kind, item in listed])
        if result is None:
            depends_on.add(
                "aws:principalaccount"
                if request.account is None and all(account_of(item) for _, item in listed)
                else "aws:principalarn"
            )
        return result
    if "NotPrincipal" in statement:
        result = not_principal_holds(statement, request)
        if result is None:
            depends_on.add("aws:principalarn")
        return result
    return False  # overview: Principal is required


def not_principal_holds(statement: Document, request: Request) -> Kleene:
    listed = principals(statement["NotPrincipal"], request.notes)
    if statement.get("Effect") != "Deny":
        request.notes.add("NotPrincipal with Allow: not supported")
    if any(kind == "AWS" and item == "*" for kind, item in listed):
        request.notes.add("NotPrincipal that lists everybody")
        return False
    if request.service:
        return not any(is_listed(kind, item, request) for kind, item in listed)
    items = [item for kind, item in listed if kind == "AWS"]
    by_account = any_of([same_account(account_of(item), request) for item in items if account_of(item)])
    by_itself = any_of([is_identity(item, request) for item in items if not account_of(item)])
    if request.arn and request.arn.endswith(":root") and by_account:
        return False
    if by_account is False and by_itself is False:
        return True
    if by_itself is True and by_account is True and ":assumed-role/" not in (request.arn or ""):
        return False
    # notprincipal: "you must also specify the account ARN of the not-denied principal. Otherwise, the policy might
    # deny access to the entire account". Listing the account alone exempts nobody else for sure.
    if request.arn and ":assumed-role/" in request.arn and by_itself is True and by_account is True:
        has_session = request.arn in items
        has_role = any(":role/" in item and is_identity(item, request) for item in items)
        if has_session and has_role:
            return False
        request.notes.add("NotPrincipal with a session's role but not the session, or the other way round")
    elif by_itself is True:
        request.notes.add("NotPrincipal with an identity but without its account")
    return None
