"""One sticky comment a suite on a pull request: made once, then edited; never by an older run over a newer one.

Knows the pull request and finished texts; not what a verdict means.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from urllib.parse import unquote

from evalgate.github.answers import Comment
from evalgate.github.client import GitHub
from evalgate.github.marked import BOT, marked, newer, quoted
from evalgate.github.refusals import LockedError, NotFoundError, TooLongError
from evalgate.records import short

_MARKER = re.compile(
    r"<!-- evalgate:v1 suite=(?P<suite>\S*) head=(?P<head>[0-9a-f]{40,64}) run=(?P<run>[0-9]{1,18})"
    r" attempt=(?P<attempt>[0-9]{1,9})(?: workflow=(?P<workflow>\S+))? -->"
)


class Action(StrEnum):
    """What became of a comment."""

    CREATED = "created"
    EDITED = "edited"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Posted:
    """What was done on the pull request, and why not more."""

    action: Action
    why: str = ""
    """One sentence where the comment was skipped, shortened, or written under an unexpected name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Marker:
    """The first line of a comment, invisible to readers: whose it is and how new."""

    suite: str
    """Empty where a job ended before it was known."""
    head_sha: str
    run_id: int
    run_attempt: int
    workflow: str | None = None
    """The workflow that wrote it; None where it is not known."""

    @property
    def age(self) -> tuple[int, int]:
        """Grows with every run and re-run of a repository."""
        return self.run_id, self.run_attempt

    def __str__(self) -> str:
        workflow = f" workflow={quoted(self.workflow)}" if self.workflow else ""
        age = f"run={self.run_id} attempt={self.run_attempt}"
        return f"<!-- evalgate:v1 suite={quoted(self.suite)} head={self.head_sha} {age}{workflow} -->"

    @staticmethod
    def of(body: str) -> Marker | None:
        """The marker that a comment starts with; None where there is none."""
        found = _MARKER.match(body)
        if found is None:
            return None
        return Marker(
            suite=unquote(found["suite"]),
            head_sha=found["head"],
            run_id=int(found["run"]),
            run_attempt=int(found["attempt"]),
            workflow=unquote(found["workflow"]) if found["workflow"] else None,
        )


def post(
    github: GitHub,
    *,
    pull: int,
    marker: Marker,
    body: str,
    short_body: str,
    unwanted: str = "",
    login: str = BOT,
) -> Posted:
    """Puts `body` into the suite's one comment: edits it, or creates it where there is none.

    body: Markdown with everything hostile escaped, capped by whoever wrote it. In which unit GitHub counts its limit
    is not documented, so a refusal of the length is answered with `short_body`.
    marker: of the run that is reported. Nothing is written where the pull request has moved on to another head, or a
    newer run has already written. unwanted: why no comment is made where there is none; one that is there is kept up to
    date all the same, since it would speak for a commit that it is not about.
    login: who this token writes as. Only comments of this author with our marker are touched.

    GitHub has no conditional edit: two runs that write within the same second may leave the older text. A concurrency
    group in the workflow closes that gap. Raises GitHubError.
    """
    texts = _Texts(marker=marker, body=body, short_body=short_body)
    mine = _mine(github, pull, login, lambda other: other.suite == marker.suite or _is_left_by(other, marker))
    obstacle = newer((own.marker.age for own in mine), marker.age) or _moved_on(github, pull, marker.head_sha)
    if obstacle:
        return Posted(action=Action.SKIPPED, why=obstacle)
    try:
        if mine:
            try:
                is_short = texts.write(lambda body: github.edit_comment(mine[0].id, body))
            except NotFoundError:
                pass  # Somebody removed it between our look and our edit: make a new one.
            else:
                for extra in mine[1:]:
                    github.delete_comment(extra.id)
                return Posted(action=Action.EDITED, why=_SHORTENED if is_short else "")
        return Posted(action=Action.SKIPPED, why=unwanted) if unwanted else _create(github, pull, texts, login)
    except LockedError as fault:
        return Posted(action=Action.SKIPPED, why=str(fault))


