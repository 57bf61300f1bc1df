"""A plan times an endpoint and scorers: what becomes of each case, and what ends a run."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from pathlib import Path

import pytest
from builders import make_case, make_output
from runner_fakes import HEADER, FakeEndpoint, FakeScorer, FakeTime, Watcher, go, make_cases

from evalgate.errors import HOPELESS, RETRYABLE, CallError, CallFault, InputError, ScorerError
from evalgate.records import Case, Failed, Output, Request, Result, Scored, Stage
from evalgate.runner.allowance import Allowance
from evalgate.runner.journal import Journal


def only(results: tuple[Result, ...]) -> Result:
    (result,) = results
    return result


def failing(fault: CallFault, message: str = "it said no", retry_after_s: float | None = None) -> FakeEndpoint:
    def answer(request: Request, attempt: int) -> Output:
        raise CallError(fault, message, retry_after_s=retry_after_s)

    return FakeEndpoint(answer)


def failing_first(times: int, fault: CallFault, retry_after_s: float | None = None) -> FakeEndpoint:
    def answer(request: Request, attempt: int) -> Output:
        if attempt <= times:
            raise CallError(fault, "not yet", retry_after_s=retry_after_s)
        return make_output(cost_usd=0.01)

    return FakeEndpoint(answer)


# ---- the plain way ----


def test_every_planned_case_and_epoch_has_exactly_one_result() -> None:
    """Sorted, and the run says that it was not stopped."""
    endpoint = FakeEndpoint()
    outcome = asyncio.run(go(7, epochs=3, endpoint=endpoint, concurrency=4))
    expected = [(case.id, epoch) for case in make_cases(7) for epoch in (1, 2, 3)]
    assert [(result.case_id, result.epoch) for result in outcome.results] == expected
    assert sorted(endpoint.asked) == expected
    assert outcome.stopped is None
    assert not outcome.interrupted


def test_no_more_calls_are_in_flight_than_allowed() -> None:
    """And as many as allowed are: the bound is a bound, not a crawl."""
    endpoint = FakeEndpoint(takes_s=0.002)
    asyncio.run(go(60, endpoint=endpoint, concurrency=7))
    assert endpoint.most_active == 7


def test_a_case_has_no_task_of_its_own() -> None:
    """A run of many cases has as many tasks as calls in flight."""
    seen: list[int] = []

    def answer(request: Request, attempt: int) -> Output:
        seen.append(len(asyncio.all_tasks()))
        return make_output()

    asyncio.run(go(500, endpoint=FakeEndpoint(answer), concurrency=5))
    assert max(seen) <= 5 + 1


def test_scores_are_weighted() -> None:
    """Three quarters of the weight say 1, one quarter says 0."""
    scorers = [FakeScorer(name="a", weight=3), FakeScorer(lambda case, output: 0.0, name="b", is_async=True)]
    result = only(asyncio.run(go(1, scorers=scorers)).results)
    assert isinstance(result, Scored)
    assert result.score == 0.75
    assert [score.scorer for score in result.scores] == ["a", "b"]


def test_usage_is_the_sum_of_the_answers() -> None:
    """Calls are attempts, answers from a cache are saved ones."""

    def answer(request: Request, attempt: int) -> Output:
        if request.case.id == "case-0000":
            return make_output(cached=True, cost_usd=None)
        if attempt == 1:
            raise CallError(CallFault.SERVER, "500")
        return make_output(tokens_in=10, tokens_out=2, cost_usd=0.25)

    usage = asyncio.run(go(3, endpoint=FakeEndpoint(answer))).usage
    assert (usage.calls, usage.calls_saved) == (4, 1)
    assert (usage.tokens_in, usage.tokens_out, usage.cost_usd) == (20, 4, 0.5)
    assert usage.wall_s is not None


def test_one_unknown_price_makes_the_sum_unknown() -> None:
    """A sum of some would look like a price."""

    def answer(request: Request, attempt: int) -> Output:
        return make_output(cost_usd=None if request.case.id == "case-0001" else 0.25, tokens_in=1)

    usage = asyncio.run(go(3, endpoint=FakeEndpoint(answer))).usage
    assert usage.cost_usd is None
    assert usage.tokens_in == 3


def test_calls_that_were_all_in_vain_have_no_known_price() -> None:
    """Unknown is None and never 0."""
    usage = asyncio.run(go(1, endpoint=failing(CallFault.BAD_ANSWER))).usage
    assert usage.calls == 1
    assert usage.cost_usd is None


# ---- failed results are values ----


def test_a_case_that_cannot_be_rendered_is_not_asked() -> None:
    """Failed in the stage `render`, with nothing spent."""

    def broken(case: Case, epoch: int) -> Request:
        raise InputError("the template names 'colour', which this case has not")

    endpoint = FakeEndpoint()
    result = only(asyncio.run(go(1, endpoint=endpoint, render=broken)).results)
    assert isinstance(result, Failed)
    assert (result.stage, result.attempts, endpoint.asked) == (Stage.RENDER, 0, [])
    assert "colour" in result.cause


@pytest.mark.parametrize("fault", sorted(CallFault))
def test_each_fault_is_retried_if_that_may_help_and_then_told(fault: CallFault) -> None:
    """Faults that are answers are asked once; the cause is what the endpoint said."""
    endpoint = failing(fault, "the endpoint said no")
    result = only(asyncio.run(go(1, endpoint=endpoint, max_retries=3, time=FakeTime())).results)
    attempts = 4 if fault in RETRYABLE else 1
    assert isinstance(result, Failed)
    assert (result.stage, result.attempts, len(endpoint.asked)) == (Stage.ENDPOINT, attempts, attempts)
    assert "the endpoint said no" in result.cause


def test_a_call_that_succeeds_at_last_is_scored() -> None:
    """The attempts are remembered, the retries are told to the progress."""
    watcher = Watcher()
    endpoint = failing_first(2, CallFault.SERVER)
    result = only(asyncio.run(go(1, endpoint=endpoint, progress=watcher)).results)
    assert isinstance(result, Scored)
    assert result.attempts == 3
    assert [fault for fault, _ in watcher.retries] == [CallFault.SERVER] * 2


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        ScorerError("no reference"),
        ScorerError("scorer mine: no reference"),
        KeyError("colour"),
        CallError(CallFault.CODE, "no"),
    ],
)
def test_a_broken_scorer_is_no_zero(error: Exception, is_async: bool) -> None:
    """Failed with the answer kept and the scorer named; the other scorers' judgements do not stand in for it."""

    def broken(case: Case, output: Output) -> float:
        raise error

    scorers = [FakeScorer(), FakeScorer(broken, name="mine", is_async=is_async)]
    result = only(asyncio.run(go(1, scorers=scorers)).results)
    assert isinstance(result, Failed)
    assert result.stage is Stage.SCORER
    assert result.output == make_output(cost_usd=0.01)
    assert result.cause.count("mine") == 1
    assert str(error) in result.cause


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.1, math.inf])
def test_a_value_outside_the_scale_is_no_score(value: float) -> None:
    """It would bend the mean of its whole category."""
    result = only(asyncio.run(go(1, scorers=[FakeScorer(lambda case, output: value)])).results)
    assert isinstance(result, Failed)
    assert "[0, 1]" in result.cause


