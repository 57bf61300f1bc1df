"""The detectable drop against the exact test, and what it must not depend on."""

import itertools
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats as scipy_stats

from evalgate.stats.detect import Stage, detectable_drop, edgeworth_tail, power_at
from evalgate.stats.permutation import Law, Samples

ONE = (Stage(epochs=1, level=0.04 / 12),)
THREE = (Stage(epochs=3, level=0.04 / 12),)
ESCALATING = tuple(
    Stage(epochs=epochs, level=level * 0.8 / 12, go_on=go_on)
    for epochs, level, go_on in ((1, 0.0015, 0.30), (2, 0.0075, 0.15), (4, 0.021, 0.05), (8, 0.045, 1.0))
)
NOISE = 1.1
"""Two simulations of the same drop may differ by a tenth of it."""


def history(cases: int, samples: int, *, concentration: float = 1.0, seed: int = 1) -> list[list[float]]:
    """Scores of 0 and 1 of cases whose rates have the mean 0.85."""
    rng = np.random.default_rng(seed)
    rates = rng.beta(0.85 * concentration, 0.15 * concentration, cases)
    passed: list[list[float]] = (rng.random((cases, samples)) < rates[:, None]).astype(float).tolist()
    return passed


def graded(cases: int, samples: int, *, seed: int = 1) -> list[list[float]]:
    """Scores in tenths, scattered around each case's own mean."""
    rng = np.random.default_rng(seed)
    means = rng.beta(4.0, 1.0, cases)[:, None]
    scores: list[list[float]] = np.round(rng.beta(means * 8, (1 - means) * 8 + 0.01, (cases, samples)), 1).tolist()
    return scores


def drop_of(scores: Sequence[Sequence[float]], stages: Sequence[Stage] = ONE, **options: float) -> float:
    found = detectable_drop(scores, stages, **options)
    assert found is not None
    return found


def exact_power(cases: int, samples: int, stage: Stage) -> float:
    """How often the exact test blocks truths that fell by exactly the drop which their history promises to show.

    100 truths, one history each and five candidates.
    """
    blocked = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        mean = rng.uniform(0.65, 0.95)
        rates = rng.beta(mean, 1 - mean, cases)
        before = (rng.random((cases, samples)) < rates[:, None]).astype(float)
        need = cases * drop_of(before.tolist(), [stage])
        for _ in range(5):
            order = rng.permutation(cases)
            losses, after = 0.9 * rates[order], rates.copy()
            after[order] -= np.clip(need - (np.cumsum(losses) - losses), 0.0, losses)
            candidate = (rng.random((cases, stage.epochs)) < after[:, None]).astype(float)
            law = Law([Samples.of(b, c) for b, c in zip(before.tolist(), candidate.tolist(), strict=True)])
            blocked.append(math.exp(law.log_tail(law.observed)) <= stage.level and candidate.mean() < before.mean())
    return float(np.mean(blocked))


@pytest.mark.parametrize(("cases", "samples", "stage"), [(20, 5, THREE[0]), (50, 5, ONE[0]), (100, 15, ONE[0])])
def test_the_promised_power_is_the_exact_tests_power(cases: int, samples: int, stage: Stage) -> None:
    """80 % is promised; so many candidates leave a standard error of about 2.2 points."""
    assert 0.73 < exact_power(cases, samples, stage) < 0.87


@pytest.mark.parametrize("scores", [history(40, 5), graded(40, 5)], ids=["binary", "graded"])
def test_neither_the_order_of_cases_nor_of_samples_matters(scores: list[list[float]]) -> None:
    """To the last bit."""
    shuffled = [random.Random(3).sample(case, len(case)) for case in random.Random(2).sample(scores, len(scores))]
    assert detectable_drop(shuffled, ESCALATING) == detectable_drop(scores, ESCALATING)


@pytest.mark.parametrize("scores", [history(40, 5), graded(40, 5)], ids=["binary", "graded"])
def test_the_same_history_gives_the_same_answer(scores: list[list[float]]) -> None:
    """The seed is fixed, and whatever was asked before leaves nothing behind."""
    first = detectable_drop(scores, THREE)
    detectable_drop(history(30, 15), ESCALATING)
    assert detectable_drop(scores, THREE) == first


@pytest.mark.parametrize("stages", [ONE, THREE, ESCALATING], ids=["one", "three", "escalating"])
def test_more_history_shows_smaller_drops(stages: Sequence[Stage]) -> None:
    """Of the same cases, with the same share of passes each, up to the noise of simulation."""
    scores = [[1.0] * 5] * 30 + [[1.0, 1.0, 1.0, 1.0, 0.0]] * 10
    drops = [drop_of([case * times for case in scores], stages) for times in (1, 2, 4)]
    assert all(later <= NOISE * earlier for earlier, later in itertools.pairwise(drops))


@pytest.mark.parametrize("scores", [history(50, 5), graded(50, 5)], ids=["binary", "graded"])
def test_more_repeats_show_smaller_drops(scores: list[list[float]]) -> None:
    """At the same level, up to the noise of simulation."""
    drops = [drop_of(scores, [Stage(epochs=epochs, level=0.003)]) for epochs in (1, 2, 4, 8)]
    assert all(later <= NOISE * earlier for earlier, later in itertools.pairwise(drops))


