"""The results of a run that is not finished, one line each, so that no paid call is made twice. Knows no endpoint.

`<folder>/<run id>.jsonl`: a header line, then a line a result, each written at once and by one write, so that whatever
ends the process leaves whole lines and at most one torn one. Not forced to the disk line by line: a crash of the
process loses nothing, a power failure the last seconds. The file goes when its run is in the history.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO

from evalgate.codec import result_from_json, result_to_json
from evalgate.errors import Fault, InputError, StoreError
from evalgate.records import Json, Result
from evalgate.runner.meter import Meter

if sys.platform != "win32":
    import fcntl

SCHEMA = "evalgate.journal/1"

# What is no JSON becomes text rather than ending the run: `fingerprint` treats it the same way.
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """Which run a journal belongs to."""

    run_id: str
    suite: str
    version: str | None
    """`Version.id` of what is tested."""
    evalset: str | None
    """Fingerprint of the whole eval set."""
    epochs: int
    created: datetime
    """With time zone, UTC."""
    meta: Mapping[str, Json] = field(default_factory=dict)
    """Whatever else a caller needs to go on with the run; not compared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """A journal that was found."""

    path: Path
    header: Header


class Journal:
    """An open journal; use it as a context manager, or close it.

    `kept` holds the newest line of each (case, epoch) of earlier sessions, scored or failed: the runner keeps what is
    scored, judges again what was answered but could not be judged, and calls again for the rest. `used` is what all
    earlier sessions have used; calls that were in flight when a process was killed are not in it.
    """

    def __init__(self, path: Path | None, file: IO[bytes] | None, end: int = 0) -> None:
        """Not for callers: `create`, `resume` or `null` make one."""
        self.path = path
        self.kept: dict[tuple[str, int], Result] = {}
        self.used = Meter()
        self._file = file
        self._end = end

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
            journal._append(_header_to_json(header))
        except BaseException:
            file.close()
            raise
        return journal

    @staticmethod
    def resume(path: Path, expected: Header) -> tuple[Journal, tuple[Result, ...]]:
        """An interrupted run's journal, to be continued, and its results so far, sorted.

        A last line that was torn by a crash is cut off; its result counts as never made. `expected` says what is run
        now: suite, version and eval set have to be those of the journal. Raises InputError if they are not, if the
        journal is in use, or if it is none; StoreError if it cannot be read or written.
        """
        try:
            file = path.open("r+b", buffering=0)
        except FileNotFoundError as error:
            raise InputError(_fault(path, "there is no such journal", "Start a new run without --resume")) from error
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _lock(path, file)
            _check(path, _read_header(path, file), expected)
            journal = Journal(path, file)
            journal._load()
        except OSError as error:
            file.close()
            raise _unwritable(path, error) from error
        except BaseException:
            file.close()
            raise
        return journal, tuple(journal.kept[key] for key in sorted(journal.kept))

    @staticmethod
    def find(folder: Path, suite: str) -> list[Unfinished]:
        """The journals of a suite's unfinished runs, newest first. Files without a readable header are passed over."""
        found = []
        for path in folder.glob("*.jsonl"):
            with contextlib.suppress(OSError, InputError), path.open("rb") as file:
                found.append(Unfinished(path=path, header=_read_header(path, file)))
        mine = [journal for journal in found if journal.header.suite == suite]
        return sorted(mine, key=lambda journal: (journal.header.created, journal.path.name), reverse=True)

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

    def close(self) -> None:
        """Forces everything to the disk and lets go of the file, which stays. Raises StoreError if that fails."""
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.path, error) from error
        finally:
            file.close()

    def remove(self) -> None:
        """Closes and deletes: the run is in the history now. Raises StoreError if the file cannot be deleted."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self.path is not None:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                raise _unwritable(self.path, error) from error

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
        assert self._file is not None
        line = _encode(row).encode("ascii") + b"\n"
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

    def _load(self) -> None:
        """Reads every result, cuts off a torn last line, and stands at the end."""
        assert self._file is not None
        for number, (row, end) in enumerate(_rows(self._file)):
            self._end = end
            if number == 0:
                continue
            # A damaged line is a result that was never made: it is run again, which is safe, only dearer.
            with contextlib.suppress(ValueError):
                result = result_from_json(row)
                self.kept[(result.case_id, result.epoch)] = result
                if not row.get("rejudged"):
                    self.used.count(result)
        self._file.truncate(self._end)
        self._file.seek(self._end)


def _rows(file: IO[bytes]) -> Iterator[tuple[Json, int]]:
    """Each whole line's value (None if it is no JSON) and where the line ends."""
    end = 0
    file.seek(0)
    with os.fdopen(os.dup(file.fileno()), "rb") as lines:  # buffered, on the same open file: the lock stays
        for line in lines:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                yield json.loads(line), end
            except ValueError:
                yield None, end


def _lock(path: Path, file: IO[bytes]) -> None:
    """Holds the journal for this process alone; the system lets go of it however the process ends."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                _fault(path, "another process is running this run", "Wait for it, or start a new run without --resume")
            ) from error
        if os.fstat(file.fileno()).st_nlink == 0:  # that process has finished it between our open and our lock
            raise InputError(
                _fault(path, "the run was finished by another process", "Start a new one without --resume")
            )


def _read_header(path: Path, file: IO[bytes]) -> Header:
    row: Json = next((row for row, _ in _rows(file)), None)
    try:
        if row["schema"] != SCHEMA:
            raise InputError(
                _fault(
                    path,
                    f"the journal's schema is {row['schema']!r}, this evalgate reads {SCHEMA!r}",
                    "Finish the run with the evalgate that began it, or start a new one without --resume",
                )
            )
        return Header(
            run_id=row["run"],
            suite=row["suite"],
            version=row["version"],
            evalset=row["evalset"],
            epochs=row["epochs"],
            created=datetime.fromisoformat(row["created"]),
            meta=row["meta"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(_fault(path, "this is no journal of a run", "Start a new run without --resume")) from error


def _header_to_json(header: Header) -> dict[str, Json]:
    return {
        "schema": SCHEMA,
        "run": header.run_id,
        "suite": header.suite,
        "version": header.version,
        "evalset": header.evalset,
        "epochs": header.epochs,
        "created": header.created.isoformat(),
        "meta": dict(header.meta),
    }


def _check(path: Path, found: Header, expected: Header) -> None:
    """Results of another suite, version or eval set must not flow into this run: all differences in one message."""
    faults = [
        _fault(path, f"the run was begun with {what} {then or 'unknown'}, now it is {now or 'unknown'}", hint)
        for what, then, now, hint in (
            ("suite", found.suite, expected.suite, "Resume it with the configuration that began it"),
            (
                "version",
                found.version,
                expected.version,
                "Endpoint, model, parameters or prompts have changed since: change them back, "
                "or start a new run without --resume",
            ),
            (
                "eval set",
                found.evalset,
                expected.evalset,
                "Cases have changed since: change them back, or start a new run without --resume",
            ),
        )
        if then != now
    ]
    if faults:
        raise InputError(faults)


def _fault(path: Path, what: str, hint: str) -> Fault:
    return Fault(where=str(path), what=what, hint=hint)


def _unwritable(path: Path | None, error: OSError) -> StoreError:
    reason = error.strerror or type(error).__name__
    return StoreError(
        f"{path}: the journal of the run cannot be written: {reason}. "
        "Make room or give another folder; what the journal holds already is kept, and --resume goes on from there"
    )