def test_a_case_without_a_scorer_is_no_success() -> None:
    """Nothing judged it, so nothing is known."""
    result = only(asyncio.run(go(1, scorers=[])).results)
    assert isinstance(result, Failed)
    assert result.stage is Stage.SCORER


def test_a_judge_that_stumbles_is_asked_again() -> None:
    """The answer is paid for; a rate limit of the judge's endpoint does not throw it away."""
    tries: list[int] = []

    def stumbling(case: Case, output: Output) -> float:
        tries.append(1)
        if len(tries) < 3:
            raise CallError(CallFault.RATE_LIMITED, "slowly")
        return 1.0

    endpoint = FakeEndpoint()
    result = only(asyncio.run(go(1, endpoint=endpoint, scorers=[FakeScorer(stumbling, is_async=True)])).results)
    assert isinstance(result, Scored)
    assert len(endpoint.asked) == 1


def test_an_endpoint_that_breaks_inside_fails_its_case_and_tells_no_secret() -> None:
    """What an unexpected exception says may hold a key that only the endpoint knows how to mask: the place is told."""

    def broken(request: Request, attempt: int) -> Output:
        if request.case.id == "case-0000":
            raise RuntimeError("could not post with key sk-123")
        return make_output()

    results = asyncio.run(go(2, endpoint=FakeEndpoint(broken))).results
    failed = results[0]
    assert isinstance(failed, Failed)
    assert "RuntimeError at test_runner_run.py:" in failed.cause
    assert "sk-123" not in failed.cause
    assert isinstance(results[1], Scored)


