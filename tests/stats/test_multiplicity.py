"""One error budget over several rules: against brute force over small discrete families."""

import itertools
import math
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from evalgate.stats.multiplicity import Hypothesis, adjusted_minimum, step_down

Steps = tuple[float, ...]
"""The ps that a discrete test can give, ascending; the last is 1. P(p <= step) = step."""


def hypothesis_of(steps: Steps, p: float) -> Hypothesis:
    def attainable(x: float) -> float:
        below = bisect_right(steps, x * (1 + 1e-9))
        return min(x, steps[below - 1]) if below else 0.0

    return Hypothesis(p=p, attainable=attainable)


def continuous(p: float) -> Hypothesis:
    return Hypothesis(p=p, attainable=lambda x: x)


def chance_of_so_small_a_minimum(families: list[Steps], p: float) -> float:
    """By listing every combination of the tests' outcomes, each with its chance."""
    total = 0.0
    for outcome in itertools.product(*families):
        chance = 1.0
        for steps, value in zip(families, outcome, strict=True):
            chance *= value - ([0.0, *steps])[steps.index(value)]
        if min(outcome) <= p + 1e-15:
            total += chance
    return total


STEPS = st.lists(st.integers(1, 63), min_size=0, max_size=4, unique=True).map(
    lambda found: (*sorted(value / 64 for value in found), 1.0)
)


@settings(max_examples=50)
@given(st.lists(STEPS, min_size=1, max_size=4), st.data())
def test_the_adjusted_minimum_is_the_chance_of_one_so_small(families: list[Steps], data: st.DataObject) -> None:
    """Equal to enumeration of every outcome of independent discrete tests."""
    p = data.draw(st.sampled_from(families[0]))
    others = [hypothesis_of(steps, 1.0) for steps in families[1:]]
    assert adjusted_minimum(p, others) == pytest.approx(chance_of_so_small_a_minimum(families, p), abs=1e-12)


@settings(max_examples=50)
@given(st.lists(STEPS, min_size=1, max_size=5), st.data())
def test_step_down_is_the_definition(families: list[Steps], data: st.DataObject) -> None:
    """The largest, over the smaller ps, of the minimum's chance among those not yet named."""
    ps = [data.draw(st.sampled_from(steps)) for steps in families]
    family = [hypothesis_of(steps, p) for steps, p in zip(families, ps, strict=True)]
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    running, expected = 0.0, [0.0] * len(ps)
    for rank, index in enumerate(order):
        left = [families[other] for other in order[rank:]]
        running = max(running, chance_of_so_small_a_minimum(left, ps[index]))
        expected[index] = running
    assert step_down(family) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "ps", [[0.02], [0.01, 0.04, 0.03], [0.9, 0.001, 0.001, 0.2], [1e-12, 0.5, 0.5, 0.999, 0.3], [0.04] * 8]
)
def test_for_continuous_tests_it_is_holm_with_sidaks_constants(ps: list[float]) -> None:
    """statsmodels' `holm-sidak`."""
    expected = multipletests(ps, method="holm-sidak")[1]
    assert step_down([continuous(p) for p in ps]) == pytest.approx(list(expected), rel=1e-6, abs=1e-12)


@settings(max_examples=50)
@given(st.lists(STEPS, min_size=1, max_size=6), st.data())
def test_adjusted_ps_are_never_below_p_and_keep_its_order(families: list[Steps], data: st.DataObject) -> None:
    """In [p, 1], and a smaller p never has a larger adjusted one."""
    family = [hypothesis_of(steps, data.draw(st.sampled_from(steps))) for steps in families]
    adjusted = step_down(family)
    for hypothesis, found in zip(family, adjusted, strict=True):
        assert hypothesis.p <= found <= 1.0
    for (p, a), (q, b) in itertools.combinations(zip([h.p for h in family], adjusted, strict=True), 2):
        assert (a <= b) if p < q else (b <= a) if q < p else a == b


def test_a_sole_hypothesis_keeps_its_p() -> None:
    """Nothing to share with."""
    assert step_down([continuous(0.0123)]) == [0.0123]


def test_a_test_that_cannot_show_so_small_a_p_costs_nothing() -> None:
    """Ten tiny categories beside a large one leave its p as it is."""
    tiny = [hypothesis_of((0.25, 1.0), 1.0) for _ in range(10)]
    assert step_down([continuous(0.001), *tiny])[0] == pytest.approx(0.001, rel=1e-12)


def test_impossibly_small_ps_keep_their_digits() -> None:
    """1 - prod(1 - F) computed plainly would be 0."""
    adjusted = step_down([continuous(1e-200), continuous(1e-200)])
    assert adjusted == pytest.approx([2e-200, 2e-200])
    assert step_down([continuous(0.0), continuous(0.5)]) == pytest.approx([0.0, 0.5])


def test_certainty_stays_certain() -> None:
    """p = 1 is no logarithm of zero."""
    assert step_down([continuous(1.0), continuous(1.0)]) == [1.0, 1.0]
    assert math.isfinite(step_down([continuous(1.0), continuous(0.5)])[1])
