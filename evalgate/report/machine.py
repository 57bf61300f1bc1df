"""The verdict for programs: JSON of schema `evalgate.verdict/1`, and the JSON Schema that describes it."""

from __future__ import annotations

from typing import Any, get_args

from evalgate.records import VERDICT_SCHEMA, ChangeKind, CommentWhen, Effect, Json, Status, VerdictName
from evalgate.report.changed import has_changed
from evalgate.report.escape import json_document
from evalgate.report.model import Report


def render(report: Report) -> str:
    """The verdict as indented JSON that ends in a line feed: the same verdict gives the same bytes."""
    return json_document(document(report))


def document(report: Report) -> dict[str, Json]:
    """The verdict, and last what the job that comments has to know and has no configuration to read from."""
    comment = {"when": report.comment, "changed": has_changed(report.verdict)}
    return {**report.verdict.to_dict(), "comment": comment}


def verdict_schema() -> dict[str, Json]:
    """JSON Schema (2020-12) of the verdict. Within `/1` keys may be added: readers ignore unknown ones."""
    described: dict[str, Json] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evalgate verdict",
        **_record(
            schema={"const": VERDICT_SCHEMA},
            suite=_TEXT_OR_NULL,
            verdict={"enum": [name.value for name in VerdictName]},
            exit_code={"enum": [0, 1, 3]},
            reason=_TEXT,
            run=_record(id=_TEXT_OR_NULL, version=_TEXT_OR_NULL, commit=_TEXT_OR_NULL, created=_MOMENT_OR_NULL),
            baseline=_record(
                kind={"enum": ["pinned", "nearest", "missing"]},
                ids=_TEXTS,
                commit=_TEXT_OR_NULL,
                behind={"type": ["integer", "null"], "minimum": 0},
                age_s=_NUMBER_OR_NULL,
                why=_TEXT,
            ),
            findings={"type": "array", "items": _FINDING},
            categories={"type": "object", "additionalProperties": _CATEGORY},
            cases=_record(
                regressed=_TEXTS,
                improved=_TEXTS,
                added=_TEXTS,
                removed=_TEXTS,
                missing=_TEXTS,
                unscored=_TEXTS,
                flaky=_TEXTS,
                changed=_TEXTS,
            ),
            usage=_record(
                calls=_COUNT,
                calls_saved=_COUNT,
                tokens_in=_COUNT_OR_NULL,
                tokens_out=_COUNT_OR_NULL,
                cost_usd=_AMOUNT_OR_NULL,
                wall_s=_AMOUNT_OR_NULL,
            ),
            notes=_TEXTS,
            selection=_TEXT_OR_NULL,
            changes={"type": "array", "items": _CHANGE},
            rules_commit=_TEXT_OR_NULL,
        ),
    }
    described["properties"]["comment"] = _record(
        when={"enum": list(get_args(CommentWhen))}, changed={"type": "boolean"}
    )
    return described


def _record(**properties: Json) -> dict[str, Json]:
    """An object that has all of these keys."""
    return {"type": "object", "properties": properties, "required": list(properties)}


_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}
_TEXT_OR_NULL: dict[str, Any] = {"type": ["string", "null"]}
_MOMENT_OR_NULL: dict[str, Any] = {
    "type": ["string", "null"],
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_COUNT_OR_NULL: dict[str, Any] = {"type": ["integer", "null"], "minimum": 0}
_NUMBER_OR_NULL: dict[str, Any] = {"type": ["number", "null"]}
_AMOUNT_OR_NULL: dict[str, Any] = {"type": ["number", "null"], "minimum": 0}
_RATE_OR_NULL: dict[str, Any] = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
_CATEGORY: dict[str, Any] = _record(n=_COUNT, passed=_COUNT, unscored=_COUNT, score=_RATE_OR_NULL, before=_RATE_OR_NULL)
_FINDING: dict[str, Any] = _record(
    rule=_TEXT,
    metric=_TEXT,
    category=_TEXT,
    status={"enum": [status.value for status in Status]},
    gating={"type": "boolean"},
    n=_COUNT,
    n_pairs=_COUNT_OR_NULL,
    before=_NUMBER_OR_NULL,
    after=_NUMBER_OR_NULL,
    delta=_NUMBER_OR_NULL,
    ci={"type": ["array", "null"], "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    p=_RATE_OR_NULL,
    p_adjusted=_RATE_OR_NULL,
    detectable=_NUMBER_OR_NULL,
    limit=_NUMBER_OR_NULL,
    sentence=_TEXT,
)
_CHANGE: dict[str, Any] = _record(
    kind={"enum": list(get_args(ChangeKind))},
    where=_TEXT,
    effect={"enum": [effect.value for effect in Effect]},
    before={"type": ["string", "number", "boolean", "null"]},
    after={"type": ["string", "number", "boolean", "null"]},
    cases=_TEXTS,
    sentence=_TEXT,
)
