"""The guards: hand-worked, and never in anybody's favour."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from evalgate.stats.guards import churn, guarded, run_overdispersion, run_widening, unguarded, upward_movement
from evalgate.stats.permutation import Samples


def test_upward_movement_hand_worked() -> None:
    """Three discordant pairs, two of them up: 2 seen, 3 x 1/2 expected; a steady pair adds nothing."""
    up, down, steady = Samples.of([0], [1]), Samples.of([1], [0]), Samples.of([1], [1])
    assert upward_movement([up, down, up, steady]) == (2.0, 1.5)


def test_upward_movement_of_unequal_sides_hand_worked() -> None:
    """One pass among four samples, one of them the candidate's: d = 1 with chance 1/4, else -1/3."""
    assert upward_movement([Samples.of([0, 0, 0], [1])]) == (1.0, 0.25)
    assert upward_movement([Samples.of([1, 0, 0], [0])]) == (0.0, 0.25)


def test_churn_is_pulled_towards_the_suite() -> None:
    """(observed + 2 r) / (expected + 2)."""
    assert churn(6.0, 2.0, 1.0) == pytest.approx(8 / 4)
    assert churn(0.0, 0.0, 1.7) == pytest.approx(1.7)


def test_run_overdispersion_hand_worked() -> None:
    """Three runs of four cases that swing together.

    Run means 1, 1/2, 0: variance 1/4. Cases 1-4 score (1, 1, 0), (1, 1, 0), (1, 0, 0), (1, 0, 0): each of variance 1/3.
    f = 4 x 1/4 / (1/3) = 3; shrunk (4 + 2 x 3) / (3 + 3) = 10/6.
    """
    runs = [[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]
    assert run_overdispersion(runs) == pytest.approx(10 / 6)


@pytest.mark.parametrize("runs", [[], [[1, 0, 1]], [[1], [0]], [[1, 1], [1, 1]], [[0.5, 0.5], [0.5, 0.5]]])
def test_runs_that_cannot_tell_are_taken_as_alike(runs: list[list[float]]) -> None:
    """One run, one case or no variance at all: no widening."""
    assert run_overdispersion(runs) == 1.0


def test_independent_runs_are_hardly_overdispersed() -> None:
    """The mean over many simulated histories stays near 1, as it is cut off there."""
    rng = np.random.default_rng(3)
    p = rng.beta(0.7, 0.3, 200)
    found = [run_overdispersion((rng.random((5, 200)) < p).astype(float)) for _ in range(200)]
    assert min(found) >= 1.0
    assert float(np.mean(found)) < 1.35


def test_run_widening_hand_worked() -> None:
    """f = 3, one repeat, four runs, four samples before and one after, half of the cases: 1 + 2 x 1.25 / 1.25 / 2."""
    assert run_widening(3, repeats=1, runs=4, before=4, after=1, share=0.5) == pytest.approx(2.0)
    assert run_widening(1, repeats=1, runs=4, before=4, after=1, share=1) == 1.0


LOG_P = st.floats(-600, 0)
WIDENING = st.floats(1, 30)


@settings(max_examples=50)
@given(LOG_P, WIDENING)
def test_guards_never_lower_p(log_p: float, widening: float) -> None:
    """They only ever raise it."""
    assert guarded(log_p, widening) >= log_p - 1e-9 * abs(log_p)


@settings(max_examples=50)
@given(LOG_P, WIDENING, st.floats(1, 3))
def test_more_widening_never_lowers_p(log_p: float, widening: float, more: float) -> None:
    """Monotone in the widening."""
    assert guarded(log_p, widening * more) >= guarded(log_p, widening) - 1e-9 * abs(log_p)


@settings(max_examples=50)
@given(st.floats(-300, -0.7), WIDENING)
def test_unguarded_is_the_inverse(log_p: float, widening: float) -> None:
    """There and back again."""
    p = math.exp(guarded(log_p, widening))
    assert unguarded(p, widening) == pytest.approx(math.exp(log_p), rel=1e-6)


def test_a_guarded_p_is_that_of_the_shrunken_z() -> None:
    """Widening 4 halves z: 6 sigma count as 3."""
    assert guarded(float(scipy_stats.norm.logsf(6)), 4.0) == pytest.approx(scipy_stats.norm.logsf(3), rel=1e-10)


def test_a_p_above_one_half_is_left_alone() -> None:
    """There widening would lower it."""
    assert guarded(math.log(0.9), 9.0) == math.log(0.9)
    assert unguarded(0.9, 9.0) == 0.9
