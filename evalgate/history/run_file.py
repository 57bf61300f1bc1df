"""The run file: one immutable, compressed file a run; shards, artifacts and the history's branch are made of these.

gzip of JSON lines: a header with everything of the run but its cases and results, and with its verdicts; a line each
for cases and results; and a last line with the checksum of all before it. The same run gives the same bytes. What is
read is checked to the last line before any of it is handed out. Neither reading nor writing holds many cases or results
in memory.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from evalgate.codec import case_from_json, case_to_json, result_from_json, result_to_json
from evalgate.errors import Fault, InputError, StoreError
from evalgate.history import run_file_rows as rows
from evalgate.history.listing import NOTHING, Beside
from evalgate.history.run_file_rows import SCHEMA, Outputs, Shard
from evalgate.records import CaseRef, Json, Result, Run
from evalgate.spool import gathered

SUFFIX = ".evalrun"

LONGEST_LINE = 64 * 2**20
"""Bytes. An answer of 64 MB is none that a person has compared with anything."""

MOST_BYTES = 8 * 2**30
"""Of a whole file, unpacked."""

MOST_PACKED = 200
"""How many times its own size a file may hold where it holds more than `LONGEST_LINE`: beyond that it is written to
fill memory. What is written here keeps to it."""

# What is no JSON becomes text, as in the journal and the store.
_encode = json.JSONEncoder(separators=(",", ":"), default=str, allow_nan=False).encode
_encode_all = json.JSONEncoder(separators=(",", ":"), default=str).encode


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFile:
    """A run as a file holds it."""

    run: Run
    shard: Shard | None
    """Which part of a run it is; None: all of it."""
    outputs: Outputs
    """`hashes`: what models and users wrote is left out."""
    checksum: str
    """SHA-256 of the content, hex: names it."""
    beside: Beside = NOTHING
    """What had been said of the run when the file was written."""


# ---- writing ----------------------------------------------------------------------------------------------


def write(
    file: Path, run: Run, *, shard: Shard | None = None, outputs: Outputs = "full", beside: Beside = NOTHING
) -> str:
    """Writes a run's file, whole or not at all, and gives its checksum. Raises StoreError where it cannot."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        checksum, unpacked = _write(temporary, run, shard, outputs, beside, level=6)
        if unpacked > LONGEST_LINE and unpacked > MOST_PACKED * temporary.stat().st_size:
            checksum, _ = _write(temporary, run, shard, outputs, beside, level=0)
        temporary.replace(file)
    except OSError as error:
        raise StoreError(f"{file}: the run file cannot be written: {error.strerror or error}. Make room") from error
    finally:
        temporary.unlink(missing_ok=True)
    return checksum


def _write(
    file: Path, run: Run, shard: Shard | None, outputs: Outputs, beside: Beside, *, level: int
) -> tuple[str, int]:
    """The checksum, and how many bytes were written before they were packed."""
    digest = hashlib.sha256()
    size = 0
    # Texts may be confidential: readable for the owner only. Without a name and a time, equal runs give equal bytes.
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
        with (
            gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=raw, mtime=0) as packed,
            io.BufferedWriter(packed, 2**16) as lines,
        ):
            for row in _rows(run, shard, outputs, beside):
                line = _line(row)
                digest.update(line)
                lines.write(line)
                size += len(line)
            checksum = digest.hexdigest()
            lines.write(_line({"end": checksum}))
        raw.flush()
        os.fsync(raw.fileno())
    return checksum, size


def _rows(run: Run, shard: Shard | None, outputs: Outputs, beside: Beside) -> Iterator[Json]:
    yield {**rows.header_of(run, shard=shard, outputs=outputs), **rows.beside_rows(beside, outputs)}
    for case in run.cases:
        row = case_to_json(case)
        yield {"case": row if outputs == "full" else rows.hashed_case(row)}
    yield from _result_rows("result", run.results, outputs)
    if run.confirmation is not None:
        yield from _result_rows("after", run.confirmation.after, outputs)
        yield from _result_rows("before", run.confirmation.before, outputs)


def _result_rows(kind: str, results: Iterable[Result], outputs: Outputs) -> Iterator[Json]:
    for result in results:
        row = result_to_json(result)
        yield {kind: row if outputs == "full" else rows.hashed_result(row)}


def _line(row: Json) -> bytes:
    try:
        text = _encode(row)
    except ValueError:  # NaN or an infinity in what a callable gave: JSON has none
        text = _encode(json.loads(_encode_all(row), parse_constant=str))
    return text.encode("ascii") + b"\n"


# ---- reading ----------------------------------------------------------------------------------------------


def read(file: Path, *, most_bytes: int = MOST_BYTES) -> RunFile:
    """The run in a file. Raises InputError, with what is wrong and what to do, where any part of it is not as it was
    written, and where this evalgate does not know its schema."""
    try:
        with file.open("rb") as raw:
            size = os.fstat(raw.fileno()).st_size
            bound = min(most_bytes, max(LONGEST_LINE, MOST_PACKED * size))
            return _Reader(str(file), raw, bound).read()
    except FileNotFoundError as error:
        raise InputError(Fault(where=str(file), what="there is no such file")) from error
    except IsADirectoryError as error:
        raise InputError(Fault(where=str(file), what="this is a folder", hint="Name a run file.")) from error
    except OSError as error:
        raise InputError(Fault(where=str(file), what=f"cannot be read: {error.strerror}")) from error


