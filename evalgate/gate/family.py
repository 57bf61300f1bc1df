"""The statistical tests of a gate and the error budget they share.

Every floor and every drop rule is one hypothesis. `alpha` is spent once: 20 % on the suite as a whole, 80 % on the
categories (all of it on whichever side is alone), so that the chance of blocking an unchanged system is at most alpha
over all rules together. A run that was repeated step by step is looked at once a step, each look with its own part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from evalgate.gate.looks import LAST_SHARES, Look, go_on
from evalgate.gate.pool import mean
from evalgate.gate.rules import Proof, Rule, Rules
from evalgate.gate.sides import Sides, planned
from evalgate.records import EVERY_CASE
from evalgate.stats import floors, guards
from evalgate.stats.multiplicity import Hypothesis, adjusted_minimum, step_down
from evalgate.stats.permutation import GRID, Law, Samples, all_failed_log_tail

SUITE_SHARE = 0.2
"""Part of alpha that the suite as a whole gets where categories are judged too."""

PLAIN_TAIL_ERROR = 1e-12
"""Below this the table of plain tails is rounding, not probability."""

Key: TypeAlias = tuple[str, str]
"""Rule and category."""


@dataclass(frozen=True, kw_only=True)
class Trail:
    """How a drop's p came about, for whoever wants to follow it."""

    cases: int
    """Cases, or clusters of them, that were permuted."""
    moving: int
    """Those of them whose samples differ at all; the others say nothing."""
    shortfall: float
    """What the candidate's samples lack to as many of the pool's best, in score units."""
    expected: float
    """What a fair draw from the pool would lack on average."""
    log_p: float
    """Before the guards."""
    churn: float
    """Factor on the null's variance, since the candidate moves more cases up than chance explains; at least 1."""
    run: float
    """Factor on the null's variance, since runs differ as wholes; at least 1."""


@dataclass(frozen=True, kw_only=True)
class Test:
    """One rule's hypothesis, its p before and after sharing the budget."""

    rule: str
    category: str
    p: float
    best_p: Callable[[], float]
    """The p if every case of it had failed: what the rule can see at all. Worked out only where it is asked for."""
    attainable: Callable[[float], float]
    same_as: tuple[object, ...]
    """Tests with equal keys are one hypothesis: a sole category is the suite."""
    p_adjusted: float = 1.0
    could_breach: bool = False
    look: int = 0
    """The look, from 0, at which it was last judged."""
    spent: float = 1.0
    """Part of alpha that was its family's at that look."""
    trail: Callable[[], Trail] | None = None
    """How a drop's p came about; worked out only where somebody asks."""

    @property
    def key(self) -> Key:
        return self.rule, self.category

    @property
    def hypothesis(self) -> Hypothesis:
        return Hypothesis(p=self.p, attainable=self.attainable)


Tests: TypeAlias = Mapping[Key, Test]


def run_tests(
    sides: Sides,
    rules: Rules,
    looks: Sequence[Look],
    *,
    part: float = 1.0,
    asks_reach: bool = True,
    known: Tests | None = None,
    start: int = 0,
) -> dict[Key, Test]:
    """Every hypothesis of this gate by (rule, category), adjusted for all the others, as the last look at each left it.

    part: of alpha, where another baseline has the rest. asks_reach: whether `could_breach` is worked out.
    known: what the first `start` looks have given already.
    A breach requires `p_adjusted <= alpha`: each look's own level is scaled to it.
    """
    found: dict[Key, Test] = dict(known or {})
    for number, look in enumerate(looks[start:], start=start):
        now = sides if look.steps is None else sides.until(planned(sides.candidate, sides.cases, look.steps))
        tests = _tests_at(now, rules, look)
        keys = {test.key for test in tests}
        gone = [test for key, test in found.items() if key not in keys]
        judged = _budget(tests, gone, now, look.share * part, rules.alpha)
        found |= {test.key: replace(test, look=number) for test in judged}
    return _with_reach(found, sides, rules, looks, part) if asks_reach else found


def _tests_at(sides: Sides, rules: Rules, look: Look) -> list[Test]:
    tests: list[Test] = []
    noise = Noise(sides)
    for category in (EVERY_CASE, *sides.categories):
        if look.has(category):
            # A category that was repeated more often would weigh more in the suite.
            seen = sides.evenly() if category == EVERY_CASE else sides
            tests.extend(_tests_of(seen, rules.of(category), category, noise))
    return tests


