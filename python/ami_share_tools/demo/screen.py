"""What a person sees: sections, requests, outcomes. Colour only on a terminal."""

import json
import os
import sys
import textwrap
from http import HTTPStatus
from itertools import groupby
from typing import Any

from ami_share_tools.document import Document

COLOURS = {"bold": "1", "dim": "2", "green": "32", "yellow": "33", "red": "31", "cyan": "36"}
TONES = {
    "completed": "green",
    "planned": "cyan",
    "accepted": "cyan",
    "refused": "yellow",
    "incomplete": "red",
    "failed": "red",
}
LABEL, WIDTH = 16, 100


def paint(text: object, *names: str) -> str:
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return str(text)
    return f"\033[{';'.join(COLOURS[n] for n in names)}m{text}\033[0m"


def say(text: str = "") -> None:
    print(text, flush=True)


def section(title: str, story: str = "") -> None:
    say()
    say(paint(f"── {title} " + "─" * max(3, WIDTH - len(title) - 4), "bold"))
    for line in textwrap.wrap(story, WIDTH - 3):
        say("   " + paint(line, "dim"))


def fact(label: str, value: object, *tone: str) -> None:
    """One aligned line; a value that needs more lines goes on under its first."""
    words, *exact = str(value).split("\n")
    first, *more = textwrap.wrap(words, WIDTH - LABEL - 5, break_long_words=False, break_on_hyphens=False) or [""]
    more += exact
    say(f"     {paint(f'{label:<{LABEL}}', 'dim')}{paint(first, *tone)}")
    for line in more:
        say(" " * (LABEL + 5) + paint(line, *tone))


def request(who: str, what: str, body: Any = None) -> None:
    say()
    say(f"   {paint('→', 'cyan')} {paint(what, 'bold')}")
    fact("caller", who)
    if body is not None:
        fact("body", json.dumps(body))


def answer(status: int, outcome: Document) -> None:
    """An HTTP answer with an outcome document, or a problem that carries one."""
    say()
    tone = TONES.get(outcome.get("result", ""), "red")
    words = [f"{status} {HTTPStatus(status).phrase}", outcome.get("result", "")]
    if outcome.get("action") in ("share", "revoke", "reset") and outcome["result"] in ("completed", "planned"):
        changes = any(image["changed"] for image in outcome["images"])
        words.append(f"changed: {'true' if changes else 'false'}")
    say(f"   {paint('←', tone)} {paint(' · '.join(filter(None, words)), 'bold', tone)}")
    for image in outcome.get("images", []):
        show_image(image)
    for finding in outcome.get("findings", []):
        fact("finding", f"{finding['code']}: {finding['message']}", "yellow")
        fact("remedy", readable(finding["remedy"]))
    for refusal in outcome.get("refusals", []):
        fact("refusal", f"{refusal['code']}: {refusal['message']}", "yellow")
        if refusal.get("remedy"):
            fact("remedy", readable(refusal["remedy"]))
    for error in outcome.get("errors", []):
        fact("error", f"{error['code']}: {error['message']}", "red")
    for warning in outcome.get("warnings", []):
        fact("warning", warning, "yellow")
    if "result" not in outcome:
        fact("message", outcome.get("detail") or outcome.get("message") or json.dumps(outcome))


def show_image(image: Document) -> None:
    fact("image", f"{image.get('name') or ''} {image['imageId']}".strip())
    if image.get("rule"):
        fact("rule", image["rule"])
    for (call, state), group in groupby(image.get("steps", []), lambda step: (step["call"], step["state"])):
        steps = list(group)
        changes = {
            verb: dict.fromkeys(who for step in steps for who in step.get(verb, [])) for verb in ("add", "remove")
        }
        words = [f"{verb} {', '.join(whom)}" for verb, whom in changes.items() if whom]
        fact("step" if len(steps) == 1 else f"{len(steps)} steps", " ".join([call, *words, "→", state]))
    for target in image.get("targets", []):
        fact("target", " ".join(filter(None, [target["target"], target["state"], target.get("detail")])))
    for entry in image.get("usage", {}).get("entries", []):
        fact("usage", f"{entry['accountId'] or 'other accounts'}: {entry['count']} {entry['resourceType']}")
    for key in image.get("keys", []):
        because = ", ".join(map(reason, key.get("because", [])))
        fact(
            "key",
            f"…/{key['keyArn'].rsplit('/')[-1][-12:]} for {key['target']}: {key['verdict']}"
            + (f" by {because}" if because else ""),
        )


def reason(because: Document) -> str:
    """A key policy statement or a grant that decided."""
    if "grantId" in because:
        return "a grant"
    return because.get("sid") or f"statement {because['index']}"


def launch_permissions(entries: list[dict[str, str]]) -> None:
    """What EC2 itself reports, asked without the function."""
    fact(
        "EC2 now says",
        "launch permission for " + ", ".join(v for e in entries for v in e.values())
        if entries
        else "launch permission for nobody but the owner",
        "bold",
    )


def snapshot_permissions(snapshot: str, entries: list[dict[str, str]]) -> None:
    fact(
        "",
        f"create volume permission on {snapshot} for "
        + (", ".join(v for e in entries for v in e.values()) or "nobody but the owner"),
        "bold",
    )


def readable(remedy: str) -> str:
    """A remedy is a sentence; key policy statements at its end are set out over lines."""
    sentence, bracket, statements = remedy.partition("[{")
    try:
        return sentence.rstrip() + "\n" + ",\n".join(map(statement_lines, json.loads(bracket + statements)))
    except ValueError:  # no statements
        return remedy


def statement_lines(statement: Document) -> str:
    """A policy statement, a member a line, in the order AWS's documentation has them."""
    order = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"]
    members = sorted(statement, key=lambda name: order.index(name) if name in order else len(order))
    lines = [f'"{name}": {json.dumps(statement[name])}' for name in members]
    wrapped = [textwrap.wrap(line, WIDTH - LABEL - 8, subsequent_indent="   ") for line in lines]
    return "{" + ",\n ".join("\n ".join(part) for part in wrapped) + "}"
