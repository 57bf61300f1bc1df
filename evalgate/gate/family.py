"""The statistical tests of a gate and the error budget they share.

Every floor and every drop rule is one hypothesis. `alpha` is spent once: 20 % on the suite as a whole, 80 % on the
categories (all of it on whichever side is alone), so that the chance of blocking an unchanged system is at most alpha
over all rules together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from evalgate.gate.rules import Proof, Rule, Rules
from evalgate.gate.sides import Sides, mean
from evalgate.records import EVERY_CASE
from evalgate.stats import floors, guards
from evalgate.stats.multiplicity import Hypothesis, adjusted_minimum, step_down
from evalgate.stats.permutation import GRID, Law, Samples, all_failed_log_tail

SUITE_SHARE = 0.2
"""Part of alpha that the suite as a whole gets where categories are judged too."""

PLAIN_TAIL_ERROR = 1e-12
"""Below this the table of plain tails is rounding, not probability."""


@dataclass(frozen=True, kw_only=True)
class Test:
    """One rule's hypothesis, its p before and after sharing the budget."""

    rule: str
    category: str
    p: float
    best_p: float
    """The p if every case of it had failed: what the rule can see at all."""
    attainable: Callable[[float], float]
    same_as: tuple[object, ...]
    """Tests with equal keys are one hypothesis: a sole category is the suite."""
    p_adjusted: float = 1.0
    could_breach: bool = False

    @property
    def hypothesis(self) -> Hypothesis:
        return Hypothesis(p=self.p, attainable=self.attainable)


def run_tests(sides: Sides, rules: Rules) -> dict[tuple[str, str], Test]:
    """Every hypothesis of this gate by (rule, category), adjusted for all the others."""
    noise = _Noise(sides)
    suite: list[Test] = []
    categories: list[Test] = []
    for category in (EVERY_CASE, *sides.categories):
        tests = _tests_of(sides, rules.of(category), category, noise)
        (suite if category == EVERY_CASE else categories).extend(tests)
    if len(sides.categories) == 1:
        whole = [replace(test, category=EVERY_CASE) for test in suite + categories]
        adjusted = _share(_distinct(whole), 1.0, rules.alpha)
        by_key = {test.same_as: test for test in adjusted}
        everyone = [
            replace(test, p_adjusted=by_key[test.same_as].p_adjusted, could_breach=by_key[test.same_as].could_breach)
            for test in suite + categories
        ]
    else:
        everyone = _share(suite, SUITE_SHARE if categories else 1.0, rules.alpha)
        everyone += _share(categories, 1 - SUITE_SHARE if suite else 1.0, rules.alpha)
    return {(test.rule, test.category): test for test in everyone}


def _tests_of(sides: Sides, rule: Rule, category: str, noise: _Noise) -> list[Test]:
    tests = []
    pairs = sides.pairs(category)
    if rule.max_drop is not None and rule.proof is not Proof.LITERAL and pairs:
        samples = sides.samples(pairs)
        tests.append(drop_test(samples, rule, category, noise))
    scored = sides.scored(category)
    if rule.min and rule.proof is not Proof.LITERAL and scored:
        after, before = [sides.after[i] for i in scored], [sides.before.get(i, ()) for i in scored]
        tests.append(floor_test(after, before, rule.min, category))
    return tests


def _distinct(tests: Sequence[Test]) -> list[Test]:
    return list({test.same_as: test for test in tests}.values())


def _share(tests: Sequence[Test], share: float, alpha: float) -> list[Test]:
    """The tests with their p adjusted for one another and scaled so that `p_adjusted <= alpha` spends this share."""
    level = alpha * share
    return [
        replace(
            test,
            p_adjusted=min(1.0, p / share),
            could_breach=p <= level or _could_reach(level, test, [*tests[:index], *tests[index + 1 :]]),
        )
        for index, (test, p) in enumerate(zip(tests, step_down([test.hypothesis for test in tests]), strict=True))
    ]


