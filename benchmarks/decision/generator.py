"""Simulated pull requests whose truth is known: pass rates before and after, and what every call would answer.

A case passes with rate p under the baseline and q under the candidate. Rates are Beta distributed about a mean that
each category draws from U(0.65, 0.95); the concentration says how flaky cases are (small: nearly all of them always
pass or always fail). Every answer of a pull request stands in a table before anybody asks, so that each rule, and each
way of asking, sees the same ones. Knows no rule and nothing of evalgate.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MEANS = (0.65, 0.95)
"""Between these lies the mean pass rate of a category."""

EXTREME = 1e-6
"""No rate is nearer to 0 or 1."""

LEFT_OF_A_BROKEN_CASE = 0.1
"""A broken case keeps this share of its pass rate; a mended one this share of its failures."""

GRADED_CONCENTRATION = 4.0
"""Of the Beta that a graded score is drawn from."""

MOST_EPOCHS = 8
"""Answers of each case in the table, for the run and again for its confirmation."""

CLUSTER = 5
"""Neighbouring cases that share a context where contexts are simulated."""


@dataclass(frozen=True)
class Layout:
    """Which cases an eval set has: the number of cases of each category, which stand one after the other."""

    sizes: tuple[int, ...]

    @cached_property
    def cases(self) -> int:
        return sum(self.sizes)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where the cases of each category stand."""
        ends = np.cumsum(self.sizes).tolist()
        return tuple(slice(end - size, end) for size, end in zip(self.sizes, ends, strict=True))

    def sized(self, size: int) -> slice:
        """The first category with so many cases."""
        return self.slices[self.sizes.index(size)]


TWELVE = Layout((10, 10, 20, 20, 20, 30, 50, 50, 100, 100, 200, 200))
THIRTY = Layout((10,) * 8 + (15,) * 8 + (20,) * 8 + (30,) * 6)


# ---- what a pull request does to the rates ----------------------------------------------------------------

Effect = Callable[[np.random.Generator, Layout, Array], Array]
"""(randomness, layout, rates before) -> rates after."""


def nothing() -> Effect:
    """Nothing changes."""
    return lambda rng, layout, rates: rates.copy()


def break_one(size: int, drop: float) -> Effect:
    """In the first category of this size random cases break until its mean has lost exactly `drop`."""
    return lambda rng, layout, rates: broken_at(rng, rates, layout.sized(size), drop)


def broken_at(rng: np.random.Generator, rates: Array, place: slice, drop: float) -> Array:
    """The rates after random cases of this category broke until its mean had lost `drop`."""
    after = rates.copy()
    after[place] -= spread_over_some(rng, _loss(rates[place]), drop * len(rates[place]))
    return after


def shift_one(size: int, drop: float) -> Effect:
    """In the first category of this size every case falls by the same step of the logit; the mean loses `drop`."""

    def effect(rng: np.random.Generator, layout: Layout, rates: Array) -> Array:
        after, place = rates.copy(), layout.sized(size)
        after[place] = shifted(rates[place], -drop)
        return after

    return effect


def break_all(drop: float) -> Effect:
    """In every category random cases break until its mean has lost `drop`."""
    return _each(lambda rng, rates, _: rates - spread_over_some(rng, _loss(rates), drop * len(rates)))


def improve(gain: float, *, every: int = 1) -> Effect:
    """Every category (or every other one) gains, by a step of the logit, this much or half of what it can gain."""

    def effect(rng: np.random.Generator, rates: Array, number: int) -> Array:
        if number % every:
            return rates
        return shifted(rates, min(gain, 0.5 * (1 - float(rates.mean()))))

    return _each(effect)


def churn(amount: float) -> Effect:
    """In every category cases break and others are mended; no mean moves."""

    def effect(rng: np.random.Generator, rates: Array, _: int) -> Array:
        moved = min(amount * len(rates), 0.8 * float((1 - rates).sum()))
        down = spread_over_some(rng, _loss(rates), moved)
        up = spread_over_some(rng, _loss(1 - rates), moved)
        return np.clip(rates - down + up, EXTREME, 1 - EXTREME)

    return _each(effect)


def noisier(pull: float) -> Effect:
    """Every case moves this share of the way to its category's mean: no mean moves, answers get less steady."""
    return _each(lambda rng, rates, _: rates + pull * (rates.mean() - rates))


def _each(one: Callable[[np.random.Generator, Array, int], Array]) -> Effect:
    def effect(rng: np.random.Generator, layout: Layout, rates: Array) -> Array:
        return np.concatenate([one(rng, rates[place], number) for number, place in enumerate(layout.slices)])

    return effect


def _loss(rates: Array) -> Array:
    return (1 - LEFT_OF_A_BROKEN_CASE) * rates


def spread_over_some(rng: np.random.Generator, most: Array, total: float) -> Array:
    """`total`, taken from cases in random order: each gives all it has (`most`), the last one what is still wanted."""
    order = rng.permutation(len(most))
    owed = total - np.concatenate(([0.0], np.cumsum(most[order])))[:-1]
    given = np.empty_like(most)
    given[order] = np.clip(owed, 0.0, most[order])
    return given


