"""The condition operators: whether one value of a request matches one of a policy."""

import base64
import binascii
import datetime
import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from ami_share_tools.differential.logic import Kleene
from ami_share_tools.differential.patterns import Pattern, glob, substitute, wild
from ami_share_tools.differential.request import ABSENT, Marker, Request

Matcher = Callable[[str, str, Request], Kleene]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def match_string(
    value: str, wanted: str, request: Request, *, ignores_case: bool = False, is_like: bool = False
) -> Kleene:
    pattern = (
        substitute(wanted, request, is_like) if request.has_variables else (wild(wanted) if is_like else tuple(wanted))
    )
    if pattern is ABSENT:
        return False
    if isinstance(pattern, Marker):
        return None
    if is_like:
        return glob(pattern, value)
    plain = "".join(map(str, pattern))
    return plain.lower() == value.lower() if ignores_case else plain == value


def match_arn(value: str, wanted: str, request: Request) -> Kleene:
    """operators: each of the six parts is checked separately; the last one may hold colons."""
    pattern = substitute(wanted, request, True) if request.has_variables else wild(wanted)
    if pattern is ABSENT:
        return False
    if isinstance(pattern, Marker):
        return None
    parts: list[Pattern] = []
    part: list[str | tuple[str]] = []
    for c in pattern:
        if c == ":" and len(parts) < 5:
            parts.append(tuple(part))
            part = []
        else:
            part.append(c)
    parts.append(tuple(part))
    values = value.split(":", 5)
    if len(parts) < 6:
        request.notes.add("a pattern for an ARN that has not six parts")
        return None
    if len(values) < 6 or values[0] != "arn":
        request.notes.add("an ARN operator on a value that is no ARN")
        return False
    return all(glob(p, v) for p, v in zip(parts, values))


def number(value: str) -> float | None:
    try:
        return float(value) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", value) else None
    except ValueError:
        return None


DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)")


def moment(value: str, notes: set[str]) -> float | None:
    """operators: one of the W3C's profiles of ISO 8601, or seconds since 1970."""
    if re.fullmatch(r"\d{4}|\d{4}-\d\d|\d{4}-\d\d-\d\d", value):
        notes.add("a date without a time of day")
        return None
    if re.fullmatch(r"\d+", value):
        return float(value)
    found = DATE.fullmatch(value)
    if not found:
        if re.match(r"\d{4}-\d\d-\d\d", value):
            notes.add("a date that is nearly one of W3C's forms")
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    zone = found.group(8)
    try:
        at = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        return None
    offset = 0 if zone == "Z" else (int(zone[1:3]) * 60 + int(zone[4:6])) * (60 if zone[0] == "+" else -60)
    return at.timestamp() - offset + float(found.group(7) or 0)


COMPARISONS = {
    "Equals": lambda a, b: a == b,
    "NotEquals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}


def comparer(parse: Callable[[str, set[str]], float | None], holds: Callable[[float, float], bool]) -> Matcher:
    def match(value: str, wanted: str, request: Request) -> Kleene:
        left, right = parse(value, request.notes), parse(wanted, request.notes)
        if left is None:
            request.notes.add("a value in the request that is not of the operator's type")
        return None if left is None or right is None else holds(left, right)

    return match


def match_bool(value: str, wanted: str, request: Request) -> Kleene:
    """operators: `true` or `false`. Any other spelling is not documented: unknown."""
    if "${" in wanted:
        request.notes.add("a variable under Bool: one page says supported, another not")
    if value not in ("true", "false"):
        request.notes.add("a value in the request that is not of the operator's type")
    return value == wanted if wanted in ("true", "false") else None


def match_binary(value: str, wanted: str, request: Request) -> Kleene:
    try:
        right = base64.b64decode(wanted, validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        return base64.b64decode(value, validate=True) == right
    except (binascii.Error, ValueError):
        request.notes.add("a value in the request that is not of the operator's type")
        return False


@lru_cache(maxsize=4096)
def network(value: str) -> tuple[Network | None, str | None]:
    """operators: CIDR; an address without a prefix is the address alone."""
    address, slash, length = value.partition("/")
    try:
        if slash and not re.fullmatch(r"\d{1,3}", length):
            return None, None
        note = None
        if not slash and ":" in address:
            note = "an IPv6 address without a prefix: the page's default of /32 is not meant for it"
        if slash:
            try:
                ipaddress.ip_network(value)
            except ValueError:
                note = "a CIDR whose address has bits beyond the prefix"
        return ipaddress.ip_network(value, strict=False), note
    except ValueError:
        return None, None


def match_ip(value: str, wanted: str, request: Request) -> Kleene:
    range_, note = network(wanted)
    if note:
        request.notes.add(note)
    if range_ is None:
        return None
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        request.notes.add("a value in the request that is not of the operator's type")
        return False
    return address in range_


def string_matcher(**how: bool) -> Matcher:
    return lambda value, wanted, request: match_string(value, wanted, request, **how)


# Name of an operator -> (is it negated, does one value of the request match one of the policy's).
OPERATORS = {
    "StringEquals": (False, string_matcher()),
    "StringNotEquals": (True, string_matcher()),
    "StringEqualsIgnoreCase": (False, string_matcher(ignores_case=True)),
    "StringNotEqualsIgnoreCase": (True, string_matcher(ignores_case=True)),
    "StringLike": (False, string_matcher(is_like=True)),
    "StringNotLike": (True, string_matcher(is_like=True)),
    "ArnEquals": (False, match_arn),
    "ArnLike": (False, match_arn),
    "ArnNotEquals": (True, match_arn),
    "ArnNotLike": (True, match_arn),
    "Bool": (False, match_bool),
    "BinaryEquals": (False, match_binary),
    "IpAddress": (False, match_ip),
    "NotIpAddress": (True, match_ip),
}
for name, holds in COMPARISONS.items():
    OPERATORS["Numeric" + name] = (name == "NotEquals", comparer(lambda value, notes: number(value), holds))
    OPERATORS["Date" + name] = (name == "NotEquals", comparer(moment, holds))
OPERATOR = re.compile(r"(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?")


@lru_cache(maxsize=1024)
def operator_parts(operator: str) -> re.Match[str] | None:
    return OPERATOR.fullmatch(operator)


def is_readable(operator: str, wanted: str) -> bool:
    """Whether a policy's value is of the operator's type. A variable counts: it is another question."""
    if operator.startswith("Numeric"):
        return number(wanted) is not None
    if operator.startswith("Date"):
        return moment(wanted, set()) is not None
    if operator == "Bool":
        return wanted in ("true", "false")
    if operator.endswith("IpAddress"):
        return network(wanted)[0] is not None
    return True
