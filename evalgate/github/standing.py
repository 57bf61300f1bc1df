"""What GitHub says of a token and of a repository: is it taken, what may it do, how much may still be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from evalgate.records import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a token stands with GitHub now."""

    limit: int
    """Requests in an hour."""
    remaining: int
    resets: datetime
    """UTC."""
    server_time: datetime | None
    """By the server's clock; None where it does not say."""
    scopes: tuple[str, ...] | None
    """Of a classic personal token; None for every other kind, of which nothing says what it may do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What GitHub says of a repository."""

    name: str
    """Its present `owner/name`."""
    default_branch: str
    is_private: bool
    is_archived: bool
    has_issues: bool
    permissions: Mapping[str, bool] | None
    """`pull`, `push`, `admin` of whoever the token belongs to; None where it is not said."""


def standing_of(body: Json, headers: Mapping[str, str]) -> Standing:
    """From the answer to GET /rate_limit. Raises whatever `answers.reading` takes for an answer of another shape."""
    core = body["resources"]["core"]
    scopes = headers.get("x-oauth-scopes")
    return Standing(
        limit=int(core["limit"]),
        remaining=int(core["remaining"]),
        resets=datetime.fromtimestamp(int(core["reset"]), UTC),
        server_time=_moment(headers.get("date")),
        scopes=None if scopes is None else tuple(scope.strip() for scope in scopes.split(",") if scope.strip()),
    )


def about_of(body: Json) -> About:
    """From the answer to GET /repos/{owner}/{repo}. Raises as above."""
    given = body.get("permissions")
    return About(
        name=body["full_name"],
        default_branch=body["default_branch"],
        is_private=bool(body["private"]),
        is_archived=bool(body.get("archived", False)),
        has_issues=bool(body.get("has_issues", True)),
        permissions={str(key): bool(value) for key, value in given.items()} if isinstance(given, dict) else None,
    )


def _moment(text: str | None) -> datetime | None:
    try:
        found = None if text is None else parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else found.replace(tzinfo=UTC)
