"""Many rows into one table, made while they are written: a run of any size is never held as rows.

Values are encoded by the columns' own types, and go to the driver as they are: SQLAlchemy's way from a mapping to a
statement's parameters costs more than the database's own work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

from sqlalchemy import Connection, Table
from sqlalchemy.engine import Dialect

ROWS_AT_ONCE = 1000

Row: TypeAlias = Sequence[Any]
"""Values in the order of the table's columns."""

Encoder: TypeAlias = Callable[[Any], Any]


def insert(connection: Connection, table: Table, rows: Iterable[Row], *, leaves_present: bool = False) -> None:
    """Adds the rows, within the connection's transaction. leaves_present: a row whose key is there stays as it is."""
    statement, encoders = _prepared(connection.dialect, table, leaves_present)
    for some in chunks(rows, ROWS_AT_ONCE):
        connection.exec_driver_sql(statement, [_encoded(row, encoders) for row in some])


def _encoded(row: Row, encoders: Sequence[tuple[int, Encoder]]) -> tuple[Any, ...]:
    values = list(row)
    for place, encode in encoders:
        if (value := values[place]) is not None:  # which every type leaves as it is
            values[place] = encode(value)
    return tuple(values)


def chunks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The rows in lists of this size, the last one shorter."""
    rows = iter(rows)
    while some := list(islice(rows, size)):
        yield some


@lru_cache(maxsize=64)
def _prepared(dialect: Dialect, table: Table, leaves_present: bool) -> tuple[str, list[tuple[int, Encoder]]]:
    """The statement with the driver's own marks for parameters, and what encodes those that need it."""
    mark = "?" if dialect.paramstyle == "qmark" else "%s"
    names = ", ".join(dialect.identifier_preparer.quote(column.name) for column in table.columns)
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({', '.join([mark] * len(table.columns))})"
    found: list[Encoder | None] = [
        column.type.dialect_impl(dialect).bind_processor(dialect) for column in table.columns
    ]
    encoders = [(place, encode) for place, encode in enumerate(found) if encode is not None]
    return statement + " ON CONFLICT DO NOTHING" * leaves_present, encoders
