"""One call, with its time-out and its further attempts. Knows no case: it calls what it is given.

Back-off is exponential with full jitter (wait uniform between 0 and the doubling bound): callers that fail together
do not come back together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from evalgate.errors import CallError, CallFault
from evalgate.runner.pace import Pace
from evalgate.runner.settings import Limits

T = TypeVar("T")

LONGEST_WAIT_S = 600.0
"""An endpoint that asks for more patience than this has no quota left; a gate does not wait for tomorrow's."""


class GaveUp(Exception):
    """No attempt succeeded. `error` is the last one's."""

    def __init__(self, error: Exception, attempts: int, note: str = "") -> None:
        super().__init__(str(error))
        self.error = error
        self.attempts = attempts
        self.note = note
        """Why there was no further attempt, where one might have been expected; may be empty."""


class Halted(Exception):
    """The run has ended, so this call is not made, or not made again. Its text says why where nobody knows yet."""


class Caller:
    """Makes calls within the limits of a run."""

    def __init__(
        self,
        limits: Limits,
        *,
        ends_at: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
        rng: random.Random,
        on_retry: Callable[[CallFault, float], object],
    ) -> None:
        """ends_at: the run's deadline on `clock`. on_retry: is told each fault that is tried again, and the wait."""
        self._limits = limits
        self._ends_at = ends_at
        self._clock = clock
        self._sleep = sleep
        self._rng = rng
        self._on_retry = on_retry
        self._pace = Pace(limits.concurrency, clock=clock, sleep=sleep)
        self._resting: set[asyncio.Task[Any]] = set()
        self._is_halted = False

    def halt(self) -> None:
        """Attempts under way go on; no failed one is made again, and tasks that wait for theirs are cancelled."""
        self._is_halted = True
        for task in self._resting:
            task.cancel()

    async def call(self, make: Callable[[], Awaitable[T]]) -> tuple[T, int]:
        """What `make()` gives, and how many attempts it took. Raises GaveUp, or Halted when the run ends meanwhile."""
        attempts = 0
        while True:
            entered = await self._rest(self._pace.enter())
            try:
                attempts += 1
                value = await self._attempt(make)
                self._pace.answered()
                return value, attempts
            except CallError as error:
                if error.fault is CallFault.RATE_LIMITED:
                    self._pace.refused(entered, error.retry_after_s)
                wait_s = self._wait(error, attempts)
                if self._is_halted:  # while this attempt was under way: there will be no other
                    raise Halted from error
            except Halted:
                raise
            except Exception as error:
                raise GaveUp(error, attempts) from error
            finally:
                self._pace.leave()
            await self._rest(self._sleep(wait_s))

    async def judge(self, make: Callable[[], Awaitable[T]]) -> T:
        """What `make()` gives: like `call`, but neither paced nor halted, since the endpoint under test is not asked
        and what it answered is paid for already. Raises GaveUp."""
        attempts = 0
        while True:
            attempts += 1
            try:
                return await self._attempt(make)
            except CallError as error:
                wait_s = self._wait(error, attempts)
            await self._sleep(wait_s)

    async def _attempt(self, make: Callable[[], Awaitable[T]]) -> T:
        limit_s = self._limits.timeout_s
        try:
            async with asyncio.timeout(limit_s) as bound:
                return await make()
        except TimeoutError as error:
            if not bound.expired():
                raise
            message = f"no answer within {limit_s:g} s; is it overloaded, or is run.timeout_s too short?"
            raise CallError(CallFault.TIMEOUT, message) from error
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled us: something inside was cancelled. Let through, it would silently end this worker.
            raise CallError(CallFault.CODE, "the call was cancelled from inside") from error

    async def _rest(self, until: Awaitable[T]) -> T:
        """Waits for something that is not worth waiting for once the run is halted."""
        task = asyncio.current_task()
        assert task is not None
        self._resting.add(task)
        try:
            return await until
        finally:
            self._resting.discard(task)

    def _wait(self, error: CallError, attempts: int) -> float:
        """Seconds until the next attempt. Raises GaveUp if there is to be none."""
        limits = self._limits
        if not error.is_retryable or attempts > limits.max_retries:
            raise GaveUp(error, attempts) from error
        wait_s = self._rng.uniform(0, min(limits.backoff_max_s, limits.backoff_s * 2.0 ** min(attempts - 1, 60)))
        asked_s = error.retry_after_s
        if asked_s is not None:
            if asked_s > LONGEST_WAIT_S:
                raise GaveUp(error, attempts, f"it asks for a wait of {asked_s:g} s: is the quota used up?") from error
            if self._ends_at is not None and self._clock() + asked_s >= self._ends_at:
                note = f"it asks for a wait of {asked_s:g} s, beyond the run's deadline"
                raise GaveUp(error, attempts, note) from error
            wait_s += asked_s
        self._on_retry(error.fault, wait_s)
        return wait_s
