"""One sticky issue for the weekly report: made once, then edited, so that a repository has one and not fifty.

Knows issues and finished texts; not what is getting worse.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import unquote

from evalgate.github.answers import Issue
from evalgate.github.client import GitHub
from evalgate.github.marked import BOT, marked, newer, quoted
from evalgate.github.refusals import NotFoundError, TooLongError

_MARKER = re.compile(
    r"<!-- evalgate:v1 weekly=(?P<key>\S*) run=(?P<run>[0-9]{1,18}) attempt=(?P<attempt>[0-9]{1,9})"
    r" at=(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z) -->"
)
_AT = "%Y-%m-%dT%H:%M:%SZ"


class Done(StrEnum):
    """What became of the issue."""

    CREATED = "created"
    EDITED = "edited"
    EDITED_CLOSED = "edited, and left closed"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """What was done, and where it can be read."""

    done: Done
    url: str
    why: str = ""
    """One sentence where it was skipped or shortened."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Marker:
    """The first line of the issue, invisible to readers: whose it is and how new."""

    key: str
    """Tells apart the reports of several configurations in one repository; empty: there is one for all."""
    run_id: int
    run_attempt: int
    at: datetime
    """UTC, whole seconds."""

    @property
    def age(self) -> tuple[int, int]:
        """Grows with every run and re-run of a repository."""
        return self.run_id, self.run_attempt

    def __str__(self) -> str:
        age = f"run={self.run_id} attempt={self.run_attempt}"
        return f"<!-- evalgate:v1 weekly={quoted(self.key)} {age} at={self.at:{_AT}} -->"

    @staticmethod
    def of(body: str) -> Marker | None:
        """The marker that an issue starts with; None where there is none."""
        found = _MARKER.match(body)
        if found is None:
            return None
        try:
            at = datetime.strptime(found["at"], _AT).replace(tzinfo=UTC)
        except ValueError:
            return None
        return Marker(key=unquote(found["key"]), run_id=int(found["run"]), run_attempt=int(found["attempt"]), at=at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Own:
    """An issue of ours."""

    issue: Issue
    marker: Marker


def ours(github: GitHub, key: str, *, login: str = BOT) -> list[Own]:
    """Our issues with this key, open or closed, oldest first. A marker that somebody copied makes no issue ours."""
    found = [
        Own(issue=issue, marker=marker)
        for issue in github.list_issues(login)
        if issue.author == login and (marker := Marker.of(issue.body)) is not None and marker.key == key
    ]
    return sorted(found, key=lambda own: own.issue.number)


def keep(
    github: GitHub,
    found: Sequence[Own],
    *,
    marker: Marker,
    title: str,
    body: str,
    short_body: str,
    is_urgent: bool,
    labels: Sequence[str] = (),
    login: str = BOT,
) -> Kept:
    """Puts `body` into the one issue.

    found: what `ours` gave. Of open ones the oldest is edited and the others, which a race has left, are closed.
    Where somebody has closed it, it stays closed and is kept up to date, until something is to be looked at
    (`is_urgent`): then there is a new one, which people are told of. An older run never overwrites a newer one.
    body: Markdown, everything hostile escaped, of at most 60,000 bytes. Raises GitHubError.
    """
    why = newer((own.marker.age for own in found), marker.age)
    if why:
        return Kept(done=Done.SKIPPED, url=found[-1].issue.url, why=why)
    texts = [marked(marker, text) for text in (body, short_body)]
    for own in _to_edit(found, is_urgent):
        try:
            kept = _edited(github, own, title, texts)
        except NotFoundError:
            continue  # deleted, or moved to another repository, between our look and our edit
        _close_others(github, found, own.issue.number)
        return kept
    return _created(github, marker, title, texts, labels, login)


def _to_edit(found: Sequence[Own], is_urgent: bool) -> list[Own]:
    """The issues that may be edited, the first choice first."""
    opened = [own for own in found if own.issue.is_open]
    closed = [own for own in reversed(found) if not own.issue.is_open]
    return [*opened, *([] if is_urgent else closed)]


def _edited(github: GitHub, own: Own, title: str, texts: Sequence[str]) -> Kept:
    why = ""
    try:
        issue = github.edit_issue(own.issue.number, title=title, body=texts[0])
    except TooLongError:
        issue = github.edit_issue(own.issue.number, title=title, body=texts[1])
        why = _SHORTENED
    return Kept(done=Done.EDITED if issue.is_open else Done.EDITED_CLOSED, url=issue.url, why=why)


_SHORTENED = "GitHub refused the whole report as too long; the issue holds the short one"


def _created(
    github: GitHub, marker: Marker, title: str, texts: Sequence[str], labels: Sequence[str], login: str
) -> Kept:
    why = ""
    try:
        issue = github.create_issue(title, texts[0], labels)
    except TooLongError:
        issue, why = github.create_issue(title, texts[1], labels), _SHORTENED
    if issue.author != login:
        why = (
            f"the issue was written as {issue.author}, so the next run will not find it; set comment-login to that name"
        )
        return Kept(done=Done.CREATED, url=issue.url, why=why)
    # A retried POST, or another run at the same moment, may have made one more: the oldest stays.
    opened = [own for own in ours(github, marker.key, login=login) if own.issue.is_open]
    first = opened[0].issue if opened else issue
    if opened and opened[0].marker.age < marker.age:
        first = github.edit_issue(first.number, title=title, body=texts[1 if why else 0])
    _close_others(github, [own for own in opened if own.marker.age <= marker.age], first.number)
    return Kept(done=Done.CREATED, url=first.url, why=why)


def _close_others(github: GitHub, found: Sequence[Own], number: int) -> None:
    for own in found:
        if own.issue.is_open and own.issue.number != number:
            github.close_issue(own.issue.number)
