"""The comments that a pull request can get, as posted. `python tests/github/comment_situations.py` rewrites the files.

Look at what changed before you commit it, also as pictures (`python benchmarks/github/pictures.py`).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

from fake_github import FakeGitHub
from github_events import HEAD, environment, pull_request
from report_situations import (
    NAMES,
    NEAREST,
    drop,
    error,
    failed,
    inconclusive,
    limit,
    no_baseline,
    not_evaluated,
    passed,
    quiet,
    run,
    verdict,
    weakened,
)  # fmt: skip
from test_report_markdown import huge

from evalgate.github.briefs import Ended, JobResult
from evalgate.github.publish import comment_from_files
from evalgate.records import CaseLists, Status, VerdictName
from evalgate.report import foreign, machine, markdown, model
from evalgate.report.model import FailedCase, Job, Report

GOLDEN = Path(__file__).parent / "golden"
JOB = Job(url="https://github.com/acme/support-bot/actions/runs/100", head=HEAD)
FORK = foreign.banner(whose="a fork", run_url=JOB.url, branch="main", commit="b" * 40) + "\n"


@dataclass(frozen=True)
class Situation:
    name: str
    report: Report | None
    """None where the run has left no verdict."""
    ended: Ended = Ended(result=JobResult.SUCCESS)
    banner: str = ""

    def body(self) -> str:
        """What `evalgate comment` posts, on a pull request without a comment."""
        with tempfile.TemporaryDirectory() as folder, FakeGitHub() as github:
            file, page = Path(folder, "verdict.json"), Path(folder, "report.md")
            if self.report is not None:
                file.write_text(machine.render(self.report), "utf-8")
                page.write_text(self.banner + markdown.render(self.report), "utf-8")
            github.heads[7] = HEAD
            environ = environment(Path(folder), "pull_request", pull_request())
            environ |= {"GITHUB_API_URL": github.api_url, "GITHUB_TOKEN": "token-1"}
            comment_from_files(file, page, environ=environ, ended=self.ended)
            ((body,)) = github.bodies(7)
            return body


def situations() -> Iterator[Situation]:
    """Every situation that has a golden file."""
    yield Situation("nothing_changed", passed().report)
    yield Situation("pass", moved())
    yield Situation("fail", failed().report)
    yield Situation("weakened_rules", weakened().report)
    yield Situation("fork", failed().report, banner=FORK)
    yield Situation("no_baseline", no_baseline().report)
    yield Situation("stale_baseline", stale())
    yield Situation("not_evaluated", not_evaluated().report)
    yield Situation("error", down())
    yield Situation("many_unscored", error().report)
    yield Situation("inconclusive", inconclusive().report)
    yield Situation("huge", huge(400))
    yield Situation("crashed", None, Ended(result=JobResult.FAILURE, exit_code=70))
    yield Situation("bad_configuration", None, Ended(result=JobResult.FAILURE, exit_code=2))
    yield Situation("cancelled", None, Ended(result=JobResult.CANCELLED))
    yield Situation("never_started", None, Ended(result=JobResult.FAILURE))


def moved() -> Report:
    """A pass in which some cases came out otherwise."""
    found = (*quiet("dates"), drop("dates", 0.9, 0.8875, Status.PASS), drop("*", 0.9, 0.907, Status.PASS, n=800))
    found = (*found, limit("error_rate", None, 0.0, 0.02), limit("latency_p95_s", 1.9, 1.7, 3.0))
    after = {"dates-3": (0.0, "soon"), "lists-4": (1.0, "30 days"), "lists-9": (1.0, "30 days")}
    before = {"dates-3": (1.0, "30 days"), "lists-4": (0.0, "none"), "lists-9": (0.0, "none")}
    reason = "nothing is proven to be worse than allowed: 800 cases in 10 categories against 3 baseline runs"
    lists = CaseLists(regressed=("dates-3",), improved=("lists-4", "lists-9"), added=("dates-90",))
    made = verdict(VerdictName.PASS, reason, found, cases=lists)
    return model.build(made, run("8c21-00", after), (run("7f3a-01", before),))


def stale() -> Report:
    """A baseline of last spring, far behind, of ten runs."""
    old = replace(NEAREST, ids=tuple(f"5a{n:02}-01" for n in range(10)), behind=312, age_s=120 * 86_400, is_stale=True)
    reason = "the baseline is stale: 120 days old, allowed 90; nothing is proven to be worse than it"
    found = (*quiet(), drop("*", 0.9, 0.912, Status.PASS, n=800))
    made = verdict(VerdictName.NO_BASELINE, reason, found, baseline=old)
    return model.build(made, run("8c21-00", {"refunds-1": (1.0, "30 days")}))


def down() -> Report:
    """An endpoint that is not there."""
    cause = "nobody listens at http://bot.test:8080/v1 (connection refused)"
    reason = f"800 of 800 results unscored (100.0 %); allowed 2 %; most often: {cause}"
    found = (replace(limit("error_rate", None, 1.0, 0.02, Status.BREACH), sentence=reason.split(";")[0]),)
    lists = CaseLists(unscored=tuple(f"{name}-{n}" for name in NAMES for n in range(80)))
    made = verdict(VerdictName.ERROR, reason, found, cases=lists)
    failures = tuple(FailedCase(case_id=case, stage="endpoint", cause=cause, count=1) for case in lists.unscored)
    return replace(error().report, verdict=made, failures=failures)


def with_job(situation: Situation) -> Situation:
    report = situation.report
    return situation if report is None else replace(situation, report=replace(report, job=JOB))


SITUATIONS = tuple(map(with_job, situations()))

if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for situation in SITUATIONS:
        (GOLDEN / f"{situation.name}.md").write_text(situation.body(), encoding="utf-8")
