"""Which run has started a job of `workflow_run`, and which pull requests it was of: by GitHub's word alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_github import REPOSITORY, FakeGitHub
from github_events import FORK, HEAD, environment, pull_request, workflow_run

from evalgate.errors import InputError
from evalgate.github import trigger
from evalgate.github.client import connect
from evalgate.github.trigger import Trigger, pulls_of

OTHER = "d" * 40
MAIN = "e" * 40


def read(folder: Path, payload: Any) -> Trigger:
    return trigger.read(environment(folder, "workflow_run", payload, GITHUB_RUN_ID="200", GITHUB_SHA=MAIN))


def found(folder: Path, github: FakeGitHub, **changes: Any) -> list[int]:
    there = connect(github.api_url, REPOSITORY, "token-1", retries=0)
    return [pull.number for pull in pulls_of(read(folder, workflow_run(**changes)), there)]


def test_the_run_that_has_ended_is_told_from_the_job_that_it_started(tmp_path: Path) -> None:
    """What is posted is of the other run: its number, attempt, commit, workflow and address."""
    told = read(tmp_path, workflow_run(run_attempt=3, conclusion="failure"))
    run = told.situation
    assert (run.run_id, run.run_attempt, run.head_sha, run.event) == (100, 3, HEAD, "pull_request")
    assert run.run_url.endswith(f"/{REPOSITORY}/actions/runs/100")
    assert run.workflow == ".github/workflows/evalgate.yml"
    assert (told.here.run_id, told.here.evaluated_sha, told.conclusion, told.head_owner) == (
        200,
        MAIN,
        "failure",
        "stranger",
    )
    assert told.is_foreign and told.is_of_a_pull_request


@pytest.mark.parametrize(
    ("changes", "is_foreign"),
    [
        ({}, True),
        ({"head_repository": None}, True),
        ({"head_repository": REPOSITORY}, False),
        ({"head_repository": REPOSITORY.upper()}, False),
        ({"head_repository": REPOSITORY, "actor": {"login": "dependabot[bot]"}}, True),
        ({"head_repository": REPOSITORY, "triggering_actor": {"login": "dependabot[bot]"}}, False),
    ],
)
def test_forks_and_dependabot_are_foreign(tmp_path: Path, changes: dict[str, Any], is_foreign: bool) -> None:
    """They had no token that can write; a branch of this repository has its comment from its own workflow."""
    assert read(tmp_path, workflow_run(**changes)).is_foreign is is_foreign


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": {"full_name": "somebody/else"}},
        {"repository": None},
        {"id": "100"},
        {"id": True},
        {"run_attempt": None},
        {"event": 3},
        {"head_sha": "HEAD"},
        {"head_sha": None},
    ],
)
def test_an_event_that_cannot_be_used_is_one_message(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Another repository's run above all."""
    payload = workflow_run()
    payload["workflow_run"].update(changes)
    with pytest.raises(InputError, match="GITHUB_EVENT_PATH"):
        read(tmp_path, payload)


def test_other_jobs_have_no_such_run(tmp_path: Path) -> None:
    """The message says where it belongs."""
    for environ in ({}, environment(tmp_path, "pull_request", pull_request())):
        with pytest.raises(InputError, match="workflow_run"):
            trigger.read(environ)


def test_the_pull_request_is_the_open_one_with_the_very_commit(tmp_path: Path) -> None:
    """Never the newest one of a branch: that has moved on, or another was opened from it since."""
    with FakeGitHub() as github:
        github.add_pull(7, HEAD, repository=FORK, branch="kinder")
        github.add_pull(8, OTHER, repository=FORK, branch="kinder")
        github.add_pull(9, HEAD, repository=FORK, branch="kinder", state="closed")
        github.add_pull(10, HEAD, repository="third/support-bot", branch="kinder")
        assert found(tmp_path, github) == [7]
        assert found(tmp_path, github, head=OTHER) == [8]


def test_one_commit_can_be_the_head_of_several(tmp_path: Path) -> None:
    """Of a branch that is to go into two others."""
    with FakeGitHub() as github:
        github.add_pull(8, HEAD, repository=FORK, branch="kinder", base="release")
        github.add_pull(7, HEAD, repository=FORK, branch="kinder")
        assert found(tmp_path, github) == [7, 8]


def test_a_fork_that_was_renamed_is_found_by_the_commit(tmp_path: Path) -> None:
    """The event has its old name, or none."""
    with FakeGitHub() as github:
        github.commits[HEAD] = [MAIN]
        github.add_pull(7, HEAD, repository="renamed/support-bot", branch="kinder")
        github.add_pull(8, HEAD, repository="renamed/support-bot", branch="kinder", state="closed")
        assert found(tmp_path, github) == [7]
        assert found(tmp_path, github, head_repository=None) == [7]
        assert found(tmp_path, github, head_branch=None) == [7]


def test_without_such_a_pull_request_there_is_none(tmp_path: Path) -> None:
    """Closed meanwhile, moved on, or a commit that is gone."""
    with FakeGitHub() as github:
        github.add_pull(7, OTHER, repository=FORK, branch="kinder")
        assert found(tmp_path, github) == []
        github.commits[HEAD] = []
        assert found(tmp_path, github) == []
