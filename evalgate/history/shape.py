"""The tables of the history as the newest schema has them, and what each of their columns holds.

    runs ─┬─ results ── scores                    plans ─┬─ cases ── case_texts
          ├─ summaries                         versions ─┴─ requests
          └─ verdicts, blessings, drifts

Runs of one eval set share its cases (`plans`, named by content) and the texts in them. Rows are only ever added:
triggers refuse UPDATE and DELETE. A change here needs a migration beside it; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NamedTuple

from evalgate.history import exact

REVISIONS = ("0001", "0002", "0003")
"""Every migration in order; the last is what this evalgate writes."""

HEAD = REVISIONS[-1]

# A name of its own, not alembic's default: a team's PostgreSQL schema may hold another program's migrations.
VERSION_TABLE = "evalgate_schema"


class Kind(NamedTuple):
    """What a column holds: its type in SQL, and what makes a value of it and back where the driver does not."""

    sql: str
    encode: Callable[[Any], Any] | None = None
    decode: Callable[[Any], Any] | None = None
    postgres: str = ""
    """Its type in PostgreSQL where that is another."""


class Column(NamedTuple):
    """One column of a table."""

    name: str
    kind: Kind
    nullable: bool = False


KEY = Kind("VARCHAR(32)")
"""A digest in hex, or a name of ours."""
INTEGER = Kind("INTEGER")
BIG = Kind("BIGINT")
NUMBER = Kind("INTEGER", postgres="SERIAL")
"""Given by the database."""
FLOAT = Kind("FLOAT", postgres="FLOAT(53)")
FLAG = Kind("BOOLEAN", decode=bool)
TEXT = Kind("TEXT", exact.to_text, exact.of_text)
JSON = Kind("TEXT", exact.to_json, exact.of_json)
MOMENT = Kind("VARCHAR(27)", exact.to_moment, exact.of_moment)
DAY = Kind("VARCHAR(10)", date.isoformat, date.fromisoformat)


class Table:
    """A table: its columns in order, and the rules that hold over them, in SQL."""

    def __init__(
        self, name: str, *columns: Column, rules: tuple[str, ...], indexes: tuple[str, ...] = (), rowid: bool = True
    ) -> None:
        """rowid: whether SQLite numbers the rows itself; without, they lie in the order of the primary key."""
        self.name = name
        self.columns = columns
        self._rules = rules
        self._indexes = indexes
        self._rowid = rowid

    def statements(self, *, sqlite: bool) -> Iterator[str]:
        """What makes the table and its indexes, in SQLite or in PostgreSQL."""
        lines = [*(_column(column, sqlite) for column in self.columns), *self._rules]
        ending = " WITHOUT ROWID" if sqlite and not self._rowid else ""
        yield f"CREATE TABLE {self.name} (\n\t" + ", \n\t".join(lines) + f"\n){ending}"
        yield from self._indexes


def _column(column: Column, sqlite: bool) -> str:
    kind = column.kind.sql if sqlite else column.kind.postgres or column.kind.sql
    return f"{quoted(column.name)} {kind}{'' if column.nullable else ' NOT NULL'}"


_WORDS_OF_SQL = frozenset({"key", "plan", "before", "after"})


def quoted(name: str) -> str:
    """The name of a column as SQL takes it."""
    return f'"{name}"' if name in _WORDS_OF_SQL else name


def listed(table: Table) -> str:
    """The table's columns in order, as SQL lists them."""
    return ", ".join(quoted(column.name) for column in table.columns)


schema_version = Table(VERSION_TABLE, Column("version_num", KEY), rules=("PRIMARY KEY (version_num)",))

versions = Table(
    "versions",
    Column("key", KEY),
    Column("id", TEXT, nullable=True),
    Column("parts", JSON),
    rules=('PRIMARY KEY ("key")',),
)

plans = Table(
    "plans",
    Column("key", KEY),
    Column("n_cases", INTEGER),
    rules=('PRIMARY KEY ("key")',),
)

case_texts = Table(
    "case_texts",
    Column("key", KEY),
    Column("input", JSON, nullable=True),
    Column("expected", JSON, nullable=True),
    Column("metadata", JSON),
    rules=('PRIMARY KEY ("key")',),
)

cases = Table(
    "cases",
    Column("plan", KEY),
    Column("position", INTEGER),
    Column("case_id", TEXT),
    Column("categories", JSON),
    Column("content", TEXT, nullable=True),
    Column("scorers", TEXT, nullable=True),
    Column("critical", FLAG),
    Column("cluster", TEXT, nullable=True),
    Column("tags", JSON),
    Column("texts", KEY),
    Column("source_file", TEXT, nullable=True),
    Column("source_line", INTEGER, nullable=True),
    rules=(
        'PRIMARY KEY ("plan", position)',
        'FOREIGN KEY("plan") REFERENCES plans ("key")',
        'FOREIGN KEY(texts) REFERENCES case_texts ("key")',
    ),
    rowid=False,
)

runs = Table(
    "runs",
    Column("number", NUMBER),
    Column("id", TEXT),
    Column("suite", TEXT),
    Column("created", MOMENT),
    Column("epochs", INTEGER),
    Column("commit_sha", TEXT, nullable=True),
    Column("branch", TEXT, nullable=True),
    Column("version", KEY),
    Column("evalset", TEXT, nullable=True),
    Column("selection", TEXT, nullable=True),
    Column("stopped", TEXT, nullable=True),
    Column("origin", TEXT),
    Column("plan", KEY),
    Column("n_results", INTEGER),
    Column("n_unscored", INTEGER),
    Column("score", FLOAT, nullable=True),
    Column("calls", BIG),
    Column("calls_saved", BIG),
    Column("tokens_in", BIG, nullable=True),
    Column("tokens_out", BIG, nullable=True),
    Column("cost_usd", FLOAT, nullable=True),
    Column("wall_s", FLOAT, nullable=True),
    Column("metadata", JSON),
    # What a migration has added stands last, as it does in a database that grew.
    Column("steps", JSON, nullable=True),
    Column("against", JSON, nullable=True),
    Column("confirmation", JSON, nullable=True),
    rules=(
        "PRIMARY KEY (number)",
        "UNIQUE (id)",
        'FOREIGN KEY(version) REFERENCES versions ("key")',
        'FOREIGN KEY("plan") REFERENCES plans ("key")',
    ),
    indexes=("CREATE INDEX runs_by_suite ON runs (suite, created)",),
)

