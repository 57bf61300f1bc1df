"""The rules of a gate: what a user writes under `gate:`, checked, with every default filled in.

`parse_rules` is the only door. Knows no file; faults carry a dotted path.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from evalgate.errors import Fault, InputError
from evalgate.records import EVERY_CASE, Json


class Proof(StrEnum):
    """What has to be proven before a drop blocks."""

    SHOWN = "shown"
    """A drop is proven, and the observed one exceeds `max_drop`."""
    BEYOND_MARGIN = "beyond_margin"
    """A drop larger than `max_drop` is proven."""
    LITERAL = "literal"
    """Nothing: two numbers are compared."""


class Response(StrEnum):
    """What to do with a verdict that proves nothing."""

    STOP = "stop"
    WARN = "warn"
    ALLOW = "allow"


class RulesFrom(StrEnum):
    """Whose rules decide."""

    HEAD = "head"
    """Those of the tree under test."""
    BASE = "base"
    """Those of the commit that it is compared with: a change cannot weaken the rules that it is judged by."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is asked of one category, or of all cases together."""

    min: float | None = None
    """Floor of the mean score; None: no floor."""
    max_drop: float | None = 0.0
    """Largest drop of the mean score that is accepted; None: drops are not judged."""
    proof: Proof = Proof.SHOWN
    critical: bool = False
    """The burden of the floor is reversed: not being below it has to be proven, or the gate fails."""


OFF = Rule(min=None, max_drop=None)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A ceiling on a metric of the run, or on its rise against the baseline."""

    metric: str
    ceiling: float | None = None
    max_rise: float | None = None
    """Relative: 0.2 allows 20 % more than the baseline."""


@dataclass(frozen=True, kw_only=True)
class When:
    """What becomes of a verdict that is neither pass nor fail."""

    no_baseline: Response = Response.WARN
    inconclusive: Response = Response.WARN
    not_comparable: Response = Response.STOP
    not_evaluated: Response = Response.WARN
    stale: Response = Response.WARN
    drift: Response = Response.WARN


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All rules of a gate."""

    alpha: float = 0.05
    overall: Rule = Rule()
    each_category: Rule = Rule()
    categories: Mapping[str, Rule] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()
    error_rate: float | None = 0.02
    baseline_runs: int = 10
    removed_categories: tuple[str, ...] = ()
    pass_mark: float = 0.5
    confirm: bool = True
    """Whether what would block is called anew first, where that can be done."""
    trust_history: bool = True
    """False: fresh calls of both sides have to confirm a block at 5 % instead of 20 %, where they can be made."""
    max_epochs: int = 8
    """How often a case is repeated at most, where the repeats are not fixed beforehand."""
    max_extra_calls: int | None = None
    """Calls that repeats may add to a run; None: twice its cases."""
    max_baseline_age_days: float | None = 90.0
    """A baseline that is older is stale; None: none is."""
    anchor: str | None = None
    """Name of a blessed run against which every drop rule is held as well."""
    when: When = When()
    rules_from: RulesFrom = RulesFrom.HEAD

    @property
    def confirm_level(self) -> float:
        """The p that fresh calls of both sides have to reach to confirm a block."""
        return 0.2 if self.trust_history else 0.05

    def drops_only(self) -> Rules:
        """The same without floors: what is held against an anchor."""
        return replace(
            self,
            overall=replace(self.overall, min=None, critical=False),
            each_category=replace(self.each_category, min=None, critical=False),
            categories={name: replace(rule, min=None, critical=False) for name, rule in self.categories.items()},
        )

    def extra_calls(self, cases: int) -> int:
        """How many calls repeats may add to a run of so many cases."""
        return 2 * cases if self.max_extra_calls is None else self.max_extra_calls

    def of(self, category: str) -> Rule:
        """The rule of a category; `"*"` is every case together."""
        if category == EVERY_CASE:
            return self.overall
        return self.categories.get(category, self.each_category)


Choice = TypeVar("Choice", bound=StrEnum)

