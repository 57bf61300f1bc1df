"""What must not go wrong: floors that have to be proven, and cases whose flip fails the gate on its own."""

from __future__ import annotations

import math

from evalgate.gate import sentences
from evalgate.gate.columns import Numbers
from evalgate.gate.pool import mean
from evalgate.gate.rules import Rules
from evalgate.gate.sides import Sides
from evalgate.records import EVERY_CASE, Finding, Status
from evalgate.stats import floors
from evalgate.stats.permutation import Law, Samples

REPEATS = 4
"""Repeats by which a critical case's flip is confirmed or not."""

FEWEST_REPEATS = 3
"""With fewer of its own repeats a flip is not confirmed."""

CASE_LEVEL = 0.05
"""The p at which a critical case that is not steady counts as flipped."""


def proof_of_floor(sides: Sides, category: str, floor: float) -> float | None:
    """p of "the truth is not above the floor": small where the floor is proven. None where nothing has a score.

    The mirror image of a floor's test: with the noise that history shows, or a binomial's without any.
    """
    scored = sides.scored(category)
    if not scored:
        return None
    after = [sides.after[i] for i in scored]
    before = [sides.before[i] for i in scored]
    average = mean([mean(scores) for scores in after])
    if floor >= 1:  # nothing but perfection says so, and it does
        return 0.0 if average >= 1 else 1.0
    repeats = floors.even_repeats([len(scores) for scores in after])
    variance = floors.known_variance(before)
    if variance is not None:
        # 1 - score has the floor's mirror image as its ceiling.
        return floors.history_floor_p(1 - average, 1 - floor, cases=len(after), repeats=repeats, variance=variance)
    trials = math.floor(len(after) * repeats + 1e-9)
    failed = math.ceil((1 - average) * trials - 1e-9)
    return floors.binomial_floor_p(failed, trials, 1 - floor)


def flipped(sides: Sides, rules: Rules) -> list[int]:
    """Critical cases that passed in the baseline and do not now."""
    critical, was, now = sides.cases.critical, sides.means_before, sides.means_after
    if not critical:
        return []
    return [i for i in sides.pairs(EVERY_CASE) if i in critical and was[i] >= rules.pass_mark > now[i]]


def is_confirmed(sides: Sides, number: int, mark: float) -> bool:
    """Whether a critical case's own repeats say that it flipped, however many cases its category has.

    Three repeats at least; then none of them passes where none of the baseline's failed, or the exact test of this one
    case says so at 5 %.
    """
    before, after = sides.before[number], sides.after[number]
    if len(after) < FEWEST_REPEATS:
        return False
    if min(before) >= mark > max(after):
        return True
    samples = Samples.of(before, after)
    law = Law([samples])
    return law.log_tail(law.observed) <= math.log(CASE_LEVEL)


def findings(sides: Sides, rules: Rules) -> list[Finding]:
    """One finding for each category with critical cases."""
    down = flipped(sides, rules)
    sure = [i for i in down if is_confirmed(sides, i, rules.pass_mark)]
    short = [i for i in down if len(sides.after[i]) < FEWEST_REPEATS]
    return [_finding(sides, category, members, down, sure, short) for category, members in _critical_by_category(sides)]


def _critical_by_category(sides: Sides) -> list[tuple[str, Numbers]]:
    found: dict[str, list[int]] = {}
    for number in sides.pairs(EVERY_CASE) if sides.cases.critical else ():
        for category in sides.cases.categories[number] if number in sides.cases.critical else ():
            found.setdefault(category, []).append(number)
    return sorted(found.items())


def _finding(sides: Sides, category: str, members: Numbers, down: Numbers, sure: Numbers, short: Numbers) -> Finding:
    here, names = set(members), sides.cases.names
    fallen, open_ones = [i for i in sure if i in here], [i for i in short if i in here]
    unsure = [i for i in down if i in here and i not in fallen and i not in open_ones]
    otherwise = Status.INCONCLUSIVE if open_ones else Status.PASS
    return Finding(
        rule="critical",
        metric="score",
        category=category,
        status=Status.BREACH if fallen else otherwise,
        sentence=sentences.critical_cases(category, len(members), names(fallen), names(open_ones), names(unsure)),
        n=len(members),
        n_pairs=len(members),
        before=mean([sides.means_before[i] for i in members]),
        after=mean([sides.means_after[i] for i in members]),
    )
