"""What a job knows about itself, and from where the search for a baseline starts."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from fake_github import REPOSITORY
from github_events import BASE, HEAD, MERGE, environment, pull_request

from evalgate.errors import InputError
from evalgate.github.event import Situation, of_job, read

REPOSITORY_PART = {"repository": {"full_name": REPOSITORY, "default_branch": "main"}}


def situation(folder: Path, event: str, payload: Any, **changes: str) -> Situation:
    found = read(environment(folder, event, payload, **changes))
    assert found is not None
    return found


def test_elsewhere_there_is_no_situation() -> None:
    """On a developer's machine nothing is read at all."""
    assert read({"GITHUB_REPOSITORY": REPOSITORY}) is None


def test_a_pull_request_is_read_whole(tmp_path: Path) -> None:
    """Every field of a pull request's job."""
    assert situation(tmp_path, "pull_request", pull_request()) == Situation(
        event="pull_request",
        repository=REPOSITORY,
        api_url="https://api.github.com",
        server_url="https://github.com",
        run_id=100,
        run_attempt=1,
        run_url=f"https://github.com/{REPOSITORY}/actions/runs/100",
        evaluated_sha=MERGE,
        head_sha=HEAD,
        base_rev="HEAD^1",
        base_branch="main",
        merge_base_with=BASE,
        branch="kinder",
        pull=7,
        is_fork=False,
        is_dependabot=False,
        default_branch="main",
        workflow=".github/workflows/evalgate.yml",
    )


def test_a_pull_request_without_its_test_merge_starts_at_the_merge_base(tmp_path: Path) -> None:
    """`pull_request_target` checks out the base branch: its parent says nothing about the pull request."""
    found = situation(tmp_path, "pull_request_target", pull_request(), GITHUB_REF="refs/heads/main", GITHUB_SHA=BASE)
    assert (found.base_rev, found.merge_base_with, found.head_sha) == (None, BASE, HEAD)


@pytest.mark.parametrize("head_repository", ["stranger/support-bot", None])
def test_another_repository_and_a_deleted_one_are_forks(tmp_path: Path, head_repository: str | None) -> None:
    """Whose code it is decides, not whether the repository still exists."""
    assert situation(tmp_path, "pull_request", pull_request(head_repository=head_repository)).is_fork


def test_a_name_in_other_case_is_no_fork(tmp_path: Path) -> None:
    """GitHub compares names without regard to case."""
    assert not situation(tmp_path, "pull_request", pull_request(head_repository=REPOSITORY.upper())).is_fork


def test_dependabot_is_known(tmp_path: Path) -> None:
    """It gets a read-only token although its branch is no fork's."""
    assert situation(tmp_path, "pull_request", pull_request(), GITHUB_ACTOR="dependabot[bot]").is_dependabot


def test_a_push_is_compared_with_its_parent(tmp_path: Path) -> None:
    """The first parent is what the branch was before."""
    found = situation(tmp_path, "push", REPOSITORY_PART)
    assert (found.base_rev, found.base_branch, found.pull) == ("HEAD^1", "main", None)
    assert (found.branch, found.head_sha, found.evaluated_sha) == ("main", HEAD, HEAD)


@pytest.mark.parametrize("event", ["push", "workflow_dispatch"])
def test_another_branch_is_compared_from_where_it_left_the_default_one(tmp_path: Path, event: str) -> None:
    """Its own parent would hide what the branch's first commit did."""
    found = situation(tmp_path, event, REPOSITORY_PART, GITHUB_REF_NAME="feature")
    assert (found.base_rev, found.base_branch, found.branch) == (None, "main", "feature")


@pytest.mark.parametrize("name", ["main^2", "main..x", "a b", "-x", "a:b", "a\nb", "@{-1}", ""])
def test_a_branch_that_git_would_not_take_is_no_base(tmp_path: Path, name: str) -> None:
    """It could be read as another revision."""
    payload = pull_request()
    payload["pull_request"]["base"]["ref"] = name
    assert situation(tmp_path, "pull_request", payload).base_branch is None


def test_a_merge_group_is_compared_with_its_base(tmp_path: Path) -> None:
    """It may hold several pull requests, so there is none to write to."""
    group = {"base_sha": BASE, "base_ref": "refs/heads/next", "head_sha": HEAD}
    payload = {**REPOSITORY_PART, "merge_group": group}
    name = f"gh-readonly-queue/main/pr-7-{BASE}"
    found = situation(tmp_path, "merge_group", payload, GITHUB_REF_NAME=name)
    assert (found.base_rev, found.base_branch, found.pull, found.branch) == (BASE, "next", None, None)


