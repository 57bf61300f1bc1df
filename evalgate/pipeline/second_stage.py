"""The comment on a pull request from a fork, whose own run has no token that can write: decided and posted here.

In a job on the default branch, started by the end of the fork's run (`workflow_run`). Of that run only its artifact is
used; the rules, exceptions, eval sets and the history are this repository's own, read without a checkout.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from evalgate import gate
from evalgate.errors import EvalgateError, Fault, GitHubError, InputError
from evalgate.github import trigger as triggers
from evalgate.github.answers import Pull
from evalgate.github.artifact import MOST_BYTES
from evalgate.github.briefs import without_verdict
from evalgate.github.client import GitHub, connect
from evalgate.github.comment import Posted, post_unevaluated
from evalgate.github.marked import login_of
from evalgate.github.publish import marker_of, post_report
from evalgate.github.trigger import Trigger
from evalgate.github.verdict_file import VerdictFile
from evalgate.history import result_file
from evalgate.history.ancestry import Distant
from evalgate.history.baseline import Lost
from evalgate.history.branch import DEFAULT as DEFAULT_BRANCH
from evalgate.history.branch import Branch
from evalgate.history.remote import Remote
from evalgate.history.result_file import Handed, Unrun
from evalgate.pipeline.committed import Committed, suite_at
from evalgate.pipeline.handed_over import NothingLeft, as_known_here, fetch, left_base, merged_with, start
from evalgate.pipeline.judge import Judged, compared_with, judge
from evalgate.pipeline.load import DEFAULT_CONFIG
from evalgate.pipeline.place import Place
from evalgate.pipeline.proposed import proposed
from evalgate.pipeline.pulling import take
from evalgate.pipeline.sensitivity import with_detectable
from evalgate.pipeline.suite import open_history
from evalgate.records import EvalSet, Missing, Run, VerdictName, short
from evalgate.report import foreign, markdown, model
from evalgate.report.changed import has_changed
from evalgate.report.escape import cell

if TYPE_CHECKING:
    from evalgate.history.store import History

ARTIFACT = "evalgate-result"

NOT_MEANT = frozenset({"cancelled", "skipped", "action_required", "stale"})
"""Conclusions of a run that was not to leave anything: a newer push, or a maintainer's leave that is still to come."""

