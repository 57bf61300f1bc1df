"""Events and environments as GitHub Actions hands them to a job, for a made-up repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fake_github import REPOSITORY

HEAD = "a" * 40
MERGE = "c" * 40
BASE = "b" * 40


def pull_request(
    *, head: str = HEAD, title: str = "Be kinder", branch: str = "kinder", **changes: Any
) -> dict[str, Any]:
    """The payload of `pull_request`, action `synchronize`. `head_repository` None: the fork is gone."""
    head_repository = changes.pop("head_repository", REPOSITORY)
    repo = None if head_repository is None else {"full_name": head_repository, "fork": head_repository != REPOSITORY}
    return {
        "action": "synchronize",
        "number": 7,
        "before": "0" * 40,
        "after": head,
        "pull_request": {
            "number": 7,
            "title": title,
            "user": {"login": "someone"},
            "head": {"ref": branch, "sha": head, "repo": repo},
            "base": {"ref": "main", "sha": BASE, "repo": {"full_name": REPOSITORY}},
            "merge_commit_sha": None,
        },
        "repository": {"full_name": REPOSITORY, "default_branch": "main"},
        **changes,
    }


def push(*, head: str = HEAD, branch: str = "main") -> dict[str, Any]:
    """The payload of `push`."""
    return {
        "ref": f"refs/heads/{branch}",
        "before": BASE,
        "after": head,
        "head_commit": {"id": head, "message": "main moves on", "author": {"name": "Some One"}},
        "commits": [],
        "forced": False,
        "pusher": {"name": "someone"},
        "repository": {"full_name": REPOSITORY, "default_branch": "main"},
    }


def merge_group(*, head: str = HEAD, base: str = BASE) -> dict[str, Any]:
    """The payload of `merge_group`: it names no pull request."""
    return {
        "action": "checks_requested",
        "merge_group": {
            "head_sha": head,
            "head_ref": f"refs/heads/gh-readonly-queue/main/pr-7-{base}",
            "base_sha": base,
            "base_ref": "refs/heads/main",
            "head_commit": {"id": head, "message": "Merge pull request #7"},
        },
        "repository": {"full_name": REPOSITORY, "default_branch": "main"},
    }


def schedule() -> dict[str, Any]:
    """The payload of `schedule`: it names no default branch."""
    return {"schedule": "17 6 * * 1", "workflow": ".github/workflows/evalgate-weekly.yml"}


def workflow_dispatch() -> dict[str, Any]:
    """The payload of `workflow_dispatch`, on the default branch."""
    named = {"full_name": REPOSITORY, "default_branch": "main"}
    return {"inputs": None, "ref": "refs/heads/main", "sender": {"login": "someone"}, "repository": named}


FORK = "stranger/support-bot"


def workflow_run(*, head: str = HEAD, head_repository: str | None = FORK, **changes: Any) -> dict[str, Any]:
    """The payload of `workflow_run`, action `completed`: a run of a pull request from a fork has ended.

    changes: of the run itself. As GitHub sends it for forks: without pull requests.
    """
    known = {"full_name": head_repository, "fork": head_repository != REPOSITORY}
    run = {
        "id": 100,
        "name": "evalgate",
        "path": ".github/workflows/evalgate.yml",
        "run_attempt": 1,
        "event": "pull_request",
        "status": "completed",
        "conclusion": "success",
        "head_branch": "kinder",
        "head_sha": head,
        "head_repository": None if head_repository is None else known,
        "repository": {"full_name": REPOSITORY},
        "actor": {"login": "stranger"},
        "triggering_actor": {"login": "stranger"},
        "pull_requests": [],
    }
    return {
        "action": "completed",
        "workflow_run": {**run, **changes},
        "workflow": {"name": "evalgate", "path": ".github/workflows/evalgate.yml"},
        "repository": {"full_name": REPOSITORY, "default_branch": "main"},
    }


EVENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "pull_request": pull_request,
    "push": push,
    "merge_group": merge_group,
    "schedule": schedule,
    "workflow_dispatch": workflow_dispatch,
    "workflow_run": workflow_run,
}
"""A payload of each event that the workflows know."""


def environment(folder: Path, event: str, payload: Any, **changes: str) -> dict[str, str]:
    """The variables of a job with this event; the event file is written into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "event.json"
    file.write_text(json.dumps(payload), "utf-8")
    is_pull = event == "pull_request"
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_RUN_ID": "100",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_WORKFLOW": "evalgate",
        "GITHUB_WORKFLOW_REF": f"{REPOSITORY}/.github/workflows/evalgate.yml@refs/pull/7/merge",
        "GITHUB_SHA": MERGE if is_pull else HEAD,
        "GITHUB_REF": "refs/pull/7/merge" if is_pull else "refs/heads/main",
        "GITHUB_REF_NAME": "7/merge" if is_pull else "main",
        "GITHUB_REF_TYPE": "branch",
        "GITHUB_ACTOR": "someone",
        **changes,
    }
