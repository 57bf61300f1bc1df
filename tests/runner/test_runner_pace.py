"""How the runner meets endpoints that are healthy but slow, strict, flaky or away: simulated, in virtual time."""

from __future__ import annotations

import asyncio
import random
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_fakes import FakeScorer, go, render
from servers import (
    Announcing,
    AnnouncingWindow,
    Bucket,
    Longer,
    Moody,
    Outage,
    Second,
    Server,
    Slots,
    Sometimes,
    Window,
    share_of,
)
from virtual_time import LoopTime, elapsed_s, run_virtually

from evalgate.errors import CallFault
from evalgate.records import Case, Output, Remaining, Score, Scored
from evalgate.runner.buckets import Bucket as Amount
from evalgate.runner.buckets import least_s
from evalgate.runner.pace import Pace
from evalgate.runner.paced import Paced
from evalgate.runner.run import Outcome


def simulated(
    server: Server, cases: int, *, concurrency: int = 64, pace: Pace | None = None, **limits: Any
) -> tuple[Outcome, float]:
    """A run against a server, and the seconds that it took."""
    paced = Paced(server, pace or Pace(concurrency))
    scorers = [FakeScorer(lambda case, output: 1.0)]
    limits = {"backoff_s": 0.5, **limits}
    rng = random.Random(1)
    main = go(cases, endpoint=paced, time=LoopTime(), concurrency=concurrency, scorers=scorers, rng=rng, **limits)
    return run_virtually(main)


def scored(outcome: Outcome) -> int:
    return sum(isinstance(result, Scored) for result in outcome.results)


# ---- nobody is slowed down without need ----


@pytest.mark.parametrize("sigma", [0.0, 1.0])
@pytest.mark.parametrize("concurrency", [1, 64, 256])
def test_a_server_that_bears_all_calls_is_never_waited_for(concurrency: int, sigma: float) -> None:
    """The time is that of the answers, whatever their lengths."""
    free, took_s = simulated(Server(sigma=sigma), 1000, concurrency=concurrency)
    unpaced = go(1000, endpoint=Server(sigma=sigma), time=LoopTime(), concurrency=concurrency, scorers=[FakeScorer()])
    assert scored(free) == 1000
    assert took_s == pytest.approx(run_virtually(unpaced)[1])


def test_refusals_now_and_then_cost_their_own_calls_a_pause_and_no_other() -> None:
    """A tenth is told to wait a second: together they wait a second, not a hundred."""
    server = Sometimes(lambda case: CallFault.RATE_LIMITED if share_of(case) < 0.1 else None, retry_after_s=1)
    outcome, took_s = simulated(server, 1000)
    assert scored(outcome) == 1000
    assert server.refusals > 80
    assert took_s <= 1.5 * 0.8 + 1 + 0.5
    assert server.most_active <= 64


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("share", [0.2, 0.3])
def test_refusals_that_do_not_come_of_the_rate_do_not_hold_it_for_long(share: float, seed: int) -> None:
    """Slower is not better there: the rate used to fall with every round, down to a call in two seconds."""
    outcome, took_s = simulated(Moody(share, seed=seed), 300)
    assert scored(outcome) == 300
    assert took_s <= 30


def test_errors_and_lost_connections_now_and_then_do_not_narrow() -> None:
    """5 % of errors and 2 % of resets: the run takes hardly longer than without."""

    def fault_of(case: str) -> CallFault | None:
        share = share_of(case)
        return CallFault.SERVER if share < 0.05 else CallFault.CONNECTION if share < 0.07 else None

    outcome, took_s = simulated(Sometimes(fault_of), 1000)
    assert scored(outcome) == 1000
    assert took_s <= 1.5 * 0.8 + 0.5


# ---- limits are found and used ----