LIMIT_METRIC = re.compile(r"latency_p(50|75|90|95|99)_s|cost_per_call_usd|tokens_per_call")
LIMIT_NAMES = (
    *(f"latency_p{percent}_s" for percent in (50, 75, 90, 95, 99)),
    "cost_per_call_usd",
    "tokens_per_call",
    "error_rate",
)
RULE_KEYS = ("min", "max_drop", "proof", "critical")
KEYS = (
    "alpha", "overall", "each_category", "categories", "limits", "when", "baseline_runs", "removed_categories",
    "pass_mark", "max_baseline_age_days", "confirm", "trust_history", "max_epochs", "max_extra_calls", "rules_from",
    "anchor",
)  # fmt: skip


def parse_rules(given: Mapping[str, Any] | None) -> Rules:
    """The rules of this mapping; absent keys default one by one, `{}` and None are the defaults.

    Raises InputError with every fault, each `where` a dotted path such as `categories.safety.min`.
    """
    faults: list[Fault] = []
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise InputError(Fault(where="", what=f"rules are a mapping, this is {type(given).__name__}"))
    _unknown(given, KEYS, "", faults)
    each = _rule(given, "each_category", Rule(), faults)
    rules = Rules(
        alpha=_number(given, "alpha", 0.05, faults, low=0, high=0.5, open_low=True) or 0.05,
        overall=_rule(given, "overall", Rule(), faults),
        each_category=each,
        categories=_categories(given, each, faults),
        limits=_limits(given, faults),
        error_rate=_error_rate(given, faults),
        baseline_runs=_count(given, "baseline_runs", 10, faults),
        removed_categories=_names(given, "removed_categories", faults),
        pass_mark=_pass_mark(given, faults),
        confirm=_flag(given, "confirm", faults),
        trust_history=_flag(given, "trust_history", faults),
        max_epochs=_count(given, "max_epochs", 8, faults),
        max_extra_calls=_extra_calls(given, faults),
        max_baseline_age_days=_number(given, "max_baseline_age_days", 90.0, faults, low=0, open_low=True),
        anchor=_anchor(given, faults),
        when=_when(given, faults),
        rules_from=_rules_from(given, faults),
    )
    faults.extend(_unprovable(rules))
    if faults:
        raise InputError(sorted(faults))
    return rules


def _categories(given: Mapping[str, Any], each: Rule, faults: list[Fault]) -> dict[str, Rule]:
    named = _mapping(given, "categories", "", faults)
    if EVERY_CASE in named:
        hint = "Write its rule under `overall`."
        faults.append(Fault(where=f"categories.{EVERY_CASE}", what="'*' is every case, not a category", hint=hint))
    return {str(name): _rule(named, name, each, faults, path=f"categories.{name}") for name in sorted(named, key=str)}


def _rule(
    given: Mapping[str, Any],
    key: str,
    inherited: Rule,
    faults: list[Fault],
    *,
    path: str | None = None,
) -> Rule:
    """The rule under this key: each key absent is inherited, null switches off."""
    path = path or key
    if key not in given:
        return inherited
    if given[key] is None:
        return OFF
    written = _mapping(given, key, path.rpartition(".")[0], faults)
    _unknown(written, RULE_KEYS, path, faults)
    rule = inherited
    for name in ("min", "max_drop"):
        if name in written:
            value = _number(written, name, None, faults, low=0, high=1, path=path)
            rule = replace(rule, min=value) if name == "min" else replace(rule, max_drop=value)
    if "proof" in written:
        rule = replace(rule, proof=_choice(written, "proof", Proof, Proof.SHOWN, faults, path))
    if "critical" in written:
        if not isinstance(written["critical"], bool):
            faults.append(Fault(where=f"{path}.critical", what="is neither true nor false"))
        rule = replace(rule, critical=written["critical"] is True)
    return rule


def _limits(given: Mapping[str, Any], faults: list[Fault]) -> tuple[Limit, ...]:
    limits = []
    written = _mapping(given, "limits", "", faults)
    _unknown(written, LIMIT_NAMES, "limits", faults)
    for name in sorted(written, key=str):
        if written[name] is None or not LIMIT_METRIC.fullmatch(str(name)):
            continue
        path = f"limits.{name}"
        if isinstance(written[name], Mapping):
            _unknown(written[name], ("max", "max_rise"), path, faults)
            ceiling = _number(written[name], "max", None, faults, low=0, path=path)
            rise = _number(written[name], "max_rise", None, faults, low=0, path=path)
            if not {"max", "max_rise"} & set(written[name]):
                faults.append(Fault(where=path, what="has neither `max` nor `max_rise`, so nothing would be held"))
        else:
            ceiling, rise = _number(written, name, None, faults, low=0, path="limits"), None
        if ceiling is not None or rise is not None:
            limits.append(Limit(metric=name, ceiling=ceiling, max_rise=rise))
    return tuple(limits)


