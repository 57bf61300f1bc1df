"""What a rule on mean scores can hardly surpass: tests that know every case's true rate, with three repeats.

A gate may still do better where it is allowed more repeats of what looks bad. Two of them:

`blocks` is the one that the goals are relative to. It tests every category by the normal law of its sum, 4 % shared by
Šidák over the categories, or, where everything falls and it is told so, the suite alone at 5 %. The normal law is kind
to it: its tails are too thin for small categories of sure cases, so that it blocks 6 % of unchanged pull requests
instead of 4 %.

`holding_its_level` is a fair opponent: exact laws, nobody says where to look, 4 % over the categories and 1 % for the
suite, like the gate.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from benchmarks.decision.generator import Array, Layout

REPEATS = 3
ALPHA = 0.05
CATEGORIES_LEVEL = 0.04
SUITE_LEVEL = 0.01
EVERYWHERE = slice(None)


def blocks(rates: Array, scores: Array, layout: Layout, *, is_everywhere: bool) -> bool:
    """Whether these answers, (cases, repeats) of 0 and 1, prove a fall from these rates.

    is_everywhere: the test is told that every category falls together, if any does.
    """
    if is_everywhere:
        return deviation(rates, scores, EVERYWHERE) >= NormalDist().inv_cdf(1 - ALPHA)
    bound = NormalDist().inv_cdf((1 - CATEGORIES_LEVEL) ** (1 / len(layout.sizes)))
    return any(deviation(rates, scores, place) >= bound for place in layout.slices)


def deviation(rates: Array, scores: Array, place: slice, *, half_step: float = 0.0) -> float:
    """By how many of its standard deviations the sum of these cases' passes is below what their rates promise."""
    repeats: int = scores.shape[1]
    expected = rates[place]
    spread = math.sqrt(repeats * float((expected * (1 - expected)).sum()))
    return (repeats * float(expected.sum()) - float(scores[place].sum()) - half_step) / spread


def holding_its_level(rates: Array, scores: Array, layout: Layout) -> bool:
    """The same question at a level that is held: at most 5 % of unchanged pull requests."""
    if deviation(rates, scores, EVERYWHERE, half_step=0.5) >= NormalDist().inv_cdf(1 - SUITE_LEVEL):
        return True
    laws = [cumulative(rates[place], scores.shape[1]) for place in layout.slices]
    passes = [int(scores[place].sum()) for place in layout.slices]
    least = min(float(law[count]) for law, count in zip(laws, passes, strict=True))
    return at_least_one(laws, least) <= CATEGORIES_LEVEL


def cumulative(rates: Array, repeats: int) -> Array:
    """P(passes <= k), k = 0 …, of a sum of independent passes, `repeats` of each case.

    Right to about 1e-13: the product of the cases' characteristic functions, turned back by one FFT.
    """
    most = len(rates) * repeats
    turns = np.exp(-2j * np.pi * np.arange((most + 1) // 2 + 1) / (most + 1))
    waves = np.multiply.reduce(1 - rates[:, None] + rates[:, None] * turns, axis=0) ** repeats
    return np.clip(np.cumsum(np.fft.irfft(waves[: (most + 1) // 2 + 1], most + 1)), 0.0, 1.0)


def at_least_one(laws: list[Array], least: float) -> float:
    """Chance that the smallest p of independent categories is `least` or below, each with the steps of its own law."""
    steps = [int(np.searchsorted(law, least + 1e-12, side="right")) for law in laws]
    return 1.0 - math.prod(1.0 - float(law[step - 1]) for law, step in zip(laws, steps, strict=True) if step)
