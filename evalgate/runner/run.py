"""A plan times an endpoint and scorers: the run. Knows no gate, no store and no terminal.

A crew of workers draws from one iterator, so that 100,000 cases are 100,000 steps and not 100,000 tasks. What
goes wrong with a case is a `Failed` among the results; what ends the run early is a sentence in `Outcome.stopped`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from evalgate.errors import HOPELESS, CallFault
from evalgate.records import Case, Failed, Output, Request, Result, Stage, Usage
from evalgate.runner.calls import Caller, Halted
from evalgate.runner.collected import Collected
from evalgate.runner.crew import Crew
from evalgate.runner.evaluate import Evaluator, Finished
from evalgate.runner.interrupts import on_interrupt
from evalgate.runner.journal import Journal
from evalgate.runner.plan import Planned
from evalgate.runner.ports import Endpoint, Scorer
from evalgate.runner.progress import Progress
from evalgate.runner.settings import Limits

UNWATCHED = (
    "`run.budget_usd` could not be watched: answers came without a known price. "
    "Write it under `endpoint.price` (0 if it is free)."
)

SLACK = 1e-9
"""Of a budget, for what sums of dollars lose to rounding."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a run came to."""

    results: Sequence[Result]
    """Sorted by case and epoch, each at most once; all that were planned, or `stopped` says why not."""
    stopped: str | None
    """Why the run ended before its plan, in a sentence without a full stop; None: every result is there."""
    usage: Usage
    """Of all sessions of the run; `wall_s` of this one. A sum is None where any answer's share is unknown."""
    interrupted: bool
    """Somebody pressed Ctrl-C or sent SIGTERM before the plan was done."""
    notes: tuple[str, ...] = ()
    """What a reader has to know beside the results, one sentence each."""


async def run(
    plan: Planned,
    *,
    endpoint: Endpoint,
    render: Callable[[Case, int], Request],
    scorers: Callable[[Case], Sequence[Scorer]],
    limits: Limits,
    journal: Journal,
    progress: Progress,
    recall: Callable[[Request], Output | None] | None = None,
    as_kept: Callable[[Result], Result] = lambda result: result,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    rng: random.Random | None = None,
) -> Outcome:
    """The results of a plan, or of as much of it as the limits, the endpoint and the user allowed.

    Results that the journal holds already are taken from it: scored ones by the same scorers as they are, answered
    ones are judged again (their call is paid for), failed calls are made again. Each new result is in the journal
    before the next call of its worker begins. The journal stays open: close it, or remove it once the run is stored.

    recall: the earlier answer to the same request, or None where there is none; absent: nothing is reused. as_kept: a
    result as it is kept and shown, its secrets taken out; the journal, from which it may be judged again, has it whole.

    Raises StoreError when the journal cannot be written; in-flight calls are cancelled, what was written is kept.
    """
    session = _Session(plan, limits=limits, journal=journal, progress=progress, as_kept=as_kept, clock=clock)
    caller = Caller(
        limits,
        ends_at=session.ends_at,
        clock=clock,
        sleep=sleep,
        rng=rng or random.Random(),
        on_retry=session.retried,
        away=session.away,
    )
    evaluator = Evaluator(
        endpoint=endpoint,
        render=render,
        scorers=scorers,
        caller=caller,
        meter=session.meter,
        rescue=journal.write_unjudged,
        in_vain=journal.write_in_vain,
        recall=recall,
    )
    return await session.run(caller, evaluator, scorers)


