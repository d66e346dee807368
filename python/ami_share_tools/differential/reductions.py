"""Every question that is one part smaller than a question."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

from ami_share_tools.differential.request import Question
from ami_share_tools.document import Document


def reductions(question: Question) -> Iterator[Question]:
    """Every question that is one part smaller."""
    statements = question["policy"]["Statement"]
    if isinstance(statements, dict):
        yield changed(question, lambda q: q["policy"].update(Statement=[statements]))
        return
    for at in range(len(statements)):
        yield changed(question, lambda q: q["policy"]["Statement"].pop(at))
    for at in range(len(question.get("grants") or ())):
        yield changed(question, lambda q: q["grants"].pop(at))
    if not question.get("grants") and "grants" in question:
        yield changed(question, lambda q: q.pop("grants"))
    for key in question["context"]:
        yield changed(question, lambda q: q["context"].pop(key))
    if question["policy"].get("Version") != "2012-10-17":
        yield changed(question, lambda q: q["policy"].update(Version="2012-10-17"))
    for at in range(len(statements)):
        for smaller in smaller_statements(statements[at]):
            yield changed(question, lambda q: q["policy"]["Statement"].__setitem__(at, smaller))
    who = question["principal"]
    if who.get("account") and (who["org_id"], who["org_paths"]) != (None, []):
        yield changed(question, lambda q: q["principal"].update(org_id=None, org_paths=[]))
    for at, grant in enumerate(question.get("grants") or ()):
        if "Constraints" in grant:
            yield changed(question, lambda q: q["grants"][at].pop("Constraints"))
        if len(grant["Operations"]) > 1:
            yield changed(question, lambda q: q["grants"][at].update(Operations=[q["action"][4:]]))


def smaller_statements(statement: Document) -> Iterator[Document]:
    condition = statement.get("Condition", {})
    for operator, keys in condition.items():
        yield statement | {"Condition": without(condition, operator)}
        for key in keys if len(keys) > 1 else ():
            yield statement | {"Condition": condition | {operator: without(keys, key)}}
        for key, values in keys.items():
            for item in values if isinstance(values, list) else ():
                yield statement | {"Condition": condition | {operator: keys | {key: item}}}
    if "Condition" in statement and not condition:
        yield without(statement, "Condition")
    for element, simple in (("Principal", "*"), ("Action", "kms:*"), ("Resource", "*")):
        if statement.get(element) != simple:
            yield without(statement, "Not" + element) | {element: simple}
    for element in ("Action", "NotAction", "Resource", "NotResource"):
        for item in statement[element] if isinstance(statement.get(element), list) else ():
            yield statement | {element: item}
    for element in ("Principal", "NotPrincipal"):
        listed = statement.get(element)
        if not isinstance(listed, dict):
            continue
        for kind, items in listed.items():
            if len(listed) > 1:
                yield statement | {element: {kind: items}}
            for item in items if isinstance(items, list) else ():
                less = [other for other in items if other != item] or [item]
                yield statement | {element: listed | {kind: less[0] if len(less) == 1 else less}}


def without(mapping: Document, key: str) -> Document:
    return {other: value for other, value in mapping.items() if other != key}


def changed(question: Question, change: Callable[[Question], Any]) -> Question:
    question = copy.deepcopy(question)
    change(question)
    return question
