"""Which drop of a category would be seen? By simulating pull requests from its history, before any is made.

A closed formula promises too much below a hundred cases (52 to 74 % real power where it says 80). Here the very test
that decides is applied to simulated candidates: true rates are drawn from what the history leaves possible, cases
break in random order, one after the other, and for each simulated pull request the first break at which it is blocked
is found. The seed is fixed and the cases are put in order first: the same history gives the same answer.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evalgate.stats.guards import unguarded
from evalgate.stats.permutation import GRID, Samples, all_failed_log_tail, draws

Array = NDArray[np.float64]
Whole = NDArray[np.intp]

SIMULATED = 400
"""Pull requests simulated for a category: the power at the answer is right to about two points. Above `FEW_CASES` half
of them: there it is right to three points, and the answer itself, which is small, to a few tenths of a point."""

FEW_CASES = 100

SEED = 20260101

LEFT = 0.1
"""What a broken case keeps of its rate."""

LARGEST = 300
"""Cases that are simulated. Of a larger category so many stand for all, and what they show is scaled by the root of the
number of cases: by then nothing but the standard error changes, while memory and time would grow with every case."""

ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One look at the data."""

    epochs: int
    """Repeats of each case that the candidate has by now, those of earlier stages included; at least 1."""
    level: float
    """Blocks where the category's own p is at most this."""
    go_on: float = 1.0
    """Repeated further only while the category's p is at most this; 1 is always."""


def detectable_drop(
    history: Sequence[Sequence[float]],
    stages: Sequence[Stage],
    *,
    max_drop: float = 0.0,
    widening: float = 1.0,
    power: float = 0.8,
) -> float | None:
    """The smallest drop of the category's mean score that is blocked with this power; None where none would be.

    history: per case its scores in [0, 1] in the baseline, in any order, as many as there are; cases without a score
    are left out. stages: in order of their epochs. max_drop: the observed drop must exceed it too. widening: the
    factor of the guards on the null's variance. The answer is in score units (0.03 is three points); it is None only
    where not even a total failure would be blocked.

    The drop meant is one of the truth, in which single cases break (to a tenth of their rate, and if all of them have,
    to nothing) until the mean has fallen by so much; the same drop spread thinly over all cases is seen a little more
    often. With one score a case the history does not tell how flaky the cases are, and the answer rests on what is
    usual. It says nothing of drops that are not there: false blocks are what the levels are for.
    """
    if len(history) > LARGEST:
        return _of_many(history, stages, max_drop, widening, power)
    first = _first_blocked(history, stages, max_drop, widening)
    return None if first is None else first.drop(power)


