"""A verdict file is checked before a word of it is used, and reaches only the pull request it is about."""

from __future__ import annotations

import gc
import json
from pathlib import Path
from typing import Any

import pytest
from fake_github import FakeGitHub
from github_events import HEAD, MERGE, environment, pull_request
from verdicts import SENTENCE, failed_verdict, make_verdict, write_verdict

from evalgate.errors import InputError
from evalgate.github.briefs import Ended, JobResult
from evalgate.github.comment import Action
from evalgate.github.publish import comment_from_files
from evalgate.github.verdict_file import MAX_BYTES, read_verdict
from evalgate.records import VerdictName


def test_a_verdict_is_read_back(tmp_path: Path) -> None:
    """What `to_dict` writes is accepted, for every verdict there is."""
    for name in VerdictName:
        exit_code = {"pass": 0, "fail": 1}.get(name, 3)
        found = read_verdict(write_verdict(tmp_path, make_verdict(name, exit_code))[0])
        assert (found.verdict, found.exit_code, found.suite, found.run_id) == (name, exit_code, "support-bot", "run-1")


def test_the_deciding_sentences_are_found(tmp_path: Path) -> None:
    """Only gating breaches count as such."""
    found = read_verdict(write_verdict(tmp_path, failed_verdict())[0])
    assert found.breaches == (SENTENCE,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "evalgate.verdict/2"}, "not a verdict"),
        ({"suite": None}, '"suite"'),
        ({"suite": "x" * 201}, '"suite"'),
        ({"verdict": "great"}, '"verdict"'),
        ({"verdict": ["pass"]}, '"verdict"'),
        ({"exit_code": True}, '"exit_code"'),
        ({"exit_code": 2}, '"exit_code"'),
        ({"exit_code": 1}, "contradict"),
        ({"reason": 7}, '"reason"'),
        ({"reason": "x" * 5_000}, '"reason"'),
        ({"run": None}, '"run.id"'),
        ({"run": {"id": "a\nverdict=pass", "commit": None}}, '"run.id"'),
        ({"run": {"id": None, "commit": 7}}, '"run.commit"'),
        ({"findings": [{}]}, '"findings"'),
        ({"findings": None}, '"findings"'),
        ({"comment": None}, '"comment.when"'),
        ({"comment": {"when": ["always"], "changed": True}}, '"comment.when"'),
        ({"comment": {"when": "always", "changed": 1}}, '"comment.changed"'),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """Each field that is used is checked, and the message names it."""
    file = tmp_path / "verdict.json"
    file.write_text(json.dumps({**make_verdict().to_dict(), **change}), "utf-8")
    with pytest.raises(InputError, match=message):
        read_verdict(file)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * (MAX_BYTES + 1)])
def test_what_is_no_verdict_at_all_is_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, cut off, another encoding, nested without end, too large."""
    gc.collect()  # nothing of earlier tests must be finalised at the bottom of a deep recursion
    file = tmp_path / "verdict.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"verdict\.json"):
        read_verdict(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The message says how to write one."""
    with pytest.raises(InputError, match="--write json="):
        read_verdict(tmp_path / "verdict.json")


# ---- to the pull request ------------------------------------------------------------------------------------


def comment(
    folder: Path, github: FakeGitHub, *, report: str = "# report\n", payload: Any = None, **changes: Any
) -> Any:
    ended = changes.pop("ended", None)
    verdict, markdown = write_verdict(folder, changes.pop("verdict", make_verdict()), report)
    if "mode" in changes:
        content = json.loads(verdict.read_text("utf-8"))
        verdict.write_text(json.dumps({**content, "comment": changes.pop("mode")}), "utf-8")
    if "content" in changes:
        content = changes.pop("content")
        verdict.unlink() if content is None else verdict.write_text(content, "utf-8")
    environ = environment(folder, "pull_request", payload or pull_request(), **changes)
    github.heads[7] = HEAD
    environ |= {"GITHUB_API_URL": github.api_url, "GITHUB_TOKEN": "token-1"}
    return comment_from_files(verdict, markdown if report else None, environ=environ, ended=ended)


def test_the_report_becomes_the_comment(tmp_path: Path) -> None:
    """The Markdown file is posted as it is, below the marker."""
    with FakeGitHub() as github:
        assert comment(tmp_path, github).action is Action.CREATED
        assert github.bodies(7)[0].partition("\n")[2] == "# report\n"


@pytest.mark.parametrize("report", ["", "x" * 60_001])
def test_without_a_report_that_fits_the_verdict_is_told(tmp_path: Path, report: str) -> None:
    """No file, or a file over 60,000 characters: two lines and the way to the rest."""
    with FakeGitHub() as github:
        comment(tmp_path, github, report=report)
        assert "**evalgate: pass** (exit code 0)" in github.bodies(7)[0]
        assert "/actions/runs/100" in github.bodies(7)[0]


def test_another_token_finds_its_own_comment_again(tmp_path: Path) -> None:
    """An app's login comes from EVALGATE_COMMENT_LOGIN."""
    with FakeGitHub(login="evals-app[bot]") as github:
        variables = {"EVALGATE_COMMENT_LOGIN": "evals-app[bot]"}
        actions = [comment(tmp_path, github, **variables).action for _ in range(2)]
        assert actions == [Action.CREATED, Action.EDITED]


