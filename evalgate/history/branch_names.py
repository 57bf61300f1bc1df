"""How files are called on the history's branch, and what a file's name says. Pure.

    v1/runs/2026/11/<commit>-<CI run or local>-<attempt>-<run>.evalrun     a run
    v1/packs/2026/10-<digest>.tar, .json                                   the runs of a past month, and their list
    v1/events/2026/11/<kind>-<run>-<digest>.json                           what was said of a run later

A name is all that a pull has to read to know what a store lacks.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from evalgate.errors import Fault, InputError

README = "README.md"

VERSION = "v1"

_RUN = re.compile(
    r"v1/runs/(?P<month>[0-9]{4}/(?:0[1-9]|1[0-2]))/(?P<commit>[0-9a-f]{40}|[0-9a-f]{64}|none)"
    r"-(?P<by>[0-9]{1,19}|local)-(?P<attempt>[0-9]{1,6})-(?P<id>[A-Za-z0-9_.:-]{1,64})\.evalrun"
)
_EVENT = re.compile(
    r"v1/events/(?P<month>[0-9]{4}/(?:0[1-9]|1[0-2]))/(?P<kind>[a-z]{1,20})-(?P<id>[A-Za-z0-9_.:-]{1,64})"
    r"-(?P<digest>[0-9a-f]{16})\.json"
)
_PACK = re.compile(r"v1/packs/(?P<month>[0-9]{4}/(?:0[1-9]|1[0-2]))-(?P<digest>[0-9a-f]{16})\.(?:tar|json)")
_NEWER = re.compile(r"v(?:[2-9]|[1-9][0-9]+)/.*", re.DOTALL)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Kind(Enum):
    """What a path on the branch is."""

    RUN = "run"
    EVENT = "event"
    PACK = "pack"
    LIST = "list"
    """Which runs a pack holds."""
    NEWER = "newer"
    """Written by a newer evalgate."""
    README = "readme"
    FOREIGN = "foreign"


@dataclass(frozen=True, kw_only=True, slots=True)
class Name:
    """A path, understood."""

    path: str
    kind: Kind
    month: str = ""
    """`2026/11`, of runs, events and packs."""
    run_id: str = ""
    """Of runs and events."""
    commit: str | None = None
    digest: str = ""
    """Of packs and events: the beginning of the content's SHA-256, hex."""


@dataclass(frozen=True, kw_only=True, slots=True)
class By:
    """What has made the run that is pushed."""

    ci_run: int | None = None
    """The number of the workflow's run; None: somebody's own machine."""
    attempt: int = 1


def of(path: str) -> Name:
    """What this path is."""
    if path == README:
        return Name(path=path, kind=Kind.README)
    if found := _RUN.fullmatch(path):
        commit = None if found["commit"] == "none" else found["commit"]
        return Name(path=path, kind=Kind.RUN, month=found["month"], run_id=found["id"], commit=commit)
    if found := _EVENT.fullmatch(path):
        return Name(path=path, kind=Kind.EVENT, month=found["month"], run_id=found["id"], digest=found["digest"])
    if found := _PACK.fullmatch(path):
        kind = Kind.PACK if path.endswith(".tar") else Kind.LIST
        return Name(path=path, kind=kind, month=found["month"], digest=found["digest"])
    return Name(path=path, kind=Kind.NEWER if _NEWER.fullmatch(path) else Kind.FOREIGN)


def run_path(run_id: str, *, created: datetime, commit: str | None, by: By) -> str:
    """Where a run's file belongs. Raises InputError for an id that cannot stand in a path."""
    at = commit if commit is not None and _COMMIT.fullmatch(commit) else "none"
    made = "local" if by.ci_run is None else str(by.ci_run)
    return _checked(f"{VERSION}/runs/{month_of(created)}/{at}-{made}-{by.attempt}-{run_id}.evalrun", run_id)


def event_path(kind: str, run_id: str, *, created: datetime, content: bytes) -> str:
    """Where an event's file belongs: what says the same has the same name. Raises InputError as `run_path`."""
    return _checked(f"{VERSION}/events/{month_of(created)}/{kind}-{run_id}-{digest_of(content)}.json", run_id)


def _checked(path: str, run_id: str) -> str:
    if of(path).kind in (Kind.RUN, Kind.EVENT):
        return path
    what = f"{run_id[:80]!r} is no id that could name a file on the branch"
    raise InputError(Fault(where="run", what=what, hint="Ids have letters, digits and . _ : -, at most 64 of them."))


def pack_paths(month: str, content: bytes) -> tuple[str, str]:
    """Where a pack and its list belong."""
    stem = f"{VERSION}/packs/{month}-{digest_of(content)}"
    return f"{stem}.tar", f"{stem}.json"


def month_of(moment: datetime) -> str:
    """`2026/11`, in UTC."""
    return f"{moment.astimezone(UTC):%Y/%m}"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def told(path: str) -> str:
    """A path that somebody else has written, as a message may repeat it."""
    return ascii(path)[1:-1][:160]
