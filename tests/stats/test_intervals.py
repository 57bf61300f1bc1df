"""Intervals and percentiles for reading."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evalgate.stats.interval import mean_interval, percentile

VALUES = st.lists(st.floats(-1, 1), min_size=2, max_size=40)


@settings(max_examples=50)
@given(VALUES)
def test_the_interval_of_a_mean_is_scipys(values: list[float]) -> None:
    """Student's, at 95 %."""
    found = mean_interval(values)
    assert found is not None
    spread = float(np.std(values, ddof=1)) / len(values) ** 0.5
    half = scipy_stats.t.ppf(0.975, len(values) - 1) * spread
    mean = float(np.mean(values))
    assert found == pytest.approx((mean - half, mean + half), abs=1e-9)


@settings(max_examples=50)
@given(VALUES)
def test_the_interval_does_not_depend_on_the_order(values: list[float]) -> None:
    """To the last bit."""
    assert mean_interval(values) == mean_interval(values[::-1])


@settings(max_examples=50)
@given(VALUES)
def test_swapping_the_sides_flips_the_interval(values: list[float]) -> None:
    """What was a fall is a rise."""
    low, high = mean_interval(values) or (0, 0)
    assert mean_interval([-value for value in values]) == pytest.approx((-high, -low), abs=1e-12)


def test_one_value_has_no_interval() -> None:
    """There is no spread to speak of."""
    assert mean_interval([0.3]) is None
    assert mean_interval([]) is None


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.sampled_from([0, 50, 75, 90, 95, 99, 100]))
def test_percentiles_are_numpys(values: list[float], percent: float) -> None:
    """Linear interpolation between ranks."""
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)), rel=1e-12, abs=1e-12)


def test_nothing_has_no_percentile() -> None:
    """None, never 0."""
    assert percentile([], 95) is None
