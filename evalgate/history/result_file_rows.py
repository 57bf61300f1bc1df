"""What may stand in a result file: one JSON Schema, printed for others, by which every field is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evalgate.history import checks
from evalgate.history.checks import Check
from evalgate.records import EVERY_CASE, Json, Stage

SCHEMA = "evalgate.result/1"

LONGEST_NAME = 256
"""Characters of a case's id, a category and a suite."""

MOST_EPOCHS = 1_000
"""Repeats of a case."""

FINGERPRINT = "^s1:[0-9a-f]{16}$"
COMMIT = "^[0-9a-f]{40}([0-9a-f]{24})?$"
_ID = "^[A-Za-z0-9_.:-]{1,64}$"
_MOST = 10**12
"""Of tokens, calls, dollars, seconds."""


def document_schema() -> dict[str, Json]:
    """JSON Schema (2020-12) of a result file.

    What it cannot say: cases are sorted by id and results by case and epoch; each once, of known cases.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evalgate result file",
        **_record(
            schema={"const": SCHEMA},
            suite=_NAME,
            unrun={"enum": [None, "no_credentials", "nothing_changed", "error"]},
            run={"anyOf": [{"type": "null"}, RUN]},
            cases={"type": "array", "items": CASE},
            **{name: {"type": "array", "items": RESULT} for name in RESULTS},
        ),
    }


RESULTS = ("results", "after", "before")
"""The lists of results: the run's own, and what both sides gave when they were called anew."""


def _record(_optional: Mapping[str, Json] | None = None, /, **needed: Json) -> dict[str, Json]:
    """An object with all of these keys, any of the optional ones, and nothing else."""
    properties = {**needed, **(_optional or {})}
    return {"type": "object", "properties": properties, "required": list(needed), "additionalProperties": False}


def _text(pattern: str) -> dict[str, Json]:
    return {"type": "string", "pattern": pattern}


def _whole(least: int, most: int) -> dict[str, Json]:
    return {"type": "integer", "minimum": least, "maximum": most}


def _or_null(schema: Json) -> dict[str, Json]:
    return {"anyOf": [{"type": "null"}, schema]}


def _some(items: Json, most: int) -> dict[str, Json]:
    return {"type": "array", "items": items, "maxItems": most}


_FLAG: dict[str, Json] = {"type": "boolean"}
_NAME: dict[str, Json] = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
_NAMES: dict[str, Json] = {**_some(_NAME, 1_000), "minItems": 1, "uniqueItems": True}
_CATEGORIES: dict[str, Json] = {**_NAMES, "items": {**_NAME, "not": {"const": EVERY_CASE}}}
_AMOUNT: dict[str, Json] = {"type": "number", "minimum": 0, "maximum": _MOST}
_COUNT = _whole(0, _MOST)
_EPOCHS = _whole(1, MOST_EPOCHS)
_PRINT = _text(FINGERPRINT)

CASE = _record(
    {"content": _PRINT, "scorers": _PRINT, "critical": _FLAG, "cluster": _PRINT}, id=_NAME, categories=_CATEGORIES
)
_SAID: dict[str, Json] = {
    "latency_s": _AMOUNT,
    "tokens_in": _COUNT,
    "tokens_out": _COUNT,
    "cost_usd": _AMOUNT,
    "cached": _FLAG,
    "response": _PRINT,
}
RESULT: dict[str, Json] = {
    "anyOf": [
        _record(_SAID, case=_NAME, epoch=_EPOCHS, score={"type": "number", "minimum": 0, "maximum": 1}),
        _record(_SAID, case=_NAME, epoch=_EPOCHS, failed={"enum": [stage.value for stage in Stage]}),
    ]
}
RUN = _record(
    id=_text(_ID),
    created={"type": "string", "format": "date-time"},
    commit=_or_null(_text(COMMIT)),
    version=_or_null(_PRINT),
    evalset=_or_null(_PRINT),
    epochs=_EPOCHS,
    is_partial=_FLAG,
    is_stopped=_FLAG,
    changed_since=_or_null(_text(_ID)),
    usage=_record(
        calls=_COUNT,
        calls_saved=_COUNT,
        tokens_in=_or_null(_COUNT),
        tokens_out=_or_null(_COUNT),
        cost_usd=_or_null(_AMOUNT),
        wall_s=_or_null(_AMOUNT),
    ),
    steps=_some(_record(epochs=_EPOCHS, categories=_NAMES, is_last=_FLAG), 100),
    against=_some(_text(_ID), 1_000),
    confirmation=_or_null(_record(categories=_NAMES, epochs=_EPOCHS, asked_again=_FLAG)),
)


# ---- a schema as a question --------------------------------------------------------------------------------


def check_of(schema: Mapping[str, Any]) -> Check:
    """The question whether a value is as this schema says; knows the words that the schemas above are made of.

    Stricter than a validator where those differ: 1.0 is no whole number, a text can be encoded, a time has a zone.
    """
    if "const" in schema or "enum" in schema:
        allowed = schema.get("enum", [schema.get("const")])
        return lambda value: any(type(value) is type(one) and value == one for one in allowed)
    if "anyOf" in schema:
        any_of = [check_of(one) for one in schema["anyOf"]]
        return lambda value: any(check(value) for check in any_of)
    check: Check = _KINDS[schema["type"]](schema)
    return check


def _object(schema: Mapping[str, Any]) -> Check:
    known = {name: check_of(one) for name, one in schema["properties"].items()}
    needed = {name: known.pop(name) for name in schema["required"]}
    return checks.shape(needed, **known)


def _array(schema: Mapping[str, Any]) -> Check:
    listed = checks.each(check_of(schema["items"]), least=schema.get("minItems", 0))
    most, is_unique = schema.get("maxItems"), schema.get("uniqueItems", False)

    def check(value: Any) -> bool:
        if not isinstance(value, list) or (most is not None and len(value) > most) or not listed(value):
            return False
        return not is_unique or len(set(value)) == len(value)

    return check


def _string(schema: Mapping[str, Any]) -> Check:
    if schema.get("format") == "date-time":
        return checks.moment
    least, most = schema.get("minLength", 0), schema.get("maxLength", LONGEST_NAME)
    pattern, refused = re.compile(schema.get("pattern", "")), schema.get("not", {}).get("const")

    def check(value: Any) -> bool:
        if not isinstance(value, str) or not least <= len(value) <= most or value == refused:
            return False
        # `$` would let a line end pass.
        return pattern.search(value) is not None and not _SURROGATE.search(value) and not value.endswith("\n")

    return check


def _range(is_one: Check) -> Any:
    def of(schema: Mapping[str, Any]) -> Check:
        least, most = schema["minimum"], schema["maximum"]
        return lambda value: is_one(value) and least <= value <= most

    return of


_SURROGATE = re.compile("[\ud800-\udfff]")
_KINDS: Mapping[str, Any] = {
    "null": lambda _: lambda value: value is None,
    "boolean": lambda _: checks.flag,
    "integer": _range(checks.count),
    "number": _range(checks.number),
    "string": _string,
    "array": _array,
    "object": _object,
}
