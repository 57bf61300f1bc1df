"""What must not go wrong: floors that have to be proven, and cases whose flip fails the gate on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from evalgate.gate import sentences
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
    before = [sides.before.get(i, ()) for i in scored]
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


def flipped(sides: Sides, rules: Rules) -> list[str]:
    """Critical cases that passed in the baseline and do not now, sorted."""
    return [
        case_id
        for case_id in sides.pairs(EVERY_CASE)
        if sides.refs[case_id].critical and sides.means_before[case_id] >= rules.pass_mark > sides.means_after[case_id]
    ]


def is_confirmed(sides: Sides, case_id: str, mark: float) -> bool:
    """Whether a critical case's own repeats say that it flipped, however many cases its category has.

    Three repeats at least; then none of them passes where none of the baseline's failed, or the exact test of this one
    case says so at 5 %.
    """
    before, after = sides.before[case_id], sides.after[case_id]
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
    sure = [case_id for case_id in down if is_confirmed(sides, case_id, rules.pass_mark)]
    short = [case_id for case_id in down if len(sides.after[case_id]) < FEWEST_REPEATS]
    return [_finding(sides, category, members, down, sure, short) for category, members in _critical_by_category(sides)]


def _critical_by_category(sides: Sides) -> list[tuple[str, Sequence[str]]]:
    found: dict[str, list[str]] = {}
    for case_id in sides.pairs(EVERY_CASE):
        ref = sides.refs[case_id]
        for category in ref.categories if ref.critical else ():
            found.setdefault(category, []).append(case_id)
    return sorted(found.items())


def _finding(
    sides: Sides, category: str, members: Sequence[str], down: Sequence[str], sure: Sequence[str], short: Sequence[str]
) -> Finding:
    here = set(members)
    fallen, open_ones = [i for i in sure if i in here], [i for i in short if i in here]
    unsure = [i for i in down if i in here and i not in fallen and i not in open_ones]
    otherwise = Status.INCONCLUSIVE if open_ones else Status.PASS
    return Finding(
        rule="critical",
        metric="score",
        category=category,
        status=Status.BREACH if fallen else otherwise,
        sentence=sentences.critical_cases(category, len(members), fallen, open_ones, unsure),
        n=len(members),
        n_pairs=len(members),
        before=mean([sides.means_before[i] for i in members]),
        after=mean([sides.means_after[i] for i in members]),
    )
