"""From finished report files to the pull request: whose comment, for which commit, and whether at all.

Knows files, the situation and GitHub; the texts were written, and escaped, elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from evalgate.errors import Fault, InputError
from evalgate.github import event
from evalgate.github.briefs import Ended, JobResult, short_report, unevaluated_report
from evalgate.github.checks import check_unevaluated, check_verdict, read_annotations
from evalgate.github.client import GitHub, connect
from evalgate.github.comment import Action, Marker, Posted, post, post_unevaluated
from evalgate.github.marked import login_of
from evalgate.github.verdict_file import VerdictFile, read_text, read_verdict
from evalgate.records import short

MAX_COMMENT = 60_000
"""Bytes of UTF-8, marker included: no way of counting characters gives more. GitHub stops at 65,536 of some unit."""
_MARKER_ROOM = 3_000
"""Bytes that a marker may take: a suite's name of 200 characters, written in hexadecimal."""

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def comment_from_files(
    verdict: Path,
    markdown: Path | None = None,
    *,
    environ: Mapping[str, str],
    ended: Ended | None = None,
    check: bool = False,
    annotations: Path | None = None,
    token: str | None = None,
    login: str | None = None,
    github: GitHub | None = None,
) -> Posted:
    """Puts a verdict on the pull request that this job belongs to, as the suite's one sticky comment.

    verdict: a file `evalgate.verdict/1`. markdown: its report, as `--write markdown=FILE` gives it; without it, or
    where it does not fit into 60,000 characters, the comment has the verdict's name and a link to the job.
    ended: makes an absent verdict file no fault: the comment then says that this commit was not evaluated. An
    unreadable one is told in the same way, and raised. check: makes a check run, too, whatever becomes of the comment.
    annotations: what it shows at the lines of cases, as the Action's step has left it; absent ones are none.
    token: default GITHUB_TOKEN of `environ`. login: who it writes as, default EVALGATE_COMMENT_LOGIN, else the job's
    own bot. github: default the one that `environ` names.
    Forks and Dependabot get no token that can write: skipped, and said. Raises InputError for bad files, outside pull
    requests, and for a verdict on another commit; GitHubError where GitHub refuses.
    """
    situation = event.read(environ)
    if situation is None or situation.pull is None:
        where = "GitHub Actions" if situation is None else f"a pull request (the event is {situation.event})"
        hint = "Only a job of the event pull_request knows which pull request to write to."
        raise InputError(Fault(where="evalgate comment", what=f"this is not {where}", hint=hint))
    found, report, fault = _read(verdict, markdown, situation, ended)
    if situation.is_fork or situation.is_dependabot:
        if fault is not None:
            raise fault
        who = "a fork" if situation.is_fork else "Dependabot"
        return Posted(action=Action.SKIPPED, why=f"pull requests from {who} get no token that can write comments")
    if github is None:
        github = connect(situation.api_url, situation.repository, token or environ.get("GITHUB_TOKEN", ""))
    login = login or login_of(environ)
    if found is not None:
        notes = read_annotations(annotations) if check and annotations is not None and annotations.exists() else []
        posted = post_report(github, situation.pull, found, report, situation, login)
        if check:
            check_verdict(github, found, report, situation=situation, annotations=notes)
        return posted
    assert ended is not None
    posted = _post_unevaluated(github, situation.pull, ended, situation, login)
    if check:
        check_unevaluated(github, ended, situation=situation)
    if fault is not None:
        raise fault
    return posted


def _post_unevaluated(github: GitHub, pull: int, ended: Ended, situation: event.Situation, login: str) -> Posted:
    return post_unevaluated(
        github,
        pull=pull,
        marker=marker_of("", situation),
        body=unevaluated_report(ended, situation),
        unwanted="the job was skipped, and there is no comment" if ended.result is JobResult.SKIPPED else "",
        login=login,
    )


def _read(
    verdict: Path, markdown: Path | None, situation: event.Situation, ended: Ended | None
) -> tuple[VerdictFile | None, str | None, InputError | None]:
    """The verdict and its report, or what is wrong with them; all None where there is no file and need not be one."""
    if ended is not None and not verdict.exists():
        return None, None, None
    try:
        found = read_verdict(verdict)
        _check_commit(found, situation, verdict)
        return found, None if markdown is None else read_text(markdown), None
    except InputError as fault:
        if ended is None:
            raise
        return None, None, fault


def post_report(
    github: GitHub, pull: int, verdict: VerdictFile, report: str | None, situation: event.Situation, login: str
) -> Posted:
    """Puts a verdict on a pull request. report: Markdown; None, or too long: the verdict's name and a link to the job.

    situation: where the run stood that is reported, whoever reports it. Raises GitHubError.
    """
    short = short_report(verdict, situation)
    fits = report is not None and len(report.encode()) <= MAX_COMMENT - _MARKER_ROOM
    return post(
        github,
        pull=pull,
        marker=marker_of(verdict.suite, situation),
        body=report if report is not None and fits else short,
        short_body=short,
        unwanted=verdict.unwanted,
        login=login,
    )


def marker_of(suite: str, situation: event.Situation) -> Marker:
    """The comment's first line. suite: empty where it is not known."""
    return Marker(
        suite=suite,
        head_sha=situation.head_sha,
        run_id=situation.run_id,
        run_attempt=situation.run_attempt,
        workflow=situation.workflow,
    )


def _check_commit(verdict: VerdictFile, situation: event.Situation, file: Path) -> None:
    commit = verdict.commit
    if commit is None or not _COMMIT.fullmatch(commit):
        return
    if not any(sha.startswith(commit) for sha in (situation.evaluated_sha, situation.head_sha)):
        what = f"is a verdict on commit {short(commit)}, but this job is about {short(situation.head_sha)}"
        raise InputError(Fault(where=str(file), what=what, hint="Pass the file that this workflow run has written."))
