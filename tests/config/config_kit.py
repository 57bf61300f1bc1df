"""What the tests of configuration pass in: small kinds of endpoints, scorers and rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evalgate.config import Config, load_config, load_evalsets
from evalgate.errors import Fault, InputError
from evalgate.records import Case, EvalSet, ScorerSpec


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A server that chats."""

    base_url: str
    """Where it listens."""
    model: str
    system: str | None = None
    api_key_env: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    stop: str | tuple[str, ...] | None = None

    def problems(self) -> list[tuple[str, str, str]]:
        return [("params.top", "`top` is not known there", "Leave it out.")] if "top" in self.params else []


@dataclass(frozen=True, kw_only=True)
class Code:
    """A Python callable."""

    callable: str

    def problems(self) -> list[tuple[str, str, str]]:
        return []


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A regular expression."""

    pattern: str | None = None
    """What has to be found."""
    ignore_case: bool = False


@dataclass(frozen=True, kw_only=True)
class Plain:
    """The same text."""


ENDPOINTS: Mapping[str, type] = {"openai": Chat, "python": Code}
SCORERS: Mapping[str, type] = {"exact": Plain, "contains": Plain, "regex": Pattern, "refusal": Plain}
SHORTHAND = {"regex": "pattern"}


def check_rules(gate: Mapping[str, Any]) -> Mapping[str, Any]:
    """Knows floors."""
    faults = [
        Fault(where=f"categories.{name}.min", what="a floor is a number in [0, 1]")
        for name, rule in (gate.get("categories") or {}).items()
        if not 0 <= rule.get("min", 0) <= 1
    ]
    if faults:
        raise InputError(faults)
    return gate


def problem(spec: ScorerSpec, case: Case) -> str | None:
    """Only a refusal needs no reference answer."""
    return "`expected` is missing" if case.expected is None and spec.name in ("exact", "contains") else None


def config(path: Path, environ: Mapping[str, str] | None = None, **options: Any) -> Config:
    return load_config(path, environ=environ or {}, endpoint_kinds=ENDPOINTS, check_rules=check_rules, **options)


def evalsets(
    base_dir: Path, *patterns: str, rules: Mapping[str, str] | None = None, places: Mapping[str, str] | None = None
) -> EvalSet:
    return load_evalsets(
        patterns or ("*.yaml",),
        base_dir=base_dir,
        scorer_kinds=SCORERS,
        shorthand=SHORTHAND,
        check_scorer=lambda spec: ["`ignore_case` needs a pattern"] if spec.options == {"ignore_case": True} else [],
        problem=problem,
        rule_categories=rules or {},
        pattern_places=places,
    )
