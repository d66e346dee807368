"""The cases that are kept, and which known faults of the product a question meets.

settled-cases.json has the cases that AWS's pages decide. As long as the product gets one of a category wrong, made-up
questions of that category are counted apart, so that other differences are seen. Nothing need be changed here when a
fault is mended: the category then counts like any other.
"""

from __future__ import annotations

import json
import pathlib

from ami_share_tools.differential.product import Product
from ami_share_tools.differential.request import is_carried, texts
from ami_share_tools.document import Document

SETTLED = pathlib.Path(__file__).with_name("settled-cases.json")
THIRD_OPINION = pathlib.Path(__file__).with_name("third-opinion-cases.json")


def settled_cases() -> list[Document]:
    return json.loads(SETTLED.read_text())


def third_opinions() -> list[Document]:
    """Where iam-simulate differs: each difference with what AWS's page says, and its cases."""
    return json.loads(THIRD_OPINION.read_text())


def is_right(case: Document, verdict: str | None) -> bool:
    return verdict in (case["expected"], case.get("kleene"))


def open_categories(product: Product) -> set[str]:
    """The categories in which the product gets a settled case wrong."""
    return {case["category"] for case in settled_cases() if not is_right(case, product.ask(case).get("verdict"))}


def categories(question: Document, action: str) -> set[str]:
    """The categories that a question belongs to."""
    who, statements = question["principal"], question["policy"]["Statement"]
    found = set()
    if ":assumed-role/" in (who["arn"] or "") and "principal_role_arn" not in question:
        found.add("session")
    if "" in question["context"].values():
        found.add("condition")
    for statement in statements if isinstance(statements, list) else [statements]:
        if "NotPrincipal" in statement:
            found.add("notprincipal")
        patterns = texts(statement.get("Resource", [])) + texts(statement.get("NotResource", []))
        if any("*" in pattern and pattern != "*" and pattern.count(":") < 5 for pattern in patterns):
            found.add("resource")
        keys = [key.lower() for by_key in statement.get("Condition", {}).values() for key in by_key]
        has_variable = "${" in json.dumps(statement.get("Condition", ""))
        if has_variable or not all(is_carried(key, action[4:]) for key in keys):
            found.add("applicability")
    return found
