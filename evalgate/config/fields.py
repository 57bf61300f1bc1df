"""A mapping from a file against the fields of a dataclass: unknown keys, missing keys, wrong types, each with its path.

The dataclass may come from any stage (an endpoint's settings, a scorer's options): its fields are the keys, its
annotations the types. Knows no file; values are never part of a message, since they may be secrets.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NotRequired, Required, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from evalgate.config.places import did_you_mean, quoted
from evalgate.records import Json


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong below a mapping, and where in it."""

    path: tuple[str | int, ...]
    what: str
    hint: str = ""


_WORDS = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "none_required": "empty",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "dataclass_type": "a mapping",
}


def read_fields(kind: type, values: Mapping[str, Json]) -> tuple[Any | None, list[Problem]]:
    """An instance of the dataclass `kind` with these values, and nothing wrong; or None and everything that is."""
    try:
        typed = shape_of(kind).validate_json(json.dumps(dict(values)), strict=True)
    except ValidationError as error:
        return None, _problems(kind, values, error.errors(include_url=False, include_input=False))
    return kind(**typed), []


def problems_of(kind: type, values: Mapping[str, Json]) -> list[Problem]:
    """Everything that is wrong with these values for the fields of `kind`, which is not made."""
    try:
        shape_of(kind).validate_json(json.dumps(dict(values)), strict=True)
    except ValidationError as error:
        return _problems(kind, values, error.errors(include_url=False, include_input=False))
    return []


@cache
def shape_of(kind: type) -> TypeAdapter[dict[str, Any]]:
    """Checker, and source of the JSON Schema, of a mapping with the fields of `kind` and no other key.

    A TypedDict and not the dataclass itself: the dataclass of another stage cannot be told to forbid other keys.
    """
    hints = get_type_hints(kind, include_extras=True)
    entries = {
        field.name: Required[hints[field.name]] if is_required(field) else NotRequired[hints[field.name]]
        for field in dataclasses.fields(kind)
        if field.init
    }
    make: Any = TypedDict
    shape = make(kind.__name__, entries)
    shape.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    return TypeAdapter(shape)


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Whether the dataclass cannot be made without this field."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _problems(kind: type, values: Mapping[str, Json], errors: list[ErrorDetails]) -> list[Problem]:
    by_path: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for error in errors:
        by_path.setdefault(_path(values, error), []).append(error)
    # Of a union each branch complains; where one got further, the others say nothing new.
    deepest = [path for path in by_path if not any(other != path and other[: len(path)] == path for other in by_path)]
    return [_problem(kind, values, path, by_path[path]) for path in deepest]


def _path(values: Json, error: ErrorDetails) -> tuple[str | int, ...]:
    """The error's place in the data; pydantic mixes the names of a union's branches into it."""
    path: list[str | int] = []
    for step in error["loc"]:
        is_key = isinstance(values, Mapping) and (step in values or error["type"] == "missing")
        if is_key or (isinstance(values, list) and isinstance(step, int) and step < len(values)):
            path.append(step)
            values = values.get(step) if isinstance(values, Mapping) else values[step]
    return tuple(path)


def _at(values: Json, path: tuple[str | int, ...]) -> Json:
    for step in path:
        values = values[step]
    return values


def _problem(kind: type, values: Json, path: tuple[str | int, ...], errors: list[ErrorDetails]) -> Problem:
    name = f"`{'.'.join(str(step) for step in path)}`"
    types = {error["type"] for error in errors}
    if "extra_forbidden" in types:
        known = [field.name for field in dataclasses.fields(kind) if field.init] if len(path) == 1 else []
        return Problem(path=path, what=f"unknown key {quoted(str(path[-1]))}", hint=did_you_mean(str(path[-1]), known))
    if "missing" in types:
        return Problem(path=path, what=f"{name} is missing")
    words = list(dict.fromkeys(_word(error) for error in errors))
    is_scalar = isinstance(_at(values, path), (bool, int, float))
    hint = (
        "Put it into quotes if it is a text." if "be a text" in words and is_scalar else _nearest(values, path, errors)
    )
    return Problem(path=path, what=f"{name} must {' or '.join(words)}", hint=hint)


def _nearest(values: Json, path: tuple[str | int, ...], errors: list[ErrorDetails]) -> str:
    """Which of the words that are allowed may have been meant; empty where it is about no words."""
    allowed = next((str(error["ctx"]["expected"]) for error in errors if error["type"] == "literal_error"), "")
    written = _at(values, path)
    if not allowed or not isinstance(written, str):
        return ""
    return did_you_mean(written, re.findall("'([^']*)'", allowed), called="")


def _word(error: ErrorDetails) -> str:
    word = _WORDS.get(error["type"])
    if word:
        return f"be {word}"
    return error["msg"].removeprefix("Input should ").removeprefix("Value error, ")
