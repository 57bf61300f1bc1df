"""A run in steps before the gate: an endpoint whose every answer is written down beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from builders import NOON, make_scored

from evalgate import gate
from evalgate.gate import Doubt, More
from evalgate.pipeline.staged import Against, staged
from evalgate.records import Baseline, CaseRef, Confirmation, Pinned, Result, Run, Verdict

Answers = Callable[[str, int], float]
"""Case id and epoch (from 1) to a score."""


@dataclass
class Scripted:
    """Answers every call of a run; remembers what was asked."""

    now: Answers
    """The candidate's answers, epoch by epoch."""
    fresh_after: Answers | None = None
    """Its answers to fresh calls; None: as ever."""
    fresh_before: Answers | None = None
    """The baseline's; None: it cannot be asked."""
    budget: int | None = None
    asked: list[More | Doubt] = field(default_factory=list)

    def room(self) -> int | None:
        return self.budget

    async def more(self, run: Run, more: More) -> Run:
        self.asked.append(more)
        have: dict[str, int] = {}
        for result in run.results:
            have[result.case_id] = max(have.get(result.case_id, 0), result.epoch)
        new = [
            make_scored(case_id, self.now(case_id, epoch), epoch=epoch)
            for case_id in more.case_ids
            for epoch in range(have[case_id] + 1, more.epochs + 1)
        ]
        return replace(run, results=_sorted([*run.results, *new]))

    async def confirm(self, run: Run, doubt: Doubt) -> Confirmation | None:
        self.asked.append(doubt)
        before = () if self.fresh_before is None else self._fresh(doubt, self.fresh_before)
        after = self._fresh(doubt, self.fresh_after or self.now)
        return Confirmation(
            categories=doubt.categories, epochs=doubt.epochs, after=after, before=before, how="by the test"
        )

    def _fresh(self, doubt: Doubt, answers: Answers) -> tuple[Result, ...]:
        return _sorted(
            make_scored(case_id, answers(case_id, epoch), epoch=epoch)
            for case_id in doubt.case_ids
            for epoch in range(1, doubt.epochs + 1)
        )


def first_calls(sizes: Mapping[str, int], answers: Answers, id: str = "candidate", **changes: Any) -> Run:
    """A run with one call for each case of these categories, or `epochs` calls each."""
    refs = tuple(CaseRef(id=f"{name}-{n:03d}", categories=(name,)) for name, size in sizes.items() for n in range(size))
    epochs = changes.pop("epochs", 1)
    results = [make_scored(ref.id, answers(ref.id, e), epoch=e) for ref in refs for e in range(1, epochs + 1)]
    refs = tuple(sorted(changes.pop("cases", refs), key=lambda ref: ref.id))
    return Run(id=id, suite="suite", created=NOON, cases=refs, results=_sorted(results), epochs=epochs, **changes)


def history(sizes: Mapping[str, int], answers: Answers, runs: int = 5, **changes: Any) -> Pinned:
    """So many runs of one call a case; run k answers as epoch k."""
    made = [
        first_calls(sizes, lambda case_id, _, k=k: answers(case_id, k), id=f"base-{k}", **changes)  # type: ignore[misc]
        for k in range(1, runs + 1)
    ]
    return Pinned(runs=tuple(made), why="by the test")


def step(run: Run, baseline: Baseline, calls: Scripted, rules: Mapping[str, Any] | None = None, **also: Any) -> Run:
    """The run after all its steps."""
    escalates = also.pop("escalates", True)
    against = Against(baseline=baseline, rules=gate.parse_rules(rules), **also)
    return asyncio.run(staged(run, against, calls, escalates=escalates))


def verdict_of(run: Run, baseline: Baseline, rules: Mapping[str, Any] | None = None, **also: Any) -> Verdict:
    return gate.decide(run, baseline, gate.parse_rules(rules), **also)


def _sorted(results: Any) -> tuple[Result, ...]:
    return tuple(sorted(results, key=lambda result: (result.case_id, result.epoch)))


def number(case_id: str) -> int:
    """The n of `facts-00n`."""
    return int(case_id.rpartition("-")[2])


def passing(case_id: str, epoch: int) -> float:
    """Every case passes, always."""
    return 1.0


def broken(category: str, cases: int) -> Answers:
    """The first so many cases of a category fail, always."""
    return lambda case_id, epoch: 0.0 if case_id.startswith(f"{category}-") and number(case_id) < cases else 1.0