results = Table(
    "results",
    Column("run", INTEGER),
    Column("position", INTEGER),
    Column("case_id", TEXT),
    Column("epoch", INTEGER),
    Column("score", FLOAT, nullable=True),
    Column("stage", TEXT, nullable=True),
    Column("cause", TEXT, nullable=True),
    Column("attempts", INTEGER),
    Column("has_output", FLAG),
    Column("latency_s", FLOAT, nullable=True),
    Column("tokens_in", BIG, nullable=True),
    Column("tokens_out", BIG, nullable=True),
    Column("cost_usd", FLOAT, nullable=True),
    Column("cached", FLAG),
    Column("model", TEXT, nullable=True),
    Column("system_fingerprint", TEXT, nullable=True),
    Column("response_id", TEXT, nullable=True),
    Column("finish_reason", TEXT, nullable=True),
    Column("text", TEXT, nullable=True),
    Column("data", JSON, nullable=True),
    Column("tool_calls", JSON, nullable=True),
    Column("contexts", JSON, nullable=True),
    # NULL: the run's own; "after" or "before": a side of its confirmation.
    Column("phase", TEXT, nullable=True),
    rules=("PRIMARY KEY (run, position)", "FOREIGN KEY(run) REFERENCES runs (number)"),
)

scores = Table(
    "scores",
    Column("run", INTEGER),
    Column("result", INTEGER),
    Column("position", INTEGER),
    Column("scorer", TEXT),
    Column("value", FLOAT),
    Column("weight", FLOAT),
    Column("version", TEXT),
    Column("reason", TEXT),
    rules=(
        "PRIMARY KEY (run, result, position)",
        "FOREIGN KEY(run, result) REFERENCES results (run, position)",
    ),
    rowid=False,
)

summaries = Table(
    "summaries",
    Column("run", INTEGER),
    Column("position", INTEGER),
    Column("category", TEXT),
    Column("metric", KEY),
    Column("value", FLOAT),
    Column("n", INTEGER),
    rules=("PRIMARY KEY (run, position)", "FOREIGN KEY(run) REFERENCES runs (number)"),
    rowid=False,
)

verdicts = Table(
    "verdicts",
    Column("number", NUMBER),
    Column("run", INTEGER),
    Column("decided", MOMENT),
    Column("verdict", KEY),
    Column("exit_code", INTEGER),
    Column("body", JSON),
    rules=("PRIMARY KEY (number)", "FOREIGN KEY(run) REFERENCES runs (number)"),
    indexes=("CREATE INDEX ix_verdicts_run ON verdicts (run)",),
)

blessings = Table(
    "blessings",
    Column("number", NUMBER),
    Column("run", INTEGER),
    Column("created", MOMENT),
    Column("author", TEXT),
    Column("reason", TEXT),
    Column("name", TEXT, nullable=True),
    Column("expires", DAY, nullable=True),
    rules=("PRIMARY KEY (number)", "FOREIGN KEY(run) REFERENCES runs (number)"),
    indexes=("CREATE INDEX ix_blessings_run ON blessings (run)",),
)

drifts = Table(
    "drifts",
    Column("number", NUMBER),
    Column("run", INTEGER),
    Column("created", MOMENT),
    Column("category", TEXT),
    Column("before", FLOAT),
    Column("after", FLOAT),
    Column("p", FLOAT),
    Column("sentence", TEXT),
    rules=("PRIMARY KEY (number)", "FOREIGN KEY(run) REFERENCES runs (number)"),
    indexes=("CREATE INDEX ix_drifts_run ON drifts (run)",),
)

requests = Table(
    "requests",
    Column("version", KEY),
    Column("plan", KEY),
    Column("position", INTEGER),
    Column("case_id", TEXT),
    Column("body", JSON),
    rules=(
        'PRIMARY KEY (version, "plan", position)',
        'FOREIGN KEY(version) REFERENCES versions ("key")',
        'FOREIGN KEY("plan") REFERENCES plans ("key")',
    ),
    rowid=False,
)

APPEND_ONLY = (
    *(versions, plans, case_texts, cases, runs, results, scores),
    *(summaries, verdicts, blessings, drifts, requests),
)
"""Everything but the schema's own version, each after those that it refers to."""

TABLES = (schema_version, *APPEND_ONLY)

DECODERS = {column.name: column.kind.decode for table in TABLES for column in table.columns if column.kind.decode}
"""By a column's name, which means the same in every table, what makes a value of what the driver gives."""

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


def statements(*, sqlite: bool) -> Iterator[str]:
    """What makes the newest schema in an empty database, in SQLite or in PostgreSQL."""
    for table in TABLES:
        yield from table.statements(sqlite=sqlite)
    if not sqlite:
        yield _REFUSE_POSTGRES_FUNCTION.strip()
    for table in APPEND_ONLY:
        if sqlite:
            yield from (_REFUSE_SQLITE.format(table=table.name, verb=verb).strip() for verb in ("update", "delete"))
        else:
            yield _REFUSE_POSTGRES.format(table=table.name).strip()
