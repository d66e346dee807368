"""The code blocks of a page of docs/, which tests and the playground run as they stand there."""

import re

from ami_share_tools.repository import ROOT


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
