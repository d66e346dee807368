"""The evaluator against AWS's worked cases, and the product against the evaluator: a few thousand questions, seconds.

`make differential N=1000000` asks more.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import unittest
from pathlib import Path

from ami_share_tools.conformance.policies import POLICIES
from ami_share_tools.differential import compare, completions, evaluator, faults, launch
from ami_share_tools.differential.generator import Generator
from ami_share_tools.differential.operators import OPERATORS
from ami_share_tools.differential.product import Product
from ami_share_tools.repository import CASES, ROOT
from tests.conformance.test_conformance import Judge

FIELD_CASES = Path(compare.__file__).with_name("field-cases.json")
README = Path(compare.__file__).with_name("README.md")
QUESTIONS = 4000

# The categories of settled cases that the product still gets wrong.
KNOWN_FAULTS: set[str] = set()


binary: Path


def setUpModule() -> None:
    global binary
    build = "cargo build --quiet --locked --example explain_key_policy"
    subprocess.run(build.split(), cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = target / "debug" / "examples" / "explain_key_policy"


class TheEvaluator(unittest.TestCase):
    def test_gives_each_worked_case_its_documented_verdict(self) -> None:
        for cases in json.loads(CASES.read_text()).values():
            for case in cases:
                if case.get("ambiguous"):
                    continue
                with self.subTest(case["name"]):
                    verdict, per_action = evaluator.judge(case)
                    self.assertIn(verdict, (case["expected"], case.get("kleene")))
                    for action, expected in case.get("per_action", {}).items():
                        self.assertEqual(per_action[action].verdict, expected, action)
                    if "depends_on" in case:
                        depends_on = set().union(*(one.depends_on for one in per_action.values()))
                        self.assertEqual(depends_on, {key.lower() for key in case["depends_on"]})

    def test_gives_policies_from_the_field_the_verdict_of_the_documentation(self) -> None:
        for case in json.loads(FIELD_CASES.read_text())["cases"]:
            with self.subTest(case["name"]):
                verdict = launch.worst(evaluator.judge(question)[0] for question in launch.questions(case))
                self.assertEqual(verdict, launch.expected(case))

    def test_gives_each_settled_case_its_verdict(self) -> None:
        for case in faults.settled_cases():
            with self.subTest(case["name"]):
                self.assertTrue(faults.is_right(case, evaluator.judge(case)[0]))

    def test_gives_each_case_of_the_third_opinion_the_verdict_that_is_kept(self) -> None:
        for difference in faults.third_opinions():
            for case in difference["cases"]:
                with self.subTest(difference["difference"], case=json.dumps(case)):
                    own = evaluator.judge_action(case, case["action"])
                    self.assertEqual((own.verdict, own.notes), (case["expected"], set()))
                    self.assertNotEqual(case["iam_simulate"], case["expected"])

    def test_counts_a_settled_verdict_that_is_surer_than_its_own_as_the_same(self) -> None:
        surer = [case for case in faults.settled_cases() if "kleene" in case]
        self.assertGreater(len(surer), 3)
        for case in surer:
            with self.subTest(case["name"]):
                self.assertTrue(completions.is_sure(case, case["action"], case["kleene"], case["expected"]))
                self.assertFalse(completions.is_sure(case, case["action"], case["kleene"], "nothing"))

    def test_is_as_sure_of_a_complete_question_as_of_the_one_it_completes(self) -> None:
        generator = Generator(4)
        for _ in range(60):
            for question in generator.questions():
                question = compare.one_action(question, (question.get("needed_actions") or [question.get("action")])[0])
                for action, own in compare.judged(question).items():
                    if own.notes or own.verdict == "conditional" or "session" in faults.categories(question, action):
                        continue  # a role is taken to be the one of a session's name, whatever its path
                    verdicts = completions.entailed(question, action, most=60)
                    expected = {own.verdict} if own.verdict != "implicit-deny" else {"implicit-deny", "denied"}
                    self.assertLessEqual(verdicts, expected, json.dumps(question))


class TheThirdOpinion(unittest.TestCase):
    def test_differs_in_what_the_table_says_with_a_case_of_each(self) -> None:
        table = re.sub(r"\[(.+?)\]\(.+?\)", r"\1", README.read_text().partition("| iam-simulate | the page |")[2])
        rows = re.findall(r"^\| (.+) \| (.+) \|$", table, re.MULTILINE)
        kept = faults.third_opinions()
        self.assertEqual(rows, [(difference["difference"], difference["page"]) for difference in kept])
        self.assertTrue(all(difference["cases"] for difference in kept))
        left_open = {page.split("`")[1] for _, page in rows if page.startswith("open: ")}
        self.assertLessEqual(left_open, {policies.name for policies in POLICIES})


class TheGenerator(unittest.TestCase):
    def test_makes_every_operator_alone_with_if_exists_and_on_sets_and_with_variables(self) -> None:
        generator = Generator(1)
        question = generator.made()
        conditions = [generator.condition(question) for _ in range(40_000)]
        made = {operator for operator, _, _ in conditions}
        for name in OPERATORS:
            for prefix in ("", "ForAnyValue:", "ForAllValues:"):
                self.assertLessEqual({prefix + name, prefix + name + "IfExists"}, made)
        self.assertIn("Null", made)
        with_variables = {operator for operator, _, values in conditions if "${" in json.dumps(values)}
        self.assertLessEqual({name for name in OPERATORS if name.startswith(("String", "Arn"))}, with_variables)

    def test_makes_every_element_and_every_kind_of_caller_and_constraint(self) -> None:
        generator = Generator(1)
        found: set[str] = set()
        for _ in range(600):
            question = generator.made()
            statements = question["policy"]["Statement"]
            for statement in statements if isinstance(statements, list) else [statements]:
                found.update(statement)
            who = question["principal"]
            arn = who["arn"] or ""
            found.add("service" if arn.endswith(".amazonaws.com") else arn.rpartition(":")[2].partition("/")[0])
            found.add("account" if who["account"] and not arn else "organization" if not arn else "identity")
            found.update(name for grant in question.get("grants", []) for name in grant.get("Constraints", {}))
        callers = {"account", "organization", "service", "role", "user", "assumed-role", "federated-user", "root"}
        self.assertLessEqual(callers, found)
        self.assertLessEqual({"NotPrincipal", "NotAction", "NotResource", "Condition"}, found)
        self.assertLessEqual({"EncryptionContextSubset", "EncryptionContextEquals", "SourceArn"}, found)


class TheProduct(unittest.TestCase):
    def test_answers_what_the_checks_of_conformance_expect_of_aws(self) -> None:
        answers = {
            "allowed": ["accepted"],
            "conditional": ["accepted", "AccessDeniedException"],
            "implicit-deny": ["AccessDeniedException"],
        }
        with Product([binary]) as product:
            for policies in POLICIES:
                with self.subTest(policies.name):
                    judge = Judge()
                    policies.ask(judge)  # type: ignore[arg-type]
                    verdicts = [product.ask(question)["verdict"] for question in judge.questions]
                    if policies.expected is None:
                        self.assertIn("conditional", verdicts)
                        continue
                    could_be = {", ".join(those) for those in itertools.product(*(answers[one] for one in verdicts))}
                    self.assertLessEqual(could_be, set(policies.expected.split(" or ")))

    def test_gives_each_settled_case_its_verdict(self) -> None:
        with Product([binary]) as product:
            for case in faults.settled_cases():
                verdict = product.ask(case).get("verdict")
                with self.subTest(case["name"]):
                    self.assertTrue(
                        faults.is_right(case, verdict) or case["category"] in KNOWN_FAULTS,
                        f"{verdict}, but {case['expected']}: {case['why']} ({case['source']})",
                    )

    def test_gives_each_case_of_the_third_opinion_the_verdict_that_is_kept(self) -> None:
        with Product([binary]) as product:
            for difference in faults.third_opinions():
                for case in difference["cases"]:
                    with self.subTest(difference["difference"], case=json.dumps(case)):
                        self.assertEqual(product.ask(case).get("verdict"), case["expected"])

    def test_gives_policies_from_the_field_the_verdict_of_the_documentation(self) -> None:
        with Product([binary]) as product:
            known = faults.open_categories(product)
            for case in json.loads(FIELD_CASES.read_text())["cases"]:
                asked = list(launch.questions(case))
                verdict = launch.worst(product.ask(question)["verdict"] for question in asked)
                is_known = any(faults.categories(question, question["action"]) & known for question in asked)
                with self.subTest(case["name"]):
                    self.assertTrue(verdict == launch.expected(case) or is_known, f"{verdict}: {case['why']}")

    def test_agrees_with_the_evaluator_on_made_up_questions(self) -> None:
        with Product([binary]) as product:
            comparison = compare.Comparison(product, most=5, known_faults=faults.open_categories(product))
            comparison.run(Generator(2026, compare.published_cases()), QUESTIONS)
        self.assertEqual([], [kind.described() for kind in comparison.kinds.values()])
        self.assertGreater(comparison.counts["agree"], QUESTIONS)


if __name__ == "__main__":
    unittest.main()
