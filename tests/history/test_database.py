"""Connections: whatever ends one, what was not committed is gone and the next operation works."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from evalgate.history import shape
from evalgate.history.database import Connection, Database
from evalgate.history.place import Place

COUNT = "SELECT count(*) FROM notes"


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """A database with a table of three notes."""
    with closing(Database(Place(store_url))) as found:
        if found.place.is_sqlite:
            found.write_ahead()
        with found.writing() as connection:
            connection.run("CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT)")
            connection.add("INSERT INTO notes (number, text) VALUES (?, ?)", [(n, f"note {n}") for n in range(3)])
        yield found


def note(connection: Connection, number: int) -> int:
    return connection.add("INSERT INTO notes (number, text) VALUES (?, ?) ON CONFLICT DO NOTHING", [(number, "more")])


def test_what_is_written_is_kept_at_the_end_and_not_before(database: Database) -> None:
    """Another connection sees all of it or nothing."""
    with database.writing() as connection:
        assert note(connection, 7) == 1
        with database.reading() as other:
            assert other.value(COUNT) == 3
    with database.reading() as connection:
        assert connection.value(COUNT) == 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_ends_a_transaction_takes_it_back(database: Database, error: type[BaseException]) -> None:
    """Whatever is raised, inside or by the database itself; a try is always taken back."""
    with pytest.raises(error), database.writing() as connection:
        note(connection, 7)
        raise error
    with pytest.raises(database.errors), database.writing() as connection:
        note(connection, 7)
        connection.add("INSERT INTO notes (number, text) VALUES (?, ?)", [(8, "new"), (0, "there already")])
    with database.trying() as connection:
        note(connection, 7)
    with database.reading() as connection:
        assert connection.value(COUNT) == 3


def test_a_row_that_is_there_already_is_told_from_a_new_one(database: Database) -> None:
    """Nothing else says who was first."""
    with database.writing() as connection:
        assert (note(connection, 0), note(connection, 7)) == (0, 1)


def test_a_stream_that_is_not_read_to_its_end_holds_nothing_back(database: Database) -> None:
    """The next operation on the same connection sees what was written since."""
    with database.reading() as connection:
        rows = connection.stream("SELECT number, text FROM notes ORDER BY number")
        assert next(rows) == [0, "note 0"]
    with closing(Database(database.place)) as other, other.writing() as connection:
        note(connection, 7)
    with database.reading() as connection:
        assert connection.value(COUNT) == 4
        assert [number for number, _ in connection.stream("SELECT number, text FROM notes ORDER BY number")] == [
            0,
            1,
            2,
            7,
        ]


def test_operations_within_one_another_do_not_meet(database: Database) -> None:
    """Each has a connection of its own, used again afterwards."""
    with database.reading() as outer:
        rows = outer.stream("SELECT number FROM notes ORDER BY number")
        seen = []
        for (number,) in rows:
            with database.writing() as inner:
                note(inner, number + 10)
            seen.append(number)
    assert seen == [0, 1, 2]
    with database.reading() as connection:
        assert connection.value(COUNT) == 6


def test_in_memory_who_reads_meanwhile_reads_the_same() -> None:
    """There is one connection: a second one would be another, empty database."""
    with closing(Database(Place("sqlite://"))) as database:
        with database.writing() as connection:
            connection.run("CREATE TABLE notes (number INTEGER PRIMARY KEY, text TEXT)")
            note(connection, 1)
            with database.reading() as other:
                assert other.value(COUNT) == 1
            note(connection, 2)
        with database.trying() as connection:
            note(connection, 3)
        with database.reading() as connection:
            assert connection.value(COUNT) == 2


# ---- a server that goes away ------------------------------------------------------------------------------


ON_A_SERVER = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


def ended(database: Database, number: Any) -> None:
    with closing(Database(database.place)) as other, other.reading() as connection:
        connection.value("SELECT pg_terminate_backend(?, 5000)", number)


@ON_A_SERVER
def test_a_connection_that_the_server_ended_during_a_long_run_is_replaced(database: Database) -> None:
    """An hour of calls lies between opening the history and writing the run: it is not lost for that."""
    with database.reading() as connection:
        number = connection.value("SELECT pg_backend_pid()")
    ended(database, number)
    with database.writing() as connection:
        assert note(connection, 7) == 1


@ON_A_SERVER
def test_a_connection_that_the_server_ends_while_it_writes_keeps_nothing(database: Database) -> None:
    """Half a run is no run: the error is told, and what was written is gone."""
    with pytest.raises(database.errors, match=r"terminating|closed"), database.writing() as connection:
        note(connection, 7)
        ended(database, connection.value("SELECT pg_backend_pid()"))
        note(connection, 8)
    with database.reading() as connection:
        assert connection.value(COUNT) == 3


# ---- columns ----------------------------------------------------------------------------------------------


def test_a_name_of_a_column_means_the_same_in_every_table() -> None:
    """Values are decoded by their column's name, whatever tables a query joins."""
    kinds: dict[str, set[Any]] = {}
    for table in shape.TABLES:
        for column in table.columns:
            if column.kind.decode is not None:
                kinds.setdefault(column.name, set()).add(column.kind)
    assert kinds
    assert {name for name, found in kinds.items() if len(found) > 1} == set()
