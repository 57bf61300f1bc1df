"""Both sides of the comparison, case by case: what may be compared, what may not, and what is not there.

The union of both sides is judged, never the intersection alone: a case that only one side has is named by what it is
(added, removed, missing, changed). Judgements never use a side that is not there. A case is its number (`columns`).
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from evalgate.gate.columns import Answers, Cases, Numbers, Scores, answers_of
from evalgate.gate.pool import Pool, mean, means_of, own_answers, pool_of, pooled, without_copies
from evalgate.gate.rules import Rules
from evalgate.records import EVERY_CASE, Baseline, CaseLists, CategorySummary, Run
from evalgate.stats.permutation import Samples

ROUNDING = 1e-12
"""What a mean of decimal fractions may be off: a drop of exactly what is allowed is allowed."""

PARTIAL_COVERAGE = 0.8
"""A baseline that has less than this share of the candidate's cases, and says nothing of the rest, is partial."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What the gate judges."""

    candidate: Run
    answers: Answers
    """The candidate's own results, by case."""
    pool: Pool
    """The baseline, as far as it can be compared."""
    after: Scores
    """Scores of the candidate by case, in the order of epochs; () for cases without a score."""
    pass_mark: float
    removed: tuple[str, ...]
    """Cases that only the baseline has, and that the candidate's eval set no longer has; sorted."""
    missing: tuple[str, ...]
    """Cases for which results are not there, though nothing says that they were taken out; sorted."""
    vanished: tuple[str, ...]
    """Categories of the rules or of the baseline that no candidate case has."""
    lost: Numbers
    """Planned cases for which some result is missing (the run ended early or rows are absent)."""
    uncovered: frozenset[int]
    """Scored cases that no baseline run has, though nothing says that they were added."""
    quarantine: frozenset[str] = frozenset()
    """Ids of cases that are shown but not judged."""

    @property
    def baseline_runs(self) -> tuple[Run, ...]:
        return self.pool.runs

    @property
    def cases(self) -> Cases:
        """The candidate's planned cases."""
        return self.pool.cases

    @property
    def before(self) -> Scores:
        """Comparable scores of the pooled baseline by case, sorted; () for cases without any."""
        return self.pool.before

    @property
    def runs_before(self) -> Sequence[Scores]:
        """Per baseline run: comparable scores by case, in the order of epochs."""
        return self.pool.per_run

    @property
    def means_before(self) -> Sequence[float]:
        """The pooled baseline's mean score by case; NaN for cases without any."""
        return self.pool.means

    @property
    def categories(self) -> tuple[str, ...]:
        """The candidate's categories, sorted."""
        return self.pool.categories

    @cached_property
    def answered(self) -> Numbers:
        """The candidate's cases that have a score."""
        return array("I", [i for i, scores in enumerate(self.after) if scores])

    @cached_property
    def apart(self) -> frozenset[int]:
        """The candidate's cases in quarantine."""
        find = self.cases.finder()
        return frozenset(number for case_id in sorted(self.quarantine) if (number := find(case_id)) >= 0)

    def members(self, category: str) -> Numbers:
        """The candidate's cases of a category; `"*"` is every case."""
        return self.pool.members.get(category, ())

    def scored(self, category: str) -> Numbers:
        """A category's cases that have a score and are judged."""
        return self._scored.get(category, ())

    def pairs(self, category: str) -> Numbers:
        """A category's judged cases that have comparable scores on both sides."""
        return self._pairs.get(category, ())

    def samples(self, numbers: Numbers) -> list[Samples]:
        """Both sides of these pairs on the test's grid: one a case, or one a cluster of cases."""
        if not self.clusters:
            return [_samples(self.before[i], self.after[i]) for i in numbers]
        return [self._together(group) for group in self.units(numbers)]

    def units(self, numbers: Numbers) -> list[tuple[int, ...]]:
        """These cases, those of one cluster together: what chance deals with as one. In the order of the first."""
        groups: dict[object, list[int]] = {}
        for number in numbers:
            groups.setdefault(self.cases.clusters.get(number, number), []).append(number)
        return [tuple(group) for group in groups.values()]

    def differences(self, numbers: Numbers) -> list[float]:
        """After minus before of each unit of these pairs, weighted so that their mean is the mean over cases."""
        if not self.clusters:
            return [self.means_after[i] - self.means_before[i] for i in numbers]
        units = self.units(numbers)
        share = len(units) / max(1, len(numbers))
        return [share * math.fsum(self.means_after[i] - self.means_before[i] for i in unit) for unit in units]

    def until(self, planned: Sequence[int]) -> Sides:
        """The same as it stood when each case had been repeated only so often."""
        # Epochs that failed leave gaps: an epoch's number is no place in the list.
        after = [
            scores[: bisect_right(epochs, most)] if scores else ()
            for scores, epochs, most in zip(self.after, self.answers.epochs, planned, strict=True)
        ]
        return replace(self, after=after)

    def evenly(self) -> Sides:
        """The same with no more repeats of any case than every case was to have."""
        wanted = planned(self.candidate, self.cases) if self.candidate.origin == "run" else self.answers.counts
        fewest = min((wanted[i] for i in self.answered), default=1)
        if all(wanted[i] == fewest for i in self.answered):
            return self
        return self.until(array("I", [fewest]) * len(self.cases))

    @cached_property
    def clusters(self) -> Mapping[str, frozenset[str]]:
        """Cluster by name with the categories that its pairs belong to; {}: no case names one."""
        if not self.cases.clusters:
            return {}
        found: dict[str, set[str]] = {}
        for number in self.pairs(EVERY_CASE):
            name = self.cases.clusters.get(number)
            if name is not None:
                found.setdefault(name, set()).update(self.cases.categories[number])
        return {name: frozenset(categories) for name, categories in found.items()}

    def _together(self, group: tuple[int, ...]) -> Samples:
        """Cases of one cluster as one: a sample is a whole run, the sum over the cases of their mean scores in it.

        What a cluster shares (a document, a day's index) it shares within a run, so runs are what may be exchanged.
        Equal repeats on both sides make them alike: the first m epochs of each, m the fewest that any has.
        """
        if group[0] not in self.cases.clusters:
            return _samples(self.before[group[0]], self.after[group[0]])
        whole = [scores for scores in self.runs_before if all(scores[i] for i in group)]
        if not whole:  # no run has all of them: their pooled means are one sample
            before = [math.fsum(self.means_before[i] for i in group)]
            return Samples.of_sums(before, [math.fsum(self.means_after[i] for i in group)])
        fewest = min(len(scores[i]) for scores in (*whole, self.after) for i in group)
        sums = [math.fsum(mean(scores[i][:fewest]) for i in group) for scores in (*whole, self.after)]
        return Samples.of_sums(sums[:-1], sums[-1:])

    def changed(self, category: str) -> list[int]:
        """A category's cases that have other content or other scorers in the baseline."""
        if not self.pool.changed:
            return []
        return [i for i in self.members(category) if i in self.pool.changed]

    def replaced(self, category: str) -> int:
        """How many of a category's cases may stand in for ones that were taken out, or be these under other ids."""
        names = set(self.removed)
        gone = sum(category in (EVERY_CASE, *of) for case_id, of in self.pool.gone.items() if case_id in names)
        return min(gone, sum(not self.pool.seen[i] and not self.before[i] for i in self.members(category)))

    @cached_property
    def lists(self) -> CaseLists:
        """The cases worth a look."""
        before, after, names = self.before, self.after, self.cases.names
        fell, rose = self._flips()
        every = range(len(self.cases))
        bare = [] if not self.baseline_runs else [i for i in every if not self.pool.seen[i] and not before[i]]
        unscored = names([i for i in every if self.answers.unscored[i]])
        return CaseLists(
            regressed=names(fell),
            improved=names(rose),
            added=names(bare),
            removed=self.removed,
            missing=self.missing,
            unscored=tuple(sorted((*unscored, *self.answers.strangers))),
            flaky=names([i for i in self.answered if self._wavers(after[i]) or self._wavers(before[i])]),
            changed=names(sorted(self.pool.changed)),
        )

    def _flips(self) -> tuple[list[int], list[int]]:
        """Cases that passed on average and no longer do, and those the other way round."""
        mark, was, now = self.pass_mark, self.means_before, self.means_after
        both = [i for i in self.answered if self.before[i]]
        return [i for i in both if was[i] >= mark > now[i]], [i for i in both if was[i] < mark <= now[i]]

    def _wavers(self, scores: Sequence[float]) -> bool:
        """Whether a case passed and failed within one side."""
        return len(scores) > 1 and min(scores) < self.pass_mark <= max(scores)

    @cached_property
    def means_after(self) -> Sequence[float]:
        """The candidate's mean score by case; NaN for cases without any."""
        return means_of(self.after)

    @cached_property
    def _scored(self) -> Mapping[str, Numbers]:
        return {name: self._those_of(ids, lambda i: bool(self.after[i])) for name, ids in self._judged.items()}

    @cached_property
    def _pairs(self) -> Mapping[str, Numbers]:
        return {name: self._those_of(ids, lambda i: bool(self.before[i])) for name, ids in self._scored.items()}

    @property
    def _judged(self) -> Mapping[str, Numbers]:
        if not self.apart:
            return self.pool.members
        return {name: [i for i in ids if i not in self.apart] for name, ids in self.pool.members.items()}

    @staticmethod
    def _those_of(numbers: Numbers, holds: Callable[[int], bool]) -> Numbers:
        """Those of which it holds; the very same sequence where it holds of all, as it mostly does."""
        found = array("I", filter(holds, numbers))
        return numbers if len(found) == len(numbers) else found


