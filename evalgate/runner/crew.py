"""Workers that draw from one queue of work. Knows no work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

MOST_TASKS = 4
"""Tasks for each worker that the crew is to have: beyond that, nobody stands in."""


class Crew:
    """As many workers at work as there should be: one that has to wait for long has a stand-in meanwhile.

    Without stand-ins a hundred refused calls that are told to wait a second each hold up everything else.
    """

    def __init__(self, size: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """work: what each worker does until there is nothing left; it asks `lets_go` between two pieces."""
        self._size = size
        self._work = work
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work = 0
        self._over: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Until every worker has come to its end. Raises what one of them raised, after cancelling the others."""
        if self._size < 1:
            return
        self._over = asyncio.get_running_loop().create_future()
        for _ in range(self._size):
            self._hire()
        try:
            await self._over
        finally:  # also when this task itself is cancelled
            left = tuple(self._tasks)
            self.cancel()
            if left:
                await asyncio.wait(left)

    def cancel(self) -> None:
        """Ends all work where it stands."""
        for task in self._tasks:
            task.cancel()

    def lets_go(self) -> bool:
        """Whether more are at work than should be; whoever is told so has to go."""
        if self._at_work <= self._size:
            return False
        self._at_work -= 1
        return True

    @contextmanager
    def away(self) -> Iterator[None]:
        """While a worker waits in this, another works in its place."""
        self._at_work -= 1
        if self._at_work < self._size and len(self._tasks) < MOST_TASKS * self._size:
            self._hire()
        try:
            yield
        finally:
            self._at_work += 1

    def _hire(self) -> None:
        task = asyncio.get_running_loop().create_task(self._work())
        self._tasks.add(task)
        self._at_work += 1
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if self._over is None or self._over.done():
            return
        if error is not None:
            self._over.set_exception(error)
        elif not self._tasks:
            self._over.set_result(None)
