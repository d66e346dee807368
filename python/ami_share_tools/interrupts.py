"""Ctrl-C and other signals that end a program in good order."""

import signal


def raise_keyboard_interrupt(*numbers: signal.Signals) -> None:
    """Make signals a KeyboardInterrupt, whatever the shell that started us ignores; SIGINT and SIGTERM always are."""
    for number in (signal.SIGINT, signal.SIGTERM, *numbers):
        signal.signal(number, signal.default_int_handler)