def _error_rate(given: Mapping[str, Any], faults: list[Fault]) -> float | None:
    written = _mapping(given, "limits", "", [])
    if "error_rate" not in written:
        return 0.02
    return _number(written, "error_rate", None, faults, low=0, high=1, path="limits")


def _pass_mark(given: Mapping[str, Any], faults: list[Fault]) -> float:
    value = _number(given, "pass_mark", 0.5, faults, low=0, high=1)
    return 0.5 if value is None else value


def _flag(given: Mapping[str, Any], key: str, faults: list[Fault]) -> bool:
    value = given.get(key)
    if value is not None and not isinstance(value, bool):
        faults.append(Fault(where=key, what=f"`{key}` is true or false, this is {value!r}"))
    return value is not False


def _extra_calls(given: Mapping[str, Any], faults: list[Fault]) -> int | None:
    value = given.get("max_extra_calls")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        hint = "0 repeats nothing; leave it out for twice the cases."
        faults.append(Fault(where="max_extra_calls", what=f"is a whole number from 0, this is {value!r}", hint=hint))
        return None
    return value


def _anchor(given: Mapping[str, Any], faults: list[Fault]) -> str | None:
    value = given.get("anchor")
    if value is not None and (not isinstance(value, str) or not value.strip()):
        hint = "Bless a run with `evalgate baseline bless RUN --reason … --name NAME`."
        faults.append(Fault(where="anchor", what=f"is the name of a blessed run, this is {value!r}", hint=hint))
        return None
    return value


def _rules_from(given: Mapping[str, Any], faults: list[Fault]) -> RulesFrom:
    if given.get("rules_from") is None:
        return RulesFrom.HEAD
    return _choice(given, "rules_from", RulesFrom, RulesFrom.HEAD, faults, "")


def _unprovable(rules: Rules) -> list[Fault]:
    """Critical rules without a floor: there would be nothing to prove."""
    named = {"overall": rules.overall, "each_category": rules.each_category}
    named |= {f"categories.{name}": rule for name, rule in rules.categories.items()}
    hint = "Write the score that has to be proven: `min: 0.98`."
    return [
        Fault(where=path, what="`critical: true` proves a floor, and there is no `min`", hint=hint)
        for path, rule in named.items()
        if rule.critical and not rule.min
    ]


def _when(given: Mapping[str, Any], faults: list[Fault]) -> When:
    written = _mapping(given, "when", "", faults)
    names = tuple(When.__dataclass_fields__)
    _unknown(written, names, "when", faults)
    default = When()
    chosen = {
        name: _choice(written, name, Response, getattr(default, name), faults, "when")
        for name in names
        if name in written
    }
    return When(**chosen)


def _mapping(given: Mapping[str, Any], key: str, path: str, faults: list[Fault]) -> Mapping[str, Any]:
    value = given.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        where = f"{path}.{key}" if path else str(key)
        faults.append(Fault(where=where, what=f"is a mapping, this is {value!r}"))
        return {}
    return value


def _unknown(given: Mapping[str, Any], known: Iterable[str], path: str, faults: list[Fault]) -> None:
    names = list(known)
    for key in given:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(names)}."
            where = f"{path}.{key}" if path else str(key)
            faults.append(Fault(where=where, what=f"unknown key `{key}`", hint=hint))


def _number(
    given: Mapping[str, Any],
    key: str,
    default: float | None,
    faults: list[Fault],
    *,
    low: float,
    high: float = math.inf,
    path: str = "",
    open_low: bool = False,
) -> float | None:
    if key not in given:
        return default
    value = given[key]
    if value is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high or (open_low and value == low):
        where = f"{path}.{key}" if path else key
        bounds = f"from {low:g}" if high == math.inf else f"in {'(' if open_low else '['}{low:g}, {high:g}]"
        hint = "Five points are 0.05." if high == 1 and is_number and value > 1 else ""
        faults.append(Fault(where=where, what=f"`{key}` is a number {bounds}, this is {value!r}", hint=hint))
        return default
    return float(value)


