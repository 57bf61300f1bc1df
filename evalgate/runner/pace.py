"""How many calls may begin at a provider right now. Knows no endpoint, only how it fares.

Starts wide: at a server that bears `most` calls in flight nobody waits. Beyond that
- refusals (429) set a rate of calls a second, from those that were answered. It grows again along a cubic curve: slowly
  near the rate that was too much, fast away from it. Source: CUBIC (S. Ha, I. Rhee, L. Xu, 2008), used on a rate as in
  the adaptive retry mode of AWS's clients. Departures: a quarter of the calls has to be refused, since a refusal now
  and then costs its own call a pause and no other call a thing; and the curve is as long as some twenty calls take,
  so that it suits one call a second and five hundred;
- answers that take longer and longer narrow the width where that costs nothing (`strain`);
- server errors, time-outs and lost connections narrow the width mildly, and only where most calls meet them. Where
  nothing is answered at all, one call at a time looks whether the server is back, and the others keep their attempts;
- what the provider says is left of its limits is not overdrawn, and what the user allows a minute is not exceeded.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from evalgate.records import Remaining
from evalgate.runner.buckets import Amounts
from evalgate.runner.strain import Strain

ROUND: Final = 40
"""Outcomes that a round has at least: fewer say too little about a share. Where a tenth is refused by chance, a
quarter of forty is met once in two hundred rounds."""
TOLERATED: Final = 0.25
"""Share of refused calls in a round from which the rate is too much."""
SUSPECT: Final = 12
"""Outcomes that are enough once the rate has been too much."""
CHANCE: Final = 3
"""Slowings down in a row that changed nothing: refusals do not come of the rate, and it is no longer held. With 2, a
limit of 500 a second in bursts of 5 was taken for chance."""
MOSTLY: Final = 0.75
"""Share of refused calls that is a matter of the rate all the same."""
BETA: Final = 0.7
"""What is left of a rate that was too much."""
SLOWEST: Final = 0.5
"""Calls a second that are tried at least."""
SHORTEST_S: Final = 0.25
"""Time over which a rate is measured at least: the first calls all begin together."""
DEAD: Final = 8
"""Failures without an answer among them from which it may be that nobody is there."""
CATCH_UP_S: Final = 0.05
"""Alarms ring late: calls that should have begun this long ago may begin together."""
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 2.0
OUTAGE_S: Final = 30.0
"""How long a server that answers nobody is spared; later every call looks for itself, and the run comes to its end."""
LONGEST_CLOSURE_S: Final = 600.0
"""A provider that asks for more has no quota left; the calls themselves give up on it."""


class Pace:
    """Places for calls at one provider. Each place taken, by `take` or `queue`, is given back by exactly one of
    `answered`, `refused` and `failed`, with the `round` in which it was taken, or by `leave`."""

    def __init__(
        self, most: int, *, requests_per_minute: float | None = None, tokens_per_minute: float | None = None
    ) -> None:
        """most: calls in flight. The others: what may begin within any 60 s; None: no bound. How many tokens a call
        will use is taken from the mean of those before; until one is answered, calls go alone."""
        self._amounts = Amounts(requests_per_minute, tokens_per_minute)
        self._most = most
        self._width = float(most)
        self._places = most
        self._active = 0
        self._first: deque[asyncio.Future[None]] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._open_at = 0.0
        """No call begins before, on the loop's clock; 0: the door has never been closed."""
        self._rate: float | None = None
        """Calls a second; None: as many as there are places."""
        self._peak = 0.0
        """The rate that was too much."""
        self._tolerated = TOLERATED
        self._in_vain = 0
        """How often in a row calls were refused at a rate below the one that was answered."""
        self._slowed_at = 0.0
        self._was_held = False
        """Whether the rate made anybody wait in this round."""
        self._strain = Strain(most)
        self._too_wide = float(most)
        """The width at which most calls failed."""
        self._is_known = False
        """Whether a call was ever answered."""
        self._outage_at: float | None = None
        """Since when nothing is answered."""
        self._pause_s = FIRST_PAUSE_S
        self.round = 0
        self._round_at = 0.0
        self._begun = self._answers = self._refusals = self._failures = self._timeouts = 0
        self._asked_s = 0.0
        """The longest wait that a refused call of this round was told."""

    @property
    def width(self) -> float:
        """How many calls may be in flight, refusals and amounts apart."""
        return self._width

    # ---- places ----

    def take(self) -> bool:
        """Whether a call may begin at once; then it has its place."""
        if self._active >= self._places or self._waiting or self._first:
            return False
        if (self._open_at or self._amounts.are_bounded) and self._closed_s() > 0:
            return False
        self._begin()
        return True

    async def queue(self, *, first: bool = False) -> None:
        """Waits for a place and takes it. first: before those who have not been asked for yet."""
        place = asyncio.get_running_loop().create_future()
        (self._first if first else self._waiting).append(place)
        self._wake()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # given, and never used
                self.leave()
            raise

    def answered(self, round: int, tokens: int | None = None, latency_s: float | None = None) -> None:
        """A call was answered. tokens: that it used; latency_s: that it took; where these are known."""
        if self._amounts.are_bounded:
            self._amounts.used(tokens)
        self._is_known = True
        if self._outage_at is not None:
            self._end_outage()
        if round == self.round:
            self._answers += 1
            if self._rate is not None:
                self._speed_up()
            if latency_s is not None:
                self._feel(latency_s)
            if self._width < self._strain.useful:
                self._widen()
            self._end_round()
        self.leave()

    def refused(self, round: int, retry_after_s: float | None) -> None:
        """A call was refused for coming too fast. Refusals of calls that began before the last slowing down say nothing
        new.

        retry_after_s: what the call was told to wait. Where most are refused, no other begins before that either.
        """
        if retry_after_s is not None:
            self._asked_s = max(self._asked_s, retry_after_s)
        if round == self.round:
            self._refusals += 1
            share = self._refusals / self._outcomes
            needed = SUSPECT if self._rate is not None else max(ROUND, self._places)
            if share >= self._tolerated and self._refusals >= self._tolerated * needed:
                self._slow_down(share)
            self._end_round()
        elif retry_after_s is not None and self._open_at:
            self._close(retry_after_s)
        self.leave()

    def failed(self, round: int, *, timed_out: bool) -> None:
        """A call met a time-out, or else a server's error or a lost connection."""
        if round == self.round:
            self._failures += 1
            self._timeouts += timed_out
            is_dead = self._answers == 0 and self._failures >= max(DEAD, min(20, self._places))
            if is_dead and not timed_out and not self._is_known:
                self._begin_round(self._now())  # it may be starting: how wide it is remains to be seen
            elif not timed_out and (is_dead or self._outage_at is not None):
                self._look_out()
            elif is_dead or self._failures * 2 >= max(ROUND, self._places, self._outcomes):
                is_slow = 2 * self._timeouts > self._failures
                self._narrow(max(0.5, self._answers / self._outcomes) if is_slow else 0.75, is_useful=not is_slow)
            self._end_round()
        self.leave()

    def leave(self) -> None:
        """A call was not made after all."""
        self._active -= 1
        if self._waiting or self._first:
            self._wake()

    def told(self, quotas: Sequence[Remaining]) -> None:
        """What the provider says is left of its limits."""
        self._amounts.told(quotas, self._now())

    # ---- rounds ----

    @property
    def _outcomes(self) -> int:
        return self._answers + self._refusals + self._failures

    def _begin_round(self, now: float) -> None:
        self.round += 1
        self._count_anew(now)

    def _count_anew(self, now: float) -> None:
        self._round_at = now
        self._begun = self._answers = self._refusals = self._failures = self._timeouts = 0
        self._asked_s = 0.0
        self._was_held = False

    def _end_round(self) -> None:
        """Ends a round that went well enough; calls in flight count in the next."""
        if self._answers + self._refusals + self._failures >= max(ROUND, self._places):
            if not self._was_held and not self._refusals:
                self._rate = None
            self._count_anew(self._now())

    # ---- rate ----

    def _slow_down(self, share: float) -> None:
        now = self._now()
        elapsed_s = now - self._round_at
        is_in_vain = self._rate is not None and self._rate < self._peak and share < MOSTLY
        self._in_vain = self._in_vain + 1 if is_in_vain else 0
        self._tolerated = TOLERATED
        if self._in_vain == CHANCE:  # slower is not better
            self._rate, self._in_vain, self._tolerated = None, 0, MOSTLY
            self._begin_round(now)
            return
        if self._answers >= 5:
            accepted = self._answers / max(0.001, elapsed_s)
        else:  # long answers: those that are under way count, too
            accepted = max(1, self._begun - self._refusals) / max(SHORTEST_S, elapsed_s)
        self._peak = accepted if self._rate is None else max(min(accepted, self._rate), BETA * self._rate)
        self._rate = max(SLOWEST, BETA * self._peak)
        if share >= 0.5:
            self._close(self._asked_s)
        self._slowed_at = max(now, self._open_at)
        self._begin_round(now)

    def _speed_up(self) -> None:
        """Back at the peak after the time of twenty calls, but at least 2 s and at most 5; from there ever faster."""
        back_s = min(5.0, max(2.0, 20 / self._peak))
        x = (self._now() - self._slowed_at) / back_s - 1
        self._rate = max(SLOWEST, self._peak * (1 + (1 - BETA) * x**3))

    # ---- width ----

    def _narrow(self, factor: float, *, is_useful: bool) -> None:
        """is_useful: the width that was would serve if the calls did not fail."""
        self._too_wide = self._width
        self._set_width(max(1.0, self._width * factor))
        if not is_useful:
            self._strain.useful = self._width
        self._begin_round(self._now())

    def _feel(self, latency_s: float) -> None:
        strain = self._strain
        strain.add(latency_s)
        if strain.count < max(ROUND, self._places):
            return
        now = self._now()
        if self._rate is not None or self._was_held:
            strain.forget(now)
            return
        strain.judge(self._width, now)
        if strain.useful < self._width:
            self._set_width(strain.useful)

    def _widen(self) -> None:
        """By half the way to the width that was too much in each round, at least by one."""
        step = max(1.0, (self._too_wide - self._width) / 2)
        self._set_width(min(self._strain.useful, self._width + step / self._width))

    def _set_width(self, width: float) -> None:
        self._width = width
        self._places = int(width)

    def _look_out(self) -> None:
        """Nothing is answered: one call at a time looks whether the server is back, less and less often."""
        now = self._now()
        if self._outage_at is None:
            self._outage_at = now
        if now - self._outage_at > OUTAGE_S:
            self._places = int(self._width)
            return
        self._places = 1
        self._close(self._pause_s)
        self._pause_s = min(LONGEST_PAUSE_S, 2 * self._pause_s)
        self._begin_round(now)

    def _end_outage(self) -> None:
        self._outage_at = None
        self._pause_s = FIRST_PAUSE_S
        self._too_wide = float(self._most)
        self._set_width(max(1.0, self._width / 2))
        self._begin_round(self._now())

    # ---- the door ----

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _closed_s(self) -> float:
        """Seconds until the next call may begin; infinite: until another has come to its end."""
        now = self._now()
        closed_s = self._open_at - now
        if self._amounts.are_bounded:
            closed_s = max(closed_s, self._amounts.wait_s(now, is_alone=not self._active))
        return closed_s

    def _close(self, seconds: float) -> None:
        if seconds > 0:
            self._open_at = max(self._open_at, self._now() + min(seconds, LONGEST_CLOSURE_S))

    def _begin(self) -> None:
        if not self._round_at:  # the first of all: the loop's clock began long before
            self._round_at = self._now()
        self._active += 1
        self._begun += 1
        if self._amounts.are_bounded:
            self._amounts.take()
        if self._rate is not None:
            self._open_at = max(self._open_at, self._now() - CATCH_UP_S) + 1 / self._rate

    def _wake(self) -> None:
        """Gives free places to those who wait. One alarm, however many wait."""
        while self._active < self._places and (queue := self._first or self._waiting):
            if (self._open_at or self._amounts.are_bounded) and (closed_s := self._closed_s()) > 0:
                self._was_held = True
                if self._alarm is None and closed_s < math.inf:
                    self._alarm = asyncio.get_running_loop().call_later(closed_s, self._ring)
                return
            place = queue.popleft()
            if not place.done():
                self._begin()
                place.set_result(None)

    def _ring(self) -> None:
        self._alarm = None
        self._wake()