@pytest.mark.parametrize(
    ("server", "cases", "best_s", "within"),
    [
        (lambda: Bucket(rate=500, burst=5, takes_s=0.002), 2000, 4, 1.6),
        (lambda: Bucket(rate=100, burst=10), 1000, 10, 1.1),
        (lambda: Bucket(rate=10, burst=10), 300, 29, 1.2),
        (lambda: Bucket(rate=10, burst=10, retry_after_s=1), 300, 29, 1.2),
        (lambda: Bucket(rate=10, burst=10, takes_s=2), 1000, 101, 1.1),
        (lambda: Bucket(rate=10, burst=600, takes_s=2), 1000, 42, 1.1),
        (lambda: Window(count=100, every_s=20, takes_s=0.5), 1000, 181, 1.1),
        (lambda: Window(count=600, every_s=60, takes_s=1), 1000, 67, 1.1),
        (lambda: Slots(slots=8), 1000, 6.25, 1.05),
        (lambda: Slots(slots=8, sigma=1.0), 1000, 6.25, 1.1),
    ],
)
def test_a_limit_costs_the_time_that_it_costs_and_no_result(
    server: Any, cases: int, best_s: float, within: float
) -> None:
    """Rates from 10 to 500 a second, buckets and windows, short and long answers: found within moments, then used."""
    found = server()
    outcome, took_s = simulated(found, cases)
    assert scored(outcome) == cases
    assert took_s <= within * best_s
    assert found.refusals <= 0.55 * cases


@pytest.mark.parametrize(("count", "best_s"), [(5, 8), (10, 4), (30, 1.2)])
@pytest.mark.parametrize("concurrency", [16, 64])
def test_a_small_run_takes_less_than_twice_what_the_limit_costs_it(count: int, best_s: float, concurrency: int) -> None:
    """42 cases: refused at the very beginning, when nothing is known but the answers of a moment."""
    server = Second(count=count, retry_after_s=1)
    outcome, took_s = simulated(server, 42, concurrency=concurrency)
    assert scored(outcome) == 42
    assert took_s <= 1.5 * best_s


def test_one_call_a_second_loses_nothing() -> None:
    """Far below what one call at a time would give."""
    outcome, took_s = simulated(Bucket(rate=1, burst=1), 60)
    assert scored(outcome) == 60
    assert took_s <= 120


# ---- what the provider says, and what the user allows ----


@pytest.mark.parametrize(
    ("server", "best_s"),
    [
        (lambda: Announcing(rate=10, burst=10, takes_s=2), 101),
        (lambda: Announcing(rate=10, burst=600, takes_s=2), 42),
        (lambda: AnnouncingWindow(count=600, every_s=60, takes_s=1), 67),
    ],
)
def test_a_limit_that_is_told_is_kept_and_hardly_anybody_is_refused(server: Any, best_s: float) -> None:
    """What is left is known before it is used up; only those that begin together at first may not know it."""
    found, pace = server(), Pace(64)
    found.told = pace.told
    outcome, took_s = simulated(found, 1000, pace=pace)
    assert scored(outcome) == 1000
    assert took_s <= 1.1 * best_s
    assert found.refusals <= 64


def test_a_limit_that_is_whole_only_much_later_is_not_waited_for() -> None:
    """Nothing left today: the provider is to say so itself, by refusing."""

    async def scenario() -> bool:
        pace = Pace(64)
        pace.told([Remaining(unit="requests", left=0, reset_s=7200, limit=200)])
        return pace.take()

    assert run_virtually(scenario())[0]


@given(
    a_minute=st.integers(1, 400),
    concurrency=st.integers(1, 100),
    takes_s=st.floats(0.001, 3),
    cases=st.integers(1, 300),
)
@settings(max_examples=25, deadline=None)
def test_no_more_requests_begin_in_any_minute_than_allowed(
    a_minute: int, concurrency: int, takes_s: float, cases: int
) -> None:
    """In every 60 s, not only in those of the clock."""
    server = Server(takes_s=takes_s)
    pace = Pace(concurrency, requests_per_minute=a_minute)
    outcome, took_s = simulated(server, cases, concurrency=concurrency, pace=pace, deadline_s=None)
    assert scored(outcome) == cases
    begun = sorted(server.begun_at)
    for first, last in zip(begun, begun[a_minute:], strict=False):
        assert last - first >= 60 - 1e-6
    assert took_s <= 60 * cases / (0.9 * a_minute) + cases * takes_s / min(concurrency, cases) + takes_s + 1


def test_tokens_of_a_minute_are_kept_by_the_mean_of_those_before() -> None:
    """110 tokens a call and 6,600 a minute: 60 calls. The first goes alone, since nobody knows what it will use."""
    server = Server(takes_s=0.5)
    outcome, took_s = simulated(server, 180, pace=Pace(64, tokens_per_minute=6600))
    assert scored(outcome) == 180
    begun = sorted(server.begun_at)
    assert begun[1] >= 0.5
    assert all(last - first >= 59 for first, last in zip(begun, begun[61:], strict=False))
    assert took_s <= 1.2 * 180


