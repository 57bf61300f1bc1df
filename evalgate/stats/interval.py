"""Intervals for reading. No decision uses them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalgate.stats.normal import student_quantile


def mean_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """Student's interval of the mean of these values, at this level; None for fewer than two.

    Of paired differences: how far the mean would move with other cases of the same kind. It is too narrow for a
    handful of cases of which nearly all are equal, and says nothing of a drop in one case.
    """
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count  # fsum rounds once, whatever the order
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    half = student_quantile(0.5 + level / 2, count - 1) * spread / math.sqrt(count)
    return mean - half, mean + half


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The value below which `percent` of the values lie, by linear interpolation between ranks; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    rank = (len(ordered) - 1) * percent / 100
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)
