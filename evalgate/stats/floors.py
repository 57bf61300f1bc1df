"""Is the truth below a floor? One-sided p of "the mean is at least `floor`", small when it is not."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from evalgate.stats.normal import sf

PRIOR_CASES = 2.0
"""Cases' worth of binomial variance that history's variance is shrunk towards."""


def within_case_variance(history: Sequence[Sequence[float]]) -> float | None:
    """Mean over cases of the variance of a case's own samples; None where no case has two.

    history: per case its scores in [0, 1] in earlier identical runs.
    """
    variances = []
    for scores in history:
        if len(scores) > 1 and min(scores) == max(scores):
            variances.append(0.0)
        elif len(scores) > 1:
            mean = math.fsum(scores) / len(scores)
            variances.append(math.fsum((score - mean) ** 2 for score in scores) / (len(scores) - 1))
    return math.fsum(variances) / len(variances) if variances else None


def known_variance(history: Sequence[Sequence[float]]) -> float | None:
    """`within_case_variance` where at least half of the cases have two samples; None: too few to speak for all."""
    repeated = sum([len(scores) > 1 for scores in history])
    return within_case_variance(history) if 2 * repeated >= len(history) else None


def even_repeats(counts: Sequence[int]) -> float:
    """The number of samples a case, the same for all, that would leave the mean over cases as noisy as these do.

    counts: per case its samples, at least one each; the answer is their harmonic mean. A case that was repeated a
    hundred times weighs no more in the mean than any other.
    """
    return len(counts) / math.fsum(1 / count for count in counts)


def history_floor_p(mean: float, floor: float, *, cases: int, repeats: float, variance: float) -> float:
    """p of a mean over `cases` cases of `repeats` samples each, with the noise that history shows.

    `z = (mean - floor) / sqrt(v / (n R))`, v shrunk to `(n v + 2 floor (1 - floor)) / (n + 2)`; the cases are
    fixed, so only the noise within a case counts. Source: decision.md 7.
    """
    shrunk = (cases * variance + PRIOR_CASES * floor * (1 - floor)) / (cases + PRIOR_CASES)
    if shrunk <= 0:
        return 1.0 if mean >= floor else 0.0
    return sf((floor - mean) / math.sqrt(shrunk / (cases * repeats)))


def binomial_floor_p(passed: int, trials: int, floor: float) -> float:
    """Mid-p of at most `passed` successes in `trials` at the rate `floor`: P(X < passed) + P(X = passed) / 2.

    For cases of different difficulty it is too large rather than too small: their sum varies less than a binomial.
    """
    if floor >= 1:
        return 1.0 if passed >= trials else 0.0
    if floor <= 0:
        return 1.0
    terms = [_binomial(k, trials, floor) for k in range(passed)]
    return min(1.0, math.fsum(terms) + _binomial(passed, trials, floor) / 2)


def binomial_attainable(trials: int, floor: float) -> Callable[[float], float]:
    """x -> the largest mid-p of this test that is not above x; 0 where there is none."""
    steps: list[float] = []
    total = 0.0
    for k in range(trials + 1):
        chance = _binomial(k, trials, floor) if 0 < floor < 1 else float(k == (trials if floor >= 1 else 0))
        steps.append(min(1.0, total + chance / 2))
        total += chance

    def attainable(x: float) -> float:
        below = bisect_right(steps, x * (1 + 1e-9))  # a p of its own must find itself, rounding or not
        return min(x, steps[below - 1]) if below else 0.0

    return attainable


def _binomial(k: int, n: int, rate: float) -> float:
    log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(log + k * math.log(rate) + (n - k) * math.log1p(-rate))
