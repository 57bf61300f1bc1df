"""Judging with one line: `mark("contains", "30 days", value="30")`."""

from __future__ import annotations

from typing import Any

from builders import make_case, make_output

from evalgate.records import Case, Output, Score, ScorerSpec
from evalgate.scorers.build import Scorer, build, check

# How long an example takes depends on who else uses the machine.


def scorer(name: str, /, **options: Any) -> Scorer:
    return build(ScorerSpec(name=name, options=options))


def mark(name: str, output: str | Output | None, case: Case | None = None, /, **options: Any) -> Score:
    """What this scorer says of this output; the case has to have what it needs."""
    case = make_case() if case is None else case
    built = scorer(name, **options)
    assert built.problem(case) is None
    return built.score_now(case, output if isinstance(output, Output) else make_output(output))


def value(name: str, output: str | Output | None, case: Case | None = None, /, **options: Any) -> float:
    return mark(name, output, case, **options).value


def problem(name: str, case: Case, /, **options: Any) -> str | None:
    return scorer(name, **options).problem(case)


def faults(name: str, /, **options: Any) -> list[str]:
    return check(ScorerSpec(name=name, options=options))