def _could_reach(level: float, test: Test, others: Sequence[Test]) -> bool:
    """Whether step-down would have named this test, had all its cases failed and all else been as it is."""
    if test.best_p * (len(others) + 1) <= level:
        return True  # by Bonferroni: nearly always, and at once
    itself = Hypothesis(p=test.best_p, attainable=_itself)
    # Its category's floor would have broken with its drop, and the other way round.
    family = [replace(other, p=other.best_p) if other.category == test.category else other for other in others]
    rest = [other.hypothesis for other in family if other.p >= test.best_p]
    if adjusted_minimum(test.best_p, rest) > level:
        return False
    surer = sorted((other for other in family if other.p < test.best_p), key=lambda other: other.p)
    return all(
        adjusted_minimum(other.p, [itself, *rest, *(later.hypothesis for later in surer[rank + 1 :])]) <= level
        for rank, other in enumerate(surer)
    )


# ---- drops ------------------------------------------------------------------------------------------------


class _Noise:
    """How much wider than the pooled null the truth may be: measured once over the suite, applied to each category.

    Each answer is a factor on the null's variance, at least 1.
    """

    def __init__(self, sides: Sides) -> None:
        pairs = sides.pairs(EVERY_CASE)
        self._cases = len(pairs)
        self._observed, self._expected = guards.upward_movement(sides.samples(pairs))
        self._runs = len(sides.baseline_runs)
        everywhere = [i for i in pairs if all(i in means for means in sides.run_means)]
        self._overdispersion = guards.run_overdispersion([[means[i] for i in everywhere] for means in sides.run_means])

    def widening(self, samples: Sequence[Samples]) -> float:
        """For what was observed of a category with these cases."""
        observed, expected = guards.upward_movement(samples)
        churn = guards.churn(observed, expected, _ratio(self._observed, self._expected))
        return max(1.0, churn) * self._run_widening(samples)

    def most_if_all_failed(self, samples: Sequence[Samples]) -> float:
        """An upper bound of `if_all_failed` that costs nothing."""
        observed, expected = guards.upward_movement(samples)
        return max(1.0, _ratio(self._observed - observed, self._expected - expected)) * self._run_widening(samples)

    def if_all_failed(self, samples: Sequence[Samples]) -> float:
        """Had every case of the category failed: then none of it moved up, and the suite's churn is the others'."""
        observed, expected = guards.upward_movement(samples)
        _, worst = guards.upward_movement([item.worst for item in samples])
        rest = _ratio(self._observed - observed, self._expected - expected + worst)
        return max(1.0, guards.churn(0.0, worst, rest)) * self._run_widening(samples)

    def _run_widening(self, samples: Sequence[Samples]) -> float:
        if self._overdispersion <= 1:
            return 1.0
        before = mean([float(len(item.before)) for item in samples])
        return guards.run_widening(
            self._overdispersion,
            repeats=before / self._runs,
            runs=self._runs,
            before=before,
            after=mean([float(len(item.after)) for item in samples]),
            share=len(samples) / self._cases,
        )


def _ratio(observed: float, expected: float) -> float:
    """Observed over expected upward movement; 1 where nothing could move."""
    return max(0.0, observed) / expected if expected > 1e-12 else 1.0


def drop_test(samples: Sequence[Samples], rule: Rule, category: str, noise: _Noise) -> Test:
    """The pooled test of a drop in these cases; with `beyond_margin`, of a drop larger than `max_drop`."""
    law = Law(samples)
    is_margin = rule.proof is Proof.BEYOND_MARGIN
    margin = (rule.max_drop or 0.0) if is_margin else 0.0
    widening = noise.widening(samples)
    return Test(
        rule="max_drop",
        category=category,
        p=math.exp(guards.guarded(law.log_tail(_beyond(law, samples, margin)), widening)),
        best_p=_best_drop(samples, margin, noise),
        attainable=partial(_attainable_drop, law, widening),
        same_as=("max_drop", margin if is_margin else None),
    )


