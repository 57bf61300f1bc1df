"""Where a job finds the history that the default branch has left."""

from __future__ import annotations

from typing import Any

from fake_github import REPOSITORY, FakeGitHub

from evalgate.github.client import connect
from evalgate.github.history_artifact import newest_history


def artifact(run_id: int, created: str, **changes: Any) -> dict[str, Any]:
    run = {"id": run_id, "repository_id": 1, "head_repository_id": 1, "head_branch": "main"}
    run |= {key: changes.pop(key) for key in list(changes) if key in run}
    row = {"id": run_id, "name": "evalgate-history", "size_in_bytes": 9, "expired": False}
    return {**row, "created_at": created, "workflow_run": run, **changes}


def newest(*artifacts: dict[str, Any]) -> int | None:
    with FakeGitHub() as github:
        github.artifacts = list(artifacts)
        there = connect(github.api_url, REPOSITORY, "token-1", retries=0)
        found = newest_history(there, name="evalgate-history", branch="main")
        return found.run_id if found else None


def test_the_newest_of_the_default_branch_is_taken() -> None:
    """In whatever order GitHub lists them."""
    assert (
        newest(
            artifact(1, "2026-11-01T00:00:00Z"),
            artifact(3, "2026-11-03T00:00:00Z"),
            artifact(2, "2026-11-02T00:00:00Z"),
        )
        == 3
    )


def test_none_is_none() -> None:
    """A repository at its beginning has no history, which is no error."""
    assert newest() is None


def test_a_fork_whose_branch_is_also_called_main_does_not_count() -> None:
    """A pull request cannot bring the baseline it is judged by, nor can another branch."""
    assert (
        newest(
            artifact(9, "2026-11-09T00:00:00Z", head_repository_id=666),
            artifact(8, "2026-11-08T00:00:00Z", head_branch="feature"),
            artifact(7, "2026-11-07T00:00:00Z", expired=True),
            artifact(6, "2026-11-06T00:00:00Z", workflow_run=None),
            artifact(1, "2026-11-01T00:00:00Z"),
        )
        == 1
    )


def test_all_pages_are_read() -> None:
    """A busy repository has more than one page of them."""
    rows = [artifact(number, "2026-11-01T00:00:00Z", head_branch="feature") for number in range(150)]
    assert newest(*rows, artifact(1000, "2026-10-01T00:00:00Z")) == 1000