@pytest.mark.parametrize(
    ("payload", "variables"),
    [
        (pull_request(head_repository="stranger/support-bot"), {}),
        (pull_request(head_repository=None), {}),
        (pull_request(), {"GITHUB_ACTOR": "dependabot[bot]"}),
    ],
)
def test_forks_and_dependabot_are_skipped_and_told(tmp_path: Path, payload: Any, variables: dict[str, str]) -> None:
    """Their token cannot write: nothing is tried."""
    with FakeGitHub() as github:
        posted = comment(tmp_path, github, payload=payload, **variables)
        assert posted.action is Action.SKIPPED and "no token" in posted.why
        assert github.requests == []


@pytest.mark.parametrize("commit", [MERGE, HEAD, HEAD[:12], None])
def test_a_verdict_on_this_pull_request_is_taken(tmp_path: Path, commit: str | None) -> None:
    """The run may name the test merge, the head, or nothing."""
    with FakeGitHub() as github:
        assert comment(tmp_path, github, verdict=make_verdict(run_commit=commit)).action is Action.CREATED


def test_a_verdict_on_another_commit_is_refused(tmp_path: Path) -> None:
    """A file of another run, however good, is not this pull request's."""
    with FakeGitHub() as github, pytest.raises(InputError, match="dddddddddd"):
        comment(tmp_path, github, verdict=make_verdict(run_commit="d" * 40))


def test_outside_a_pull_request_there_is_nothing_to_write_to(tmp_path: Path) -> None:
    """A push, or a machine that is not GitHub's, is told so."""
    verdict, _ = write_verdict(tmp_path, make_verdict())
    with pytest.raises(InputError, match="the event is push"):
        comment_from_files(verdict, environ=environment(tmp_path, "push", {}))
    with pytest.raises(InputError, match="not GitHub Actions"):
        comment_from_files(verdict, environ={})


@pytest.mark.parametrize(
    ("when", "changed", "verdict", "is_made"),
    [
        ("always", False, make_verdict(), True),
        ("on_change", False, make_verdict(), False),
        ("on_change", True, make_verdict(), True),
        ("on_failure", True, make_verdict(), False),
        ("on_failure", True, make_verdict(VerdictName.NO_BASELINE, 0), False),
        ("on_failure", True, failed_verdict(), True),
        ("on_failure", True, make_verdict(VerdictName.ERROR, 3), True),
        ("never", True, failed_verdict(), False),
    ],
)
def test_a_comment_is_made_when_the_configuration_says(
    tmp_path: Path, when: str, changed: bool, verdict: Any, is_made: bool
) -> None:
    """The verdict file says it; whatever it says, a comment that is there is brought up to date."""
    with FakeGitHub() as github:
        mode = {"when": when, "changed": changed}
        posted = comment(tmp_path, github, verdict=verdict, mode=mode)
        assert posted.action is (Action.CREATED if is_made else Action.SKIPPED)
        assert is_made or f"comment: {when}" in posted.why
    with FakeGitHub() as github:
        comment(tmp_path, github, report="# old\n")
        assert comment(tmp_path, github, verdict=verdict, mode=mode).action is Action.EDITED
        assert github.bodies(7)[0].endswith("# report\n")


# ---- without a verdict ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "exit_code", "why"),
    [
        (JobResult.FAILURE, 2, "exit code 2 (the configuration or the input is wrong)"),
        (JobResult.FAILURE, 70, "exit code 70 (evalgate itself failed)"),
        (JobResult.FAILURE, 130, "exit code 130 (it was interrupted)"),
        (JobResult.FAILURE, 3, "exit code 3 (it could not be evaluated)"),
        (JobResult.FAILURE, 9, "exit code 9."),
        (JobResult.FAILURE, None, "the job failed before there was a verdict"),
        (JobResult.CANCELLED, 130, "the job was cancelled"),
        (JobResult.SUCCESS, None, "the job left no verdict"),
        (JobResult.SKIPPED, None, "the job was skipped"),
    ],
)
def test_a_green_comment_does_not_outlive_a_crash(
    tmp_path: Path, result: JobResult, exit_code: int | None, why: str
) -> None:
    """The comment says which commit has no verdict, why, and where the log is."""
    with FakeGitHub() as github:
        comment(tmp_path, github, report="# PASS\n", GITHUB_RUN_ID="99")
        posted = comment(tmp_path, github, content=None, ended=Ended(result=result, exit_code=exit_code))
        assert posted.action is Action.EDITED
        ((body),) = github.bodies(7)
        assert "PASS" not in body and f"no verdict on {HEAD[:10]}" in body
        assert why in body and "/actions/runs/100" in body


def test_a_crash_before_the_first_comment_is_told(tmp_path: Path) -> None:
    """A checkout that failed leaves neither a verdict nor a suite's name; a job that was skipped is no news."""
    with FakeGitHub() as github:
        assert comment(tmp_path, github, content=None, ended=Ended(result=JobResult.SKIPPED)).action is Action.SKIPPED
        assert comment(tmp_path, github, content=None, ended=Ended(result=JobResult.FAILURE)).action is Action.CREATED
        assert "**NOT EVALUATED**" in github.bodies(7)[0]


@pytest.mark.parametrize("content", ["{", '{"schema": "evalgate.verdict/9"}'])
def test_a_garbled_verdict_is_told_on_both_sides(tmp_path: Path, content: str) -> None:
    """The comment does not keep an earlier verdict, and the job that comments fails."""
    with FakeGitHub() as github:
        comment(tmp_path, github, report="# PASS\n", GITHUB_RUN_ID="99")
        with pytest.raises(InputError, match=r"verdict\.json"):
            comment(tmp_path, github, content=content, ended=Ended(result=JobResult.SUCCESS))
        assert "NOT EVALUATED" in github.bodies(7)[0]
