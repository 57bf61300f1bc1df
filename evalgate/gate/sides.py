"""Both sides of the comparison, case by case: what may be compared, what may not, and what is not there.

The union of both sides is judged, never the intersection alone: a case that only one side has is named by what it is
(added, removed, missing, changed). Judgements never use a side that is not there.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from evalgate.gate.pool import Pool, mean, means_of, pool_of, pooled, scores_of, without_copies
from evalgate.gate.rules import Rules
from evalgate.records import (
    EVERY_CASE,
    Baseline,
    CaseLists,
    CaseRef,
    CategorySummary,
    Output,
    Run,
    Scored,
)
from evalgate.stats.permutation import Samples

ROUNDING = 1e-12
"""What a mean of decimal fractions may be off: a drop of exactly what is allowed is allowed."""

PARTIAL_COVERAGE = 0.8
"""A baseline that has less than this share of the candidate's cases, and says nothing of the rest, is partial."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What the gate judges."""

    candidate: Run
    pool: Pool
    """The baseline, as far as it can be compared."""
    after: Mapping[str, Sequence[float]]
    """Scores of the candidate by case, in the order of epochs; cases without a score are absent."""
    epochs_after: Mapping[str, Sequence[int]]
    """The epochs of these scores."""
    pass_mark: float
    removed: tuple[str, ...]
    """Cases that only the baseline has, and that the candidate's eval set no longer has; sorted."""
    missing: tuple[str, ...]
    """Cases for which results are not there, though nothing says that they were taken out; sorted."""
    vanished: tuple[str, ...]
    """Categories of the rules or of the baseline that no candidate case has."""
    lost: tuple[str, ...]
    """Ids of planned cases for which some result is missing (the run ended early or rows are absent)."""
    uncovered: tuple[str, ...]
    """Scored cases that no baseline run has, though nothing says that they were added."""
    quarantine: frozenset[str] = frozenset()
    """Cases that are shown but not judged."""

    @property
    def baseline_runs(self) -> tuple[Run, ...]:
        return self.pool.runs

    @property
    def refs(self) -> Mapping[str, CaseRef]:
        """The candidate's planned cases by id, sorted."""
        return self.pool.refs

    @property
    def before(self) -> Mapping[str, Sequence[float]]:
        """Comparable scores of the pooled baseline by case, sorted; cases without any are absent."""
        return self.pool.before

    @property
    def runs_before(self) -> Sequence[Mapping[str, Sequence[float]]]:
        """Per baseline run: comparable scores by case, in the order of epochs."""
        return self.pool.per_run

    @property
    def means_before(self) -> Mapping[str, float]:
        """The pooled baseline's mean score by case."""
        return self.pool.means

    @property
    def categories(self) -> tuple[str, ...]:
        """The candidate's categories, sorted."""
        return self.pool.categories

    def members(self, category: str) -> Sequence[str]:
        """Ids of the candidate's cases of a category, sorted; `"*"` is every case."""
        return self.pool.members.get(category, ())

    def scored(self, category: str) -> Sequence[str]:
        """Ids of a category's cases that have a score and are judged, sorted."""
        return self._scored.get(category, ())

    def pairs(self, category: str) -> Sequence[str]:
        """Ids of a category's judged cases that have comparable scores on both sides, sorted."""
        return self._pairs.get(category, ())

    def samples(self, ids: Sequence[str]) -> list[Samples]:
        """Both sides of these pairs on the test's grid: one a case, or one a cluster of cases."""
        if not self.clusters:
            by_case = self._by_case
            return [by_case[case_id] for case_id in ids]
        return [self._together(group) for group in self.units(ids)]

    def units(self, ids: Sequence[str]) -> list[tuple[str, ...]]:
        """These cases, those of one cluster together: what chance deals with as one. In the order of the first."""
        groups: dict[str, list[str]] = {}
        for case_id in ids:
            name = self.refs[case_id].cluster
            groups.setdefault(f"case {case_id}" if name is None else f"cluster {name}", []).append(case_id)
        return [tuple(group) for group in groups.values()]

    def differences(self, ids: Sequence[str]) -> list[float]:
        """After minus before of each unit of these pairs, weighted so that their mean is the mean over cases."""
        if not self.clusters:
            return [self.means_after[i] - self.means_before[i] for i in ids]
        units = self.units(ids)
        share = len(units) / max(1, len(ids))
        return [share * math.fsum(self.means_after[i] - self.means_before[i] for i in unit) for unit in units]

    def until(self, planned: Mapping[str, int]) -> Sides:
        """The same as it stood when each case had been repeated only so often."""
        after = {}
        for case_id, scores in self.after.items():
            # Epochs that failed leave gaps: an epoch's number is no place in the list.
            upto = bisect_right(self.epochs_after[case_id], planned[case_id])
            if upto:
                after[case_id] = scores[:upto]
        return replace(self, after=after)

    def evenly(self) -> Sides:
        """The same with no more repeats of any case than every case was to have."""
        wanted = planned(self.candidate)
        if self.candidate.origin != "run":
            wanted = Counter(result.case_id for result in self.candidate.results)
        fewest = min((wanted[case_id] for case_id in self.after), default=1)
        if all(wanted[case_id] == fewest for case_id in self.after):
            return self
        return self.until(dict.fromkeys(self.after, fewest))

    @cached_property
    def clusters(self) -> Mapping[str, frozenset[str]]:
        """Cluster by name with the categories that its pairs belong to; {}: no case names one."""
        found: dict[str, set[str]] = {}
        for case_id in self.pairs(EVERY_CASE):
            name = self.refs[case_id].cluster
            if name is not None:
                found.setdefault(name, set()).update(self.refs[case_id].categories)
        return {name: frozenset(categories) for name, categories in found.items()}

    def _together(self, group: tuple[str, ...]) -> Samples:
        """Cases of one cluster as one: a sample is a whole run, the sum over the cases of their mean scores in it.

        What a cluster shares (a document, a day's index) it shares within a run, so runs are what may be exchanged.
        Equal repeats on both sides make them alike: the first m epochs of each, m the fewest that any has.
        """
        if self.refs[group[0]].cluster is None:
            return self._by_case[group[0]]
        whole = [scores for scores in self.runs_before if all(i in scores for i in group)]
        if not whole:  # no run has all of them: their pooled means are one sample
            before = [math.fsum(self.means_before[i] for i in group)]
            return Samples.of_sums(before, [math.fsum(self.means_after[i] for i in group)])
        fewest = min(len(scores[i]) for scores in (*whole, self.after) for i in group)
        sums = [math.fsum(mean(scores[i][:fewest]) for i in group) for scores in (*whole, self.after)]
        return Samples.of_sums(sums[:-1], sums[-1:])

    def changed(self, category: str) -> list[str]:
        """Ids of a category's cases that have other content or other scorers in the baseline, sorted."""
        if not self.pool.changed:
            return []
        return [case_id for case_id in self.members(category) if case_id in self.pool.changed]

    @cached_property
    def lists(self) -> CaseLists:
        """The cases worth a look."""
        before, after = self.before, self.after
        fell, rose = self._flips()
        bare = () if not self.baseline_runs else (i for i in self.refs if i not in self.pool.seen and i not in before)
        results = self.candidate.results
        return CaseLists(
            regressed=fell,
            improved=rose,
            added=tuple(bare),
            removed=self.removed,
            missing=self.missing,
            unscored=tuple(sorted({result.case_id for result in results if not isinstance(result, Scored)})),
            flaky=tuple([i for i in after if self._wavers(after[i]) or self._wavers(before.get(i, ()))]),
            changed=tuple(sorted(self.pool.changed)),
        )

    def _flips(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Cases that passed on average and no longer do, and those the other way round; each sorted."""
        mark, was, now = self.pass_mark, self.means_before, self.means_after
        turned = [i for i in self.refs if i in now and i in was and (was[i] >= mark) != (now[i] >= mark)]
        return tuple(i for i in turned if now[i] < mark), tuple(i for i in turned if now[i] >= mark)

    def _wavers(self, scores: Sequence[float]) -> bool:
        """Whether a case passed and failed within one side."""
        return len(scores) > 1 and min(scores) < self.pass_mark <= max(scores)

    @cached_property
    def means_after(self) -> Mapping[str, float]:
        """The candidate's mean score by case."""
        return means_of(self.after)

    @cached_property
    def _by_case(self) -> Mapping[str, Samples]:
        before, after = self.before, self.after
        return {i: _samples(tuple(before[i]), tuple(after[i])) for i in self.pairs(EVERY_CASE)}

    @cached_property
    def _scored(self) -> Mapping[str, list[str]]:
        judged = self.after.keys() - self.quarantine
        return {name: [i for i in ids if i in judged] for name, ids in self.pool.members.items()}

    @cached_property
    def _pairs(self) -> Mapping[str, list[str]]:
        return {name: [i for i in ids if i in self.before] for name, ids in self._scored.items()}


@lru_cache(maxsize=50_000)
def _samples(before: tuple[float, ...], after: tuple[float, ...]) -> Samples:
    """Cases with equal scores share one: what is derived from it is worked out once."""
    return Samples.of(before, after)


def take_sides(candidate: Run, baseline: Baseline, rules: Rules, *, quarantine: frozenset[str] = frozenset()) -> Sides:
    """Both sides, compared case by case. Pure; the order of results does not matter.

    quarantine: ids of cases that are shown but not judged.
    """
    pool = pool_of(candidate.cases, baseline)
    runs, refs, before, seen = pool.runs, pool.refs, pool.before, pool.seen
    kept = scores_of(candidate.results, refs, stands_alone=True)
    after = {i: kept.scores[i] for i in refs if i in kept.scores}
    vanished = _vanished(candidate, seen.values(), refs.values(), rules)
    gone = {i: ref for i, ref in seen.items() if i not in refs}
    removed, missing = _gone(candidate, gone, vanished, rules)
    lost = _lost(candidate, refs)
    tells_its_set = any(run.evalset is not None and not is_partial(run) for run in runs)
    bare = [i for i in after if i not in before and i not in pool.changed and not (tells_its_set and i not in seen)]
    return Sides(
        candidate=candidate,
        pool=pool,
        after=after,
        epochs_after=kept.epochs,
        pass_mark=rules.pass_mark,
        removed=tuple(sorted(removed)),
        missing=tuple(sorted({*missing, *lost})),
        vanished=vanished,
        lost=lost,
        uncovered=tuple(bare) if runs else (),
        quarantine=quarantine,
    )


def is_partial(run: Run) -> bool:
    """Whether a run has only a part of its eval set: a part was asked for, or it ended early."""
    return run.selection is not None or run.stopped is not None


def _vanished(candidate: Run, before: Iterable[CaseRef], after: Iterable[CaseRef], rules: Rules) -> tuple[str, ...]:
    if candidate.selection is not None:
        return ()  # a part was asked for: what is not in it did not vanish
    here = {name for ref in after for name in ref.categories}
    wanted = {name for ref in before for name in ref.categories} | set(rules.categories)
    return tuple(sorted(wanted - here - set(rules.removed_categories)))


def _gone(
    candidate: Run, gone: Mapping[str, CaseRef], vanished: Sequence[str], rules: Rules
) -> tuple[list[str], list[str]]:
    """Cases that only the baseline has: those taken out, and those that nothing says were taken out."""
    if candidate.selection is not None:
        return [], []
    removed, missing = [], []
    for case_id, ref in gone.items():
        if set(ref.categories) & set(vanished):
            continue  # its category is named as a whole
        if candidate.evalset is not None or set(ref.categories) & set(rules.removed_categories):
            removed.append(case_id)
        else:
            missing.append(case_id)
    return removed, missing


def _lost(candidate: Run, refs: Mapping[str, CaseRef]) -> tuple[str, ...]:
    """Planned cases that lack a result, as far as the run or its own rows tell what was planned."""
    have: dict[str, int] = {}
    for result in candidate.results:
        have[result.case_id] = have.get(result.case_id, 0) + 1
    wanted = planned(candidate) if candidate.origin == "run" else _repeats_of_rows(candidate, refs, have)
    return tuple(case_id for case_id in refs if have.get(case_id, 0) < wanted[case_id])


def planned(run: Run, steps: int | None = None) -> dict[str, int]:
    """How many results each case was to have, after so many steps of the run; None: after all of them."""
    if not run.steps:
        return {ref.id: run.epochs for ref in run.cases}
    wanted = dict.fromkeys((ref.id for ref in run.cases), 0)
    for step in run.steps[:steps]:  # each has more repeats than the one before it
        if EVERY_CASE in step.categories:
            wanted = dict.fromkeys(wanted, step.epochs)
            continue
        names = set(step.categories)
        wanted.update((ref.id, step.epochs) for ref in run.cases if not names.isdisjoint(ref.categories))
    return wanted


def _repeats_of_rows(candidate: Run, refs: Mapping[str, CaseRef], have: Mapping[str, int]) -> dict[str, int]:
    """How many rows each case of recorded results should have.

    One at least; every epoch below its highest; and as many as nearly all cases of its category have, which were
    repeated alike. Categories may differ: only cases of a single category say how often theirs was repeated.
    """
    if candidate.epochs == 1:
        return dict.fromkeys(refs, 1)
    highest: dict[str, int] = {}
    for result in candidate.results:
        highest[result.case_id] = max(highest.get(result.case_id, 0), result.epoch)
    counts: dict[str, list[int]] = {}
    for case_id, ref in refs.items():
        if len(ref.categories) == 1:
            counts.setdefault(ref.categories[0], []).append(have.get(case_id, 0))
    usual = {name: sorted(found)[math.floor(len(found) * (1 - PARTIAL_COVERAGE))] for name, found in counts.items()}
    return {
        case_id: max(1, highest.get(case_id, 0), *(usual.get(name, 1) for name in ref.categories))
        for case_id, ref in refs.items()
    }


def summaries(sides: Sides, rules: Rules) -> dict[str, CategorySummary]:
    """Counts by category, `"*"` and vanished ones included. `before` is over the cases that both sides have."""
    results, mark = sides.candidate.results, rules.pass_mark
    count = Counter([result.case_id for result in results])
    unscored = Counter([result.case_id for result in results if not isinstance(result, Scored)])
    passed = {i: sum([score >= mark for score in scores]) for i, scores in sides.after.items()}
    rows = {}
    for category in (*sides.categories, EVERY_CASE):
        members = sides.members(category)
        scored = [case_id for case_id in members if case_id in sides.after]
        rows[category] = CategorySummary(
            n=sum([count[case_id] for case_id in members]),
            passed=sum([passed[case_id] for case_id in scored]),
            unscored=sum([unscored[case_id] for case_id in members]) if unscored else 0,
            score=_mean_over(sides.means_after, scored),
            before=_mean_over(sides.means_before, [i for i in scored if i in sides.before]),
        )
    for category in sides.vanished:
        rows[category] = CategorySummary(n=0, passed=0, unscored=0, score=None, before=_vanished_mean(sides, category))
    return rows


def _mean_over(means: Mapping[str, float], ids: Sequence[str]) -> float | None:
    return mean([means[case_id] for case_id in ids]) if ids else None


def _vanished_mean(sides: Sides, category: str) -> float | None:
    ids = [{ref.id for ref in run.cases if category in ref.categories} for run in sides.baseline_runs]
    kept = [scores_of(run.results, these) for run, these in zip(sides.baseline_runs, ids, strict=True)]
    scores = pooled(without_copies(kept))
    return mean([mean(values) for values in scores.values()]) if scores else None


def outputs(run: Run) -> list[Output]:
    """What the endpoint gave in this run, answers from a cache left out: they have no latency and no cost."""
    return [r.output for r in run.results if r.output is not None and not r.output.cached]
