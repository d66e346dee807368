"""Whether a grant allows a request."""

import re

from ami_share_tools.differential.logic import Kleene, all_of
from ami_share_tools.differential.principals import account_of, is_identity, same_account
from ami_share_tools.differential.request import ABSENT, UNKNOWN, Marker, Request
from ami_share_tools.document import Document


def grant_holds(grant: Document, request: Request, depends_on: set[str]) -> Kleene:
    """grants: a grant allows its operations to its one grantee, if its constraints are met. It never denies."""
    if request.operation not in grant.get("Operations", ()):
        return False
    grantee = grant.get("GranteePrincipal")
    if request.service:
        return all_of(
            [is_service(grant, request), constraints_hold(grant.get("Constraints") or {}, request, depends_on)]
        )
    if not grantee:
        return False  # a grantee service principal is not an identity of an account
    account = account_of(grantee)
    if account and re.fullmatch(r"\d{12}", grantee):
        request.notes.add("a grantee that is an account's bare number")
    found: set[str] = set()
    is_grantee = same_account(account, request) if account else is_identity(grantee, request)
    if is_grantee is None:
        found.add("aws:principalaccount" if account else "aws:principalarn")
    result = all_of([is_grantee, constraints_hold(grant.get("Constraints") or {}, request, found)])
    if result is None:
        depends_on |= found
    return result


def is_service(grant: Document, request: Request) -> Kleene:
    """API reference, GrantListEntry: a service gets the permissions of a grant that names its service principal."""
    if grant.get("GranteePrincipal") == request.service:
        request.notes.add("a grantee principal that is a service: it might represent several principals")
        return True
    return grant.get("GranteeServicePrincipal") == request.service


def constraints_hold(constraints: Document, request: Request, found: set[str]) -> Kleene:
    results: list[Kleene] = []
    for name, wanted in constraints.items():
        if name == "SourceArn":
            # grants: "effectively putting an aws:SourceArn global condition key into the grant"
            known = request.value_of("aws:sourcearn")
            results.append(False if known is ABSENT else None if isinstance(known, Marker) else known[0] == wanted)
            if known is UNKNOWN:
                found.add("aws:sourcearn")
        elif request.operation not in ("DescribeKey", "RetireGrant"):
            # grants: encryption context constraints are "ignored for DescribeKey and RetireGrant operations"
            results.append(encryption_context_holds(name, wanted, request, found))
    return all_of(results)


def encryption_context_holds(name: str, wanted: Document, request: Request, found: set[str]) -> Kleene:
    prefix = "kms:encryptioncontext:"
    given = {
        key[len(prefix) :]: value
        for key, value in request.context.items()
        if key.startswith(prefix) and value is not ABSENT
    }
    results: list[Kleene] = []
    for key, value in wanted.items():
        known = request.value_of(prefix + key.lower())
        if known is UNKNOWN:
            found.add(prefix + key.lower())
        results.append(False if known is ABSENT else None if isinstance(known, Marker) else known[0] == value)
    if name == "EncryptionContextEquals":
        if set(given) - {key.lower() for key in wanted}:
            results.append(False)
        elif not request.is_closed:
            # Whether the request has more pairs is not known, unless it is known which keys it has.
            keys = request.context.get("kms:encryptioncontextkeys")
            request.notes.add("EncryptionContextEquals where further pairs are not known")
            results.append(None if keys is None else True)
    return all_of(results)
