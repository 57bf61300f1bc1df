"""A plan on several workers gives what one process gives, whatever becomes of the workers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from builders import make_failed, make_output
from runner_fakes import HEADER, FakeEndpoint, FakeScorer, make_cases, render, resumed

from evalgate.errors import CallError, CallFault, InputError
from evalgate.records import Case, Failed, Output, Request, Result, Scored, Stage
from evalgate.runner.allowance import Allowance
from evalgate.runner.journal import Journal
from evalgate.runner.plan import Plan
from evalgate.runner.progress import Silent
from evalgate.runner.run import Outcome
from evalgate.runner.run import run as run_plan
from evalgate.runner.settings import Limits
from evalgate.runner.spread import MOST_DEATHS, Answered, Batch, Died, Ended, InVain, Made, Told, spread


class Telling(Journal):
    def __init__(self, told: asyncio.Queue[Told], batch: Batch) -> None:
        super().__init__(None, None)
        self.kept, self.told = dict(batch.kept), told

    def write(self, result: Result, *, is_rejudged: bool = False) -> None:
        self.told.put_nowait(Made(result=result, is_rejudged=is_rejudged))

    def write_unjudged(self, result: Result) -> None:
        self.told.put_nowait(Answered(result=result))

    def write_in_vain(self, attempts: int) -> None:
        self.told.put_nowait(InVain(attempts=attempts))


class Rationed:
    def __init__(self, endpoint: FakeEndpoint, allowance: Allowance) -> None:
        self.endpoint, self.allowance = endpoint, allowance

    async def call(self, request: Request) -> Output:
        self.allowance.take()
        return await self.endpoint.call(request)


class FakeWorkers:
    """Runs batches in this process by the real runner; `dies(batch, told so far)` says when one is gone."""

    def __init__(
        self,
        endpoint: FakeEndpoint,
        *,
        count: int = 2,
        dies: Callable[[Batch, int], bool] = lambda batch, told: False,
        tells_twice: bool = False,
        scorer: FakeScorer | None = None,
    ) -> None:
        self.endpoint, self.count, self._dies, self._twice = endpoint, count, dies, tells_twice
        self.scorer = scorer or FakeScorer()
        self.batches: list[Batch] = []

    async def run(self, batch: Batch) -> AsyncGenerator[Sequence[Told]]:
        self.batches.append(batch)
        told: asyncio.Queue[Told] = asyncio.Queue()
        task = asyncio.create_task(self._work(batch, told))
        task.add_done_callback(lambda _: told.put_nowait(Ended(stopped="nobody looked")))
        number = 0
        try:
            while True:
                if self._dies(batch, number):
                    raise Died("killed by signal 9")
                one = await told.get()
                number += 1
                yield [one, one] if self._twice and isinstance(one, Made) else [one]
                if isinstance(one, Ended):
                    return
        finally:
            task.cancel()

    async def _work(self, batch: Batch, told: asyncio.Queue[Told]) -> None:
        outcome = await run_plan(
            batch,
            endpoint=Rationed(self.endpoint, Allowance(batch.max_calls)),
            render=render,
            scorers=lambda case: [self.scorer],
            limits=batch.limits,
            journal=Telling(told, batch),
            progress=Silent(),
        )
        told.put_nowait(Ended(stopped=outcome.stopped and outcome.stopped.rpartition(", after ")[0]))


def spread_out(workers: Any, cases: tuple[Case, ...], *, journal: Journal | None = None, **limits: Any) -> Outcome:
    max_calls = limits.pop("max_calls", None)
    memory = {name: limits.pop(name) for name in ("recall", "keep") if name in limits}
    return asyncio.run(
        spread(
            Plan(cases=cases),
            workers,
            scorers=lambda case: [FakeScorer()],
            limits=Limits(**{"concurrency": 4, "max_retries": 0, **limits}),
            max_calls=max_calls,
            journal=journal or Journal.null(),
            progress=Silent(),
            **memory,
        )
    )


def ids(outcome: Outcome) -> list[str]:
    return [result.case_id for result in outcome.results]


def test_every_case_has_one_result_and_the_workers_share_the_concurrency() -> None:
    """Sorted, complete, each called once; no more calls at once than one process would make."""
    endpoint = FakeEndpoint(takes_s=0.001)
    workers = FakeWorkers(endpoint)
    outcome = spread_out(workers, make_cases(100))
    assert ids(outcome) == [case.id for case in make_cases(100)]
    assert (outcome.stopped, outcome.usage.calls, len(endpoint.asked)) == (None, 100, 100)
    assert endpoint.most_active <= 4
    assert len(workers.batches) >= 8


def test_what_is_told_twice_counts_once(tmp_path: Path) -> None:
    """Delivery is at least once: neither results, nor the journal, nor the price double."""
    with Journal.create(tmp_path / "j.jsonl", HEADER) as journal:
        outcome = spread_out(FakeWorkers(FakeEndpoint(), tells_twice=True), make_cases(50), journal=journal)
    assert len(outcome.results) == 50 and outcome.usage.calls == 50
    assert outcome.usage.cost_usd == pytest.approx(0.5)
    assert len((tmp_path / "j.jsonl").read_text().splitlines()) == 51


def test_a_worker_that_dies_costs_only_what_was_in_flight() -> None:
    """Another goes on with its unfinished cases; what it had told is not called again."""
    endpoint = FakeEndpoint(takes_s=0.001)
    died: list[Batch] = []

    def dies(batch: Batch, told: int) -> bool:
        if told == 7 and not died:
            died.append(batch)
        return bool(died) and died[0] is batch

    outcome = spread_out(FakeWorkers(endpoint, dies=dies), make_cases(100))
    assert ids(outcome) == [case.id for case in make_cases(100)] and outcome.stopped is None
    assert 100 <= len(endpoint.asked) <= 100 + 4
    assert max(Counter(endpoint.asked).values()) <= 2
    assert "another went on" in outcome.notes[0]


def test_cases_that_kill_every_worker_end_the_run() -> None:
    """A scorer that takes its process down must not go round for ever."""
    workers = FakeWorkers(FakeEndpoint(), dies=lambda batch, told: batch.items[0][0].id == "case-0000")
    outcome = spread_out(workers, make_cases(20))
    assert outcome.stopped is not None and "died of the same" in outcome.stopped and "signal 9" in outcome.stopped
    assert sum(batch.items[0][0].id == "case-0000" for batch in workers.batches) == MOST_DEATHS
    assert "case-0000" not in ids(outcome)


@pytest.mark.parametrize("most", [1, 7, 20, 99])
def test_workers_together_send_no_request_more_than_allowed(most: int) -> None:
    """The limit is handed out in shares, and what one leaves another may use."""
    endpoint = FakeEndpoint(takes_s=0.001)
    outcome = spread_out(FakeWorkers(endpoint, count=3), make_cases(100), max_calls=most)
    assert len(endpoint.asked) == most == len(outcome.results)
    assert outcome.stopped == f"call limit reached, after {most} of 100 results"


def test_a_worker_that_dies_takes_its_share_of_the_limit_along() -> None:
    """Nobody knows what it had in flight: rather too few calls than one too many."""
    endpoint = FakeEndpoint(takes_s=0.001)
    outcome = spread_out(
        FakeWorkers(endpoint, dies=lambda batch, told: told == 3 and not batch.deaths), make_cases(60), max_calls=40
    )
    assert len(endpoint.asked) <= 40 and outcome.stopped is not None


def test_the_budget_is_kept_by_all_workers_together() -> None:
    """Each answer costs a cent: twenty cents are twenty answers, and those in flight before the price was known."""
    endpoint = FakeEndpoint(takes_s=0.001)
    outcome = spread_out(FakeWorkers(endpoint), make_cases(200), budget_usd=0.2)
    assert outcome.stopped is not None and outcome.stopped.startswith("budget of $0.2 spent")
    assert 18 <= len(endpoint.asked) <= 24


def test_what_a_journal_holds_is_not_called_again(tmp_path: Path) -> None:
    """Scored results are taken; answered ones are judged again by a worker; the rest is called."""
    answered = make_failed("case-0003", stage=Stage.SCORER, output=make_output("4", cost_usd=0.01))
    with Journal.create(tmp_path / "j.jsonl", HEADER) as journal:
        spread_out(FakeWorkers(FakeEndpoint()), make_cases(3), journal=journal)
        journal.write(answered)
    endpoint = FakeEndpoint()
    journal, kept = resumed(tmp_path / "j.jsonl")
    with journal:
        outcome = spread_out(FakeWorkers(endpoint), make_cases(5), journal=journal)
    assert (len(kept), len(outcome.results), outcome.usage.calls) == (4, 5, 5)
    assert endpoint.asked == [("case-0004", 1)]
    assert not any(isinstance(result, Failed) for result in outcome.results)


def test_an_answer_outlives_the_worker_that_was_having_it_judged(tmp_path: Path) -> None:
    """Another worker has it judged; nobody asks for it again, and it counts once, in the journal too."""
    endpoint = FakeEndpoint()
    judge = FakeScorer(is_async=True, takes_s=0.01)
    workers = FakeWorkers(endpoint, count=1, scorer=judge, dies=lambda batch, told: batch.deaths == 0 and told == 1)
    with Journal.create(tmp_path / "j.jsonl", HEADER) as journal:
        outcome = spread_out(workers, make_cases(1), journal=journal)
    assert (len(workers.batches), endpoint.asked) == (2, [("case-0000", 1)])
    assert isinstance(outcome.results[0], Scored)
    assert (outcome.usage.calls, outcome.usage.cost_usd) == (1, 0.01)
    journal, (result,) = resumed(tmp_path / "j.jsonl")
    journal.close()
    assert (journal.used.calls, isinstance(result, Scored)) == (1, True)


def test_what_was_answered_before_is_only_judged_and_what_is_new_is_kept() -> None:
    """The cache stays where the run was started: workers are given the answers, and give theirs."""
    known = {"case-0001": make_output("4", cached=True), "case-0002": make_output("5", cached=True)}
    kept: list[tuple[str, int, str | None]] = []
    endpoint = FakeEndpoint()
    outcome = spread_out(
        FakeWorkers(endpoint),
        make_cases(5),
        recall=lambda case, epoch: known.get(case.id),
        keep=lambda case, epoch, output: kept.append((case.id, epoch, output.text)),
    )
    assert sorted(case for case, _ in endpoint.asked) == ["case-0000", "case-0003", "case-0004"]
    assert sorted(kept) == [("case-0000", 1, "4"), ("case-0003", 1, "4"), ("case-0004", 1, "4")]
    assert [getattr(result, "score", None) for result in outcome.results] == [1, 1, 0, 1, 1]
    assert (outcome.usage.calls, outcome.usage.calls_saved) == (3, 2)


def test_an_endpoint_that_is_not_there_ends_the_run() -> None:
    """The first worker that finds out is enough."""

    def refuse(request: Request, attempt: int) -> Output:
        raise CallError(CallFault.CREDENTIALS, "401: bad key")

    outcome = spread_out(FakeWorkers(FakeEndpoint(refuse)), make_cases(400))
    assert outcome.stopped is not None and outcome.stopped.startswith("the endpoint refuses every call: 401: bad key")


def test_the_deadline_ends_all_workers() -> None:
    """Whatever they are doing."""
    outcome = spread_out(FakeWorkers(FakeEndpoint(takes_s=60)), make_cases(9), deadline_s=0.1)
    assert outcome.stopped is not None and outcome.stopped.startswith("deadline of 0.1 s reached")
    assert not outcome.interrupted


def test_what_no_worker_would_do_better_is_raised() -> None:
    """Other files on a worker's machine are the user's to mend."""

    class Elsewhere:
        count = 2

        async def run(self, batch: Batch) -> AsyncGenerator[Sequence[Told]]:
            raise InputError("worker on b: another version")
            yield []

    with pytest.raises(InputError, match="another version"):
        spread_out(Elsewhere(), make_cases(9))
