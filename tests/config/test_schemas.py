"""The JSON Schemas say what the loader says."""

from __future__ import annotations

from typing import Any

import pytest
from config_kit import ENDPOINTS, SCORERS, SHORTHAND
from jsonschema import Draft7Validator

from evalgate.config import config_schema, evalset_schema

CONFIG: dict[str, Any] = {
    "version": 1,
    "suite": "support-bot",
    "evalsets": ["evalsets/*.yaml"],
    "endpoint": {
        "kind": "openai",
        "base_url": "${OPENAI_BASE_URL}",
        "api_key_env": "OPENAI_API_KEY",
        "model": "small-chat-1",
        "system": {"file": "prompts/system.md"},
        "params": {"temperature": 0, "max_tokens": 400},
    },
    "run": {"concurrency": 64, "epochs": 1, "timeout_s": 60, "deadline_s": 1800, "budget_usd": 2.0, "cache": True},
    "baseline_endpoint": {"kind": "python", "callable": "old:answer"},
    "gate": {"alpha": 0.05},
    "exceptions": "accepted.yaml",
    "history": {"store": "sqlite:///.evalgate/history.db", "branch": "evalgate-history"},
    "comment": "on_change",
}
EVALSET: dict[str, Any] = {
    "name": "refunds",
    "category": "refunds",
    "prompt": "Question: {{ input }}",
    "scorers": [
        {"regex": {"ignore_case": True, "weight": 2}},
        {"regex": "^A"},
        "exact",
        "mine.py:judge",
        {"mine.py:f": {"a": 1}},
    ],
    "cases": [
        {"id": "late-01", "input": "Can I still return it?", "expected": "30 days"},
        {"id": 7, "category": ["safety", "refunds"], "critical": True, "input": "…", "scorers": ["refusal"]},
    ],
    "cases_from": "refunds.jsonl",
}


def _config_faults(document: dict[str, Any]) -> list[Any]:
    schema = config_schema(ENDPOINTS, {"type": "object", "properties": {"alpha": {"type": "number"}}})
    Draft7Validator.check_schema(schema)
    return list(Draft7Validator(schema).iter_errors(document))


def _evalset_faults(document: dict[str, Any]) -> list[Any]:
    schema = evalset_schema(SCORERS, SHORTHAND)
    Draft7Validator.check_schema(schema)
    return list(Draft7Validator(schema).iter_errors(document))


def test_the_examples_are_valid() -> None:
    """What the documentation shows, an editor accepts."""
    assert (_config_faults(CONFIG), _evalset_faults(EVALSET)) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        {"suit": "x"},
        {"run": {"concurency": 3}},
        {"run": {"epochs": 0}},
        {"endpoint": {"kind": "opnai"}},
        {"endpoint": {"kind": "python", "callable": "m:f", "modle": "x"}},
        {"comment": {"outputs": "yes"}},
        {"comment": {"when": "sometimes"}},
        {"comment": "sometimes"},
        {"comment": True},
        {"exceptions": ["accepted.yaml"]},
        {"exceptions": ""},
        {"baseline_endpoint": {"kind": "python", "callable": "m:f", "modle": "x"}},
        {"version": 2},
    ],
)
def test_a_typo_in_the_configuration_is_marked(change: dict[str, Any]) -> None:
    """What the loader refuses, an editor marks."""
    assert _config_faults({**CONFIG, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"scorer": ["exact"]},
        {"scorers": ["exakt"]},
        {"scorers": [{"regex": {"patern": "x"}}]},
        {"scorers": [{"exact": {"weight": 0}}]},
        {"cases": [{"input": "x"}]},
        {"cases": [{"id": "a", "expectd": "x"}]},
        {"cases": [{"id": "a", "messages": [{"role": "usr", "content": "x"}]}]},
    ],
)
def test_a_typo_in_an_eval_set_is_marked(change: dict[str, Any]) -> None:
    """What the loader refuses, an editor marks."""
    assert _evalset_faults({**EVALSET, **change})


def test_fields_are_described_by_their_docstrings() -> None:
    """An editor shows what the code says of a key."""
    schema = config_schema(ENDPOINTS, {})
    (chat,) = [kind for kind in schema["properties"]["endpoint"]["oneOf"] if kind["title"] == "openai"]
    assert chat["properties"]["base_url"]["description"] == "Where it listens."
    assert schema["properties"]["run"]["properties"]["epochs"]["default"] == 1
