"""The rows of a run file: what each may hold, and how a run's own fields stand in the first of them.

Pure: no file here. A run file may come from anywhere (an artifact, a fork's branch), so that nothing of it is taken
on trust: every field has its type and its range checked before it becomes a record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from evalgate.history import checks
from evalgate.history.checks import Check
from evalgate.history.listing import Beside, VerdictRow
from evalgate.records import (
    CONFIG,
    VERDICT_SCHEMA,
    Confirmation,
    DriftEvent,
    Json,
    Result,
    Run,
    Stage,
    Step,
    Usage,
    VerdictName,
    Version,
    fingerprint,
)

SCHEMA = "evalgate.run/1"

Outputs: TypeAlias = Literal["full", "hashes"]

NOT_KEPT = "not kept in this file"
"""Stands for the cause of a failure in a file without texts: what failed may have quoted the answer."""

TEXTS = ("text", "data", "tool_calls", "contexts")
"""Fields of an output that hold what a model or a user wrote."""


PROMPTS = ("system", "templates", "tools", "response_format")
"""Parts of a version that hold what somebody wrote for the model."""


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
    parts = run.version.parts if outputs == "full" else hashed_parts(run.version.parts)
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
        "version": {"id": run.version.id, "parts": dict(parts)},
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


# ---- what was said of the run ------------------------------------------------------------------------------


def beside_rows(beside: Beside, outputs: Outputs) -> dict[str, Json]:
    """The header's fields for what the store keeps beside a run; none for what there is none of."""
    verdicts = [{"decided": _iso(row.decided), "body": _body(row, outputs)} for row in beside.verdicts]
    names = [name for name in DriftEvent.__slots__ if name not in ("run_id", "created")]
    drifts = [
        {"created": _iso(event.created), **{name: getattr(event, name) for name in names}} for event in beside.drifts
    ]
    found: dict[str, Json] = {"verdicts": verdicts, "drifts": drifts, "detectable": dict(beside.detectable)}
    return {name: value for name, value in found.items() if value}


def beside_of(header: Mapping[str, Any]) -> Beside:
    """What a checked header says beside the run."""
    run_id = header["id"]
    verdicts = [
        VerdictRow(
            run_id=run_id,
            decided=_moment(row["decided"]),
            verdict=row["body"]["verdict"],
            exit_code=row["body"]["exit_code"],
            body=row["body"],
        )
        for row in header.get("verdicts", ())
    ]
    drifts = [
        DriftEvent(**{**row, "run_id": run_id, "created": _moment(row["created"])}) for row in header.get("drifts", ())
    ]
    return Beside(verdicts=tuple(verdicts), drifts=tuple(drifts), detectable=header.get("detectable", {}))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _body(row: VerdictRow, outputs: Outputs) -> dict[str, Json]:
    # What could not be evaluated names the cause, which may quote an answer.
    quotes = outputs == "hashes" and row.verdict in (VerdictName.ERROR.value, VerdictName.NOT_EVALUATED.value)
    return {**row.body, "reason": NOT_KEPT} if quotes else dict(row.body)


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


def hashed_parts(parts: Mapping[str, Json]) -> dict[str, Json]:
    """A version's parts with a hash in the place of each prompt; the version's id stays what it was."""
    return {name: fingerprint(value) if name in PROMPTS and value else value for name, value in parts.items()}


def hashed_case(row: dict[str, Json]) -> dict[str, Json]:
    """A case's row without what is asked and expected: `content` is the fingerprint of both."""
    return {name: value for name, value in row.items() if name not in ("input", "expected", "metadata")}


# ---- what a row may hold -----------------------------------------------------------------------------------


