"""Rows into a table, made while they are written: a run of any size is never held as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from evalgate.history.database import ROWS_AT_ONCE, Connection, Row
from evalgate.history.shape import Table, quoted


def insert(connection: Connection, table: Table, rows: Iterable[Row], *, leaves_present: bool = False) -> None:
    """Adds rows with a value for each of the table's columns, within the connection's transaction.

    leaves_present: a row whose key is there stays as it is.
    """
    statement, encoders = _prepared(table, tuple(column.name for column in table.columns), leaves_present)
    for some in chunks(rows, ROWS_AT_ONCE):
        connection.add(statement, [_encoded(row, encoders) for row in some])


def insert_one(
    connection: Connection, table: Table, fields: Mapping[str, Any], *, leaves_present: bool = False
) -> bool:
    """Adds a row of these fields. Whether it is new: with `leaves_present` it may be there already.

    Where another process writes the same row just now, this waits for it, and then finds it there.
    """
    statement, encoders = _prepared(table, tuple(fields), leaves_present)
    return connection.add(statement, [_encoded(tuple(fields.values()), encoders)]) == 1


def chunks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The rows in lists of this size, the last one shorter."""
    rows = iter(rows)
    while some := list(islice(rows, size)):
        yield some


@lru_cache(maxsize=64)
def _prepared(
    table: Table, names: tuple[str, ...], leaves_present: bool
) -> tuple[str, list[tuple[int, Callable[[Any], Any]]]]:
    """The statement, and what encodes the values of the columns that need it."""
    kinds = {column.name: column.kind for column in table.columns}
    columns, marks = ", ".join(map(quoted, names)), ", ".join("?" * len(names))
    statement = f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"
    encoders = [(place, encode) for place, name in enumerate(names) if (encode := kinds[name].encode) is not None]
    return statement + " ON CONFLICT DO NOTHING" * leaves_present, encoders


def _encoded(row: Row, encoders: Sequence[tuple[int, Callable[[Any], Any]]]) -> Row:
    values = list(row)
    for place, encode in encoders:
        if (value := values[place]) is not None:
            values[place] = encode(value)
    return values
