"""Amounts that calls use up and time brings back: requests and tokens. Knows no clock and no header."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from evalgate.records import Remaining

MINUTE_S: Final = 60.0
LONGEST_RESET_S: Final = 120.0
"""A limit that is whole again only later than this is not waited for before the provider refuses a call."""
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
        at_once, rate = _shape_of(amount)
        return Bucket(level=at_once, most=at_once, rate=rate, now=now)

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


def _shape_of(amount: float) -> tuple[float, float]:
    """What may be used in one moment, and what comes back in a second."""
    at_once = max(1.0, amount * AT_ONCE)
    return at_once, (amount + 1 - at_once) / MINUTE_S


def least_s(requests: int, a_minute: float) -> float:
    """Seconds until so many requests can have begun, with no more than `a_minute` of them within any 60 s."""
    at_once, rate = _shape_of(a_minute)
    return max(0.0, requests - at_once) / rate


class Amounts:
    """What calls may use at one provider: what the user allows a minute, and what the provider says is left."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        given = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self._a_minute = {unit: amount for unit, amount in given.items() if amount is not None}
        self._ours: dict[str, Bucket] = {}
        self._theirs: dict[str, Bucket] = {}
        self._tokens: float | None = None
        """What a call uses, smoothed; None: nobody has told yet."""
        self.are_bounded = bool(self._a_minute)

    def wait_s(self, now: float, *, is_alone: bool) -> float:
        """Seconds until one more call may begin. Infinite: until one has ended, since nobody knows yet what calls use.

        is_alone: no other call is under way.
        """
        if len(self._ours) < len(self._a_minute):  # the first time: nobody had told the time before
            self._ours = {unit: Bucket.of_minute(amount, now) for unit, amount in self._a_minute.items()}
        if "tokens" in self._ours and self._tokens is None and not is_alone:
            return math.inf
        ours = (bucket.wait_s(self._needed(unit), now) for unit, bucket in self._ours.items())
        theirs = (bucket.wait_s(self._needed(unit), now) for unit, bucket in self._theirs.items())
        return max((0.0, *ours, *(wait_s for wait_s in theirs if wait_s <= LONGEST_RESET_S)))

    def take(self) -> None:
        """A call begins."""
        for buckets in (self._ours, self._theirs):
            for unit, bucket in buckets.items():
                bucket.take(self._needed(unit))

    def used(self, tokens: int | None) -> None:
        """Puts what a call used in the place of what was expected; None: it did not tell."""
        expected, used = self._tokens, float(tokens or 0)
        self._tokens = used if expected is None else expected + (used - expected) / 16
        for buckets in (self._ours, self._theirs):
            if "tokens" in buckets:
                buckets["tokens"].take(used - (expected or 0.0))

    def told(self, quotas: Sequence[Remaining], now: float) -> None:
        """What the provider says is left. It says so of a moment that has passed: our own count goes on from the lowest
        that it named, and rises with time only."""
        for quota in quotas:
            earlier = self._theirs.pop(quota.unit, None)
            if quota.limit is not None and quota.left >= quota.limit:
                continue
            # Whoever began before the first report and is under way is in the next ones.
            level = quota.left if earlier is None else min(earlier.level(now), quota.left)
            most = math.inf if quota.limit is None else quota.limit
            comes_back = quota.refills and quota.limit is not None and quota.reset_s > 0
            self._theirs[quota.unit] = Bucket(
                level=level,
                most=most,
                rate=(most - quota.left) / quota.reset_s if comes_back else 0.0,
                now=now,
                full_at=math.inf if comes_back else now + quota.reset_s,
            )
        self.are_bounded = bool(self._a_minute or self._theirs)

    def _needed(self, unit: str) -> float:
        return 1.0 if unit == "requests" else self._tokens or 0.0