def _count(given: Mapping[str, Any], key: str, default: int, faults: list[Fault]) -> int:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        faults.append(Fault(where=key, what=f"`{key}` is a whole number from 1, this is {value!r}"))
        return default
    return value


def _names(given: Mapping[str, Any], key: str, faults: list[Fault]) -> tuple[str, ...]:
    value = given.get(key) or []
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        faults.append(Fault(where=key, what=f"`{key}` is a list of names, this is {value!r}"))
        return ()
    return tuple(value)


def _choice(
    given: Mapping[str, Any], key: str, kind: type[Choice], default: Choice, faults: list[Fault], path: str
) -> Choice:
    try:
        return kind(given[key])
    except ValueError:
        options = ", ".join(item.value for item in kind)
        near = difflib.get_close_matches(str(given[key]), [item.value for item in kind], n=1)
        hint = f"Did you mean `{near[0]}`?" if near else f"One of: {options}."
        where = f"{path}.{key}" if path else key
        faults.append(Fault(where=where, what=f"`{key}: {given[key]}` is none of {options}", hint=hint))
        return default


def schema() -> dict[str, Json]:
    """JSON Schema (draft 7) of what may stand under `gate:`."""
    share = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    rule: dict[str, Json] = {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "min": {**share, "description": "Floor of the mean score, 0 to 1."},
            "max_drop": {**share, "description": "Largest accepted drop of the mean score: 0.05 is five points."},
            "proof": {"enum": [item.value for item in Proof], "description": "What has to be proven to block."},
            "critical": {"type": "boolean", "description": "The floor `min` has to be proven, or the gate fails."},
        },
    }
    amount: dict[str, Json] = {
        "anyOf": [
            {"type": ["number", "null"], "minimum": 0},
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "max": {"type": "number", "minimum": 0},
                    "max_rise": {"type": "number", "minimum": 0, "description": "Relative: 0.2 allows 20 % more."},
                },
            },
        ]
    }
    limits: dict[str, Json] = {name: amount for name in LIMIT_NAMES if name != "error_rate"}
    limits["error_rate"] = {**share, "description": "Largest share of unscored results; more is verdict `error`."}
    response = {"enum": [item.value for item in Response]}
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {
            "alpha": {
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 0.5,
                "description": "Chance to block what did not change, over all rules of the gate together.",
            },
            "overall": rule,
            "each_category": rule,
            "categories": {"type": "object", "additionalProperties": rule},
            "limits": {"type": "object", "additionalProperties": False, "properties": limits},
            "when": {
                "type": "object",
                "additionalProperties": False,
                "properties": dict.fromkeys(When.__dataclass_fields__, response),
            },
            "baseline_runs": {"type": "integer", "minimum": 1},
            "removed_categories": {"type": "array", "items": {"type": "string"}},
            "pass_mark": {"type": "number", "minimum": 0, "maximum": 1},
            "confirm": {
                "type": ["boolean", "null"],
                "description": "Call both sides anew before a block, where the baseline can be called again.",
            },
            "trust_history": {
                "type": ["boolean", "null"],
                "description": "false: fresh calls have to confirm a block at 5 % instead of 20 %.",
            },
            "max_epochs": {
                "type": "integer",
                "minimum": 1,
                "description": "How often a case that stays undecided is repeated at most.",
            },
            "max_extra_calls": {
                "type": ["integer", "null"],
                "minimum": 0,
                "description": "Calls that repeats may add to a run. Default: twice its cases.",
            },
            "max_baseline_age_days": {
                "type": ["number", "null"],
                "exclusiveMinimum": 0,
                "description": "An older baseline is stale, which is never a pass. Default 90.",
            },
            "anchor": {
                "type": ["string", "null"],
                "description": "Name of a blessed run against which every drop rule is held as well.",
            },
            "rules_from": {
                "enum": [*(item.value for item in RulesFrom), None],
                "description": "base: the rules and exceptions of the commit that a change is compared with decide.",
            },
        },
    }
