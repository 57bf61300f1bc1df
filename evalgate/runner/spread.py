"""A plan on several workers, each of which runs a batch at a time by the ordinary runner. Knows no engine.

Workers tell what becomes of a batch while they run it, so that one that dies takes with it only what was in flight.
What they tell is keyed by case and epoch: told twice, it counts once. Budget and call limit are handed out in shares
that together are never more than what is left.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Protocol, TypeAlias

from evalgate.errors import CallFault
from evalgate.records import Case, Failed, Output, Result, Stage
from evalgate.runner.collected import Collected
from evalgate.runner.interrupts import on_interrupt
from evalgate.runner.journal import Journal
from evalgate.runner.plan import Planned
from evalgate.runner.ports import Scorer
from evalgate.runner.progress import Progress
from evalgate.runner.run import SLACK, UNWATCHED, Outcome, outcome_of
from evalgate.runner.settings import Limits

MOST_IN_BATCH = 256
ROUNDS = 4
"""How many batches each worker gets at least, where there are cases enough: the last ones end close together."""

MOST_DEATHS = 3
"""How often in a row a batch may take its worker with it."""

Key: TypeAlias = tuple[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Some cases of a plan for one worker, and how far it may go with them."""

    items: tuple[tuple[Case, int], ...]
    kept: Mapping[Key, Result]
    """What was answered already, in an earlier session or to the same request, and is only judged."""
    limits: Limits
    max_calls: int | None
    deaths: int = 0
    """Workers in a row that have died of it."""

    @property
    def total(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[tuple[Case, int]]:
        return iter(self.items)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A result."""

    result: Result
    is_rejudged: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """An answer that is not judged yet: whatever becomes of its worker, nobody has to ask again."""

    result: Result


@dataclass(frozen=True, kw_only=True, slots=True)
class Retried:
    """A call failed and is made again."""

    fault: CallFault
    wait_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class InVain:
    """Attempts that led to no result."""

    attempts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """What an attempt at a judge's endpoint gave; None: it failed."""

    output: Output | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """The batch is over."""

    stopped: str | None
    """Why it ended before its last case, without how far it came; None: it did not."""


Told: TypeAlias = Made | Answered | Retried | InVain | Judged | Ended


class Died(Exception):
    """A worker is gone, and with it the batch that it ran. The text says what is known of it."""


class Workers(Protocol):
    """Who runs batches."""

    @property
    def count(self) -> int:
        """How many batches run at the same time."""

    def run(self, batch: Batch) -> AsyncGenerator[Sequence[Told]]:
        """What becomes of the batch, as it becomes known; the last is `Ended`. Raises Died, and EvalgateError for what
        no other worker would do better."""


async def spread(
    plan: Planned,
    workers: Workers,
    *,
    scorers: Callable[[Case], Sequence[Scorer]],
    limits: Limits,
    max_calls: int | None,
    journal: Journal,
    progress: Progress,
    recall: Callable[[Case, int], Output | None] = lambda case, epoch: None,
    keep: Callable[[Case, int, Output], object] = lambda case, epoch, output: None,
    as_kept: Callable[[Result], Result] = lambda result: result,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """What `runner.run.run` gives for the same plan.

    max_calls: requests that may still be sent; None: no bound. recall: the earlier answer to the same request; keep: is
    given each new answer. as_kept: a result as it is kept and shown.

    Raises StoreError when the journal cannot be written, and what workers raise; what was told is kept.
    """
    return await _Spread(plan, workers, limits, max_calls, journal, progress, recall, keep, as_kept, clock).run(scorers)


@dataclass(kw_only=True)
class _Running:
    """A batch under way."""

    batch: Batch
    left: dict[Key, tuple[Case, int]]
    used_usd: float = 0.0
    used_calls: int = 0
    stopped: str | None = None
    made: int = 0


@dataclass
class _Spread:
    plan: Planned
    workers: Workers
    limits: Limits
    max_calls: int | None
    journal: Journal
    progress: Progress
    recall: Callable[[Case, int], Output | None]
    keep: Callable[[Case, int, Output], object]
    as_kept: Callable[[Result], Result]
    clock: Callable[[], float]
    stopped: str | None = None
    is_interrupted: bool = False
    was_answered: bool = False
    notes: list[str] = field(default_factory=list)
    answered: dict[Key, Result] = field(default_factory=dict)
    recalled: set[Key] = field(default_factory=set)
    """Told in this session, and not judged yet."""

    async def run(self, scorers: Callable[[Case], Sequence[Scorer]]) -> Outcome:
        self.began_at = self.clock()
        self.results = Collected(self.plan.total, self.as_kept)
        self.used_calls = 0
        self.returned: deque[Batch] = deque()
        self.running: list[_Running] = []
        self.landed = asyncio.Event()
        self.results.take_over(self.journal.kept, self.plan, scorers)
        self.todo = self._todo()
        left = self.plan.total - len(self.results)
        self.size = min(MOST_IN_BATCH, max(1, -(-left // (ROUNDS * self.workers.count))))
        self.progress.start(
            self.plan.total, len(self.results), used=self.journal.used, budget_usd=self.limits.budget_usd
        )
        deadline_s = self.limits.deadline_s
        loop = asyncio.get_running_loop()
        alarm = None if deadline_s is None else loop.call_later(deadline_s, self._too_late)
        try:
            with on_interrupt(self._interrupt):
                await self._work()
        finally:
            if alarm is not None:
                alarm.cancel()
            self.progress.stop()
        return self._outcome()

    def _todo(self) -> Iterator[tuple[Case, int]]:
        taken = self.results.keys()
        return ((case, epoch) for case, epoch in self.plan if (case.id, epoch) not in taken)

    async def _work(self) -> None:
        self.slots = [asyncio.create_task(self._slot()) for _ in range(self.workers.count)]
        try:
            await asyncio.wait(self.slots, return_when=asyncio.FIRST_EXCEPTION)
        finally:  # also when this task itself is cancelled
            for slot in self.slots:
                slot.cancel()
            await asyncio.wait(self.slots)
        for slot in self.slots:
            if not slot.cancelled() and (error := slot.exception()) is not None:
                raise error

    async def _slot(self) -> None:
        """One worker's turns, until nothing is left that could come back from another's."""
        while self.stopped is None:
            batch = self._next()
            if batch is None:
                if not self.running:
                    return
                await self.landed.wait()
                continue
            running = _Running(batch=batch, left={(case.id, epoch): (case, epoch) for case, epoch in batch})
            self.running.append(running)
            try:
                async with aclosing(self.workers.run(batch)) as stream:
                    async for told in stream:
                        for one in told:
                            self._take(one, running)
            except Died as death:
                self._died(running, death)
            else:
                self._ended(running)
            finally:
                self.running.remove(running)
                self.landed.set()
                self.landed.clear()

    def _next(self) -> Batch | None:
        """The next batch with its share of what may be used; None: none now."""
        idle = self.workers.count - len(self.running)
        usd, calls = self._left_usd(), self._left_calls()
        share_usd = None if usd is None else usd / idle
        share_calls = None if calls is None else -(-calls // idle)
        if (share_usd is not None and share_usd <= (self.limits.budget_usd or 0) * SLACK) or share_calls == 0:
            if not self.running and (self.returned or self._peek()):
                self._halt(self._spent(is_money=share_calls != 0))
            return None
        again = self.returned.popleft() if self.returned else None
        items = again.items if again is not None else tuple(islice(self.todo, self.size))
        if not items:
            return None
        return Batch(
            items=items,
            kept=self._known(items),
            limits=replace(
                self.limits,
                concurrency=max(1, self.limits.concurrency // self.workers.count),
                deadline_s=self._left_s(),
                budget_usd=share_usd,
            ),
            max_calls=share_calls,
            deaths=0 if again is None else again.deaths,
        )

    def _known(self, items: Sequence[tuple[Case, int]]) -> dict[Key, Result]:
        """What needs no call any more, with its answer."""
        found: dict[Key, Result] = {}
        for case, epoch in items:
            key = (case.id, epoch)
            known = self.answered.get(key) or self.journal.kept.get(key)
            if known is None and (output := self.recall(case, epoch)) is not None:
                cause = "not judged yet"
                known = Failed(case_id=case.id, epoch=epoch, stage=Stage.SCORER, cause=cause, output=output, attempts=0)
                self.recalled.add(key)
            if known is not None:
                found[key] = known
        return found

    def _peek(self) -> bool:
        """Whether a case has not been in any batch yet."""
        first = next(self.todo, None)
        if first is None:
            return False
        self.returned.append(Batch(items=(first,), kept={}, limits=self.limits, max_calls=None))
        return True

    def _left_usd(self) -> float | None:
        """Dollars that no batch has been given yet; None: no bound."""
        if self.limits.budget_usd is None:
            return None
        given = sum((one.batch.limits.budget_usd or 0.0) - one.used_usd for one in self.running)
        return max(0.0, self.limits.budget_usd - self.journal.used.known_usd - given)

    def _left_calls(self) -> int | None:
        if self.max_calls is None:
            return None
        given = sum((one.batch.max_calls or 0) - one.used_calls for one in self.running)
        return max(0, self.max_calls - self.used_calls - given)

    def _left_s(self) -> float | None:
        deadline_s = self.limits.deadline_s
        return None if deadline_s is None else max(0.001, deadline_s - (self.clock() - self.began_at))

    # ---- what workers tell ----

    def _take(self, told: Told, running: _Running) -> None:
        used = self.journal.used
        usd, calls = used.known_usd, used.requests
        if isinstance(told, Made):
            self._take_result(told, running)
        elif isinstance(told, Answered):
            self._take_answer(told.result, running)
        elif isinstance(told, Retried):
            self.progress.retry(told.fault, told.wait_s)
        elif isinstance(told, InVain):
            used.in_vain(told.attempts)
            self.journal.write_in_vain(told.attempts)
        elif isinstance(told, Judged):
            used.judged(told.output)
            self.journal.write_judged(told.output)
        else:
            running.stopped = told.stopped
        running.used_usd += used.known_usd - usd
        running.used_calls += used.requests - calls
        self.used_calls += used.requests - calls

    def _take_answer(self, result: Result, running: _Running) -> None:
        key = (result.case_id, result.epoch)
        if key in running.left and key not in self.answered:
            self.was_answered = True
            self.answered[key] = result
            self.journal.write_unjudged(result)
            self.journal.used.count(result)
            self._keep(running.left[key], result)

    def _keep(self, item: tuple[Case, int], result: Result) -> None:
        if result.output is not None:
            self.keep(*item, result.output)

    def _take_result(self, told: Made, running: _Running) -> None:
        result = told.result
        key = (result.case_id, result.epoch)
        item = running.left.pop(key, None)
        if item is None:
            return  # told twice
        # What was recalled is new to this run, though its worker had only to judge it.
        is_rejudged = told.is_rejudged and key not in self.recalled
        self.answered.pop(key, None)
        running.made += 1
        self.was_answered = self.was_answered or result.output is not None
        self.journal.write(result, is_rejudged=is_rejudged)
        if not is_rejudged:
            self.journal.used.count(result)
        if not told.is_rejudged:
            self._keep(item, result)
        self.results.add(result)
        self.progress.advance(result)

    def _died(self, running: _Running, death: Died) -> None:
        deaths = 1 if running.made else running.batch.deaths + 1
        if self.max_calls is not None:
            # What was in flight has been sent, and nobody knows how much that was: never one more than allowed.
            self.max_calls -= max(0, (running.batch.max_calls or 0) - running.used_calls)
        if not running.left:
            return
        first = next(iter(running.left))[0]
        if deaths >= MOST_DEATHS:
            cases = f"the same {len(running.left)} cases, {first!r} the first of them"
            self._halt(f"{deaths} workers in a row died of {cases}: {death}")
            return
        self.notes.append(f"A worker died and another went on with its {len(running.left)} unfinished calls.")
        self._again(running, deaths)

    def _ended(self, running: _Running) -> None:
        """A batch that its worker has ended itself: with everything, with its share used up, or since it saw no use."""
        if not running.left:
            return
        reason = running.stopped or "a worker ended its batch early"
        if reason.startswith(("budget", "call limit")):
            if running.made:
                self._again(running, 0)
            else:
                self._halt(self._spent(is_money=reason.startswith("budget")))
        elif self.was_answered and running.batch.deaths + 1 < MOST_DEATHS:
            # It was there for others: one worker's first calls may have met a bad moment.
            self._again(running, running.batch.deaths + 1)
        else:
            self._abort(reason)

    def _again(self, running: _Running, deaths: int) -> None:
        self.returned.append(replace(running.batch, items=tuple(running.left.values()), deaths=deaths))

    # ---- what ends a run early ----

    def _spent(self, *, is_money: bool) -> str:
        if not is_money:
            return "call limit reached"
        return f"budget of ${self.limits.budget_usd:g} spent"

    def _halt(self, reason: str) -> None:
        """Begins no further batch; the first reason is the one that is told."""
        if self.stopped is None:
            self.stopped = reason

    def _abort(self, reason: str) -> None:
        """Also ends the batches under way: their calls in flight are lost."""
        self._halt(reason)
        for slot in self.slots:
            if slot is not asyncio.current_task():
                slot.cancel()

    def _interrupt(self, signal_name: str) -> None:
        self.is_interrupted = True
        self._abort(f"interrupted by {signal_name}")

    def _too_late(self) -> None:
        self._abort(f"deadline of {self.limits.whole_deadline_s or self.limits.deadline_s:g} s reached")

    def _outcome(self) -> Outcome:
        unwatched = self.limits.budget_usd is not None and not self.journal.used.is_priced
        return outcome_of(
            self.results,
            self.plan.total,
            stopped=self.stopped,
            usage=self.journal.used.usage(self.clock() - self.began_at),
            is_interrupted=self.is_interrupted,
            notes=(*self.notes, *((UNWATCHED,) if unwatched else ())),
        )