def shifted(rates: Array, gain: float) -> Array:
    """The rates after one common step of their logits that moves their mean by `gain`."""
    low, high = -12.0, 12.0
    for _ in range(50):
        step = (low + high) / 2
        low, high = (step, high) if _stepped(rates, step).mean() - rates.mean() < gain else (low, step)
    return _stepped(rates, (low + high) / 2)


def _stepped(rates: Array, step: float | Array) -> Array:
    # A logistic of a sum without the logarithm: odds are multiplied.
    odds = rates / (1 - rates) * np.exp(step)
    return np.asarray(odds / (1 + odds))


# ---- what the calls answer --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Setting:
    """From what kind of system and history the pull requests of a cell come."""

    layout: Layout = TWELVE
    concentration: float = 1.0
    runs: int = 5
    """Baseline runs; 0: there is no baseline."""
    repeats: int = 3
    """Of each case in each baseline run."""
    is_graded: bool = False
    """Scores are 0, 0.1, … 1 instead of pass and fail."""
    day_sd: float = 0.0
    """Of the logit shift that a whole run, and both sides of a confirmation, share: the provider's day."""
    wander_sd: float = 0.0
    """Of each case's logit step from one baseline run to the one before it: a stale history."""
    context_sd: float = 0.0
    """Of the logit shift that neighbouring cases share within a run."""
    pulls_a_history: int = 1
    """Neighbouring pull requests that share the truth and the history."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """What was before the pull request: the truth, and what the baseline answered. Scores in [0, 1]."""

    rates: Array
    """True rates of the baseline, (cases,)."""
    history: tuple[Array, ...]
    """Scores of each baseline run, the newest first, (cases, repeats)."""


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """One pull request: its past, its truth, and every answer that may be asked for. Scores in [0, 1]."""

    past: Past
    rates: Array
    """True rates of the candidate, (cases,)."""
    candidate: Array
    """(cases, MOST_EPOCHS)."""
    fresh_candidate: Array
    """What the candidate answers when a block is confirmed."""
    fresh_baseline: Array
    """What the baseline answers then, on the same day."""


def past_of(seed: int, cell: str, number: int, setting: Setting) -> Past:
    """The past of the pull request with this number of this cell: always the same, whatever else is simulated."""
    rng = np.random.default_rng([seed, zlib.crc32(cell.encode()), number // setting.pulls_a_history])
    layout = setting.layout
    means = np.repeat(rng.uniform(*MEANS, len(layout.sizes)), layout.sizes)
    rates = _clipped(rng.beta(means * setting.concentration, (1 - means) * setting.concentration))
    return Past(rates=rates, history=_history(rng, setting, rates))


def simulate(seed: int, cell: str, number: int, setting: Setting, past: Past, effect: Effect) -> Simulated:
    """The pull request with this number of this cell, which does this to the rates of its past."""
    rng = np.random.default_rng([seed, zlib.crc32(cell.encode()), number // setting.pulls_a_history, number])
    rates = _clipped(effect(rng, setting.layout, past.rates))
    job = _day(rng, setting)
    return Simulated(
        past=past,
        rates=rates,
        candidate=_answers(rng, setting, _on(rates, job), MOST_EPOCHS),
        fresh_candidate=_answers(rng, setting, _on(rates, job), MOST_EPOCHS),
        fresh_baseline=_answers(rng, setting, _on(past.rates, job), MOST_EPOCHS),
    )


def _history(rng: np.random.Generator, setting: Setting, rates: Array) -> tuple[Array, ...]:
    runs = []
    for _ in range(setting.runs):
        runs.append(_answers(rng, setting, _on(rates, _day(rng, setting)), setting.repeats))
        if setting.wander_sd:
            rates = _clipped(_stepped(rates, setting.wander_sd * rng.standard_normal(len(rates))))
    return tuple(runs)


def _day(rng: np.random.Generator, setting: Setting) -> Array | None:
    """What moves all answers of one job, as logit steps of the cases; None where nothing does."""
    if not setting.day_sd and not setting.context_sd:
        return None
    contexts = rng.standard_normal(setting.layout.cases // CLUSTER)
    return np.asarray(setting.day_sd * rng.standard_normal() + setting.context_sd * np.repeat(contexts, CLUSTER))


def _on(rates: Array, day: Array | None) -> Array:
    return rates if day is None else _clipped(_stepped(rates, day))


def _answers(rng: np.random.Generator, setting: Setting, rates: Array, count: int) -> Array:
    if not setting.is_graded:
        return (rng.random((len(rates), count)) < rates[:, None]).astype(np.float64)
    sure = GRADED_CONCENTRATION * rates[:, None]
    return np.round(rng.beta(sure, GRADED_CONCENTRATION - sure, (len(rates), count)), 1)


def _clipped(rates: Any) -> Array:
    return np.asarray(np.clip(rates, EXTREME, 1 - EXTREME))
