"""What to call next: who is still undecided and repeated, and what has to be called anew before it blocks. Pure.

`Planner.next_calls` is asked after each step of a run until it answers None. The verdict then replays the same steps
from the run alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from evalgate.gate import critical, exceptions
from evalgate.gate.evaluable import could_not_evaluate, not_comparable
from evalgate.gate.judgement import Judgement, doubted, falls_without, judge
from evalgate.gate.looks import go_on, is_ample, next_epochs, suite_go_on
from evalgate.gate.pool import mean
from evalgate.gate.rules import Rules
from evalgate.gate.sides import planned
from evalgate.records import EVERY_CASE, Baseline, Exceptions, Missing, Run

FRESH_EPOCHS = 4
"""Fresh repeats of each case and side in a confirmation."""

FEW_CASES = 100
"""Up to so many doubted cases the fresh repeats are doubled: there a drop is hard to see again, and calls are few."""


@dataclass(frozen=True, kw_only=True)
class More:
    """Repeat these cases until each has so many results."""

    epochs: int
    """Results of each case after it, those that it has included."""
    categories: tuple[str, ...]
    """Who is repeated, sorted; `("*",)`: every case; (): critical cases alone."""
    case_ids: tuple[str, ...]
    """Every case that is to be called, sorted: those of the categories, and critical ones whose flip is open."""
    is_last: bool
    """Whether the limits on repeats allow no step after it."""


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Call these cases anew, both sides in turns, before anything blocks."""

    epochs: int
    categories: tuple[str, ...]
    case_ids: tuple[str, ...]


NextCalls: TypeAlias = More | Doubt | None


class Planner:
    """Plans one run, step by step; what earlier steps have shown is kept at hand."""

    def __init__(
        self,
        baseline: Baseline,
        rules: Rules,
        *,
        today: date,
        anchor: Baseline | None = None,
        exempt: Exceptions | None = None,
    ) -> None:
        """today: for exceptions that expire, UTC."""
        self._baseline, self._rules, self._today = baseline, rules, today
        self._anchor, self._exempt = anchor, exempt or Exceptions()
        self._judged: Judgement | None = None

    def next_calls(self, run: Run, *, room: int | None = None) -> NextCalls:
        """What to call next for this run; None: it is ready for its verdict.

        A run without steps has fixed repeats: it is confirmed, but never repeated. room: calls that may still be made,
        whatever the rules allow.
        """
        rules = self._rules
        if isinstance(self._baseline, Missing) or run.stopped is not None or run.confirmation is not None:
            return None
        judged = self._judged = judge(
            run,
            self._baseline,
            rules,
            anchor=self._anchor,
            exempt=self._exempt,
            today=self._today,
            asks_reach=False,
            earlier=self._judged,
        )
        if could_not_evaluate(judged.sides, rules) or not_comparable(judged.sides, rules):
            return None
        accepted = self._accepted(judged)
        doubts = {category for _, category in doubted(judged.sides, judged.tests, rules)} - accepted
        suite = judged.tests.get(("max_drop", EVERY_CASE))
        if accepted and suite is not None and not falls_without(judged.sides, suite, rules, accepted):
            doubts -= {EVERY_CASE}
        if judged.anchor_sides is not None:
            anchored = doubted(judged.anchor_sides, judged.anchor_tests, rules)
            accepted |= {category for _, category in anchored}
        if run.steps:
            # What would block waits for what is still undecided: a false alarm here must not hide a drop there.
            more = _more(judged, rules, room, accepted | doubts, has_doubts=bool(doubts))
            if more is not None:
                return more
        return _doubt(judged, sorted(doubts)) if doubts and rules.confirm else None

    def _accepted(self, judged: Judgement) -> frozenset[str]:
        """Categories whose drop a waiver covers: no call is spent on them, and they keep no one else from his."""
        sides, names = judged.sides, [waiver.category for waiver in self._exempt.waivers]
        scored = {name: [sides.means_after[i] for i in sides.scored(name)] for name in names}
        means = {name: mean(values) for name, values in scored.items() if values}
        return exceptions.waived(self._exempt.waivers, means, self._today)


def _doubt(judged: Judgement, categories: list[str]) -> Doubt:
    sides = judged.sides
    wanted = {i for category in categories for i in sides.scored(category)}
    epochs = FRESH_EPOCHS * (2 if len(wanted) <= FEW_CASES else 1)
    return Doubt(epochs=epochs, categories=tuple(categories), case_ids=sides.cases.names(sorted(wanted)))