def _best_drop(samples: Sequence[Samples], margin: float, noise: _Noise) -> float:
    """The p that this test would have given, had every case failed; below 1e-9 an upper bound of it."""
    if margin > 0:
        worst = [item.worst for item in samples]
        law = Law(worst)
        log_p = law.log_tail(_beyond(law, worst, margin))
    else:
        log_p = all_failed_log_tail(samples)
    bound = math.exp(guards.guarded(log_p, noise.most_if_all_failed(samples)))
    return bound if bound < 1e-9 else math.exp(guards.guarded(log_p, noise.if_all_failed(samples)))


def _beyond(law: Law, samples: Sequence[Samples], margin: float) -> int:
    """The observed sum less what a drop of `margin` would have added to it; at least 0.

    The pool contains the candidate's own samples, so its law has moved by their share of the drop already: only
    `nb / (nb + nc)` of the margin is credited. At a true drop of exactly `margin` the test then blocks at its level
    (simulated, 1 and 5 and 10 runs, 1 and 3 repeats: 1 to 7 % at 5 %); the whole margin would need twice the drop
    where there is one run.
    """
    sizes = ((len(item.before), len(item.after)) for item in samples)
    credited = margin * GRID * math.fsum(after * before / (before + after) for before, after in sizes)
    return max(0, math.ceil(law.observed - credited / law.unit - 1e-9))


def _attainable_drop(law: Law, widening: float, x: float) -> float:
    """The largest guarded p of this law that is not above x; 0 where there is none."""
    rising = law.tails[::-1]
    plain = guards.unguarded(x, widening)
    if plain < PLAIN_TAIL_ERROR and rising[0] < PLAIN_TAIL_ERROR:
        return x  # the steps cannot be told apart here: as if there were one at x
    # A p of its own must find itself: going to and fro through the guard leaves a rounding error.
    steps = int(np.searchsorted(rising, plain * (1 + 1e-9), side="right"))
    if steps == 0:
        return 0.0
    return min(x, math.exp(guards.guarded(math.log(float(rising[steps - 1])), widening)))


def false_block_rate(samples: Sequence[Samples], max_drop: float) -> float:
    """How often the plain comparison with `max_drop` would block if nothing had changed, by the pooled null law."""
    law = Law(samples)
    total = sum(sum(item.before) + sum(item.after) for item in samples)
    candidate = sum(len(item.after) for item in samples)
    history = sum(len(item.before) for item in samples)
    best = sum(len(item.after) * item.best for item in samples)
    sums = best - np.arange(len(law.tails)) * law.unit
    drops = ((total - sums) / history - sums / candidate) / GRID
    blocked = np.flatnonzero(drops > max_drop + 1e-9)
    return float(law.tails[blocked[0]]) if len(blocked) else 0.0


# ---- floors -----------------------------------------------------------------------------------------------


def floor_test(
    after: Sequence[Sequence[float]], before: Sequence[Sequence[float]], floor: float, category: str
) -> Test:
    """The test that the truth is below the floor, with the noise that history shows, or a binomial's without any."""
    variance = floors.within_case_variance(before)
    repeated = sum(len(scores) > 1 for scores in before)
    repeats = floors.even_repeats([len(scores) for scores in after])
    average = mean([mean(scores) for scores in after])
    attainable: Callable[[float], float]
    if floor >= 1:
        p, best = (1.0 if average >= 1 else 0.0), 0.0
        attainable = _nothing
    elif variance is not None and 2 * repeated >= len(before):
        p = floors.history_floor_p(average, floor, cases=len(after), repeats=repeats, variance=variance)
        best = floors.history_floor_p(0.0, floor, cases=len(after), repeats=repeats, variance=variance)
        attainable = _itself
    else:
        trials = math.floor(len(after) * repeats + 1e-9)
        # Graded scores have no count of passes: the next whole one above their sum is kind to the candidate.
        passed = math.ceil(average * trials - 1e-9)
        p = floors.binomial_floor_p(passed, trials, floor)
        best = floors.binomial_floor_p(0, trials, floor)
        attainable = floors.binomial_attainable(trials, floor)
    return Test(rule="min", category=category, p=p, best_p=best, attainable=attainable, same_as=("min", floor))


def _itself(x: float) -> float:
    return x


def _nothing(x: float) -> float:
    return 0.0
