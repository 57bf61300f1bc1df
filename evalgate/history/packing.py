"""A run ↔ rows of the tables, exactly: what is read equals what was written, field by field.

Pure: no connection here. Names of columns are those of `shape`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from typing import Any, Literal, cast

from evalgate.history.figures import Figure, figures, mean_score
from evalgate.history.shape import to_json
from evalgate.records import (
    EVERY_CASE,
    CaseRef,
    Confirmation,
    Failed,
    Json,
    Output,
    Result,
    Run,
    Score,
    Scored,
    Source,
    Stage,
    Step,
    ToolCall,
    Usage,
    Version,
)

Row = dict[str, Any]

AFTER, BEFORE = "after", "before"
"""`results.phase` of a confirmation's two sides; the run's own results have none."""

DETECTABLE = "detectable_drop"
"""`summaries.metric` of the drop that would be seen four times out of five."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The cases of a run as rows, named by their content."""

    key: str
    cases: tuple[Row, ...]
    texts: tuple[Row, ...]
    """Inputs, expectations and other columns, each content once, sorted by key."""


def content_key(value: Json) -> str:
    """128 bits of BLAKE2b of the value's JSON, in hex: equal contents, written the same way, share a row."""
    return blake2b(to_json(value).encode(), digest_size=16).hexdigest()


# ---- writing ----------------------------------------------------------------------------------------------


def plan_of(run: Run) -> Plan:
    """The run's cases as rows."""
    texts: dict[str, Row] = {}
    rows: list[Row] = []
    for position, case in enumerate(run.cases):
        key = content_key([case.input, case.expected, case.metadata])
        texts[key] = {"key": key, "input": case.input, "expected": case.expected, "metadata": dict(case.metadata)}
        rows.append(
            {
                "position": position,
                "case_id": case.id,
                "categories": list(case.categories),
                "content": case.content,
                "scorers": case.scorers,
                "critical": case.critical,
                "cluster": case.cluster,
                "tags": list(case.tags),
                "texts": key,
                "source_file": case.source.file if case.source else None,
                "source_line": case.source.line if case.source else None,
            }
        )
    plan = content_key([list(row.values()) for row in rows])
    return Plan(
        key=plan,
        cases=tuple({"plan": plan, **row} for row in rows),
        texts=tuple(texts[key] for key in sorted(texts)),
    )


def version_row(version: Version) -> Row:
    """The version as a row, named by its content: two versions may share an id and differ in what is known of them."""
    return {"key": content_key([version.id, version.parts]), "id": version.id, "parts": version.parts}


def run_row(run: Run, *, plan: str, version: str) -> Row:
    """The run's own row; `number` is the database's. Its counts and its score are of the run's own results."""
    score = mean_score(run.results)
    return {
        "id": run.id,
        "suite": run.suite,
        "created": run.created,
        "epochs": run.epochs,
        "commit_sha": run.commit,
        "branch": run.branch,
        "version": version,
        "evalset": run.evalset,
        "selection": run.selection,
        "stopped": run.stopped,
        "origin": run.origin,
        "plan": plan,
        "n_results": len(run.results),
        "n_unscored": sum(isinstance(result, Failed) for result in run.results),
        "score": None if score is None else score[0],
        "calls": run.usage.calls,
        "calls_saved": run.usage.calls_saved,
        "tokens_in": run.usage.tokens_in,
        "tokens_out": run.usage.tokens_out,
        "cost_usd": run.usage.cost_usd,
        "wall_s": run.usage.wall_s,
        "metadata": run.metadata,
        "steps": [_step(step) for step in run.steps] or None,
        "against": list(run.against) or None,
        "confirmation": None if run.confirmation is None else _confirmation(run.confirmation),
    }


def _step(step: Step) -> Json:
    return {"epochs": step.epochs, "categories": list(step.categories), "is_last": step.is_last}


def _confirmation(asked: Confirmation) -> Json:
    """What is kept of a confirmation beside its results."""
    return {"categories": list(asked.categories), "epochs": asked.epochs, "how": asked.how}


def every_result(run: Run) -> Iterator[tuple[Result, str | None]]:
    """The run's own results, then those of its confirmation, each with its phase; a result's place is its number."""
    yield from ((result, None) for result in run.results)
    if run.confirmation is not None:
        yield from ((result, AFTER) for result in run.confirmation.after)
        yield from ((result, BEFORE) for result in run.confirmation.before)


_NO_OUTPUT = Output()


def result_row(result: Result, *, run: int, position: int, phase: str | None) -> Row:
    """One result with its output."""
    output = result.output or _NO_OUTPUT
    scored = isinstance(result, Scored)
    return {
        "run": run,
        "position": position,
        "case_id": result.case_id,
        "epoch": result.epoch,
        "score": result.score if isinstance(result, Scored) else None,
        "stage": None if scored else cast(Failed, result).stage.value,
        "cause": None if scored else cast(Failed, result).cause,
        "attempts": result.attempts,
        "has_output": result.output is not None,
        "latency_s": output.latency_s,
        "tokens_in": output.tokens_in,
        "tokens_out": output.tokens_out,
        "cost_usd": output.cost_usd,
        "cached": output.cached,
        "model": output.model,
        "system_fingerprint": output.system_fingerprint,
        "response_id": output.response_id,
        "finish_reason": output.finish_reason,
        "text": output.text,
        "data": output.data,
        "tool_calls": [[call.name, call.arguments] for call in output.tool_calls] or None,
        "contexts": None if output.contexts is None else list(output.contexts),
        "phase": phase,
    }


