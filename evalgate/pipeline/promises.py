"""What a gate promises and cannot hold: rules that could never fail, or never pass, whatever the results.

Found by asking the gate itself, with made-up runs in which every case passes but those that break.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property

from evalgate import gate
from evalgate.gate import Doubt, More, Rules, reach
from evalgate.gate.family import false_block_rate
from evalgate.gate.rules import Proof
from evalgate.gate.sides import take_sides
from evalgate.pipeline.load import Suite
from evalgate.pipeline.staged import Against, staged
from evalgate.records import (
    EVERY_CASE,
    CaseRef,
    Confirmation,
    Finding,
    Missing,
    Pinned,
    Result,
    Run,
    Scored,
    Status,
)
from evalgate.report.numbers import count, percent
from evalgate.report.pages import few
from evalgate.stats.detect import Stage
from evalgate.stats.permutation import Law, Samples

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
MOST_JUDGED = 300
"""Larger categories are tried at this size: how many cases have to break does not depend on how many do not."""
LONGER = (5, 10)
"""Runs of history that are tried as a remedy."""
ENOUGH = 20
"""Cases beyond which nobody waits for a category to block."""
MOST_CASES = 1000
"""Up to so many cases are tried as a remedy."""
OTHERS = "\x00others"
"""Category of cases that always pass, beside the one that is tried; no eval set can hold it."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the history says, as far as there is one."""

    runs: tuple[Run, ...] = ()
    """Those that a run would be compared with, the newest first; (): there is no history, and one run is assumed."""
    anchor: Missing | None = None
    """Why the anchor that the rules name cannot be had; None: it can, or nobody looked."""

    @property
    def sentence(self) -> str:
        if not self.runs:
            return "with one run of history"
        return (
            "with the one run of your history"
            if len(self.runs) == 1
            else f"with the {len(self.runs)} runs of your history"
        )


def broken_promises(suite: Suite, known: Known) -> list[str]:
    """Warnings for people, the gravest first; each says what would help."""
    tried = _Tried(suite, known)
    return [
        *_never_failing(tried),
        *_never_passing(tried),
        *_floors_that_never_fail(tried),
        *_floors_of_nothing(tried),
        *_comparing_numbers(tried),
        *_without_repeats(tried),
        *([f"warning: {known.anchor.reason}"] if known.anchor is not None else []),
    ]


def needed_by_category(suite: Suite, known: Known) -> Mapping[str, int | None]:
    """How many cases that always passed have to break for good until a category's drop blocks.

    By its own share of the error budget, whatever happens in other categories; where other cases of its own waver it
    takes more. None: not even all of them are enough. Categories without a tested rule on drops are absent.
    """
    return _Tried(suite, known).needed


class _Tried:
    """A suite's categories, put before its gate one by one."""

    def __init__(self, suite: Suite, known: Known) -> None:
        self.known = known
        self.rules: Rules = suite.config.rules
        repeats = self.rules.max_epochs > 1 and self.rules.extra_calls(len(suite.selected)) > 0
        self.epochs = suite.config.run.epochs if suite.has_fixed_epochs else None if repeats else 1
        """Repeats, where they are fixed; None: as the gate asks for them."""
        self.members: dict[str, list[CaseRef]] = {}
        for case in suite.selected:
            for name in case.categories:
                ref = CaseRef(id=case.id, categories=(name,), cluster=case.cluster)
                self.members.setdefault(name, []).append(ref)
        self.cases = len(suite.selected)
        self._seen: dict[object, bool] = {}

    @property
    def runs(self) -> int:
        return max(1, len(self.known.runs))

    @cached_property
    def judged(self) -> list[str]:
        """The categories whose drops are tested, sorted."""
        rules = {name: self.rules.of(name) for name in sorted(self.members)}
        return [name for name, rule in rules.items() if rule.max_drop is not None and rule.proof is not Proof.LITERAL]

    @cached_property
    def needed(self) -> Mapping[str, int | None]:
        return {name: self.needed_with(name, self.runs) for name in self.judged}

    @cached_property
    def never(self) -> list[str]:
        """The categories that cannot block even where every one of their cases breaks and no other wavers."""
        # What blocks whatever the others do needs no trial.
        return [name for name, number in self.needed.items() if number is None and not self.may_block(name, self.runs)]

    def may_block(self, name: str, runs: int) -> bool:
        """Whether its drop would block if all of its cases broke and all others passed as ever: by the gate itself."""
        refs, rule = self.members[name][:MOST_JUDGED], self.rules.of(name)
        key = (len({ref.cluster or ref.id for ref in refs}), len(refs), rule, runs)
        if key not in self._seen:
            self._seen[key] = self._blocks(refs, len(refs), runs, "max_drop")
        return self._seen[key]

    def needed_with(self, name: str, runs: int, *, repeats: bool = True) -> int | None:
        """The number of `needed` with so many runs of history; repeats: as the rules allow, else once."""
        rule, members = self.rules.of(name), self.members[name]
        if rule.proof is Proof.BEYOND_MARGIN:
            return len(members) if self.may_block(name, runs) else None
        units = len({ref.cluster or ref.id for ref in members})
        epochs = self.epochs if repeats else 1
        looks = self.looks(name, self.rules, epochs)
        # A cluster stands for its cases: as many of them as make the drop large enough.
        fewest = math.floor((rule.max_drop or 0.0) * units + 1e-9) + 1
        return next((k for k in range(fewest, min(units, fewest + ENOUGH) + 1) if _are_seen(k, runs, looks)), None)

    def looks(self, name: str, rules: Rules, epochs: int | None) -> Sequence[Stage]:
        """The looks at a category's drop with what each asks for."""
        return reach.stages(
            rules,
            name,
            cases=len(self.members[name]),
            categories=len(self.members),
            epochs=epochs,
            part=0.5 if rules.anchor else 1.0,
        )

    def floor_fails(self, name: str) -> bool:
        """Whether the floor fails where no case passes."""
        refs = self.members[name][:MOST_JUDGED]
        return self._blocks(refs, len(refs), self.runs, "min")

    def floor_holds(self, name: str, cases: int) -> bool:
        """Whether a critical floor is proven where each of so many cases passes."""
        refs = [CaseRef(id=f"case-{number:05}", categories=(name,)) for number in range(cases)]
        return not self._blocks(refs, 0, self.runs, "min")

    def _blocks(self, refs: Sequence[CaseRef], broken: int, runs: int, rule: str) -> bool:
        category = refs[0].categories[0]
        is_alone = category == EVERY_CASE or len(self.members) == 1
        cases = [*refs, *([] if is_alone else [CaseRef(id=OTHERS, categories=(OTHERS,))])]
        judged = replace(
            self.rules,
            categories={category: self.rules.of(category)},
            limits=(),
            # Of the whole suite: what is left out here leaves its calls to the category that is tried.
            max_extra_calls=self.rules.extra_calls(self.cases),
        )
        ids = {ref.id for ref in refs[:broken]}
        found = _findings_on(sorted(cases, key=lambda ref: ref.id), ids, judged, runs=runs, epochs=self.epochs)
        return any(f.category == category and f.rule == rule and f.status is Status.BREACH for f in found)


