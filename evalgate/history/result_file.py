"""The result file (`evalgate.result/1`): what a job without secrets hands to the one that may comment.

One JSON document of a run: its cases and scores, with hashes in the place of all that a model or a user wrote; names of
cases and categories are the only texts in it. It is read as what it is, the word of a stranger: whatever is not exactly
as described here is refused, and no message repeats it.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from evalgate.errors import Fault, InputError, StoreError
from evalgate.history import result_file_rows as rows
from evalgate.history.checks import Check
from evalgate.history.result_file_rows import SCHEMA
from evalgate.records import (
    CaseRef,
    Confirmation,
    Failed,
    Json,
    Output,
    Result,
    Run,
    Scored,
    Stage,
    Step,
    Usage,
    Version,
    fingerprint,
)

Unrun: TypeAlias = Literal["no_credentials", "nothing_changed", "error"]
"""Why there is no run: the endpoint's key was not there, only changed cases were asked for and there are none, or
something failed before the first call."""

MOST_VALUES = 4_000_000
"""Commas and brackets of a document: what it takes in memory depends on them."""

PARTIAL = "a part of its cases"
STOPPED = "it ended before its plan did"
CAUSES: Mapping[Stage, str] = {
    Stage.RENDER: "the request could not be made",
    Stage.ENDPOINT: "the endpoint gave no answer",
    Stage.SCORER: "the answer could not be judged",
    Stage.RECORDED: "the recorded row says so",
}
"""What stands in a run that was read, for the causes that the file does not have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Handed:
    """What a result file holds."""

    suite: str
    run: Run | None
    unrun: Unrun | None
    """None where there is a run."""


# ---- writing ----------------------------------------------------------------------------------------------


def write(file: Path, suite: str, run: Run | None, *, unrun: Unrun | None = None) -> None:
    """Writes the file, whole or not at all: the same run gives the same bytes. Raises StoreError where it cannot.

    run: None, with `unrun`, where there is none to speak of.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="ascii") as text:
            text.writelines(_document(suite, run, unrun))
        temporary.replace(file)
    except OSError as error:
        raise StoreError(f"{file}: the result file cannot be written: {error.strerror or error}. Make room") from error
    finally:
        temporary.unlink(missing_ok=True)


def _document(suite: str, run: Run | None, unrun: Unrun | None) -> Iterator[str]:
    """The parts of the text: of a large run no more than a line is held."""
    asked = None if run is None else run.confirmation
    head = {"schema": SCHEMA, "suite": suite, "unrun": unrun, "run": None if run is None else _run_row(run)}
    yield _encode(head)[:-1]
    listed: dict[str, Iterable[Json]] = {
        "cases": map(_case_row, () if run is None else run.cases),
        "results": map(_result_row, () if run is None else run.results),
        "after": map(_result_row, () if asked is None else asked.after),
        "before": map(_result_row, () if asked is None else asked.before),
    }
    for name, items in listed.items():
        yield f',\n"{name}":['
        for number, row in enumerate(items):
            yield (",\n" if number else "\n") + _encode(row)
        yield "]"
    yield "}\n"


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def _run_row(run: Run) -> dict[str, Json]:
    asked, usage = run.confirmation, run.usage
    return {
        "id": run.id,
        "created": run.created.astimezone(UTC).isoformat(),
        "commit": _if_like(rows.COMMIT, run.commit),
        "version": _if_like(rows.FINGERPRINT, run.version.id),
        "evalset": run.evalset,
        "epochs": run.epochs,
        "is_partial": run.selection is not None,
        "is_stopped": run.stopped is not None,
        "changed_since": run.metadata.get("changed_since"),
        "usage": {name: getattr(usage, name) for name in Usage.__slots__},
        "steps": [
            {"epochs": step.epochs, "categories": list(step.categories), "is_last": step.is_last} for step in run.steps
        ],
        "against": list(run.against),
        "confirmation": None
        if asked is None
        else {"categories": list(asked.categories), "epochs": asked.epochs, "asked_again": bool(asked.before)},
    }


def _if_like(pattern: str, value: str | None) -> str | None:
    """The value, unless it is a text of somebody's choice, as what was imported may have."""
    return value if value is not None and re.search(pattern, value) else None


def _case_row(case: CaseRef) -> dict[str, Json]:
    row: dict[str, Json] = {"id": case.id, "categories": list(case.categories)}
    named = {name: _if_like(rows.FINGERPRINT, getattr(case, name)) for name in ("content", "scorers")}
    row |= {name: value for name, value in named.items() if value is not None}
    row |= {"critical": True} if case.critical else {}
    return row | ({} if case.cluster is None else {"cluster": fingerprint(case.cluster)})


def _result_row(result: Result) -> dict[str, Json]:
    row: dict[str, Json] = {"case": result.case_id, "epoch": result.epoch}
    row |= {"score": result.score} if isinstance(result, Scored) else {"failed": result.stage.value}
    output = result.output
    if output is not None:
        said = {name: getattr(output, name) for name in _MEASURED}
        row |= {name: value for name, value in said.items() if value is not None and math.isfinite(value)}
        row |= {"cached": True} if output.cached else {}
        row |= {} if output.response_id is None else {"response": fingerprint(output.response_id)}
    return row


_MEASURED = ("latency_s", "tokens_in", "tokens_out", "cost_usd")


# ---- reading ----------------------------------------------------------------------------------------------


