"""Floors: the two tests against scipy, and their size at the floor itself."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evalgate.stats.floors import (
    binomial_attainable,
    binomial_floor_p,
    even_repeats,
    history_floor_p,
    within_case_variance,
)


@settings(max_examples=50)
@given(st.integers(1, 300), st.floats(0.01, 0.99), st.data())
def test_the_binomial_mid_p_is_scipys(trials: int, floor: float, data: st.DataObject) -> None:
    """P(X < passed) + P(X = passed) / 2."""
    passed = data.draw(st.integers(0, trials))
    law = scipy_stats.binom(trials, floor)
    expected = law.cdf(passed - 1) + law.pmf(passed) / 2
    assert binomial_floor_p(passed, trials, floor) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@settings(max_examples=50)
@given(st.integers(1, 60), st.floats(0.05, 0.95))
def test_every_mid_p_finds_itself_among_the_attainable(trials: int, floor: float) -> None:
    """And nothing between two of them."""
    attainable = binomial_attainable(trials, floor)
    steps = [binomial_floor_p(passed, trials, floor) for passed in range(trials + 1)]
    for step, following in itertools.pairwise(steps):
        assert attainable(step) == pytest.approx(step, rel=1e-9)
        assert attainable((step + following) / 2) == pytest.approx(step, rel=1e-6)
    assert attainable(steps[0] / 2) == 0.0


@pytest.mark.parametrize(("passed", "p"), [(10, 1.0), (9, 0.0), (0, 0.0)])
def test_a_floor_of_one_is_broken_by_any_failure(passed: int, p: float) -> None:
    """The truth cannot be 1 once a case has failed."""
    assert binomial_floor_p(passed, 10, 1.0) == p


def test_a_floor_of_zero_is_never_broken() -> None:
    """No score is below it."""
    assert binomial_floor_p(0, 10, 0.0) == 1.0


def test_the_history_test_hand_worked() -> None:
    """20 cases, floor 0.8, within-case variance 0.05: shrunk (20 x 0.05 + 2 x 0.8 x 0.2) / 22, z = -0.1 / sd."""
    shrunk = (20 * 0.05 + 2 * 0.8 * 0.2) / 22
    z = (0.7 - 0.8) / (shrunk / 20) ** 0.5
    assert history_floor_p(0.7, 0.8, cases=20, repeats=1, variance=0.05) == pytest.approx(scipy_stats.norm.cdf(z))


@pytest.mark.parametrize("floor", [0.6, 0.8, 0.95])
def test_at_the_floor_one_rule_alone_blocks_about_one_in_twenty(floor: float) -> None:
    """Simulated with five history runs of 100 cases whose true mean is the floor; a comparison blocks nearly half."""
    rng = np.random.default_rng(11)
    blocked = plain = 0
    for _ in range(600):
        p = rng.beta(floor, 1 - floor, 100)
        p = np.clip(p + floor - p.mean(), 0, 1)
        history = (rng.random((5, 100)) < p).T.astype(float)
        mean = float((rng.random(100) < p).mean())
        truth = float(p.mean())
        variance = within_case_variance([list(row) for row in history])
        assert variance is not None
        blocked += history_floor_p(mean, truth, cases=100, repeats=1, variance=variance) <= 0.05
        plain += mean < truth
    assert blocked / 600 < 0.08
    assert plain / 600 > 0.25


def test_within_case_variance_hand_worked() -> None:
    """(1, 1, 0) has variance 1/3, (1, 0) has 1/2, a single sample says nothing."""
    assert within_case_variance([[1, 1, 0], [1, 0], [1], []]) == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert within_case_variance([[1], []]) is None


def test_even_repeats_is_what_a_mean_over_cases_is_worth() -> None:
    """Equal counts are themselves; a case repeated a hundred times adds next to nothing."""
    assert even_repeats([3, 3, 3]) == pytest.approx(3)
    assert even_repeats([1] * 9 + [100]) == pytest.approx(10 / 9.01)