def _are_seen(broken: int, runs: int, looks: Sequence[Stage]) -> bool:
    """Whether so many cases that always passed and now fail block at one of these looks."""
    for look in looks:
        law = Law([Samples.of((1.0,) * runs, (0.0,) * look.epochs)] * broken)
        log_p = law.log_tail(law.observed)
        if log_p <= math.log(look.level) + 1e-9:
            return True
        if log_p > math.log(look.go_on) + 1e-9:
            return False
    return False


# ---- made-up runs -----------------------------------------------------------------------------------------


def _findings_on(
    cases: Sequence[CaseRef], broken: set[str], rules: Rules, *, runs: int, epochs: int | None
) -> Sequence[Finding]:
    """The findings on a run in which these cases fail and all others pass, as all did before."""
    history = tuple(_run(f"base-{number}", cases, set(), 1) for number in range(runs))
    against = Against(
        baseline=Pinned(runs=history, why="made up"),
        rules=rules,
        anchor=Pinned(runs=history[:1], why="made up") if rules.anchor else None,
    )
    first = _run("candidate", cases, broken, epochs or 1)
    run = asyncio.run(staged(first, against, _Broken(cases, broken), escalates=epochs is None))
    return gate.decide(run, against.baseline, rules, anchor=against.anchor).findings


def _run(id: str, cases: Sequence[CaseRef], broken: set[str], epochs: int) -> Run:
    results = _results([ref.id for ref in cases], broken, epochs)
    return Run(id=id, suite="", created=NO_TIME, cases=tuple(cases), results=results, epochs=epochs)


def _results(case_ids: Sequence[str], broken: set[str], epochs: int) -> tuple[Result, ...]:
    return tuple(
        Scored(case_id=case_id, epoch=epoch, score=0.0 if case_id in broken else 1.0)
        for case_id in case_ids
        for epoch in range(1, epochs + 1)
    )


class _Broken:
    """The endpoint of a run in which some cases always fail and all others always pass."""

    def __init__(self, cases: Sequence[CaseRef], broken: set[str]) -> None:
        self._cases, self._broken = cases, broken

    async def more(self, run: Run, more: More) -> Run:
        asked = set(more.case_ids)
        have = {result.case_id: 0 for result in run.results}
        for result in run.results:
            have[result.case_id] = max(have[result.case_id], result.epoch)
        results = [
            result
            for ref in self._cases
            for result in _results([ref.id], self._broken, more.epochs if ref.id in asked else have[ref.id])
        ]
        return replace(run, results=tuple(results))

    async def confirm(self, run: Run, doubt: Doubt) -> Confirmation:
        return Confirmation(
            categories=doubt.categories,
            epochs=doubt.epochs,
            after=_results(doubt.case_ids, self._broken, doubt.epochs),
            before=_results(doubt.case_ids, set(), doubt.epochs),
        )

    def room(self) -> int | None:
        return None


# ---- in words ---------------------------------------------------------------------------------------------