_UNRUN: Mapping[Unrun, tuple[VerdictName, str, str | None]] = {
    "no_credentials": (
        VerdictName.NOT_EVALUATED,
        "the run had no key for its endpoint, as pull requests from forks have none",
        "Let the merge queue decide, or push the reviewed commits to a branch of this repository.",
    ),
    "nothing_changed": (VerdictName.INCONCLUSIVE, "no case has changed, so nothing was called", None),
    "error": (VerdictName.ERROR, "the run failed before its first call", None),
}


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """What `evalgate comment` can be told in a job of `workflow_run`."""

    config: Path = DEFAULT_CONFIG
    """From the repository's top; of the default branch."""
    store: str | None = None
    """Of the history; None: the history's branch."""
    artifact: str = ARTIFACT
    """Its name without the attempt."""
    file: Path | None = None
    """What the run has left, if it was fetched already."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


def comment_on_fork(
    options: StageOptions, tell: Callable[[str], None], *, github: GitHub | None = None, now: datetime | None = None
) -> None:
    """Judges what the run that has started this job has left, and puts the verdict on its pull requests.

    tell: one line for each thing that was done, or why nothing was. A run that has left nothing is told on the pull
    request as not evaluated. So is one whose results are refused or cannot be judged, which is then raised: InputError,
    StoreError, RemoteError. GitHubError where GitHub cannot be asked or refuses.
    """
    trigger = triggers.read(options.environ)
    why = _why_not_ours(trigger)
    if why is not None:
        tell(f"nothing to do: {why}")
        return
    token = options.environ.get("GITHUB_TOKEN", "")
    github = github or connect(trigger.here.api_url, trigger.here.repository, token)
    pulls = triggers.pulls_of(trigger, github)
    if not pulls:
        tell(f"nothing to do: no open pull request has {short(trigger.situation.head_sha)} as its head")
        return
    _Stage(options=options, trigger=trigger, github=github, tell=tell, now=now or datetime.now(UTC)).comment(pulls)


def _why_not_ours(trigger: Trigger) -> str | None:
    if not trigger.is_of_a_pull_request:
        return f"the run was of the event {trigger.situation.event}"
    if not trigger.is_foreign:
        return "the pull request is of this repository's own branch, whose own run comments"
    return None


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """A run that has ended, and what it is judged by."""

    options: StageOptions
    trigger: Trigger
    github: GitHub
    tell: Callable[[str], None]
    now: datetime

    def comment(self, pulls: list[Pull]) -> None:
        """Puts the verdict, or that there is none, on each of these pull requests."""
        try:
            handed = self._handed()
            self._check_suite(handed)
            with self._history() as (history, place):
                bodies = [self._judged(handed, pull, history, place) for pull in pulls]
        except NothingLeft as fault:
            self.tell(str(fault))
            if self.trigger.conclusion not in NOT_MEANT:
                self._post_nothing(pulls, "its run has left no results", self.trigger.situation.run_url)
        except GitHubError:
            raise
        except EvalgateError as fault:
            self._post_nothing(pulls, _said_of(fault), self.trigger.here.run_url)
            raise
        else:
            for pull, (judged, next_step) in zip(pulls, bodies, strict=True):
                self._told(pull, self._post(pull, judged, next_step), judged.verdict.verdict.value)

    # ---- what there is ------------------------------------------------------------------------------------

    def _handed(self) -> Handed:
        """What the run has left. Raises _Refused where it is not what it has to be."""
        try:
            if self.options.file is None:
                return fetch(self.trigger, self.github, name=self.options.artifact)
            file = self.options.file
            return result_file.read(_content(file), where=str(file))
        except NothingLeft:
            raise
        except InputError as fault:
            raise _Refused(fault.faults) from fault

    def _check_suite(self, handed: Handed) -> None:
        if handed.suite != self.committed.config.suite:
            what = f"the results are of another suite than {self.options.config} on {self.branch} has"
            raise _Refused(Fault(where="the result", what=what))

    @cached_property
    def remote(self) -> Remote:
        return Remote.of(Path.cwd(), self.options.environ)

    @cached_property
    def committed(self) -> Committed:
        """The suite as the default branch has it."""
        return suite_at(self.remote, self.trigger.here.evaluated_sha, self.options.config.as_posix())

    @property
    def evalset(self) -> EvalSet:
        if self.committed.unread is not None or self.committed.evalset is None:
            raise self.committed.unread or InputError("the eval sets of the default branch cannot be read")
        return self.committed.evalset

    @property
    def branch(self) -> str:
        return self.trigger.here.default_branch or "the default branch"

    @contextmanager
    def _history(self) -> Iterator[tuple[History, str]]:
        """The history to compare with, and its name: the store that was named, or the branch in a store of its own."""
        if self.options.store is not None:
            with open_history(self.options.store, create=False) as history:
                yield history, history.place
            return
        with TemporaryDirectory(prefix="evalgate-") as folder:
            store = f"sqlite:///{Path(folder).as_posix()}/history.db"
            branch = Branch(self.remote, self.committed.config.history_branch or DEFAULT_BRANCH)
            pulled = take(branch, store)
            for fault in pulled.skipped:
                self.tell(f"skipped on {pulled.place}: {fault}")
            with open_history(store) as history:
                yield history, f"branch {branch.name}"

    # ---- the verdict --------------------------------------------------------------------------------------

    def _judged(self, handed: Handed, pull: Pull, history: History, name: str) -> tuple[Judged, str | None]:
        """The verdict, and the next step where that is known better than by the verdict."""
        config = self.committed.config
        if handed.run is None:
            assert handed.unrun is not None
            unrun, reason, next_step = _UNRUN[handed.unrun]
            verdict = gate.without_results(unrun, reason, config.rules, suite=config.suite)
            nothing = Run(id="", suite=config.suite, created=self.now, cases=(), results=())
            return Judged(verdict=verdict, run=nothing, baseline_runs=()), next_step
        try:
            base = merged_with(handed.run, self.trigger, self.github)
        except InputError as fault:
            raise _Refused(fault.faults) from fault
        git = _Afar(lambda: self.remote, self.trigger.here.evaluated_sha)
        begin = start(base, pull, self.github, git)
        place = _MergedInto(repository=None, situation=self.trigger.situation, line=git, begin=begin)
        number = f"{self.trigger.situation.run_id}-{self.trigger.situation.run_attempt}"
        config_path = self.options.config.as_posix()
        run = as_known_here(handed.run, self.evalset, id=number, created=self.now, config=config_path)
        against = compared_with(
            run, config.rules, history=history, place=place, pinned=(), exempt=config.exceptions, now=self.now
        )
        if isinstance(against.baseline, Missing):
            # Readers know the branch, not the file that it was put into for a moment.
            reason = against.baseline.reason.replace(history.place, name)
            against = replace(against, baseline=Missing(reason=reason))
        ruling = proposed(self.committed, self.remote, pull, base=left_base(pull, self.github), path=config_path)
        against = replace(against, ruling=ruling)
        return judge(run, with_detectable(run, against), now=self.now), None

    # ---- posting ------------------------------------------------------------------------------------------

    def _post(self, pull: Pull, judged: Judged, next_step: str | None) -> Posted:
        situation, verdict, config = self.trigger.situation, judged.verdict, self.committed.config
        job = model.Job(url=situation.run_url, head=situation.head_sha)
        # Texts stay out whatever the configuration says: those of the baseline may be in the history.
        report = judged.report(next_step=next_step, show_outputs=False, comment=config.comment_when, job=job)
        body = markdown.render(report)
        if judged.run.id:  # else there are no scores
            body = f"{self._banner()}\n{body}"
        shown = VerdictFile(
            suite=config.suite,
            verdict=verdict.verdict,
            exit_code=verdict.exit_code,
            reason=verdict.reason,
            run_id=verdict.run_id,
            commit=verdict.run_commit,
            breaches=(),
            comment=config.comment_when,
            has_changed=has_changed(verdict),
        )
        return post_report(self.github, pull.number, shown, body, situation, self.login)

    def _banner(self) -> str:
        situation = self.trigger.situation
        return foreign.banner(
            whose="a fork" if situation.is_fork else "Dependabot",
            run_url=situation.run_url,
            branch=self.branch,
            commit=self.trigger.here.evaluated_sha,
        )

    def _post_nothing(self, pulls: list[Pull], why: str, log: str) -> None:
        """Says on each pull request that its head was not evaluated: what an earlier comment says is not of it."""
        situation = replace(self.trigger.situation, run_url=log)
        suite, unwanted = self._suite()
        for pull in pulls:
            posted = post_unevaluated(
                self.github,
                pull=pull.number,
                marker=marker_of(suite, situation),
                body=without_verdict(why, situation),
                unwanted=unwanted,
                login=self.login,
            )
            self._told(pull, posted, "not evaluated")

    def _suite(self) -> tuple[str, str]:
        """The suite whose comment it is, empty where that cannot be known; and why no new comment is to be made."""
        try:
            config = self.committed.config
        except EvalgateError:
            return "", ""
        return config.suite, "the configuration says `comment: never`" if config.comment_when == "never" else ""

    def _told(self, pull: Pull, posted: Posted, verdict: str) -> None:
        why = f": {posted.why}" if posted.why else ""
        self.tell(f"#{pull.number}: {verdict}; comment {posted.action.value}{why}")

    @property
    def login(self) -> str:
        return login_of(self.options.environ)


class _Refused(InputError):
    """What the run has left is not what it has to be. The message repeats nothing of it."""


def _said_of(fault: EvalgateError) -> str:
    """What the comment says of it: of faults that may quote this repository's files, only that they are there."""
    if isinstance(fault, _Refused):
        return f"the results of its run were refused ({cell(fault.faults[0].what, limit=300)})"
    return "its results could not be judged"


class _Afar(Distant):
    """The repository as the default branch has it, asked from afar."""

    def __init__(self, remote: Callable[[], Remote], commit: str) -> None:
        super().__init__(remote, commit)
        self._there = remote

    def has_file(self, path: str) -> bool:
        """Whether the default branch has it."""
        return path in self._there().files(str(self.head()), path)


@dataclass(frozen=True, kw_only=True)
class _MergedInto(Place):
    """Where a pull request is to be merged: its line of commits, asked from afar, and where the search begins on it."""

    line: Distant
    begin: str | Lost

    @property
    def git(self) -> Distant:  # type: ignore[override]
        return self.line

    def start_of(self, run: Run) -> str | Lost:
        return self.begin


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputError(Fault(where=str(file), what=f"cannot be read ({error.strerror})")) from error
    if len(content) > MOST_BYTES:
        raise InputError(Fault(where=str(file), what=f"is larger than {MOST_BYTES:,} bytes"))
    return content
