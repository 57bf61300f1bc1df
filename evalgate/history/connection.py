"""From a place to a database whose schema is the newest, and from a database's error to a sentence for the user.

Knows the schema and its migrations; knows no run.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.errors import InputError, StoreError
from evalgate.history.database import LOCK_WAIT_S, Connection, Database
from evalgate.history.place import Place
from evalgate.history.shape import HEAD, REVISIONS, TABLES, VERSION_TABLE, statements

if TYPE_CHECKING:
    import sqlalchemy

LEAST_FREE_BYTES = 4 * 1024 * 1024
"""Below this a run is not begun: its results would not fit."""

_WHICH = f"SELECT version_num FROM {VERSION_TABLE}"


# ---- opening ----------------------------------------------------------------------------------------------


def connect(place: Place, *, create: bool) -> Database:
    """A database that exists and has the newest schema.

    create: make one (and its folder) where there is none; otherwise that is an `InputError`.
    Raises StoreError where the database cannot be opened, belongs to something else, or is newer than this evalgate.
    """
    if place.file is not None:
        _prepare_file(place, place.file, create)
    database = Database(place)
    try:
        with explained(database):
            _bring_up_to_date(database, create)
    except BaseException:
        database.close()
        raise
    return database


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
    return InputError(
        f"there is no history at {place} yet. `evalgate run` or `evalgate import` begins one; `evalgate sync pull` "
        "fetches what the repository's branch has"
    )


# ---- schema -----------------------------------------------------------------------------------------------


def _bring_up_to_date(database: Database, create: bool) -> None:
    found = _schema_version(database)
    if found is None:
        if not create:
            raise _nothing_at(database.place)
        if database.place.file is not None:
            database.write_ahead()
        found = HEAD if _create(database) else _schema_version(database)
    if found != HEAD:
        _migrate_from(found, database)


def _schema_version(database: Database) -> str | None:
    """The schema's revision; None where there is no history. One query."""
    with database.reading() as connection:
        try:
            return _revision(connection)
        except database.errors as error:
            if database.driver.has_no_table(error):
                return None
            raise


def _revision(connection: Connection) -> str | None:
    found = connection.value(_WHICH)
    return None if found is None else str(found)


def _refuse_newer(found: str | None, place: Place) -> None:
    if found is not None and found not in REVISIONS:
        raise StoreError(
            f"{place} was written by a newer evalgate (schema {found}; this one knows up to {HEAD}). "
            "Update your clone of evalgate and install it again"
        )


def _create(database: Database) -> bool:
    """Makes the newest schema; False where another process made one meanwhile, which may be an older one."""
    with database.writing(alone=True) as connection:
        tables = {str(name) for (name,) in connection.rows(database.driver.tables)}
        if VERSION_TABLE in tables:
            return False
        taken = sorted(tables & {table.name for table in TABLES})
        if taken:
            raise StoreError(
                f"{database.place} holds tables of something else ({', '.join(taken)}). "
                "Give the history a database or schema of its own with --store"
            )
        # The same schema as the migrations make (a test compares them), without importing SQLAlchemy and alembic.
        for statement in statements(sqlite=database.place.is_sqlite):
            connection.run(statement)
        connection.add(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (?)", [(HEAD,)])
        return True


def _migrate_from(found: str | None, database: Database) -> None:
    _refuse_newer(found, database.place)
    with migrating(database) as connection:
        # Another process may have been here between the look and the lock.
        found = connection.exec_driver_sql(_WHICH).scalar()
        _refuse_newer(found, database.place)
        if found != HEAD:
            migrate(connection)


@contextmanager
def migrating(database: Database) -> Iterator[sqlalchemy.Connection]:
    """A connection for migrations, within one transaction in which nobody else makes or changes the schema."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import NullPool

    dialect = "sqlite://" if database.place.is_sqlite else "postgresql+psycopg://"
    engine = create_engine(dialect, creator=database.driver.open, poolclass=NullPool, hide_parameters=True)
    try:
        with engine.connect() as connection:
            for statement in database.driver.begin_alone:
                connection.exec_driver_sql(statement)
            yield connection
            connection.commit()
    except DBAPIError as error:
        raise (error.orig or error) from None


def migrate(connection: sqlalchemy.Connection, revision: str = "head") -> None:
    """Bring the schema to this revision, within the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


# ---- what went wrong --------------------------------------------------------------------------------------


@contextmanager
def explained(database: Database) -> Iterator[None]:
    """Turns what a database raises into a `StoreError` that says which store and what to do."""
    try:
        yield
    except database.errors as error:
        raise StoreError(_sentence(database.place, str(error).strip() or type(error).__name__)) from error
    except OverflowError as error:
        raise StoreError(f"{database.place} cannot hold a number of this run: {error}") from error


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