# ---- answers that take longer ----


def widths_of(server: Server, cases: int) -> tuple[Outcome, float, float]:
    """A run, the seconds that it took, and the width that it ended with."""
    pace = Pace(64)
    outcome, took_s = simulated(server, cases, pace=pace, deadline_s=None)
    return outcome, took_s, pace.width


def mean_latency_s(outcome: Outcome) -> float:
    return statistics.fmean(result.output.latency_s or 0 for result in outcome.results if result.output)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sigma", [0.0, 0.5, 1.0])
def test_a_queue_at_the_server_is_shortened_and_no_answer_comes_later(sigma: float, seed: int) -> None:
    """Eight at a time, 64 in flight: hardly slower than without any pace, and answers have waited for less."""
    paced, took_s, width = widths_of(Slots(slots=8, takes_s=1, sigma=sigma, seed=seed), 1000)
    server = Slots(slots=8, takes_s=1, sigma=sigma, seed=seed)
    main = go(1000, endpoint=server, time=LoopTime(), concurrency=64, scorers=[FakeScorer()], deadline_s=None)
    free, free_s = run_virtually(main)
    assert took_s <= free_s / 0.95
    assert 8 <= width < 60
    assert mean_latency_s(paced) < 0.85 * mean_latency_s(free)


@pytest.mark.parametrize(("sigma", "within"), [(0.0, 1.0), (0.5, 1.05), (1.0, 1.05), (1.5, 1.05)])
def test_answers_of_different_lengths_are_no_queue(sigma: float, within: float) -> None:
    """Where they are all alike nothing is tried at all; where they are not, a trial costs a round."""
    _, took_s, width = widths_of(Server(takes_s=1, sigma=sigma), 2000)
    main = go(2000, endpoint=Server(takes_s=1, sigma=sigma), time=LoopTime(), scorers=[FakeScorer()], deadline_s=None)
    assert took_s <= within * run_virtually(main)[1] + 1e-6
    assert width == 64


@pytest.mark.parametrize("factor", [1.5, 3])
def test_cases_that_take_longer_are_no_queue(factor: float) -> None:
    """Half way the answers become longer: narrower is tried, does not help, and is taken back."""
    _, took_s, width = widths_of(Longer(20, factor, takes_s=1, sigma=0.5), 2000)
    main = go(
        2000,
        endpoint=Longer(20, factor, takes_s=1, sigma=0.5),
        time=LoopTime(),
        scorers=[FakeScorer()],
        deadline_s=None,
    )
    assert took_s <= 1.1 * run_virtually(main)[1]
    assert width == 64


def test_an_overloaded_server_is_given_fewer_calls_until_it_answers_in_time() -> None:
    """Eight at a time take 3 s each; 64 at once would all run into the time-out, again and again."""
    outcome, _ = simulated(Slots(slots=8, takes_s=3), 200, timeout_s=10)
    assert scored(outcome) == 200


# ---- a server that is away ----


@pytest.mark.parametrize("fault", [CallFault.CONNECTION, CallFault.SERVER])
def test_a_server_that_restarts_costs_its_absence_and_no_result(fault: CallFault) -> None:
    """64 calls in flight, twelve seconds of nothing: more than the back-off of any call would bridge."""
    server = Outage(2, 14, fault)
    outcome, took_s = simulated(server, 1000)
    assert scored(outcome) == 1000
    assert server.asked < 1000 + 64
    assert took_s <= 1.25 * (16 + 12)


def test_a_server_that_does_not_come_back_ends_the_run() -> None:
    """Sparing it has an end."""
    outcome, took_s = simulated(Outage(2, 1e9, CallFault.CONNECTION), 5000)
    assert "has gone" in str(outcome.stopped)
    assert took_s < 300


@pytest.mark.parametrize("cases", [1, 3, 1000])
def test_an_address_where_nobody_is_is_told_within_seconds(cases: int) -> None:
    """The back-off of five retries would take twelve."""
    outcome, took_s = simulated(Outage(0, 1e9, CallFault.CONNECTION), cases)
    assert scored(outcome) == 0
    assert took_s <= 4
    if cases > 1:
        assert "cannot be reached: connection refused" in str(outcome.stopped)


