"""How the runner meets an endpoint that is healthy but slow."""

import asyncio

from builders import make_output
from runner_fakes import FakeEndpoint, FakeTime, go

from evalgate.errors import CallError, CallFault
from evalgate.records import Output, Request, Scored
from evalgate.runner.pace import Pace


class Metered(FakeEndpoint):
    """Allows 500 calls a second, at most five at once, and refuses the rest: a token bucket."""

    def __init__(self) -> None:
        super().__init__(self._grant, takes_s=0.002)
        self._tokens = 5.0
        self._at: float | None = None

    def _grant(self, request: Request, attempt: int) -> Output:
        now = asyncio.get_running_loop().time()
        if self._at is not None:
            self._tokens = min(5.0, self._tokens + (now - self._at) * 500)
        self._at = now
        if self._tokens < 1:
            raise CallError(CallFault.RATE_LIMITED, "too many requests")
        self._tokens -= 1
        return make_output()


def test_a_strict_rate_limit_costs_time_and_not_results() -> None:
    """With 64 workers and no pacing about every sixth case would use up its retries here."""
    outcome = asyncio.run(go(300, endpoint=Metered(), concurrency=64, backoff_s=0.02, backoff_max_s=1))
    assert sum(isinstance(result, Scored) for result in outcome.results) == 300


def test_refusals_of_one_moment_halve_once_and_a_round_of_answers_adds_one() -> None:
    """Eight calls that were in flight together say one thing, not eight."""

    async def scenario() -> list[int]:
        time = FakeTime()
        pace = Pace(8, clock=time.clock, sleep=time.sleep)
        entered = [await pace.enter() for _ in range(8)]
        for number in entered:
            pace.refused(number, None)
            pace.leave()
        inside = 0

        async def enter() -> None:
            nonlocal inside
            await pace.enter()
            inside += 1

        tasks = [asyncio.create_task(enter()) for _ in range(8)]
        await asyncio.sleep(0.01)
        counts = [inside]
        for _ in range(5):  # 4 + 1/4 + 1/4.25 + ... = 5.1
            pace.answered()
        await asyncio.sleep(0.01)
        counts.append(inside)
        for task in tasks:
            task.cancel()
        return counts

    assert asyncio.run(scenario()) == [4, 5]


def test_a_place_that_is_left_goes_to_who_waits() -> None:
    """Also after a call that failed, when the pace does not grow."""

    async def scenario() -> None:
        time = FakeTime()
        pace = Pace(2, clock=time.clock, sleep=time.sleep)
        pace.refused(await pace.enter(), None)
        waiting = asyncio.create_task(pace.enter())
        await asyncio.sleep(0)
        assert not waiting.done()
        pace.leave()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(scenario())


def test_a_wait_that_was_asked_for_holds_for_all() -> None:
    """Nobody begins a call in a time for which the endpoint has asked to be left alone."""

    async def scenario() -> list[float]:
        time = FakeTime()
        pace = Pace(8, clock=time.clock, sleep=time.sleep)
        pace.refused(await pace.enter(), 30)
        pace.leave()
        await pace.enter()
        return time.sleeps

    assert asyncio.run(scenario()) == [30]
