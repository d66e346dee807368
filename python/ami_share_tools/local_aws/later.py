"""What EC2 and Systems Manager finish after their answer: when a test says so, or by themselves after some time."""

import asyncio
from collections.abc import Callable


def after(seconds: float | None, work: Callable[[], object]) -> None:
    """Do it after so many seconds; never, if the setting names none."""
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, work)