def _never_failing(tried: _Tried) -> list[str]:
    weak = [name for name, number in tried.needed.items() if number is None]
    lines = []
    for names, how in (
        (tried.never, "can never fail on their own"),
        ([name for name in weak if name not in tried.never], "may not fail even if all of their cases break"),
    ):
        if names:
            sizes = few([f"{name} ({count(len(tried.members[name]), 'case')})" for name in names])
            lines.append(f"warning: these {how} {tried.known.sentence}: {sizes}. {_remedies(tried, names)}")
    return lines


def _remedies(tried: _Tried, names: Sequence[str]) -> str:
    found = []
    left = list(names)
    for runs in LONGER:
        if runs <= tried.runs or runs > tried.rules.baseline_runs:
            continue
        can = [name for name in left if tried.needed_with(name, runs) is not None]
        if can:
            left = [name for name in left if name not in can]
            more = runs - len(tried.known.runs)
            found.append(
                f"More history helps {few(can)}: `evalgate baseline record --runs {more}` ({runs} runs in all)"
            )
    if left:
        found.append(f"More cases help {few(left)}, or a second category for them that holds more of their kind")
    return ". ".join(found) + "."


def _named(name: str) -> str:
    return "every case together" if name == EVERY_CASE else name


def _never_passing(tried: _Tried) -> list[str]:
    lines = []
    for name in (EVERY_CASE, *sorted(tried.members)):
        rule = tried.rules.of(name)
        size = tried.cases if name == EVERY_CASE else len(tried.members[name])
        if rule.min and rule.critical and not tried.floor_holds(name, min(size, MOST_CASES)):
            needed = _cases_to_prove(tried, name, size)
            help_ = f"needs {needed:,}" if needed else f"needs more than {MOST_CASES:,}"
            lines.append(
                f"warning: {_named(name)} can never pass: `critical: true` wants its floor (min {rule.min:g}) proven, "
                f"and {count(size, 'case')} cannot prove it even if all pass, with this history. It {help_} "
                "cases, more repeats or baseline runs, or a lower floor"
            )
    return lines


def _cases_to_prove(tried: _Tried, name: str, size: int) -> int | None:
    """The smallest number of passing cases that prove the floor; None: more than MOST_CASES."""
    low, high = size, MOST_CASES
    if size >= high or not tried.floor_holds(name, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tried.floor_holds(name, middle) else (middle, high)
    return high


def _floors_that_never_fail(tried: _Tried) -> list[str]:
    mute = []
    for name, members in sorted(tried.members.items()):
        rule = tried.rules.of(name)
        is_tested = rule.min and not rule.critical and rule.proof is not Proof.LITERAL
        if is_tested and not tried.floor_fails(name):
            mute.append(f"{name} ({count(len(members), 'case')}, min {rule.min:g})")
    if not mute:
        return []
    return [
        f"warning: these floors cannot be shown to be missed, even if no case passes: {few(mute)}. More cases help, or "
        "a floor for a category that holds more of their kind"
    ]


def _floors_of_nothing(tried: _Tried) -> list[str]:
    names = [_named(name) for name in (EVERY_CASE, *sorted(tried.members)) if tried.rules.of(name).min == 0]
    return [f"warning: `min: 0` never fails, since no score is below 0: {few(names)}"] if names else []


def _comparing_numbers(tried: _Tried) -> list[str]:
    return [
        f"warning: {_named(name)}: `proof: literal` compares two numbers, so noise alone can fail it"
        f"{_how_often(tried, name)}. Leave it out to have a drop proven"
        for name in (EVERY_CASE, *sorted(tried.members))
        if tried.rules.of(name).proof is Proof.LITERAL and tried.rules.of(name).max_drop is not None
    ]


def _how_often(tried: _Tried, name: str) -> str:
    """In how many unchanged runs, by the noise of the history; nothing where there is none to tell it."""
    runs = tried.known.runs
    if len(runs) < 2:
        return ""
    sides = take_sides(runs[0], Pinned(runs=runs[1:], why="the history"), tried.rules)
    pairs = sides.pairs(name)
    if not pairs:
        return ""
    rate = false_block_rate(sides.samples(pairs), tried.rules.of(name).max_drop or 0.0)
    return f" (in {percent(rate)} of runs that change nothing, by your history)"


def _without_repeats(tried: _Tried) -> list[str]:
    rules = tried.rules
    if tried.epochs != 1:
        return []
    why = "`max_epochs: 1`" if rules.max_epochs == 1 else f"`max_extra_calls: {rules.max_extra_calls}`"
    if rules.max_epochs > 1 and rules.extra_calls(tried.cases) > 0:
        return []  # somebody asked for one repeat in this call alone
    allowed = replace(rules, max_epochs=8, max_extra_calls=None)
    looks = {name: tried.looks(name, allowed, None) for name in tried.judged}
    gaining = [
        name
        for name, number in tried.needed.items()
        if number is None and _are_seen(len(tried.members[name]), tried.runs, looks[name])
    ]
    if not gaining:
        return []
    return [f"warning: {why} allows no repeat of what is in doubt; with repeats these could fail: {few(gaining)}"]
