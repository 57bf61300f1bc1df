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


# ---- many cases, and far from each other --------------------------------------------------------------------


def spread_cases(count: int, repeats: int, fall: int) -> list[Samples]:
    """Cases with scores in hundredths, hardly two alike: long laws that are joined in fours and cut."""
    rng = np.random.default_rng(count + repeats)
    found = []
    for _ in range(count):
        middle, wide = int(rng.integers(20, 80)), int(rng.integers(1, 20))
        values = [min(100, max(0, middle + int(rng.integers(-wide, wide + 1)))) for _ in range(5 + repeats)]
        after = tuple(sorted(max(0, value - fall) for value in values[5:]))
        found.append(Samples(before=tuple(sorted(values[:5])), after=after))
    return found


def folded_tails(samples: Sequence[Samples], unit: int) -> np.ndarray:
    """Tails by folding one law after the other into the sum: products of chances alone, no FFT."""
    whole = np.ones(1)
    for item in samples:
        if item.step:
            wide = np.zeros((len(item.law) - 1) * (item.step // unit) + 1)
            wide[:: item.step // unit] = item.law
            whole = np.convolve(whole, wide)
    tails: np.ndarray = np.cumsum(whole[::-1])[::-1]
    return tails


@pytest.mark.parametrize(("count", "repeats"), [(13, 1), (90, 1), (90, 3), (400, 1)])
def test_many_graded_cases_have_the_law_of_one_fold_after_the_other(count: int, repeats: int) -> None:
    """Joined in fours and cut, the table is still right to 1e-13, and every tail in relative terms."""
    samples = spread_cases(count, repeats, fall=0)
    law = Law(samples)
    expected = folded_tails(samples, law.unit)
    assert law.tails == pytest.approx(expected, abs=1e-13)
    assert law.largest == len(expected) - 1
    for at_least in np.linspace(1, law.largest, 9).astype(int).tolist():
        if expected[at_least] > 1e-290:
            assert law.log_tail(at_least) == pytest.approx(math.log(expected[at_least]), abs=1e-8)


def test_a_pass_or_fail_case_repeated_often_is_raised_to_a_power() -> None:
    """Seventy of one kind, five of another: the powers of two laws, against one fold after the other."""
    samples = [Samples.of([1, 1, 0], [1, 0])] * 70 + [Samples.of([0.25, 1], [0.5])] * 5
    law = Law(samples)
    assert law.tails == pytest.approx(folded_tails(samples, law.unit), abs=1e-14)


def test_no_sum_that_can_be_has_a_tail_of_zero() -> None:
    """A logarithm can be taken of every entry; the table never rises."""
    law = Law(spread_cases(90, 3, fall=0))
    assert law.tails.min() > 0
    assert law.tails.max() == 1.0
    assert (np.diff(law.tails) <= 0).all()


@pytest.mark.parametrize(("count", "repeats", "fall"), [(6, 1, 0), (40, 1, 9), (150, 3, 9)])
def test_any_order_gives_the_same_numbers_to_the_last_bit(count: int, repeats: int, fall: int) -> None:
    """Rows of a file may come in any order: the table and the p are byte-identical."""
    samples = spread_cases(count, repeats, fall)
    shuffled = [samples[index] for index in np.random.default_rng(1).permutation(count)]
    one, other = Law(samples), Law(shuffled)
    assert one.tails.tobytes() == other.tails.tobytes()
    assert one.log_tail(one.observed) == other.log_tail(other.observed)


@pytest.mark.parametrize("count", [1, 4, 12])
def test_a_few_cases_have_every_tail_right_in_relative_terms(count: int) -> None:
    """Without FFT and tilt: the least likely sum of all, against exact numbers."""
    samples = [Samples.of([1.0] * 60, [0.0] * 20)] * count
    law = Law(samples)
    assert law.log_tail(law.largest) == pytest.approx(-count * math.log(math.comb(80, 20)), rel=1e-12)
    assert law.log_tail(law.largest + 1) == -math.inf


@given(st.integers(1, 12), st.integers(1, 8), st.data())
def test_one_pass_or_fail_case_has_scipys_hypergeometric_tail(nb: int, nc: int, data: st.DataObject) -> None:
    """Any numbers of samples and passes on either side."""
    b, c = data.draw(st.integers(0, nb)), data.draw(st.integers(0, nc))
    failed = nb + nc - b - c
    expected = scipy_stats.hypergeom(nb + nc, failed, nc).sf(nc - c - 1) if 0 < failed < nb + nc else 1.0
    sides = [1.0] * b + [0.0] * (nb - b), [1.0] * c + [0.0] * (nc - c)
    assert p_of([sides]) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 60), st.integers(0, 60))
def test_discordant_pairs_agree_with_statsmodels_mcnemar(broke: int, mended: int) -> None:
    """Where more broke than were mended, half of its two-sided exact p."""
    if broke <= mended:
        broke, mended = mended + 1, broke
    both = mcnemar([[0, broke], [mended, 0]], exact=True).pvalue
    found = p_of([([1.0], [0.0])] * broke + [([0.0], [1.0])] * mended)
    assert found == pytest.approx(both / 2, rel=1e-9)


@pytest.mark.parametrize(("pool", "size"), [((0, 3, 3, 10, 25), 2), ((0, 1, 2, 3, 5, 8), 5), ((0, 0, 7, 9, 9), 3)])
def test_counting_the_draws_in_long_numbers_is_listing_them(pool: tuple[int, ...], size: int) -> None:
    """Few or most of the pool taken: the same law."""
    expected = Counter(sum(chosen) for chosen in itertools.combinations(pool, size))
    counted = permutation._counted(pool, size, sum(sorted(pool)[-size:]))
    assert counted.tolist() == [expected[k] / math.comb(len(pool), size) for k in range(len(counted))]


def test_eight_repeats_against_ten_runs_are_counted_and_not_listed() -> None:
    """43,758 choices of a case's samples: the law agrees with looking at one value after the other."""
    pool = tuple(range(0, 54, 3))
    largest = sum(sorted(pool)[-8:])
    assert draws(pool, 8) == pytest.approx(permutation._sequential(pool, 8, largest), rel=1e-12, abs=1e-18)


# ---- clusters, and more repeats than there were ---------------------------------------------------------------

TENTHS = st.integers(0, 10).map(lambda tenths: tenths / 10)


@st.composite
def clusters(draw: st.DrawFn) -> Sides:
    """Sums over the cases of one cluster, repetition by repetition."""
    size = draw(st.integers(2, 5))
    repetition = st.lists(TENTHS, min_size=size, max_size=size).map(math.fsum)
    side = st.lists(repetition, min_size=1, max_size=3)
    return draw(side), draw(side)


def of_sums(sides: Sides) -> Samples:
    return Samples.of_sums(*sides)


@settings(max_examples=40)
@given(st.lists(clusters(), min_size=1, max_size=3))
def test_cases_that_share_a_context_are_permuted_together(found: list[Sides]) -> None:
    """Sums beyond the grid of one case: the p of every exchange of whole repetitions."""
    law = Law([of_sums(sides) for sides in found])
    assert math.exp(law.log_tail(law.observed)) == pytest.approx(float(exact_tail(found)), rel=1e-10)


@settings(max_examples=40)
@given(clusters())
def test_a_clusters_movement_is_the_mean_over_every_exchange(sides: Sides) -> None:
    """Difference and E[d^2; d > 0] in sums of scores."""
    before, after = sides
    samples, moved = of_sums(sides), []
    assert samples.difference == pytest.approx(sum(after) / len(after) - sum(before) / len(before), abs=1e-9)
    pool = [*before, *after]
    for chosen in itertools.combinations(range(len(pool)), len(after)):
        taken = [pool[index] for index in chosen]
        d = sum(taken) / len(taken) - (sum(pool) - sum(taken)) / len(before)
        moved.append(d * d if d > 1e-9 else 0.0)
    assert samples.upward == pytest.approx(math.fsum(moved) / len(moved), abs=1e-9)


@settings(max_examples=40)
@given(st.lists(clusters(), min_size=1, max_size=2), st.integers(1, 4))
def test_what_more_failed_repeats_would_have_shown(found: list[Sides], repeats: int) -> None:
    """Every sample 0, as often as asked: by enumeration, and by the closed formula."""
    zeros = [(before, [0.0] * repeats) for before, _ in found]
    failed = [of_sums(sides).failed(repeats) for sides in found]
    law, expected = Law(failed), float(exact_tail(zeros))
    assert math.exp(law.log_tail(law.observed)) == pytest.approx(expected, rel=1e-10)
    assert math.exp(all_failed_log_tail(failed)) == pytest.approx(expected, rel=1e-10)


def test_the_worst_is_as_many_failed_repeats_as_there_were() -> None:
    """Three samples: three zeros."""
    samples = Samples.of([1, 0], [1, 1, 0])
    assert samples.worst == samples.failed(3) == Samples.of([1, 0], [0, 0, 0])


def test_a_cluster_of_pass_or_fail_cases_moves_as_one() -> None:
    """Ten cases that fall together in one repetition of five are one unlucky draw: p = 1/6, not 6^-10."""
    together = Law([Samples.of_sums([10.0] * 5, [0.0])])
    assert math.exp(together.log_tail(together.observed)) == pytest.approx(1 / 6)
    apart = Law([Samples.of([1.0] * 5, [0.0])] * 10)
    assert math.exp(apart.log_tail(apart.observed)) == pytest.approx(6.0**-10)
