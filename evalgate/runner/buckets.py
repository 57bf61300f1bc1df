"""Amounts that calls use up and time brings back: requests and tokens. Knows no clock, it is told the time."""

from __future__ import annotations

import math
from typing import Final

MINUTE_S: Final = 60.0
AT_ONCE: Final = 0.1
"""Share of a minute's amount that may be used in one moment, after a pause."""


class Bucket:
    """Holds at most `most`, gains `rate` a second. Who needs more than it can ever hold waits until it is full."""

    def __init__(self, *, level: float, most: float, rate: float, now: float, full_at: float = math.inf) -> None:
        """full_at: when everything is there again at once, whatever is used until then."""
        self._level, self._most, self._rate, self._at, self._full_at = level, most, rate, now, full_at

    @staticmethod
    def of_minute(amount: float, now: float) -> Bucket:
        """One from which no more than `amount` is taken within any 60 s, by calls of 1 or of estimates that hold."""
        at_once = max(1.0, amount * AT_ONCE)
        return Bucket(level=at_once, most=at_once, rate=(amount + 1 - at_once) / MINUTE_S, now=now)

    def level(self, now: float) -> float:
        """What is there; negative where a call used more than was expected."""
        if now >= self._full_at:
            self._level, self._full_at = self._most, math.inf
        elif now > self._at:
            self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        return self._level

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` can be taken; 0: now."""
        lacking = min(amount, self._most) - self.level(now)
        if lacking <= 1e-9:
            return 0.0
        return min(lacking / self._rate if self._rate > 0 else math.inf, self._full_at - now)

    def take(self, amount: float) -> None:
        """Uses it up, or gives it back where it is negative."""
        self._level -= amount
