"""Ctrl-C, and the polite request of a scheduler to end. Knows no run: it tells whoever asked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def on_interrupt(tell: Callable[[str], object]) -> Iterator[None]:
    """Calls `tell("SIGINT")` or `tell("SIGTERM")` from the event loop at the first such signal; a second one kills the
    process at once, also where a user's code has kept the loop from its turn. Ignored signals stay ignored.

    In another thread than the main one nothing is watched: there Ctrl-C is not for this run.
    """
    loop = asyncio.get_running_loop()
    before: dict[signal.Signals, Any] = {}

    def first(number: int, frame: object) -> None:
        # Not the loop's own handler, which would wait for the loop, too.
        for other in before:
            signal.signal(other, signal.SIG_DFL)
        loop.call_soon_threadsafe(tell, signal.Signals(number).name)

    for number in (signal.SIGINT, signal.SIGTERM):
        previous = signal.getsignal(number)
        if previous is signal.SIG_IGN:
            continue
        try:
            signal.signal(number, first)
        except ValueError:
            continue
        before[number] = previous
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous if previous is not None else signal.SIG_DFL)


@contextlib.contextmanager
def ended_politely() -> Iterator[None]:
    """SIGTERM inside is a KeyboardInterrupt, as Ctrl-C is one: whoever is asked to end can still say how to go on.

    Where the process does something else at SIGTERM already, or this is not its main thread, that stays.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
