"""Asks the product and the evaluator the same made-up questions, and prints where they differ.

    python -m ami_share_tools.differential --questions 1000000 --seed 7 path/to/explain_key_policy
    python -m ami_share_tools.differential --questions 20000 --only-plain node simulate.mjs

With --only-plain come the questions that a simulator of requests can answer, too: nothing unknown, no grants, one
identity that asks. The evaluator is then compared with that simulator.

Three outcomes: they agree; no page of AWS settles the question (the evaluator says why: open-questions.md); they
differ. A difference is made as small as it goes and printed, one for each kind.
"""

from __future__ import annotations

import argparse
import sys
import time

from ami_share_tools.differential.compare import Comparison, is_plain, published_cases
from ami_share_tools.differential.faults import open_categories
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
    return 1 if comparison.kinds and not options.only_plain else 0


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
    for kind in comparison.kinds.values():
        print(kind.described())


if __name__ == "__main__":
    sys.exit(main())
