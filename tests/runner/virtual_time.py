"""A clock that jumps: runs of minutes take milliseconds, exactly as they would have gone."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

BEGAN_AT = 1000.0
"""Where the clock begins: a real one does not begin with the run either."""


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    def __init__(self) -> None:
        super().__init__()
        self.now = BEGAN_AT

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is going to happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while nothing is to be done."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def elapsed_s(loop: asyncio.AbstractEventLoop | None = None) -> float:
    """Seconds since the clock of a virtual loop began; None: the running one."""
    return (loop or asyncio.get_running_loop()).time() - BEGAN_AT


class LoopTime:
    """The clock and the sleep of the running loop, for whoever wants to be given them."""

    def clock(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtually(main: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """What a coroutine gives, and how many seconds it would have taken."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main), elapsed_s(runner.get_loop())