def _budget(tests: Sequence[Test], gone: Sequence[Test], sides: Sides, share: float, alpha: float) -> list[Test]:
    """The tests of one look, adjusted within their share of alpha."""
    joint = any(len(categories) > 1 for categories in sides.clusters.values())
    suite = [test for test in tests if test.category == EVERY_CASE]
    named = [test for test in tests if test.category != EVERY_CASE]
    left = [test for test in gone if test.category != EVERY_CASE]
    if len(sides.categories) == 1:
        whole = [replace(test, category=EVERY_CASE) for test in tests]
        by_key = {test.same_as: test for test in _share(_distinct(whole), [], share, joint=joint)}
        return [
            replace(test, p_adjusted=by_key[test.same_as].p_adjusted, spent=by_key[test.same_as].spent)
            for test in tests
        ]
    has_suite = bool(suite) or any(test.category == EVERY_CASE for test in gone)
    judged = _share(suite, [], share * (SUITE_SHARE if named or left else 1.0), joint=joint)
    return judged + _share(named, left, share * (1 - SUITE_SHARE if has_suite else 1.0), joint=joint)


def _tests_of(sides: Sides, rule: Rule, category: str, noise: Noise) -> list[Test]:
    tests = []
    pairs = sides.pairs(category)
    if rule.max_drop is not None and rule.proof is not Proof.LITERAL and pairs:
        tests.append(drop_test(sides.samples(pairs), rule, category, noise))
    scored = sides.scored(category)
    if rule.min and not rule.critical and rule.proof is not Proof.LITERAL and scored:
        after, before = [sides.after[i] for i in scored], [sides.before[i] for i in scored]
        tests.append(floor_test(after, before, rule.min, category))
    return tests


def _distinct(tests: Sequence[Test]) -> list[Test]:
    return list({test.same_as: test for test in tests}.values())


def _share(tests: Sequence[Test], gone: Sequence[Test], share: float, *, joint: bool) -> list[Test]:
    """The tests with their p adjusted for one another and scaled so that `p_adjusted <= alpha` spends this share.

    gone: hypotheses that are judged no more. They could show any p, and take part of the budget as such.
    joint: hypotheses share clusters of cases, so that chances are added up instead of multiplied.
    """
    family = [test.hypothesis for test in tests] + [Hypothesis(p=1.0, attainable=itself) for _ in gone]
    return [
        replace(test, p_adjusted=min(1.0, p / share), spent=share)
        for test, p in zip(tests, step_down(family, joint=joint), strict=False)
    ]


# ---- what could be seen at all ----------------------------------------------------------------------------


def _with_reach(found: Tests, sides: Sides, rules: Rules, looks: Sequence[Look], part: float) -> dict[Key, Test]:
    """The tests with whether each could have breached at all: not even had every case of it failed, if not.

    Where repeats are decided step by step it would have been repeated to the last, unless it was let go at the first.
    """
    is_stepped = looks[0].steps is not None
    last = 1.0 if is_stepped and sides.candidate.steps[0].is_last else min(LAST_SHARES)
    noise = Noise(sides)
    best = {test.key: _at_best(test, sides, rules, noise) if is_stepped else test.best_p() for test in found.values()}
    is_sole = len(sides.categories) == 1
    has_both = len({test.category == EVERY_CASE for test in found.values()}) == 2
    result = {}
    for test in found.values():
        family = [other for other in found.values() if is_sole or _is_suite(other) == _is_suite(test)]
        others = [other for other in family if other.key != test.key]
        if is_sole:
            others = [other for other in _distinct(others) if other.same_as != test.same_as]
        share = 1.0 if is_sole or not has_both else SUITE_SHARE if _is_suite(test) else 1 - SUITE_SHARE
        level = rules.alpha * share * part * (last if is_stepped else 1.0)
        could = test.p_adjusted <= rules.alpha or _could_reach(level, test, others, best)
        result[test.key] = replace(test, could_breach=could)
    return result


def _is_suite(test: Test) -> bool:
    return test.category == EVERY_CASE


