"""Small real endpoints, scorers and a run for the runner's tests."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builders import make_case
from virtual_time import LoopTime

from evalgate.errors import CallFault
from evalgate.records import Case, Output, Request, Result, Score
from evalgate.runner.journal import Journal
from evalgate.runner.journal_lines import Header
from evalgate.runner.meter import Meter
from evalgate.runner.plan import Plan
from evalgate.runner.run import Outcome, run
from evalgate.runner.settings import Limits

HEADER = Header(
    run_id="run-1", suite="bot", version="v1", evalset="e1", epochs=1, created=datetime(2026, 11, 1, tzinfo=UTC)
)


def resumed(path: Path) -> tuple[Journal, tuple[Result, ...]]:
    """The reopened journal of an earlier session, and its results, sorted."""
    journal = Journal.resume(path, HEADER)
    return journal, tuple(journal.kept[key] for key in sorted(journal.kept))


def make_cases(count: int) -> tuple[Case, ...]:
    return tuple(make_case(f"case-{number:04}") for number in range(count))


def render(case: Case, epoch: int) -> Request:
    return Request(case=case, epoch=epoch, prompt=str(case.input), messages=({"role": "user", "content": case.input},))


class FakeEndpoint:
    """Answers with what `answer(request, attempt of this case and epoch)` gives or raises, and counts."""

    def __init__(
        self,
        answer: Callable[[Request, int], Output] = lambda request, attempt: Output(text="4", cost_usd=0.01),
        *,
        takes_s: float = 0.0,
    ) -> None:
        self._answer = answer
        self._takes_s = takes_s
        self.asked: list[tuple[str, int]] = []
        self.active = 0
        self.most_active = 0
        self.cancelled = 0

    async def call(self, request: Request) -> Output:
        key = (request.case.id, request.epoch)
        self.asked.append(key)
        attempt = self.asked.count(key)
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            await asyncio.sleep(self._takes_s)
            return self._answer(request, attempt)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.active -= 1


class FakeScorer:
    """Gives what `judge(case, output)` gives or raises."""

    is_beside = False

    def __init__(
        self,
        judge: Callable[[Case, Output], float] = lambda case, output: float(output.text == case.expected),
        *,
        name: str = "exact",
        version: str = "exact/1",
        weight: float = 1.0,
        is_async: bool = False,
        takes_s: float = 0.0,
    ) -> None:
        self._judge = judge
        self.name = name
        self.version = version
        self.weight = weight
        self.is_async = is_async
        self._takes_s = takes_s

    def score_now(self, case: Case, output: Output) -> Score:
        value = self._judge(case, output)
        return Score(scorer=self.name, value=value, reason="so", version=self.version, weight=self.weight)

    async def score(self, case: Case, output: Output) -> Score:
        await asyncio.sleep(self._takes_s)
        return self.score_now(case, output)


class Watcher:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.started: list[tuple[int, int]] = []
        self.results: list[Result] = []
        self.retries: list[tuple[CallFault, float]] = []
        self.stops = 0

    def start(self, total: int, done: int = 0, *, used: Meter | None = None, budget_usd: float | None = None) -> None:
        self.started.append((total, done))

    def advance(self, result: Result) -> None:
        self.results.append(result)

    def retry(self, fault: CallFault, wait_s: float) -> None:
        self.retries.append((fault, wait_s))

    def stop(self) -> None:
        self.stops += 1


class FakeTime:
    """A clock that moves only when somebody sleeps, and a sleep that takes no time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


async def go(
    cases: int | Sequence[Case] = 1,
    *,
    endpoint: Any = None,
    scorers: Sequence[Any] | None = None,
    epochs: int = 1,
    journal: Journal | None = None,
    progress: Any = None,
    time: FakeTime | LoopTime | None = None,
    render: Callable[[Case, int], Request] = render,
    rng: random.Random | None = None,
    recall: Callable[[Request], Output | None] | None = None,
    **limits: Any,
) -> Outcome:
    """A run of this many cases with small fakes; further keywords are `Limits`. Retries hardly wait."""
    found = [FakeScorer()] if scorers is None else scorers
    clocks: dict[str, Callable[..., Any] | Callable[[float], Awaitable[object]]] = (
        {"clock": time.clock, "sleep": time.sleep} if time else {}
    )
    return await run(
        Plan(cases=make_cases(cases) if isinstance(cases, int) else tuple(cases), epochs=epochs),
        endpoint=endpoint or FakeEndpoint(),
        render=render,
        scorers=lambda case: found,
        limits=Limits(**{"backoff_s": 0.001, **limits}),
        journal=journal or Journal.null(),
        progress=progress or Watcher(),
        rng=rng,
        recall=recall,
        **clocks,  # type: ignore[arg-type]
    )
