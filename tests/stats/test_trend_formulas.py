"""Does a series fall steadily? Mann-Kendall against every order there is."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from evalgate.stats.trend import ends, falling_p, holm


def exact_p(values: tuple[float, ...]) -> float:
    """The share of all orders of these values that fall at least as steadily."""

    def score(series: tuple[float, ...]) -> int:
        return sum((b > a) - (b < a) for a, b in itertools.combinations(series, 2))

    seen, orders = score(values), list(itertools.permutations(values))
    return sum(score(order) <= seen for order in orders) / len(orders)


@pytest.mark.parametrize(
    "values",
    [
        (0.9, 0.8, 0.7, 0.6),
        (0.9, 0.8, 0.85, 0.7, 0.6),
        (0.9, 0.8, 0.85, 0.7, 0.75, 0.6),
        (0.9, 0.9, 0.85, 0.8, 0.8, 0.7),
        (0.91, 0.88, 0.87, 0.84, 0.83, 0.8, 0.78),
        (0.8, 0.9, 0.7, 0.85, 0.75, 0.83, 0.72),
    ],
)
def test_the_normal_approximation_is_near_the_exact_p_of_short_series(values: tuple[float, ...]) -> None:
    """Within 3.5 points of p, by listing every order of up to seven values, with and without ties."""
    assert falling_p(values) == pytest.approx(exact_p(values), abs=0.035)


def test_the_p_hand_worked() -> None:
    """Five values, all falling: S = -10, variance 5 x 4 x 15 / 18, z = 9 / sqrt(16.67)."""
    assert falling_p([5, 4, 3, 2, 1]) == pytest.approx(scipy_stats.norm.sf(9 / (300 / 18) ** 0.5))


@given(st.lists(st.floats(0, 1), min_size=4, max_size=12))
def test_a_series_and_its_reverse_do_not_both_fall(values: list[float]) -> None:
    """At most one of the two is below one half."""
    forwards, backwards = falling_p(values), falling_p(values[::-1])
    assert forwards is not None and backwards is not None
    assert 0 <= forwards <= 1
    assert max(forwards, backwards) >= 0.5


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 0.5, 0.2]])
def test_fewer_than_four_values_say_nothing(values: list[float]) -> None:
    """None: no order of three is surprising."""
    assert falling_p(values) is None


def test_a_flat_series_does_not_fall() -> None:
    """All ties: p is 1."""
    assert falling_p([0.8] * 9) == 1.0


def test_change_compares_the_last_third_with_the_first() -> None:
    """Means of two values each."""
    assert ends([1, 1, 5, 5, 3, 3]) == (1.0, 3.0)
    assert ends([0.7]) == (0.7, 0.7)


@pytest.mark.parametrize("ps", [[0.04], [0.01, 0.04, 0.03], [0.9, 0.001, 0.02, 0.017], [0.2, 0.3], [0.0, 0.05]])
def test_holm_is_statsmodels(ps: list[float]) -> None:
    """The same hypotheses fall."""
    expected = multipletests(ps, alpha=0.05, method="holm")[0]
    assert holm(ps, 0.05) == list(expected)


def test_an_unknown_p_never_falls() -> None:
    """And takes no share of the level."""
    assert holm([None, 0.04], 0.05) == [False, True]
