"""The baseline as the gate uses it: what of it can be compared with the candidate's cases, its runs pooled."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evalgate.gate.columns import Answers, Cases, Numbers, Scores, Shared, answers_of, by_id
from evalgate.records import EVERY_CASE, Baseline, CaseRef, Json, Missing, Nearest, Result, Run, may_agree
from evalgate.stats import guards


@dataclass(frozen=True, kw_only=True)
class Pool:
    """What the baseline offers for these cases. Does not depend on how the candidate fared."""

    cases: Cases
    """The candidate's planned cases."""
    runs: tuple[Run, ...]
    before: Scores
    """Comparable scores of all runs by case, sorted."""
    per_run: Sequence[Scores]
    """Per run: comparable scores by case, in the order of epochs."""
    seen: Sequence[int]
    """1 for each case that the baseline has, comparable or not."""
    gone: Mapping[str, tuple[str, ...]]
    """The cases that the baseline alone has: id and categories."""
    categories_before: frozenset[str]
    """Those of the baseline's cases."""
    changed: frozenset[int]
    """Cases on both sides of which no run has the same content and scorers."""

    @cached_property
    def means(self) -> Sequence[float]:
        """Mean of all runs' scores by case; NaN without any."""
        return means_of(self.before)

    @property
    def members(self) -> Mapping[str, Numbers]:
        """Cases by category; `"*"` is every case."""
        return self.cases.members

    @cached_property
    def categories(self) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.members if name != EVERY_CASE))

    @cached_property
    def overdispersion(self) -> float:
        """How much more its runs differ as wholes than their cases' own noise explains; 1 is no more."""
        if not self.per_run:
            return 1.0
        table = np.array([means_of(scores) for scores in self.per_run])
        return guards.run_overdispersion(np.ascontiguousarray(table[:, ~np.isnan(table).any(axis=0)]))


_LAST: list[tuple[Sequence[CaseRef], Baseline, Pool]] = []
"""The pools worked out last: a run is judged after each of its steps, against one baseline."""

_LAST_ANSWERS: list[tuple[Sequence[Result], Cases, Answers]] = []

_KEPT_POOLS = 3


def pool_of(cases: Sequence[CaseRef], baseline: Baseline) -> Pool:
    """The pool of this baseline for these cases. Asked again with the very same objects, it is not worked out again."""
    for known_cases, known_baseline, pool in _LAST:
        if known_cases is cases and known_baseline is baseline:
            return pool
    known = next((pool.cases for known_cases, _, pool in _LAST if known_cases is cases), None)
    pool = _pool(known or Cases(cases), baseline)
    _LAST.insert(0, (cases, baseline, pool))
    del _LAST[_KEPT_POOLS:]
    return pool


def own_answers(run: Run, cases: Cases) -> Answers:
    """The candidate's own results. Asked again with the very same objects, they are not gone through again."""
    for results, known, answers in _LAST_ANSWERS:
        if results is run.results and known is cases:
            return answers
    answers = answers_of(run.results, cases, stands_alone=True)
    _LAST_ANSWERS.insert(0, (run.results, cases, answers))
    del _LAST_ANSWERS[_KEPT_POOLS:]
    return answers


def _pool(cases: Cases, baseline: Baseline) -> Pool:
    runs = () if isinstance(baseline, Missing) else baseline.runs
    # Runs of one baseline mostly share their list of cases.
    compared = {id(run.cases): run.cases for run in runs}
    matched = {key: _match(cases, refs) for key, refs in compared.items()}
    matches = [matched[id(run.cases)] for run in runs]
    per_run = without_copies([answers_of(r.results, cases, m.comparable) for r, m in zip(runs, matches, strict=True)])
    # Where the history chose the runs and the nearest tells its whole eval set, its cases alone: what was taken out
    # before it and lives on in older runs is no news.
    is_told = isinstance(baseline, Nearest) and baseline.runs[0].evalset is not None
    seen, gone, categories = _seen(len(cases), matches[:1] if is_told else matches)
    return Pool(
        cases=cases,
        runs=tuple(runs),
        before=pooled(per_run, len(cases)),
        per_run=per_run,
        seen=seen,
        gone=gone,
        categories_before=categories,
        changed=frozenset(
            i for i, is_seen in enumerate(seen) if is_seen and not any(match.comparable[i] for match in matches)
        ),
    )


def mean(values: Sequence[float]) -> float:
    """Mean of at least one value; the sum does not depend on their order."""
    return values[0] if len(values) == 1 else math.fsum(values) / len(values)


def means_of(scores: Scores) -> Sequence[float]:
    """The mean of each; NaN where there is none."""
    known: dict[tuple[float, ...], float] = {(): math.nan}
    found = array("d")
    for values in scores:
        if values not in known:
            known[values] = mean(values)
        found.append(known[values])
    return found


# ---- which cases are the same -----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Match:
    """How the cases of a baseline's run lie to the candidate's."""

    comparable: Sequence[int]
    """1 for each of the candidate's cases that it has with the same content and scorers."""
    categories: Sequence[tuple[str, ...] | None]
    """By the candidate's cases: those that it gives the case; None where it does not have it."""
    gone: Mapping[str, tuple[str, ...]]
    """Cases that it alone has."""


def _match(cases: Cases, others: Sequence[CaseRef]) -> _Match:
    comparable, shared = bytearray(len(cases)), Shared()
    if others is cases.refs:
        return _Match(comparable=b"\1" * len(cases), categories=cases.categories, gone={})
    categories: list[tuple[str, ...] | None] = [None] * len(cases)
    gone: dict[str, tuple[str, ...]] = {}
    mine = enumerate(cases.refs)
    number, ref = next(mine, (-1, None))
    for other in by_id(others):
        while ref is not None and ref.id < other.id:
            number, ref = next(mine, (-1, None))
        if ref is None or ref.id != other.id:
            gone[other.id] = shared(other.categories)
            continue
        categories[number] = shared(other.categories)
        comparable[number] = _is_comparable(other, ref)
    return _Match(comparable=comparable, categories=categories, gone=gone)


def _seen(size: int, matches: Sequence[_Match]) -> tuple[Sequence[int], dict[str, tuple[str, ...]], frozenset[str]]:
    """What these runs have, and the categories of it: of a case that several have the first one's, the nearest's."""
    seen = bytearray(size)
    gone: dict[str, tuple[str, ...]] = {}
    names: set[tuple[str, ...]] = set()
    for match in matches:
        for number, categories in enumerate(match.categories):
            if categories is not None and not seen[number]:
                seen[number] = 1
                names.add(categories)
        for case_id, categories in match.gone.items():
            gone.setdefault(case_id, categories)
    return seen, gone, frozenset(name for group in (*names, *gone.values()) for name in group)


def without_copies(runs: Sequence[Answers]) -> list[Scores]:
    """The scores of each run, copies left out: one run's stand for a case of which there is nothing else."""
    if not any(run.copies for run in runs):
        return [run.scores for run in runs]
    known = {i for run in runs for i, scores in enumerate(run.scores) if scores and i not in run.copies}
    found: list[Scores] = []
    for run in runs:
        left_out = run.copies & known
        found.append([() if i in left_out else scores for i, scores in enumerate(run.scores)])
        known |= run.copies
    return found


def pooled(runs: Sequence[Scores], size: int) -> Scores:
    """The sorted scores of all runs by case."""
    if len(runs) == 1:
        return [scores if len(scores) < 2 else tuple(sorted(scores)) for scores in runs[0]]
    shared = Shared()
    return [shared(tuple(sorted([score for run in runs for score in run[number]]))) for number in range(size)]


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
