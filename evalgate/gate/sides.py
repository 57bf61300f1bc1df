"""Both sides of the comparison, case by case: what may be compared, what may not, and what is not there.

The union of both sides is judged, never the intersection alone: a case that only one side has is named by what it is
(added, removed, missing, changed). Judgements never use a side that is not there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from evalgate.gate.rules import Rules
from evalgate.records import (
    EVERY_CASE,
    Baseline,
    CaseLists,
    CaseRef,
    CategorySummary,
    Json,
    Missing,
    Nearest,
    Output,
    Result,
    Run,
    Scored,
    may_agree,
)
from evalgate.stats.permutation import Samples

PARTIAL_COVERAGE = 0.8
"""A baseline that has less than this share of the candidate's cases, and says nothing of the rest, is partial."""


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What the gate judges."""

    candidate: Run
    baseline_runs: tuple[Run, ...]
    refs: Mapping[str, CaseRef]
    """The candidate's planned cases by id."""
    after: Mapping[str, Sequence[float]]
    """Scores of the candidate by case, sorted; cases without a score are absent."""
    before: Mapping[str, Sequence[float]]
    """Comparable scores of the pooled baseline by case, sorted; cases without any are absent."""
    run_means: Sequence[Mapping[str, float]]
    """Per baseline run: mean comparable score by case."""
    lists: CaseLists
    vanished: tuple[str, ...]
    """Categories of the rules or of the baseline that no candidate case has."""
    lost: tuple[str, ...]
    """Ids of planned cases for which some result is missing (the run ended early or rows are absent)."""
    uncovered: tuple[str, ...]
    """Scored cases that no baseline run has, though nothing says that they were added."""
    categories: tuple[str, ...]
    """The candidate's categories, sorted."""

    def members(self, category: str) -> Sequence[str]:
        """Ids of the candidate's cases of a category, sorted; `"*"` is every case."""
        return self._members.get(category, ())

    def scored(self, category: str) -> Sequence[str]:
        """Ids of a category's cases that have a score, sorted."""
        return self._scored.get(category, ())

    def pairs(self, category: str) -> Sequence[str]:
        """Ids of a category's cases that have comparable scores on both sides, sorted."""
        return self._pairs.get(category, ())

    def samples(self, ids: Iterable[str]) -> list[Samples]:
        """Both sides of these pairs, on the test's grid."""
        return [self._samples[case_id] for case_id in ids]

    def changed(self, category: str) -> list[str]:
        members = set(self.members(category))
        return [case_id for case_id in self.lists.changed if case_id in members]

    @cached_property
    def means_after(self) -> Mapping[str, float]:
        """The candidate's mean score by case."""
        return {case_id: mean(scores) for case_id, scores in self.after.items()}

    @cached_property
    def means_before(self) -> Mapping[str, float]:
        """The pooled baseline's mean score by case."""
        return {case_id: mean(scores) for case_id, scores in self.before.items()}

    @cached_property
    def _members(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {EVERY_CASE: list(self.refs)}
        for case_id, ref in self.refs.items():
            for name in ref.categories:
                found.setdefault(name, []).append(case_id)
        return found

    @cached_property
    def _scored(self) -> Mapping[str, list[str]]:
        return {name: [i for i in ids if i in self.after] for name, ids in self._members.items()}

    @cached_property
    def _pairs(self) -> Mapping[str, list[str]]:
        return {name: [i for i in ids if i in self.before] for name, ids in self._scored.items()}

    @cached_property
    def _samples(self) -> Mapping[str, Samples]:
        # Cases with equal scores share one: what is derived from it is then worked out once.
        met: dict[tuple[tuple[float, ...], tuple[float, ...]], Samples] = {}
        found = {}
        for case_id in self.pairs(EVERY_CASE):
            key = tuple(self.before[case_id]), tuple(self.after[case_id])
            if key not in met:
                met[key] = Samples.of(*key)
            found[case_id] = met[key]
        return found


def mean(values: Sequence[float]) -> float:
    """Mean of at least one value; the sum does not depend on their order."""
    return values[0] if len(values) == 1 else math.fsum(values) / len(values)


def take_sides(candidate: Run, baseline: Baseline, rules: Rules) -> Sides:
    """Both sides, compared case by case. Pure; the order of results does not matter."""
    runs = () if isinstance(baseline, Missing) else baseline.runs
    refs = {ref.id: ref for ref in sorted(candidate.cases, key=lambda ref: ref.id)}
    after = _scores(candidate.results, refs)
    known = [{ref.id: ref for ref in run.cases} for run in runs]
    comparable = [
        {i for i, ref in refs.items() if (was := cases.get(i)) is not None and _is_comparable(was, ref)}
        for cases in known
    ]
    per_run = [_scores(run.results, ids) for run, ids in zip(runs, comparable, strict=True)]
    before = _pooled(per_run)
    seen = _baseline_cases(baseline, known)
    changed = {i for i in refs if i in seen and not any(i in ids for ids in comparable)}
    vanished = _vanished(candidate, seen.values(), refs.values(), rules)
    gone = {i: ref for i, ref in seen.items() if i not in refs}
    removed, missing = _gone(candidate, gone, vanished, rules)
    lost = _lost(candidate, refs)
    tells_its_set = any(run.evalset is not None and not is_partial(run) for run in runs)
    uncovered = [i for i in after if i not in before and i not in changed and not (tells_its_set and i not in seen)]
    regressed, improved = _flips(after, before, rules.pass_mark)
    return Sides(
        candidate=candidate,
        baseline_runs=tuple(runs),
        refs=refs,
        after=after,
        before=before,
        run_means=[{i: mean(values) for i, values in scores.items()} for scores in per_run],
        lists=CaseLists(
            regressed=regressed,
            improved=improved,
            added=tuple(sorted(i for i in refs if runs and i not in seen and i not in before)),
            removed=tuple(sorted(removed)),
            missing=tuple(sorted({*missing, *lost})),
            unscored=tuple(sorted({r.case_id for r in candidate.results if not isinstance(r, Scored)})),
            flaky=_flaky(after, before, rules.pass_mark),
            changed=tuple(sorted(changed)),
        ),
        vanished=vanished,
        lost=lost,
        uncovered=tuple(sorted(uncovered)) if runs else (),
        categories=tuple(sorted({name for ref in refs.values() for name in ref.categories})),
    )


def is_partial(run: Run) -> bool:
    """Whether a run has only a part of its eval set: a part was asked for, or it ended early."""
    return run.selection is not None or run.stopped is not None


def _baseline_cases(baseline: Baseline, known: Sequence[Mapping[str, CaseRef]]) -> dict[str, CaseRef]:
    """The cases that the baseline has, by id.

    Those of all its runs; the first, the nearest, wins. But where the history chose the runs and the nearest tells its
    whole eval set, its cases alone: what was taken out before it and lives on in older runs is no news.
    """
    if isinstance(baseline, Nearest) and baseline.runs[0].evalset is not None:
        return dict(known[0])
    seen: dict[str, CaseRef] = {}
    for cases in reversed(known):
        seen.update(cases)
    return seen


def _scores(results: Iterable[Result], wanted: Mapping[str, object] | set[str]) -> dict[str, list[float]]:
    """Sorted scores by case, for the cases wanted."""
    scores: dict[str, list[float]] = {}
    for result in results:
        if isinstance(result, Scored) and (case_id := result.case_id) in wanted:
            if case_id in scores:
                scores[case_id].append(result.score)
                scores[case_id].sort()
            else:
                scores[case_id] = [result.score]
    return scores


def _pooled(runs: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """The sorted scores of all runs by case."""
    pooled: dict[str, list[float]] = {}
    for scores in runs:
        for case_id, values in scores.items():
            pooled.setdefault(case_id, []).extend(values)
    for values in pooled.values():
        values.sort()
    return pooled


def _is_comparable(before: CaseRef, after: CaseRef) -> bool:
    """Same question, same expectation, same scorers and judges, as far as both sides tell."""
    if not may_agree(before.scorers, after.scorers):
        return False
    if before.content is not None and after.content is not None:
        return before.content == after.content and _share(before.metadata, after.metadata)
    return _same(before.input, after.input) and _same(before.expected, after.expected)


def _share(before: Mapping[str, Json], after: Mapping[str, Json]) -> bool:
    """Whether the columns that both sides have are equal: templates may use them. A new column changes nothing."""
    return before == after or all(after[name] == value for name, value in before.items() if name in after)


def _same(before: Json, after: Json) -> bool:
    """Equal, or not told on a side. Recorded rows may hold 4 where an eval set holds the text 4."""
    return before is None or after is None or before == after or str(before) == str(after)


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
    """Planned cases that lack a result. Recorded rows may repeat some cases more often than others."""
    have: dict[str, int] = {}
    for result in candidate.results:
        have[result.case_id] = have.get(result.case_id, 0) + 1
    planned = candidate.epochs if candidate.origin == "run" else 1
    return tuple(sorted(case_id for case_id in refs if have.get(case_id, 0) < planned))


def _flips(
    after: Mapping[str, Sequence[float]], before: Mapping[str, Sequence[float]], mark: float
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Cases that passed on average and no longer do, and those the other way round; each sorted."""
    regressed: list[str] = []
    improved: list[str] = []
    for case_id in sorted(after):
        if case_id in before:
            was, now = mean(before[case_id]) >= mark, mean(after[case_id]) >= mark
            if was != now:
                (improved if now else regressed).append(case_id)
    return tuple(regressed), tuple(improved)


def _flaky(after: Mapping[str, Sequence[float]], before: Mapping[str, Sequence[float]], mark: float) -> tuple[str, ...]:
    """Cases that passed and failed within one side."""
    return tuple(
        case_id
        for case_id in sorted(after)
        if any(scores and scores[0] < mark <= scores[-1] for scores in (after[case_id], before.get(case_id, ())))
    )


def summaries(sides: Sides, rules: Rules) -> dict[str, CategorySummary]:
    """Counts by category, `"*"` and vanished ones included. `before` is over the cases that both sides have."""
    count: dict[str, int] = {}
    for result in sides.candidate.results:
        count[result.case_id] = count.get(result.case_id, 0) + 1
    passed = {i: sum(score >= rules.pass_mark for score in scores) for i, scores in sides.after.items()}
    rows = {}
    for category in (*sides.categories, EVERY_CASE):
        scored, n = sides.scored(category), sum(count.get(case_id, 0) for case_id in sides.members(category))
        rows[category] = CategorySummary(
            n=n,
            passed=sum(passed[case_id] for case_id in scored),
            unscored=n - sum(len(sides.after[case_id]) for case_id in scored),
            score=_mean_over(sides.means_after, scored),
            before=_mean_over(sides.means_before, sides.pairs(category)),
        )
    for category in sides.vanished:
        rows[category] = CategorySummary(n=0, passed=0, unscored=0, score=None, before=_vanished_mean(sides, category))
    return rows


def _mean_over(means: Mapping[str, float], ids: Sequence[str]) -> float | None:
    return mean([means[case_id] for case_id in ids]) if ids else None


def _vanished_mean(sides: Sides, category: str) -> float | None:
    ids = [{ref.id for ref in run.cases if category in ref.categories} for run in sides.baseline_runs]
    scores = _pooled([_scores(run.results, these) for run, these in zip(sides.baseline_runs, ids, strict=True)])
    return mean([mean(values) for values in scores.values()]) if scores else None


def outputs(run: Run) -> list[Output]:
    """What the endpoint gave in this run, answers from a cache left out: they have no latency and no cost."""
    return [r.output for r in run.results if r.output is not None and not r.output.cached]