def post_unevaluated(
    github: GitHub, *, pull: int, marker: Marker, body: str, unwanted: str = "", login: str = BOT
) -> Posted:
    """Says on a pull request that a run has no verdict, so that no comment of an earlier push speaks for its head.

    Where `marker` names no suite, all comments that its workflow has written on this pull request get the body, but
    for those that this very run has written; where there is none, one is made, which the next verdict takes over.
    The rest as `post`.
    """
    if marker.suite:
        return post(github, pull=pull, marker=marker, body=body, short_body=body, unwanted=unwanted, login=login)
    mine = _mine(github, pull, login, lambda other: other.workflow in (marker.workflow, None))
    obstacle = _moved_on(github, pull, marker.head_sha)
    older = [own for own in mine if own.marker.age < marker.age]
    if not obstacle and mine and not older:
        obstacle = "this run, or a newer one, has already reported"
    if obstacle:
        return Posted(action=Action.SKIPPED, why=obstacle)
    try:
        for own in older:
            # Of whose workflow nobody knows may be newer than it looks: its own next report is to come through.
            age = marker if own.marker.workflow is not None else own.marker
            kept = replace(marker, suite=own.marker.suite, run_id=age.run_id, run_attempt=age.run_attempt)
            texts = _Texts(marker=kept, body=body, short_body=body)
            with suppress(NotFoundError):
                texts.write(partial(github.edit_comment, own.id))
        if older:
            return Posted(action=Action.EDITED)
        texts = _Texts(marker=marker, body=body, short_body=body)
        return Posted(action=Action.SKIPPED, why=unwanted) if unwanted else _create(github, pull, texts, login)
    except LockedError as fault:
        return Posted(action=Action.SKIPPED, why=str(fault))


_SHORTENED = "GitHub refused the whole report as too long; the comment holds the short one"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Texts:
    marker: Marker
    body: str
    short_body: str

    def write(self, put: Callable[[str], None]) -> bool:
        """Puts the whole text, or where GitHub refuses its length the short one; True if it was the short one."""
        try:
            put(marked(self.marker, self.body))
        except TooLongError:
            put(marked(self.marker, self.short_body))
            return True
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Own:
    """A comment of ours for this suite."""

    id: int
    marker: Marker


def _mine(github: GitHub, pull: int, login: str, is_meant: Callable[[Marker], bool]) -> list[_Own]:
    """Our comments that are meant: those of a suite first, oldest first. A marker that somebody else copied does not
    make a comment ours."""
    found = [
        _Own(id=comment.id, marker=marker)
        for comment in github.list_comments(pull)
        if comment.author == login and (marker := Marker.of(comment.body)) is not None and is_meant(marker)
    ]
    return sorted(found, key=lambda own: (not own.marker.suite, own.id))


def _is_left_by(other: Marker, marker: Marker) -> bool:
    """Whether it was written by an earlier run of the same workflow that ended before its suite was known."""
    return not other.suite and other.workflow == marker.workflow and other.age < marker.age


def _moved_on(github: GitHub, pull: int, head_sha: str) -> str:
    """Why the pull request's present head forbids to write; empty where it does not."""
    present = github.pull(pull).head_sha
    if present == head_sha:
        return ""
    return f"the pull request has moved on from {short(head_sha)} to {short(present)}"


def _create(github: GitHub, pull: int, texts: _Texts, login: str) -> Posted:
    created: list[Comment] = []
    is_short = texts.write(lambda body: created.append(github.create_comment(pull, body)))
    author = created[0].author
    if author != login:
        why = f"the comment was written as {author}, so the next run will not find it; set comment-login to that name"
        return Posted(action=Action.CREATED, why=why)
    # A retried POST, or another run, may have created one at the same moment. The oldest stays. Only runs whose
    # comment is not the oldest act, so two of them never remove each other's.
    mine = _mine(github, pull, login, lambda other: other.suite == texts.marker.suite)
    ours = [own for own in mine[1:] if own.marker == texts.marker]
    if ours and mine[0].marker.age < texts.marker.age:
        texts.write(lambda body: github.edit_comment(mine[0].id, body))
    for own in ours:
        github.delete_comment(own.id)
    return Posted(action=Action.CREATED, why=_SHORTENED if is_short else "")
