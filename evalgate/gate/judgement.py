"""Everything that is worked out before a verdict is spoken, and before the next calls are planned."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from evalgate.gate import exceptions
from evalgate.gate.confirm import Fresh, FreshCalls
from evalgate.gate.family import Key, Noise, Test, drop_test, run_tests
from evalgate.gate.looks import Look, looks_at
from evalgate.gate.pool import mean
from evalgate.gate.rules import Rules
from evalgate.gate.sides import ROUNDING, Sides, take_sides
from evalgate.records import EVERY_CASE, Baseline, Exceptions, Missing, Run

HALF = 0.5
"""Part of alpha that the baseline and the anchor have each."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Both sides with their tests, and what fresh calls say of those that would block."""

    sides: Sides
    looks: Sequence[Look]
    tests: Mapping[Key, Test]
    fresh: Mapping[Key, Fresh]
    """About findings against the baseline; absent where nothing was called anew."""
    exempt: Exceptions
    not_quarantined: tuple[str, ...]
    """Why cases that somebody wants in quarantine are judged all the same, one sentence each."""
    anchor: Baseline | None = None
    anchor_sides: Sides | None = None
    anchor_tests: Mapping[Key, Test] = field(default_factory=dict)
    detectable: Mapping[str, float] = field(default_factory=dict)
    """Drop by category that this gate would see four times out of five; absent where it was not worked out."""


def judge(
    candidate: Run,
    baseline: Baseline,
    rules: Rules,
    *,
    anchor: Baseline | None,
    exempt: Exceptions,
    today: date,
    asks_reach: bool = True,
    earlier: Judgement | None = None,
) -> Judgement:
    """The judgement on a run as it is: after all of its calls, or in the middle of them.

    asks_reach: whether what could have breached at all is worked out. earlier: of the same run with fewer steps; its
    looks are not taken again.
    """
    runs = () if isinstance(baseline, Missing) else baseline.runs
    held = () if anchor is None or isinstance(anchor, Missing) else anchor.runs
    # Neither may a case be taken out because of the very run that is judged.
    taken_out, refusals = exceptions.quarantined(exempt, today, [run.id for run in (candidate, *runs, *held) if run.id])
    sides = take_sides(candidate, baseline, rules, quarantine=taken_out)
    looks = looks_at(candidate, [run.id for run in runs])
    part = HALF if held else 1.0
    start = len(earlier.looks) if earlier is not None and candidate.steps else 0
    known = earlier.tests if earlier is not None and start else {}
    tests = run_tests(sides, rules, looks, part=part, asks_reach=asks_reach, known=known, start=start)
    anchor_sides, anchor_tests = None, {}
    if held and anchor is not None:
        anchor_sides = take_sides(candidate, anchor, rules, quarantine=taken_out)
        drops = rules.drops_only()
        known = earlier.anchor_tests if earlier is not None and start else {}
        anchor_tests = run_tests(anchor_sides, drops, looks, part=part, asks_reach=asks_reach, known=known, start=start)
    fresh: dict[Key, Fresh] = {}
    if candidate.confirmation is not None and candidate.against == tuple(sorted(run.id for run in runs)):
        calls = FreshCalls(sides, baseline, rules, candidate.confirmation)
        for key in doubted(sides, tests, rules):
            members = sides.scored(key[1]) if key[0] == "min" else sides.pairs(key[1])
            answer = calls.about(key, len(members))
            if answer is not None:
                fresh[key] = answer
    return Judgement(
        sides=sides,
        looks=looks,
        tests=tests,
        fresh=fresh,
        exempt=exempt,
        not_quarantined=tuple(refusals),
        anchor=anchor,
        anchor_sides=anchor_sides,
        anchor_tests=anchor_tests,
        detectable={} if isinstance(baseline, Missing) else baseline.detectable,
    )


def doubted(sides: Sides, tests: Mapping[Key, Test], rules: Rules) -> list[Key]:
    """The tested rules that breach by the run and its history alone, sorted."""
    return sorted(key for key, test in tests.items() if test.p_adjusted <= rules.alpha and exceeds(sides, key, rules))


def exceeds(sides: Sides, key: Key, rules: Rules) -> bool:
    """Whether what was observed lies beyond what the rule allows."""
    name, category = key
    rule = rules.of(category)
    if name == "min":
        scored = sides.scored(category)
        return mean([sides.means_after[i] for i in scored]) < (rule.min or 0.0) - ROUNDING
    return -delta(sides, category) > (rule.max_drop or 0.0) + ROUNDING


def falls_without(sides: Sides, test: Test, rules: Rules, categories: Collection[str]) -> bool:
    """Whether the suite's drop would breach without the cases of these categories, by the test's own share of alpha."""
    left = [i for i in sides.pairs(EVERY_CASE) if not set(sides.cases.categories[i]) & set(categories)]
    if not left:
        return False
    before, after = (mean([means[i] for i in left]) for means in (sides.means_before, sides.means_after))
    if before - after <= (rules.overall.max_drop or 0.0) + ROUNDING:
        return False
    again = drop_test(sides.samples(left), rules.overall, EVERY_CASE, Noise(sides))
    return again.p <= rules.alpha * test.spent


def delta(sides: Sides, category: str) -> float:
    """Mean after minus mean before over a category's pairs; at least one."""
    pairs = sides.pairs(category)
    before, after = (mean([means[i] for i in pairs]) for means in (sides.means_before, sides.means_after))
    return after - before
