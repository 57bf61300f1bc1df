"""Confirmation: what would block is called anew, both sides at the same time, and only the fresh answers decide.

The history may lie without any fault of the change: the provider has a bad day, an index was rebuilt, the runs are old.
Fresh calls of both sides meet the same day. Three answers: the drop is there again; it is not; or the baseline's own
requests fare worse than they used to, and the change is not to blame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from evalgate.gate.family import Key, Noise, drop_test, floor_test
from evalgate.gate.pool import mean
from evalgate.gate.rules import Rules
from evalgate.gate.sides import Sides, take_sides
from evalgate.records import Baseline, Confirmation, DriftEvent, Pinned, Result, Run, Scored

DRIFT_LEVEL = 0.05
"""The p at which the baseline's own requests are said to fare worse."""

LEAST_SCORED = 0.9
"""With less of the planned answers scored on either side, fresh calls acquit nobody; they may still confirm."""


class Answer(StrEnum):
    """What fresh calls say of a doubted finding."""

    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not confirmed"
    DRIFT = "drift"
    UNKNOWN = "unknown"
    """Too few of them were answered to acquit: the block stands."""


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """The fresh calls about one finding."""

    answer: Answer
    how: str
    """How the baseline was asked again, or why not."""
    p: float | None = None
    """Of the drop in the fresh calls."""
    level: float = 0.2
    """What it had to reach."""
    before: float | None = None
    """Mean of the baseline's fresh scores; where it could not be asked, of its history."""
    after: float | None = None
    epochs: int = 0
    has_both: bool = False
    """Whether the baseline was asked again as well."""
    p_drift: float | None = None
    """Of a drop of the baseline's own requests against their history; None where they were not asked."""
    history: float | None = None
    """Mean of their history."""


class FreshCalls:
    """A run's confirmation, ready to be asked about findings."""

    def __init__(self, sides: Sides, baseline: Baseline, rules: Rules, confirmation: Confirmation) -> None:
        self._rules, self._confirmation = rules, confirmation
        candidate = sides.candidate
        self._after = _as_run(candidate, confirmation.after, confirmation.epochs)
        pool: Baseline = baseline
        self._drift: Sides | None = None
        if confirmation.before:
            again = _as_run(candidate, confirmation.before, confirmation.epochs)
            pool = Pinned(runs=(again,), why="asked again")
            self._drift = take_sides(again, baseline, rules, quarantine=sides.quarantine)
        self._sides = take_sides(self._after, pool, rules, quarantine=sides.quarantine)

    def about(self, key: Key, needed: int) -> Fresh | None:
        """What they say of this rule and category; None where it was not doubted. needed: cases that were judged."""
        rule, category = key
        if category not in self._confirmation.categories:
            return None
        return self._floor(category, needed) if rule == "min" else self._drop(category, needed)

    def _drop(self, category: str, needed: int) -> Fresh:
        sides, confirmation = self._sides, self._confirmation
        bare = self._bare()
        pairs = sides.pairs(category)
        if not pairs:
            return bare
        test = drop_test(sides.samples(pairs), self._rules.of(category), category, Noise(sides))
        before, after = (mean([means[i] for i in pairs]) for means in (sides.means_before, sides.means_after))
        p_drift, history = self._drifted(category) if confirmation.before else (None, None)
        is_confirmed = test.p <= bare.level and after < before
        has_drifted = p_drift is not None and p_drift <= DRIFT_LEVEL
        answer = self._answer(category, needed, is_confirmed=is_confirmed, has_drifted=has_drifted)
        return replace(bare, answer=answer, p=test.p, before=before, after=after, p_drift=p_drift, history=history)

    def _floor(self, category: str, needed: int) -> Fresh:
        """The candidate's fresh scores decide; where the baseline's own are below the floor now too, the day did it."""
        sides, bare = self._sides, self._bare()
        scored = sides.scored(category)
        if not scored:
            return bare
        floor = self._rules.of(category).min or 0.0
        scores = [sides.after[i] for i in scored]
        test = floor_test(scores, [sides.before[i] for i in scored], floor, category)
        after = mean([sides.means_after[i] for i in scored])
        p_drift, history = self._drifted(category) if self._confirmation.before else (None, None)
        pairs = sides.pairs(category)
        before = mean([sides.means_before[i] for i in pairs]) if pairs and self._confirmation.before else None
        fell = p_drift is not None and p_drift <= DRIFT_LEVEL and before is not None and before < floor
        has_drifted = fell and history is not None and history >= floor
        answer = self._answer(
            category, needed, is_confirmed=test.p <= bare.level and not has_drifted, has_drifted=has_drifted
        )
        if answer is not Answer.DRIFT:
            return replace(bare, answer=answer, p=test.p, after=after)
        return replace(bare, answer=answer, p=test.p, before=before, after=after, p_drift=p_drift, history=history)

    def _answer(self, category: str, needed: int, *, is_confirmed: bool, has_drifted: bool) -> Answer:
        if is_confirmed:
            return Answer.CONFIRMED
        if not self._is_complete(category, needed):
            return Answer.UNKNOWN
        return Answer.DRIFT if has_drifted else Answer.NOT_CONFIRMED

    def _is_complete(self, category: str, needed: int) -> bool:
        """Whether nearly all planned answers about this category are there and scored, on both sides."""
        members = set(self._sides.cases.names(self._sides.members(category)))
        planned = needed * self._confirmation.epochs
        sides = [self._confirmation.after, *([self._confirmation.before] if self._confirmation.before else [])]
        return all(
            sum(isinstance(result, Scored) and result.case_id in members for result in results)
            >= LEAST_SCORED * planned
            for results in sides
        )

    def _drifted(self, category: str) -> tuple[float | None, float | None]:
        """p and the history's mean of the baseline's own requests, compared with their history."""
        sides = self._drift
        pairs = sides.pairs(category) if sides is not None else ()
        if sides is None or not pairs:
            return None, None
        rule = replace(self._rules.of(category), max_drop=0.0)
        test = drop_test(sides.samples(pairs), rule, category, Noise(sides))
        return test.p, mean([sides.means_before[i] for i in pairs])

    def _bare(self) -> Fresh:
        confirmation = self._confirmation
        return Fresh(
            answer=Answer.UNKNOWN,
            how=confirmation.how,
            level=self._rules.confirm_level,
            epochs=confirmation.epochs,
            has_both=bool(confirmation.before),
        )


def events(run: Run, fresh: Mapping[Key, Fresh], sentences: Mapping[Key, str]) -> tuple[DriftEvent, ...]:
    """The drift that the fresh calls have seen, one event a category."""
    return tuple(
        DriftEvent(
            run_id=run.id,
            created=run.created,
            category=category,
            before=found.history,
            after=found.before,
            p=found.p_drift,
            sentence=sentences[rule, category],
        )
        for (rule, category), found in sorted(fresh.items())
        if found.answer is Answer.DRIFT
        and found.history is not None
        and found.before is not None
        and found.p_drift is not None
    )


def _as_run(candidate: Run, results: tuple[Result, ...], epochs: int) -> Run:
    """These results as a run of the cases that they are about."""
    asked = {result.case_id for result in results}
    refs = tuple(ref for ref in candidate.cases if ref.id in asked)
    return replace(
        candidate, cases=refs, results=results, epochs=epochs, steps=(), confirmation=None, selection="confirmation"
    )
