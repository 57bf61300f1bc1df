"""The few requests that evalgate makes of GitHub, as raw JSON over github3.py's session.

github3's objects are not used: they refuse answers that lack a key, a comment by a deleted user ends a whole
listing, a moved repository turns a POST into a GET that looks like success, and nothing is ever tried again.
Knows requests and answers; what is worth writing is decided by its callers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from evalgate.errors import GitHubError
from evalgate.github.answers import (
    Artifact,
    Comment,
    Issue,
    Pull,
    artifacts_of,
    comment_of,
    issue_of,
    pull_of,
    reading,
    unreadable,
)
from evalgate.github.refusals import LONGEST_WAIT_S, NotFoundError, limit_wait, refusal, silence
from evalgate.github.standing import About, Standing, about_of, standing_of
from evalgate.records import Json

if TYPE_CHECKING:
    import requests
    import urllib3

API_VERSION = "2022-11-28"
_PAGE = 100
_LONGEST_RETRY_S = 120.0


class GitHub(Protocol):
    """What evalgate needs of GitHub. Every method raises GitHubError where GitHub refuses or does not answer."""

    def pull(self, number: int) -> Pull:
        """The pull request of this number."""

    def list_comments(self, pull: int) -> list[Comment]:
        """Every comment of a pull request, oldest first."""

    def create_comment(self, pull: int, body: str) -> Comment:
        """The comment as GitHub keeps it. Raises TooLongError where the body is too long."""

    def edit_comment(self, comment: int, body: str) -> None:
        """Gives a comment another body. Raises NotFoundError where it is gone, TooLongError as above."""

    def delete_comment(self, comment: int) -> None:
        """Removes a comment; one that is gone already is no error."""

    def create_check(self, name: str, head_sha: str, output: Json, *, conclusion: str, url: str) -> int:
        """A finished check run on a commit; its id. output: as GitHub describes it. url: where the details are."""

    def add_to_check(self, check: int, output: Json) -> None:
        """Gives a check run more annotations; the rest of its output as it is here."""

    def artifacts_of(self, run_id: int) -> list[Artifact]:
        """What one workflow run has left, expired ones too, newest first."""

    def download(self, artifact: int, *, most_bytes: int) -> bytes:
        """An artifact's zip. Raises NotFoundError where it is gone, GitHubError where it is larger than that."""

    def pulls_from(self, owner: str, branch: str) -> list[Pull]:
        """The open pull requests whose head is this branch of this owner's repository."""

    def pulls_with(self, commit: str) -> list[Pull]:
        """The pull requests, closed ones too, that have this commit. Raises NotFoundError where there is no commit."""

    def parents(self, commit: str) -> list[str]:
        """A commit's parents, the first one first. Raises NotFoundError where there is no such commit."""

    def merge_base(self, base: str, head: str) -> str:
        """The commit at which two commits, branches of this repository or commits of its forks, have parted."""

    def list_issues(self, creator: str) -> list[Issue]:
        """Every issue that this login has opened, closed ones too, oldest first; no pull requests."""

    def create_issue(self, title: str, body: str, labels: Sequence[str] = ()) -> Issue:
        """The issue as GitHub keeps it. Raises TooLongError, SwitchedOffError."""

    def edit_issue(self, number: int, *, title: str, body: str) -> Issue:
        """Gives an issue another title and body; its state and its labels stay. Raises NotFoundError, TooLongError."""

    def close_issue(self, number: int) -> None:
        """Closes an issue as one too many; one that is gone already is no error."""

    def standing(self) -> Standing:
        """How the token stands; costs nothing of the rate limit. Raises RefusedTokenError where it is not taken."""

    def about(self) -> About:
        """What there is to know of the repository."""


