"""Results and cases as JSON and back, exactly. Knows no file.

Fields at their default are left out: a journal of 100,000 results is mostly what was said, not names of fields.
"""

from __future__ import annotations

from evalgate.records import CaseRef, Failed, Json, Output, Result, Score, Scored, Source, Stage, ToolCall

_PLAIN = (
    "text",
    "data",
    "latency_s",
    "tokens_in",
    "tokens_out",
    "cost_usd",
    "model",
    "system_fingerprint",
    "response_id",
    "finish_reason",
)
"""Fields of an output that are JSON already and None by default."""

_OF_CASE = ("content", "scorers", "cluster", "input", "expected")
"""Fields of a case that are JSON already and None by default."""


def result_to_json(result: Result) -> dict[str, Json]:
    """A result as a mapping that `json.dumps` takes; `result_from_json` gives an equal result back."""
    row: dict[str, Json] = {"case": result.case_id, "epoch": result.epoch}
    if isinstance(result, Scored):
        row["score"] = result.score
        row["scores"] = [_score_to_json(score) for score in result.scores]
        row["output"] = output_to_json(result.output)
    else:
        row["stage"] = result.stage.value
        row["cause"] = result.cause
        if result.output is not None:
            row["output"] = output_to_json(result.output)
    if result.attempts != 1:
        row["attempts"] = result.attempts
    return row


def result_from_json(row: Json) -> Result:
    """The result that a row describes. Raises ValueError if the row is none."""
    try:
        output = output_from_json(row["output"]) if "output" in row else None
        if "stage" in row:
            return Failed(
                case_id=row["case"],
                epoch=row["epoch"],
                stage=Stage(row["stage"]),
                cause=row["cause"],
                output=output,
                attempts=row.get("attempts", 1),
            )
        if output is None:
            raise ValueError("a scored result without an output")
        return Scored(
            case_id=row["case"],
            epoch=row["epoch"],
            score=row["score"],
            scores=tuple(_score_from_json(score) for score in row["scores"]),
            output=output,
            attempts=row.get("attempts", 1),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a result: {error!r}") from error


def case_to_json(case: CaseRef) -> dict[str, Json]:
    """A case of a run as a mapping that `json.dumps` takes; `case_from_json` gives an equal case back."""
    row: dict[str, Json] = {"id": case.id, "categories": list(case.categories)}
    row |= {name: value for name in _OF_CASE if (value := getattr(case, name)) is not None}
    if case.critical:
        row["critical"] = True
    if case.tags:
        row["tags"] = list(case.tags)
    if case.metadata:
        row["metadata"] = dict(case.metadata)
    if case.source is not None:
        row["source"] = [case.source.file, case.source.line]
    return row


def case_from_json(row: Json) -> CaseRef:
    """The case that a row describes. Raises ValueError if the row is none."""
    try:
        source = row.get("source")
        return CaseRef(
            id=row["id"],
            categories=tuple(row["categories"]),
            **{name: row[name] for name in _OF_CASE if name in row},
            critical=row.get("critical", False),
            tags=tuple(row.get("tags", ())),
            metadata=row.get("metadata", {}),
            source=None if source is None else Source(file=source[0], line=source[1]),
        )
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"not a case: {error!r}") from error


def _score_to_json(score: Score) -> dict[str, Json]:
    row: dict[str, Json] = {
        "scorer": score.scorer,
        "value": score.value,
        "reason": score.reason,
        "version": score.version,
    }
    if score.weight != 1:
        row["weight"] = score.weight
    return row


def _score_from_json(row: Json) -> Score:
    return Score(
        scorer=row["scorer"],
        value=row["value"],
        reason=row["reason"],
        version=row["version"],
        weight=row.get("weight", 1.0),
    )


def output_to_json(output: Output) -> dict[str, Json]:
    """An output as a mapping; `output_from_json` gives an equal one back."""
    row = {name: value for name in _PLAIN if (value := getattr(output, name)) is not None}
    if output.tool_calls:
        row["tool_calls"] = [[call.name, call.arguments] for call in output.tool_calls]
    if output.contexts is not None:
        row["contexts"] = list(output.contexts)
    if output.cached:
        row["cached"] = True
    return row


def output_from_json(row: Json) -> Output:
    """The output that a row describes. Raises ValueError, TypeError or AttributeError where it is none."""
    known = {name: row[name] for name in _PLAIN if name in row}
    contexts = row.get("contexts")
    return Output(
        **known,
        tool_calls=tuple(ToolCall(name=name, arguments=arguments) for name, arguments in row.get("tool_calls", ())),
        contexts=None if contexts is None else tuple(contexts),
        cached=row.get("cached", False),
    )
