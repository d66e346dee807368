"""Questions about key policies: made up from parts that nearly fit each other, or mutated from published cases.

Everything comes from one seeded random source, so that a seed and a number name a question.
"""

import json
from collections.abc import Iterator, Sequence

from ami_share_tools.differential.maker import Maker
from ami_share_tools.differential.request import Question, is_carried
from ami_share_tools.differential.vocabulary import ACTIONS, LAUNCH
from ami_share_tools.document import Document


class Generator(Maker):
    def __init__(self, seed: int, cases: Sequence[str] = ()) -> None:
        super().__init__(seed)
        self.cases = cases

    def questions(self) -> Iterator[Question]:
        """A few questions about one policy, as `explain_key_policy` reads them."""
        question = self.mutated() if self.cases and self.chance(0.25) else self.made()
        yield self.possible(question)
        for _ in range(7):
            other = question | {"context_mode": self.pick(("open", "closed"))}
            if self.chance(0.3):
                other["needed_actions"] = list(self.pick((LAUNCH, ACTIONS)))
                other.pop("action", None)
            elif self.chance(0.6) and "action" in other:
                other["action"] = self.pick(ACTIONS)
            if self.chance(0.6):
                self.other_principal(other)
            if self.chance(0.5):
                other["context"] = self.context(other["policy"])
            yield self.possible(other)

    def possible(self, question: Question) -> Question:
        """Without what no request of the action carries. What only CreateGrant carries stays beside other actions."""
        actions = question.get("needed_actions") or [question["action"]]
        context = {
            key: value
            for key, value in question["context"].items()
            if all(is_carried(key.lower(), action[4:]) for action in actions)
            or ("kms:CreateGrant" in actions and is_carried(key.lower(), "CreateGrant"))
        }
        return question | {"context": context}

    def mutated(self) -> Question:
        case = json.loads(self.pick(self.cases))
        for _ in range(self.pick((1, 1, 2, 3))):
            self.pick(
                (
                    self.other_mode,
                    self.other_principal,
                    self.other_action,
                    self.other_context,
                    self.another_statement,
                    self.without_statement,
                    self.flipped,
                    self.other_condition,
                    self.without_condition,
                    self.other_version,
                    self.a_grant,
                    self.other_element,
                    self.respelled,
                )
            )(case)
        return case

    def statements(self, case: Question) -> list[Document]:
        statements = case["policy"].get("Statement") or []
        return statements if isinstance(statements, list) else [statements]

    def other_mode(self, case: Question) -> None:
        case["context_mode"] = self.pick(("open", "closed"))

    def other_action(self, case: Question) -> None:
        case.pop("needed_actions", None)
        case["action"] = self.pick(ACTIONS)

    def other_context(self, case: Question) -> None:
        given = {key.lower() for key in case["context"]}
        if case["context"] and self.chance(0.5):
            del case["context"][self.pick(list(case["context"]))]
        else:
            case["context"].update({key: value for key, value in self.context().items() if key.lower() not in given})

    def another_statement(self, case: Question) -> None:
        case["policy"]["Statement"] = [*self.statements(case), self.statement(case)]

    def without_statement(self, case: Question) -> None:
        statements = self.statements(case)
        if len(statements) > 1:
            del statements[self.random.randrange(len(statements))]

    def flipped(self, case: Question) -> None:
        for statement in self.statements(case)[:1]:
            statement["Effect"] = "Deny" if statement.get("Effect") == "Allow" else "Allow"

    def other_condition(self, case: Question) -> None:
        for statement in self.statements(case):
            if self.chance(0.5):
                operator, key, values = self.condition(case)
                statement.setdefault("Condition", {}).setdefault(operator, {})[key] = values

    def without_condition(self, case: Question) -> None:
        for statement in self.statements(case):
            statement.pop("Condition", None)

    def other_version(self, case: Question) -> None:
        case["policy"]["Version"] = self.pick(("2012-10-17", "2008-10-17"))

    def a_grant(self, case: Question) -> None:
        case["grants"] = (case.get("grants") or []) + [self.grant()]

    def other_element(self, case: Question) -> None:
        for statement in self.statements(case)[-1:]:
            name = self.pick(("Principal", "Action", "Resource"))
            for element in (name, "Not" + name):
                statement.pop(element, None)
            made = self.statement(case)
            statement.update({element: made[element] for element in (name, "Not" + name) if element in made})

    def respelled(self, case: Question) -> None:
        """IfExists and set operators where there were none, and the other way round."""
        for statement in self.statements(case):
            for operator in list(statement.get("Condition") or ()):
                keys = statement["Condition"].pop(operator)
                plain = operator.rpartition(":")[2]
                other = self.pick(
                    (
                        operator.removesuffix("IfExists"),
                        operator if "IfExists" in operator or operator == "Null" else operator + "IfExists",
                        "ForAnyValue:" + plain,
                        "ForAllValues:" + plain,
                        operator.replace("Equals", "NotEquals") if "Not" not in operator else operator,
                    )
                )
                statement["Condition"].setdefault(other, {}).update(keys)
