"""What GitHub answers, as far as it is used here: of all that it tells of a thing, the few facts that anybody asks for.

An answer that is not as GitHub describes it is a GitHubError, whichever way it differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from evalgate.errors import GitHubError
from evalgate.records import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Comment:
    """One comment of a pull request."""

    id: int
    author: str | None
    """Login; None where the account is gone."""
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pull:
    """A pull request as it stands now, not as some event remembers it."""

    number: int
    head_sha: str
    base_branch: str = ""
    """The branch that it is to be merged into."""
    is_open: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A file bundle that a workflow run has left."""

    id: int
    name: str
    size: int
    """Bytes, packed."""
    digest: str | None
    """`sha256:` and 64 hex digits of what is downloaded; None where the server does not tell."""
    is_expired: bool
    run_id: int
    created: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Issue:
    """An issue of the repository."""

    number: int
    author: str | None
    """Login; None where the account is gone."""
    title: str
    body: str
    is_open: bool
    url: str
    """Where people read it."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Raises GitHubError where an answer has another shape than the block takes for granted. what: the path, say."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, OSError) as fault:
        raise unreadable(what) from fault


def unreadable(what: str) -> GitHubError:
    return GitHubError(
        f"what came as GitHub's answer for {what} is not one: a proxy or a portal may have answered in its place. "
        "Check GITHUB_API_URL and the proxy"
    )


def comment_of(row: Json) -> Comment:
    with reading("comments"):
        user = row["user"]
        return Comment(id=row["id"], author=None if user is None else user["login"], body=row.get("body") or "")


def pull_of(row: Json) -> Pull:
    with reading("pulls"):
        return Pull(
            number=row["number"],
            head_sha=row["head"]["sha"],
            base_branch=row.get("base", {}).get("ref", ""),
            is_open=row.get("state", "open") == "open",
        )


def issue_of(row: Json) -> Issue:
    with reading("issues"):
        user = row["user"]
        return Issue(
            number=row["number"],
            author=None if user is None else user["login"],
            title=row["title"],
            body=row.get("body") or "",
            is_open=row["state"] == "open",
            url=row.get("html_url") or "",
        )


def artifacts_of(rows: Iterable[Json]) -> list[Artifact]:
    """The artifacts of known runs, newest first."""
    found = [_artifact(row) for row in rows if row.get("workflow_run")]
    return sorted(found, key=lambda artifact: (artifact.created, artifact.run_id, artifact.id), reverse=True)


def _artifact(row: Json) -> Artifact:
    with reading("artifacts"):
        return Artifact(
            id=row["id"],
            name=row["name"],
            size=row["size_in_bytes"],
            digest=row.get("digest"),
            is_expired=bool(row.get("expired")),
            run_id=row["workflow_run"]["id"],
            created=row.get("created_at") or "",
        )
