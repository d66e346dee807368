"""Wildcards and policy variables."""

import re
from functools import lru_cache

from ami_share_tools.differential.request import ABSENT, MULTI_VALUED, UNKNOWN, Marker, Request

# Characters, and wildcards in tuples of their own: so a literal `*` can be told from a wildcard.
Token = str | tuple[str]
Pattern = tuple[Token, ...]


@lru_cache(maxsize=65536)
def compiled(pattern: Pattern) -> re.Pattern[str]:
    """`pattern` has characters, and wildcards in tuples of their own: so a literal `*` can be told from a wildcard."""
    return re.compile(
        "".join(re.escape(c) if isinstance(c, str) else ".*" if c == ("*",) else "." for c in pattern), re.DOTALL
    )


@lru_cache(maxsize=65536)
def wild(literal: str) -> Pattern:
    return tuple((c,) if c in "*?" else c for c in literal)


def glob(pattern: Pattern, value: str) -> bool:
    """operators: `*` is any number of characters, `?` exactly one."""
    return compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=65536)
def within_segments(pattern: Pattern) -> re.Pattern[str]:
    """resource: only a `*` that is the last character of a segment "can expand to match beyond the colon boundaries"."""

    def part(token: Token, after: Token) -> str:
        if isinstance(token, str):
            return re.escape(token)
        return "." if token == ("?",) else ".*" if after == ":" else "[^:]*"

    return re.compile("".join(map(part, pattern, (*pattern[1:], ":"))), re.DOTALL)


@lru_cache(maxsize=65536)
def plain_glob(text: str, value: str) -> bool:
    return glob(wild(text), value)


VARIABLE = re.compile(r"\$\{([^}]*)\}")
DEFAULT = re.compile(r"^([^,]*), '([^']*)'$")


def substitute(value: str, request: Request, keeps_wildcards: bool) -> Pattern | Marker:
    """variables: the pattern that a policy's text stands for; ABSENT or UNKNOWN if a variable has no (known) value."""
    if "${" not in value:
        return wild(value) if keeps_wildcards else tuple(value)
    result: list[Token] = []
    at = 0
    for found in VARIABLE.finditer(value):
        literal = value[at : found.start()]
        result += wild(literal) if keeps_wildcards else literal
        at = found.end()
        name = found.group(1)
        if name in ("*", "?", "$"):
            result.append(name)
            continue
        default = DEFAULT.match(name)
        key = (default.group(1) if default else name).lower()
        if not re.fullmatch(r"[a-z0-9.-]+:[^'\s]+", key):
            request.notes.add("a variable that is none: ${" + name + "}")
            return UNKNOWN
        known = request.value_of(key)
        if key in MULTI_VALUED and known is not ABSENT:
            request.notes.add("a multi-valued key as a variable")
            return ABSENT
        if known is ABSENT and default:
            known = [default.group(2)]
        if known is ABSENT:
            return ABSENT
        if isinstance(known, Marker):
            request.unknown_variables.add(key)
            return UNKNOWN
        if "*" in known[0] or "?" in known[0]:
            request.notes.add("a wildcard that comes from a variable's value or default")
        if known[0] == "":
            request.notes.add("a variable whose value is an empty text")
        result += known[0]
    rest = value[at:]
    if "${" in rest:
        request.notes.add("a variable that is not closed")
        return UNKNOWN
    result += wild(rest) if keeps_wildcards else rest
    return tuple(result)
