"""The rows of a run file: what each may hold, and how a run's own fields stand in the first of them.

Pure: no file here. A run file may come from anywhere (an artifact, a fork's branch), so that nothing of it is taken
on trust: every field has its type and its range checked before it becomes a record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from evalgate.records import Confirmation, Json, Result, Run, Stage, Step, Usage, Version, fingerprint

SCHEMA = "evalgate.run/1"

Outputs: TypeAlias = Literal["full", "hashes"]

NOT_KEPT = "not kept in this file"
"""Stands for the cause of a failure in a file without texts: what failed may have quoted the answer."""

TEXTS = ("text", "data", "tool_calls", "contexts")
"""Fields of an output that hold what a model or a user wrote."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """Which part of a run a file holds."""

    index: int
    """From 1."""
    count: int
    plan: str
    """Fingerprint of all the cases that the shards share: equal in each of them."""
    cases: int
    """How many those are."""
    scorers: str
    """Fingerprint of every scorer of the eval set: equal in each shard."""

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


# ---- a run's own fields ------------------------------------------------------------------------------------


def header_of(run: Run, *, shard: Shard | None, outputs: Outputs) -> dict[str, Json]:
    """Everything of a run but its cases and results."""
    asked, usage = run.confirmation, run.usage
    return {
        "schema": SCHEMA,
        "id": run.id,
        "suite": run.suite,
        "created": run.created.astimezone(UTC).isoformat(),
        "outputs": outputs,
        "shard": None if shard is None else {name: getattr(shard, name) for name in Shard.__slots__},
        "counts": {
            "case": len(run.cases),
            "result": len(run.results),
            "after": 0 if asked is None else len(asked.after),
            "before": 0 if asked is None else len(asked.before),
        },
        "epochs": run.epochs,
        "commit": run.commit,
        "branch": run.branch,
        "version": {"id": run.version.id, "parts": dict(run.version.parts)},
        "evalset": run.evalset,
        "selection": run.selection,
        "stopped": run.stopped,
        "origin": run.origin,
        "usage": {name: getattr(usage, name) for name in Usage.__slots__},
        "steps": [
            {"epochs": step.epochs, "categories": list(step.categories), "is_last": step.is_last} for step in run.steps
        ],
        "against": list(run.against),
        "confirmation": None
        if asked is None
        else {"categories": list(asked.categories), "epochs": asked.epochs, "how": asked.how},
        "metadata": dict(run.metadata),
    }


def run_of(header: Mapping[str, Any], rows: Mapping[str, Sequence[Any]]) -> Run:
    """The run of a checked header and of its rows by kind."""
    asked = header["confirmation"]
    return Run(
        id=header["id"],
        suite=header["suite"],
        created=_moment(header["created"]),
        cases=rows["case"],
        results=rows["result"],
        epochs=header["epochs"],
        commit=header["commit"],
        branch=header["branch"],
        version=Version(**header["version"]),
        evalset=header["evalset"],
        selection=header["selection"],
        stopped=header["stopped"],
        origin=header["origin"],
        usage=Usage(**header["usage"]),
        steps=tuple(Step(**{**step, "categories": tuple(step["categories"])}) for step in header["steps"]),
        against=tuple(header["against"]),
        confirmation=None if asked is None else _confirmation(asked, rows["after"], rows["before"]),
        metadata=header["metadata"],
    )


def _confirmation(asked: Mapping[str, Any], after: Sequence[Result], before: Sequence[Result]) -> Confirmation:
    return Confirmation(
        categories=tuple(asked["categories"]),
        epochs=asked["epochs"],
        after=tuple(after),
        before=tuple(before),
        how=asked["how"],
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


# ---- without texts -----------------------------------------------------------------------------------------


def hashed_result(row: dict[str, Json]) -> dict[str, Json]:
    """A result's row with a hash in the place of all that a model wrote or that quotes it."""
    row = dict(row)
    if "output" in row:
        output = row["output"]
        said = [output.get(name) for name in TEXTS]
        row["output"] = {name: value for name, value in output.items() if name not in TEXTS}
        if any(value is not None for value in said):
            row["output"]["hash"] = fingerprint(said)
    if "cause" in row:
        row["cause"] = NOT_KEPT
    if "scores" in row:
        row["scores"] = [{**score, "reason": ""} for score in row["scores"]]
    return row


def hashed_case(row: dict[str, Json]) -> dict[str, Json]:
    """A case's row without what is asked and expected: `content` is the fingerprint of both."""
    return {name: value for name, value in row.items() if name not in ("input", "expected", "metadata")}


