"""The tables of the history as the newest schema has them, and the column types that keep values exact.

    runs ─┬─ results ── scores                    plans ─┬─ cases ── case_texts
          ├─ summaries                         versions ─┴─ requests
          └─ verdicts, blessings, drifts

Runs of one eval set share its cases (`plans`, named by content) and the texts in them. Rows are only ever added:
triggers refuse UPDATE and DELETE. A change here needs a migration beside it; a test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    event,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from evalgate.records import Json

REVISIONS = ("0001", "0002")
"""Every migration in order; the last is what this evalgate writes."""

HEAD = REVISIONS[-1]

# A name of its own, not alembic's default: a team's PostgreSQL schema may hold another program's migrations.
VERSION_TABLE = "evalgate_schema"

_MARK = "\x01"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _plain(value: Any) -> Json:
    return dict(value) if isinstance(value, Mapping) else str(value)


# Made once: `json.dumps` with options builds an encoder at each call.
_AS_WRITTEN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
_ASCII = json.JSONEncoder(separators=(",", ":"), default=_plain)


def to_json(value: Json) -> str:
    """Compact JSON that every database can hold, the order of keys kept; what is no JSON is kept as its `str`."""
    text = _AS_WRITTEN.encode(value)
    return text if text.isascii() or _UNSTORABLE.search(text) is None else _ASCII.encode(value)


# What was written is compact, so no white space has to be looked for, as `json.loads` does.
_from_json = json.JSONDecoder().raw_decode


# The types give their converters themselves: `process_bind_param` and `process_result_value` would be called through
# one more function for each of the 200,000 values of a large run.


class ExactText(TypeDecorator[str]):
    """Any Python text. Lone surrogates (no UTF-8) and NUL (refused by PostgreSQL) are kept as marked JSON."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        return _text_in

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], str | None]:
        return _text_out


def _text_in(value: str | None) -> str | None:
    if not value or (value.isascii() and "\x00" not in value and value[0] != _MARK):
        return value
    return _MARK + _ASCII.encode(value) if value[0] == _MARK or _UNSTORABLE.search(value) else value


def _text_out(value: str | None) -> str | None:
    return str(json.loads(value[1:])) if value and value[0] == _MARK else value


class ExactJson(TypeDecorator[Any]):
    """A JSON value as text, order of keys kept (PostgreSQL's jsonb would not). None is NULL."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Json], str | None]:
        return _json_in

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Json]:
        return _json_out


def _json_in(value: Json) -> str | None:
    return None if value is None else to_json(value)


def _json_out(value: str | None) -> Json:
    return None if value is None else _from_json(value)[0]


class Moment(TypeDecorator[datetime]):
    """A time in UTC to the microsecond, as ISO text of fixed width: sorts as it reads, in every database."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without time zone cannot be stored")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData()

schema_version = Table(VERSION_TABLE, metadata, Column("version_num", String(32), primary_key=True))

versions = Table(
    "versions",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("id", ExactText),
    Column("parts", ExactJson, nullable=False),
)

plans = Table(
    "plans",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("n_cases", Integer, nullable=False),
)

case_texts = Table(
    "case_texts",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("input", ExactJson),
    Column("expected", ExactJson),
    Column("metadata", ExactJson, nullable=False),
)

