"""Whether the conditions of a statement hold."""

import re
from typing import Any

from ami_share_tools.differential.logic import Kleene, all_of, any_of, negate
from ami_share_tools.differential.operators import OPERATORS, is_readable, operator_parts
from ami_share_tools.differential.request import ABSENT, MULTI_VALUED, UNKNOWN, Known, Marker, Request, texts
from ami_share_tools.document import Document


def condition_holds(operator: str, key: str, wanted: list[Any], request: Request) -> Kleene:
    """One operator on one key. logic: several wanted values are OR, for a negated operator NOR."""
    parts = operator_parts(operator)
    key = key.lower()
    known = request.value_of(key)
    if parts and parts.group(2) == "Null":
        return null_holds(parts, key, known, wanted, request)
    if not parts or parts.group(2) not in OPERATORS:
        return None  # not an operator: what AWS would do is not known
    quantifier, (negated, match), if_exists = parts.group(1), OPERATORS[parts.group(2)], parts.group(3)
    if any(item is None for item in wanted) or not wanted:
        request.notes.add("a condition without a plain value")
        return None
    unreadable = sum(not is_readable(parts.group(2), item) for item in wanted)
    if unreadable and (known is ABSENT or unreadable < len(wanted)):
        request.notes.add("an unreadable value beside others, or for a key that is absent")
    if known is ABSENT:
        if quantifier == "ForAnyValue" and if_exists:
            request.notes.add("ForAnyValue with IfExists and a missing key")
        if quantifier == "ForAllValues" and negated:
            request.notes.add("ForAllValues with a negated operator and a missing key: the pages say both")
        if if_exists:
            return True  # operators: "If the key is not present, evaluate the condition element as true"
        if quantifier:
            return quantifier == "ForAllValues"  # sets: true, or false, "if there are no context keys in the request"
        return negated  # operators, "Important": not present is false, or true for what must not match
    if isinstance(known, Marker):
        return None
    if key in MULTI_VALUED and not quantifier:
        request.notes.add("a multi-valued key without a set operator")

    def value_holds(value: str) -> Kleene:
        matches = any_of([match(value, item, request) for item in wanted])
        return negate(matches) if negated else matches

    if known in ([], [""]):
        if quantifier:  # operators: "or if the context key value resolves to a null dataset, such as an empty string"
            return quantifier == "ForAllValues"
        request.notes.add("a key whose value is an empty set or an empty text")
    results = [value_holds(value) for value in known]
    if quantifier == "ForAllValues":
        return all_of(results)  # sets: every value of the request
    return any_of(results)  # sets: at least one value of the request; a single-valued key has one


def null_holds(parts: re.Match[str], key: str, known: Known, wanted: list[Any], request: Request) -> Kleene:
    """operators, Null: `true` the key is absent, `false` it exists and its value is not null."""
    if parts.group(1) or parts.group(3) or any(item not in ("true", "false") for item in wanted):
        if not (parts.group(3) and not parts.group(1)):  # NullIfExists is not an operator: plainly unknown
            request.notes.add("Null with a set operator, or with a value that is neither true nor false")
        return None
    if known is UNKNOWN:
        return None
    if known in ([], [""]):
        request.notes.add("a key whose value is an empty set or an empty text")
    return any_of([(known is ABSENT) == (item == "true") for item in wanted])


def conditions_hold(condition: Document, request: Request, depends_on: set[str]) -> Kleene:
    """logic: all operators and all keys must hold."""
    result: Kleene = True
    if any(len({key.lower() for key in keys}) < len(keys) for keys in condition.values()):
        request.notes.add("a key twice under one operator")  # whatever the other conditions say: the policy has a fault
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            request.unknown_variables = set()
            holds = condition_holds(operator, key, texts(wanted), request)
            if holds is False:
                return False
            if holds is None:
                result = None
                depends_on |= request.unknown_variables or {key.lower()}
                if request.value_of(key.lower()) is UNKNOWN:
                    depends_on.add(key.lower())
    return result