@lru_cache(maxsize=50_000)
def _samples(before: tuple[float, ...], after: tuple[float, ...]) -> Samples:
    """Cases with equal scores share one: what is derived from it is worked out once."""
    return Samples.of(before, after)


def take_sides(candidate: Run, baseline: Baseline, rules: Rules, *, quarantine: frozenset[str] = frozenset()) -> Sides:
    """Both sides, compared case by case. Pure; the order of results does not matter.

    quarantine: ids of cases that are shown but not judged.
    """
    pool = pool_of(candidate.cases, baseline)
    cases, runs, before = pool.cases, pool.runs, pool.before
    answers = own_answers(candidate, cases)
    after = answers.scores
    vanished = _vanished(candidate, pool, rules)
    removed, missing = _gone(candidate, pool.gone, vanished, rules)
    lost = _lost(candidate, cases, answers)
    tells_its_set = any(run.evalset is not None and not is_partial(run) for run in runs)
    bare = (
        i
        for i, scores in enumerate(after)
        if scores and not before[i] and i not in pool.changed and not (tells_its_set and not pool.seen[i])
    )
    return Sides(
        candidate=candidate,
        answers=answers,
        pool=pool,
        after=after,
        pass_mark=rules.pass_mark,
        removed=tuple(sorted(removed)),
        missing=tuple(sorted({*missing, *cases.names(lost)})),
        vanished=vanished,
        lost=lost,
        uncovered=frozenset(bare) if runs else frozenset(),
        quarantine=quarantine,
    )


