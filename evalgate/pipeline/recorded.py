"""`evalgate import`: files of recorded results become runs of the history."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evalgate import config as configuration
from evalgate.errors import Fault, InputError
from evalgate.masking import Masker, secrets_in
from evalgate.pipeline.suite import open_history
from evalgate.records import Run
from evalgate.rows import MOST_FAULTS, run_from_rows
from evalgate.spool import gathered

FORMATS = ("jsonl",)


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """What `evalgate import` can be told."""

    files: tuple[Path, ...]
    suite: str
    store: str
    format: str = "jsonl"
    commit: str | None = None
    branch: str | None = None
    created: datetime | None = None
    evalset: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One file that became a run."""

    file: Path
    run: Run

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.run.id,
            "file": str(self.file),
            "cases": len(self.run.cases),
            "results": len(self.run.results),
        }


def import_results(options: ImportOptions, *, now: datetime | None = None) -> list[Imported]:
    """One run of each file, all of them or none: a fault in the last leaves the history as it was.

    Several files are taken to be runs in the order given, a microsecond apart, so that `latest` is the last of them.
    Raises InputError with the file and line of every fault, StoreError.
    """
    if options.format not in FORMATS:
        what = f"--from {options.format} is not yet built"
        raise InputError(Fault(where="--from", what=what, hint=f"There is: {', '.join(FORMATS)}."))
    created = options.created or now or datetime.now(UTC)
    evalset = configuration.load_items(options.evalset) if options.evalset else None
    if not options.suite.strip() or not options.suite.isprintable():
        raise InputError(Fault(where="--suite", what="is empty or not of one line", hint="Name the suite."))
    imported: list[Imported] = []
    faults: list[Fault] = []
    for number, file in enumerate(options.files):
        rows, unreadable = _rows(file)
        faults.extend(unreadable)
        try:
            run = run_from_rows(
                rows,
                id=uuid.uuid4().hex[:12],
                suite=options.suite,
                created=created + timedelta(microseconds=number),
                name=str(file),
                evalset=evalset,
                commit=options.commit,
                branch=options.branch,
            )
        except InputError as error:
            faults.extend(error.faults if rows or not unreadable else ())
            continue
        imported.append(Imported(file=file, run=run))
    if faults:
        raise InputError(faults)
    mask = Masker(secrets_in(os.environ))
    with open_history(options.store) as history:
        for item in imported:
            history.write_run(replace(item.run, results=gathered(map(mask.result, item.run.results))))
    return imported


def _rows(file: Path) -> tuple[list[tuple[str, Mapping[str, Any]]], list[Fault]]:
    """The rows of a JSONL file with their places, and what is wrong with other lines; blank ones are passed over."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(Fault(where=str(file), what="there is no such file")) from error
    except IsADirectoryError as error:
        raise InputError(Fault(where=str(file), what="this is a folder", hint="Name its files.")) from error
    except OSError as error:
        raise InputError(Fault(where=str(file), what=f"cannot be read: {error.strerror}")) from error
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 (byte {error.start})"
        raise InputError(Fault(where=str(file), what=what, hint="Save it as UTF-8.")) from error
    rows: list[tuple[str, Mapping[str, Any]]] = []
    faults: list[Fault] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_refuse_constant, object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            what = f"is no JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)
            faults.append(Fault(where=f"{file}:{number}", what=what, hint="Each line is one JSON object."))
            continue
        rows.append((f"{file}:{number}", row))
    return rows, faults[:MOST_FAULTS]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number that JSON has")


def parse_time(text: str | None) -> datetime | None:
    """The moment that an ISO 8601 text names; without a zone it is UTC. Raises InputError."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        hint = "Write 2026-11-01T12:00:00Z."
        raise InputError(Fault(where="--created", what=f"{text!r} is no time", hint=hint)) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
