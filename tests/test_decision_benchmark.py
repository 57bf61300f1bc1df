"""The simulation of the decision: its pull requests are what they are said to be, its rules and figures are right."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

# The benchmarks are not installed; at the end of the path, so that the package under test stays the installed one.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.decision import figures, generator, goals, levels, limit, naive, table, work
from benchmarks.decision.cells import CELLS
from benchmarks.decision.drive import escalated, pull_of, same_through_the_door
from benchmarks.decision.generator import MOST_EPOCHS, TWELVE, Array, Setting
from benchmarks.decision.through_runner import is_same

SMALL = generator.Layout((6, 4))


def _rates(seed: int = 1) -> Array:
    means = np.repeat(np.random.default_rng(seed).uniform(0.65, 0.95, 12), TWELVE.sizes)
    return np.random.default_rng(seed).beta(means, 1 - means).clip(1e-6, 1 - 1e-6)


def _change(effect: generator.Effect) -> list[float]:
    """By how much the mean of each category moves."""
    before = _rates()
    change = effect(np.random.default_rng(2), TWELVE, before) - before
    return [float(change[place].mean()) for place in TWELVE.slices]


# ---- the generator ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", [generator.break_one(50, 0.1), generator.shift_one(50, 0.1)])
def test_one_category_falls_by_exactly_what_is_said(effect: generator.Effect) -> None:
    """The first of fifty cases loses ten points, no other moves."""
    assert _change(effect) == pytest.approx([-0.1 if index == 6 else 0.0 for index in range(12)], abs=1e-9)


def test_everything_falls_by_exactly_what_is_said() -> None:
    """Every category loses two points."""
    assert _change(generator.break_all(0.02)) == pytest.approx([-0.02] * 12, abs=1e-9)


@pytest.mark.parametrize("effect", [generator.nothing(), generator.churn(0.05), generator.noisier(0.5)])
def test_what_is_no_change_for_the_worse_moves_no_mean(effect: generator.Effect) -> None:
    """Unchanged, churning and noisier pull requests keep the mean of every category."""
    assert _change(effect) == pytest.approx([0.0] * 12, abs=1e-5)


def test_improvements_lower_no_mean() -> None:
    """Every category gains, and where half of them are meant the others stay."""
    assert min(_change(generator.improve(0.05))) > 0
    assert _change(generator.improve(0.05, every=2))[1::2] == [0.0] * 6


def test_a_pull_request_is_the_same_whoever_simulates_it() -> None:
    """Same seed, cell and number: same truth and answers; another number: others."""
    first, again, other = (pull_of(CELLS["day0.2"], 5, number).simulated for number in (3, 3, 4))
    assert np.array_equal(first.candidate, again.candidate)
    assert np.array_equal(first.past.history, again.past.history)
    assert not np.array_equal(first.candidate, other.candidate)
    assert first.candidate.shape == (810, MOST_EPOCHS)


def test_pull_requests_may_share_a_history_and_nothing_else() -> None:
    """Twelve neighbours have one truth before, each a change and answers of its own."""
    setting = Setting(pulls_a_history=12)
    pasts = [generator.past_of(1, "cell", number, setting) for number in (0, 11, 12)]
    assert np.array_equal(pasts[0].rates, pasts[1].rates)
    assert not np.array_equal(pasts[0].rates, pasts[2].rates)
    answers = [generator.simulate(1, "cell", number, setting, pasts[0], generator.nothing()) for number in (0, 1)]
    assert not np.array_equal(answers[0].candidate, answers[1].candidate)


# ---- the rules --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("falls", "rises"), [(0, 0), (3, 0), (7, 2), (12, 11), (0, 4)])
def test_mcnemar_is_the_binomial_of_the_cases_that_moved(falls: int, rises: int) -> None:
    """Against scipy: chance of so many falls if falls and rises were equally likely."""
    before = np.array([1.0] * falls + [0.0] * rises + [1.0, 0.0])
    after = np.array([0.0] * falls + [1.0] * rises + [1.0, 0.0])
    moved = falls + rises
    expected = stats.binomtest(falls, moved, alternative="greater").pvalue if moved else 1.0
    assert naive.mcnemar_p(before, after) == pytest.approx(expected, rel=1e-9)


def test_a_drop_of_exactly_what_is_allowed_does_not_block() -> None:
    """One of four cases fails: 25 points; a limit of 25 holds, one of 24 does not."""
    before, after = np.ones(10), np.array([1.0] * 6 + [0.0, 1.0, 1.0, 1.0])
    assert not naive.any_drop(0.25)(before, after, SMALL)
    assert naive.any_drop(0.24)(before, after, SMALL)


def test_the_law_of_known_rates_is_that_of_their_sum() -> None:
    """Equal rates against scipy's binomial; different ones against the product of their generating functions."""
    ours = limit.cumulative(np.full(20, 0.8), 3)
    assert ours == pytest.approx(stats.binom.cdf(np.arange(61), 60, 0.8), abs=1e-12)
    law = np.ones(1)
    for rate in (0.5, 0.5, 0.9, 0.9, 0.2, 0.2):
        law = np.convolve(law, [1 - rate, rate])
    assert limit.cumulative(np.array([0.5, 0.9, 0.2]), 2) == pytest.approx(np.cumsum(law), abs=1e-12)


