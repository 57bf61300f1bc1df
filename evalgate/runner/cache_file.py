"""The cache of calls as a file: texts by key in SQLite, bounded in size and age. Knows no request and no endpoint.

A cache is a convenience. Whatever is wrong with it (locked, damaged, read-only, full, of another evalgate) is told once
and the run goes on without it: nothing here raises once the file is there to be asked.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

FILE = "calls.db"
SCHEMA = 1

DAY_S = 86_400
_BATCH = 100
_BATCH_S = 0.5
_PATIENCE_S = 0.2
"""How long a call may be held up by another process that writes."""
_TOUCHED_S = DAY_S
"""An answer's last use is known to within this: writing down every use would make reading dear."""
_PAYS = 300
"""Shorter texts are not compressed."""
_ROOM = 0.9
"""What is used for the longest time goes until this share of the bound is left."""

_TABLES = (
    "CREATE TABLE answers (key BLOB PRIMARY KEY, made INTEGER NOT NULL, used INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE INDEX answers_used ON answers (used)",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """How much is kept, how long, and for how long it is waited for."""

    bytes: int = 1 << 30
    age_s: int = 30 * DAY_S
    """An older answer is not given again: providers change what stands behind a model's name."""
    patience_s: float = 5.0
    """How long the end of a run waits for another process that writes."""


USUAL = Bounds()


class CacheFile:
    """An open cache; use it as a context manager, or close it. Puts are written in batches, by one process or several.

    An interruption that is not closed loses the last half second of puts and nothing else.
    """

    def __init__(
        self,
        connection: sqlite3.Connection | None,
        bounds: Bounds,
        place: Path,
        tell: Callable[[str], object],
        clock: Callable[[], float],
    ) -> None:
        """Not for callers: `open` makes one."""
        self._connection = connection
        self._bounds = bounds
        self._place = place
        self._tell = tell
        self._clock = clock
        self._puts: dict[bytes, bytes] = {}
        self._touched: list[bytes] = []
        self._can_write = True
        self._flushed_at = clock()

    @staticmethod
    def open(
        folder: Path,
        *,
        tell: Callable[[str], object],
        bounds: Bounds = Bounds(),
        clock: Callable[[], float] = time.time,
    ) -> CacheFile:
        """The cache in this folder, made where there is none. One that cannot be used has nothing and keeps nothing.

        tell: is given one sentence, at most once, where something is wrong with it.
        """
        file = CacheFile(None, bounds, folder / FILE, tell, clock)
        try:
            file._connection = _connect(folder)
        except (OSError, sqlite3.Error, _OfAnotherEvalgate) as error:
            file._give_up(error)
        return file

    def get(self, key: bytes) -> str | None:
        """The text under this key; None where there is none, or it is too old or damaged."""
        if (body := self._puts.get(key)) is not None:
            return _read(key, body)
        if self._connection is None:
            return None
        now = self._clock()
        try:
            row = self._connection.execute("SELECT body, made, used FROM answers WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            if not _is_busy(error):
                self._give_up(error)
            return None
        # A time to come is that of a clock that has since been put right: its age is unknown.
        if row is None or not now - self._bounds.age_s <= row[1] <= now + DAY_S:
            return None
        if now - row[2] > _TOUCHED_S:
            self._touched.append(key)
        return _read(key, row[0])

    def put(self, key: bytes, text: str) -> None:
        """Keeps a text under a key, instead of what was there."""
        if self._connection is None or not self._can_write:
            return
        body = _body(key, text)
        if len(body) > self._bounds.bytes // 10:
            return
        self._puts[key] = body
        if len(self._puts) >= _BATCH or not 0 <= self._clock() - self._flushed_at < _BATCH_S:
            self._flush()

    def close(self) -> None:
        """Writes what was put and lets go of the file."""
        connection = self._connection
        if connection is None:
            return
        with contextlib.suppress(sqlite3.Error):
            connection.execute(f"PRAGMA busy_timeout = {int(self._bounds.patience_s * 1000)}")
        self._flush(is_last=True)
        self._connection = None
        with contextlib.suppress(sqlite3.Error):
            connection.close()

    def __enter__(self) -> CacheFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _flush(self, *, is_last: bool = False) -> None:
        connection = self._connection
        if connection is None or not self._can_write or not (self._puts or self._touched):
            return
        now = self._flushed_at = self._clock()
        try:
            connection.execute("BEGIN IMMEDIATE")
            rows = [(key, int(now), int(now), body) for key, body in self._puts.items()]
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)", rows)
            connection.executemany(
                "UPDATE answers SET used = ? WHERE key = ?", [(int(now), key) for key in self._touched]
            )
            if is_last:
                connection.execute("DELETE FROM answers WHERE used < ?", (int(now) - self._bounds.age_s,))
            self._make_room(connection)
            connection.execute("COMMIT")
            connection.execute("PRAGMA incremental_vacuum").fetchall()
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if _is_busy(error) and not is_last and len(self._puts) < 100 * _BATCH:
                return  # the next batch takes these with it
            self._can_write = False
            self._complain(error, "no further answers are kept")
        self._puts.clear()
        self._touched.clear()

    def _make_room(self, connection: sqlite3.Connection) -> None:
        """Deletes what was used longest ago where the file has outgrown its bound."""
        if self._size(connection) <= self._bounds.bytes:
            return
        (count,) = connection.execute("SELECT count(*) FROM answers").fetchone()
        oldest = "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers ORDER BY used, rowid LIMIT ?)"
        while self._size(connection) > self._bounds.bytes * _ROOM:
            if not connection.execute(oldest, (count // 20 + 1,)).rowcount:
                return

    @staticmethod
    def _size(connection: sqlite3.Connection) -> int:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _give_up(self, error: Exception) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        self._complain(error, "the run goes on without it")

    def _complain(self, error: Exception, consequence: str) -> None:
        if isinstance(error, _OfAnotherEvalgate):
            what = "is of a newer evalgate and is left alone"
        elif isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            what = f"is damaged ({error}). Delete it"
        else:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            what = f"cannot be used ({reason})"
        self._tell(f"The cache of calls {self._place} {what}; {consequence}.")
        self._tell = _silence


class _OfAnotherEvalgate(Exception):
    pass


def _silence(_: str) -> None:
    pass


def _connect(folder: Path) -> sqlite3.Connection:
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    path = folder / FILE
    with contextlib.suppress(FileExistsError):
        # Answers may be confidential: readable for the owner only.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)
    try:
        _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    """Makes the tables where there are none. Raises _OfAnotherEvalgate where they are not ours to touch."""
    if _schema(connection) == SCHEMA:
        return
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    if _schema(connection) == 0:  # another process may have been quicker
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("COMMIT")


def _schema(connection: sqlite3.Connection) -> int:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > SCHEMA:
        raise _OfAnotherEvalgate
    return int(found)


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _body(key: bytes, text: str) -> bytes:
    """The text with a digest before it, which knows its key too: a damaged or misplaced answer is none."""
    plain = text.encode("utf-8", "surrogatepass")
    packed = zlib.compress(plain, 1) if len(plain) > _PAYS else plain
    content = b"z" + packed if len(packed) < len(plain) else b"p" + plain
    return _digest(key, content) + content


def _read(key: bytes, body: object) -> str | None:
    if not isinstance(body, bytes) or body[:8] != _digest(key, body[8:]):
        return None
    plain = zlib.decompress(body[9:]) if body[8:9] == b"z" else body[9:]
    return plain.decode("utf-8", "surrogatepass")


def _digest(key: bytes, content: bytes) -> bytes:
    return blake2b(content, digest_size=8, key=key[:64]).digest()
