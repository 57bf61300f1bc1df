"""Threads for sync functions that may never return. Knows nothing of endpoints.

Not concurrent.futures: its threads are joined at the interpreter's end, so that one function that hangs would keep
evalgate from ever ending; and each that hangs would take a place of the pool from all later calls.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

_Job = Callable[[], None]


class Threads:
    """Daemon threads, used again when idle: as many as there are calls at once, and those that were given up."""

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[_Job]] = []

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """What `function(*args)` returns or raises. Cancelled, its answer is dropped; the function itself runs on."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()
        jobs = self._idle.pop() if self._idle else self._start()

        def job() -> None:
            answer: Any = None
            failure: BaseException | None = None
            try:
                answer = context.run(function, *args)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                failure = error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._done, jobs, future, answer, failure)

        jobs.put(job)
        return await future

    def _done(
        self, jobs: SimpleQueue[_Job], future: asyncio.Future[Any], answer: Any, failure: BaseException | None
    ) -> None:
        self._idle.append(jobs)
        if future.cancelled():
            return
        if failure is None:
            future.set_result(answer)
            return
        if isinstance(failure, StopIteration):  # a future cannot hold it
            failure = RuntimeError("StopIteration was raised")
        future.set_exception(failure)

    @staticmethod
    def _start() -> SimpleQueue[_Job]:
        jobs: SimpleQueue[_Job] = SimpleQueue()

        def work() -> None:
            while True:
                jobs.get()()

        threading.Thread(target=work, name="evalgate-call", daemon=True).start()
        return jobs
