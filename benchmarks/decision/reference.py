"""What a reference simulation measured of the same rules with code of its own, in per cent of 2,000 pull requests.

It is here to show that both simulate the same thing; where they do not, the table says so. Its escalating rule is the
one that the gate's is modelled on (confirmation apart).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.decision.figures import Columns, Figure, share_error, share_of

PULL_REQUESTS = 2000

BLOCKED: Mapping[str, Mapping[str, float]] = {
    "nothing": {"mean": 99.7, "drop2": 98.3, "drop5": 88.1, "mcnemar": 18.6, "holm": 1.5, "no_harm": 100.0,
                "thrice": 4.2, "found": 2.1},
    "n20-20": {"mean": 100.0, "drop2": 100.0, "drop5": 99.0, "mcnemar": 39.8, "holm": 1.8, "no_harm": 100.0,
               "thrice": 94.5, "found": 98.0, "limit": 99.1},
    "n50-10": {"mean": 100.0, "drop2": 100.0, "drop5": 98.0, "mcnemar": 43.0, "holm": 5.5, "no_harm": 100.0,
               "thrice": 84.6, "found": 92.6, "limit": 93.8},
    "n200-5": {"mean": 100.0, "drop2": 99.9, "drop5": 93.3, "mcnemar": 53.0, "holm": 12.8, "no_harm": 100.0,
               "thrice": 87.8, "found": 94.4, "limit": 93.9},
    "n20-10": {"mean": 100.0, "drop2": 99.6, "drop5": 95.1, "mcnemar": 20.6, "holm": 1.1, "no_harm": 100.0,
               "thrice": 39.1, "found": 53.5, "limit": 58.6},
    "n50-5": {"mean": 99.9, "drop2": 99.5, "drop5": 93.0, "mcnemar": 24.6, "holm": 1.7, "no_harm": 100.0,
              "thrice": 28.4, "found": 39.4, "limit": 40.5},
    "all-2": {"mean": 100.0, "drop2": 100.0, "drop5": 96.7, "mcnemar": 42.5, "holm": 9.9, "no_harm": 100.0,
              "thrice": 79.8, "found": 85.4, "limit": 96.9},
    "churn": {"mean": 99.8, "drop2": 98.7, "drop5": 88.8, "mcnemar": 8.9, "holm": 0.2, "no_harm": 100.0,
              "thrice": 0.0},
    "noisier": {"mean": 99.8, "drop2": 99.2, "drop5": 92.0, "mcnemar": 18.5, "holm": 1.2, "no_harm": 100.0,
                "thrice": 1.1},
    "day0.1": {"mean": 99.1, "drop2": 97.6, "drop5": 87.6, "mcnemar": 21.8, "holm": 2.8, "no_harm": 100.0},
    "day0.2": {"mean": 98.8, "drop2": 97.1, "drop5": 86.3, "mcnemar": 23.8, "holm": 6.7, "no_harm": 100.0},
    "stale": {"mean": 99.9, "drop2": 99.2, "drop5": 89.7, "mcnemar": 18.2, "holm": 1.5, "no_harm": 100.0},
    "contexts-untold": {"mean": 99.7, "drop2": 99.1, "drop5": 92.3, "mcnemar": 28.7, "holm": 3.2, "no_harm": 100.0},
    "five-nothing": {"once": 3.9, "holm": 1.5},
    "five-n50-10": {"once": 34.0, "holm": 5.5},
    "one-nothing": {"once": 3.6, "holm": 0.8},
    "one-n50-10": {"once": 16.2, "holm": 6.2},
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One rule in one cell, in both simulations."""

    cell: str
    rule: str
    here: Figure
    there: Figure

    @property
    def apart(self) -> float:
        """The difference in standard errors of the difference."""
        return (self.here.value - self.there.value) / math.hypot(self.here.error, self.there.error)


def comparisons(measured: Mapping[str, Columns]) -> Iterator[Comparison]:
    """Every figure that both have."""
    for cell, rules in BLOCKED.items():
        for rule, there in rules.items():
            here = share_of(measured.get(cell, {}), rule)
            if here is not None:
                error = share_error(there, PULL_REQUESTS)
                yield Comparison(cell=cell, rule=rule, here=here, there=Figure(value=there, error=error))
