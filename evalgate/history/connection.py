"""From a store's URL to an engine whose schema is the newest, and from a database's error to a sentence for the user.

Knows the two databases and the migrations; knows no run.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import StaticPool

from evalgate.errors import InputError, StoreError
from evalgate.history.shape import HEAD, REVISIONS, VERSION_TABLE, metadata, schema_version

LOCK_WAIT_S = 10.0
"""How long a process waits for another one's write."""

LEAST_FREE_BYTES = 4 * 1024 * 1024
"""Below this a run is not begun: its results would not fit."""

# Any number, the same in every evalgate: who holds this advisory lock creates or migrates.
_POSTGRES_LOCK = 7_301_442_905

_FORMS = 'Write "sqlite:///path/to/history.db" or "postgresql://user@host/database"'


class Place:
    """Where a store is: its URL, understood, and its name in messages (no password)."""

    def __init__(self, url: str) -> None:
        self.url = _understood(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        database = self.url.database
        self.file = Path(database) if self.is_sqlite and database not in (None, "", ":memory:") else None
        """None: in memory, or a server."""
        self.name = _name(url, self.url)

    def __str__(self) -> str:
        return self.name

    def hide(self, text: str) -> str:
        """The text without the URL's password, wherever the URL has it."""
        for secret in (self.url.password, self.url.query.get("password")):
            if secret:
                text = text.replace(str(secret), "***")
        return text


def _understood(url: str) -> URL:
    # The URL itself is never repeated in a message: it may hold a password where none can be told apart.
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise InputError(f"history.store is no URL of a store. {_FORMS}") from None
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise InputError(f'history.store: there is no store of kind "{parsed.drivername}". {_FORMS}')
    if parsed.drivername == "sqlite" and (parsed.host or parsed.username):
        raise InputError("history.store: a SQLite URL has three slashes before a path, four before an absolute one")
    if parsed.drivername == "sqlite" and (parsed.query or (parsed.database or "").startswith("file:")):
        raise InputError("history.store: a SQLite URL ends with the file's path; options are not taken")
    return parsed


def _name(written: str, parsed: URL) -> str:
    if parsed.get_backend_name() != "sqlite":
        # Without the query, which may hold a password too.
        return parsed.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
    return "the store in memory" if parsed.database in (None, "", ":memory:") else written


# ---- opening ----------------------------------------------------------------------------------------------


def connect(place: Place, *, create: bool) -> Engine:
    """An engine whose database exists and has the newest schema.

    create: make a database (and its folder) where there is none; otherwise that is an `InputError`.
    Raises StoreError where the database cannot be opened, belongs to something else, or is newer than this evalgate.
    """
    if place.file is not None:
        _prepare_file(place, place.file, create)
    engine = engine_for(place)
    try:
        with explained(place):
            _bring_up_to_date(engine, place, create)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _prepare_file(place: Place, file: Path, create: bool) -> None:
    if file.is_dir():
        raise StoreError(f"{place} is a folder. Name a file in it, such as history.db")
    if file.exists():
        return
    if not create:
        raise _nothing_at(place)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make the folder of {place}: {error.strerror}. Choose another place with --store"
        ) from error


def _nothing_at(place: Place) -> InputError:
    return InputError(f'there is no history at {place} yet. "evalgate run" or "evalgate import" begins one')


def engine_for(place: Place) -> Engine:
    """An engine for this place, whatever is there. Connects at the first use."""
    # hide_parameters: what a model or a user wrote must not reach a traceback through an error's text.
    options: dict[str, Any] = {"hide_parameters": True}
    if place.is_sqlite:
        options["connect_args"] = {"timeout": LOCK_WAIT_S, "check_same_thread": False}
        if place.file is None:
            options["poolclass"] = StaticPool
    else:
        options["connect_args"] = {"connect_timeout": int(LOCK_WAIT_S)}
    try:
        engine = create_engine(place.url, **options)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{place} needs a driver that is not installed. Run: pip install 'evalgate-pr[postgres]'"
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(f"history.store: {place.hide(str(error))}") from error
    if place.is_sqlite:
        event.listen(engine, "connect", _tune_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _tune_sqlite(connection: Any, _record: Any) -> None:
    # isolation_level None: the driver's own BEGIN comes late and never IMMEDIATE; `_begin_sqlite` says it instead.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL: a commit is on the disk when it returns. The journal of a run is deleted right after it, and NORMAL may lose
    # the last commits to a power failure.
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection within one transaction that may write: it takes SQLite's write lock at once, not half way."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


# ---- schema -----------------------------------------------------------------------------------------------


def _bring_up_to_date(engine: Engine, place: Place, create: bool) -> None:
    found = _schema_version(engine)
    if found == HEAD:
        return
    if found is None and not create:
        raise _nothing_at(place)
    _refuse_newer(found, place)
    if found is None and place.file is not None:
        _set_write_ahead_log(engine)
    with writing(engine) as connection:
        if not place.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})")
        # Another process may have been here between the look and the lock.
        tables = set(inspect(connection).get_table_names())
        if VERSION_TABLE not in tables:
            _create(connection, tables, place)
            return
        found = connection.scalar(select(schema_version.c.version_num))
        _refuse_newer(found, place)
        if found != HEAD:
            migrate(connection)


