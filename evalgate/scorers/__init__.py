"""Scorers: `(case, output) → Score`, one file a family; the table of kinds that configuration knows.

Importing this is cheap: a kind's module is loaded when the kind is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from evalgate.kinds import Kinds

KINDS: Mapping[str, type[Any]] = Kinds(
    "evalgate.scorers",
    {
        "exact": "text:Exact",
        "contains": "text:Contains",
        "regex": "text:Regex",
        "number": "numeric:Number",
        "choice": "choice:Choice",
        "json_schema": "structure:JsonSchema",
        "json_subset": "structure:JsonSubset",
        "fuzzy": "text:Fuzzy",
        "refusal": "refusal:Refusal",
        "retrieval": "retrieval:Retrieval",
        "tool_calls": "tools:ToolCalls",
        "judge": "judge:Judge",
    },
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
