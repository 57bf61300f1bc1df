"""One call, with its time-out and its further attempts. Knows no case: it calls what it is given.

Back-off is exponential with full jitter (wait uniform between 0 and the doubling bound): callers that fail together
do not come back together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

from evalgate.errors import CallError, CallFault
from evalgate.runner.settings import Limits

T = TypeVar("T")

LONGEST_WAIT_S = 600.0
"""An endpoint that asks for more patience than this has no quota left; a gate does not wait for tomorrow's."""

UNREACHABLE_S = 3.0
"""How long the first calls of a run may find nobody at the other end. One that was there before may take its time to
come back: then only `max_retries` counts."""

TROUBLE_SPAN = 32

_ANSWERED = frozenset({CallFault.RATE_LIMITED, CallFault.SERVER})
"""Faults after which others may fare better meanwhile; where nobody answers, more calls only wait for more of them."""


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


class NotBegun(asyncio.CancelledError):
    """The attempt was cancelled while it waited for its turn: nothing was asked."""


class _Attempt:
    """An attempt under way."""

    __slots__ = ("bound", "number", "resting")

    def __init__(self, number: int, bound: asyncio.Timeout, resting: set[asyncio.Task[Any]] | None) -> None:
        self.number = number
        self.bound = bound
        self.resting = resting
        """The tasks that the end of the run wakes; None: this one is not to be woken."""


_attempt: ContextVar[_Attempt | None] = ContextVar("attempt", default=None)


def is_again() -> bool:
    """Whether the attempt under way follows one that failed."""
    attempt = _attempt.get()
    return attempt is not None and attempt.number > 1


async def in_turn(turn: Awaitable[T]) -> T:
    """What `turn` gives: for the time in which the attempt under way waits for its turn.

    That is not the endpoint's time: the time-out stands still meanwhile. Nor is it worth waiting for once the run has
    ended. Raises NotBegun where the wait is cancelled.
    """
    attempt, task = _attempt.get(), asyncio.current_task()
    if attempt is None or task is None:
        return await turn
    clock = asyncio.get_running_loop().time
    ends_at = attempt.bound.when()
    left_s = None if ends_at is None else ends_at - clock()
    attempt.bound.reschedule(None)
    if attempt.resting is not None:
        attempt.resting.add(task)
    try:
        return await turn
    except asyncio.CancelledError:
        raise NotBegun from None
    finally:
        if attempt.resting is not None:
            attempt.resting.discard(task)
        if left_s is not None:
            attempt.bound.reschedule(clock() + left_s)


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
        away: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """ends_at: the run's deadline on `clock`. on_retry: is told each fault that is tried again, and the wait.
        away: entered while a call waits for its next attempt at an endpoint that answers others."""
        self._limits = limits
        self._ends_at = ends_at
        self._clock = clock
        self._sleep = sleep
        self._rng = rng
        self._on_retry = on_retry
        self._away = away
        self._resting: set[asyncio.Task[Any]] = set()
        self._is_halted = False
        self._trouble = 0.0
        """The share of late attempts that failed, smoothed."""
        self._first_at: float | None = None
        self._is_met = False

    @property
    def is_unreachable(self) -> bool:
        """Nothing has ever been at the other end, and there was time enough."""
        return not self._is_met and self._unmet_s() >= UNREACHABLE_S

    def halt(self) -> None:
        """Attempts under way go on; no failed one is made again, and tasks that wait for theirs are cancelled."""
        self._is_halted = True
        for task in self._resting:
            task.cancel()

    async def call(self, make: Callable[[], Awaitable[T]]) -> tuple[T, int]:
        """What `make()` gives, and how many attempts it took. Raises GaveUp, or Halted when the run ends meanwhile."""
        attempts = 0
        if self._first_at is None:
            self._first_at = self._clock()
        while True:
            try:
                attempts += 1
                value = await self._attempt(make, attempts, self._resting)
                self._is_met = True
                self._trouble -= self._trouble / TROUBLE_SPAN
                return value, attempts
            except CallError as error:
                self._is_met = self._is_met or error.fault is not CallFault.CONNECTION
                self._trouble += (1 - self._trouble) / TROUBLE_SPAN
                wait_s = self._wait(error, attempts)
                if not self._is_met:
                    wait_s = self._patience(error, attempts, wait_s)
                self._on_retry(error.fault, wait_s)
                if self._is_halted:  # while this attempt was under way: there will be no other
                    raise Halted from error
                stands_in = error.fault in _ANSWERED and self._trouble < 0.5
            except Halted:
                raise
            except Exception as error:
                self._is_met = True
                raise GaveUp(error, attempts) from error
            with self._away() if stands_in else nullcontext():
                await self._rest(self._sleep(wait_s))

    async def judge(self, make: Callable[[], Awaitable[T]]) -> T:
        """What `make()` gives: like `call`, but not halted, since what the endpoint under test answered is paid for
        already. Raises GaveUp."""
        attempts = 0
        while True:
            attempts += 1
            try:
                return await self._attempt(make, attempts, None)
            except CallError as error:
                wait_s = self._wait(error, attempts)
                self._on_retry(error.fault, wait_s)
            await self._sleep(wait_s)

    async def _attempt(
        self, make: Callable[[], Awaitable[T]], number: int, resting: set[asyncio.Task[Any]] | None
    ) -> T:
        limit_s = self._limits.timeout_s
        try:
            async with asyncio.timeout(limit_s) as bound:
                _attempt.set(_Attempt(number, bound, resting))
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

    def _unmet_s(self) -> float:
        return 0.0 if self._first_at is None else self._clock() - self._first_at

    def _patience(self, error: CallError, attempts: int, wait_s: float) -> float:
        """The wait, for an endpoint that nobody has met: the last attempt comes when its time is over."""
        left_s = UNREACHABLE_S - self._unmet_s()
        if left_s <= 0:
            raise GaveUp(error, attempts) from error
        return min(wait_s, left_s)

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
        return wait_s