def test_a_call_that_is_cancelled_from_inside_is_a_failed_result() -> None:
    """It must not silently end the worker that made it, and with it the run."""

    def cancelled(request: Request, attempt: int) -> Output:
        raise asyncio.CancelledError

    outcome = asyncio.run(go(3, endpoint=FakeEndpoint(cancelled), concurrency=1))
    assert len(outcome.results) == 3
    assert all(isinstance(result, Failed) for result in outcome.results)


# ---- time ----


def test_a_call_that_takes_too_long_is_cancelled_and_made_again() -> None:
    """The time-out bounds one attempt; what it interrupts does not go on in the dark."""
    endpoint = FakeEndpoint(takes_s=60)
    result = only(asyncio.run(go(1, endpoint=endpoint, timeout_s=0.01, max_retries=2)).results)
    assert isinstance(result, Failed)
    assert (endpoint.cancelled, endpoint.active, result.attempts) == (3, 0, 3)
    assert "no answer within 0.01 s" in result.cause


def test_a_judge_that_hangs_does_not_hang_the_run() -> None:
    """The time-out holds for asynchronous scorers too."""
    outcome = asyncio.run(go(1, scorers=[FakeScorer(is_async=True, takes_s=60)], timeout_s=0.01, max_retries=0))
    result = only(outcome.results)
    assert isinstance(result, Failed)
    assert result.stage is Stage.SCORER
    assert result.output is not None


def test_waits_double_up_to_a_bound_and_are_random() -> None:
    """Full jitter: each wait lies between 0 and its bound, and not always at the same place."""
    time = FakeTime()
    asyncio.run(go(1, endpoint=failing(CallFault.SERVER), time=time, max_retries=8, backoff_s=0.5, backoff_max_s=4))
    bounds = [0.5, 1, 2, 4, 4, 4, 4, 4]
    assert len(time.sleeps) == len(bounds)
    assert all(0 <= wait <= bound for wait, bound in zip(time.sleeps, bounds, strict=True))
    assert len(set(time.sleeps)) > 1


def test_a_wait_that_the_endpoint_asks_for_is_kept() -> None:
    """`Retry-After: 20` means 20 s and a little, not the back-off of half a second."""
    time = FakeTime()
    endpoint = failing_first(1, CallFault.RATE_LIMITED, retry_after_s=20)
    result = only(asyncio.run(go(1, endpoint=endpoint, time=time, backoff_s=0.5)).results)
    assert isinstance(result, Scored)
    assert 20 <= time.now - 1000 <= 20 + 20.5


@pytest.mark.parametrize(("asked_s", "deadline_s", "word"), [(90, 60, "deadline"), (86400, None, "quota")])
def test_a_wait_that_cannot_be_kept_fails_at_once(asked_s: float, deadline_s: float | None, word: str) -> None:
    """Nobody waits for tomorrow's quota, or for a moment beyond the deadline."""
    time = FakeTime()
    endpoint = failing(CallFault.RATE_LIMITED, retry_after_s=asked_s)
    result = only(asyncio.run(go(1, endpoint=endpoint, time=time, deadline_s=deadline_s)).results)
    assert isinstance(result, Failed)
    assert result.attempts == 1
    assert word in result.cause
    assert sum(time.sleeps) == 0