def _tool_call(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _source(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and checks.count(value[1])


OUTPUT = checks.shape(
    {},
    text=checks.text,
    data=checks.anything,
    tool_calls=checks.each(_tool_call),
    contexts=checks.each(checks.anything),
    latency_s=checks.amount,
    tokens_in=checks.count,
    tokens_out=checks.count,
    cost_usd=checks.amount,
    model=checks.text,
    system_fingerprint=checks.text,
    response_id=checks.text,
    finish_reason=checks.text,
    cached=checks.flag,
    hash=checks.text,
)
SCORE = checks.shape(
    {"scorer": checks.text, "value": checks.rate, "reason": checks.text, "version": checks.text},
    weight=lambda value: checks.amount(value) and value > 0,
)
_ANY_RESULT: Mapping[str, Check] = {"case": checks.text, "epoch": checks.from_1}
SCORED = checks.shape(
    {**_ANY_RESULT, "score": checks.rate, "scores": checks.each(SCORE), "output": OUTPUT}, attempts=checks.count
)
FAILED = checks.shape(
    {**_ANY_RESULT, "stage": checks.one_of(*Stage), "cause": checks.text}, output=OUTPUT, attempts=checks.count
)
CASE = checks.shape(
    {"id": checks.text, "categories": checks.each(checks.text, least=1)},
    content=checks.text,
    scorers=checks.text,
    cluster=checks.text,
    input=checks.anything,
    expected=checks.anything,
    critical=checks.flag,
    tags=checks.each(checks.text),
    metadata=checks.mapping,
    source=_source,
)


def _result(value: Any) -> bool:
    return SCORED(value) or FAILED(value)


KINDS: Mapping[str, Check] = {"case": CASE, "result": _result, "after": _result, "before": _result}
"""The kinds of rows between a file's first line and its last, in their order."""

_MAYBE_TEXT = checks.maybe(checks.text)

KNOWN: Mapping[str, Check] = {
    "models": checks.each(checks.text),
    "system_fingerprints": checks.each(checks.text),
    "notes": checks.each(checks.text),
    "modified": checks.flag,
    CONFIG: checks.text,
}
"""What a run says of itself and reports show."""

SHARD = checks.shape(
    {
        "index": checks.from_1,
        "count": checks.from_1,
        "plan": checks.text,
        "cases": checks.from_1,
        "scorers": checks.text,
    }
)

HEADER: Mapping[str, Check] = {
    "schema": checks.one_of(SCHEMA),
    "id": checks.run_id,
    "suite": checks.text,
    "created": checks.moment,
    "outputs": checks.one_of("full", "hashes"),
    "shard": checks.maybe(lambda value: SHARD(value) and value["index"] <= value["count"]),
    "counts": checks.shape(dict.fromkeys(KINDS, checks.count)),
    "epochs": checks.from_1,
    "commit": _MAYBE_TEXT,
    "branch": _MAYBE_TEXT,
    "version": checks.shape({"id": _MAYBE_TEXT, "parts": checks.mapping}),
    "evalset": _MAYBE_TEXT,
    "selection": _MAYBE_TEXT,
    "stopped": _MAYBE_TEXT,
    "origin": checks.one_of("run", "import"),
    "usage": checks.shape(
        {
            "calls": checks.count,
            "calls_saved": checks.count,
            "tokens_in": checks.maybe(checks.count),
            "tokens_out": checks.maybe(checks.count),
            "cost_usd": checks.maybe(checks.amount),
            "wall_s": checks.maybe(checks.amount),
        }
    ),
    "steps": checks.each(
        checks.shape({"epochs": checks.from_1, "categories": checks.each(checks.text), "is_last": checks.flag})
    ),
    "against": checks.each(checks.run_id),
    "confirmation": checks.maybe(
        checks.shape({"categories": checks.each(checks.text), "epochs": checks.from_1, "how": checks.text})
    ),
    "metadata": lambda value: isinstance(value, dict) and all(KNOWN[n](v) for n, v in value.items() if n in KNOWN),
}


def is_verdict(value: Any) -> bool:
    """Whether this is a verdict as `Verdict.to_dict` gives it, as far as it counts here."""
    return (
        isinstance(value, dict)
        and value.get("schema") == VERDICT_SCHEMA
        and checks.one_of(*VerdictName)(value.get("verdict"))
        and checks.count(value.get("exit_code"))
        and value["exit_code"] in (0, 1, 3)
    )


_DRIFT: Mapping[str, Check] = {
    "created": checks.moment,
    "category": checks.text,
    "before": checks.rate,
    "after": checks.rate,
    "p": checks.rate,
    "sentence": checks.text,
}

BESIDE: Mapping[str, Check] = {
    "verdicts": checks.each(checks.shape({"decided": checks.moment, "body": is_verdict})),
    "drifts": checks.each(checks.shape(_DRIFT)),
    "detectable": lambda value: isinstance(value, dict) and all(map(checks.amount, value.values())),
}
"""Fields of a header that are there only where there is something to say."""
