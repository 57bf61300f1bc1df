"""Whether fewer calls in flight would be answered just as fast. Knows no calls, only how long answers took.

A server that works on eight calls at a time answers no more of 64 than of 16: the rest wait in its queue, count as its
latency, and run into time-outs. As in TCP Vegas (L. Brakmo, L. Peterson, 1995) and in Netflix's concurrency-limits,
times that rise above those of the beginning are taken for a queue. Departures, since answers of a model differ in
length and cases may become longer: means of whole rounds are compared, with their errors; and it is tried out. A
narrower width is kept only if as many answers came in a second; else what changed are the answers.
"""

from __future__ import annotations

import math
from typing import Final

RISEN: Final = 1.3
"""How much longer answers have to take than at first."""
ERRORS: Final = 5.0
"""How many standard errors that has to be, in two rounds in a row. So many, since the first answers of a run are its
short ones: with 3, log-normal answers (sigma 1) cost a run of 1,000 cases 8 % of its time, with 5 nothing."""
NARROWEST: Final = 0.5
"""What is tried at the least, of the width that was."""


class Strain:
    """How many calls in flight are of use: `most`, or fewer."""

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self.useful = float(most)
        self.count = 0
        """Answers since the last judgement."""
        self._sum_s = self._sum_of_squares = 0.0
        self._usual_s: float | None = None
        self._began_at = 0.0
        self._risen = 0
        """Rounds in a row in which answers took longer."""
        self._trial: _Trial | None = None

    def add(self, latency_s: float) -> None:
        """An answer came after so long."""
        self.count += 1
        self._sum_s += latency_s
        self._sum_of_squares += latency_s * latency_s

    def forget(self, now: float) -> None:
        """What was going on says nothing of the width."""
        self.count, self._sum_s, self._sum_of_squares, self._began_at = 0, 0.0, 0.0, now

    def judge(self, width: float, now: float) -> None:
        """Sets `useful` after a round of answers with `width` calls in flight."""
        mean_s = self._sum_s / self.count
        variance = max(0.0, self._sum_of_squares / self.count - mean_s**2)
        error_s = math.sqrt(2 * variance / self.count)
        rate = self.count / max(1e-6, now - self._began_at)
        self.forget(now)
        if self._usual_s is None:
            self._usual_s = mean_s
        elif self._trial is not None:
            self._try(self._trial, mean_s, rate)
        elif mean_s > RISEN * self._usual_s and mean_s - self._usual_s > ERRORS * error_s:
            self._risen += 1
            if self._risen == 2 and width > 1:
                self._trial = _Trial(width, rate, self._usual_s / mean_s)
                self.useful = max(1.0, width * self._trial.factor)
        else:
            self._risen = 0
            if mean_s < 1.1 * self._usual_s:
                self.useful = min(self._most, self.useful + 1)
            # Down soon, up slowly: a queue that builds up must not become what is usual.
            self._usual_s += (mean_s - self._usual_s) / (4 if mean_s < self._usual_s else 32)

    def _try(self, trial: _Trial, mean_s: float, rate: float) -> None:
        trial.rounds += 1
        if trial.rounds == 1:  # those were in flight before
            return
        self._trial, self._risen = None, 0
        if rate < trial.rate * (1 + trial.factor) / 2:
            self.useful = trial.width
            self._usual_s = mean_s


class _Trial:
    """A narrower width that is tried."""

    def __init__(self, width: float, rate: float, share: float) -> None:
        self.width = width
        self.rate = rate
        """Answers a second before."""
        self.factor = max(NARROWEST, share)
        self.rounds = 0
