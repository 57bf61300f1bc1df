"""The obvious rules, each on one repeat of the candidate against one of the newest baseline run. True blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.decision.generator import Array, Layout

LEVEL = 0.05
ONE_SIDED_95 = 1.6448536269514722
"""Of the standard normal."""

MARGIN = 0.05
"""What the rule that asks for a proof of no harm allows, in score units."""


def verdicts(before: Array, after: Array, layout: Layout) -> dict[str, bool]:
    """What each rule says of the same two runs, (cases,) each."""
    return {name: rule(before, after, layout) for name, rule in RULES.items()}


def any_drop(allowed: float) -> Callable[[Array, Array, Layout], bool]:
    """Blocks where the mean of any category fell by more than `allowed`."""

    def rule(before: Array, after: Array, layout: Layout) -> bool:
        # A drop of exactly what is allowed must not block for a rounding error.
        return any(float(before[place].mean() - after[place].mean()) > allowed + 1e-9 for place in layout.slices)

    return rule


def mcnemar(before: Array, after: Array, layout: Layout) -> bool:
    """Blocks where the one-sided exact McNemar test of any category is below 5 %, whatever their number."""
    return any(mcnemar_p(before[place], after[place]) <= LEVEL for place in layout.slices)


def mcnemar_holm(before: Array, after: Array, layout: Layout) -> bool:
    """The same with Holm's correction over the categories and the suite: its first step decides whether any blocks."""
    places = (*layout.slices, slice(None))
    return min(mcnemar_p(before[place], after[place]) for place in places) <= LEVEL / len(places)


def mcnemar_p(before: Array, after: Array) -> float:
    """Chance of so many falls among the cases that moved, were rises as likely. Graded scores: the sign test."""
    falls, rises = int((after < before).sum()), int((after > before).sum())
    return float(_coin_tails(falls + rises)[falls])


@cache
def _coin_tails(tosses: int) -> Array:
    """P(heads >= k) of a fair coin for k = 0 … tosses."""
    heads = np.arange(1, tosses + 1)
    ways = np.concatenate(([0.0], np.cumsum(np.log((tosses + 1 - heads) / heads))))
    return np.asarray(np.cumsum(np.exp(ways - tosses * np.log(2))[::-1])[::-1])


def prove_no_harm(before: Array, after: Array, layout: Layout) -> bool:
    """Blocks unless every category is shown to have lost less than five points (one-sided 95 % bound of the pairs)."""

    def is_shown(place: slice) -> bool:
        change: NDArray[Any] = after[place] - before[place]
        return bool(change.mean() - ONE_SIDED_95 * change.std(ddof=1) / np.sqrt(len(change)) > -MARGIN)

    return not all(is_shown(place) for place in layout.slices)


RULES: Mapping[str, Callable[[Array, Array, Layout], bool]] = {
    "mean": any_drop(0.0),
    "drop2": any_drop(0.02),
    "drop5": any_drop(0.05),
    "mcnemar": mcnemar,
    "holm": mcnemar_holm,
    "no_harm": prove_no_harm,
}
