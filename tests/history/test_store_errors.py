"""Whatever is wrong with the store is said in one sentence: which store, what, what now."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from builders import make_run

from evalgate.errors import InputError, StoreError
from evalgate.history.connection import check_room, connect
from evalgate.history.place import Place
from evalgate.history.store import History


def tuned(url: str, pragma: str) -> History:
    """The history at this URL, with a setting of SQLite's own on the connection that every method uses."""
    database = connect(Place(url), create=False)
    with database.reading() as connection:
        connection.run(pragma)
    return History(database)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A history with one run."""
    path = tmp_path / "history.db"
    with History.open(f"sqlite:///{path}") as history:
        history.write_run(make_run(facts=[1]))
    return path


def test_a_locked_store_says_so(file: Path) -> None:
    """Another process that writes and does not end is named as the cause."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with tuned(f"sqlite:///{file}", "PRAGMA busy_timeout = 50") as history:
        for write in (history.check_writable, lambda: history.write_run(make_run("run-2"))):
            with pytest.raises(StoreError, match=r"history\.db is locked by another process for more than 10 s"):
                write()
        # Whoever only reads is not disturbed.
        assert history.read_run("latest").id == "run-1"
    other.close()


def test_a_damaged_store_says_so(file: Path) -> None:
    """Pages overwritten in the middle are met before a run is paid for, or at the latest when it is written."""
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xa5" * (size - 4096))
    with (
        pytest.raises(StoreError, match=r"history\.db is damaged"),
        History.open(f"sqlite:///{file}") as history,
    ):
        history.check_writable()


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    """A text file is neither read nor overwritten."""
    path = tmp_path / "history.db"
    path.write_text("hello " * 1000)
    with pytest.raises(StoreError, match="is no SQLite database"):
        History.open(f"sqlite:///{path}")
    assert path.read_text() == "hello " * 1000


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    """The path of a folder is a slip that is easily made."""
    with pytest.raises(StoreError, match=r"is a folder\. Name a file in it"):
        History.open(f"sqlite:///{tmp_path}")


def test_a_full_disk_says_so_and_keeps_what_was_there(file: Path) -> None:
    """The run that does not fit is refused whole."""

    with tuned(f"sqlite:///{file}", "PRAGMA max_page_count = 60") as history:
        with pytest.raises(StoreError, match=r"cannot grow: the disk is full\. Free some space"):
            history.write_run(replace(make_run("run-2", facts=[1]), metadata={"big": "x" * 1_000_000}))
        assert [row.id for row in history.list_runs()] == ["run-1"]


def test_a_disk_without_room_is_told_before_a_run_is_paid_for(file: Path) -> None:
    """A run that could not be kept is not begun."""
    check_room(Place("sqlite://"), least=2**62)
    with pytest.raises(StoreError, match="the disk is full"):
        check_room(Place(f"sqlite:///{file}"), least=2**62)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder in which an unprivileged user may work; the test continues as one where it is root."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o777)
        connect(Place("sqlite://"), create=True).close()  # imports happen before the privileges go
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            yield path
        finally:
            if root:
                os.seteuid(0)
            path.chmod(0o777)


def test_a_read_only_store_says_so(open_folder: Path) -> None:
    """A file that may not be written is told before a run is paid for; reading it goes on."""
    path = open_folder / "history.db"
    with History.open(f"sqlite:///{path}") as history:
        history.write_run(make_run())
    path.chmod(0o444)
    with History.open(f"sqlite:///{path}") as history:
        with pytest.raises(StoreError, match="cannot be written: the file or its folder is read-only"):
            history.check_writable()
        assert history.read_run("latest").id == "run-1"


def test_a_store_in_a_read_only_folder_says_so(open_folder: Path) -> None:
    """Neither a new history nor a new folder can be made there."""
    folder = open_folder / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    with pytest.raises(StoreError, match=r"history\.db cannot be opened"):
        History.open(f"sqlite:///{folder / 'history.db'}")
    with pytest.raises(StoreError, match="cannot make the folder of"):
        History.open(f"sqlite:///{folder / 'more' / 'history.db'}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("history.db", "is no URL of a store. Write"),
        ("", "is no URL of a store. Write"),
        ("mysql://user:hunter2@host/db", 'no store of kind "mysql"'),
        ("sqlite://history.db", "three slashes"),
        ("sqlite:///file:history.db?mode=ro&uri=true", "options are not taken"),
        ("postgresql://user:hunter2@host:port/db", "is no URL of a store"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str, message: str) -> None:
    """The message shows the forms and never repeats what may hold a password."""
    with pytest.raises(InputError, match=message) as caught:
        History.open(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["postgresql://user:hunter2@127.0.0.1:1/db", "postgres://user@127.0.0.1:1/db?password=hunter2"]
)
def test_an_unreachable_server_says_so_without_the_password(url: str) -> None:
    """Nobody listens on port 1."""
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    with pytest.raises(StoreError, match=r"postgresql://user.*@127\.0\.0\.1:1/db cannot be reached") as caught:
        History.open(url)
    assert "hunter2" not in str(caught.value)


def test_numbers_beyond_the_database_are_an_error_not_a_crash(store_url: str) -> None:
    """An endpoint may claim any number of tokens."""
    written = make_run()
    with History.open(store_url) as history:
        with pytest.raises(StoreError):
            history.write_run(replace(written, usage=replace(written.usage, tokens_in=2**70)))
        assert history.list_runs() == []