cases = Table(
    "cases",
    metadata,
    Column("plan", String(32), ForeignKey("plans.key"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("case_id", ExactText, nullable=False),
    Column("categories", ExactJson, nullable=False),
    Column("content", ExactText),
    Column("scorers", ExactText),
    Column("critical", Boolean, nullable=False),
    Column("cluster", ExactText),
    Column("tags", ExactJson, nullable=False),
    Column("texts", String(32), ForeignKey("case_texts.key"), nullable=False),
    Column("source_file", ExactText),
    Column("source_line", Integer),
    sqlite_with_rowid=False,
)

runs = Table(
    "runs",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", ExactText, nullable=False, unique=True),
    Column("suite", ExactText, nullable=False),
    Column("created", Moment, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("commit_sha", ExactText),
    Column("branch", ExactText),
    Column("version", String(32), ForeignKey("versions.key"), nullable=False),
    Column("evalset", ExactText),
    Column("selection", ExactText),
    Column("stopped", ExactText),
    Column("origin", ExactText, nullable=False),
    Column("plan", String(32), ForeignKey("plans.key"), nullable=False),
    Column("n_results", Integer, nullable=False),
    Column("n_unscored", Integer, nullable=False),
    Column("score", Float(53)),
    Column("calls", BigInteger, nullable=False),
    Column("calls_saved", BigInteger, nullable=False),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    Column("cost_usd", Float(53)),
    Column("wall_s", Float(53)),
    Column("metadata", ExactJson, nullable=False),
    # What a migration has added stands last, as it does in a database that grew.
    Column("steps", ExactJson),
    Column("against", ExactJson),
    Column("confirmation", ExactJson),
    Index("runs_by_suite", "suite", "created"),
)

results = Table(
    "results",
    metadata,
    Column("run", Integer, ForeignKey("runs.number"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("case_id", ExactText, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("score", Float(53)),
    Column("stage", ExactText),
    Column("cause", ExactText),
    Column("attempts", Integer, nullable=False),
    Column("has_output", Boolean, nullable=False),
    Column("latency_s", Float(53)),
    Column("tokens_in", BigInteger),
    Column("tokens_out", BigInteger),
    Column("cost_usd", Float(53)),
    Column("cached", Boolean, nullable=False),
    Column("model", ExactText),
    Column("system_fingerprint", ExactText),
    Column("response_id", ExactText),
    Column("finish_reason", ExactText),
    Column("text", ExactText),
    Column("data", ExactJson),
    Column("tool_calls", ExactJson),
    Column("contexts", ExactJson),
    # NULL: the run's own; "after" or "before": a side of its confirmation.
    Column("phase", Text),
)

scores = Table(
    "scores",
    metadata,
    Column("run", Integer, primary_key=True),
    Column("result", Integer, primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("scorer", ExactText, nullable=False),
    Column("value", Float(53), nullable=False),
    Column("weight", Float(53), nullable=False),
    Column("version", ExactText, nullable=False),
    Column("reason", ExactText, nullable=False),
    ForeignKeyConstraint(["run", "result"], ["results.run", "results.position"]),
    sqlite_with_rowid=False,
)

summaries = Table(
    "summaries",
    metadata,
    Column("run", Integer, ForeignKey("runs.number"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("category", ExactText, nullable=False),
    Column("metric", String(32), nullable=False),
    Column("value", Float(53), nullable=False),
    Column("n", Integer, nullable=False),
    sqlite_with_rowid=False,
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run", Integer, ForeignKey("runs.number"), nullable=False, index=True),
    Column("decided", Moment, nullable=False),
    Column("verdict", String(32), nullable=False),
    Column("exit_code", Integer, nullable=False),
    Column("body", ExactJson, nullable=False),
)

blessings = Table(
    "blessings",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run", Integer, ForeignKey("runs.number"), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("author", ExactText, nullable=False),
    Column("reason", ExactText, nullable=False),
    Column("name", ExactText),
)

drifts = Table(
    "drifts",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("run", Integer, ForeignKey("runs.number"), nullable=False, index=True),
    Column("created", Moment, nullable=False),
    Column("category", ExactText, nullable=False),
    Column("before", Float(53), nullable=False),
    Column("after", Float(53), nullable=False),
    Column("p", Float(53), nullable=False),
    Column("sentence", ExactText, nullable=False),
)

requests = Table(
    "requests",
    metadata,
    Column("version", String(32), ForeignKey("versions.key"), primary_key=True),
    Column("plan", String(32), ForeignKey("plans.key"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("case_id", ExactText, nullable=False),
    Column("body", ExactJson, nullable=False),
    sqlite_with_rowid=False,
)

APPEND_ONLY = tuple(table for table in metadata.sorted_tables if table is not schema_version)
"""Everything but the schema's own version."""

_REFUSE_SQLITE = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, 'the history of evalgate is append only'); END
"""
_REFUSE_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION evalgate_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the history of evalgate is append only'; END $$
"""
_REFUSE_POSTGRES = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION evalgate_refuse()
"""


def append_only_ddl(table: str, dialect: str) -> tuple[str, ...]:
    """The statements that make a table refuse UPDATE and DELETE."""
    if dialect == "sqlite":
        return tuple(_REFUSE_SQLITE.format(table=table, verb=verb).strip() for verb in ("update", "delete"))
    return (_REFUSE_POSTGRES_FUNCTION.strip(), _REFUSE_POSTGRES.format(table=table).strip())


for _table in APPEND_ONLY:
    for _dialect in ("sqlite", "postgresql"):
        for _statement in append_only_ddl(_table.name, _dialect):
            _ddl = DDL(_statement)  # type: ignore[no-untyped-call]
            event.listen(_table, "after_create", _ddl.execute_if(dialect=_dialect))