def test_the_fair_limit_holds_its_level() -> None:
    """120 unchanged pull requests at 5 %: more than 12 blocks have a chance of 1 in 100."""
    rng, rates = np.random.default_rng(3), _rates()
    blocked = sum(
        limit.holding_its_level(rates, (rng.random((810, 3)) < rates[:, None]).astype(float), TWELVE)
        for _ in range(120)
    )
    assert blocked <= 12


# ---- the figures ------------------------------------------------------------------------------------------


def test_relative_power_has_the_error_of_a_ratio_on_the_same_draws() -> None:
    """A rule that agrees with the limit on every draw is at 100 % without any error; three of four are 75 %."""
    columns = {"limit": [1.0, 1.0, 1.0, 1.0, 0.0], "same": [1.0, 1.0, 1.0, 1.0, 0.0], "less": [1.0, 1.0, 1.0, 0.0, 0.0]}
    same, less = figures.relative(columns, "same", "limit"), figures.relative(columns, "less", "limit")
    assert same == figures.Figure(value=100.0, error=0.0)
    assert less is not None
    assert less.value == pytest.approx(75.0)
    assert figures.relative(columns, "absent", "limit") is None


def test_none_of_a_few_is_not_known_to_be_none() -> None:
    """A share of zero has an error, the smaller the more pull requests it is of."""
    few, many = (figures.share_of({"blocked": [0.0] * count}, "blocked") for count in (20, 2000))
    assert few is not None
    assert many is not None
    assert few.value == many.value == 0.0
    assert 1 < few.error < 10
    assert 0 < many.error < 0.1


@pytest.mark.parametrize(
    ("value", "answer"),
    [(50.0, "reached"), (51.0, "not reached, by less than two standard errors"), (53.0, "**not reached**")],
)
def test_a_goal_says_whether_it_is_reached(value: float, answer: str) -> None:
    """At the bound it is; beyond it the answer says whether chance could be to blame."""
    goal = goals.Goal(what="calls", measured=figures.Figure(value=value, error=1.0), most=50)
    assert goal.answer == answer
    assert f"| calls | {value:.1f} % | 1.0 | ≤ 50 % | {answer} |" in table.reached([goal])


# ---- evalgate in the simulation ---------------------------------------------------------------------------


def test_every_goal_is_about_a_cell_that_exists() -> None:
    """A renamed cell must not silently drop a goal."""
    named = {*goals.UNCHANGED, *goals.NOT_WORSE, *goals.STRESSED, *goals.LEAST_POWER, *goals.PRINTED}
    assert named <= set(CELLS)


def test_chunks_that_are_kept_are_not_measured_again(tmp_path: Path) -> None:
    """The figures are the same with and without what was kept, whole or after a torn line."""
    keep, told = tmp_path / "kept.jsonl", []
    first = work.measured(["no-baseline"], prs=2, seed=1, jobs=1, keep=keep, tell=lambda text: None)
    with keep.open("a", encoding="utf-8") as file:
        file.write('\n{"cell": "no-base')
    again = work.measured(["no-baseline"], prs=2, seed=1, jobs=1, keep=keep, tell=told.append)
    assert again == first
    assert told == ["1 of 1 chunks are kept from before\n"]
    assert first["no-baseline"]["blocked"] == [0.0, 0.0]


def test_the_runner_gives_the_verdict_of_the_simulation() -> None:
    """A drop that takes several steps and a confirmation: the same bytes with every call through the real runner."""
    _, run, _ = asyncio.run(escalated(pull_of(CELLS["n50-10"], 1, 0)))
    assert len(run.steps) > 1
    assert run.confirmation is not None
    assert asyncio.run(is_same("n50-10", 1, 0))


def test_rows_in_any_order_give_the_verdict_of_their_run() -> None:
    """The same bytes through `evalgate.decide`, twice, as from the run that the rows are of."""
    assert same_through_the_door(pull_of(CELLS["one-n50-10"], 1, 0), np.random.default_rng(1))


def test_the_looks_spend_no_more_than_alpha() -> None:
    """The twelve categories of the simulation in the normal limit; 20,000 pull requests: right to 0.3 points."""
    assert 0.04 < levels.size_of(levels.Design(sizes=TWELVE.sizes, history=15), 20_000, 1) <= 0.05
