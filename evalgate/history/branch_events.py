"""What is said of a run after its file was written, as small files of their own: blessings and later verdicts. Pure.

One file an event, never changed. Like all of the branch it may come from anywhere, and is checked field by field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from evalgate.errors import Fault, InputError
from evalgate.history import checks
from evalgate.history import run_file_rows as rows
from evalgate.history.branch_names import Name, event_path
from evalgate.history.listing import Beside, Blessing, VerdictRow
from evalgate.history.run_file_rows import Outputs
from evalgate.records import Json

SCHEMA = "evalgate.event/1"

MOST_BYTES = 4 * 2**20
"""Of one event: a verdict lists cases."""

LONGEST_TEXT = 4000
"""Characters of a blessing's reason, author and name."""

BLESSING, VERDICT = "blessing", "verdict"

Event: TypeAlias = Blessing | VerdictRow


def written(event: Event, outputs: Outputs) -> tuple[str, bytes]:
    """The event's path on the branch and its content."""
    if isinstance(event, Blessing):
        said: dict[str, Json] = {
            "author": event.author,
            "reason": event.reason,
            "name": event.name,
            "expires": None if event.expires is None else event.expires.isoformat(),
        }
        return _file(BLESSING, event.run_id, event.created, said)
    (row,) = rows.beside_rows(Beside(verdicts=(event,)), outputs)["verdicts"]
    return _file(VERDICT, event.run_id, event.decided, {"body": row["body"]})


def _file(kind: str, run_id: str, created: datetime, said: Mapping[str, Json]) -> tuple[str, bytes]:
    row = {"schema": SCHEMA, "kind": kind, "run": run_id, "created": created.astimezone(UTC).isoformat(), **said}
    content = (json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n").encode("ascii")
    return event_path(kind, run_id, created=created, content=content), content


def read(name: Name, content: bytes) -> Event:
    """The event in a file of this name. Raises InputError where it is none, or not the one that the name says."""
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _fault(name, "this is no JSON") from error
    if not isinstance(row, dict):
        raise _fault(name, "this is no event")
    schema, kind = row.get("schema"), str(row.get("kind"))
    if isinstance(schema, str) and schema.startswith("evalgate.event/") and (schema != SCHEMA or kind not in _KINDS):
        what = f"its schema is {schema[:40]!r} of kind {kind[:20]!r}, this evalgate reads {SCHEMA!r}"
        raise _fault(name, what, "Read it with the evalgate that wrote it, or a newer one.")
    if schema != SCHEMA or not _KINDS[kind](row):
        raise _fault(name, "this is no event")
    created = datetime.fromisoformat(row["created"]).astimezone(UTC)
    if event_path(kind, row["run"], created=created, content=content) != name.path:
        raise _fault(name, "its name is not that of its content")
    return _blessing(row, created) if kind == BLESSING else _verdict(row, created)


def _blessing(row: Mapping[str, Any], created: datetime) -> Blessing:
    return Blessing(
        run_id=row["run"],
        created=created,
        author=row["author"],
        reason=row["reason"],
        name=row["name"],
        expires=None if row["expires"] is None else date.fromisoformat(row["expires"]),
    )


def _verdict(row: Mapping[str, Any], decided: datetime) -> VerdictRow:
    body = row["body"]
    return VerdictRow(
        run_id=row["run"], decided=decided, verdict=body["verdict"], exit_code=body["exit_code"], body=body
    )


def _short(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT


def _day(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False


_ANY: Mapping[str, checks.Check] = {
    "schema": checks.one_of(SCHEMA),
    "kind": checks.one_of(BLESSING, VERDICT),
    "run": checks.run_id,
    "created": checks.moment,
}

_KINDS: Mapping[Any, Callable[[Any], bool]] = {
    BLESSING: checks.shape(
        {**_ANY, "author": _short, "reason": _short, "name": checks.maybe(_short), "expires": checks.maybe(_day)}
    ),
    VERDICT: checks.shape({**_ANY, "body": rows.is_verdict}),
}


def _fault(name: Name, what: str, hint: str = "") -> InputError:
    return InputError(Fault(where=name.path, what=what, hint=hint))
