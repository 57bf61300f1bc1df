"""GitHub: is its API there, is the token taken, and may it do what the workflows need?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from evalgate.errors import GitHubError, InputError
from evalgate.github.client import GitHub, connect
from evalgate.github.refusals import RefusedTokenError
from evalgate.github.standing import About, Standing
from evalgate.pipeline.doctor.asked import Asked
from evalgate.pipeline.doctor.check import MEND, UNREACHED, Check, fail, failures, ok, skipped, split, warn
from evalgate.report.numbers import seconds

API_URL = "https://api.github.com"
TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
MOST_SKEW_S = 60.0
"""A clock that is further off makes signatures, tokens and ages wrong."""
FEW = 100
"""Requests left in the hour below which a job may not get through."""

_ADDRESS = re.compile(r"(?:^|[/@])github\.com[:/]([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+?)(?:\.git)?/?$")


def look(asked: Asked) -> list[Check]:
    """Two or three requests that read, with the token that there is."""
    try:
        repository = repository_of(asked)
    except InputError as error:
        return failures("job", error)
    if repository is None:
        return [skipped("token", "this is no job of GitHub Actions, and origin is not on github.com")]
    name = next((name for name in TOKENS if asked.environ.get(name, "").strip()), None)
    if name is None:
        return [_no_token(asked)]
    if asked.is_offline:
        return [skipped("token", f"{name} is set; offline")]
    api_url = asked.environ.get("GITHUB_API_URL", API_URL)
    github = connect(
        api_url, repository, asked.environ[name].strip(), retries=1, backoff_s=0.2, timeout_s=asked.timeout_s
    )
    return _asked(github, name, api_url, asked)


def repository_of(asked: Asked) -> str | None:
    """`owner/name` on GitHub: the job's, else that of `origin`; None where neither says so."""
    if asked.situation is not None:
        return asked.situation.repository
    address = asked.repository.address() if asked.repository else None
    found = _ADDRESS.search(address or "")
    return found[1] if found else None


def _no_token(asked: Asked) -> Check:
    if asked.situation is not None:
        advice = "Give the step: env: {GITHUB_TOKEN: ${{ github.token }}}."
        return warn("token", f"neither {' nor '.join(TOKENS)} is set in this job", advice)
    return skipped("token", f"{TOKENS[0]} is not set: on your own machine nothing needs one")


def _asked(github: GitHub, name: str, api_url: str, asked: Asked) -> list[Check]:
    try:
        standing = github.standing()
    except RefusedTokenError as error:
        what, advice = split(str(error))
        return [fail("token", f"{name}: {what}", f"{advice}. Set {name} anew.", exit_code=MEND)]
    except GitHubError as error:
        return [fail("API", *split(str(error)), exit_code=UNREACHED)]
    checks = [ok("API", f"{api_url} answers, and takes {name}"), _rate(standing), *_clock(standing, asked.now)]
    try:
        about = github.about()
    except GitHubError as error:
        return [*checks, fail("repository", *split(str(error)), exit_code=MEND)]
    return [*checks, *_repository(about, asked), *_rights(github, standing, about, asked)]


def _rate(standing: Standing) -> Check:
    found = f"{standing.remaining:,} of {standing.limit:,} requests left in this hour"
    if standing.remaining < FEW:
        return warn("rate limit", found, f"There are more at {standing.resets:%H:%M} UTC.")
    return ok("rate limit", found)


def _clock(standing: Standing, now: datetime) -> list[Check]:
    if standing.server_time is None:
        return []
    skew_s = (now - standing.server_time).total_seconds()
    if abs(skew_s) > MOST_SKEW_S:
        side = "ahead of" if skew_s > 0 else "behind"
        advice = "Set it right (NTP): the age of baselines is told by it."
        return [warn("clock", f"this machine's clock is {seconds(abs(skew_s))} {side} GitHub's", advice)]
    return [ok("clock", "within a minute of GitHub's")]


def _repository(about: About, asked: Asked) -> list[Check]:
    kind = "private" if about.is_private else "public"
    checks = [ok("repository", f"{about.name}, {kind}, default branch {about.default_branch}")]
    if about.is_archived:
        checks.append(fail("archive", "the repository is archived: nothing can be written", "Unarchive it."))
    config = asked.readable
    if config is not None and config.history_outputs == "full" and config.history_branch and not about.is_private:
        advice = "Write history.outputs: hashes, unless everybody may read what your models answer."
        checks.append(
            warn("outputs", "history.outputs is full, and a public repository publishes its branches", advice)
        )
    if not about.has_issues:
        checks.append(warn("issues", "they are switched off", "The weekly report has only the job's summary then."))
    return checks


def _rights(github: GitHub, standing: Standing, about: About, asked: Asked) -> list[Check]:
    """What the token may do, as far as anything but trying tells it."""
    checks = []
    if standing.scopes is not None and not {"repo", "public_repo"} & set(standing.scopes):
        advice = "Use one with the scope `repo`, or a fine-grained one with the repository's own permissions."
        checks.append(warn("scopes", f"the token has {', '.join(standing.scopes) or 'none'}", advice))
    if about.permissions is not None and asked.situation is None:
        checks.append(_may(about.permissions))
    pull = None if asked.situation is None else asked.situation.pull
    if pull is not None:
        try:
            number = len(github.list_comments(pull))
        except GitHubError as error:
            return [*checks, fail("comments", *split(str(error)), exit_code=MEND)]
        found = f"{number} on pull request {pull} can be read; whether one can be written is seen only by writing"
        checks.append(ok("comments", found))
    return checks


def _may(permissions: Mapping[str, bool]) -> Check:
    granted = [name for name, is_granted in permissions.items() if is_granted]
    if "push" not in granted:
        advice = "Enough to read the history; comments, issues and the branch are written by the jobs' own tokens."
        return warn("rights", f"the token's owner may {', '.join(granted) or 'nothing'} here", advice)
    return ok("rights", f"the token's owner may {', '.join(granted)}")
