"""The results of a run that is not finished, one line each, so that no paid call is made twice. Knows no endpoint.

`<folder>/<run id>.jsonl`: a header line, then a line a result, each written at once and by one write, so that whatever
ends the process leaves whole lines and at most one torn one. Each line begins with the CRC-32 of its rest, so that
what a failing power or disk has made of it is never taken for a result. The file is forced to the disk once a second:
a crash of the process loses nothing, a power failure about a second. It goes when its run is in the history.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from evalgate.codec import result_from_json, result_to_json
from evalgate.errors import Fault, InputError, StoreError
from evalgate.records import Json, Output, Result
from evalgate.runner.journal_lines import (
    NEW,
    Header,
    about,
    check,
    from_line,
    header_to_json,
    read_header,
    rows_of,
    to_line,
)
from evalgate.runner.meter import Meter
from evalgate.runner.settling import Settling, to_disk

if sys.platform != "win32":
    import fcntl

ABANDONED_S = 60.0
"""A journal that has no header after this long will never have one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """A journal that was found."""

    path: Path
    header: Header


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A file that stands where a journal would, and why it is none that could be gone on with."""

    path: Path
    fault: Fault


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a folder of journals holds."""

    unfinished: tuple[Unfinished, ...]
    """Of every suite, newest first by the clock of then."""
    unreadable: tuple[Unreadable, ...]