def _more(
    judged: Judgement, rules: Rules, most: int | None, decided: Collection[str], *, has_doubts: bool
) -> More | None:
    """The next repeats. decided: categories that need no more of them. has_doubts: whether any of these would block,
    so that the suite, which they pull down, is no reason to repeat every case."""
    run = judged.sides.candidate
    room = rules.extra_calls(len(run.cases)) - _repeats_made(judged)
    room = room if most is None else min(room, most)
    flips = _open_flips(judged, rules)
    if not run.steps[-1].is_last:
        for names in _undecided(judged, rules, decided, has_doubts=has_doubts):
            more = _step(judged, rules, names, room, flips)
            if more is not None:
                return more
    return _flips_again(judged, rules, room, flips)


def _flips_again(judged: Judgement, rules: Rules, room: int, flips: list[int]) -> More | None:
    """Repeats of critical cases alone."""
    if not flips:
        return None
    epochs = min(critical.REPEATS, rules.max_epochs)
    have = _most_epochs(judged, flips)
    if have >= epochs or (epochs - have) * len(flips) > room:
        return None
    return More(epochs=epochs, categories=(), case_ids=judged.sides.cases.names(flips), is_last=False)


def _step(judged: Judgement, rules: Rules, names: list[str], room: int, flips: list[int]) -> More | None:
    """The next step for these, the most promising first, or as much of it as there is room for; None: no repeat."""
    run = judged.sides.candidate
    now, wanted = run.steps[-1].epochs, planned(run, judged.sides.cases)
    due = next_epochs(now, rules)
    for count in range(len(names), 0, -1):
        members = _members(judged, names[:count])
        for epochs in range(due, now, -1):
            extra = sum(epochs - wanted[i] for i in members)
            if extra > room:
                continue
            smallest = min(len(_members(judged, [name])) for name in _parts(judged, names[:count]))
            return More(
                epochs=epochs,
                categories=tuple(sorted(names[:count])),
                case_ids=judged.sides.cases.names(sorted({*members, *flips})),
                is_last=epochs >= rules.max_epochs or epochs < due or room - extra < smallest,
            )
    return None


def _parts(judged: Judgement, names: list[str]) -> Sequence[str]:
    """The categories that a step for these might leave to the next one."""
    return judged.sides.categories if EVERY_CASE in names else names


def _undecided(judged: Judgement, rules: Rules, decided: Collection[str], *, has_doubts: bool) -> list[list[str]]:
    """Who may be repeated next, the first choice first: every case (`"*"`) for the suite's sake, or categories, the
    nearest to a block first.

    While calls are scarce, the suite has the choice only where no category is nearer to a block than it is.
    """
    number = len(judged.looks) - 1
    categories: dict[str, float] = {}
    nearest: dict[bool, float] = {True: 1.0, False: 1.0}
    suite = 1.0
    for tests in (judged.tests, judged.anchor_tests):
        for (_, name), test in tests.items():
            if test.look != number or name in decided:
                continue
            is_suite = name == EVERY_CASE
            nearest[is_suite] = min(nearest[is_suite], test.p_adjusted)
            if is_suite:
                suite = min(suite, test.p)
            elif test.p <= go_on(number, len(judged.sides.members(name))) and _may_gain(judged, name):
                categories[name] = min(test.p, categories.get(name, 1.0))
    choice = [sorted(categories, key=lambda name: (categories[name], name))] if categories else []
    ample = is_ample(rules, len(judged.sides.candidate.cases))
    wants_all = not has_doubts and suite <= suite_go_on(number, is_ample=ample) and _may_gain(judged, EVERY_CASE)
    if wants_all and (ample or not categories or nearest[True] <= nearest[False]):
        return [[EVERY_CASE], *choice]
    return choice


def _may_gain(judged: Judgement, category: str) -> bool:
    """Whether repeats could change anything: a cluster is compared with whole runs, and only up to their repeats."""
    sides = judged.sides
    if not sides.clusters:
        return True
    now = sides.candidate.steps[-1].epochs
    longest = max((len(scores) for run in sides.runs_before for scores in run), default=1)
    return longest > now or any(i not in sides.cases.clusters for i in sides.pairs(category))


def _members(judged: Judgement, names: list[str]) -> set[int]:
    return {i for name in names for i in judged.sides.members(name)}


def _repeats_made(judged: Judgement) -> int:
    """Planned calls beyond one a case."""
    sides = judged.sides
    return sum(planned(sides.candidate, sides.cases)) - len(sides.cases)


def _open_flips(judged: Judgement, rules: Rules) -> list[int]:
    sides = judged.sides
    return [i for i in critical.flipped(sides, rules) if len(sides.after[i]) < critical.FEWEST_REPEATS]


def _most_epochs(judged: Judgement, numbers: list[int]) -> int:
    """The highest epoch that any of these cases was called for."""
    return max((judged.sides.answers.highest[i] for i in numbers), default=0)