def connect(
    api_url: str,
    repository: str,
    token: str,
    *,
    retries: int = 5,
    backoff_s: float = 1.0,
    timeout_s: float = 30,
    sleep: Callable[[float], object] = time.sleep,
) -> GitHub:
    """The GitHub of one repository.

    api_url: as GITHUB_API_URL gives it, for github.com and for GitHub Enterprise alike.
    retries: how often a request is repeated after a dropped connection or 5xx; the waits grow from `backoff_s` seconds.
    A repeated POST may write twice: callers look for what they wrote. Rate limits are slept out as GitHub asks, as
    often at most, and for five minutes in all: one that lasts longer is told at once.
    timeout_s: how long one attempt may be silent.
    """
    if not token:
        raise GitHubError(
            "no token for GitHub. Set GITHUB_TOKEN to the job's token: `env: {GITHUB_TOKEN: ${{ github.token }}}`"
        )
    import github3
    from requests.adapters import HTTPAdapter

    session = github3.GitHub(token=token, api_version=API_VERSION).session
    # github3 asks for a media type of the old API, which GitHub's description does not know.
    session.headers["Accept"] = "application/vnd.github+json"
    session.headers["User-Agent"] = "evalgate"
    session.default_read_timeout = timeout_s
    session.default_connect_timeout = min(10, timeout_s)
    adapter = HTTPAdapter(max_retries=_patience(retries, backoff_s))
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    root = f"{api_url.rstrip('/')}/repos/{repository}"
    return _RestGitHub(session=session, adapter=adapter, root=root, retries=retries, sleep=sleep)