def is_partial(run: Run) -> bool:
    """Whether a run has only a part of its eval set: a part was asked for, or it ended early."""
    return run.selection is not None or run.stopped is not None


def _vanished(candidate: Run, pool: Pool, rules: Rules) -> tuple[str, ...]:
    if candidate.selection is not None:
        return ()  # a part was asked for: what is not in it did not vanish
    wanted = pool.categories_before | set(rules.categories)
    return tuple(sorted(wanted - set(pool.categories) - set(rules.removed_categories)))


def _gone(
    candidate: Run, gone: Mapping[str, tuple[str, ...]], vanished: Sequence[str], rules: Rules
) -> tuple[list[str], list[str]]:
    """Cases that only the baseline has: those taken out, and those that nothing says were taken out."""
    if candidate.selection is not None:
        return [], []
    removed, missing = [], []
    for case_id, categories in gone.items():
        if candidate.evalset is not None or set(categories) & set(rules.removed_categories):
            removed.append(case_id)
        elif not set(categories) & set(vanished):  # else its category is named as a whole
            missing.append(case_id)
    return removed, missing


def _lost(candidate: Run, cases: Cases, answers: Answers) -> Numbers:
    """Planned cases that lack a result, as far as the run or its own rows tell what was planned."""
    wanted = planned(candidate, cases) if candidate.origin == "run" else _repeats_of_rows(candidate, cases, answers)
    return [i for i, have in enumerate(answers.counts) if have < wanted[i]]


