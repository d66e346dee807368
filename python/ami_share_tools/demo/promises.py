"""What a scene promises, held against what happened."""

from ami_share_tools.document import Document


class NotAsPromised(Exception):
    """A scene did not show what it says."""


def expect(truth: object, promise: str) -> None:
    if not truth:
        raise NotAsPromised(promise)


def refused(status: int, outcome: Document, code: str, http: int) -> None:
    codes = [refusal["code"] for refusal in outcome.get("refusals", [])]
    expect((status, codes) == (http, [code]), f"a refusal {code} with {http} was promised, not {status} with {codes}")


def completed(status: int, outcome: Document, changed: bool) -> None:
    expect(
        (status, outcome.get("result")) == (200, "completed"),
        f"200 and completed were promised, not {status} and {outcome.get('result')}",
    )
    expect([image["changed"] for image in outcome["images"]] == [changed], f"changed: {changed} was promised")
