"""The weekly report on GitHub: one issue of the repository, kept up to date by a scheduled job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from evalgate.errors import Fault, InputError
from evalgate.github import event
from evalgate.github.client import GitHub, connect
from evalgate.github.event import Situation
from evalgate.github.issue import Kept, Marker, keep, ours
from evalgate.github.marked import login_of
from evalgate.history.git import Repository
from evalgate.pipeline.load import DEFAULT_CONFIG
from evalgate.records import SuiteTrend
from evalgate.report.escape import plain
from evalgate.report.trend import render_within

TITLE = "evalgate: weekly report"
MOST_BYTES = 57_000
"""Of the report; with the marker and the last lines at most 60,000. GitHub stops at 65,536 of some unit."""
LATE = timedelta(days=10)
"""A report that comes so long after the one before says that one was left out."""


def keep_issue(
    trends: Sequence[SuiteTrend],
    *,
    suites: Sequence[str],
    config: Path | None,
    since: datetime | None,
    now: datetime,
    environ: Mapping[str, str],
    labels: Sequence[str] = (),
    github: GitHub | None = None,
) -> Kept:
    """Puts the report into the one issue that this repository has for it.

    suites: as they were asked for; config: the file, None for the default one. Reports of other suites or of another
    configuration have an issue of their own. github: default the one that `environ` names, with GITHUB_TOKEN.
    Raises InputError outside GitHub Actions and in a pull request's job; GitHubError where GitHub refuses.
    """
    situation = _situation(environ)
    if github is None:
        github = connect(situation.api_url, situation.repository, environ.get("GITHUB_TOKEN", ""))
    login = login_of(environ)
    key = ",".join(sorted(suites)) or _name_of(config)
    found = ours(github, key, login=login)
    before = max((own.marker.at for own in found), default=None)
    is_late = before is not None and now - before > LATE
    note = f"No report was made for {(now - before).days} days before this one." if before and is_late else ""
    last = _last_lines(situation, before)
    report = render_within(trends, since=since, now=now, limit=MOST_BYTES, note=note)
    return keep(
        github,
        found,
        marker=Marker(
            key=key, run_id=situation.run_id, run_attempt=situation.run_attempt, at=now.replace(microsecond=0)
        ),
        title=f"{TITLE} ({plain(key, limit=100)})" if key else TITLE,
        body=f"{report}\n{last}",
        short_body=f"The whole report does not fit here; it is in the summary of the job.\n\n{last}",
        is_urgent=is_late or any(trend.looks for trend in trends),
        labels=labels,
        login=login,
    )


def _situation(environ: Mapping[str, str]) -> Situation:
    situation = event.read(environ)
    if situation is None:
        hint = "Leave it out elsewhere; `--format markdown` gives the text."
        raise InputError(Fault(where="--issue", what="this is no job of GitHub Actions", hint=hint))
    if situation.pull is not None or situation.event == "merge_group":
        hint = "Put it into a workflow `on: schedule`, as `evalgate init --github` writes it."
        what = f"a job of the event {situation.event} speaks for a change, not for the default branch"
        raise InputError(Fault(where="--issue", what=what, hint=hint))
    return situation


def _name_of(config: Path | None) -> str:
    """The configuration's path from the repository's top; empty for the one that most repositories have."""
    file = (config or DEFAULT_CONFIG).absolute()
    top = Repository(file.parent).top()
    name = file.relative_to(top).as_posix() if top is not None and file.is_relative_to(top) else file.name
    return "" if name == DEFAULT_CONFIG.as_posix() else name


def _last_lines(situation: Situation, before: datetime | None) -> str:
    earlier = f"; the report before it was of {before:%Y-%m-%d}" if before else ""
    return (
        f"---\nKept up to date by [this job]({situation.run_url}){earlier}. Where the date at the top is more than a "
        "week old, the job no longer runs: in public repositories GitHub switches schedules off after 60 days without "
        "activity, and they are switched on again under Actions.\n"
    )
