"""The optional check run: its conclusion, its annotations at the cases' lines, fifty a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_github import FakeGitHub, Trouble
from github_events import HEAD, environment, pull_request
from verdicts import failed_verdict, make_verdict, write_verdict

from evalgate.errors import GitHubError, InputError
from evalgate.github.actions import Annotation
from evalgate.github.briefs import Ended, JobResult
from evalgate.github.checks import MAX_ANNOTATIONS, read_annotations, write_annotations
from evalgate.github.publish import comment_from_files
from evalgate.records import VerdictName


def notes(count: int) -> list[Annotation]:
    return [
        Annotation(level="error", title=f"evalgate: late-{n}", message="fell", file="evalsets/a.yaml", line=n + 1)
        for n in range(count)
    ]


def check(folder: Path, github: FakeGitHub, count: int = 0, *, verdict: Any = None, **changes: Any) -> dict[str, Any]:
    """The check run that a verdict and so many annotated cases make."""
    file, markdown = write_verdict(folder, verdict or make_verdict(), changes.pop("report", "# report\n"))
    write_annotations(folder / "annotations.json", notes(count))
    environ = environment(folder, "pull_request", pull_request())
    environ |= {"GITHUB_API_URL": github.api_url, "GITHUB_TOKEN": "token-1"}
    github.heads[7] = HEAD
    arguments = {"environ": environ, "check": True, "annotations": folder / "annotations.json", **changes}
    comment_from_files(changes.pop("file", file), markdown, **{k: v for k, v in arguments.items() if k != "file"})
    ((made),) = github.checks.values()
    return made


@pytest.mark.parametrize(
    ("verdict", "conclusion"),
    [
        (make_verdict(), "success"),
        (failed_verdict(), "failure"),
        (make_verdict(VerdictName.NO_BASELINE, 0), "neutral"),
        (make_verdict(VerdictName.NOT_EVALUATED, 0), "neutral"),
        (make_verdict(VerdictName.INCONCLUSIVE, 3), "failure"),
        (make_verdict(VerdictName.ERROR, 3), "failure"),
    ],
)
def test_only_a_pass_is_a_success(tmp_path: Path, verdict: Any, conclusion: str) -> None:
    """What is let through without being proven is neutral, everything else a failure."""
    with FakeGitHub() as github:
        made = check(tmp_path, github, verdict=verdict)
        assert (made["conclusion"], made["status"], made["head_sha"]) == (conclusion, "completed", HEAD)
        assert made["name"] == "evalgate: support-bot"
        assert made["output"]["summary"] == "# report\n"


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (50, 1), (51, 2), (120, 3)])
def test_annotations_go_fifty_a_request(tmp_path: Path, count: int, requests: int) -> None:
    """All of them arrive, each at its case's line, once."""
    with FakeGitHub() as github:
        made = check(tmp_path, github, count)
        assert [note["start_line"] for note in made["annotations"]] == list(range(1, count + 1))
        assert {note["path"] for note in made["annotations"]} <= {"evalsets/a.yaml"}
        assert sum("/check-runs" in request.path for request in github.requests) == requests


def test_a_report_that_does_not_fit_is_left_to_the_job(tmp_path: Path) -> None:
    """65,535 is GitHub's limit for a summary."""
    with FakeGitHub() as github:
        summary = check(tmp_path, github, report="x" * 65_536)["output"]["summary"]
        assert "evalgate: pass" in summary and "/actions/runs/100" in summary


def test_a_run_without_a_verdict_is_never_green(tmp_path: Path) -> None:
    """Nor does it need the name of a suite."""
    with FakeGitHub() as github:
        made = check(tmp_path, github, file=tmp_path / "absent", ended=Ended(result=JobResult.FAILURE, exit_code=70))
        assert (made["conclusion"], made["output"]["title"]) == ("failure", "NOT EVALUATED")
    with FakeGitHub() as github:
        made = check(tmp_path, github, file=tmp_path / "absent", ended=Ended(result=JobResult.CANCELLED))
        assert made["conclusion"] == "cancelled"


def test_a_job_without_the_permission_is_told_which(tmp_path: Path) -> None:
    """The comment is there by then."""
    with FakeGitHub() as github:
        refused = '{"message": "Resource not accessible by integration"}'
        github.troubles.append(Trouble("POST", "/check-runs", 403, body=refused))
        with pytest.raises(GitHubError, match=r"permissions: \{checks: write\}"):
            check(tmp_path, github)
        assert len(github.bodies(7)) == 1


def test_names_that_others_gave_are_shown_without_what_cannot_be_seen(tmp_path: Path) -> None:
    """A title is no place for Markdown; what reorders or hides text goes."""
    with FakeGitHub() as github:
        made = check(tmp_path, github, verdict=make_verdict(suite="evil\u202e\nsuite" + "x" * 150))
        assert made["name"].startswith("evalgate: evil suitexxx") and len(made["name"]) <= 110


def test_annotations_are_read_back(tmp_path: Path) -> None:
    """Those without a place are left out, and no more than fit a thousand."""
    file = tmp_path / "annotations.json"
    write_annotations(file, [Annotation(level="error", title="a", message="b"), *notes(MAX_ANNOTATIONS + 5)])
    assert read_annotations(file) == notes(MAX_ANNOTATIONS)


ROW = {"level": "error", "title": "a", "message": "b", "file": "a.yaml", "line": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"level": "fatal"},
        {"level": ["error"]},
        {"title": ""},
        {"message": "x" * 5_000},
        {"file": None},
        {"file": "/etc/passwd"},
        {"file": "../secret"},
        {"file": "a\nb"},
        {"line": 0},
        {"line": True},
        {"line": "1"},
    ],
)
def test_a_garbled_annotation_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """The file comes from a job that runs the pull request's code."""
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps({"schema": "evalgate.annotations/1", "annotations": [{**ROW, **change}]}))
    with pytest.raises(InputError, match=r"annotations\.json"):
        read_annotations(file)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"schema": "evalgate.annotations/1", "annotations": 7}'])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, content: str) -> None:
    """With its name."""
    file = tmp_path / "annotations.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"annotations\.json"):
        read_annotations(file)
