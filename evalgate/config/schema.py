"""JSON Schemas of both files, in constructs of draft 7: what editors' YAML language servers read.

Built from the dataclasses that the loader checks against, so that editor and loader say the same.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import Any

from evalgate.config.cases import ROLES
from evalgate.config.exceptions import DEFAULT_FILE
from evalgate.config.fields import shape_of
from evalgate.config.settings import CommentSettings, HistorySettings, RunSettings
from evalgate.records import Json

DRAFT = "http://json-schema.org/draft-07/schema#"

_TEXT: dict[str, Json] = {"type": "string", "minLength": 1}
_WRITTEN: dict[str, Json] = {"type": ["string", "number", "boolean"]}
_FILE: dict[str, Json] = {
    "type": "object",
    "properties": {"file": {**_TEXT, "description": "Path, relative to this file."}},
    "required": ["file"],
    "additionalProperties": False,
}


def config_schema(endpoint_kinds: Mapping[str, type], rules_schema: Mapping[str, Json]) -> dict[str, Json]:
    """The schema of `evalgate.yaml`. rules_schema: the schema of what stands under `gate`."""
    definitions: dict[str, Json] = {}
    endpoint = {"oneOf": [_endpoint(name, kind, definitions) for name, kind in sorted(endpoint_kinds.items())]}
    sections = {"run": RunSettings, "history": HistorySettings}
    comment: dict[str, Any] = dict(_object(CommentSettings, definitions))
    return {
        "$schema": DRAFT,
        "title": "evalgate.yaml",
        "type": "object",
        "additionalProperties": False,
        "required": ["suite", "evalsets", "endpoint"],
        "properties": {
            "version": {"const": 1, "description": "Version of this file's format."},
            "suite": {**_WRITTEN, "description": "Name of the suite; runs are compared within it."},
            "evalsets": {
                "type": "array",
                "items": _TEXT,
                "minItems": 1,
                "description": "Files of eval sets, or patterns, relative to this file.",
            },
            "endpoint": {**endpoint, "description": "What is under test."},
            "baseline_endpoint": {**endpoint, "description": "What is called as the baseline to confirm a block."},
            "judge": {**endpoint, "description": "The endpoint that scorers of the kind judge ask."},
            "gate": dict(rules_schema),
            "exceptions": {
                **_TEXT,
                "default": DEFAULT_FILE,
                "description": "File of waivers and quarantine, relative to this file.",
            },
            **{
                key: {**_object(kind, definitions), "type": ["object", "null"], "description": _first_line(kind)}
                for key, kind in sections.items()
            },
            "comment": {
                "anyOf": [{**comment, "type": ["object", "null"]}, {"enum": comment["properties"]["when"]["enum"]}],
                "description": _first_line(CommentSettings),
            },
        },
        **({"definitions": definitions} if definitions else {}),
    }


def evalset_schema(scorer_kinds: Mapping[str, type], shorthand: Mapping[str, str] | None = None) -> dict[str, Json]:
    """The schema of an eval set. shorthand: kind → the option that a bare value stands for."""
    definitions: dict[str, Json] = {}
    definitions["scorer"] = _scorer(scorer_kinds, shorthand or {}, definitions)
    definitions["scorers"] = {
        "anyOf": [
            {"$ref": "#/definitions/scorer"},
            {"type": "array", "items": {"$ref": "#/definitions/scorer"}, "minItems": 1},
        ]
    }
    definitions["messages"] = _messages()
    names = {"anyOf": [_WRITTEN, {"type": "array", "items": _WRITTEN}]}
    common: dict[str, Json] = {
        "category": {**names, "description": "What a case is about: a text, or a list of texts."},
        "tags": {**names, "description": "Words to select cases by."},
        "prompt": {"type": "string", "description": 'Jinja2 template of the request: "Question: {{ input }}".'},
        "messages": {"$ref": "#/definitions/messages"},
        "scorers": {"$ref": "#/definitions/scorers"},
    }
    return {
        "$schema": DRAFT,
        "title": "eval set",
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["cases"]}, {"required": ["cases_from"]}],
        "properties": {
            "name": {**_WRITTEN, "description": "Name of the eval set; default: the file's."},
            **common,
            "cases": {"type": ["array", "null"], "items": _case(common)},
            "cases_from": {
                "anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}],
                "description": "JSONL, CSV or Parquet file of further cases, relative to this file.",
            },
        },
        "definitions": definitions,
    }


def _case(common: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["id"],
        "properties": {
            "id": {**_WRITTEN, "description": "Names the case, in this file and in all others of the suite."},
            "input": {"description": "What is asked; kept as written."},
            "expected": {"description": "The reference answer; a scalar is kept as written."},
            **common,
            "context": {"description": "What is handed over beside the input."},
            "cluster": {**_WRITTEN, "description": "Cases of one cluster are not independent of each other."},
            "critical": {"type": "boolean", "description": "A confirmed flip of this case fails the gate."},
            "metadata": {"type": "object", "description": "Template variables, and material for own scorers."},
        },
    }


def _messages() -> dict[str, Json]:
    return {
        "type": "array",
        "minItems": 1,
        "description": "A conversation in the shape of chat completions.",
        "items": {
            "type": "object",
            "required": ["role"],
            "properties": {"role": {"enum": list(ROLES)}, "content": {"type": ["string", "array", "null"]}},
        },
    }


def _scorer(kinds: Mapping[str, type], shorthand: Mapping[str, str], definitions: dict[str, Json]) -> dict[str, Json]:
    weight = {"type": "number", "exclusiveMinimum": 0, "description": "Weight in the mean of a case's scorers."}
    options: dict[str, Json] = {}
    for name, kind in sorted(kinds.items()):
        if not dataclasses.is_dataclass(kind):
            options[name] = {}
            continue
        shape = _object(kind, definitions)
        bare = shorthand.get(name)
        forms: list[Json] = [{"type": "null"}, {**shape, "properties": {**shape["properties"], "weight": weight}}]
        # A required option that the shorthand gives needs no mapping.
        forms += [shape["properties"][bare]] if bare in shape["properties"] else []
        options[name] = {"anyOf": forms, "description": _first_line(kind)}
    return {
        "anyOf": [
            {"enum": sorted(kinds)},
            {"type": "string", "pattern": r"\.py:"},
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
                "properties": options,
                "patternProperties": {r"\.py:": {"type": ["object", "null"]}},
            },
        ]
    }


def _endpoint(name: str, kind: type, definitions: dict[str, Json]) -> dict[str, Json]:
    shape = _object(kind, definitions)
    properties = dict(shape["properties"])
    if "system" in properties:
        system = dict(properties["system"])
        described = {key: system.pop(key) for key in ("description", "default") if key in system}
        properties["system"] = {"anyOf": [system, _FILE], **described}
    return {
        **shape,
        "title": name,
        "description": _first_line(kind),
        "required": ["kind", *shape.get("required", ())],
        "properties": {"kind": {"const": name}, **properties},
    }


def _object(kind: type, definitions: dict[str, Json]) -> dict[str, Json]:
    """The schema of a mapping with the fields of this dataclass, with their docstrings and defaults."""
    shape = shape_of(kind).json_schema(ref_template="#/definitions/{model}")
    definitions.update({name: _draft7(inner) for name, inner in shape.pop("$defs", {}).items()})
    shape = dict(_draft7(shape))
    shape.pop("description", None)
    docs = _field_docs(kind)
    shape.setdefault("properties", {})
    for field in dataclasses.fields(kind):
        about = shape["properties"].get(field.name)
        if about is None:
            continue
        if field.name in docs:
            about["description"] = docs[field.name]
        if isinstance(field.default, (str, int, float, bool)):
            about["default"] = field.default
    return shape


def _draft7(schema: Json) -> Any:
    """Without titles, and with tuples as draft 7 writes them."""
    if isinstance(schema, list):
        return [_draft7(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: {name: _draft7(item) for name, item in value.items()} if key == "properties" else _draft7(value)
        for key, value in schema.items()
        if key != "title" or not isinstance(value, str)
    }
    if "prefixItems" in found:
        found["items"] = found.pop("prefixItems")
    return found


@cache
def _field_docs(kind: type) -> dict[str, str]:
    """Field → the docstring under it, also of the classes that `kind` inherits from."""
    docs: dict[str, str] = {}
    for part in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(part):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        except (OSError, SyntaxError):
            continue  # a class made at run time has no source: its fields go without a description
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for field, below in pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = " ".join(text.split())
    return docs


def _first_line(kind: type) -> str:
    return (inspect.getdoc(kind) or kind.__name__).splitlines()[0]