def test_the_deadline_cancels_what_is_in_flight() -> None:
    """What was finished stays, what was not has no result, and the run says so."""

    class Slow(FakeEndpoint):
        async def call(self, request: Request) -> Output:
            self._takes_s = 60 if request.case.id > "case-0003" else 0
            return await super().call(request)

    endpoint = Slow()
    outcome = asyncio.run(go(9, endpoint=endpoint, deadline_s=0.3, concurrency=3))
    assert [result.case_id for result in outcome.results] == [f"case-000{n}" for n in range(4)]
    assert (endpoint.cancelled, endpoint.active) == (3, 0)
    assert outcome.stopped == "deadline of 0.3 s reached, after 4 of 9 results"
    assert not outcome.interrupted


def test_the_deadline_also_ends_a_run_that_never_waits() -> None:
    """An endpoint that answers at once leaves the loop no time for alarms."""
    time = FakeTime()

    def answer(request: Request, attempt: int) -> Output:
        time.now += 1
        return make_output()

    outcome = asyncio.run(go(50, endpoint=FakeEndpoint(answer), time=time, deadline_s=10, concurrency=1))
    assert len(outcome.results) == 10
    assert "deadline of 10 s" in str(outcome.stopped)


def test_the_deadline_does_not_wait_for_a_pause() -> None:
    """A worker that waits for its next attempt is woken."""
    endpoint = failing(CallFault.SERVER)
    outcome = asyncio.run(go(1, endpoint=endpoint, backoff_s=1e6, backoff_max_s=1e6, deadline_s=0.05))
    assert outcome.results == ()
    assert "deadline" in str(outcome.stopped)


# ---- money ----


def test_a_spent_budget_ends_the_run() -> None:
    """Calls in flight are finished, since they are paid for; no other begins."""
    endpoint = FakeEndpoint(takes_s=0.001)
    outcome = asyncio.run(go(100, endpoint=endpoint, budget_usd=0.10, concurrency=4))
    assert 10 <= len(outcome.results) <= 13
    assert endpoint.cancelled == 0
    assert outcome.stopped == f"budget of $0.10 spent, after {len(outcome.results)} of 100 results"
    assert outcome.usage.cost_usd == pytest.approx(0.01 * len(outcome.results))


def test_a_budget_that_is_spent_by_the_last_call_stops_nothing() -> None:
    """The plan is done: nothing is missing."""
    outcome = asyncio.run(go(10, budget_usd=0.10, concurrency=1))
    assert (len(outcome.results), outcome.stopped) == (10, None)


def test_a_budget_that_cannot_be_watched_is_told() -> None:
    """An unknown price is not a price of 0: the run says that its budget was not held, and what to do."""
    endpoint = FakeEndpoint(lambda request, attempt: make_output(cost_usd=None))
    outcome = asyncio.run(go(50, endpoint=endpoint, budget_usd=1.0, concurrency=1))
    assert (len(outcome.results), outcome.stopped, outcome.usage.cost_usd) == (50, None, None)
    assert "run.budget_usd" in outcome.notes[0] and "price" in outcome.notes[0]


def test_a_budget_watches_the_prices_that_are_known() -> None:
    """One answer without a price does not switch the budget off."""
    prices = {"case-0000": None}
    endpoint = FakeEndpoint(lambda request, attempt: make_output(cost_usd=prices.get(request.case.id, 0.5)))
    outcome = asyncio.run(go(50, endpoint=endpoint, budget_usd=1.0, concurrency=1))
    assert str(outcome.stopped).startswith("budget of $1.00 spent")
    assert outcome.notes