# ---- what a row may hold -----------------------------------------------------------------------------------

Check: TypeAlias = Callable[[Any], bool]

MOST = 2**63
"""What a database's largest whole number column holds, and one more."""


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST


def _from_1(value: Any) -> bool:
    return _count(value) and value >= 1


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _amount(value: Any) -> bool:
    return _number(value) and value >= 0


def _rate(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _anything(value: Any) -> bool:
    return True


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list(check: Check, *, least: int = 0) -> Check:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(check, value))


def _one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


def _tool_call(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _source(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and _count(value[1])


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).utcoffset() is not None and bool(_moment(value))
    except (ValueError, OverflowError):
        return False


def _is_id(value: Any) -> bool:
    # An id is printed as a part of commands to copy.
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", value) is not None


def _shape(needed: Mapping[str, Check], **optional: Check) -> Check:
    """A mapping with all of `needed`, any of `optional`, and nothing else."""
    known = {**needed, **optional}

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or not needed.keys() <= value.keys():
            return False
        return all(name in known and known[name](item) for name, item in value.items())

    return check


OUTPUT = _shape(
    {},
    text=_text,
    data=_anything,
    tool_calls=_list(_tool_call),
    contexts=_list(_anything),
    latency_s=_amount,
    tokens_in=_count,
    tokens_out=_count,
    cost_usd=_amount,
    model=_text,
    system_fingerprint=_text,
    response_id=_text,
    finish_reason=_text,
    cached=_flag,
    hash=_text,
)
SCORE = _shape(
    {"scorer": _text, "value": _rate, "reason": _text, "version": _text},
    weight=lambda value: _amount(value) and value > 0,
)
_ANY_RESULT: Mapping[str, Check] = {"case": _text, "epoch": _from_1}
SCORED = _shape({**_ANY_RESULT, "score": _rate, "scores": _list(SCORE), "output": OUTPUT}, attempts=_count)
FAILED = _shape({**_ANY_RESULT, "stage": _one_of(*Stage), "cause": _text}, output=OUTPUT, attempts=_count)
CASE = _shape(
    {"id": _text, "categories": _list(_text, least=1)},
    content=_text,
    scorers=_text,
    cluster=_text,
    input=_anything,
    expected=_anything,
    critical=_flag,
    tags=_list(_text),
    metadata=_mapping,
    source=_source,
)


def _result(value: Any) -> bool:
    return SCORED(value) or FAILED(value)


KINDS: Mapping[str, Check] = {"case": CASE, "result": _result, "after": _result, "before": _result}
"""The kinds of rows between a file's first line and its last, in their order."""

_MAYBE_TEXT = _maybe(_text)

KNOWN: Mapping[str, Check] = {
    "models": _list(_text),
    "system_fingerprints": _list(_text),
    "notes": _list(_text),
    "modified": _flag,
}
"""What a run says of itself and reports show."""

SHARD = _shape({"index": _from_1, "count": _from_1, "plan": _text, "cases": _from_1, "scorers": _text})

HEADER: Mapping[str, Check] = {
    "schema": _one_of(SCHEMA),
    "id": _is_id,
    "suite": _text,
    "created": _is_moment,
    "outputs": _one_of("full", "hashes"),
    "shard": _maybe(lambda value: SHARD(value) and value["index"] <= value["count"]),
    "counts": _shape(dict.fromkeys(KINDS, _count)),
    "epochs": _from_1,
    "commit": _MAYBE_TEXT,
    "branch": _MAYBE_TEXT,
    "version": _shape({"id": _MAYBE_TEXT, "parts": _mapping}),
    "evalset": _MAYBE_TEXT,
    "selection": _MAYBE_TEXT,
    "stopped": _MAYBE_TEXT,
    "origin": _one_of("run", "import"),
    "usage": _shape(
        {
            "calls": _count,
            "calls_saved": _count,
            "tokens_in": _maybe(_count),
            "tokens_out": _maybe(_count),
            "cost_usd": _maybe(_amount),
            "wall_s": _maybe(_amount),
        }
    ),
    "steps": _list(_shape({"epochs": _from_1, "categories": _list(_text), "is_last": _flag})),
    "against": _list(_is_id),
    "confirmation": _maybe(_shape({"categories": _list(_text), "epochs": _from_1, "how": _text})),
    "metadata": lambda value: isinstance(value, dict) and all(KNOWN[n](v) for n, v in value.items() if n in KNOWN),
}