@pytest.mark.parametrize("event", ["schedule", "workflow_dispatch"])
def test_a_run_by_the_clock_or_by_hand_starts_at_the_commit_itself(tmp_path: Path, event: str) -> None:
    """Nothing changed: the commit's own earlier run is the one to compare with."""
    assert situation(tmp_path, event, REPOSITORY_PART).base_rev == "HEAD"


def test_a_tag_is_no_branch(tmp_path: Path) -> None:
    """A run of a tag is not recorded as a branch's."""
    changes = {"GITHUB_REF_TYPE": "tag", "GITHUB_REF_NAME": "v1"}
    assert situation(tmp_path, "push", REPOSITORY_PART, **changes).branch is None


def test_a_branch_is_told_by_its_ref_alone(tmp_path: Path) -> None:
    """Runners that set no GITHUB_REF_TYPE still say it; slashes are part of the name."""
    changes = {"GITHUB_REF_TYPE": "", "GITHUB_REF_NAME": "", "GITHUB_REF": "refs/heads/team/x"}
    assert situation(tmp_path, "push", REPOSITORY_PART, **changes).branch == "team/x"
    assert situation(tmp_path, "push", REPOSITORY_PART, **{**changes, "GITHUB_REF": "refs/tags/v1"}).branch is None


@pytest.mark.parametrize("content", [{}, {"pull_request": "7"}, {"pull_request": None}])
def test_a_pull_request_without_one_is_compared_with_nothing(tmp_path: Path, content: dict[str, Any]) -> None:
    """Taken for another event, it would be compared with the very commit that it asks about, and pass."""
    for event in ("pull_request", "pull_request_target"):
        with pytest.raises(InputError, match="there is no pull request in it"):
            situation(tmp_path, event, {**REPOSITORY_PART, **content})


@pytest.mark.parametrize("event", ["watch", "issues", "no such event\n::error::"])
def test_an_event_of_an_unknown_kind_is_compared_with_nothing(tmp_path: Path, event: str) -> None:
    """It passed, held against an earlier run of its own commit."""
    with pytest.raises(InputError, match="nobody knows what a run of the event"):
        situation(tmp_path, event, REPOSITORY_PART)


def test_an_event_that_has_no_name_is_not_taken_for_no_job(tmp_path: Path) -> None:
    """Outside a job the newest run of this very commit may be the baseline."""
    with pytest.raises(InputError, match="the variable is not set"):
        of_job({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")})
    assert of_job({"GITHUB_ACTIONS": "true"}) is None


def test_an_enterprise_server_is_taken_from_the_environment(tmp_path: Path) -> None:
    """Nothing is assumed to be github.com."""
    changes = {"GITHUB_API_URL": "https://git.example/api/v3/", "GITHUB_SERVER_URL": "https://git.example"}
    found = situation(tmp_path, "push", REPOSITORY_PART, **changes)
    assert found.api_url == "https://git.example/api/v3"
    assert found.run_url == f"https://git.example/{REPOSITORY}/actions/runs/100"


@pytest.mark.parametrize("content", ["", "[]", "{", "null", '{"pull_request": {}}', "[" * 100_000])
def test_a_garbled_event_file_is_an_input_error(tmp_path: Path, content: str) -> None:
    """A job that cannot say what it is about does not guess."""
    gc.collect()  # nothing of earlier tests must be finalised at the bottom of a deep recursion
    environ = environment(tmp_path, "pull_request", {})
    Path(environ["GITHUB_EVENT_PATH"]).write_text(content, "utf-8")
    with pytest.raises(InputError, match="GITHUB_EVENT_PATH"):
        read(environ)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_EVENT_PATH", ""),
        ("GITHUB_EVENT_PATH", "/nowhere/event.json"),
        ("GITHUB_RUN_ID", "1; echo"),
        ("GITHUB_RUN_ATTEMPT", ""),
        ("GITHUB_SHA", "HEAD"),
        ("GITHUB_REPOSITORY", "acme/../x/y"),
    ],
)
def test_a_garbled_variable_is_named(tmp_path: Path, name: str, value: str) -> None:
    """The message starts with the variable's name."""
    with pytest.raises(InputError, match=f"^{name}: "):
        read(environment(tmp_path, "push", REPOSITORY_PART, **{name: value}))


def test_a_merge_group_without_base_is_garbled(tmp_path: Path) -> None:
    """No baseline is guessed for a queue."""
    with pytest.raises(InputError, match="merge group"):
        read(environment(tmp_path, "merge_group", REPOSITORY_PART))