def test_a_spent_budget_does_not_wait_for_a_pause() -> None:
    """A worker that waits for its next attempt would make a call that is not wanted any more."""

    def answer(request: Request, attempt: int) -> Output:
        if request.case.id == "case-0000":
            raise CallError(CallFault.SERVER, "500")
        return make_output(cost_usd=1.0)

    endpoint = FakeEndpoint(answer)
    outcome = asyncio.run(go(9, endpoint=endpoint, budget_usd=2, concurrency=1, backoff_s=1e6, backoff_max_s=1e6))
    assert [result.case_id for result in outcome.results] == ["case-0001", "case-0002"]
    assert "budget of $2.00" in str(outcome.stopped)


def test_a_call_that_fails_after_the_budget_is_spent_is_not_made_again() -> None:
    """Nor is its pause waited for: the run is over when what is in flight is."""

    class Late(FakeEndpoint):
        async def call(self, request: Request) -> Output:
            self._takes_s = 0.02 if request.case.id == "case-0000" else 0
            return await super().call(request)

    def answer(request: Request, attempt: int) -> Output:
        if request.case.id == "case-0000":
            raise CallError(CallFault.SERVER, "500")
        return make_output(cost_usd=1.0)

    endpoint = Late(answer)
    outcome = asyncio.run(go(9, endpoint=endpoint, budget_usd=2, concurrency=2, backoff_s=1e6, backoff_max_s=1e6))
    assert endpoint.asked.count(("case-0000", 1)) == 1
    assert [result.case_id for result in outcome.results] == ["case-0001", "case-0002"]


def test_what_is_overspent_does_not_grow_with_the_calls_in_flight() -> None:
    """Once a price is known, a call begins only while the budget is expected to bear it beside the others."""
    outcome = asyncio.run(go(500, endpoint=FakeEndpoint(takes_s=0.001), budget_usd=1.0, concurrency=64))
    assert 0.99 <= (outcome.usage.cost_usd or 0) <= 1.0 + 1e-9
    assert str(outcome.stopped).startswith("budget of $1.00 spent")


class Rationed(FakeEndpoint):
    """Fails every other time, and asks before each attempt whether there is one left."""

    def __init__(self, most: int) -> None:
        super().__init__(self.answer_in_turn, takes_s=0.001)
        self.allowance = Allowance(most)

    def answer_in_turn(self, request: Request, attempt: int) -> Output:
        if attempt % 2:
            raise CallError(CallFault.SERVER, "500")
        return make_output()

    async def call(self, request: Request) -> Output:
        self.allowance.take()
        return await super().call(request)


def test_retries_count_against_the_limit_of_calls(tmp_path: Path) -> None:
    """Also those of cases that come to no result: whoever goes on with the run knows of them."""
    endpoint = Rationed(25)
    with Journal.create(tmp_path / "j.jsonl", HEADER) as journal:
        outcome = asyncio.run(go(100, endpoint=endpoint, journal=journal, concurrency=8))
    assert len(endpoint.asked) == outcome.usage.calls == 25
    assert outcome.stopped == f"call limit of 25 reached, after {len(outcome.results)} of 100 results"
    with Journal.resume(tmp_path / "j.jsonl", HEADER) as again:
        assert again.used.requests == 25


def test_answers_from_a_cache_do_not_use_the_budget() -> None:
    """They have no price, and need none."""
    endpoint = FakeEndpoint(lambda request, attempt: make_output(cached=True))
    outcome = asyncio.run(go(20, endpoint=endpoint, budget_usd=0.01))
    assert outcome.stopped is None
    assert (outcome.usage.calls, outcome.usage.calls_saved, outcome.usage.cost_usd) == (0, 20, 0.0)


# ---- endpoints that are not there ----


