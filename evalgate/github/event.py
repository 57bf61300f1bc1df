"""Where a run stands on GitHub Actions: which event, which pull request, which commit to compare with.

Reads the environment and the event file, nothing else: no git, no network. What the payload says was written by
whoever opened the pull request: branch names are data for reports, never parts of a command line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evalgate.errors import Fault, InputError
from evalgate.records import Json

PARENT = "HEAD^1"
"""The first parent of the commit that is checked out. A shallow clone knows its id without having it."""

_OF_PULLS = ("pull_request", "pull_request_target", "pull_request_review", "pull_request_review_comment")
_STARTED_OTHERWISE = (
    "push",
    "merge_group",
    "schedule",
    "workflow_dispatch",
    "workflow_run",
    "workflow_call",
    "repository_dispatch",
    "release",
    "create",
    "issue_comment",
    "deployment",
    "deployment_status",
)

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
_NOT_IN_BRANCHES = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^[-/]|/$")
_MAX_EVENT_BYTES = 26_214_400
"""GitHub cuts event payloads at 25 MB."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What GitHub Actions tells a job about itself. Absent facts are None."""

    event: str
    """`pull_request`, `push`, `merge_group`, `schedule`, `workflow_dispatch`, …"""
    repository: str
    """`owner/name`."""
    api_url: str
    server_url: str
    run_id: int
    run_attempt: int
    """From 1; a re-run keeps `run_id` and adds 1."""
    run_url: str
    evaluated_sha: str
    """The commit that `actions/checkout` checks out by default: for a pull request its test merge."""
    head_sha: str
    """The commit that the author pushed; `evaluated_sha` outside pull requests."""
    base_rev: str | None
    """Where the search for a baseline starts: `PARENT`, `HEAD` or a commit. Right while HEAD is `evaluated_sha`."""
    base_branch: str | None
    """Where HEAD is another commit, or `base_rev` is None: the search starts where HEAD left this branch."""
    merge_base_with: str | None
    """The commit at which that branch was when the event happened, or one before it."""
    branch: str | None
    """The branch under test: a pull request's head, the branch pushed to; None for tags and merge groups."""
    pull: int | None
    """Number of the pull request."""
    is_fork: bool
    """The pull request comes from another repository (or from one that is gone): no secrets, a read-only token."""
    is_dependabot: bool
    """Started by Dependabot, which GitHub treats as a fork."""
    default_branch: str | None
    workflow: str | None
    """Path of the workflow's file in the repository, or its name where the server tells no path."""


def of_job(environ: Mapping[str, str]) -> Situation | None:
    """As `read`; None too where nothing but GITHUB_ACTIONS tells of a job, as in a container that a job has started."""
    told = ("GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH")
    return read(environ) if any(environ.get(name) for name in told) else None


