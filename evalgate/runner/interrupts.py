"""Ctrl-C, and the polite request of a scheduler to end. Knows no run: it tells whoever asked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def on_interrupt(tell: Callable[[str], object]) -> Iterator[None]:
    """Calls `tell("SIGINT")` or `tell("SIGTERM")` from the event loop at the first such signal; a second one kills the
    process at once. Ignored signals stay ignored.

    Where the loop cannot watch signals (Windows, a thread) Ctrl-C cancels the run instead, as asyncio does it.
    """
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}

    def first(number: signal.Signals) -> None:
        for other in before:
            loop.remove_signal_handler(other)
            signal.signal(other, signal.SIG_DFL)
        tell(number.name)

    for number in (signal.SIGINT, signal.SIGTERM):
        previous = signal.getsignal(number)
        if previous is signal.SIG_IGN:
            continue
        try:
            loop.add_signal_handler(number, first, number)
        except (NotImplementedError, RuntimeError, ValueError):
            continue
        before[number] = previous
    try:
        yield
    finally:
        for number, previous in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, previous if previous is not None else signal.SIG_DFL)