@pytest.mark.parametrize("fault", sorted(HOPELESS))
def test_a_refused_key_or_a_wrong_model_ends_the_run_at_once(fault: CallFault) -> None:
    """Every further case would meet it too."""
    endpoint = failing(fault, "no such model: small-chat-9")
    outcome = asyncio.run(go(500, endpoint=endpoint, concurrency=2))
    assert len(endpoint.asked) <= 2
    assert "refuses every call: no such model: small-chat-9" in str(outcome.stopped)


def test_one_refusal_after_answers_is_a_failed_result() -> None:
    """A case that the endpoint does not know is that case's fault."""

    def answer(request: Request, attempt: int) -> Output:
        if request.case.id == "case-0005":
            raise CallError(CallFault.NOT_FOUND, "no such document")
        return make_output()

    outcome = asyncio.run(go(10, endpoint=FakeEndpoint(answer), concurrency=1))
    assert outcome.stopped is None
    assert Counter(type(result) for result in outcome.results) == {Scored: 9, Failed: 1}


@pytest.mark.parametrize("fault", [CallFault.CONNECTION, CallFault.SERVER, CallFault.BAD_ANSWER])
def test_an_endpoint_that_never_answers_ends_the_run(fault: CallFault) -> None:
    """Rather than retrying for hours: after max(8, concurrency) failed results and none other."""
    endpoint = failing(fault, "connection refused")
    outcome = asyncio.run(go(1000, endpoint=endpoint, concurrency=10, max_retries=2, time=FakeTime()))
    assert len(outcome.results) == 10
    assert "the first 10 calls all failed; the last: connection refused" in str(outcome.stopped)


def test_an_endpoint_that_goes_away_ends_the_run() -> None:
    """Many failures in a row, after answers, say the same."""

    def answer(request: Request, attempt: int) -> Output:
        if request.case.id >= "case-0020":
            raise CallError(CallFault.CONNECTION, "connection refused")
        return make_output()

    endpoint = FakeEndpoint(answer)
    outcome = asyncio.run(go(1000, endpoint=endpoint, concurrency=2, max_retries=1, time=FakeTime()))
    assert len(outcome.results) == 20 + 64
    assert "has gone: 64 calls in a row failed" in str(outcome.stopped)


def test_a_flaky_endpoint_does_not_end_the_run() -> None:
    """Every second call fails for good: that is for the gate's error rate to judge."""

    def answer(request: Request, attempt: int) -> Output:
        if int(request.case.id[-1]) % 2:
            raise CallError(CallFault.BAD_ANSWER, "no JSON")
        return make_output()

    outcome = asyncio.run(go(400, endpoint=FakeEndpoint(answer), concurrency=2))
    assert (len(outcome.results), outcome.stopped) == (400, None)


# ---- odds and ends ----


def test_progress_hears_of_every_result_and_of_the_end() -> None:
    """Also when the run is stopped."""
    watcher = Watcher()
    asyncio.run(go(9, progress=watcher, budget_usd=0.03, concurrency=1))
    assert (watcher.started, len(watcher.results), watcher.stops) == ([(9, 0)], 3, 1)


def test_a_plan_without_cases_makes_no_results_and_no_claims() -> None:
    """An empty run is complete; whether it may pass is not the runner's to say."""
    outcome = asyncio.run(go(0))
    assert (outcome.results, outcome.stopped) == ((), None)


def test_a_fault_of_ours_is_not_hidden() -> None:
    """What is neither the endpoint's nor a scorer's nor a template's fault ends the run with its exception."""

    class Broken(Watcher):
        def advance(self, result: Result) -> None:
            raise ZeroDivisionError

    watcher = Broken()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(go(5, progress=watcher))
    assert watcher.stops == 1


def test_cancelling_the_run_leaves_nothing_behind() -> None:
    """Whoever runs us inside a larger program can stop us."""
    endpoint = FakeEndpoint(takes_s=60)

    async def scenario() -> int:
        task = asyncio.create_task(go([make_case(f"c{n}") for n in range(5)], endpoint=endpoint))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1
    assert (endpoint.cancelled, endpoint.active) == (5, 0)