def read(environ: Mapping[str, str]) -> Situation | None:
    """The situation of this job; None outside GitHub Actions.

    Raises InputError where GitHub Actions is announced but a variable or the event file is missing or garbled.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        return None
    variables = _Variables(environ)
    event = variables.text("GITHUB_EVENT_NAME")
    if event not in (*_OF_PULLS, *_STARTED_OTHERWISE):
        hint = "Run it on pull_request, merge_group, push, schedule or workflow_dispatch."
        what = f"nobody knows what a run of the event {event[:40]!r} is to be compared with"
        raise InputError(Fault(where="GITHUB_EVENT_NAME", what=what, hint=hint))
    repository = variables.matching("GITHUB_REPOSITORY", _REPOSITORY)
    server_url = environ.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
    run_id = variables.number("GITHUB_RUN_ID")
    content = payload(environ)
    evaluated_sha = variables.matching("GITHUB_SHA", _SHA)
    pull = _Pull.of(content, repository, environ.get("GITHUB_REF", ""))
    if pull is None and event in _OF_PULLS:
        # Taken for another event it would be compared with itself.
        raise garbled("there is no pull request in it")
    branch = pull.branch if pull else _branch(event, environ)
    default_branch = _checked(text(at(content, "repository", "default_branch")))
    start = _Start.of(event, content, pull, branch=branch, default_branch=default_branch, evaluated_sha=evaluated_sha)
    return Situation(
        event=event,
        repository=repository,
        api_url=environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        server_url=server_url,
        run_id=run_id,
        run_attempt=variables.number("GITHUB_RUN_ATTEMPT"),
        run_url=f"{server_url}/{repository}/actions/runs/{run_id}",
        evaluated_sha=evaluated_sha,
        head_sha=pull.head_sha if pull else evaluated_sha,
        base_rev=start.rev,
        base_branch=start.branch,
        merge_base_with=start.commit,
        branch=branch,
        pull=pull.number if pull else None,
        is_fork=pull.is_fork if pull else False,
        is_dependabot=environ.get("GITHUB_ACTOR") == "dependabot[bot]",
        default_branch=default_branch,
        workflow=_workflow(environ, repository),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pull:
    """The part of a pull request event that matters here."""

    number: int
    head_sha: str
    base_sha: str
    base_branch: str | None
    branch: str | None
    is_fork: bool
    is_merged_for_test: bool
    """GITHUB_SHA is the test merge, whose first parent is the base commit it was merged with."""

    @staticmethod
    def of(payload: Json, repository: str, ref: str) -> _Pull | None:
        found = at(payload, "pull_request")
        if not isinstance(found, dict):
            return None
        number = found.get("number")
        head_sha, base_sha = at(found, "head", "sha"), at(found, "base", "sha")
        if type(number) is not int or not is_sha(head_sha) or not is_sha(base_sha):
            raise garbled("the pull request in it has no number, head or base commit")
        head_repository = at(found, "head", "repo", "full_name")
        return _Pull(
            number=number,
            head_sha=head_sha,
            base_sha=base_sha,
            base_branch=_checked(text(at(found, "base", "ref"))),
            branch=text(at(found, "head", "ref")),
            # A deleted fork leaves `repo: null`: somebody else's code all the same.
            is_fork=not isinstance(head_repository, str) or head_repository.lower() != repository.lower(),
            is_merged_for_test=ref == f"refs/pull/{number}/merge",
        )


@dataclass(frozen=True, slots=True)
class _Start:
    """`base_rev`, `base_branch` and `merge_base_with` of a situation."""

    rev: str | None
    branch: str | None
    commit: str | None

    @staticmethod
    def of(
        event: str,
        payload: Json,
        pull: _Pull | None,
        *,
        branch: str | None,
        default_branch: str | None,
        evaluated_sha: str,
    ) -> _Start:
        if pull is not None:
            # `base.sha` is where the base branch stood when the event was made. It is neither the merge base nor kept
            # up to date, so it is good for finding a merge base and for nothing else.
            return _Start(PARENT if pull.is_merged_for_test else None, pull.base_branch, pull.base_sha)
        if event == "merge_group":
            base_sha = at(payload, "merge_group", "base_sha")
            if not is_sha(base_sha):
                raise garbled("the merge group in it has no base commit")
            base_ref = text(at(payload, "merge_group", "base_ref"))
            return _Start(base_sha, _checked(base_ref and base_ref.removeprefix("refs/heads/")), base_sha)
        if branch not in (None, default_branch) and default_branch is not None:
            # Held against its own last commit, a branch would only ever answer for that one.
            return _Start(None, default_branch, None)
        # A job that has checked out another commit (a pull request's, by hand) has that one left the branch somewhere.
        return _Start(PARENT if event == "push" else "HEAD", default_branch, evaluated_sha)


def _workflow(environ: Mapping[str, str], repository: str) -> str | None:
    path = environ.get("GITHUB_WORKFLOW_REF", "").partition("@")[0].removeprefix(f"{repository}/")
    return path or environ.get("GITHUB_WORKFLOW") or None


def _branch(event: str, environ: Mapping[str, str]) -> str | None:
    if event == "merge_group":
        return None
    kind, ref = environ.get("GITHUB_REF_TYPE"), environ.get("GITHUB_REF", "")
    if kind:
        return environ.get("GITHUB_REF_NAME") or None if kind == "branch" else None
    return ref.removeprefix("refs/heads/") or None if ref.startswith("refs/heads/") else None


@dataclass(frozen=True, slots=True)
class _Variables:
    environ: Mapping[str, str]

    def text(self, name: str) -> str:
        value = self.environ.get(name, "")
        if not value:
            raise self._fault(name, "is not set")
        return value

    def number(self, name: str) -> int:
        value = self.text(name)
        if not re.fullmatch(r"[0-9]{1,18}", value):
            raise self._fault(name, f"is {value[:40]!r}, not a number")
        return int(value)

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self.text(name)
        if not pattern.fullmatch(value):
            raise self._fault(name, f"is {value[:80]!r}")
        return value

    @staticmethod
    def _fault(name: str, what: str) -> InputError:
        hint = "GITHUB_ACTIONS=true says that this is GitHub Actions; unset it to run elsewhere."
        return InputError(Fault(where=name, what=f"the variable {what}", hint=hint))


def payload(environ: Mapping[str, str]) -> Json:
    """The event's own content, a mapping. Raises InputError as `read`."""
    file = Path(_Variables(environ).text("GITHUB_EVENT_PATH"))
    try:
        if file.stat().st_size > _MAX_EVENT_BYTES:
            raise garbled("it is larger than any event that GitHub sends")
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as fault:
        raise garbled(f"it cannot be read ({fault.strerror})") from fault
    except (ValueError, RecursionError) as fault:
        raise garbled("it is not JSON") from fault
    if not isinstance(content, dict):
        raise garbled("it is not a JSON object")
    return content


def garbled(what: str) -> InputError:
    """What is raised for an event that cannot be used."""
    hint = "It is written by GitHub Actions; a job that sets GITHUB_EVENT_PATH by hand has to point at a whole event."
    return InputError(Fault(where="GITHUB_EVENT_PATH", what=f"the event file cannot be used: {what}", hint=hint))


def at(value: Json, *names: str) -> Json:
    """What stands there under these names, one in the other; None where there is nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def text(value: Json) -> str | None:
    """The value where it is a text that is not empty."""
    return value if isinstance(value, str) and value else None


def _checked(branch: str | None) -> str | None:
    """The name of a branch that git would take: anything else could be read as another revision."""
    is_one = branch is not None and not _NOT_IN_BRANCHES.search(branch)
    return branch if is_one else None


def is_sha(value: Json) -> bool:
    return isinstance(value, str) and _SHA.fullmatch(value) is not None