def score_rows(result: Result, *, run: int, position: int) -> Iterable[Row]:
    """What each scorer said of one result."""
    for place, score in enumerate(result.scores if isinstance(result, Scored) else ()):
        yield {
            "run": run,
            "result": position,
            "position": place,
            "scorer": score.scorer,
            "value": score.value,
            "weight": score.weight,
            "version": score.version,
            "reason": score.reason,
        }


def summary_rows(run: Run, detectable: Mapping[str, float], *, number: int) -> list[Row]:
    """The run's figures, and by category the drop that would be seen, made of the category's cases."""
    return [
        {
            "run": number,
            "position": position,
            "category": figure.category,
            "metric": figure.metric,
            "value": figure.value,
            "n": figure.n,
        }
        for position, figure in enumerate([*figures(run), *_detectable(run, detectable)])
    ]


def _detectable(run: Run, drops: Mapping[str, float]) -> Iterator[Figure]:
    for category, drop in sorted(drops.items()):
        cases = sum(category == EVERY_CASE or category in case.categories for case in run.cases)
        yield Figure(category=category, metric=DETECTABLE, value=drop, n=cases)


def request_rows(bodies: Mapping[str, Json], *, version: str, plan: str) -> list[Row]:
    """What was sent for each case, in the order of their ids."""
    return [
        {"version": version, "plan": plan, "position": position, "case_id": case_id, "body": bodies[case_id]}
        for position, case_id in enumerate(sorted(bodies))
    ]


# ---- reading ----------------------------------------------------------------------------------------------


def run_from(
    row: Any,
    *,
    version: Any,
    cases: tuple[CaseRef, ...],
    results: Sequence[Any],
    scores: Iterable[Any],
) -> Run:
    """The run of these rows: mappings for the run and its version, named tuples by position for the rest."""
    by_result = {number: tuple(map(_score, group)) for number, group in groupby(scores, key=lambda score: score.result)}
    by_phase: dict[str | None, list[Result]] = {None: [], AFTER: [], BEFORE: []}
    for result in results:
        by_phase[result.phase].append(_result(result, by_result.get(result.position, ())))
    return Run(
        id=row["id"],
        suite=row["suite"],
        created=row["created"],
        cases=cases,
        results=tuple(by_phase[None]),
        epochs=row["epochs"],
        commit=row["commit_sha"],
        branch=row["branch"],
        version=Version(id=version["id"], parts=version["parts"]),
        evalset=row["evalset"],
        selection=row["selection"],
        stopped=row["stopped"],
        origin=cast(Literal["run", "import"], row["origin"]),
        usage=Usage(
            calls=row["calls"],
            calls_saved=row["calls_saved"],
            tokens_in=row["tokens_in"],
            tokens_out=row["tokens_out"],
            cost_usd=row["cost_usd"],
            wall_s=row["wall_s"],
        ),
        steps=tuple(map(_stepped, row["steps"] or ())),
        against=tuple(row["against"] or ()),
        confirmation=_confirmed(row["confirmation"], after=by_phase[AFTER], before=by_phase[BEFORE]),
        metadata=row["metadata"],
    )


def _stepped(kept: Json) -> Step:
    return Step(epochs=kept["epochs"], categories=tuple(kept["categories"]), is_last=kept["is_last"])


def _confirmed(kept: Json, *, after: Sequence[Result], before: Sequence[Result]) -> Confirmation | None:
    if kept is None:
        return None
    return Confirmation(
        categories=tuple(kept["categories"]),
        epochs=kept["epochs"],
        after=tuple(after),
        before=tuple(before),
        how=kept["how"],
    )


def case_from(row: Any) -> CaseRef:
    """The case of this row, a mapping."""
    file = row["source_file"]
    return CaseRef(
        id=row["case_id"],
        categories=tuple(row["categories"]),
        content=row["content"],
        scorers=row["scorers"],
        critical=row["critical"],
        cluster=row["cluster"],
        tags=tuple(row["tags"]),
        input=row["input"],
        expected=row["expected"],
        metadata=row["metadata"],
        source=None if file is None else Source(file=file, line=row["source_line"]),
    )


def _result(row: Any, scores: tuple[Score, ...]) -> Result:
    output = _output(row) if row.has_output else None
    if row.stage is not None:
        return Failed(
            case_id=row.case_id,
            epoch=row.epoch,
            stage=Stage(row.stage),
            cause=row.cause,
            output=output,
            attempts=row.attempts,
        )
    return Scored(
        case_id=row.case_id,
        epoch=row.epoch,
        score=row.score,
        scores=scores,
        output=output or _NO_OUTPUT,
        attempts=row.attempts,
    )


def _output(row: Any) -> Output:
    return Output(
        text=row.text,
        data=row.data,
        tool_calls=tuple(ToolCall(name=name, arguments=arguments) for name, arguments in row.tool_calls or ()),
        contexts=None if row.contexts is None else tuple(row.contexts),
        latency_s=row.latency_s,
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        cost_usd=row.cost_usd,
        model=row.model,
        system_fingerprint=row.system_fingerprint,
        response_id=row.response_id,
        finish_reason=row.finish_reason,
        cached=row.cached,
    )


def _score(row: Any) -> Score:
    return Score(scorer=row.scorer, value=row.value, reason=row.reason, version=row.version, weight=row.weight)