def parse(name: str, content: bytes) -> RunFile:
    """The run in a file's content; `name` is what messages call it. Raises InputError as `read` does."""
    bound = min(MOST_BYTES, max(LONGEST_LINE, MOST_PACKED * len(content)))
    return _Reader(name, io.BytesIO(content), bound).read()


AGAIN = "Fetch or write it again."


class _Reader:
    """One pass over a file."""

    def __init__(self, name: str, raw: IO[bytes], bound: int) -> None:
        self._name, self._raw, self._bound = name, raw, bound
        self._digest = hashlib.sha256()
        self._number = 0
        self._size = 0

    def read(self) -> RunFile:
        if self._raw.read(2) != b"\x1f\x8b":
            raise self._fault("this is no run file", "`evalgate run --write run=FILE` writes one.")
        self._raw.seek(0)
        try:
            with gzip.GzipFile(fileobj=self._raw, mode="rb") as lines:
                return self._whole(lines)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise self._fault("the file is cut off or damaged", AGAIN) from error

    def _whole(self, lines: gzip.GzipFile) -> RunFile:
        header = self._header(lines)
        found = {kind: gathered(self._of_kind(lines, kind, header["counts"][kind])) for kind in rows.KINDS}
        checksum = self._digest.hexdigest()
        if self._row(lines) != {"end": checksum}:
            raise self._fault("its checksum is not that of its content", AGAIN)
        if lines.read(1):
            raise self._fault("something follows its end", AGAIN)
        self._check_cases(found)
        shard = None if header["shard"] is None else Shard(**header["shard"])
        return RunFile(
            run=rows.run_of(header, found),
            shard=shard,
            outputs=header["outputs"],
            checksum=checksum,
            beside=rows.beside_of(header),
        )

    def _header(self, lines: gzip.GzipFile) -> Mapping[str, Any]:
        read = self._row(lines)
        row: dict[str, Any] = read if isinstance(read, dict) else {}
        schema = row.get("schema")
        if not isinstance(schema, str) or not schema.startswith("evalgate.run/"):
            raise self._fault("this is no run file", "`evalgate run --write run=FILE` writes one.")
        if schema != SCHEMA:
            what = f"its schema is {schema[:40]!r}, this evalgate reads {SCHEMA!r}"
            raise self._fault(what, "Read it with the evalgate that wrote it, or a newer one.")
        wrong = [name for name, check in rows.HEADER.items() if name not in row or not check(row[name])]
        wrong += [name for name in row if name not in rows.HEADER and not rows.BESIDE.get(name, _never)(row[name])]
        if not wrong and row["confirmation"] is None and (row["counts"]["after"] or row["counts"]["before"]):
            wrong = ["confirmation"]
        if wrong:
            raise self._fault(f"{wrong[0][:40]!r} is not what a run file has there", AGAIN)
        return row

    def _of_kind(self, lines: gzip.GzipFile, kind: str, count: int) -> Iterator[CaseRef | Result]:
        """The rows of one kind. Each greater than the one before, so that none is there twice."""
        check = rows.KINDS[kind]
        before: tuple[Any, ...] | None = None
        for _ in range(count):
            row = self._row(lines)
            if not isinstance(row, dict) or row.keys() != {kind} or not check(row[kind]):
                raise self._fault(f"this is no {kind}, and the header promises one", AGAIN)
            item: CaseRef | Result = case_from_json(row[kind]) if kind == "case" else result_from_json(row[kind])
            key = (item.id,) if isinstance(item, CaseRef) else (item.case_id, item.epoch)
            if before is not None and key <= before:
                what = "stands there twice" if key == before else "is out of order"
                raise self._fault(f"{kind} {key[0][:80]!r} {what}", AGAIN)
            before = key
            yield item

    def _check_cases(self, found: Mapping[str, Sequence[Any]]) -> None:
        known = {case.id for case in found["case"]}
        for kind in ("result", "after", "before"):
            for result in found[kind]:
                if result.case_id not in known:
                    raise InputError(
                        Fault(where=self._name, what=f"{kind} of a case {result.case_id[:80]!r} that it does not have")
                    )

    def _row(self, lines: gzip.GzipFile) -> Json:
        """The next line's value. Raises InputError where there is none, or none that may be read."""
        line = lines.readline(min(LONGEST_LINE, self._bound - self._size) + 1)
        self._number += 1
        self._size += len(line)
        if len(line) > LONGEST_LINE or self._size > self._bound:
            raise self._fault("it holds more than a run file may", "It may be made to fill memory: do not use it.")
        if not line.endswith(b"\n"):
            raise self._fault("the file is cut off", AGAIN)
        try:
            row = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise self._fault("this is no JSON", AGAIN) from error
        if not (isinstance(row, dict) and row.keys() == {"end"}):
            self._digest.update(line)
        return row

    def _fault(self, what: str, hint: str) -> InputError:
        place = f"{self._name}:{self._number}" if self._number else self._name
        return InputError(Fault(where=place, what=what, hint=hint))


def _never(value: Json) -> bool:
    return False


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number that JSON has")
