"""From finished report files to the pull request: whose comment, for which commit, and whether at all.

Knows files, the situation and GitHub; the texts were written, and escaped, elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from evalgate.errors import Fault, InputError
from evalgate.github import event
from evalgate.github.client import GitHub, connect
from evalgate.github.comment import BOT, Action, Posted, post
from evalgate.github.verdict_file import VerdictFile, read_text, read_verdict

MAX_COMMENT = 60_000
"""Characters. GitHub stops at 65,536 of some unit; the rest is room for the marker."""

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


def comment_from_files(
    verdict: Path,
    markdown: Path | None = None,
    *,
    environ: Mapping[str, str],
    token: str | None = None,
    login: str | None = None,
    github: GitHub | None = None,
) -> Posted:
    """Puts a verdict on the pull request that this job belongs to, as the suite's one sticky comment.

    verdict: a file `evalgate.verdict/1`. markdown: its report, as `--write markdown=FILE` gives it; without it, or
    where it is over 60,000 characters, the comment has the verdict's name and a link to the job.
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
    found = read_verdict(verdict)
    _check_commit(found, situation, verdict)
    report = None if markdown is None else read_text(markdown)
    if situation.is_fork or situation.is_dependabot:
        who = "a fork" if situation.is_fork else "Dependabot"
        return Posted(action=Action.SKIPPED, why=f"pull requests from {who} get no token that can write comments")
    if github is None:
        github = connect(situation.api_url, situation.repository, token or environ.get("GITHUB_TOKEN", ""))
    short = short_report(found, situation)
    return post(
        github,
        pull=situation.pull,
        suite=found.suite,
        body=short if report is None or len(report) > MAX_COMMENT else report,
        short_body=short,
        head_sha=situation.head_sha,
        run_id=situation.run_id,
        run_attempt=situation.run_attempt,
        login=login or environ.get("EVALGATE_COMMENT_LOGIN") or BOT,
    )


def short_report(verdict: VerdictFile, situation: event.Situation | None) -> str:
    """The verdict in two lines of Markdown for where the report does not fit. Holds no word that a user wrote."""
    rest = f"[in the job's log and files]({situation.run_url})" if situation else "in the job's log and files"
    first = f"**evalgate: {verdict.verdict}** (exit code {verdict.exit_code})"
    return f"{first}\n\nThe whole report does not fit here; it is {rest}.\n"


def _check_commit(verdict: VerdictFile, situation: event.Situation, file: Path) -> None:
    commit = verdict.commit
    if commit is None or not _COMMIT.fullmatch(commit):
        return
    if not any(sha.startswith(commit) for sha in (situation.evaluated_sha, situation.head_sha)):
        what = f"is a verdict on commit {commit[:10]}, but this job is about {situation.head_sha[:10]}"
        raise InputError(Fault(where=str(file), what=what, hint="Pass the file that this workflow run has written."))
