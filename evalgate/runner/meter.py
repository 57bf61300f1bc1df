"""What a run has used so far. Knows no limits and no files."""

from __future__ import annotations

from evalgate.records import Output, Result, Usage


class Meter:
    """Counts attempts, tokens and dollars.

    A sum is known only where every answer's share is: one answer without a price makes the price of all unknown.
    Answers from a cache cost nothing and count as saved. What judges use counts into every sum.
    """

    def __init__(self) -> None:
        self.calls = 0
        """Attempts at the endpoint under test, and at the baseline's."""
        self.judge_calls = 0
        """Attempts at judges' endpoints."""
        self.in_flight = 0
        """Attempts at the endpoint under test that are under way."""
        self.calls_saved = 0
        """Answers of earlier runs that made a call needless."""
        self._answers = 0
        self._judgements = 0
        self._tokens_in: int | None = 0
        self._tokens_out: int | None = 0
        self._cost_usd: float | None = 0.0
        self.known_usd = 0.0
        """Dollars of the answers whose price is known: what a budget can watch."""

    def called(self) -> None:
        """An attempt begins, whatever becomes of it; `in_flight` is the caller's to take back."""
        self.calls += 1
        self.in_flight += 1

    def not_called(self) -> None:
        """The last attempt was given up before it was made."""
        self.calls -= 1

    def saved(self) -> None:
        """No attempt was needed: the answer was known."""
        self.calls_saved += 1

    def answered(self, output: Output) -> None:
        """The last attempt gave this."""
        if output.cached:
            self.calls -= 1
            self.saved()
            return
        self._answers += 1
        self._add(output)

    def judged(self, output: Output | None) -> None:
        """An attempt at a judge's endpoint gave this; None: it failed."""
        self.judge_calls += 1
        if output is not None:
            self._judgements += 1
            self._add(output)

    def in_vain(self, attempts: int) -> None:
        """Attempts of an earlier session, at the endpoint under test, that led to no result."""
        self.calls += attempts

    def _add(self, output: Output) -> None:
        self._tokens_in = _sum(self._tokens_in, output.tokens_in)
        self._tokens_out = _sum(self._tokens_out, output.tokens_out)
        self.known_usd += output.cost_usd or 0.0
        self._cost_usd = None if self._cost_usd is None or output.cost_usd is None else self._cost_usd + output.cost_usd

    def count(self, result: Result) -> None:
        """A result of an earlier session of the same run."""
        self.calls += result.attempts
        if result.output is not None and result.output.cached and not result.attempts:
            self.saved()
        elif result.output is not None:
            self.answered(result.output)

    @property
    def is_priced(self) -> bool:
        """Whether every answer so far told its price."""
        return self._cost_usd is not None

    @property
    def requests(self) -> int:
        """Every attempt, at whatever endpoint."""
        return self.calls + self.judge_calls

    @property
    def expected_usd(self) -> float:
        """What one more answer is expected to cost with its judging, by the prices known so far; 0 before the first."""
        return self.known_usd / self._answers if self._answers else 0.0

    def usage(self, wall_s: float | None) -> Usage:
        """What the run used. Calls that were all in vain have a price that nobody knows: None, not 0."""
        is_known = self._answers + self._judgements > 0 or self.requests == 0
        return Usage(
            calls=self.requests,
            calls_saved=self.calls_saved,
            tokens_in=self._tokens_in if is_known else None,
            tokens_out=self._tokens_out if is_known else None,
            cost_usd=self._cost_usd if is_known else None,
            wall_s=wall_s,
        )


def _sum(total: int | None, share: int | None) -> int | None:
    return None if total is None or share is None else total + share
