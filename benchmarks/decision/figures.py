"""Figures with their standard errors, from what was measured of each pull request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Columns = Mapping[str, Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A mean over simulated pull requests."""

    value: float
    error: float
    """Standard error of the simulation."""

    def scaled(self, factor: float) -> Figure:
        return Figure(value=self.value * factor, error=self.error * factor)


def mean_of(values: Sequence[float]) -> Figure:
    """The mean of at least one value."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Figure(value=float(np.mean(values)), error=spread / math.sqrt(len(values)))


def share_of(columns: Columns, name: str) -> Figure | None:
    """Per cent of the pull requests for which this holds; None where it was not asked."""
    if name not in columns:
        return None
    percent = 100 * float(np.mean(columns[name]))
    return Figure(value=percent, error=share_error(percent, len(columns[name])))


def share_error(percent: float, count: int) -> float:
    """Standard error of a share, in per cent.

    As if one more pull request had been either way: none of 50 is not known to be none at all.
    """
    share = (percent / 100 * count + 1) / (count + 2)
    return 100 * math.sqrt(share * (1 - share) / count)


def relative(columns: Columns, name: str, to: str) -> Figure | None:
    """How often one rule blocks, in per cent of how often another does on the same pull requests.

    The error is that of a ratio of two means whose draws are the same (delta method).
    """
    if name not in columns or to not in columns:
        return None
    above, below = np.asarray(columns[name]), np.asarray(columns[to])
    if not below.any():
        return None
    ratio = float(above.mean() / below.mean())
    rest = mean_of((above - ratio * below).tolist())
    return Figure(value=100 * ratio, error=100 * rest.error / float(below.mean()))
