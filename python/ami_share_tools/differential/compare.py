"""Compares verdicts, decides which differences count, and makes each as small as it goes."""

import collections
import copy
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Set
from typing import Any

from ami_share_tools.differential import evaluator, faults
from ami_share_tools.differential.completions import is_sure
from ami_share_tools.differential.evaluator import Answer
from ami_share_tools.differential.generator import Generator
from ami_share_tools.differential.product import Product
from ami_share_tools.differential.reductions import reductions
from ami_share_tools.differential.request import Question
from ami_share_tools.document import Document
from ami_share_tools.repository import CASES

BATCH = 1200
ASKED = (
    "policy",
    "grants",
    "principal",
    "principal_role_arn",
    "action",
    "needed_actions",
    "resource",
    "context_mode",
    "context",
)


def published_cases() -> list[str]:
    """The worked cases of the documentation, each as the JSON of its question."""
    return [
        json.dumps({name: case[name] for name in ASKED if name in case})
        for cases in json.loads(CASES.read_text()).values()
        for case in cases
        if not case.get("ambiguous")
    ]


class Kind:
    """One kind of difference: its smallest question and how often it came up."""

    def __init__(self, question: Question, product: str, own: str) -> None:
        self.question, self.product, self.evaluator, self.times = question, product, own, 1

    def described(self) -> str:
        return json.dumps({"times": self.times, "product": self.product, "evaluator": self.evaluator} | self.question)


class Comparison:
    def __init__(
        self,
        product: Product,
        most: int = 40,
        is_wanted: Callable[[Question], bool] | None = None,
        known_faults: Set[str] = frozenset(),
    ) -> None:
        self.product, self.most, self.is_wanted, self.known_faults = product, most, is_wanted, known_faults
        self.counts: Counter[str] = collections.Counter()
        self.agreed: Counter[str] = collections.Counter()
        self.unsettled: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0])
        self.kinds: dict[tuple[Any, ...], Kind] = {}
        self.seen: Counter[tuple[Any, ...]] = collections.Counter()
        self.rough: list[tuple[Question, str, str, str]] = []

    def run(self, generator: Generator, count: int) -> None:
        every = (question for _ in itertools.count() for question in generator.questions())
        made = itertools.islice(filter(self.is_wanted, every) if self.is_wanted else every, count)
        waiting = None
        while batch := list(itertools.islice(made, BATCH)):
            started = self.product.start([json.dumps(question) for question in batch])
            if waiting:
                self.compare(*waiting)
            own = [judged(question) for question in batch]
            waiting = batch, own, self.product.finish(started)
        if waiting:
            self.compare(*waiting)
        for found in self.rough:  # only now: the product answers in order, and the batches come first
            self.shrink(*found)

    def compare(self, batch: list[Question], own: list[dict[str, Answer]], answers: list[Document]) -> None:
        for question, mine, answer in zip(batch, own, answers):
            if "error" in answer:
                self.counts["could not be read"] += 1
                self.kinds.setdefault(("error", str(answer["error"])), Kind(question, str(answer), ""))
                continue
            for action, one in mine.items():
                self.compare_action(question, action, one, answer["per_action"][action])
            if (
                "action" in question
                and depends_otherwise(question, one, answer)
                and not (self.known_faults and faults.categories(question, action) & self.known_faults)
            ):
                self.counts["differ in what it depends on"] += 1
                self.differ(question, action, one.verdict, answer["verdict"])

    def compare_action(self, question: Question, action: str, own: Answer, verdict: str) -> None:
        if own.notes:
            self.counts["not settled by a page"] += 1
            for note in own.notes:
                self.unsettled[note][0] += 1
                self.unsettled[note][1] += verdict != own.verdict
        elif verdict == own.verdict:
            self.counts["agree"] += 1
            self.agreed[verdict] += 1
        elif is_sure(question, action, own.verdict, verdict):
            self.counts["agree: surely so whatever the unknown keys are"] += 1
        elif self.known_faults and faults.categories(question, action) & self.known_faults:
            self.counts["differ as settled cases do: a known fault"] += 1
        else:
            self.counts["differ"] += 1
            self.differ(question, action, own.verdict, verdict)

    def differ(self, question: Question, action: str, own: str, verdict: str) -> None:
        rough = (own, verdict, shape(question))
        self.seen[rough] += 1
        if self.seen[rough] == 1 and len(self.rough) < 20 * self.most:
            self.rough.append((question, action, own, verdict))

    def shrink(self, question: Question, action: str, own: str, verdict: str) -> None:
        if len(self.kinds) >= self.most:
            return
        small = self.smallest(one_action(question, action), own, verdict)
        kind = kind_of(small, own, verdict)
        if kind in self.kinds:
            self.kinds[kind].times += 1
        else:
            self.kinds[kind] = Kind(small, verdict, own)

    def still_differs(self, question: Question, own: str, verdict: str) -> bool:
        mine = evaluator.judge_action(question, question["action"])
        if mine.notes or mine.verdict != own:
            return False
        if own == verdict:
            return depends_otherwise(question, mine, self.product.ask(question))
        if is_sure(question, question["action"], own, verdict):
            return False
        return self.product.ask(question).get("verdict") == verdict

    def smallest(self, question: Question, own: str, verdict: str) -> Question:
        shrinking = True
        while shrinking:
            shrinking = False
            for smaller in reductions(question):
                if self.still_differs(smaller, own, verdict):
                    question, shrinking = smaller, True
                    break
        return question


def is_plain(question: Question) -> bool:
    """Whether nothing about the request is unknown, one identity asks, and no grant plays a part."""
    who = question["principal"]
    return (
        question["context_mode"] == "closed"
        and not question.get("grants")
        and "action" in question
        and who["arn"] is not None
        and who["arn"].startswith("arn:")
        and "unknown" not in (who["org_id"], who["org_paths"])
        and (":assumed-role/" not in who["arn"] or "principal_role_arn" in question)
    )


def depends_otherwise(question: Question, own: Answer, answer: Document) -> bool:
    """Whether both say "conditional", but on other keys."""
    if own.notes or not own.verdict == answer.get("verdict") == "conditional":
        return False
    if not question["principal"].get("account"):
        return False  # of an organization's accounts the product knows more than the logic does
    if "${" in json.dumps(question["policy"]) or "session" in faults.categories(question, question["action"]):
        return False  # where key and variable are both unknown, either will do; of a session's role much is known
    return own.depends_on != {key.lower() for key in answer["depends_on"]}


def judged(question: Question) -> dict[str, Answer]:
    actions = question.get("needed_actions") or [question["action"]]
    return {action: evaluator.judge_action(question, action) for action in actions}


def one_action(question: Question, action: str) -> Question:
    question = copy.deepcopy(question)
    question.pop("needed_actions", None)
    return question | {"action": action}


def kind_of(question: Question, own: str, verdict: str) -> tuple[Any, ...]:
    return own, verdict, shape(question)


def shape(question: Question) -> tuple[tuple[str, ...], bool]:
    """What makes two differences the same kind: the operators and keys, and how a principal is named."""
    statements = question["policy"]["Statement"]
    parts: set[Any] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        for operator, keys in statement.get("Condition", {}).items():
            parts.update((operator, key.lower()) for key in keys)
        parts.update(element for element in ("NotPrincipal", "NotAction", "NotResource") if element in statement)
        parts.update(
            re.findall(
                r":(role|user|assumed-role|federated-user|group)/",
                json.dumps(statement.get("Principal") or statement.get("NotPrincipal") or ""),
            )
        )
    return tuple(sorted(map(str, parts))), bool(question.get("grants"))