def _of_many(
    history: Sequence[Sequence[float]], stages: Sequence[Stage], max_drop: float, widening: float, power: float
) -> float | None:
    """The same from LARGEST of the cases, evenly spread over them all in their order.

    An observed drop has to pass two marks, the test's and `max_drop`, and the higher one counts. From either it is
    equally far to the drop that passes it with this power.
    """
    kinds = Counter(tuple(sorted(scores)) for scores in history if len(scores))
    ordered = sorted(kinds, key=lambda scores: (len(scores), scores))
    ends = list(accumulate(kinds[scores] for scores in ordered))
    count = ends[-1] if ends else 0
    some = min(count, LARGEST)
    chosen = [ordered[bisect_right(ends, (2 * place + 1) * count // (2 * some))] for place in range(some)]
    if count <= LARGEST:
        return detectable_drop(chosen, stages, max_drop=max_drop, widening=widening, power=power)
    first = _first_blocked(chosen, stages, 0.0, widening)
    if first is None:
        return None
    scale = math.sqrt(LARGEST / count)
    drop, half = first.drop(power) * scale, first.drop(0.5) * scale
    return min(1.0, max(drop, max_drop + drop - half))


def power_at(
    history: Sequence[Sequence[float]],
    stages: Sequence[Stage],
    drop: float,
    *,
    max_drop: float = 0.0,
    widening: float = 1.0,
) -> float:
    """The share of pull requests with this true drop that would be blocked; arguments as of `detectable_drop`.

    A drop larger than the category's mean counts as a total failure. At 0 it is the false-block rate of the category
    alone, roughly: true rates are drawn anew, so it includes that the history may have been lucky.
    """
    first = _first_blocked(history, stages, max_drop, widening)
    return 0.0 if first is None else first.share(drop)


@dataclass(frozen=True, kw_only=True)
class _FirstBlocked:
    """Per simulated pull request the drop up to which it passes, and the drop from which it is blocked.

    Between the two, one case is breaking: each of its answers is broken with a chance that grows from 0 to 1.
    """

    passes: Array
    blocked: Array

    def share(self, drop: float) -> float:
        widths = np.maximum(self.blocked - self.passes, 1e-12)
        return float(np.clip((drop - self.passes) / widths, 0.0, 1.0).mean())

    def drop(self, power: float) -> float:
        """The smallest drop that this share of them is blocked at."""
        low, high = 0.0, 1.0
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if self.share(middle) >= power else (middle, high)
        return high


class _Candidates(Protocol):
    """Simulated candidates of one category, a row each; the columns are cases in the order in which they break.

    `broken` counts steps: case after case loses 1 - LEFT of its rate, then case after case the rest. At most twice
    the number of cases, which is a total failure.
    """

    losses: Array
    """What each step takes from the category's mean."""

    def look(self, stage: int, rows: Whole, broken: Whole) -> tuple[Array, Array]:
        """p and the observed drop of the mean, of these rows with so many steps taken."""


def _first_blocked(
    history: Sequence[Sequence[float]], stages: Sequence[Stage], max_drop: float, widening: float
) -> _FirstBlocked | None:
    # Sorted, so that the order of cases and of samples is no part of the question.
    cases = sorted(tuple(sorted(round(score * GRID) for score in scores)) for scores in history if len(scores))
    if not cases or not stages:
        return None
    epochs = [stage.epochs for stage in stages]
    is_binary = all(score in (0, GRID) for scores in cases for score in scores)
    candidates: _Candidates = _Binary(cases, epochs) if is_binary else _Graded(cases, epochs)
    limits = [(unguarded(stage.level, widening), unguarded(stage.go_on, widening)) for stage in stages]
    count = len(candidates.losses)
    everyone = np.arange(count)
    steps = candidates.losses.shape[1]
    if not _is_blocked(candidates, limits, max_drop, everyone[:1], np.array([steps])).all():
        return None
    passes, blocked = np.full(count, -1), np.full(count, steps)
    while len(rows := np.flatnonzero(blocked - passes > 1)):
        middle = (passes[rows] + blocked[rows]) // 2
        stops = _is_blocked(candidates, limits, max_drop, rows, middle)
        blocked[rows[stops]] = middle[stops]
        passes[rows[~stops]] = middle[~stops]
    fallen = np.concatenate([np.zeros((count, 1)), candidates.losses.cumsum(axis=1)], axis=1)
    return _FirstBlocked(passes=fallen[everyone, np.maximum(passes, 0)], blocked=fallen[everyone, blocked])


def _is_blocked(
    candidates: _Candidates, limits: Sequence[tuple[float, float]], max_drop: float, rows: Whole, broken: Whole
) -> NDArray[np.bool_]:
    blocked = np.zeros(len(rows), dtype=bool)
    open_ = np.arange(len(rows))
    for stage, (level, go_on) in enumerate(limits):
        p, drop = candidates.look(stage, rows[open_], broken[open_])
        stops = (p <= level * (1 + ROUNDING)) & (drop > max_drop + ROUNDING)
        blocked[open_[stops]] = True
        open_ = open_[~stops & (p <= go_on * (1 + ROUNDING))]
        if not len(open_):
            break
    return blocked


def _orders(rng: np.random.Generator, cases: int) -> Whole:
    """For each simulated pull request the order in which the cases break."""
    count = SIMULATED if cases <= FEW_CASES else SIMULATED // 2
    return rng.permuted(np.tile(np.arange(cases), (count, 1)), axis=1)


# ---- scores of 0 and 1 ------------------------------------------------------------------------------------

CONCENTRATIONS = np.array([0.05, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0, 7.0])
"""Of a Beta law of the cases' rates; equally likely before the history is seen. Models at temperature 0 show about
0.1 to 0.6, agents about 4."""

_EDGES = np.sin(np.pi / 2 * np.arange(41) / 40) ** 2
MEANS = (_EDGES[1:] + _EDGES[:-1]) / 2
"""Of the same law, closer towards 0 and 1, where a category that never failed has its mean; each stands for the values
between it and its neighbours."""


class _Binary:
    """Rates drawn from their posterior, a Beta law by case; the p is the exact test's, by Fourier inversion."""

    def __init__(self, cases: Sequence[tuple[int, ...]], epochs: Sequence[int]) -> None:
        tries = np.array([len(scores) for scores in cases])
        passed = np.array([sum(scores) // GRID for scores in cases])
        rng = np.random.default_rng(SEED)
        order = _orders(rng, len(cases))
        mean, concentration = _beta_priors(tries, passed, len(order))
        ones = (mean * concentration)[:, None] + passed[order]
        zeros = ((1 - mean) * concentration)[:, None] + (tries - passed)[order]
        rates = rng.beta(ones, zeros)
        self.losses = np.concatenate([(1 - LEFT) * rates, LEFT * rates], axis=1) / len(cases)
        self._before = float((passed / tries).mean())
        self._epochs = list(epochs)
        self._passed = int(passed.sum())
        counts = _cumulative_passes(rng, rates, epochs)
        sizes = np.flatnonzero(np.bincount(tries))
        self._laws = [_law_table(tuple(int(size) for size in sizes), epochs_so_far) for epochs_so_far in epochs]
        self._kinds = []
        """Per stage the kind of each case that never passes, is broken, is intact, in as few bytes as hold it."""
        for epochs_so_far, laws, (intact, fallen) in zip(epochs, self._laws, counts, strict=True):
            first = np.concatenate([[0], np.cumsum(sizes + epochs_so_far + 1)])[np.searchsorted(sizes, tries)]
            dead = (first + passed)[order]
            small = np.min_scalar_type(laws.kinds)
            self._kinds.append([kinds.astype(small) for kinds in (dead, dead + fallen, dead + intact)])

    def look(self, stage: int, rows: Whole, broken: Whole) -> tuple[Array, Array]:
        dead, fallen, intact = self._kinds[stage]
        cases, laws = intact.shape[1], self._laws[stage]
        place = np.arange(cases)
        found = np.where(place < broken[:, None], fallen[rows], intact[rows])
        if broken.max() > cases:
            np.copyto(found, dead[rows], where=place < broken[:, None] - cases)
        codes = found.astype(np.intp) + (np.arange(len(rows)) * laws.kinds)[:, None]
        kinds = np.bincount(codes.ravel(), minlength=len(rows) * laws.kinds).reshape(len(rows), laws.kinds)
        after = kinds @ laws.passes - self._passed
        possible = cases * self._epochs[stage]
        return laws.tail(kinds.astype(np.float64), possible - after), self._before - after / possible


def _cumulative_passes(
    rng: np.random.Generator, rates: Array, epochs: Sequence[int]
) -> list[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Per stage the passes of every case, intact and broken; a broken case passes only where the intact one does."""
    intact = np.zeros(rates.shape, dtype=np.int32)
    fallen = np.zeros(rates.shape, dtype=np.int32)
    found = []
    done = 0
    for epochs_so_far in epochs:
        for _ in range(epochs_so_far - done):
            luck = rng.random(rates.shape)
            intact += luck < rates
            fallen += luck < LEFT * rates
        done = epochs_so_far
        found.append((intact.copy(), fallen.copy()))
    return found


def _beta_priors(tries: Whole, passed: Whole, count: int) -> tuple[Array, Array]:
    """Mean and concentration of the cases' Beta law for each simulated pull request, spread as the history allows.

    By the beta-binomial likelihood of the whole category on a grid, both flat beforehand (the concentration on its
    logarithm): with few samples many are possible, and one sample a case says nothing of the concentration.
    """
    most = int(tries.max())
    counts = np.bincount(tries * (most + 1) + passed)  # not np.unique, which loads masked arrays: 13 ms
    kinds = np.flatnonzero(counts)
    tried, ones = np.divmod(kinds, most + 1)
    mean, concentration = (values.ravel() for values in np.meshgrid(MEANS, CONCENTRATIONS))
    rising_ones = _log_rising(mean * concentration, most)
    rising_zeros = _log_rising((1 - mean) * concentration, most)
    rising_all = _log_rising(concentration, most)
    likelihood = (rising_ones[ones] + rising_zeros[tried - ones] - rising_all[tried]).T @ counts[kinds].astype(
        np.float64
    )
    likelihood += np.log(np.tile(np.diff(_EDGES), len(CONCENTRATIONS)))  # flat beforehand, whatever the spacing
    chances = np.exp(likelihood - likelihood.max())
    steps = np.cumsum(chances / chances.sum())
    places = (np.arange(count) + 0.5) / count
    chosen = np.minimum(np.searchsorted(steps, places), len(mean) - 1)
    return mean[chosen], concentration[chosen]


def _log_rising(start: Array, most: int) -> Array:
    """Row k: log of start (start + 1) ... (start + k - 1), for k from 0 to `most`."""
    factors = np.log(start + np.arange(most)[:, None])
    return np.concatenate([np.zeros((1, len(start))), np.cumsum(factors, axis=0)])


BUCKET = 1.5
"""Sums whose standard deviations are within this factor share a grid of frequencies."""


class _LawTable:
    """Null laws of a case's failures by kind, a kind being (samples before, passes in the pool); tails of their sums.

    Kinds are numbered by samples before (ascending), then by passes.
    """

    def __init__(self, sizes: Sequence[int], epochs: int) -> None:
        pools = [((1,) * (total - passes) + (0,) * passes) for size in sizes for total in (size + epochs,)
                 for passes in range(total + 1)]  # fmt: skip
        rows = np.zeros((len(pools), epochs + 1))
        for row, pool in zip(rows, pools, strict=True):
            law = draws(pool, epochs)
            row[: len(law)] = law
        values = np.arange(epochs + 1)
        self.kinds = len(pools)
        self.passes = np.concatenate([np.arange(size + epochs + 1) for size in sizes])
        """Per kind the passes in the pool."""
        self._rows = rows
        self._means = rows @ values
        self._variances = rows @ values**2 - self._means**2
        self._grids: dict[int, _Frequencies] = {}

    def tail(self, kinds: Array, at_least: Whole) -> Array:
        """P(sum >= at_least) per row; kinds: how many cases of each kind a row has. Right to about 1e-8.

        Beyond seven standard deviations and twelve failures from the mean the nearer value's is given.
        """
        mean, deviation = kinds @ self._means, np.sqrt(np.maximum(kinds @ self._variances, 0.0))
        bucket = np.maximum(0, np.ceil(np.log(np.maximum(deviation, 1.0)) / math.log(BUCKET))).astype(int)
        found = np.empty(len(kinds))
        for index in sorted(set(bucket.tolist())):
            here = bucket == index
            found[here] = self._grid(index).tail(kinds[here], mean[here], at_least[here])
        return found

    def _grid(self, bucket: int) -> _Frequencies:
        if bucket not in self._grids:
            self._grids[bucket] = _Frequencies(self._rows, bucket)
        return self._grids[bucket]


class _Frequencies:
    """Characteristic functions of some laws on a grid that serves sums of a standard deviation up to BUCKET**bucket.

    P(T <= S < T + reach) = 1/N sum over k of phi(w_k) sum over s of exp(-i w_k s), w_k = 2 pi k / N, for a whole
    number S that lives on fewer than N values. Of a sum of independent Bernoulli variables (which a hypergeometric
    is) |phi(w)| <= exp(-V (1 - cos w)): beyond w = 6 / deviation nothing is left.
    """

    def __init__(self, laws: Array, bucket: int) -> None:
        widest = BUCKET**bucket
        self._far = 7 * widest + 12
        self._near = 2 * widest + 3
        reach = math.ceil(self._far + self._near) + 1
        period = reach + math.ceil(2 * self._far) + 1
        period += 1 - period % 2  # odd: then no frequency is its own mirror image
        count = (period - 1) // 2
        if bucket:
            count = min(count, math.ceil(6 * period / (2 * math.pi * widest / BUCKET)))
        self._w = 2 * math.pi * np.arange(1, count + 1) / period
        turned = laws @ np.exp(1j * np.outer(np.arange(laws.shape[1]), self._w))
        self._size = np.log(np.maximum(np.abs(turned), 1e-30))
        self._angle = np.angle(turned)
        window = np.exp(-1j * np.outer(np.arange(reach), self._w)).sum(axis=0) * 2 / period
        self._window_size, self._window_angle = np.log(np.maximum(np.abs(window), 1e-30)), np.angle(window)
        self._all = reach / period

    def tail(self, kinds: Array, mean: Array, at_least: Whole) -> Array:
        start = np.clip(at_least, np.floor(mean - self._near), np.ceil(mean + self._far))
        size = np.exp(kinds @ self._size + self._window_size)
        angle = kinds @ self._angle + self._window_angle - np.outer(start, self._w)
        found: Array = np.clip(self._all + (size * np.cos(angle)).sum(axis=1), 0.0, 1.0)
        return found


@lru_cache(maxsize=64)
def _law_table(sizes: tuple[int, ...], epochs: int) -> _LawTable:
    return _LawTable(sizes, epochs)


# ---- graded scores ----------------------------------------------------------------------------------------

UNREPEATED = 0.5
"""Weight of the whole category's scores against a case's own single one: a third of the spread is then within
cases. Judges show between 2 and 40 %."""


class _Graded:
    """Scores drawn by Polya's urn from a case's own and its neighbours'; the p by four cumulants of the pooled null."""

    def __init__(self, cases: Sequence[tuple[int, ...]], epochs: Sequence[int]) -> None:
        # By mean, so that neighbours are alike; ties by the scores themselves.
        cases = sorted(cases, key=lambda scores: (sum(scores) / len(scores), scores))
        rng = np.random.default_rng(SEED)
        urn = _Urn(cases)
        order = _orders(rng, len(cases))
        intact = urn.draw(rng, order, epochs[-1])
        # A scorer with grades gives a broken answer little, where one without gives it full marks now and then.
        fallen = intact * (2 * LEFT * rng.random(intact.shape))
        rates = urn.means[order]
        self.losses = np.concatenate([(1 - LEFT) * rates, LEFT * rates], axis=1) / len(cases)
        self._before = float(np.mean([sum(scores) / len(scores) for scores in cases])) / GRID
        self._cases = len(cases)
        self._epochs = list(epochs)
        self._unit = math.gcd(*(score - cases[0][0] for scores in cases for score in scores)) / GRID
        own = urn.power_sums[:, order]
        sizes = urn.sizes[order] if len(set(urn.sizes.tolist())) > 1 else urn.sizes[:1]
        self._sums, self._least = [], []
        drawn = zip(_cumulative_powers(intact, epochs), _cumulative_powers(fallen, epochs), strict=True)
        for epochs_so_far, (up, down) in zip(epochs, drawn, strict=True):
            worst = [Samples(before=scores, after=(0,) * epochs_so_far) for scores in cases]
            self._least.append(math.exp(all_failed_log_tail(worst)))
            dead = _moments(urn.power_sums, np.zeros_like(urn.power_sums), urn.sizes, epochs_so_far)[:, order]
            whole, broken = (_moments(own, powers, sizes, epochs_so_far) for powers in (up, down))
            self._sums.append(_while_breaking(whole, broken, dead))

    def look(self, stage: int, rows: Whole, broken: Whole) -> tuple[Array, Array]:
        after, excess, variance, third, fourth, log_least = self._sums[stage][:, rows, broken]
        p = edgeworth_tail(excess - self._unit / 2, variance, third, fourth)
        # The series knows no smallest p: where few cases vary, there is one, and it is not small.
        p = np.maximum(p, np.exp(log_least))
        p = np.where(broken == 2 * self._cases, self._least[stage], p)
        return p, self._before - after / (self._cases * self._epochs[stage])


class _Urn:
    """What the next scores of each case may be: one of its own, or with the weight of one sample a neighbour's.

    Neighbours are the cases whose means are within one standard error of a case's own, itself included. With one
    sample a case nobody knows how a case varies: then every case of the category is one, with the weight UNREPEATED.
    Source: the predictive law of a Dirichlet process (Blackwell and MacQueen 1973).
    """

    def __init__(self, cases: Sequence[tuple[int, ...]]) -> None:
        self.sizes = np.array([len(scores) for scores in cases])
        self._own = np.zeros((len(cases), int(self.sizes.max())))
        for row, scores in zip(self._own, cases, strict=True):
            row[: len(scores)] = np.array(scores) / GRID
        self.power_sums = np.stack([(self._own**k).sum(axis=1) for k in (1, 2, 3, 4)])
        averages = self.power_sums[0] / self.sizes
        repeated = self.sizes > 1
        self._weight, reach = UNREPEATED, np.ones(len(cases))
        if 2 * int(repeated.sum()) >= len(cases):
            squares = np.maximum(self.power_sums[1] - self.sizes * averages**2, 0.0)[repeated]
            within = float((squares / (self.sizes[repeated] - 1)).mean())
            self._weight, reach = 1.0, np.sqrt(within / self.sizes)
        self._low = np.searchsorted(averages, averages - reach - ROUNDING)
        self._high = np.searchsorted(averages, averages + reach + ROUNDING) - 1
        around = [averages[low : high + 1].mean() for low, high in zip(self._low, self._high, strict=True)]
        self.means = (self.power_sums[0] + self._weight * np.array(around)) / (self.sizes + self._weight)

    def draw(self, rng: np.random.Generator, order: Whole, epochs: int) -> Array:
        """`epochs` scores for each case of `order`, the first axis being the epochs."""
        drawn = np.empty((epochs, *order.shape))
        sizes, low, high = self.sizes[order], self._low[order], self._high[order]
        for epoch in range(epochs):
            place = rng.random(order.shape) * (sizes + self._weight + epoch)
            other = low + (rng.random(order.shape) * (high - low + 1)).astype(np.intp)
            fresh = self._own[other, (rng.random(order.shape) * self.sizes[other]).astype(np.intp)]
            own = self._own[order, np.minimum(place.astype(np.intp), sizes - 1)]
            drawn[epoch] = np.where(place < sizes, own, fresh)
            if epoch:
                again = np.clip((place - sizes - self._weight).astype(np.intp), 0, epoch - 1)
                copied = np.take_along_axis(drawn[:epoch], again[None], axis=0)[0]
                drawn[epoch] = np.where(place < sizes + self._weight, drawn[epoch], copied)
        return drawn


def _while_breaking(intact: Array, fallen: Array, dead: Array) -> Array:
    """Sums over cases after each step: first case after case goes from intact to fallen, then from fallen to dead."""
    steps = np.concatenate([fallen - intact, dead - fallen], axis=2)
    start = intact.sum(axis=2, keepdims=True)
    return np.concatenate([start, start + np.cumsum(steps, axis=2)], axis=2)


def _cumulative_powers(drawn: Array, epochs: Sequence[int]) -> list[Array]:
    """Per stage the sums of the first four powers of each case's scores so far; the first axis of `drawn` is epochs."""
    sums = np.zeros((4, *drawn.shape[1:]))
    found, done = [], 0
    for epochs_so_far in epochs:
        for scores in drawn[done:epochs_so_far]:
            square = scores * scores
            for total, power in zip(sums, (scores, square, square * scores, square * square), strict=True):
                total += power
        done = epochs_so_far
        found.append(sums.copy())
    return found


def _moments(own: Array, drawn: Array, before: Whole, after: int) -> Array:
    """By case: the candidate's sum, how far it is below the null's mean, the null's second to fourth cumulants, and
    the logarithm of a chance that the null gives at least to the lowest there can be.

    own, drawn: sums of the first four powers of the baseline's `before` and the candidate's `after` scores. The null
    draws `after` values of the pool without replacement; cumulants are of the shortfall: odd ones change their sign.
    """
    total = before + after
    one, two, three, four = own + drawn
    mean = one / total
    # Sums of powers of the distance from the pool's mean.
    second = np.maximum(two - mean * one, 0.0)
    square = mean * mean
    third = three - mean * (3 * two - 2 * mean * one)
    fourth = four - mean * (4 * three - 6 * mean * two) - 3 * square * mean * one
    # Chances that one, two, three, four given values are all drawn.
    chances = [np.ones(total.shape)]
    for k in range(4):
        chances.append(chances[-1] * max(after - k, 0) / np.maximum(total - k, 1))
    _, a, b, c, d = chances
    variance = second * (a - b)
    # E[x^4] of a sum drawn without replacement, less 3 E[x^2]^2.
    fourth = fourth * (a - 7 * b + 12 * c - 6 * d) + second * second * (3 * b - 6 * c + 3 * d) - 3 * variance * variance
    log_choices = sum((np.log((total - k) / (k + 1)) for k in range(after)), np.zeros(total.shape))
    log_least = np.where(second > ROUNDING, -log_choices, 0.0)
    third *= 3 * b - a - 2 * c
    return np.stack([drawn[0], after * mean - drawn[0], variance, third, fourth, log_least])


def edgeworth_tail(excess: Array, variance: Array, third: Array, fourth: Array) -> Array:
    """P(X - mean >= excess) from the cumulants of X, by Edgeworth's series up to 1/n; 1 where X cannot vary."""
    deviation = np.sqrt(np.maximum(variance, 1e-12))
    z = np.clip(excess / deviation, -6.0, 6.0)
    skew, kurtosis = third / deviation**3, fourth / deviation**4
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    correction = (
        skew / 6 * (z**2 - 1) + kurtosis / 24 * (z**3 - 3 * z) + skew**2 / 72 * (z**5 - 10 * z**3 + 15 * z)
    )  # fmt: skip
    upper = np.array([0.5 * math.erfc(value / math.sqrt(2)) for value in z])
    return np.where(variance > 1e-9, np.clip(upper + density * correction, 0.0, 1.0), 1.0)
