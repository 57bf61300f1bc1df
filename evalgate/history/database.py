"""One way to both databases: connections, transactions, statements, rows. Knows no table and no schema.

A statement has `?` where a value belongs, and is the same text for both.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from evalgate.errors import InputError, install_extra
from evalgate.history import exact
from evalgate.history.place import Place
from evalgate.history.shape import DECODERS

LOCK_WAIT_S = 10.0
"""How long a process waits for another one's write, and for a server to answer."""

ROWS_AT_ONCE = 1000
"""So many rows of a stream a server sends at a time."""

# Any number, the same in every evalgate: who holds this advisory lock creates or migrates.
_POSTGRES_LOCK = 7_301_442_905

Raw: TypeAlias = Any
"""A driver's own connection, which leaves transactions to us: `BEGIN` is said, never implied."""

Row: TypeAlias = Sequence[Any]


class _Sqlite:
    """The driver of the standard library."""

    begin: tuple[str, ...] = ("BEGIN",)
    # The write lock at once, not half way: two that upgrade from reading would wait for each other.
    begin_writing: tuple[str, ...] = ("BEGIN IMMEDIATE",)
    begin_alone = begin_writing
    tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    errors: type[Exception] = sqlite3.Error

    def __init__(self, file: Path | None) -> None:
        # Absolute: the current directory may be another one when the next connection is opened.
        self._file = ":memory:" if file is None else str(file.absolute())

    def open(self) -> Raw:
        # isolation_level None: the driver's own BEGIN comes late and never IMMEDIATE.
        raw = sqlite3.connect(self._file, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            raw.execute("PRAGMA foreign_keys = ON")
            # FULL: a commit is on the disk when it returns. The journal of a run is deleted right after it, and NORMAL
            # may lose the last commits to a power failure.
            raw.execute("PRAGMA synchronous = FULL")
        except BaseException:
            raw.close()
            raise
        return raw

    def written(self, statement: str) -> str:
        return statement

    def stream(self, raw: Raw, statement: str, values: Row) -> Any:
        return raw.execute(statement, values)

    def is_lost(self, raw: Raw) -> bool:
        return False

    def has_no_table(self, error: Exception) -> bool:
        return "no such table" in str(error)


class _Postgres:
    """psycopg, from the extra `postgres`."""

    begin: tuple[str, ...] = ("BEGIN",)
    begin_writing: tuple[str, ...] = begin
    begin_alone = ("BEGIN", f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})")
    tables = """
        SELECT relname FROM pg_catalog.pg_class
        WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid) AND relnamespace <> 'pg_catalog'::regnamespace
    """

    def __init__(self, place: Place) -> None:
        try:
            import psycopg
        except ImportError as error:
            raise InputError(f"{place} needs a driver that is not installed. {install_extra('postgres')}") from error
        self.errors: type[Exception] = psycopg.Error
        self._connect = psycopg.connect
        self._options = {"connect_timeout": int(LOCK_WAIT_S), **place.options, "autocommit": True}
        self._numbers = count()

    def open(self) -> Raw:
        return self._connect(**self._options)

    def written(self, statement: str) -> str:
        return statement.replace("?", "%s")

    def stream(self, raw: Raw, statement: str, values: Row) -> Any:
        # A cursor with a name lies on the server: one without would hold every row here.
        cursor = raw.cursor(name=f"rows_{next(self._numbers)}")
        cursor.itersize = ROWS_AT_ONCE
        return cursor.execute(statement, values)

    def is_lost(self, raw: Raw) -> bool:
        return bool(raw.closed)

    def has_no_table(self, error: Exception) -> bool:
        return getattr(error, "sqlstate", None) == "42P01"


