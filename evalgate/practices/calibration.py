"""How noisy a system is that did not change, and what more of anything would buy. Knows no store and no gate.

It is given each case's scores in runs of one version: whatever differs between them is noise. From the same scores it
draws further ones, for pull requests that change nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from evalgate.records import EVERY_CASE, Run

PRIOR = 4
"""Cases of the whole suite that are put to each category's own, where its noise is estimated: a category in which
nothing wavered yet is not one in which nothing can."""

MOST_WEIGHT = 20.0
"""Of what other cases show against one score of a case's own: there a category is hardly more than one coin."""

USEFUL = 0.2
"""A category in which only a drop larger than this would be found guards little."""

PULLS = 10
"""Pull requests over which a price that is paid once is compared with one that each pays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseScores:
    """One case in runs of one version."""

    id: str
    categories: tuple[str, ...]
    by_run: tuple[tuple[float, ...], ...]
    """Its scores in each run, in [0, 1]; () where a run has none."""

    @property
    def scores(self) -> tuple[float, ...]:
        return tuple(score for scores in self.by_run for score in scores)


def in_category(cases: Sequence[CaseScores], category: str) -> list[CaseScores]:
    """The cases of a category; `"*"` is every one."""
    return [case for case in cases if category == EVERY_CASE or category in case.categories]


# ---- noise ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Noise:
    """What varies in a category though nothing changed."""

    repeated: int
    """Cases with two scores or more: of the others nobody knows."""
    changed: int
    """Those of them that passed in one answer and failed in another."""
    within_sd: float | None
    """Standard deviation of one case's score from answer to answer, in score units; None: no case is repeated."""
    mean_sd: float | None
    """Standard deviation of the category's mean from run to run; None for fewer than two runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wavering:
    """A case that passed in one answer and failed in another."""

    id: str
    categories: tuple[str, ...]
    passed: int
    answers: int


def noise(cases: Sequence[CaseScores], pass_mark: float) -> Noise:
    """The noise of these cases. It does not tell a noisy system from a noisy judge."""
    repeated = [case for case in cases if len(case.scores) > 1]
    within = _within_variance(cases)
    return Noise(
        repeated=len(repeated),
        changed=sum(_wavers(case, pass_mark) for case in repeated),
        within_sd=None if within is None else math.sqrt(within),
        mean_sd=_mean_sd(cases),
    )


def wavering(cases: Sequence[CaseScores], pass_mark: float) -> list[Wavering]:
    """The cases that passed in one answer and failed in another, the most undecided first."""
    found = [
        Wavering(
            id=case.id,
            categories=case.categories,
            passed=sum(score >= pass_mark for score in case.scores),
            answers=len(case.scores),
        )
        for case in cases
        if _wavers(case, pass_mark)
    ]
    return sorted(found, key=lambda case: (abs(case.passed / case.answers - 0.5), case.id))


def _wavers(case: CaseScores, pass_mark: float) -> bool:
    return min(case.scores, default=1.0) < pass_mark <= max(case.scores, default=0.0)


def _within_variance(cases: Sequence[CaseScores]) -> float | None:
    """Mean square within cases (one-way analysis of variance); None where no case has two scores."""
    squares, freedom = _within_squares(cases)
    return squares / freedom if freedom else None


def _within_squares(cases: Sequence[CaseScores]) -> tuple[float, int]:
    squares = math.fsum(_squares(case.scores) for case in cases)
    return squares, sum(max(0, len(case.scores) - 1) for case in cases)


def _squares(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _mean_sd(cases: Sequence[CaseScores]) -> float | None:
    """Over the cases that have a score in every run: others would move the mean by coming and going."""
    whole = [case for case in cases if all(case.by_run)]
    runs = len(cases[0].by_run) if cases else 0
    if runs < 2 or not whole:
        return None
    means = [math.fsum(_mean(case.by_run[number]) for case in whole) / len(whole) for number in range(runs)]
    return math.sqrt(_squares(means) / (runs - 1))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


# ---- further scores of an unchanged system ----------------------------------------------------------------


class Unchanged:
    """Draws further scores of each case as an unchanged system might give them.

    By Pólya's urn: a case's next score is one of those that it had, drawn ones included, or with the weight of
    `weights` one of another case of its category. For right-or-wrong scores that is the beta-binomial law, its rates
    drawn from what the history leaves possible; graded scores stay scores that were seen. Source: Blackwell and
    MacQueen 1973; the weight is the ratio of the variance within cases to that between them.

    Cases are drawn one by one: that runs differ as wholes (a provider's bad day) or that cases share a context is not
    in it.
    """

    def __init__(self, cases: Sequence[CaseScores]) -> None:
        self._cases = {case.id: case for case in cases}
        self._pools: dict[str, list[tuple[float, ...]]] = {}
        for case in cases:
            for name in case.categories:
                self._pools.setdefault(name, []).append(case.scores)
        self._suite = [case.scores for case in cases]
        self.weights = _weights(cases)
        """By category, against one score of a case's own."""

    def draw(self, case_id: str, count: int, rng: Random, *, drawn: Sequence[float] = ()) -> list[float]:
        """The next `count` scores of a case, after those that were drawn for this system already."""
        case = self._cases[case_id]
        category = case.categories[0]
        own, weight = [*case.scores, *drawn], self.weights[category]
        for _ in range(count):
            place = rng.random() * (len(own) + weight)
            own.append(own[int(place)] if place < len(own) else self._other(category, rng))
        return own[len(own) - count :]

    def _other(self, category: str, rng: Random) -> float:
        """A score of a case of this category; as one case more, one of the suite's; as one more there, 0 or 1."""
        pool = self._pools[category]
        place = rng.randrange(len(pool) + 1)
        if place == len(pool):
            pool, place = self._suite, rng.randrange(len(self._suite) + 1)
        return rng.choice(pool[place]) if place < len(pool) else float(rng.randrange(2))

    def history(self, category: str, samples: int, rng: Random) -> list[tuple[float, ...]]:
        """The scores of a category's cases (`"*"`: every case) after as many further runs as give each this many."""
        found = []
        for case in in_category(list(self._cases.values()), category):
            have = case.scores
            found.append((*have, *self.draw(case.id, max(0, samples - len(have)), rng)))
        return found


def _weights(cases: Sequence[CaseScores]) -> dict[str, float]:
    squares, freedom = _within_squares(cases)
    # Half a changed answer is added: none seen is not none there.
    suite_within = (squares + 0.5) / (freedom + 1)
    suite_between = max(0.01, _between(cases, suite_within))
    found = {}
    for name in sorted({name for case in cases for name in case.categories}):
        members = in_category(cases, name)
        squares, freedom = _within_squares(members)
        within = (squares + PRIOR * suite_within) / (freedom + PRIOR)
        count = len(members)
        between = (count * _between(members, within) + PRIOR * suite_between) / (count + PRIOR)
        found[name] = min(MOST_WEIGHT, within / between)
    return found


def _between(cases: Sequence[CaseScores], within: float) -> float:
    """Variance of the cases' true means: that of their means less what noise adds to it; at least 0."""
    if len(cases) < 2:
        return 0.0
    means = [_mean(case.scores) for case in cases]
    noise_of_means = within * math.fsum(1 / len(case.scores) for case in cases) / len(cases)
    return max(0.0, _squares(means) / (len(cases) - 1) - noise_of_means)


# ---- what to do, and its price ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """One way to see smaller drops, and its price."""

    name: str
    calls_once: int
    calls_per_pull: float
    """More than now, for each pull request."""
    detectable: Mapping[str, float | None]
    """By category; None: not even a total failure would be seen. Categories without a rule on drops are absent."""

    @property
    def calls(self) -> float:
        return self.calls_once + PULLS * self.calls_per_pull


def too_coarse(detectable: Mapping[str, float | None]) -> list[str]:
    """The categories in which only a drop larger than `USEFUL` would be found, sorted; the suite is none."""
    return sorted(name for name, drop in detectable.items() if name != EVERY_CASE and (drop is None or drop > USEFUL))


def cheapest(now: Mapping[str, float | None], offers: Sequence[Offer]) -> Offer | None:
    """The cheapest offer of those that leave the fewest categories too coarse; None where nothing is too coarse.

    Of offers that leave as many, one that sees clearly smaller drops (by a point in the mean of what was too coarse)
    is better; where none changes anything there is none either.
    """
    coarse = too_coarse(now)
    if not coarse:
        return None

    def rest(found: Mapping[str, float | None]) -> tuple[int, int]:
        drops = [found.get(name) for name in coarse]
        average = math.fsum(1.0 if drop is None else drop for drop in drops) / len(drops)
        still = len(too_coarse(found))
        # Below the useful size there is nothing to be gained by being finer.
        return still, round(100 * average) if still else 0

    better = [offer for offer in offers if rest(offer.detectable) < rest(now)]
    return min(better, key=lambda offer: (*rest(offer.detectable), offer.calls, offer.name), default=None)


def coarsest(drops: Sequence[float | None]) -> float | None:
    """The largest of these detectable drops; None, the worst, where one sees nothing or there are none."""
    known = [drop for drop in drops if drop is not None]
    return max(known) if known and len(known) == len(drops) else None


def cost_per_call(runs: Sequence[Run]) -> float | None:
    """Dollars of a called result in these runs, all attempts included; None where any does not tell, never 0 for it.

    What a cache answered was not called and has no share; a run in which nothing was called says nothing. Judges' calls
    are in it only as far as the runs' own usage counts them.
    """
    called = [(number, run.usage.cost_usd) for run in runs if run.usage.calls and (number := _called(run)) > 0]
    known = [cost for _, cost in called if cost is not None]
    return math.fsum(known) / sum(number for number, _ in called) if called and len(known) == len(called) else None


def _called(run: Run) -> int:
    """How many of a run's results, fresh ones included, were asked for."""
    fresh = run.confirmation
    return len(run.results) - run.usage.calls_saved + (0 if fresh is None else len(fresh.after) + len(fresh.before))
