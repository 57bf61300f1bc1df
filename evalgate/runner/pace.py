"""How many calls may be in flight right now. Knows no endpoint, only how it fares."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable


class Pace:
    """Halves the calls in flight when the endpoint asks for patience, and adds one a round as it answers again.

    Without it, `concurrency` workers that are all refused come back together, are refused together, and use up their
    retries on an endpoint that is healthy but slow. Additive increase, multiplicative decrease, as in TCP: the rate
    settles just below what the endpoint allows, whatever that is and however it changes.
    """

    def __init__(self, most: int, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[object]]) -> None:
        self._most = most
        self._width = float(most)
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._round = 0
        self._open_at = 0.0
        self._clock = clock
        self._sleep = sleep

    async def enter(self) -> int:
        """Waits for a free place; the number returned is for `refused`. Every `enter` is followed by one `leave`."""
        if self._open_at and (closed_s := self._open_at - self._clock()) > 0:
            await self._sleep(closed_s)
        while self._active >= int(self._width):
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place
        self._active += 1
        return self._round

    def leave(self) -> None:
        """The call is over."""
        self._active -= 1
        self._wake()

    def answered(self) -> None:
        """A call was answered: room for a little more."""
        if self._width < self._most:
            self._width = min(self._most, self._width + 1 / self._width)
            self._wake()

    def refused(self, entered: int, retry_after_s: float | None) -> None:
        """A call was refused for coming too fast. Refusals of calls that began before the last halving say nothing new.

        entered: what `enter` returned for this call. retry_after_s: no call begins before that has passed.
        """
        if entered == self._round:
            self._round += 1
            self._width = max(1.0, self._width / 2)
        if retry_after_s is not None:
            self._open_at = max(self._open_at, self._clock() + retry_after_s)

    def _wake(self) -> None:
        free = int(self._width) - self._active
        while self._waiting and free > 0:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1
