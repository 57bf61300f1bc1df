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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRID = 100
"""Graded scores are judged on hundredths."""

MOST_LISTED = 2000
"""Up to so many choices of a case's samples are simply listed."""

PLAIN_TAIL_FLOOR = 1e-7
"""A plain FFT is right to about 1e-13 of the whole; below this tail the tilted one is used."""

NEVER_ZERO = 1e-300
"""What a table of tails shows where rounding has left nothing: a sum that can be has no chance of 0."""

FEW_CASES = 12
"""Up to so many laws are folded one by one, products of chances alone: no sum that can be is lost to rounding."""

FEW_PRODUCTS = 200_000
"""... as long as that takes no more products than this."""

AT_ONCE = 1 << 17
"""Spectra of up to so many points are multiplied at once; more laws are first joined in fours."""

CUT = 1e-15
"""A joined law ends where it is below this share of its peak: there it is the rounding of the FFT."""

COARSE = 64
"""Blocks in which the tilt of long laws is sought first."""

PLAIN_EXPONENT = 600.0
"""Up to this the exponential and what it is multiplied with stay floats; beyond, logarithms are taken."""

ROWS_A_TIME = 16
"""So many fours are joined in one go: they are of like length then, and stay in the processor's cache."""

CACHED = 2048
"""Laws that are remembered, of some kilobytes each."""


class Kind(NamedTuple):
    """What the null law of one case depends on."""

    pool: tuple[int, ...]
    """How far each sample of either side falls short of the best one, in steps, ascending."""
    size: int
    """How many of them are the candidate's."""
    step: int
    """Grid points a step."""


