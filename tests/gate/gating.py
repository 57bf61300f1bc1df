"""Short ways to put a run before the gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builders import make_run

from evalgate import gate
from evalgate.records import Finding, Missing, Nearest, Pinned, Run, Verdict

Scores = Mapping[str, Sequence[float | None]]


def judge(candidate: Scores | Run, baseline: Sequence[Scores | Run], rules: Mapping[str, Any] | None = None) -> Verdict:
    """The verdict on scores by category (None: unscored), against runs of such; `[]` is no baseline."""
    runs = tuple(_run(scores, f"base-{number}") for number, scores in enumerate(baseline, start=1))
    against = Pinned(runs=runs, why="named by the test") if runs else Missing(reason="the test has none")
    return gate.decide(_run(candidate, "candidate"), against, gate.parse_rules(rules))


def judge_nearest(candidate: Run, runs: Sequence[Run], rules: Mapping[str, Any] | None = None) -> Verdict:
    """The verdict against what a history chose."""
    return gate.decide(candidate, Nearest(runs=tuple(runs), why="by the test", behind=1), gate.parse_rules(rules))


def found(verdict: Verdict, category: str = "*", rule: str = "max_drop") -> Finding:
    """The finding of this rule in this category."""
    return next(f for f in verdict.findings if (f.category, f.rule) == (category, rule))


def passes(count: int, fails: int = 0) -> list[float | None]:
    """So many cases that pass, then so many that fail."""
    return [1.0] * count + [0.0] * fails


def _run(scores: Scores | Run, id: str) -> Run:
    return scores if isinstance(scores, Run) else make_run(id, **scores)
