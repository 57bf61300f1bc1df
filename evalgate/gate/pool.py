"""The baseline as a candidate's cases can be compared with it: its scores case by case, all of its runs pooled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from evalgate.records import EVERY_CASE, Baseline, CaseRef, Json, Missing, Nearest, Result, Run, Scored, may_agree
from evalgate.stats import guards


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What the baseline offers for these cases. Does not depend on how the candidate fared."""

    refs: Mapping[str, CaseRef]
    """The candidate's planned cases by id, sorted."""
    runs: tuple[Run, ...]
    before: Mapping[str, Sequence[float]]
    """Comparable scores of all runs by case, sorted; cases without any are absent."""
    per_run: Sequence[Mapping[str, Sequence[float]]]
    """Per run: comparable scores by case, in the order of epochs."""
    seen: Mapping[str, CaseRef]
    """The cases that the baseline has, comparable or not."""
    changed: frozenset[str]
    """Cases on both sides of which no run has the same content and scorers."""

    @cached_property
    def means(self) -> Mapping[str, float]:
        """Mean of all runs' scores by case."""
        return means_of(self.before)

    @cached_property
    def members(self) -> Mapping[str, list[str]]:
        """Case ids by category, sorted; `"*"` is every case."""
        found: dict[str, list[str]] = {EVERY_CASE: list(self.refs)}
        for case_id, ref in self.refs.items():
            for name in ref.categories:
                found.setdefault(name, []).append(case_id)
        return found

    @cached_property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.members if name != EVERY_CASE))

    @cached_property
    def overdispersion(self) -> float:
        """How much more its runs differ as wholes than their cases' own noise explains; 1 is no more."""
        means = [means_of(scores) for scores in self.per_run]
        everywhere = set(self.refs).intersection(*means)
        return guards.run_overdispersion([[found[i] for i in self.refs if i in everywhere] for found in means])


_LAST: list[tuple[Sequence[CaseRef], Baseline, Pool]] = []
"""The pools worked out last: a run is judged after each of its steps, against one baseline."""

_KEPT_POOLS = 3


def pool_of(cases: Sequence[CaseRef], baseline: Baseline) -> Pool:
    """The pool of this baseline for these cases. Asked again with the very same objects, it is not worked out again."""
    for known_cases, known_baseline, pool in _LAST:
        if known_cases is cases and known_baseline is baseline:
            return pool
    pool = _pool(cases, baseline)
    _LAST.insert(0, (cases, baseline, pool))
    del _LAST[_KEPT_POOLS:]
    return pool


def _pool(cases: Sequence[CaseRef], baseline: Baseline) -> Pool:
    runs = () if isinstance(baseline, Missing) else baseline.runs
    refs = {ref.id: ref for ref in sorted(cases, key=lambda ref: ref.id)}
    known = [{ref.id: ref for ref in run.cases} for run in runs]
    comparable = [
        {i for i, ref in refs.items() if (was := others.get(i)) is not None and _is_comparable(was, ref)}
        for others in known
    ]
    per_run = without_copies([scores_of(run.results, ids) for run, ids in zip(runs, comparable, strict=True)])
    seen = _baseline_cases(baseline, known)
    return Pool(
        refs=refs,
        runs=tuple(runs),
        before=pooled(per_run),
        per_run=per_run,
        seen=seen,
        changed=frozenset(i for i in refs if i in seen and not any(i in ids for ids in comparable)),
    )


def mean(values: Sequence[float]) -> float:
    """Mean of at least one value; the sum does not depend on their order."""
    return values[0] if len(values) == 1 else math.fsum(values) / len(values)


def means_of(scores: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean of each."""
    return {name: found[0] if len(found) == 1 else math.fsum(found) / len(found) for name, found in scores.items()}


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


@dataclass(frozen=True, slots=True)
class Kept:
    """The scores of one run by case, in the order of epochs."""

    scores: dict[str, list[float]]
    """What counts: the answers that were given to this run, or the copies of a case that has nothing else."""
    epochs: dict[str, list[int]]
    """Of `scores`."""
    copies: frozenset[str]
    """Cases that have nothing but answers from our cache, which another run was given: beside that one they are
    nothing new."""


def scores_of(
    results: Sequence[Result], wanted: Mapping[str, object] | set[str], *, stands_alone: bool = False
) -> Kept:
    """Scores by case, for the cases wanted. Results are sorted by case and epoch.

    Answers from our cache are those of other calls, each epoch its own: within one run they are samples like any.
    stands_alone: the run is not pooled with others, so that nothing in it can be counted twice.
    """
    scores: dict[str, list[float]] = {}
    epochs: dict[str, list[int]] = {}
    cached, repeated = _copies(results)
    if stands_alone:
        cached = set()
    if not cached and not repeated:
        rows = [result for result in results if type(result) is Scored and result.case_id in wanted]
        scores = {row.case_id: [row.score] for row in rows}
        if len(scores) == len(rows):  # every case once, as most runs are
            return Kept(scores, {row.case_id: [row.epoch] for row in rows}, frozenset())
        scores = {}
    copies: dict[str, list[tuple[int, float]]] = {}
    for result in results:
        case_id = result.case_id
        if type(result) is not Scored or case_id not in wanted or (case_id, result.epoch) in repeated:
            continue
        if (case_id, result.epoch) in cached:
            copies.setdefault(case_id, []).append((result.epoch, result.score))
        elif case_id in scores:
            scores[case_id].append(result.score)
            epochs[case_id].append(result.epoch)
        else:
            scores[case_id] = [result.score]
            epochs[case_id] = [result.epoch]
    bare = frozenset(copies.keys() - scores.keys())
    for case_id in bare:
        epochs[case_id], scores[case_id] = map(list, zip(*copies[case_id], strict=True))
    return Kept(scores, epochs, bare)


def _copies(results: Sequence[Result]) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Results whose answer is from our cache, and those that the provider had given for the same case before.

    A server that gives different cases the same response id does not number its responses; there ids say nothing.
    """
    first: dict[str, tuple[str, int]] = {}
    cached: set[tuple[str, int]] = set()
    repeated: set[tuple[str, int]] = set()
    is_numbered = True
    for result in results:
        output = result.output
        if output is None:
            continue
        if output.cached:
            cached.add((result.case_id, result.epoch))
        if (response := output.response_id) is not None:
            case_id, epoch = first.setdefault(response, (result.case_id, result.epoch))
            is_numbered = is_numbered and case_id == result.case_id
            if epoch != result.epoch:
                repeated.add((result.case_id, result.epoch))
    return cached, repeated if is_numbered else set()


def without_copies(runs: Sequence[Kept]) -> list[dict[str, list[float]]]:
    """The scores of each run by case, copies left out: one run's stand for a case of which there is nothing else."""
    if not any(kept.copies for kept in runs):
        return [kept.scores for kept in runs]
    known = {case_id for kept in runs for case_id in kept.scores.keys() - kept.copies}
    found = []
    for kept in runs:
        found.append({i: scores for i, scores in kept.scores.items() if i not in kept.copies or i not in known})
        known |= kept.copies
    return found


def pooled(runs: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """The sorted scores of all runs by case."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for case_id, scores in run.items():
            if case_id in found:
                found[case_id] += scores
            else:
                found[case_id] = list(scores)
    for values in found.values():
        values.sort()
    return found


def _is_comparable(before: CaseRef, after: CaseRef) -> bool:
    """Same question, same expectation, same scorers and judges, as far as both sides tell."""
    if before is after:
        return True
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
