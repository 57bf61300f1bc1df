"""What a run has used so far. Knows no limits and no files."""

from __future__ import annotations

from evalgate.records import Output, Result, Usage


class Meter:
    """Counts attempts, tokens and dollars.

    A sum is known only where every answer's share is: one answer without a price makes the price of all unknown.
    Answers from a cache cost nothing and count as saved.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._saved = 0
        self._answers = 0
        self._tokens_in: int | None = 0
        self._tokens_out: int | None = 0
        self._cost_usd: float | None = 0.0
        self.known_usd = 0.0
        """Dollars of the answers whose price is known: what a budget can watch."""

    def called(self, attempts: int = 1) -> None:
        """Attempts were made, whatever becomes of them."""
        self.calls += attempts

    def answered(self, output: Output) -> None:
        """The last attempt gave this."""
        if output.cached:
            self.calls -= 1
            self._saved += 1
            return
        self._answers += 1
        self._tokens_in = _sum(self._tokens_in, output.tokens_in)
        self._tokens_out = _sum(self._tokens_out, output.tokens_out)
        self.known_usd += output.cost_usd or 0.0
        self._cost_usd = None if self._cost_usd is None or output.cost_usd is None else self._cost_usd + output.cost_usd

    def count(self, result: Result) -> None:
        """A result of an earlier session of the same run."""
        self.called(result.attempts)
        if result.output is not None:
            self.answered(result.output)

    @property
    def is_priced(self) -> bool:
        """Whether every answer so far told its price."""
        return self._cost_usd is not None

    def usage(self, wall_s: float | None) -> Usage:
        """What the run used. Calls that were all in vain have a price that nobody knows: None, not 0."""
        is_known = self._answers > 0 or self.calls == 0
        return Usage(
            calls=self.calls,
            calls_saved=self._saved,
            tokens_in=self._tokens_in if is_known else None,
            tokens_out=self._tokens_out if is_known else None,
            cost_usd=self._cost_usd if is_known else None,
            wall_s=wall_s,
        )


def _sum(total: int | None, share: int | None) -> int | None:
    return None if total is None or share is None else total + share