def test_a_server_that_is_still_starting_is_waited_for() -> None:
    """Two seconds late is not away."""
    outcome, _ = simulated(Outage(0, 2, CallFault.CONNECTION), 100)
    assert scored(outcome) == 100


# ---- places ----


def test_who_has_waited_longest_is_first_and_further_attempts_before_all() -> None:
    """A place that is left goes to who waits, in turn."""

    async def scenario() -> list[str]:
        pace, order = Pace(1), []
        assert pace.take()

        async def wait(name: str, first: bool) -> None:
            await pace.queue(first=first)
            order.append(name)
            pace.answered(pace.round)

        tasks = [asyncio.create_task(wait(name, name == "again")) for name in ("one", "two", "again")]
        await asyncio.sleep(0)
        assert not pace.take()
        pace.answered(pace.round)
        await asyncio.gather(*tasks)
        return order

    assert asyncio.run(scenario()) == ["again", "one", "two"]


def test_a_place_given_to_somebody_who_has_left_is_not_lost() -> None:
    """Cancelled in the very moment of getting it."""

    async def scenario() -> bool:
        pace = Pace(1)
        assert pace.take()
        waiting = asyncio.create_task(pace.queue())
        await asyncio.sleep(0)
        pace.answered(pace.round)
        waiting.cancel()
        await asyncio.wait([waiting])
        return pace.take()

    assert asyncio.run(scenario())


def test_a_wait_that_most_calls_were_told_holds_for_all() -> None:
    """Nobody begins in a time for which the endpoint has asked to be left alone."""

    async def scenario() -> float:
        pace = Pace(64)
        for _ in range(64):
            assert pace.take()
        entered = pace.round
        for _ in range(64):
            pace.refused(entered, 30)
        await pace.queue()
        return elapsed_s()

    assert run_virtually(scenario())[0] == pytest.approx(30, abs=1)


def test_waiting_for_a_turn_does_not_count_as_the_endpoints_time() -> None:
    """One at a time, 20 calls of 6 s, and a time-out of 10 s."""
    server = Server(takes_s=6)
    paced = Paced(server, Pace(1))
    main = go(20, endpoint=paced, time=LoopTime(), concurrency=20, timeout_s=10, scorers=[FakeScorer()])
    outcome, took_s = run_virtually(main)
    assert (scored(outcome), server.asked, took_s) == (20, 20, pytest.approx(120))


def test_calls_that_never_got_their_turn_are_not_counted() -> None:
    """A budget ends the run while others wait: what was not asked costs nothing."""
    server = Server(takes_s=1)
    paced = Paced(server, Pace(1))
    main = go(20, endpoint=paced, time=LoopTime(), concurrency=20, budget_usd=1e-9, scorers=[FakeScorer()])
    outcome, _ = run_virtually(main)
    assert outcome.usage.calls == server.asked


def test_a_judge_waits_for_its_turn_in_its_own_time() -> None:
    """Twenty judgements of 6 s, one at a time at the endpoint's own provider, and a time-out of 10 s: none is late, and
    they go before further cases."""
    server, pace = Server(takes_s=6), Pace(1)
    endpoint, judge = Paced(server, pace), Paced(server, pace, first=True)

    class Judge(FakeScorer):
        async def score(self, case: Case, output: Output) -> Score:
            await judge.call(render(case, 1))
            return self.score_now(case, output)

    main = go(20, endpoint=endpoint, time=LoopTime(), concurrency=20, timeout_s=10, scorers=[Judge(is_async=True)])
    outcome, took_s = run_virtually(main)
    assert (scored(outcome), server.asked, server.most_active) == (20, 40, 1)
    assert took_s == pytest.approx(240)


@given(requests=st.integers(1, 300), a_minute=st.floats(1, 5000))
def test_the_least_time_of_so_many_requests_is_what_a_bucket_makes_them_wait(requests: int, a_minute: float) -> None:
    now, bucket = 0.0, Amount.of_minute(a_minute, 0.0)
    for _ in range(requests):
        now += bucket.wait_s(1.0, now)
        bucket.take(1.0)
    assert now == pytest.approx(least_s(requests, a_minute), rel=1e-6, abs=1e-6)
