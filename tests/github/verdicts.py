"""Verdict files as `evalgate run --write` leaves them, made from the real records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evalgate.records import (
    BaselineSummary,
    CaseLists,
    CategorySummary,
    Finding,
    Status,
    Usage,
    Verdict,
    VerdictName,
)

SENTENCE = "refunds fell 8.1 points; allowed 5"


def make_verdict(name: VerdictName = VerdictName.PASS, exit_code: int = 0, **changes: Any) -> Verdict:
    is_failed = name is VerdictName.FAIL
    finding = Finding(
        rule="max_drop",
        metric="score",
        category="refunds",
        status=Status.BREACH if is_failed else Status.PASS,
        sentence=SENTENCE,
    )
    return Verdict(
        verdict=name,
        exit_code=exit_code,
        findings=(finding,),
        categories={"refunds": CategorySummary(n=10, passed=8, unscored=0, score=0.8, before=0.9)},
        usage=Usage(),
        **{
            "suite": "support-bot",
            "reason": SENTENCE if is_failed else "nothing fell",
            "cases": CaseLists(regressed=("late-01",) if is_failed else ()),
            "baseline": BaselineSummary(kind="missing", why="first run"),
            "run_id": "run-1",
            **changes,
        },
    )


def failed_verdict(**changes: Any) -> Verdict:
    return make_verdict(VerdictName.FAIL, 1, **changes)


def write_verdict(folder: Path, verdict: Verdict, report: str = "# report\n") -> tuple[Path, Path]:
    """The verdict file and its report."""
    folder.mkdir(parents=True, exist_ok=True)
    file, markdown = folder / "verdict.json", folder / "report.md"
    file.write_text(json.dumps(verdict.to_dict()), "utf-8")
    markdown.write_text(report, "utf-8")
    return file, markdown


def junit(*cases: tuple[str, str, int]) -> str:
    """A JUnit report in which these cases (name, file, line) are to blame."""
    rows = "".join(
        f'<testcase name="{name}" file="{file}" line="{line}"><failure message="fell from 100 % to 0 %"/></testcase>'
        for name, file, line in cases
    )
    suite = f'<testsuite name="refunds">{rows}<testcase name="ok"/></testsuite>'
    return f'<?xml version="1.0"?><testsuites>{suite}</testsuites>'
