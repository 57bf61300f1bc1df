"""What counts as a change: what a comment is made for, or folded to one line without."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from report_situations import drop, failed, passed, verdict

from evalgate.records import CaseLists, DriftEvent, Status, VerdictName
from evalgate.report import machine, markdown
from evalgate.report.changed import has_changed
from evalgate.report.model import Job, Report

PASS = verdict(VerdictName.PASS, "nothing fell", (drop("dates", 0.9, 0.9, Status.PASS),))
JOB = Job(url="https://github.com/acme/support-bot/actions/runs/100", head="a" * 40)


def test_a_pass_in_which_no_case_came_out_otherwise_is_no_news() -> None:
    """Nor is what was so before: a flaky case, a category too small to fail, a note."""
    assert not has_changed(PASS)
    mute = drop("lists", 0.9, 0.9, Status.INCONCLUSIVE)
    assert not has_changed(replace(PASS, findings=(*PASS.findings, mute)))
    assert not has_changed(replace(PASS, cases=CaseLists(flaky=("a",)), notes=("the cache was full",)))


@pytest.mark.parametrize("name", ["regressed", "improved", "added", "removed", "missing", "unscored", "changed"])
def test_a_single_case_is_news(name: str) -> None:
    """Also where the rules find that it is within the noise."""
    assert has_changed(replace(PASS, cases=CaseLists(**{name: ("late-01",)})))


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (Status.BREACH, {"gating": False}),
        (Status.MISSING, {}),
        (Status.DRIFT, {}),
        (Status.INCONCLUSIVE, {}),
    ],
)
def test_a_finding_is_news(status: Status, changes: dict[str, Any]) -> None:
    """A waived breach, a fall that is not proven for want of cases."""
    assert has_changed(replace(PASS, findings=(*PASS.findings, drop("lists", 0.9, 0.8, status, **changes))))


@pytest.mark.parametrize("name", list(VerdictName))
@pytest.mark.parametrize("exit_code", [0, 3])
def test_every_other_verdict_is_news(name: VerdictName, exit_code: int) -> None:
    """What was let through without being proven, too."""
    found = replace(PASS, verdict=name, exit_code=exit_code)
    assert has_changed(found) == (name is not VerdictName.PASS or exit_code != 0)


def test_drift_is_news() -> None:
    """Although it blames nobody."""
    event = DriftEvent.__new__(DriftEvent)
    assert has_changed(replace(PASS, drift=(event,)))


def test_the_verdict_file_carries_it_to_the_job_that_comments() -> None:
    """That job has no configuration."""
    quiet, loud = Report(verdict=PASS, comment="on_change"), failed().report
    assert json.loads(machine.render(quiet))["comment"] == {"when": "on_change", "changed": False}
    assert json.loads(machine.render(loud))["comment"] == {"when": "always", "changed": True}


def test_nothing_changed_is_one_line() -> None:
    """Verdict, baseline, cases, cost and the way to the job; the rest is folded, and open in the job's summary."""
    report = replace(passed().report, job=JOB)
    text = markdown.render(report)
    assert text.startswith("<details>\n<summary>✅ <b>PASS</b> · support-bot: ") and text.endswith("</details>\n")
    line = text.splitlines()[1]
    for fact in ("800 cases", "no case flipped", "baseline c0ffee", "3 commits behind", "cost 0.42 USD", JOB.url):
        assert fact in line
    summary = markdown.render_summary(report)
    assert summary.startswith("> [!TIP]\n") and "<details>" not in summary and JOB.url in summary


def test_the_way_to_the_job_is_never_left_out() -> None:
    """However small the budget."""
    report = replace(failed().report, job=JOB)
    for budget in (60_000, 3_000, 100):
        text = markdown.render(report, budget=budget)
        assert JOB.url in text and report.verdict.reason.split(";")[0] in text
