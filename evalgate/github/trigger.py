"""The workflow run whose end has started this job (`workflow_run`): where it stood, and which pull requests it was of.

A job of this event runs on the default branch with a token that can write, whoever had the other run started. What the
event says comes from GitHub; branch names in it were chosen by a stranger and are used to ask GitHub, never a shell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from evalgate.errors import Fault, InputError
from evalgate.github import event
from evalgate.github.answers import Pull
from evalgate.github.client import GitHub
from evalgate.github.event import Situation
from evalgate.github.refusals import NotFoundError

EVENT = "workflow_run"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """A workflow run that has ended."""

    situation: Situation
    """As if its own job asked; but for `pull`, which the event does not tell for forks, and what comes with it."""
    conclusion: str
    """`success`, `failure`, `cancelled`, `timed_out`, `action_required`, …"""
    head_owner: str | None
    """Whose repository the branch lies in; None where that is gone."""
    here: Situation
    """Where this job itself stands: on the default branch."""

    @property
    def is_of_a_pull_request(self) -> bool:
        return self.situation.event == "pull_request"

    @property
    def is_foreign(self) -> bool:
        """Whether its own jobs could not comment: it had no token that can write."""
        return self.situation.is_fork or self.situation.is_dependabot


def is_one(environ: Mapping[str, str]) -> bool:
    """Whether this is a job that the end of a workflow run has started."""
    return environ.get("GITHUB_ACTIONS") == "true" and environ.get("GITHUB_EVENT_NAME") == EVENT


def read(environ: Mapping[str, str]) -> Trigger:
    """The run that has started this job. Raises InputError where none has, or where it was another repository's."""
    here = event.read(environ)
    if here is None or here.event != EVENT:
        was = "not GitHub Actions" if here is None else f"a job of the event {here.event}"
        hint = "Without FILE it belongs into a workflow `on: workflow_run`, as `evalgate init --github` writes it."
        raise InputError(Fault(where="evalgate comment", what=f"this is {was}", hint=hint))
    run = event.at(event.payload(environ), EVENT)
    known = {name: event.at(run, name) for name in ("id", "run_attempt", "event", "head_sha")}
    is_whole = type(known["id"]) is int and type(known["run_attempt"]) is int and isinstance(known["event"], str)
    if not is_whole or not event.is_sha(known["head_sha"]):
        raise event.garbled("the workflow run in it has no id, attempt, event or commit")
    owner = event.text(event.at(run, "repository", "full_name")) or ""
    if owner.lower() != here.repository.lower():
        raise event.garbled("the workflow run in it is another repository's")
    head = event.text(event.at(run, "head_repository", "full_name"))
    situation = replace(
        here,
        event=known["event"],
        run_id=known["id"],
        run_attempt=known["run_attempt"],
        run_url=f"{here.server_url}/{here.repository}/actions/runs/{known['id']}",
        evaluated_sha=known["head_sha"],
        head_sha=known["head_sha"],
        base_rev=None,
        branch=event.text(event.at(run, "head_branch")),
        # A fork that is gone leaves null: somebody else's code all the same.
        is_fork=head is None or head.lower() != here.repository.lower(),
        is_dependabot=event.at(run, "actor", "login") == "dependabot[bot]",
        workflow=(event.text(event.at(run, "path")) or "").partition("@")[0] or event.text(event.at(run, "name")),
    )
    return Trigger(
        situation=situation,
        conclusion=event.text(event.at(run, "conclusion")) or "",
        head_owner=head.partition("/")[0] if head else None,
        here=here,
    )


def pulls_of(trigger: Trigger, github: GitHub) -> list[Pull]:
    """The open pull requests of this repository whose head is the very commit of the run, lowest number first.

    Asked by the branch, and where that gives none (a fork that was renamed or is gone) by the commit. What GitHub gives
    is held against the event's commit again. Raises GitHubError.
    """
    situation = trigger.situation
    found: list[Pull] = []
    if trigger.head_owner and situation.branch:
        found = _with_head(github.pulls_from(trigger.head_owner, situation.branch), situation)
    if not found:
        try:
            found = _with_head(github.pulls_with(situation.head_sha), situation)
        except NotFoundError:
            return []
    return found


def _with_head(pulls: list[Pull], situation: Situation) -> list[Pull]:
    meant = {pull.number: pull for pull in pulls if pull.is_open and pull.head_sha == situation.head_sha}
    return [meant[number] for number in sorted(meant)]
