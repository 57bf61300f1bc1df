"""What stands in a journal: its header, and a line a result, as bytes and back. Knows no lock and no run.

Each line is JSON and begins with the CRC-32 of its rest, so that what a failing power or disk has made of it is never
taken for a result.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

from evalgate.errors import Fault, InputError
from evalgate.records import Json

SCHEMA = "evalgate.journal/2"

NEW = "Start a new run without --resume"

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


def to_line(row: Json) -> bytes:
    """A mapping that is not empty, as a line."""
    body = _encode(row).encode("ascii")
    return b'{"crc":"%08x",%b\n' % (zlib.crc32(body), body[1:])


def from_line(line: bytes) -> Json:
    """What a line holds; None if it is damaged."""
    body = b"{" + line[len('{"crc":"01234567",') :].rstrip(b"\n")
    return json.loads(body) if line.startswith(b'{"crc":"%08x",' % zlib.crc32(body)) else None


def rows_of(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Each whole line and where it ends."""
    end = 0
    file.seek(0)
    with os.fdopen(os.dup(file.fileno()), "rb") as lines:  # buffered, on the same open file: the lock stays
        for line in lines:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield line, end


def read_header(path: Path, file: IO[bytes]) -> Header:
    """What a journal's first line says. Raises InputError where it is no header that this evalgate can read."""
    line = next((line for line, _ in rows_of(file)), b"")
    try:
        row = json.loads(line)
        if row["schema"] != SCHEMA:
            raise InputError(
                about(
                    path,
                    f"the journal's schema is {row['schema']!r}, this evalgate reads {SCHEMA!r}",
                    "Finish the run with the evalgate that began it, or start a new one without --resume",
                )
            )
        if from_line(line) is None:
            raise ValueError("damaged")
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
        raise InputError(about(path, "this is no journal of a run, or its first line is damaged", NEW)) from error


def header_to_json(header: Header) -> dict[str, Json]:
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


def check(path: Path, found: Header, expected: Header) -> None:
    """Results of another suite, version or eval set must not flow into this run: all differences in one message."""
    faults = [
        about(path, f"the run was begun with {what} {then or 'unknown'}, now it is {now or 'unknown'}", hint)
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
                "Cases have changed since, or others are selected: go back to those of then, "
                "or start a new run without --resume",
            ),
        )
        if then != now
    ]
    if faults:
        raise InputError(faults)


def about(path: Path, what: str, hint: str) -> Fault:
    """A complaint about a journal."""
    return Fault(where=str(path), what=what, hint=hint)