def read(content: bytes, *, where: str) -> Handed:
    """What the document says. where: how it is named in messages.

    Raises InputError, with one sentence, where any of it is not as described. The run's texts are ours (`PARTIAL`,
    `STOPPED`, `CAUSES`); nothing but names of cases and categories is the document's.
    """
    try:
        document = _parsed(content)
        _check(document)
    except _Refused as fault:
        raise InputError(Fault(where=where, what=str(fault), hint=_HINT)) from None
    run = None if document["run"] is None else _run(document)
    return Handed(suite=document["suite"], run=run, unrun=document["unrun"])


_HINT = "Write it with this evalgate: `evalgate run --write result=result.json`."


class _Refused(Exception):
    """What is wrong with a document; a sentence without a full stop."""


def _parsed(content: bytes) -> dict[str, Any]:
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MOST_VALUES:
        raise _Refused("it holds more than a result file may")
    try:
        document = json.loads(content.decode("utf-8"), parse_constant=_no_number, object_pairs_hook=_without_doubles)
    except UnicodeDecodeError:
        raise _Refused("it is not UTF-8") from None
    except (ValueError, RecursionError):
        raise _Refused("it is no JSON, or names a key twice") from None
    if not isinstance(document, dict) or not str(document.get("schema")).startswith("evalgate.result/"):
        raise _Refused("it is no result file")
    if document["schema"] != SCHEMA:
        raise _Refused(f"its schema is another than {SCHEMA}, which this evalgate reads")
    return document


def _no_number(name: str) -> float:
    raise ValueError("NaN and infinities are no JSON")


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _check(document: Mapping[str, Any]) -> None:
    for name, check in _HEAD.items():
        if name not in document or not check(document[name]):
            raise _Refused(f'"{name}" is not what a result file has there')
    if document.keys() != _HEAD.keys():
        raise _Refused("it has a key that no result file has")
    if (document["run"] is None) != (document["unrun"] is not None):
        raise _Refused('"run" and "unrun" contradict each other')
    _check_rows(document)


_HEAD: Mapping[str, Check] = {
    # Rows are gone through one by one, so that the first wrong one can be told.
    name: (lambda value: isinstance(value, list)) if schema.get("type") == "array" else rows.check_of(schema)
    for name, schema in rows.document_schema()["properties"].items()
}
_CASE, _RESULT = rows.check_of(rows.CASE), rows.check_of(rows.RESULT)


def _check_rows(document: Mapping[str, Any]) -> None:
    """Each row by itself, in order, none twice, and every result of a case that there is."""
    run = document["run"]
    _check_order("cases", document["cases"], _CASE, lambda row: row["id"])
    known = {row["id"] for row in document["cases"]}
    for name in rows.RESULTS:
        _check_order(name, document[name], _RESULT, lambda row: (row["case"], row["epoch"]))
        if any(row["case"] not in known for row in document[name]):
            raise _Refused(f'"{name}" has a case that "cases" does not have')
    confirmed = None if run is None else run["confirmation"]
    if confirmed is None and (document["after"] or document["before"]):
        raise _Refused('"after" and "before" stand there without a confirmation')
    if confirmed is not None and confirmed["asked_again"] != bool(document["before"]):
        raise _Refused('"confirmation" and "before" contradict each other')
    if run is None and known:
        raise _Refused('"cases" stands there without a run')


def _check_order(name: str, listed: Sequence[Any], check: Check, key: Callable[[Any], Any]) -> None:
    before: Any = None
    for number, row in enumerate(listed):
        if not check(row):
            raise _Refused(f'"{name}", row {number:,}, is not what a result file has there')
        if before is not None and not before < key(row):
            raise _Refused(f'"{name}", row {number:,}, stands there twice or out of order')
        before = key(row)


def _run(document: Mapping[str, Any]) -> Run:
    row: Mapping[str, Any] = document["run"]
    asked = row["confirmation"]
    return Run(
        id=row["id"],
        suite=document["suite"],
        created=datetime.fromisoformat(row["created"]).astimezone(UTC),
        cases=tuple(map(_case, document["cases"])),
        results=_results(document["results"]),
        epochs=row["epochs"],
        commit=row["commit"],
        version=Version(id=row["version"]),
        evalset=row["evalset"],
        selection=PARTIAL if row["is_partial"] else None,
        stopped=STOPPED if row["is_stopped"] else None,
        usage=Usage(**row["usage"]),
        steps=tuple(Step(**{**step, "categories": tuple(step["categories"])}) for step in row["steps"]),
        against=tuple(row["against"]),
        confirmation=None
        if asked is None
        else Confirmation(
            categories=tuple(asked["categories"]),
            epochs=asked["epochs"],
            after=_results(document["after"]),
            before=_results(document["before"]),
        ),
        metadata={} if row["changed_since"] is None else {"changed_since": row["changed_since"]},
    )


def _case(row: Mapping[str, Any]) -> CaseRef:
    return CaseRef(**{**row, "categories": tuple(row["categories"])})


def _results(listed: Iterable[Mapping[str, Any]]) -> tuple[Result, ...]:
    return tuple(map(_result, listed))


def _result(row: Mapping[str, Any]) -> Result:
    measured = {name: row[name] for name in _MEASURED if name in row}
    output = Output(**measured, cached=row.get("cached", False), response_id=row.get("response"))
    if "score" in row:
        return Scored(case_id=row["case"], epoch=row["epoch"], score=row["score"], output=output)
    stage = Stage(row["failed"])
    return Failed(case_id=row["case"], epoch=row["epoch"], stage=stage, cause=CAUSES[stage], output=output)
