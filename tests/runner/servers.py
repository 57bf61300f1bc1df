"""Simulated servers, for virtual time: each refuses, queues or fails in a way of its own."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence

from builders import make_output
from virtual_time import elapsed_s

from evalgate.errors import CallError, CallFault
from evalgate.records import Output, Remaining, Request


class Server:
    """Answers after `takes_s`, spread log-normally with `sigma` around that mean; bears any number of calls."""

    def __init__(self, *, takes_s: float = 0.05, sigma: float = 0.0, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self._takes_s, self._sigma = takes_s, sigma
        self.asked = 0
        self.begun_at: list[float] = []
        self.refusals = 0
        self.active = 0
        self.most_active = 0

    async def call(self, request: Request) -> Output:
        self.asked += 1
        begun_at = self.now()
        self.begun_at.append(begun_at)
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            await self.admit(request)
            await self.work()
            latency_s = self.now() - begun_at
            return make_output(cost_usd=0.0, tokens_in=100, tokens_out=10, latency_s=latency_s)
        finally:
            self.active -= 1

    async def admit(self, request: Request) -> None:
        """Refuses, or does not."""

    async def work(self) -> None:
        await asyncio.sleep(self._duration_s())

    def now(self) -> float:
        return elapsed_s()

    def _duration_s(self) -> float:
        return self._takes_s * self._rng.lognormvariate(-(self._sigma**2) / 2, self._sigma)

    async def refuse(self, retry_after_s: float | None = None) -> None:
        self.refusals += 1
        await asyncio.sleep(0.005)
        raise CallError(CallFault.RATE_LIMITED, "too many requests", retry_after_s=retry_after_s)


class Bucket(Server):
    """Allows `rate` calls a second, `burst` of them at once."""

    def __init__(self, *, rate: float, burst: float, retry_after_s: float | None = None, takes_s: float = 0.05) -> None:
        super().__init__(takes_s=takes_s)
        self._rate, self._burst, self._retry_after_s = rate, burst, retry_after_s
        self._level, self._at = burst, 0.0

    async def admit(self, request: Request) -> None:
        now = self.now()
        self._level, self._at = min(self._burst, self._level + (now - self._at) * self._rate), now
        if self._level < 1:
            await self.refuse(self._retry_after_s)
        self._level -= 1


class Announcing(Bucket):
    """A bucket that says with every answer and every refusal what is left in it, as OpenAI does."""

    def __init__(self, *, rate: float, burst: float, takes_s: float) -> None:
        super().__init__(rate=rate, burst=burst, takes_s=takes_s)
        self.told: Callable[[Sequence[Remaining]], object] = lambda quotas: None

    async def admit(self, request: Request) -> None:
        try:
            await super().admit(request)
        finally:
            self._left = max(0.0, self._level)

    async def call(self, request: Request) -> Output:
        try:
            return await super().call(request)
        finally:
            left, reset_s = float(int(self._left)), (self._burst - self._left) / self._rate
            self.told([Remaining(unit="requests", left=left, reset_s=reset_s, limit=self._burst, refills=True)])


class Window(Server):
    """Allows `count` calls in every `every_s` seconds, and tells how long the rest of them is."""

    def __init__(self, *, count: int, every_s: float, takes_s: float) -> None:
        super().__init__(takes_s=takes_s)
        self._count, self._every_s = count, every_s
        self._window, self._used = 0, 0

    async def admit(self, request: Request) -> None:
        window = int(self.now() // self._every_s)
        if window != self._window:
            self._window, self._used = window, 0
        if self._used >= self._count:
            await self.refuse((window + 1) * self._every_s - self.now())
        self._used += 1


class AnnouncingWindow(Window):
    """A window that says with every answer how many calls are left in it and when the next begins."""

    told: Callable[[Sequence[Remaining]], object]

    async def call(self, request: Request) -> Output:
        try:
            return await super().call(request)
        finally:
            reset_s = self._every_s - self.now() % self._every_s
            self.told([Remaining(unit="requests", left=self._count - self._used, reset_s=reset_s, limit=self._count)])


class Second(Server):
    """Allows `count` calls in any second and refuses others at once."""

    def __init__(self, *, count: int, retry_after_s: float | None = None) -> None:
        super().__init__()
        self._count, self._retry_after_s = count, retry_after_s
        self._admitted_at: deque[float] = deque()

    async def admit(self, request: Request) -> None:
        now = self.now()
        while self._admitted_at and self._admitted_at[0] <= now - 1:
            self._admitted_at.popleft()
        if len(self._admitted_at) >= self._count:
            await self.refuse(self._retry_after_s)
        self._admitted_at.append(now)


class Slots(Server):
    """Works on `slots` calls at a time; the others wait in line."""

    def __init__(self, *, slots: int, takes_s: float = 0.05, sigma: float = 0.0, seed: int = 1) -> None:
        super().__init__(takes_s=takes_s, sigma=sigma, seed=seed)
        self._free = asyncio.Semaphore(slots)

    async def work(self) -> None:
        async with self._free:
            await super().work()


class Longer(Server):
    """Answers take `factor` times as long from a moment on, however many are in flight."""

    def __init__(self, begin_s: float, factor: float, *, takes_s: float, sigma: float) -> None:
        super().__init__(takes_s=takes_s, sigma=sigma)
        self._begin_s, self._factor = begin_s, factor

    def _duration_s(self) -> float:
        return super()._duration_s() * (self._factor if self.now() >= self._begin_s else 1)


class Sometimes(Server):
    """Refuses or fails the first attempt of those cases that `fault_of` says, and only that."""

    def __init__(
        self, fault_of: Callable[[str], CallFault | None], *, retry_after_s: float | None = None, takes_s: float = 0.05
    ) -> None:
        super().__init__(takes_s=takes_s)
        self._fault_of, self._retry_after_s = fault_of, retry_after_s
        self._seen: set[str] = set()

    async def admit(self, request: Request) -> None:
        case_id = request.case.id
        fault = self._fault_of(case_id)
        if fault is None or case_id in self._seen:
            return
        self._seen.add(case_id)
        await asyncio.sleep(self._takes_s)
        if fault is CallFault.RATE_LIMITED:
            await self.refuse(self._retry_after_s)
        raise CallError(fault, "not this time")


class Moody(Server):
    """Refuses a share of all attempts, however many or few there are, and asks for a second's patience."""

    def __init__(self, share: float, *, seed: int) -> None:
        super().__init__()
        self._share, self._moods = share, random.Random(seed)

    async def admit(self, request: Request) -> None:
        if self._moods.random() < self._share:
            await self.refuse(1)


class Outage(Server):
    """Fails whatever comes between two moments."""

    def __init__(self, begin_s: float, end_s: float, fault: CallFault, *, takes_s: float = 1.0) -> None:
        super().__init__(takes_s=takes_s)
        self._begin_s, self._end_s, self._fault = begin_s, end_s, fault

    async def admit(self, request: Request) -> None:
        if self._begin_s <= self.now() < self._end_s:
            raise CallError(self._fault, "connection refused")


def share_of(case_id: str) -> float:
    """A number in [0, 1) that belongs to a case."""
    return random.Random(case_id).random()
