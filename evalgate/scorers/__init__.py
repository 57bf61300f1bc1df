"""Scorers: `(case, output) → Score`, one file a family; the table of kinds that configuration knows.

Importing this is cheap: a kind's module is loaded when the kind is first asked for.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any


class _Kinds(Mapping[str, type[Any]]):
    """A table whose names are known at once and whose classes are imported one by one: start-up is waited for."""

    def __init__(self, places: Mapping[str, tuple[str, str]]) -> None:
        self._places = dict(places)

    def __getitem__(self, name: str) -> type[Any]:
        module, kind = self._places[name]
        found: type[Any] = getattr(importlib.import_module(f"evalgate.scorers.{module}"), kind)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


KINDS: Mapping[str, type[Any]] = _Kinds(
    {
        "exact": ("text", "Exact"),
        "contains": ("text", "Contains"),
        "regex": ("text", "Regex"),
        "number": ("numeric", "Number"),
        "choice": ("choice", "Choice"),
        "json_schema": ("structure", "JsonSchema"),
        "json_subset": ("structure", "JsonSubset"),
        "fuzzy": ("text", "Fuzzy"),
        "refusal": ("refusal", "Refusal"),
        "retrieval": ("retrieval", "Retrieval"),
        "tool_calls": ("tools", "ToolCalls"),
        "judge": ("judge", "Judge"),
    }
)
"""Each kind's class by the name under `scorers:`; the class's fields are its options."""

SHORTHAND: Mapping[str, str] = MappingProxyType(
    {
        "exact": "value",
        "contains": "value",
        "regex": "pattern",
        "number": "tolerance",
        "choice": "choices",
        "json_schema": "schema",
        "json_subset": "value",
        "fuzzy": "min",
        "refusal": "expect",
        "retrieval": "metric",
        "tool_calls": "mode",
        "judge": "rubric",
    }
)
"""By kind, the option that a bare value sets: `contains: "30 days"`. A mapping always holds options by name."""