def _at_best(test: Test, sides: Sides, rules: Rules, noise: Noise) -> float:
    """The p that the test could have come to at most, with as many repeats as the limits allow its cases."""
    now, cases = test.best_p(), len(sides.members(test.category))
    repeats = min(rules.max_epochs, 1 + rules.extra_calls(len(sides.cases)) // max(1, cases))
    if repeats <= 1 or sides.clusters or test.rule != "max_drop" or not 1e-9 < now <= go_on(0, cases):
        return now
    samples = sides.samples(sides.pairs(test.category))
    rule = rules.of(test.category)
    margin = (rule.max_drop or 0.0) if rule.proof is Proof.BEYOND_MARGIN else 0.0
    return min(now, _best_drop([item.failed(repeats) for item in samples], margin, noise))


def _could_reach(level: float, test: Test, others: Sequence[Test], best: Mapping[Key, float]) -> bool:
    """Whether step-down would have named this test, had all its cases failed and all else been as it is."""
    mine = best[test.key]
    if mine * (len(others) + 1) <= level:
        return True  # by Bonferroni: nearly always, and at once
    alone = Hypothesis(p=mine, attainable=itself)
    # Its category's floor would have broken with its drop, and the other way round.
    family = [replace(other, p=best[other.key]) if other.category == test.category else other for other in others]
    rest = [other.hypothesis for other in family if other.p >= mine]
    if adjusted_minimum(mine, rest) > level:
        return False
    surer = sorted((other for other in family if other.p < mine), key=lambda other: other.p)
    return all(
        adjusted_minimum(other.p, [alone, *rest, *(later.hypothesis for later in surer[rank + 1 :])]) <= level
        for rank, other in enumerate(surer)
    )


# ---- drops ------------------------------------------------------------------------------------------------


class Noise:
    """How much wider than the pooled null the truth may be: measured once over the suite, applied to each category.

    Each answer is a factor on the null's variance, at least 1.
    """

    def __init__(self, sides: Sides) -> None:
        samples = sides.samples(sides.pairs(EVERY_CASE))
        self._cases = len(samples)
        self._observed, self._expected = guards.upward_movement(samples)
        self._runs = len(sides.baseline_runs)
        self._overdispersion = sides.pool.overdispersion

    def widening(self, samples: Sequence[Samples]) -> tuple[float, float]:
        """For what was observed of a category with these cases: the factors of churn and of runs."""
        observed, expected = guards.upward_movement(samples)
        churn = guards.churn(observed, expected, _ratio(self._observed, self._expected))
        return max(1.0, churn), self._run_widening(samples)

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


def drop_test(samples: Sequence[Samples], rule: Rule, category: str, noise: Noise) -> Test:
    """The pooled test of a drop in these cases; with `beyond_margin`, of a drop larger than `max_drop`."""
    law = Law(samples)
    is_margin = rule.proof is Proof.BEYOND_MARGIN
    margin = (rule.max_drop or 0.0) if is_margin else 0.0
    churn, run = noise.widening(samples)
    log_p = law.log_tail(_beyond(law, samples, margin))
    return Test(
        rule="max_drop",
        category=category,
        p=math.exp(guards.guarded(log_p, churn * run)),
        best_p=partial(_best_drop, samples, margin, noise),
        attainable=partial(_attainable_drop, law, churn * run),
        same_as=("max_drop", margin if is_margin else None),
        trail=partial(_trail, samples, log_p, churn, run),
    )


def _trail(samples: Sequence[Samples], log_p: float, churn: float, run: float) -> Trail:
    return Trail(
        cases=len(samples),
        moving=sum(item.step > 0 for item in samples),
        shortfall=sum(item.shortfall for item in samples) / GRID,
        expected=math.fsum(sum(i.pool) * len(i.after) / (len(i.before) + len(i.after)) for i in samples) / GRID,
        log_p=log_p,
        churn=churn,
        run=run,
    )


def _best_drop(samples: Sequence[Samples], margin: float, noise: Noise) -> float:
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
    if margin <= 0:
        return law.observed
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
    variance = floors.known_variance(before)
    repeats = floors.even_repeats([len(scores) for scores in after])
    average = mean([mean(scores) for scores in after])
    attainable: Callable[[float], float]
    best: Callable[[], float]
    if floor >= 1:
        p, best = (1.0 if average >= 1 else 0.0), partial(float, 0.0)
        attainable = _nothing
    elif variance is not None:
        p = floors.history_floor_p(average, floor, cases=len(after), repeats=repeats, variance=variance)
        best = partial(floors.history_floor_p, 0.0, floor, cases=len(after), repeats=repeats, variance=variance)
        attainable = itself
    else:
        trials = math.floor(len(after) * repeats + 1e-9)
        # Graded scores have no count of passes: the next whole one above their sum is kind to the candidate.
        passed = math.ceil(average * trials - 1e-9)
        p = floors.binomial_floor_p(passed, trials, floor)
        best = partial(floors.binomial_floor_p, 0, trials, floor)
        attainable = floors.binomial_attainable(trials, floor)
    return Test(rule="min", category=category, p=p, best_p=best, attainable=attainable, same_as=("min", floor))


def itself(x: float) -> float:
    """The attainable p of a hypothesis that could show any."""
    return x


def _nothing(x: float) -> float:
    return 0.0
