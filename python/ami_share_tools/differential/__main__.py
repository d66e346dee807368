"""Asks the product and the evaluator the same made-up questions, and prints where they differ.

    python -m ami_share_tools.differential --questions 1000000 --seed 7 path/to/explain_key_policy
    python -m ami_share_tools.differential --questions 20000 --only-plain node simulate.mjs

With --only-plain come the questions that a simulator of requests can answer, too: nothing unknown, no grants, one
identity that asks. The evaluator is then compared with that simulator: of the kinds of differences that
third-opinion-cases.json has, only the number is printed.

Three outcomes: they agree; no page of AWS settles the question (the evaluator says why: open-questions.md); they
differ. A difference is made as small as it goes and printed, one for each kind.
"""

from __future__ import annotations

import argparse
import sys
import time

from ami_share_tools.differential.compare import Comparison, Kind, is_plain, kind_of, published_cases
from ami_share_tools.differential.faults import open_categories, third_opinions
from ami_share_tools.differential.generator import Generator
from ami_share_tools.differential.product import Product


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "command", nargs="+", help="the program that answers: the built example explain_key_policy, or a simulator"
    )
    parser.add_argument(
        "--only-plain", action="store_true", help="ask only questions without unknown values and grants"
    )
    parser.add_argument("--questions", type=int, default=100_000)
    parser.add_argument("--all-faults", action="store_true", help="also print differences that are known faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=40, help="how many kinds of differences to print")
    options = parser.parse_args()
    began = time.monotonic()
    with Product(options.command) as product:
        known = frozenset() if options.only_plain or options.all_faults else open_categories(product)
        comparison = Comparison(product, options.most, is_plain if options.only_plain else None, known)
        comparison.run(Generator(options.seed, published_cases()), options.questions)
        report(comparison, time.monotonic() - began)
        unlike_before = third_opinion(comparison) if options.only_plain else list(comparison.kinds.values())
    for kind in unlike_before:
        print(kind.described())
    return 1 if unlike_before else 0


def third_opinion(comparison: Comparison) -> list[Kind]:
    """Asks the simulator the cases that are kept. Returns its new verdicts on these, and the kinds that they don't have."""
    cases = [case for difference in third_opinions() for case in difference["cases"]]
    kept = {kind_of(case, case["expected"], case["iam_simulate"]) for case in cases}
    verdicts = [(case, str(comparison.product.ask(case).get("verdict"))) for case in cases]
    changed = [Kind(case, verdict, case["expected"]) for case, verdict in verdicts if verdict != case["iam_simulate"]]
    differ = {key: kind for key, kind in comparison.kinds.items() if key[0] != "error"}
    print(f"{len(cases)} cases are kept; the verdicts on {len(changed)} have changed")
    print(f"{len(differ)} kinds of differences, {len(differ.keys() & kept)} of them kept")
    return changed + [kind for key, kind in differ.items() if key not in kept]


def report(comparison: Comparison, seconds: float) -> None:
    asked = sum(comparison.counts.values())
    print(f"{asked} verdicts in {seconds:.0f} s, {asked / seconds:.0f} a second")
    for name, count in sorted(comparison.counts.items()):
        print(f"  {count:9d}  {name}")
    print("verdicts on which both agree: " + ", ".join(f"{n} {v}" for v, n in sorted(comparison.agreed.items())))
    if comparison.unsettled:
        print("not settled by a page, and how often the product answered otherwise than the evaluator:")
        for note, (count, other) in sorted(comparison.unsettled.items(), key=lambda entry: -entry[1][0]):
            print(f"  {count:9d} {other:9d}  {note}")


if __name__ == "__main__":
    sys.exit(main())