def _schema_version(engine: Engine) -> str | None:
    """The schema's revision; None where there is no history. One query."""
    with engine.connect() as connection:
        try:
            return connection.scalar(select(schema_version.c.version_num))
        except DBAPIError as error:
            if "no such table" in str(error.orig) or getattr(error.orig, "sqlstate", None) == "42P01":
                return None
            raise


def _refuse_newer(found: str | None, place: Place) -> None:
    if found is not None and found not in REVISIONS:
        raise StoreError(
            f"{place} was written by a newer evalgate (schema {found}; this one knows up to {HEAD}). "
            "Upgrade with: pip install --upgrade evalgate-pr"
        )


def _create(connection: Connection, tables: set[str], place: Place) -> None:
    taken = sorted(tables & set(metadata.tables))
    if taken:
        raise StoreError(
            f"{place} holds tables of something else ({', '.join(taken)}). "
            "Give the history a database or schema of its own with --store"
        )
    # The same schema as the migrations make (a test compares them), without the 0.2 s to import alembic.
    metadata.create_all(connection, checkfirst=False)
    connection.execute(schema_version.insert().values(version_num=HEAD))


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the schema to this revision, within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _set_write_ahead_log(engine: Engine) -> None:
    """Let readers and a writer work at once. The mode stays with the file.

    SQLite does not wait for locks here, whatever the time-out; and where the file system cannot (a network drive), the
    old mode stays, which is slower but right.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        raw = engine.raw_connection()
        try:
            raw.cursor().execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
        finally:
            raw.close()
        time.sleep(random.uniform(0.01, 0.05))


# ---- what went wrong --------------------------------------------------------------------------------------


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Turns what a database raises into a `StoreError` that says which store and what to do."""
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).strip() or type(error.orig).__name__
        raise StoreError(_sentence(place, said)) from error
    except sqlite3.Error as error:
        raise StoreError(_sentence(place, str(error))) from error
    except PoolTimeoutError as error:
        raise StoreError(f"{place}: no connection became free. Try again") from error
    except OverflowError as error:
        raise StoreError(f"{place} cannot hold a number of this run: {error}") from error


def check_room(place: Place, least: int = LEAST_FREE_BYTES) -> None:
    """Raises StoreError where the store's disk has fewer than `least` bytes free."""
    if place.file is not None and shutil.disk_usage(place.file.resolve().parent).free < least:
        raise StoreError(_sentence(place, "database or disk is full"))


_SQLITE = (
    ("locked", "is locked by another process for more than {wait:.0f} s. Wait until that one has ended and try again"),
    ("readonly", "cannot be written: the file or its folder is read-only. Make both writable, or choose --store"),
    ("disk is full", "cannot grow: the disk is full. Free some space, or choose another place with --store"),
    ("not a database", "is no SQLite database. Choose another file with --store"),
    ("malformed", "is damaged. Put back a copy, or move it away and begin a new history"),
    ("disk I/O error", "cannot be read or written: the disk reports an error. Check the disk and its free space"),
    (
        "unable to open",
        "cannot be opened. Check that its folder exists and that you may read and write there, or choose --store",
    ),
)

_POSTGRES = (
    ("read-only transaction", "cannot be written: the server or the user is read-only. Check the role and the host"),
    ("permission denied", "refuses this user. Grant it the right to create and write tables"),
    ("No space left", "cannot grow: the server's disk is full"),
    ("disk full", "cannot grow: the server's disk is full"),
    ("authentication failed", "refuses this user or password. Check history.store"),
)


def _sentence(place: Place, said: str) -> str:
    for sign, sentence in _SQLITE if place.is_sqlite else _POSTGRES:
        if sign in said:
            return f"{place} {sentence.format(wait=LOCK_WAIT_S)}"
    said = place.hide(" ".join(said.split()))
    if not place.is_sqlite and ("connect" in said or "closed" in said or "terminat" in said):
        return f"{place} cannot be reached: {said}. Check host, port and database, and that the server runs"
    return f"{place} could not be read or written: {said}"
