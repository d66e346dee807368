"""Writes what the fuzzers begin with into the folder fuzz/seeds, a folder for each target.

    python3 fuzz/seeds.py

It is made of what the repository has anyway: the events, the allowlists, the cases of key policies, and the recorded answers.
A structured target reads bytes as choices, so it begins with bytes from a fixed seed.
"""

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "fuzz" / "seeds"
STRUCTURED = ("events", "rules", "key_questions", "records")
LONGEST_NAME = 300


def main() -> None:
    events = [path.read_bytes() for path in sorted((ROOT / "events").glob("*.json"))]
    answers = json.loads((ROOT / "clients" / "examples.json").read_text())
    cases = json.loads((ROOT / "crates/key-policy/tests/data/key-policy-cases.json").read_text())
    settled = json.loads((ROOT / "python/ami_share_tools/differential/settled-cases.json").read_text())
    questions = [case for group in cases.values() for case in group] + settled
    allowlists = sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "demo").glob("*.yaml")])

    write("inbound", events + [compact(answer["body"]) for answer in answers if answer.get("body")])
    write("allowlist", [path.read_bytes() for path in allowlists])
    write("key_policy", [compact(case["policy"]) for case in questions] + [compact(case) for case in questions])
    names = {text for document in [*map(read, events), answers] for text in texts(document) if len(text) < LONGEST_NAME}
    write("names", [name.encode(errors="replace") for name in sorted(names)])
    source = random.Random(1)
    for target in STRUCTURED:
        write(target, [source.randbytes(source.choice((16, 64, 256))) for _ in range(300)])


def read(event: bytes) -> Any:
    try:
        return json.loads(event)
    except ValueError:
        return None


def compact(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def texts(document: Any) -> Iterator[str]:
    """Every text in a document, also those in a text that is JSON."""
    if isinstance(document, str):
        yield document
        if document.startswith("{"):
            yield from texts(read(document.encode()))
    elif isinstance(document, list):
        for item in document:
            yield from texts(item)
    elif isinstance(document, dict):
        for item in document.values():
            yield from texts(item)


def write(target: str, seeds: list[bytes]) -> None:
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


if __name__ == "__main__":
    main()