def _patience(retries: int, backoff_s: float) -> urllib3.Retry:
    import urllib3

    class Patience(urllib3.Retry):
        # Rate limits, which come as 403 too, are waited for by `_sent`: whether one is, its text may have to say.
        RETRY_AFTER_STATUS_CODES = frozenset({503})

        def get_retry_after(self, response: urllib3.BaseHTTPResponse) -> float | None:
            wait_s = super().get_retry_after(response)
            return None if wait_s is None else min(wait_s, _LONGEST_RETRY_S)

    return Patience(
        total=retries,
        redirect=0,
        backoff_factor=backoff_s,
        backoff_max=_LONGEST_RETRY_S,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods=None,
        raise_on_status=False,
        raise_on_redirect=False,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _RestGitHub:
    session: Any
    adapter: Any
    """Its patience, for hosts that are not told the token."""
    root: str
    retries: int
    sleep: Callable[[float], object]

    def pull(self, number: int) -> Pull:
        return pull_of(self._json("GET", f"/pulls/{number}"))

    def list_comments(self, pull: int) -> list[Comment]:
        return [comment_of(row) for row in self._pages(f"/issues/{pull}/comments", {})]

    def create_comment(self, pull: int, body: str) -> Comment:
        return comment_of(self._json("POST", f"/issues/{pull}/comments", json={"body": body}))

    def edit_comment(self, comment: int, body: str) -> None:
        self._json("PATCH", f"/issues/comments/{comment}", json={"body": body})

    def delete_comment(self, comment: int) -> None:
        try:
            self._answer("DELETE", f"/issues/comments/{comment}")
        except NotFoundError:
            return

    def create_check(self, name: str, head_sha: str, output: Json, *, conclusion: str, url: str) -> int:
        about = {"name": name, "head_sha": head_sha, "status": "completed", "conclusion": conclusion}
        made = self._json("POST", "/check-runs", json={**about, "details_url": url, "output": output})
        with reading("/check-runs"):
            return int(made["id"])

    def add_to_check(self, check: int, output: Json) -> None:
        self._json("PATCH", f"/check-runs/{check}", json={"output": output})

    def artifacts_of(self, run_id: int) -> list[Artifact]:
        return artifacts_of(self._pages(f"/actions/runs/{run_id}/artifacts", {}, key="artifacts"))

    def download(self, artifact: int, *, most_bytes: int) -> bytes:
        from evalgate.github.storage import fetch

        path = f"/actions/artifacts/{artifact}/zip"
        place = self._sent("GET", path, allow_redirects=False).headers.get("Location", "")
        if not place.startswith("https://" if self.root.startswith("https://") else ("https://", "http://")):
            raise unreadable(path)
        return fetch(place, most_bytes=most_bytes, adapter=self.adapter)

    def pulls_from(self, owner: str, branch: str) -> list[Pull]:
        # Without a colon in it, GitHub would leave the filter out and give every pull request.
        params = {"state": "open", "head": f"{owner}:{branch}"}
        return [pull_of(row) for row in self._pages("/pulls", params)]

    def pulls_with(self, commit: str) -> list[Pull]:
        return [pull_of(row) for row in self._pages(f"/commits/{commit}/pulls", {})]

    def parents(self, commit: str) -> list[str]:
        path = f"/git/commits/{commit}"
        found = self._json("GET", path)
        with reading(path):
            return [str(parent["sha"]) for parent in found["parents"]]

    def merge_base(self, base: str, head: str) -> str:
        path = f"/compare/{quote(base, safe='')}...{quote(head, safe='')}"
        found = self._json("GET", path, params={"per_page": 1})
        with reading(path):
            return str(found["merge_base_commit"]["sha"])

    def list_issues(self, creator: str) -> list[Issue]:
        params = {"creator": creator, "state": "all", "sort": "created", "direction": "asc"}
        # GitHub lists pull requests among the issues.
        return [issue_of(row) for row in self._pages("/issues", params) if "pull_request" not in row]

    def create_issue(self, title: str, body: str, labels: Sequence[str] = ()) -> Issue:
        given = {"title": title, "body": body, **({"labels": list(labels)} if labels else {})}
        return issue_of(self._json("POST", "/issues", json=given))

    def edit_issue(self, number: int, *, title: str, body: str) -> Issue:
        return issue_of(self._json("PATCH", f"/issues/{number}", json={"title": title, "body": body}))

    def close_issue(self, number: int) -> None:
        try:
            self._json("PATCH", f"/issues/{number}", json={"state": "closed", "state_reason": "not_planned"})
        except NotFoundError:
            return

    def standing(self) -> Standing:
        above = replace(self, root=self.root.rpartition("/repos/")[0])
        answer = above._answer("GET", "/rate_limit")
        body = _body(answer, "/rate_limit")
        with reading("/rate_limit"):
            return standing_of(body, answer.headers)

    def about(self) -> About:
        found = self._json("GET", "")
        with reading("the repository"):
            return about_of(found)

    def _pages(self, path: str, params: dict[str, str], *, key: str | None = None) -> Iterator[Json]:
        page = 1
        while True:
            answer = self._answer("GET", path, params={**params, "per_page": _PAGE, "page": page})
            rows = _body(answer, path)
            rows = rows.get(key) if key is not None and isinstance(rows, dict) else rows
            if not isinstance(rows, list):
                raise unreadable(path)
            yield from rows
            # The address of the next page is built here, not taken from the answer: the token goes nowhere else.
            # A short page is no end: GitHub leaves out what it hides.
            if "next" not in answer.links:
                return
            page += 1

    def _json(self, method: str, path: str, **kwargs: Any) -> Json:
        return _body(self._answer(method, path, **kwargs), path)

    def _answer(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        # Only reads follow a redirect: requests would repeat a redirected POST as a GET.
        answer = self._sent(method, path, allow_redirects=method == "GET", **kwargs)
        if not 200 <= answer.status_code < 300:
            raise refusal(method, path, answer)
        return answer

    def _sent(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        """What GitHub answers, be it a redirection. Raises GitHubError where it refuses or does not answer."""
        import requests

        waited_s, tries = 0.0, 0
        while True:
            try:
                answer: requests.Response = self.session.request(method, self.root + path, **kwargs)
            except requests.RequestException as fault:
                raise silence(f"GitHub did not answer ({method} {path})", fault) from fault
            if answer.status_code < 400:
                return answer
            wait_s = limit_wait(answer, tries=tries, now=time.time())
            if wait_s is None or tries >= self.retries or waited_s + wait_s > LONGEST_WAIT_S:
                raise refusal(method, path, answer)
            self.sleep(wait_s)
            waited_s, tries = waited_s + wait_s, tries + 1


def _body(answer: requests.Response, path: str) -> Json:
    with reading(path):
        return answer.json()