class Database:
    """A place's database, whatever is there. Connects at the first use, and keeps connections for the next.

    Errors are the driver's own (`errors`).
    """

    def __init__(self, place: Place) -> None:
        """Raises InputError where the driver is not installed."""
        self.place = place
        self.driver = _Sqlite(place.file) if place.is_sqlite else _Postgres(place)
        self.errors = self.driver.errors
        self._idle: list[Raw] = []
        self._is_closed = False
        self._only: Connection | None = None
        """In memory there is one connection; here while it is within a transaction."""

    def close(self) -> None:
        """Let go of every connection."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection within one transaction that only reads; in memory within the one that is under way."""
        if self._only is not None:
            yield self._only
            return
        with self._transaction(self.driver.begin) as connection:
            yield connection

    @contextmanager
    def writing(self, *, alone: bool = False) -> Iterator[Connection]:
        """A connection within one transaction that may write, committed at the end of the block.

        alone: nobody else makes or changes the schema meanwhile.
        """
        begin = self.driver.begin_alone if alone else self.driver.begin_writing
        with self._transaction(begin) as connection:
            yield connection
            connection.commit()

    @contextmanager
    def trying(self) -> Iterator[Connection]:
        """As `writing`, but everything is taken back at the end."""
        with self._transaction(self.driver.begin_writing) as connection:
            yield connection

    def write_ahead(self) -> None:
        """Let readers and a writer work at once, in SQLite. The mode stays with the file.

        SQLite does not wait for locks here, whatever the time-out; and where the file system cannot (a network drive),
        the old mode stays, which is slower but right.
        """
        raw = self.driver.open()
        deadline = time.monotonic() + LOCK_WAIT_S
        try:
            while True:
                try:
                    raw.execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError as error:
                    if "locked" not in str(error) or time.monotonic() > deadline:
                        raise
                time.sleep(random.uniform(0.01, 0.05))
        finally:
            raw.close()

    @contextmanager
    def _transaction(self, begin: Sequence[str]) -> Iterator[Connection]:
        connection = self._begun(begin)
        self._only = connection if self.place.is_in_memory else None
        try:
            yield connection
        finally:
            self._only = None
            self._release(connection)

    def _begun(self, begin: Sequence[str]) -> Connection:
        while True:
            is_used = bool(self._idle)
            connection = Connection(self, self._idle.pop() if is_used else self.driver.open())
            try:
                for statement in begin:
                    connection.run(statement)
                return connection
            except self.errors:
                # A server may have ended a connection that lay idle during a long run: nothing was said on it yet.
                if self._release(connection) or not is_used:
                    raise
            except BaseException:
                self._release(connection)
                raise

    def _release(self, connection: Connection) -> bool:
        """Whether it can be used again, and is kept for that."""
        is_clean = connection.end() and not self.driver.is_lost(connection.raw)
        if is_clean and not self._is_closed:
            self._idle.append(connection.raw)
        else:
            connection.raw.close()
        return is_clean


class Connection:
    """A connection within one transaction. Values go in and come out as their columns' kinds have them."""

    def __init__(self, database: Database, raw: Raw) -> None:
        self._driver, self._errors = database.driver, database.errors
        self.raw = raw
        self._streams: list[Any] = []

    def run(self, statement: str) -> None:
        """A statement without values and without rows."""
        self.raw.execute(statement).close()

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """Every row at once."""
        cursor = self.raw.execute(self._driver.written(statement), _bound(values))
        try:
            return list(_decoded(cursor, cursor.fetchall()))
        finally:
            cursor.close()

    def value(self, statement: str, *values: Any) -> Any:
        """The first value of the first row; None where there is no row."""
        found = self.rows(statement, *values)
        return found[0][0] if found else None

    def named(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Every row by its columns' names."""
        cursor = self.raw.execute(self._driver.written(statement), _bound(values))
        try:
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in _decoded(cursor, cursor.fetchall())]
        finally:
            cursor.close()

    def stream(self, statement: str, *values: Any) -> Iterator[Any]:
        """Row by row, for as long as the transaction lasts: no driver holds them all."""
        cursor = self._driver.stream(self.raw, self._driver.written(statement), _bound(values))
        self._streams.append(cursor)
        return _decoded(cursor, cursor)

    def add(self, statement: str, rows: Sequence[Row]) -> int:
        """The statement once for each of these rows, whose values are encoded already; how many were added."""
        cursor = self.raw.cursor()
        try:
            cursor.executemany(self._driver.written(statement), rows)
            return int(cursor.rowcount)
        finally:
            cursor.close()

    def commit(self) -> None:
        """Keep what was written."""
        self._close_streams()
        self.raw.commit()

    def end(self) -> bool:
        """Take back what was not committed. Whether that went well: where it did not, it would only hide what had gone
        wrong before it, and who is lost is taken back by the server."""
        try:
            self._close_streams()
            self.raw.rollback()
        except self._errors:
            return False
        return True

    def _close_streams(self) -> None:
        # A query that is not read to its end would hold SQLite's view of the past beyond its transaction.
        while self._streams:
            self._streams.pop().close()


def _bound(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(
        exact.to_text(value)
        if isinstance(value, str)
        else exact.to_moment(value)
        if isinstance(value, datetime)
        else value
        for value in values
    )


def _decoded(cursor: Any, rows: Iterable[Any]) -> Iterator[Row]:
    names = [column[0] for column in cursor.description]
    decoders = [(place, DECODERS[name]) for place, name in enumerate(names) if name in DECODERS]
    # Most values are texts that are kept as they are: a call for each of them would be half of reading a large run.
    texts = [place for place, decode in decoders if decode is exact.of_text]
    others = [(place, decode) for place, decode in decoders if decode is not exact.of_text]
    for row in rows:
        values = list(row)
        for place in texts:
            if (text := values[place]) and text[0] == exact.MARK:
                values[place] = exact.of_text(text)
        for place, decode in others:
            if (value := values[place]) is not None:
                values[place] = decode(value)
        yield values
