"""Guards: what could make an unchanged system look worse than the pooled test allows for. They only ever raise p.

Two assumptions of the pooled test can fail without any drop: the candidate may be *noisier* case by case than its
history (churn), and runs may differ from each other as wholes (a bad day of the provider). Both widen the null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from evalgate.stats.normal import log_sf, z_of_log_tail
from evalgate.stats.permutation import Array, Samples

PRIOR = 2.0
"""Pseudo-observations that pull a category's churn towards the suite's."""


def upward_movement(samples: Sequence[Samples]) -> tuple[float, float]:
    """Sum of squared differences over the cases that went up: as observed, and as expected if nothing changed."""
    observed = math.fsum([item.difference**2 for item in samples if item.difference > 0])
    return observed, math.fsum([item.upward for item in samples])


def churn(observed: float, expected: float, suite_ratio: float) -> float:
    """How much more a category's cases moved up than chance explains, pulled towards the suite's ratio.

    Above 1, the candidate reshuffles its cases: the spread of its sum is larger than the null law says by this factor.
    Source: decision.md 2; `(observed + 2 r) / (expected + 2)`.
    """
    return (observed + PRIOR * suite_ratio) / (expected + PRIOR)


def run_overdispersion(run_means: Sequence[Sequence[float]] | Array) -> float:
    """How much more history runs differ as wholes than their cases' own noise explains; 1 is no more.

    run_means: one row a run, one column a case: the case's mean score in that run; at least two runs to say anything.
    `f = N var(run means) / mean within-case variance`, shrunk to `max(1, (4 + (K - 1) f) / (3 + K))`.
    Source: decision.md 2 (one-way random effects, method of moments).
    """
    table = np.asarray(run_means, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 2:
        return 1.0
    runs, cases = table.shape
    within = float(table.var(axis=0, ddof=1).mean())
    if within <= 0:
        return 1.0
    ratio = cases * float(np.sort(table.mean(axis=1)).var(ddof=1)) / within
    shrunk: float = (4 + (runs - 1) * ratio) / (3 + runs)
    return max(1.0, shrunk)


def run_widening(
    overdispersion: float, *, repeats: float, runs: int, before: float, after: float, share: float
) -> float:
    """The factor on the null's variance that run-to-run differences ask for; at least 1.

    repeats: samples of a case per history run; before, after: samples of a case on each side (means over cases);
    share: the part of the suite's cases that the category has.
    `1 + share (f - 1) / R (1 + 1/K) / (1/nc + 1/nb)`. Source: decision.md 2.
    """
    excess = (overdispersion - 1) / repeats * (1 + 1 / runs) / (1 / after + 1 / before)
    return 1 + max(0.0, excess) * share


def guarded(log_p: float, widening: float) -> float:
    """log p after the null's variance is multiplied by `widening` (at least 1): z becomes z / sqrt(widening).

    A p above one half is left alone: there widening would lower it.
    """
    if widening <= 1 or log_p >= math.log(0.5):
        return log_p
    z = z_of_log_tail(log_p)
    return log_sf(z / math.sqrt(widening)) if math.isfinite(z) else log_p


def unguarded(p: float, widening: float) -> float:
    """The inverse of `guarded`, on p itself: the plain p that widening turns into this one."""
    if widening <= 1 or p >= 0.5 or p <= 0:
        return p
    return math.exp(log_sf(z_of_log_tail(math.log(p)) * math.sqrt(widening)))
