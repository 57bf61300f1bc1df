"""`evalgate import`: files of recorded results become runs of the history."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from evalgate import config as configuration
from evalgate.errors import Fault, InputError
from evalgate.pipeline.suite import open_history
from evalgate.records import Run
from evalgate.rows import run_from_rows

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
    imported: list[Imported] = []
    faults: list[Fault] = []
    for number, file in enumerate(options.files):
        try:
            run = run_from_rows(
                _rows(file),
                id=uuid.uuid4().hex[:12],
                suite=options.suite,
                created=created + timedelta(microseconds=number),
                name=str(file),
                evalset=evalset,
                commit=options.commit,
                branch=options.branch,
            )
        except InputError as error:
            faults.extend(error.faults)
            continue
        imported.append(Imported(file=file, run=run))
    if faults:
        raise InputError(faults)
    with open_history(options.store) as history:
        for item in imported:
            history.write_run(item.run)
    return imported


def _rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a JSONL file with their places; blank lines are passed over."""
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
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield f"{file}:{number}", json.loads(line, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            what = f"is no JSON: {error}" if isinstance(error, json.JSONDecodeError) else str(error)
            hint = "Each line is one JSON object."
            raise InputError(Fault(where=f"{file}:{number}", what=what, hint=hint)) from error


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


def check_files(files: Sequence[Path]) -> tuple[Path, ...]:
    """The files, each once. Raises InputError for one that is named twice: the same run would count twice."""
    if len(set(files)) != len(files):
        twice = sorted({str(file) for file in files if list(files).count(file) > 1})
        raise InputError(Fault(where="FILE", what=f"named twice: {', '.join(twice)}"))
    return tuple(files)
