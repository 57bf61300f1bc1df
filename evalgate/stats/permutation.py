"""The exact pooled test: is the candidate's shortfall larger than a fair draw from the pooled samples explains?

For each case the baseline's and the candidate's samples are thrown together. If nothing changed, the candidate's are
a simple random draw, without replacement, from that pool: every choice of them is equally likely. The statistic is
the sum over cases of the candidate's *shortfall*, the distance of its scores from the best score of the pool, on a
whole-number grid. Its law is the convolution of the cases' laws: exact, without seed or simulation.

With scores of 0 and 1 a case's law is the hypergeometric; with one sample on each side the test is the one-sided
exact McNemar test. Source: the conditional permutation test of Fisher and Pitman, stratified by case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRID = 100
"""Graded scores are judged on hundredths."""

MOST_DRAWS = 2000
"""Up to so many choices of a case's samples are simply listed."""

PLAIN_TAIL_FLOOR = 1e-7
"""A plain FFT is right to about 1e-13 of the whole; below this tail the tilted one is used."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """One case's scores on both sides, on the grid: whole numbers from 0 to GRID, ascending. Neither side is empty.

    What is derived from them is worked out once: cases with equal scores may share one of these.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    @staticmethod
    def of(before: Sequence[float], after: Sequence[float]) -> Samples:
        """Scores in [0, 1], rounded to the grid."""
        return Samples(
            before=tuple(sorted(round(score * GRID) for score in before)),
            after=tuple(sorted(round(score * GRID) for score in after)),
        )

    @cached_property
    def best(self) -> int:
        return max(self.before[-1], self.after[-1])

    @cached_property
    def shortfall(self) -> int:
        """How far the candidate's samples fall short of as many of the pool's best one."""
        return len(self.after) * self.best - sum(self.after)

    @cached_property
    def difference(self) -> float:
        """Mean after minus mean before, in score units."""
        return (sum(self.after) / len(self.after) - sum(self.before) / len(self.before)) / GRID

    @cached_property
    def pool(self) -> tuple[int, ...]:
        """How far each sample of either side falls short of the best one, ascending."""
        best = self.best
        return tuple(sorted(best - value for value in self.before + self.after))

    @cached_property
    def step(self) -> int:
        """The largest number of grid points that every shortfall of the pool is a multiple of; 0: all are equal."""
        return math.gcd(*self.pool)

    @cached_property
    def law(self) -> Array:
        """Null law of the candidate's shortfall: entry k is the probability of k steps."""
        step = self.step or 1
        return draws(tuple(value // step for value in self.pool), len(self.after))

    @cached_property
    def upward(self) -> float:
        """E[d^2; d > 0] under the null, d the difference of the two sides' means, in score units squared."""
        size, total = len(self.after), sum(self.pool)
        rest = len(self.pool) - size
        if size == 1:  # nearly always; no law is needed
            drawn = [(total - value) / rest - value for value in self.pool]
            return math.fsum(d * d for d in drawn if d > 0) / len(drawn) / GRID**2
        fallen = np.arange(len(self.law)) * self.step
        differences = ((total - fallen) / rest - fallen / size) / GRID
        return float((self.law * np.where(differences > 0, differences**2, 0.0)).sum())

    @cached_property
    def all_failed_log(self) -> float:
        """log P under the null that the candidate holds the lowest of the pool, had all its samples scored 0."""
        size = len(self.after)
        zeros = size + self.before.count(0)
        return math.log(math.comb(zeros, size)) - math.log(math.comb(len(self.before) + size, size))

    @cached_property
    def worst(self) -> Samples:
        """The same case, had every one of the candidate's samples scored 0."""
        return Samples(before=self.before, after=(0,) * len(self.after))


def draws(pool: Sequence[int], size: int) -> Array:
    """Law of the sum of `size` values drawn without replacement from `pool` (whole numbers from 0, size from 1).

    Entry k is the probability of the sum k, right in relative terms; the last entry is the largest sum there can be.
    """
    largest = sum(sorted(pool)[-size:])
    law: Array
    if size == 1:
        law = np.bincount(pool) / len(pool)
    elif set(pool) <= {0, 1}:
        law = _hypergeometric(len(pool), sum(pool), size)
    elif math.comb(len(pool), size) <= MOST_DRAWS:
        sums = np.asarray(pool)[_choices(len(pool), size)].sum(axis=1)
        law = np.bincount(sums) / len(sums)
    else:
        law = _sequential(pool, size, largest)
    return law


def _sequential(pool: Sequence[int], size: int, largest: int) -> Array:
    """The same by looking at one value after the other: each is taken with the share of draws that are still open."""
    chance = np.zeros((size + 1, largest + 1))  # [t, s]: t values taken so far, their sum s
    chance[0, 0] = 1.0
    for position, value in enumerate(pool):
        taking = (size - np.arange(size + 1)) / (len(pool) - position)
        taken = chance[:-1, : largest + 1 - value] * taking[:-1, None]
        chance *= np.maximum(0.0, 1 - taking)[:, None]
        chance[1:, value:] += taken
    return np.asarray(chance[size], dtype=np.float64)


@lru_cache(maxsize=64)
def _choices(count: int, size: int) -> NDArray[np.intp]:
    """Every choice of `size` places out of `count`, a row each."""
    return np.array(list(combinations(range(count), size)), dtype=np.intp)


def _hypergeometric(total: int, ones: int, size: int) -> Array:
    """Law of the number of ones among `size` of `total` values, by the ratio of neighbouring terms."""
    least, most = max(0, size - (total - ones)), min(ones, size)
    k = np.arange(least, most)
    ratios = (ones - k) * (size - k) / ((k + 1) * (total - ones - size + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(np.log(ratios))])
    law = np.zeros(most + 1)
    law[least:] = np.exp(logs - logs.max())
    law /= law.sum()
    return law


class Law:
    """The null law of the summed shortfall of some cases, in steps of `unit` grid points."""

    def __init__(self, samples: Sequence[Samples]) -> None:
        """samples: at least one case; cases whose pool is constant add nothing and are welcome."""
        moving = [item for item in samples if item.step]
        self.unit = math.gcd(*(item.step for item in moving)) or 1
        self.observed = sum(item.shortfall for item in moving) // self.unit
        self._laws = _stack([(item.law, item.step // self.unit) for item in moving])

    @cached_property
    def tails(self) -> Array:
        """`tails[k]` = P(sum >= k) for k from 0 to the largest possible sum; right to about 1e-13."""
        law = _convolve(self._laws)
        return np.minimum(1.0, np.cumsum(law[::-1])[::-1])

    def log_tail(self, at_least: int) -> float:
        """Natural logarithm of P(sum >= at_least), right in relative terms however small; -inf beyond the last."""
        if at_least <= 0:
            return 0.0
        if at_least >= len(self.tails):
            return -math.inf
        plain = float(self.tails[at_least])
        if plain > PLAIN_TAIL_FLOOR:
            return min(0.0, math.log(plain))
        return self._tilted_log_tail(at_least)

    def _tilted_log_tail(self, at_least: int) -> float:
        """By exponential tilting (Esscher): the tilted law has its bulk at the tail, where a plain sum has rounding.

        P(S >= s) = exp(K(t) - t s) * sum over k >= s of q(k) exp(-t (k - s)), q the law tilted by t, K its cumulant
        generating function; t is chosen so that q has a mean near s.
        """
        tilt, tilted, cumulant = _tilt_to_mean(self._laws, at_least)
        law = _convolve(tilted)
        tail = law[at_least:] * np.exp(-tilt * np.arange(len(law) - at_least))
        return float(cumulant - tilt * at_least + math.log(float(tail.sum())))


def _tilt_to_mean(laws: Array, mean: int) -> tuple[float, Array, float]:
    """A tilt t in [0, 200] at which the tilted laws' means add up to about `mean`, those laws, and the cumulant K(t).

    Any tilt gives the right tail; a tenth of a standard deviation is near enough for it to have no rounding.
    """
    values = np.arange(laws.shape[1], dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log(laws)
    low, high, tilt = 0.0, 200.0, 0.0
    for _ in range(60):
        exponents = logs + tilt * values
        peaks = exponents.max(axis=1, keepdims=True)
        weights = np.exp(exponents - peaks)
        totals = weights.sum(axis=1, keepdims=True)
        tilted = weights / totals
        means = tilted @ values
        gap = mean - float(means.sum())
        variance = max(0.0, float((tilted @ values**2 - means**2).sum()))
        if abs(gap) <= 0.1 * math.sqrt(variance):
            break
        low, high = (tilt, high) if gap > 0 else (low, tilt)
        newton = tilt + gap / variance if variance > 0 else high
        tilt = newton if low < newton < high else (low + high) / 2
    return tilt, tilted, float((peaks + np.log(totals)).sum())


def _stack(laws: Sequence[tuple[Array, int]]) -> Array:
    """The laws, each with the width of its steps, as rows of equal length; one row of certainty where there is none."""
    width = max(((len(law) - 1) * step + 1 for law, step in laws), default=1)
    rows = np.zeros((max(1, len(laws)), width))
    for row, (law, step) in zip(rows, laws, strict=False):
        row[: (len(law) - 1) * step + 1 : step] = law
    if not laws:
        rows[0, 0] = 1.0
    return rows


def _convolve(laws: Array) -> Array:
    """The law of the sum of independent whole numbers with these laws (rows), by a tree of batched FFTs.

    Entry k belongs to the sum k, up to the largest sum that can be: an entry that rounding has made 0 stays.
    """
    largest = laws.shape[1] - 1 - (laws[:, ::-1] > 0).argmax(axis=1)
    while len(laws) > 1:
        if len(laws) % 2:
            certain = np.zeros((1, laws.shape[1]))
            certain[0, 0] = 1.0
            laws, largest = np.concatenate([laws, certain]), np.append(largest, 0)
        largest = largest[0::2] + largest[1::2]
        length = 1 << int(2 * laws.shape[1] - 2).bit_length()
        spectra = np.fft.rfft(laws, length)
        laws = np.fft.irfft(spectra[0::2] * spectra[1::2], length)[:, : largest.max() + 1]
        laws = np.maximum(laws, 0.0)
    law: Array = laws[0] / laws[0].sum()
    return law


def all_failed_log_tail(samples: Sequence[Samples]) -> float:
    """log P under the null of the worst there could be: every candidate sample of every case scored 0."""
    return math.fsum(item.all_failed_log for item in samples)