@dataclass(frozen=True, kw_only=True)
class Samples:
    """One case's scores on both sides, on the grid: whole numbers of hundredths, ascending. Neither side is empty.

    Cases that have to be permuted together are one of these, too: their sums, repetition by repetition (`of_sums`).
    What is derived from them is worked out once: cases with equal scores may share one of these.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    @staticmethod
    def of(before: Sequence[float], after: Sequence[float]) -> Samples:
        """Scores in [0, 1], rounded to the grid."""
        return Samples(before=_on_grid(before), after=_on_grid(after))

    @staticmethod
    def of_sums(before: Sequence[float], after: Sequence[float]) -> Samples:
        """Sums over the cases of one cluster, each in [0, number of its cases], rounded to the grid.

        One entry a repetition of the whole cluster: labels are exchanged between repetitions, never within one.
        Differences and movements are then in sums, not in means: a cluster weighs as many cases as it has.
        """
        return Samples(before=_on_grid(before), after=_on_grid(after))

    def failed(self, repeats: int) -> Samples:
        """The same case, had the candidate been asked `repeats` times (from 1) and scored 0 every time."""
        return Samples(before=self.before, after=(0,) * repeats)

    @property
    def worst(self) -> Samples:
        """The same case, had every one of the candidate's samples scored 0."""
        return self.failed(len(self.after))

    @property
    def best(self) -> int:
        """The pool's largest value."""
        return max(self.before[-1], self.after[-1])

    @property
    def shortfall(self) -> int:
        """How far the candidate's samples fall short of as many of the pool's best one."""
        return len(self.after) * self.best - sum(self.after)

    @cached_property
    def difference(self) -> float:
        """Mean after minus mean before, in score units."""
        return (sum(self.after) / len(self.after) - sum(self.before) / len(self.before)) / GRID

    @property
    def pool(self) -> tuple[int, ...]:
        """How far each sample of either side falls short of the best one, in grid points, ascending."""
        return tuple([value * (self.step or 1) for value in self.kind.pool])

    @property
    def step(self) -> int:
        """The largest number of grid points that every shortfall of the pool is a multiple of; 0: all are equal."""
        return self.kind.step

    @cached_property
    def kind(self) -> Kind:
        """Cases of one kind have one law."""
        values = sorted(self.before + self.after, reverse=True)
        best = values[0]
        pool = tuple([best - value for value in values])
        step = math.gcd(*pool)
        return Kind(tuple([value // step for value in pool]) if step > 1 else pool, len(self.after), step)

    @cached_property
    def law(self) -> Array:
        """Null law of the candidate's shortfall: entry k is the probability of k steps. Read only."""
        return _draws(self.kind.pool, self.kind.size)

    @cached_property
    def upward(self) -> float:
        """E[d^2; d > 0] under the null, d the difference of the two sides' means, in score units squared."""
        kind = self.kind
        return _upward(kind) if kind.step else 0.0

    @cached_property
    def all_failed_log(self) -> float:
        """log P under the null that the candidate holds the lowest of the pool, had all its samples scored 0."""
        size = len(self.after)
        return _log_all_of(size, size + self.before.count(0), size + len(self.before))


def _on_grid(scores: Iterable[float]) -> tuple[int, ...]:
    return tuple(sorted([round(score * GRID) for score in scores]))


@lru_cache(maxsize=CACHED)
def _log_all_of(size: int, marked: int, total: int) -> float:
    """log of the chance that `size` draws out of `total` are all among the `marked` ones."""
    return math.log(math.comb(marked, size)) - math.log(math.comb(total, size))


@lru_cache(maxsize=CACHED)
def _upward(kind: Kind) -> float:
    """E[d^2; d > 0]: with a sum of k steps, `d = (sum of the pool x size - k n) x step / (GRID x rest x size)`."""
    pool, size, step = kind
    number, rest, whole = len(pool), len(pool) - size, sum(pool) * size
    scale = (step / (GRID * rest * size)) ** 2
    if size == 1:  # no law is needed
        return sum([(whole - value * number) ** 2 for value in pool if value * number < whole]) / number * scale
    law = _draws(pool, size)[: whole // number + 1]
    distance = whole - number * np.arange(len(law), dtype=np.float64)
    return float((law * distance * distance).sum()) * scale


def draws(pool: Sequence[int], size: int) -> Array:
    """Law of the sum of `size` values drawn without replacement from `pool` (whole numbers from 0, size from 1).

    Entry k is the probability of the sum k, right in relative terms; the last entry is the largest sum there can be.
    Read only: it is shared.
    """
    return _draws(tuple(pool), size)


@lru_cache(maxsize=CACHED)
def _draws(pool: tuple[int, ...], size: int) -> Array:
    largest = sum(sorted(pool)[-size:])
    law: Array
    if size == 1:
        law = np.bincount(pool) / len(pool)
    elif max(pool) <= 1:
        law = _hypergeometric(len(pool), sum(pool), size)
    elif math.comb(len(pool), size) <= MOST_LISTED:
        sums = np.einsum("i,ij->j", np.array(pool, dtype=np.intp), _choices(len(pool), size))
        law = np.bincount(sums) / len(sums)
    elif math.comb(len(pool), size) < 1 << 64:
        law = _counted(pool, size, largest)
    else:
        law = _sequential(pool, size, largest)
    law.flags.writeable = False
    return law


@lru_cache(maxsize=16)
def _choices(count: int, size: int) -> NDArray[np.intp]:
    """Every choice of `size` places out of `count`, a column each: 1 at the places chosen, else 0."""
    places = np.array(list(combinations(range(count), size)))
    chosen = np.zeros((count, len(places)), dtype=np.intp)
    chosen[places, np.arange(len(places))[:, None]] = 1
    return chosen


def _counted(pool: Sequence[int], size: int, largest: int) -> Array:
    """The same by counting the choices: the coefficients of y^size in the product of (1 + y x^value), all whole.

    A polynomial in x is one long number, with room for the largest count in each place: to multiply by x^value is to
    shift, and Python's own whole numbers do the rest.
    """
    choices, total = math.comb(len(pool), size), sum(pool)
    fewer = min(size, len(pool) - size)  # what is left behind tells what is taken
    places = next(places for places in (2, 4, 8) if choices >> (8 * places) == 0)
    counts = [1] + [0] * fewer
    for position, value in enumerate(pool):
        shift = 8 * places * value
        in_time = fewer - len(pool) + position  # fewer taken by now could not become enough
        for taken in range(min(position, fewer - 1), max(in_time, 0) - 1, -1):
            counts[taken + 1] += counts[taken] << shift
    written = counts[fewer].to_bytes(places * (total + 1), "little")
    ways = np.frombuffer(written, dtype=f"<u{places}")
    if fewer < size:
        ways = ways[::-1]
    return ways[: largest + 1] / choices


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
    """The null law of the summed shortfall of some cases, in steps of `unit` grid points.

    The same cases in any order are the same law, to the last bit.
    """

    def __init__(self, samples: Sequence[Samples]) -> None:
        """samples: at least one case; cases whose pool is constant add nothing and are welcome."""
        counts: dict[Kind, int] = {}
        laws: dict[Kind, Array] = {}
        shortfall = 0
        for item in samples:
            kind = item.kind
            if kind.step:
                shortfall += item.shortfall
                if kind in counts:
                    counts[kind] += 1
                else:
                    counts[kind], laws[kind] = 1, item.law
        self.unit = math.gcd(*(kind.step for kind in counts)) or 1
        self.observed = shortfall // self.unit
        # Sorted, so that the rounding is that of the cases and not of their order; the shortest first, as equally
        # long ones are best joined.
        order = sorted(counts, key=lambda kind: (len(laws[kind]) * kind.step, kind))
        self._counts = np.array([counts[kind] for kind in order], dtype=np.intp)
        self._laws = [_stretched(laws[kind], kind.step // self.unit) for kind in order]
        self.largest = sum((len(law) - 1) * counts[kind] for law, kind in zip(self._laws, order, strict=True))
        """The largest sum that can be."""

    @cached_property
    def tails(self) -> Array:
        """`tails[k]` = P(sum >= k) for k from 0 to the largest possible sum; right to about 1e-13, and never 0."""
        start, law = self._folded or _convolve(_stack(self._laws), self._counts)
        rising = np.full(self.largest + 1, NEVER_ZERO)
        end = self.largest + 1 - start  # upwards from the largest sum, as the table is searched
        np.cumsum(law[::-1], out=rising[end - len(law) : end])
        rising[end:] = 1.0
        np.clip(rising, NEVER_ZERO, 1.0, out=rising)
        return rising[::-1]

    def log_tail(self, at_least: int) -> float:
        """Natural logarithm of P(sum >= at_least), right in relative terms however small; -inf beyond the last."""
        if at_least <= 0:
            return 0.0
        if at_least > self.largest:
            return -math.inf
        plain = float(self.tails[at_least])
        if plain > PLAIN_TAIL_FLOOR or (self._folded and plain > NEVER_ZERO):
            return min(0.0, math.log(plain))
        return self._tilted_log_tail(at_least)

    @cached_property
    def _folded(self) -> tuple[int, Array] | None:
        """The law of the sum of a few cases, right in relative terms at every sum; None where that takes too long."""
        if int(self._counts.sum()) > FEW_CASES:
            return None
        whole, products = np.ones(1), 0
        for law, count in zip(self._laws, self._counts.tolist(), strict=True):
            for _ in range(count):
                products += len(whole) * len(law)
                if products > FEW_PRODUCTS:
                    return None
                whole = np.convolve(whole, law)
        return 0, whole

    def _tilted_log_tail(self, at_least: int) -> float:
        """By exponential tilting (Esscher): the tilted law has its bulk at the tail, where a plain sum has rounding.

        P(S >= s) = exp(K(t) - t s) * sum over k >= s of q(k) exp(-t (k - s)), q the law tilted by t, K its cumulant
        generating function; t is chosen so that q has a mean near s.
        """
        tilt, tilted, cumulant = _tilt_to_mean(_stack(self._laws), self._counts, at_least)
        start, law = _convolve(tilted, self._counts)
        law = law[max(0, at_least - start) :]
        beyond = np.arange(len(law)) + max(0, start - at_least)
        return cumulant - tilt * at_least + math.log(float((law * np.exp(-tilt * beyond)).sum()))


def _stretched(law: Array, step: int) -> Array:
    """The law of a sum that is counted in units of which a step has several."""
    if step == 1:
        return law
    wide = np.zeros((len(law) - 1) * step + 1)
    wide[::step] = law
    return wide


def _stack(laws: Sequence[Array]) -> Array:
    """The laws as rows of equal length; one row of certainty where there is none."""
    rows = np.zeros((len(laws), max(map(len, laws), default=1)))
    for row, law in zip(rows, laws, strict=True):
        row[: len(law)] = law
    return rows


def _tilt_to_mean(laws: Array, counts: NDArray[np.intp], mean: int) -> tuple[float, Array, float]:
    """A tilt t in [0, 200] at which the tilted laws' means add up to about `mean`, those laws, and the cumulant K(t).

    laws: distinct ones, a row each, with how often each is there. Any tilt gives the right tail; half a standard
    deviation is near enough for it to have no rounding.
    """
    width = laws.shape[1]
    block, tilt = width // COARSE, 0.0
    if block > 1:  # long laws are first looked at in blocks of sums, which is a fraction of the work
        edges = np.arange(0, width, block)
        blocks = np.add.reduceat(laws, edges, axis=1)
        tilt = _newton(blocks, edges + (block - 1) / 2, counts, mean, tilt)[0]
    return _newton(laws, np.arange(width, dtype=np.float64), counts, mean, tilt)


def _newton(laws: Array, places: Array, counts: NDArray[np.intp], mean: int, tilt: float) -> tuple[float, Array, float]:
    """The same for laws on these places, from this tilt on."""
    # Sums and no matrix products: those run in threads, whose number would show in the last digit.
    low, high = 0.0, 200.0
    for _ in range(60):
        tilted, peaks = _weighted(laws, places, tilt)
        totals = tilted.sum(axis=1)
        tilted /= totals[:, None]
        distances = tilted * places
        means = distances.sum(axis=1)
        distances *= places
        gap = mean - float((counts * means).sum())
        variance = max(0.0, float((counts * (distances.sum(axis=1) - means**2)).sum()))
        if abs(gap) <= 0.5 * math.sqrt(variance):
            break
        low, high = (tilt, high) if gap > 0 else (low, tilt)
        newton = tilt + gap / variance if variance > 0 else high
        tilt = newton if low < newton < high else (low + high) / 2
    return tilt, tilted, float((counts * (peaks + np.log(totals))).sum())


def _weighted(laws: Array, places: Array, tilt: float) -> tuple[Array, Array]:
    """The laws times exp(tilt x place), each divided by the exponential of the number that is returned beside it."""
    exponents = tilt * places
    if exponents[-1] <= PLAIN_EXPONENT:
        return laws * np.exp(exponents), np.zeros(len(laws))
    with np.errstate(divide="ignore"):
        logs = np.log(laws) + exponents
    peaks = logs.max(axis=1)
    return np.exp(logs - peaks[:, None]), peaks


def _convolve(laws: Array, counts: NDArray[np.intp]) -> tuple[int, Array]:
    """The law of the sum of independent whole numbers with these laws, a row each, so often each: its first sum and on.

    Of many or long laws, four at a time are joined and cut to what is not rounding, until the rest can be multiplied
    at once as spectra: the work is that of the sum's spread, not of its largest value.
    """
    starts = np.zeros(len(laws), dtype=np.intp)
    spans = laws.shape[1] - 1 - (laws[:, ::-1] > 0).argmax(axis=1)
    while len(laws) * (length := int((counts * spans).sum()) + 1) > AT_ONCE and counts.sum() > 1:
        laws, counts, starts, spans = _join_in_fours(laws, counts, starts, spans)
    fast = _fast_length(length)
    spectra = np.fft.rfft(laws, fast)
    law: Array = np.maximum(0.0, np.fft.irfft(_product(spectra, counts), fast)[:length])
    return int((counts * starts).sum()), law / law.sum()


def _join_in_fours(
    laws: Array, counts: NDArray[np.intp], starts: NDArray[np.intp], spans: NDArray[np.intp]
) -> tuple[Array, NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """The laws of sums of four: four of a kind where there are so many, else of neighbours in length."""
    certain = np.zeros((1, laws.shape[1]))
    certain[0, 0] = 1.0
    laws, starts, spans = np.concatenate([laws, certain]), np.append(starts, 0), np.append(spans, 0)
    alike = np.flatnonzero(counts >= 4)
    left = np.repeat(np.arange(len(counts)), counts % 4)
    left = left[np.argsort(spans[left], kind="stable")]
    left = np.concatenate([left, np.full(-len(left) % 4, len(counts))])
    fours = np.concatenate([np.repeat(alike[:, None], 4, axis=1), left.reshape(-1, 4)])
    joined = []
    for begin in range(0, len(fours), ROWS_A_TIME):
        some = fours[begin : begin + ROWS_A_TIME]
        widest = int(spans[some].max())
        fast = _fast_length(4 * widest + 1)
        spectra = np.fft.rfft(laws[some, : widest + 1], fast)
        pairs = spectra[:, :2] * spectra[:, 2:]
        joined.append(_cut(np.fft.irfft(pairs[:, 0] * pairs[:, 1], fast)[:, : 4 * widest + 1]))
    often = np.ones(len(fours), dtype=np.intp)
    often[: len(alike)] = counts[alike] // 4
    firsts, span = (np.concatenate(parts) for parts in zip(*(found[:2] for found in joined), strict=True))
    return _stack([row for *_, rows in joined for row in rows]), often, starts[fours].sum(axis=1) + firsts, span


def _cut(laws: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Where each row's law begins, how far it goes from there, and the rows moved to their beginnings."""
    there = laws > CUT * laws.max(axis=1, keepdims=True)
    first = there.argmax(axis=1)
    span = laws.shape[1] - 1 - there[:, ::-1].argmax(axis=1) - first
    offsets = np.arange(int(span.max()) + 1)
    places = np.minimum(first[:, None] + offsets, laws.shape[1] - 1)
    moved = np.take_along_axis(laws, places, axis=1)
    return first, span, np.where(offsets <= span[:, None], np.maximum(moved, 0.0), 0.0)


def _product(spectra: NDArray[np.complex128], counts: NDArray[np.intp]) -> NDArray[np.complex128]:
    """The product of the rows, each to the power of its count, by repeated squaring of all of them together."""
    product = np.ones(spectra.shape[1], dtype=np.complex128)
    for bit in range(int(counts.max(initial=0)).bit_length() - 1, -1, -1):
        product *= product
        for row in spectra[(counts >> bit) & 1 == 1]:
            product *= row
    return product


@lru_cache(maxsize=CACHED)
def _fast_length(least: int) -> int:
    """The smallest length from `least` on that FFTs are fast at: a power of two, or 9, 10, 12 or 15 eighths of one."""
    power = 1 << max(3, (least - 1).bit_length() - 1)
    return next(eighths * power // 8 for eighths in (8, 9, 10, 12, 15, 16) if eighths * power >= 8 * least)


def all_failed_log_tail(samples: Sequence[Samples]) -> float:
    """log P under the null of the worst there could be: every candidate sample of every case scored 0."""
    return math.fsum([item.all_failed_log for item in samples])
