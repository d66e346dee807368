"""Three-valued logic (Kleene): `True`, `False`, and `None` for what is not known."""

from collections.abc import Iterable

Kleene = bool | None


def all_of(values: Iterable[Kleene]) -> Kleene:
    result: Kleene = True
    for value in values:
        if value is False:
            return False
        if value is None:
            result = None
    return result


def any_of(values: Iterable[Kleene]) -> Kleene:
    result: Kleene = False
    for value in values:
        if value is True:
            return True
        if value is None:
            result = None
    return result


def negate(value: Kleene) -> Kleene:
    return None if value is None else not value