class Kept(Mapping[tuple[str, int], Result]):
    """The newest result of each case and epoch that a journal holds; read from it when somebody asks."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._starts: dict[tuple[str, int], int] = {}
        """Where the line of each begins."""

    def __getitem__(self, key: tuple[str, int]) -> Result:
        start = self._starts[key]
        if self._file is None:
            assert self._path is not None
            self._file = self._path.open("rb")  # of its own: the writer stands at the end of his
        self._file.seek(start)
        return result_from_json(from_line(self._file.readline()))

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._starts)

    def __len__(self) -> int:
        return len(self._starts)

    def stands_at(self, result: Result, start: int) -> None:
        self._starts[(result.case_id, result.epoch)] = start

    def clear(self) -> None:
        self._starts.clear()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class Journal:
    """An open journal; use it as a context manager, or close it.

    `kept` holds the newest line of each (case, epoch) of earlier sessions, scored or failed: the runner keeps what is
    scored, judges again what was answered but could not be judged, and calls again for the rest. `used` is what all
    earlier sessions have used; calls that were in flight when a process was killed are not in it.
    """

    def __init__(self, path: Path | None, file: IO[bytes] | None, end: int = 0) -> None:
        """Not for callers: `create`, `resume` or `null` make one."""
        self.path = path
        self._kept = Kept(path)
        self.kept: Mapping[tuple[str, int], Result] = self._kept
        self.used = Meter()
        self._file = file
        self._end = end
        self._settling = None if file is None else Settling(file)
        self._mark = ""

    @staticmethod
    def null() -> Journal:
        """A journal that remembers nothing."""
        return Journal(None, None)

    @staticmethod
    def create(path: Path, header: Header) -> Journal:
        """A new journal. Raises StoreError if the file exists already or cannot be written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Outputs may be confidential: readable for the owner only.
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "r+b", buffering=0)
        except OSError as error:
            raise _unwritable(path, error) from error
        journal = Journal(path, file)
        try:
            _lock(path, file)
            journal._append(header_to_json(header))
        except BaseException:
            journal.remove()  # nothing is lost with it: no call was made yet
            raise
        return journal

    @staticmethod
    def resume(path: Path, expected: Header, *, used: Meter | None = None) -> Journal:
        """An interrupted run's journal, to be continued; `kept` has its results so far.

        A last line that was torn by a crash is cut off; its result counts as never made. `expected` says what is run
        now: suite, version and eval set have to be those of the journal. `used`: what goes on counting; None: a meter
        of its own. Raises InputError if the journal is of something else, in use, or none; StoreError if it cannot be
        read or written.
        """
        try:
            file = path.open("r+b", buffering=0)
        except FileNotFoundError as error:
            raise InputError(about(path, "there is no such journal", NEW)) from error
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _lock(path, file)
            check(path, read_header(path, file), expected)
            journal = Journal(path, file)
            journal.used = used or journal.used
            journal._load()
        except OSError as error:
            file.close()
            raise _unwritable(path, error) from error
        except BaseException:
            file.close()
            raise
        return journal

    @staticmethod
    def find(folder: Path) -> Found:
        """The journals of unfinished runs. One without a first line is passed over, and removed once it is old: its
        process died before its first call."""
        unfinished, unreadable = [], []
        for path in sorted(folder.glob("*.jsonl")):
            try:
                with path.open("r+b") as file:
                    if not _rows_begin(file):
                        _sweep(path, file)
                        continue
                    unfinished.append(Unfinished(path=path, header=read_header(path, file)))
            except InputError as error:
                unreadable.append(Unreadable(path=path, fault=error.faults[0]))
            except OSError as error:
                reason = about(path, f"it cannot be read: {error.strerror}", "Make it readable and writable")
                unreadable.append(Unreadable(path=path, fault=reason))
        unfinished.sort(key=lambda journal: (journal.header.created, journal.path.name), reverse=True)
        return Found(unfinished=tuple(unfinished), unreadable=tuple(unreadable))

    def write(self, result: Result, *, is_rejudged: bool = False) -> None:
        """Keeps one result. `is_rejudged`: its output was paid for in an earlier session, whose line counts it.

        Raises StoreError if the line cannot be written (disk full, file gone read-only); what was written before
        stays whole.
        """
        if self._file is not None:
            row = result_to_json(result)
            if is_rejudged:
                row["rejudged"] = True
            self._append(row)

    def write_unjudged(self, result: Result) -> None:
        """Keeps an answer that nobody has judged yet; its judged result is written with `is_rejudged`."""
        self.write(result)

    def keep_under(self, mark: str) -> None:
        """What was kept under another mark is forgotten; what it has used still counts. Raises StoreError."""
        if self._file is not None and mark != self._mark:
            self._append({"mark": mark})
            self._mark = mark
            self._kept.clear()

    def write_in_vain(self, attempts: int) -> None:
        """Keeps that attempts were made which have led to no result: they count all the same. Raises StoreError."""
        if self._file is not None and attempts:
            self._append({"in_vain": attempts})

    def write_judged(self, output: Output | None) -> None:
        """Keeps what one attempt at a judge's endpoint has used; None: it failed. Raises StoreError."""
        if self._file is not None:
            used = ("tokens_in", "tokens_out", "cost_usd")
            self._append({"judged": output and {name: getattr(output, name) for name in used}})

    def close(self) -> None:
        """Forces everything to the disk and lets go of the file, which stays. Raises StoreError if that fails."""
        if self._file is None:
            return
        file = self._let_go()
        try:
            to_disk(file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error
        finally:
            file.close()

    def remove(self) -> None:
        """Deletes and closes: the run is in the history now. Raises StoreError if the file cannot be deleted."""
        if self._file is None or self.path is None:
            return
        file = self._let_go()
        if sys.platform == "win32":
            file.close()
        try:
            # Before the lock is given up: whoever waits for it must not find a run that is finished.
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        finally:
            file.close()

    def _let_go(self) -> IO[bytes]:
        assert self._file is not None and self._settling is not None
        self._settling.stop()
        self._kept.close()
        file, self._file = self._file, None
        return file

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(StoreError):  # the first error is the one to tell
            self.close()

    def _append(self, row: Json) -> None:
        assert self._file is not None and self._settling is not None
        line = to_line(row)
        try:
            written = self._file.write(line)
            while written < len(line):  # a full disk takes a part first and then refuses the rest
                written += self._file.write(line[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self._end)
                self._file.seek(self._end)
            raise _unwritable(self.path, error) from error
        self._end += len(line)
        try:
            self._settling.written()
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _load(self) -> None:
        """Reads every result, cuts off a torn last line, and stands at the end."""
        assert self._file is not None
        for number, (line, end) in enumerate(rows_of(self._file)):
            start, self._end = self._end, end
            # A damaged line is a result that was never made: it is run again, which is safe, only dearer.
            if number > 0 and (row := from_line(line)) is not None:
                self._take(row, start)
        self._file.truncate(self._end)
        self._file.seek(self._end)

    def _take(self, row: Json, start: int) -> None:
        """Does once more what the line that begins here tells of."""
        if "mark" in row:
            self._mark = row["mark"]
            self._kept.clear()
        elif "in_vain" in row:
            self.used.in_vain(row["in_vain"])
        elif "judged" in row:
            self.used.judged(None if row["judged"] is None else Output(**row["judged"]))
        else:
            result = result_from_json(row)
            self._kept.stands_at(result, start)
            if not row.get("rejudged"):
                self.used.count(result)


def _rows_begin(file: IO[bytes]) -> bool:
    """Whether there is a first line, of whatever kind."""
    return next((True for line, _ in rows_of(file) if line.strip(b"\0\n")), False)


def _sweep(path: Path, file: IO[bytes]) -> None:
    """Removes a journal that was never begun, unless a process may be about to begin it."""
    if time.time() - os.fstat(file.fileno()).st_mtime > ABANDONED_S:
        with contextlib.suppress(InputError, OSError):
            _lock(path, file)
            path.unlink()


def _lock(path: Path, file: IO[bytes]) -> None:
    """Holds the journal for this process alone; the system lets go of it however the process ends."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                about(path, "another process is running this run", "Wait for it, or start a new run without --resume")
            ) from error
        if os.fstat(file.fileno()).st_nlink == 0:  # that process has finished it between our open and our lock
            raise InputError(about(path, "the run was finished by another process", "Start a new one without --resume"))


def _unwritable(path: Path | None, error: OSError) -> StoreError:
    reason = error.strerror or type(error).__name__
    return StoreError(
        f"{path}: the journal of the run cannot be written: {reason}. "
        "Make room or give another folder; what the journal holds already is kept, and --resume goes on from there"
    )
