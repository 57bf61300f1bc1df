"""The exact pooled test against enumeration, exact whole-number arithmetic, scipy and statsmodels."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.contingency_tables import mcnemar

from evalgate.stats import permutation
from evalgate.stats.permutation import GRID, Law, Samples, all_failed_log_tail, draws

Sides = tuple[Sequence[float], Sequence[float]]

BINARY = st.sampled_from([0.0, 1.0])
GRADED = st.sampled_from([0.0, 0.25, 0.4, 0.5, 1.0])


def cases(score: st.SearchStrategy[float], most: int = 4) -> st.SearchStrategy[list[Sides]]:
    side = st.lists(score, min_size=1, max_size=3)
    return st.lists(st.tuples(side, side), min_size=1, max_size=most)


def exact_tail(given_cases: Sequence[Sides], at_least: Fraction | None = None) -> Fraction:
    """P(sum of the candidate's shortfalls >= observed), by listing every choice of every case's samples."""
    law: Counter[int] = Counter({0: 1})
    total, observed = 1, 0
    for before, after in given_cases:
        pool = [round(score * GRID) for score in (*before, *after)]
        best = max(pool)
        observed += sum(best - round(score * GRID) for score in after)
        one = Counter(sum(best - value for value in chosen) for chosen in itertools.combinations(pool, len(after)))
        total *= math.comb(len(pool), len(after))
        joint: Counter[int] = Counter()
        for s, ways in law.items():
            for t, more in one.items():
                joint[s + t] += ways * more
        law = joint
    least = observed if at_least is None else at_least
    return Fraction(sum(ways for s, ways in law.items() if s >= least), total)


def p_of(given_cases: Sequence[Sides]) -> float:
    law = Law([Samples.of(before, after) for before, after in given_cases])
    return math.exp(law.log_tail(law.observed))


@settings(max_examples=40)
@given(cases(BINARY))
def test_binary_cases_give_the_p_of_full_enumeration(given_cases: list[Sides]) -> None:
    """Any number of samples on either side, unequal ones too."""
    assert p_of(given_cases) == pytest.approx(float(exact_tail(given_cases)), rel=1e-10)


@settings(max_examples=40)
@given(cases(GRADED, most=3))
def test_graded_cases_give_the_p_of_full_enumeration(given_cases: list[Sides]) -> None:
    """Scores between 0 and 1 by every choice of labels."""
    assert p_of(given_cases) == pytest.approx(float(exact_tail(given_cases)), rel=1e-10)


@given(st.lists(st.tuples(BINARY, BINARY), min_size=1, max_size=40))
def test_one_run_and_one_repeat_is_the_one_sided_exact_mcnemar(pairs: list[tuple[float, float]]) -> None:
    """The discordant pairs are a fair coin: scipy's binomial test on them, one-sided."""
    worse = sum(before > after for before, after in pairs)
    better = sum(before < after for before, after in pairs)
    expected = (
        1.0 if worse + better == 0 else scipy_stats.binomtest(worse, worse + better, alternative="greater").pvalue
    )
    assert p_of([([before], [after]) for before, after in pairs]) == pytest.approx(expected, rel=1e-10)


def test_one_run_and_one_repeat_agrees_with_statsmodels_mcnemar() -> None:
    """Twelve broke and three were mended: half of the two-sided exact p, as the law is symmetric."""
    pairs = [([1.0], [0.0])] * 12 + [([0.0], [1.0])] * 3 + [([1.0], [1.0])] * 30
    both = mcnemar([[30, 12], [3, 0]], exact=True).pvalue
    assert p_of(pairs) == pytest.approx(both / 2, rel=1e-12)


def test_one_case_alone_is_fishers_exact_test() -> None:
    """5 of 5 before, 1 of 4 after."""
    p = scipy_stats.fisher_exact([[5, 0], [1, 3]], alternative="greater").pvalue
    assert p_of([([1.0] * 5, [1.0, 0, 0, 0])]) == pytest.approx(p, rel=1e-10)


@pytest.mark.parametrize(("total", "ones", "size"), [(6, 2, 1), (6, 5, 4), (18, 4, 3), (3000, 900, 1000)])
def test_a_binary_case_has_the_hypergeometric_law(total: int, ones: int, size: int) -> None:
    """scipy's, also where the number of choices is beyond any float."""
    law = draws([1] * ones + [0] * (total - ones), size)
    expected = scipy_stats.hypergeom(total, ones, size).pmf(np.arange(min(ones, size) + 1))
    assert law == pytest.approx(expected, rel=1e-7, abs=1e-250)


def test_listing_the_draws_and_looking_at_one_after_the_other_agree() -> None:
    """Two ways to one law: which is taken is a matter of time only."""
    pool = (0, 3, 3, 10, 25, 40, 100, 100)
    expected = Counter(sum(chosen) for chosen in itertools.combinations(pool, 3))
    listed = draws(pool, 3)
    in_turn = permutation._sequential(pool, 3, sum(sorted(pool)[-3:]))
    for total, ways in expected.items():
        assert listed[total] == pytest.approx(ways / 56, rel=1e-12)
    assert in_turn == pytest.approx(listed, rel=1e-12, abs=1e-18)


@pytest.mark.parametrize(
    ("cases_of", "count"),
    [
        (([1.0] * 5, [0.0]), 40),
        (([1.0] * 5, [0.0]), 250),
        (([1.0] * 10, [0.0, 0.0, 0.0]), 60),
        (([1.0, 0.75, 0.5], [0.25]), 150),
    ],
)
def test_far_tails_are_right_in_relative_terms(cases_of: Sides, count: int) -> None:
    """Against exact fractions, where a plain FFT has kept no digit (down to 1e-200)."""
    steady = ([1.0, 0.0, 1.0, 1.0, 0.0], [0.0])
    given_cases = [cases_of] * count + [steady] * 10
    exact = exact_tail(given_cases)
    law = Law([Samples.of(before, after) for before, after in given_cases])
    log_exact = math.log(exact.numerator) - math.log(exact.denominator)
    assert log_exact < math.log(1e-16)
    assert law.log_tail(law.observed) == pytest.approx(log_exact, abs=1e-9)


def test_every_tail_of_a_law_is_right_in_relative_terms() -> None:
    """Plain or tilted: the seam between the two does not show."""
    given_cases = [([1.0, 1.0, 0.0], [0.0])] * 60
    law = Law([Samples.of(before, after) for before, after in given_cases])
    for at_least in range(61):
        expected = float(exact_tail(given_cases, Fraction(at_least * GRID)))
        assert math.exp(law.log_tail(at_least)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("scores", "unit"), [((0.0, 1.0), 100), ((0.0, 0.5, 1.0), 50), ((0.2, 0.6), 40), ((1.0, 1.0), 1)]
)
def test_the_grid_is_as_coarse_as_the_scores_allow(scores: tuple[float, ...], unit: int) -> None:
    """The law has a step only where a sum can lie."""
    law = Law([Samples.of(scores, scores[:1])])
    assert law.unit == unit


def test_cases_on_different_grids_are_summed_on_the_common_one() -> None:
    """A pass-or-fail case beside one in tenths."""
    given_cases: list[Sides] = [([1.0, 1.0], [0.0]), ([0.5, 0.7], [0.1]), ([0.3], [0.3])]
    assert p_of(given_cases) == pytest.approx(float(exact_tail(given_cases)), rel=1e-12)


def test_a_suite_that_never_varies_proves_nothing() -> None:
    """All equal on both sides: p is 1, and no error."""
    assert p_of([([1.0, 1.0], [1.0]), ([0.0], [0.0])]) == 1.0


@settings(max_examples=40)
@given(cases(GRADED), st.randoms(use_true_random=False))
def test_the_order_of_cases_and_samples_does_not_matter(given_cases: list[Sides], random: object) -> None:
    """Shuffled, the p is the same to the last bit of what a verdict shows."""
    shuffled = [(random.sample(b, len(b)), random.sample(a, len(a))) for b, a in given_cases]  # type: ignore[attr-defined]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert p_of(shuffled) == pytest.approx(p_of(given_cases), rel=1e-12)


@settings(max_examples=40)
@given(cases(GRADED))
def test_swapping_the_sides_flips_the_sign_of_every_difference(given_cases: list[Sides]) -> None:
    """A fall one way is a rise the other way."""
    for before, after in given_cases:
        assert Samples.of(before, after).difference == pytest.approx(-Samples.of(after, before).difference)


@settings(max_examples=40)
@given(cases(GRADED))
def test_p_is_a_probability(given_cases: list[Sides]) -> None:
    """In (0, 1]: what was observed could be observed."""
    assert 0 < p_of(given_cases) <= 1


@settings(max_examples=40)
@given(cases(BINARY, most=5))
def test_the_two_one_sided_ps_overlap_in_what_was_observed(given_cases: list[Sides]) -> None:
    """Down and up together are at least 1: the observed sum belongs to both."""
    flipped = [([1 - score for score in b], [1 - score for score in a]) for b, a in given_cases]
    assert p_of(given_cases) + p_of(flipped) >= 1 - 1e-12


@settings(max_examples=40)
@given(cases(GRADED))
def test_the_worst_there_could_be_is_the_p_of_all_zeros(given_cases: list[Sides]) -> None:
    """The closed formula is the test's own p, had every candidate sample scored 0."""
    worst = [(before, [0.0] * len(after)) for before, after in given_cases]
    found = all_failed_log_tail([Samples.of(before, after) for before, after in given_cases])
    assert math.exp(found) == pytest.approx(float(exact_tail(worst)), rel=1e-9)


@settings(max_examples=40)
@given(cases(GRADED))
def test_the_expected_upward_movement_is_the_mean_over_every_draw(given_cases: list[Sides]) -> None:
    """E[d^2; d > 0] by listing every choice."""
    for before, after in given_cases:
        pool, size = [round(score * GRID) for score in (*before, *after)], len(after)
        total, moved = sum(pool), []
        for chosen in itertools.combinations(pool, size):
            d = (sum(chosen) / size - (total - sum(chosen)) / (len(pool) - size)) / GRID
            moved.append(d * d if d > 0 else 0.0)
        assert Samples.of(before, after).upward == pytest.approx(math.fsum(moved) / len(moved), abs=1e-12)


def test_twenty_thousand_cases_are_one_law() -> None:
    """A large suite: its law has mass 1 and the mean of its parts."""
    kinds = [([1.0, 1.0, 0.0, 1.0], [1.0]), ([0.0, 1.0, 0.0], [0.0]), ([1.0, 1.0], [1.0])]
    law = Law([Samples.of(*kinds[number % 3]) for number in range(20_000)])
    assert law.tails[0] == pytest.approx(1.0)
    expected = sum(
        (4 - 1 - 2 + 0) / 5 if number % 3 == 0 else 0.75 if number % 3 == 1 else 0 for number in range(20_000)
    )
    assert float(law.tails[1:].sum()) == pytest.approx(expected, rel=1e-9)