@pytest.mark.parametrize("scores", [history(20, 5), graded(20, 5)], ids=["binary", "graded"])
def test_more_cases_show_smaller_drops(scores: list[list[float]]) -> None:
    """Of the same kinds, up to the noise of simulation."""
    drops = [drop_of(scores * times) for times in (1, 2, 4, 8)]
    assert all(later <= NOISE * earlier for earlier, later in itertools.pairwise(drops))


def test_another_look_never_hides_a_drop() -> None:
    """A stage that is added after the others can only block more."""
    scores = history(50, 5)
    drops = [drop_of(scores, ESCALATING[:count]) for count in (1, 2, 3, 4)]
    assert drops == sorted(drops, reverse=True)


def test_stopping_early_hides_drops() -> None:
    """Categories that are not repeated further cannot be blocked later."""
    scores = history(50, 5)
    first, last = Stage(epochs=1, level=0.0001, go_on=0.01), Stage(epochs=4, level=0.003)
    assert drop_of(scores, [first, last]) > drop_of(scores, [Stage(epochs=1, level=0.0001), last])


@pytest.mark.parametrize(
    ("scores", "stages"),
    [
        ([], ONE),
        ([[]], ONE),
        (history(50, 5), ()),
        ([[1.0]] * 5, ONE),
        ([[0.7]] * 5, ONE),
        ([[0.0] * 5] * 50, ESCALATING),
        ([[0.9, 0.8]] * 2, ONE),
    ],
    ids=["no case", "no score", "no stage", "five passes", "five grades", "nothing to lose", "two grades"],
)
def test_where_a_total_failure_would_pass_there_is_no_drop(scores: list[list[float]], stages: Sequence[Stage]) -> None:
    """Five cases with one sample each: 1/32 is the smallest p."""
    assert detectable_drop(scores, stages) is None
    assert power_at(scores, stages, 1.0) == 0.0


def test_one_case_can_be_enough() -> None:
    """With 20 passes before and 3 failures after, p is 1/1771; and it is blocked only when all three fail."""
    drop = drop_of([[1.0] * 20], THREE)
    assert 0.8 < drop <= 1.0


@pytest.mark.parametrize("score", [1.0, 0.7])
def test_identical_cases_show_what_their_count_allows(score: float) -> None:
    """30 cases with 9 equal scores each, p = 10^-broken: the third that breaks is seen."""
    drop = drop_of([[score] * 9] * 30)
    assert 2 / 30 * 0.9 * score < drop < 6 / 30 * score


def test_a_drop_that_is_allowed_is_not_seen() -> None:
    """`max_drop` is what the observed drop must exceed: the detectable one is above it."""
    scores = history(200, 5)
    assert drop_of(scores) < 0.2 < drop_of(scores, max_drop=0.2)
    assert detectable_drop(scores, ONE, max_drop=1.0) is None


def test_a_wider_null_hides_drops() -> None:
    """As the guards ask for it: z is divided by the root of `widening`."""
    scores = history(50, 5)
    assert drop_of(scores, widening=2.0) > drop_of(scores, widening=1.3) > drop_of(scores)


@pytest.mark.parametrize("scores", [history(50, 5), graded(50, 5)], ids=["binary", "graded"])
def test_power_grows_with_the_drop_and_is_what_was_asked_for(scores: list[list[float]]) -> None:
    """The detectable drop is where `power_at` reaches the power; larger drops have more."""
    powers = [power_at(scores, THREE, drop / 20) for drop in range(21)]
    assert powers == sorted(powers)
    assert powers[0] < 0.05 and powers[-1] == 1.0
    for power in (0.5, 0.8, 0.9):
        assert power_at(scores, THREE, drop_of(scores, THREE, power=power)) == pytest.approx(power, abs=1e-3)


def test_cases_may_have_unequal_numbers_of_samples() -> None:
    """Cases that joined late have fewer; those without any score are left out."""
    scores = history(50, 5)
    uneven = [case[: 1 + index % 5] for index, case in enumerate(scores)]
    assert drop_of(uneven) == drop_of([*uneven, []])
    assert drop_of(scores) < NOISE * drop_of(uneven)


def test_grades_that_are_only_0_and_1_and_a_few_halves_are_nearly_binary() -> None:
    """The two ways of simulating meet: one case in fifty that gets half marks changes little."""
    scores = history(100, 10)
    other = [[0.5] * 10, *scores[1:]]
    assert drop_of(other) == pytest.approx(drop_of(scores), rel=0.25)


def test_edgeworths_series_is_near_a_gamma_law() -> None:
    """A skewed law whose cumulants and tail are known: Gamma(20), against scipy."""
    shape = 20.0
    excess = np.array([0.0, 4.0, 8.0, 13.0])
    cumulants = (np.full(4, shape), np.full(4, 2 * shape), np.full(4, 6 * shape))
    expected = scipy_stats.gamma(shape).sf(shape + excess)
    assert edgeworth_tail(excess, *cumulants) == pytest.approx(expected, rel=0.06)