def planned(run: Run, cases: Cases, steps: int | None = None) -> Sequence[int]:
    """How many results each case was to have, after so many steps of the run; None: after all of them."""
    if not run.steps:
        return array("I", [run.epochs]) * len(cases)
    wanted = array("I", [0]) * len(cases)
    for step in run.steps[:steps]:  # each has more repeats than the one before it
        if EVERY_CASE in step.categories:
            wanted = array("I", [step.epochs]) * len(cases)
            continue
        for name in step.categories:
            for number in cases.members.get(name, ()):
                wanted[number] = step.epochs
    return wanted


def _repeats_of_rows(candidate: Run, cases: Cases, answers: Answers) -> Sequence[int]:
    """How many rows each case of recorded results should have.

    One at least; every epoch below its highest; and as many as nearly all cases of its category have, which were
    repeated alike. Categories may differ: only cases of a single category say how often theirs was repeated.
    """
    if candidate.epochs == 1:
        return array("I", [1]) * len(cases)
    counts: dict[str, list[int]] = {}
    for number, names in enumerate(cases.categories):
        if len(names) == 1:
            counts.setdefault(names[0], []).append(answers.counts[number])
    usual = {name: sorted(found)[math.floor(len(found) * (1 - PARTIAL_COVERAGE))] for name, found in counts.items()}
    return [
        max(1, answers.highest[number], *(usual.get(name, 1) for name in names))
        for number, names in enumerate(cases.categories)
    ]


def summaries(sides: Sides, rules: Rules) -> dict[str, CategorySummary]:
    """Counts by category, `"*"` and vanished ones included. `before` is over the cases that both sides have."""
    answers, mark, after = sides.answers, rules.pass_mark, sides.after
    rows = {}
    for category in (*sides.categories, EVERY_CASE):
        members = sides.members(category)
        scored = [i for i in members if after[i]]
        rows[category] = CategorySummary(
            n=sum([answers.counts[i] for i in members]),
            passed=sum([score >= mark for i in scored for score in after[i]]),
            unscored=sum([answers.unscored[i] for i in members]),
            score=_mean_over(sides.means_after, scored),
            before=_mean_over(sides.means_before, [i for i in scored if sides.before[i]]),
        )
    for category in sides.vanished:
        rows[category] = CategorySummary(n=0, passed=0, unscored=0, score=None, before=_vanished_mean(sides, category))
    return rows


def _mean_over(means: Sequence[float], numbers: Collection[int]) -> float | None:
    return mean([means[i] for i in numbers]) if numbers else None


def _vanished_mean(sides: Sides, category: str) -> float | None:
    runs = sides.baseline_runs
    refs = {ref.id: ref for run in runs for ref in run.cases if category in ref.categories}
    cases = Cases([refs[case_id] for case_id in sorted(refs)])
    kept = [answers_of(run.results, cases, _has(run, cases, category)) for run in runs]
    scores = pooled(without_copies(kept), len(cases))
    return mean([mean(values) for values in scores if values]) if any(scores) else None


def _has(run: Run, cases: Cases, category: str) -> Sequence[int]:
    """1 for each of these cases that the run has in this category."""
    found, find = bytearray(len(cases)), cases.finder()
    for ref in run.cases:
        if category in ref.categories:
            found[find(ref.id)] = 1
    return found
