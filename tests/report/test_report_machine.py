"""The verdict as JSON, and the schema that describes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from report_situations import Situation, failed, situations

from evalgate.report import machine

EVERY = tuple(situations())


@pytest.mark.parametrize("situation", EVERY, ids=lambda situation: situation.name)
def test_every_verdict_is_valid(situation: Situation) -> None:
    """By the published schema, read back from the bytes."""
    text = machine.render(situation.report)
    assert text.endswith("}\n")
    Draft202012Validator(machine.verdict_schema()).validate(json.loads(text.encode("utf-8")))


def test_the_schema_is_itself_valid() -> None:
    """By the meta-schema that it names."""
    Draft202012Validator.check_schema(machine.verdict_schema())


def test_the_schema_names_every_key_and_no_other() -> None:
    """A key added to the verdict without being described is noticed."""
    schema = machine.verdict_schema()
    optional = {"comment": schema["properties"].pop("comment")}
    report = failed().report
    assert list(pairs(schema, report.verdict.to_dict())) == []
    rendered = json.loads(machine.render(report))
    assert list(pairs({"properties": optional, "required": list(optional)}, {"comment": rendered["comment"]})) == []


def pairs(schema: dict[str, Any], value: Any, path: str = "") -> Iterator[str]:
    """Where the keys of a value and of its schema differ."""
    if isinstance(value, dict) and "properties" in schema:
        if set(schema["properties"]) != set(value) or set(schema["required"]) != set(value):
            yield path
        for key, below in value.items():
            yield from pairs(schema["properties"].get(key, {}), below, f"{path}.{key}")
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from pairs(schema.get("additionalProperties", {}), below, f"{path}.{key}")
    elif isinstance(value, list) and value:
        yield from pairs(schema.get("items", {}), value[0], f"{path}[]")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "passed"),
        (("exit_code",), 2),
        (("reason",), None),
        (("schema",), "evalgate.verdict/2"),
        (("findings", 0, "status"), "ok"),
        (("findings", 0, "ci"), [0.1]),
        (("findings", 0, "p"), 1.5),
        (("usage", "calls"), -1),
        (("run", "created"), "yesterday"),
        (("cases", "regressed"), "late-01"),
    ],
)
def test_the_schema_refuses_what_is_no_verdict(path: tuple[Any, ...], value: Any) -> None:
    """A foreign file is checked by it before it is believed."""
    verdict: Any = json.loads(machine.render(failed().report))
    inner = verdict
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert not Draft202012Validator(machine.verdict_schema()).is_valid(verdict)
