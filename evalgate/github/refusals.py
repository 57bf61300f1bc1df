"""What GitHub's refusals mean: which can be waited out, and what to tell of the others. Sends nothing itself."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from evalgate.errors import GitHubError

if TYPE_CHECKING:
    import requests

LONGEST_WAIT_S = 300.0
"""What a request may wait for rate limits in all: a job that comments has minutes, not an hour."""
_SECONDARY_WAIT_S = 60.0
"""What GitHub asks to wait, and to double, where a secondary limit's answer names no time.
Source: docs.github.com, "Rate limits for the REST API", section on exceeding them."""
_SAID = 300
"""Characters of GitHub's own message that are repeated in ours."""


class NotFoundError(GitHubError):
    """What was asked for is gone, or this token must not see it."""


class TooLongError(GitHubError):
    """GitHub refuses the text because of its length."""


class LockedError(GitHubError):
    """The conversation is locked: nothing can be written there."""


class RefusedTokenError(GitHubError):
    """GitHub does not take the token: it is wrong, revoked or has expired."""


class SwitchedOffError(GitHubError):
    """The repository has no issues: they are switched off in its settings."""


def limit_wait(answer: requests.Response, *, tries: int, now: float) -> float | None:
    """Seconds until a request that ran into a rate limit may be sent again; None where the answer is no such limit.

    tries: how often it has been waited for already. now: seconds since 1970. A primary limit comes as 403 or 429 with
    nothing remaining, a secondary one as 403, 429, or, for comments made too quickly, 422, with or without Retry-After.
    """
    if answer.status_code not in (403, 422, 429):
        return None
    after = answer.headers.get("retry-after", "")
    if after.isdecimal() and answer.status_code != 422:
        return float(after)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and answer.status_code != 422:
        return max(0.0, int(reset) - now) + 1.0 if reset.isdecimal() else math.inf
    text = said(answer).lower()
    is_secondary = "secondary rate limit" in text or "abuse detection" in text or "submitted too quickly" in text
    return _SECONDARY_WAIT_S * 2**tries if is_secondary or answer.status_code == 429 else None


def refusal(method: str, path: str, answer: requests.Response) -> GitHubError:
    """What is told of an answer that is none, with what to do about it."""
    told = said(answer)
    status = answer.status_code
    start = f"GitHub answered {status} to {method} {path}" + (f" ({told})" if told else "")
    if status == 404 or (status == 422 and "no commit found" in told.lower()):
        return NotFoundError(f"{start}. Check that it still exists and that the token may see it")
    if status == 410 and path.startswith("/issues") and "deleted" not in told.lower():
        return SwitchedOffError(f"{start}. Switch them on under Settings > General > Features, or do without the issue")
    if status == 410:
        return NotFoundError(f"{start}. It has expired, or was deleted")
    if status == 422 and "too long" in answer.text.lower():
        return TooLongError(start)
    if 300 <= status < 400:
        return GitHubError(f"{start}: the repository has moved. Use its present name")
    if status == 401:
        return RefusedTokenError(f"{start}. The token is wrong or has expired")
    if status == 429 or (
        status == 403 and (answer.headers.get("x-ratelimit-remaining") == "0" or "rate limit" in told.lower())
    ):
        return GitHubError(f"{start}. The rate limit is used up; run the job again later")
    if status == 403 and "locked" in told.lower():
        return LockedError(f"{start}: the conversation is locked, so nothing is written there")
    if status == 403:
        return GitHubError(f"{start}. {_lacking(path)}")
    return GitHubError(start)


def _lacking(path: str) -> str:
    """What the job has to be permitted for this request."""
    if not path or path == "/rate_limit":
        return "The token may not see this repository"
    if re.fullmatch(r"/issues(/\d+)?", path):
        return "The job needs `permissions: {issues: write}`"
    needed = "checks: write" if path.startswith("/check-runs") else "pull-requests: write"
    return f"The job needs `permissions: {{{needed}}}`; pull requests from forks and from Dependabot never get it"


def said(answer: requests.Response) -> str:
    """GitHub's own words, on one line; empty where it is no JSON (a proxy's HTML page says nothing useful)."""
    try:
        body = answer.json()
    except ValueError:
        return ""
    message = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(message or "").split())[:_SAID]


def silence(what: str, fault: Exception) -> GitHubError:
    """What is told where nobody answers."""
    return GitHubError(f"{what}: {type(fault).__name__}. Check the network, proxies, and githubstatus.com")