class _Session:
    """One process's share of a run."""

    def __init__(
        self,
        plan: Planned,
        *,
        limits: Limits,
        journal: Journal,
        progress: Progress,
        as_kept: Callable[[Result], Result],
        clock: Callable[[], float],
    ) -> None:
        self.plan = plan
        self.limits = limits
        self.journal = journal
        self.progress = progress
        self.clock = clock
        self.meter = journal.used
        self.began_at = clock()
        self.ends_at = None if limits.deadline_s is None else self.began_at + limits.deadline_s
        self.results = Collected(plan.total, as_kept)
        self.stopped: str | None = None
        self.is_interrupted = False
        self.was_answered = False
        self.failures = 0
        """Results in a row that the endpoint did not answer."""
        self.landed = asyncio.Event()

    async def run(self, caller: Caller, evaluator: Evaluator, scorers: Callable[[Case], Sequence[Scorer]]) -> Outcome:
        self.caller = caller
        self.evaluator = evaluator
        self.results.take_over(self.journal.kept, self.plan, scorers)
        todo, left = self._todo(), self.plan.total - len(self.results)
        self.crew = Crew(min(self.limits.concurrency, left), lambda: self._worker(todo))
        self.progress.start(
            self.plan.total, len(self.results), used=self.journal.used, budget_usd=self.limits.budget_usd
        )
        loop = asyncio.get_running_loop()
        alarm = None if self.ends_at is None else loop.call_later(max(0.0, self.ends_at - self.clock()), self._too_late)
        self._watch_budget()
        try:
            with on_interrupt(self._interrupt):
                await self.crew.run()
        finally:
            if alarm is not None:
                alarm.cancel()
            self.progress.stop()
        return self._outcome()

    def _todo(self) -> Iterator[tuple[Case, int]]:
        taken = self.results.keys()
        return ((case, epoch) for case, epoch in self.plan if (case.id, epoch) not in taken)

    def away(self) -> AbstractContextManager[None]:
        return self.crew.away()

    async def _worker(self, todo: Iterator[tuple[Case, int]]) -> None:
        for case, epoch in todo:
            # An endpoint that answers without waiting (a replay, a cache) would never let the loop see a signal.
            await asyncio.sleep(0)
            if self.ends_at is not None and self.clock() >= self.ends_at:
                self._too_late()
            if self.stopped is not None:
                return
            try:
                kept = self.journal.kept.get((case.id, epoch))
                if kept is not None and kept.output is not None:
                    result = await self.evaluator.judge(case, epoch, kept.output, kept.attempts)
                    self._record(result, is_rejudged=True)
                    continue
                await self._wait_for_money()
                finished = await self.evaluator.evaluate(case, epoch)
            except Halted as end:
                if reason := str(end):
                    self._halt(reason)
                return
            self._record(finished.result, is_rejudged=finished.is_rescued)
            self._watch_endpoint(finished)
            self._watch_budget()
            if self.crew.lets_go():
                return

    def _record(self, result: Result, *, is_rejudged: bool = False) -> None:
        self.journal.write(result, is_rejudged=is_rejudged)
        self.results.add(result)
        self.progress.advance(result)
        self._wake()

    def retried(self, fault: CallFault, wait_s: float) -> None:
        self.progress.retry(fault, wait_s)
        self._wake()

    # ---- what ends a run early ----

    def _halt(self, reason: str) -> None:
        """Begins no further call; the first reason is the one that is told."""
        if self.stopped is None:
            self.stopped = reason
            self.caller.halt()
            self._wake()

    def _abort(self, reason: str) -> None:
        """Also cancels the calls in flight."""
        self._halt(reason)
        self.crew.cancel()

    def _interrupt(self, signal_name: str) -> None:
        self.is_interrupted = True
        self._abort(f"interrupted by {signal_name}")

    def _too_late(self) -> None:
        self._abort(f"deadline of {self.limits.whole_deadline_s or self.limits.deadline_s:g} s reached")

    def _watch_budget(self) -> None:
        budget = self.limits.budget_usd
        if budget is None:
            return
        # Calls in flight are finished: they are paid for.
        if self.meter.known_usd >= budget * (1 - SLACK):
            self._halt(f"budget of {_dollars(budget)} spent")

    async def _wait_for_money(self) -> None:
        """Until the budget is expected to bear one more call beside those in flight. Raises Halted where it never will,
        so that what is overspent does not grow with the calls in flight."""
        budget, meter = self.limits.budget_usd, self.meter
        if budget is None:
            return
        while meter.known_usd + (meter.in_flight + 1) * meter.expected_usd > budget * (1 + SLACK):
            if self.stopped is not None:
                raise Halted
            if not meter.in_flight:
                left = _dollars(max(0.0, budget - meter.known_usd))
                raise Halted(f"budget of {_dollars(budget)} spent but for {left}, less than a call costs")
            await self.landed.wait()

    def _wake(self) -> None:
        """Lets those go on who wait for what becomes of a call in flight."""
        self.landed.set()
        self.landed.clear()

    def _watch_endpoint(self, finished: Finished) -> None:
        """Ends a run whose endpoint is not there, rather than retrying for hours."""
        result = finished.result
        if result.output is not None and result.output.cached:
            return  # it says nothing of the endpoint today
        if result.output is not None:
            self.was_answered = True
            self.failures = 0
            return
        if not isinstance(result, Failed) or result.stage is not Stage.ENDPOINT:
            return
        self.failures += 1
        limits = self.limits
        if not self.was_answered:
            if finished.fault in HOPELESS:
                self._abort(f"the endpoint refuses every call: {result.cause}")
            elif finished.fault is CallFault.CONNECTION and self.caller.is_unreachable:
                self._abort(f"the endpoint cannot be reached: {result.cause}")
            elif self.failures >= max(8, limits.concurrency):
                self._abort(f"the first {self.failures} calls all failed; the last: {result.cause}")
        elif finished.fault is not CallFault.REFUSED_REQUEST and self.failures >= max(64, 4 * limits.concurrency):
            self._abort(f"the endpoint has gone: {self.failures} calls in a row failed; the last: {result.cause}")

    def _outcome(self) -> Outcome:
        return outcome_of(
            self.results,
            self.plan.total,
            stopped=self.stopped,
            usage=self.meter.usage(self.clock() - self.began_at),
            is_interrupted=self.is_interrupted,
            notes=() if self.limits.budget_usd is None or self.meter.is_priced else (UNWATCHED,),
        )


def outcome_of(
    results: Collected, total: int, *, stopped: str | None, usage: Usage, is_interrupted: bool, notes: tuple[str, ...]
) -> Outcome:
    """What these results of so many planned ones come to; `results` is empty afterwards. A run that has them all was
    neither stopped nor interrupted, whatever came too late to matter."""
    done = len(results)
    is_complete = done == total
    return Outcome(
        results=results.in_order(),
        stopped=None if is_complete else f"{stopped or 'the run ended early'}, after {done} of {total} results",
        usage=usage,
        interrupted=is_interrupted and not is_complete,
        notes=notes,
    )


def _dollars(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 0.01 else f"${amount:g}"
