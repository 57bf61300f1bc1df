"""The normal and Student's distributions against scipy."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evalgate.stats.normal import log_sf, sf, student_quantile, z_of_log_tail


@pytest.mark.parametrize("z", [-30, -8, -3, -1, 0, 0.5, 1.96, 5, 10, 24.9, 25.1, 34.99, 35.01, 38, 60, 150, 1000])
def test_the_log_of_the_upper_tail_is_scipys_however_far_out(z: float) -> None:
    """From the middle to tails that no float can hold, to twelve digits of the logarithm."""
    assert log_sf(z) == pytest.approx(scipy_stats.norm.logsf(z), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("z", [-5, 0, 1.5, 8, 20, 37])
def test_the_upper_tail_is_scipys(z: float) -> None:
    """Right in relative terms where a float can hold it."""
    assert sf(z) == pytest.approx(scipy_stats.norm.sf(z), rel=1e-11)


@pytest.mark.parametrize("log_p", [-1e-12, -1e-6, -0.1, math.log(0.5), -1, -2, -2.1, -10, -100, -700, -1e4, -1e6])
def test_z_of_a_log_tail_is_the_inverse(log_p: float) -> None:
    """What `log_sf` makes of it is where it came from."""
    assert log_sf(z_of_log_tail(log_p)) == pytest.approx(log_p, rel=1e-9)


@given(st.floats(-7, 300))
def test_there_and_back_again(z: float) -> None:
    """z is found again from its own tail."""
    assert z_of_log_tail(log_sf(z)) == pytest.approx(z, rel=1e-7, abs=1e-4 if z < -5 else 1e-9)


def test_the_ends_of_the_scale() -> None:
    """Certainty and impossibility have infinite z."""
    assert z_of_log_tail(0.0) == -math.inf
    assert z_of_log_tail(-math.inf) == math.inf
    assert z_of_log_tail(math.log(0.5)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("level", [0.6, 0.9, 0.975, 0.995, 0.9999])
@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 7, 30, 199, 5000, 100_000])
def test_students_quantile_is_scipys(level: float, freedom: int) -> None:
    """To ten digits, from one degree of freedom to very many."""
    assert student_quantile(level, freedom) == pytest.approx(scipy_stats.t.ppf(level, freedom), rel=1e-9)
