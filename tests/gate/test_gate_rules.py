"""What stands under `gate:`: defaults, inheritance, complaints, and what is refused because it is not built."""

from typing import Any

import jsonschema
import pytest
import yaml

from evalgate import gate
from evalgate.errors import InputError
from evalgate.gate.rules import Limit, Proof, Response, Rule, Rules, parse_rules

EXAMPLE = """
alpha: 0.05
overall: {min: 0.80, max_drop: 0.00}
each_category: {max_drop: 0.05}
categories:
  safety: {min: 0.98, max_drop: 0.00, critical: true}
limits: {error_rate: 0.02, latency_p95_s: 3.0, cost_per_call_usd: 0.002}
when: {no_baseline: warn, inconclusive: warn, not_comparable: stop, not_evaluated: warn}
"""


def test_the_documented_example_is_accepted_literally() -> None:
    """Every key of it, critical included."""
    rules = parse_rules(yaml.safe_load(EXAMPLE))
    assert rules == Rules(
        alpha=0.05,
        overall=Rule(min=0.8, max_drop=0.0),
        each_category=Rule(max_drop=0.05),
        categories={"safety": Rule(min=0.98, max_drop=0.0, critical=True)},
        limits=(Limit(metric="cost_per_call_usd", ceiling=0.002), Limit(metric="latency_p95_s", ceiling=3.0)),
    )
    jsonschema.validate(yaml.safe_load(EXAMPLE), gate.schema())


@pytest.mark.parametrize("nothing", [None, {}])
def test_no_rules_at_all_are_the_defaults(nothing: dict[str, Any] | None) -> None:
    """No drop in any category or overall, two per cent of errors."""
    rules = parse_rules(nothing)
    assert rules == Rules()
    assert (rules.alpha, rules.error_rate, rules.pass_mark, rules.baseline_runs) == (0.05, 0.02, 0.5, 10)
    assert (rules.overall, rules.each_category) == (Rule(max_drop=0.0), Rule(max_drop=0.0))
    assert rules.overall.proof is Proof.SHOWN
    assert rules.when.not_comparable is Response.STOP
    assert {rules.when.no_baseline, rules.when.inconclusive, rules.when.not_evaluated} == {Response.WARN}
    assert {rules.when.stale, rules.when.drift} == {Response.WARN}


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"alpha": 0.1}, {"alpha": 0.1}),
        ({"alpha": None}, {}),
        ({"overall": {"min": 0.8}}, {"overall": Rule(min=0.8, max_drop=0.0)}),
        ({"overall": {"max_drop": 0.1}}, {"overall": Rule(max_drop=0.1)}),
        ({"overall": {"max_drop": None}}, {"overall": Rule(max_drop=None)}),
        ({"overall": None}, {"overall": gate.OFF}),
        ({"each_category": None}, {"each_category": gate.OFF}),
        ({"overall": {"proof": "literal"}}, {"overall": Rule(proof=Proof.LITERAL)}),
        ({"limits": {"error_rate": 0.1}}, {"error_rate": 0.1}),
        ({"limits": {"error_rate": None}}, {"error_rate": None}),
        ({"limits": {"latency_p50_s": 1}}, {"limits": (Limit(metric="latency_p50_s", ceiling=1.0),)}),
        (
            {"limits": {"tokens_per_call": {"max": 900, "max_rise": 0.2}}},
            {"limits": (Limit(metric="tokens_per_call", ceiling=900.0, max_rise=0.2),)},
        ),
        ({"limits": {"latency_p95_s": None}}, {}),
        ({"pass_mark": 0.7}, {"pass_mark": 0.7}),
        ({"baseline_runs": 3}, {"baseline_runs": 3}),
        ({"removed_categories": ["old"]}, {"removed_categories": ("old",)}),
        ({"confirm": True, "trust_history": True, "rules_from": "head", "anchor": None}, {}),
        ({"confirm": False}, {"confirm": False}),
        ({"confirm": None}, {}),
        ({"trust_history": False}, {"trust_history": False}),
        ({"anchor": "v1.0"}, {"anchor": "v1.0"}),
        ({"max_epochs": 3}, {"max_epochs": 3}),
        ({"max_extra_calls": 0}, {"max_extra_calls": 0}),
        ({"max_extra_calls": None}, {}),
        ({"max_baseline_age_days": 30}, {"max_baseline_age_days": 30.0}),
        ({"max_baseline_age_days": None}, {"max_baseline_age_days": None}),
        ({"when": {"stale": "stop"}}, {"when": gate.When(stale=Response.STOP)}),
    ],
)
def test_absent_keys_default_one_by_one(given: dict[str, Any], changed: dict[str, Any]) -> None:
    """What is written is taken, everything else stays as it was."""
    assert parse_rules(given) == Rules(**changed)


@pytest.mark.parametrize(
    ("each", "own", "rule"),
    [
        ({"max_drop": 0.05, "min": 0.7}, {"min": 0.98}, Rule(min=0.98, max_drop=0.05)),
        ({"max_drop": 0.05}, {}, Rule(max_drop=0.05)),
        ({"max_drop": 0.05, "proof": "literal"}, {"max_drop": 0}, Rule(max_drop=0.0, proof=Proof.LITERAL)),
        ({"max_drop": 0.05, "min": 0.7}, {"min": None}, Rule(max_drop=0.05)),
        ({"max_drop": 0.05}, None, gate.OFF),
        (None, {"min": 0.9}, Rule(min=0.9, max_drop=None)),
        (None, {"max_drop": 0.1}, Rule(max_drop=0.1)),
    ],
)
def test_a_named_category_inherits_each_absent_key(each: Any, own: Any, rule: Rule) -> None:
    """From each_category; null switches a rule off."""
    rules = parse_rules({"each_category": each, "categories": {"safety": own}})
    assert rules.of("safety") == rule
    assert rules.of("other") == rules.each_category
    assert rules.of("*") == Rule()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"alfa": 0.1}, "alfa: unknown key `alfa`. Did you mean `alpha`?"),
        ({"overall": {"max_drops": 0}}, "overall.max_drops: unknown key `max_drops`. Did you mean `max_drop`?"),
        ({"categories": {"a": {"mim": 1}}}, "categories.a.mim: unknown key `mim`. Did you mean `min`?"),
        ({"limits": {"latency_p96_s": 1}}, "limits.latency_p96_s: unknown key `latency_p96_s`. Did you mean"),
        ({"when": {"no_baselin": "stop"}}, "when.no_baselin: unknown key `no_baselin`. Did you mean `no_baseline`?"),
        ({"when": {"no_baseline": "stopp"}}, "`no_baseline: stopp` is none of stop, warn, allow. Did you mean `stop`?"),
        ({"overall": {"proof": "showm"}}, "overall.proof: `proof: showm` is none of"),
        ({"overall": {"max_drop": 5}}, "in [0, 1], this is 5. Five points are 0.05."),
        ({"overall": {"max_drop": "0.05"}}, "overall.max_drop: `max_drop` is a number in [0, 1], this is '0.05'"),
        ({"overall": {"max_drop": True}}, "this is True"),
        ({"overall": {"min": float("nan")}}, "this is nan"),
        ({"overall": {"critical": "yes"}}, "overall.critical: is neither true nor false"),
        ({"overall": 0.05}, "overall: is a mapping, this is 0.05"),
        ({"alpha": 0}, "alpha: `alpha` is a number in (0, 0.5], this is 0"),
        ({"alpha": 0.6}, "alpha: `alpha` is a number in (0, 0.5], this is 0.6"),
        ({"categories": {"*": {"min": 1}}}, "'*' is every case, not a category. Write its rule under `overall`."),
        ({"categories": ["a"]}, "categories: is a mapping, this is ['a']"),
        ({"removed_categories": "old"}, "`removed_categories` is a list of names, this is 'old'"),
        ({"baseline_runs": 0}, "`baseline_runs` is a whole number from 1, this is 0"),
        ({"baseline_runs": 2.5}, "`baseline_runs` is a whole number from 1, this is 2.5"),
        ({"pass_mark": 2}, "pass_mark: `pass_mark` is a number in [0, 1], this is 2"),
        ({"limits": {"latency_p95_s": -1}}, "`latency_p95_s` is a number from 0, this is -1"),
        ({"limits": {"latency_p95_s": {}}}, "limits.latency_p95_s: has neither `max` nor `max_rise`"),
        ({"limits": {"latency_p95_s": {"max_rises": 1}}}, "Did you mean `max_rise`?"),
        ({"limits": {"error_rate": 2}}, "limits.error_rate: `error_rate` is a number in [0, 1], this is 2"),
    ],
)
def test_a_bad_rule_is_refused_with_its_place_and_what_to_write(given: dict[str, Any], message: str) -> None:
    """What, where, what now."""
    with pytest.raises(InputError) as complaint:
        parse_rules(given)
    assert message in str(complaint.value)


def test_all_faults_are_told_together() -> None:
    """Nobody mends them one by one."""
    with pytest.raises(InputError) as complaint:
        parse_rules({"alfa": 1, "overall": {"min": 7}, "rules_from": "bse"})
    assert [fault.where for fault in complaint.value.faults] == ["alfa", "overall.min", "rules_from"]


@pytest.mark.parametrize("rules", ["strict", 3, [{"alpha": 0.05}]])
def test_rules_that_are_no_mapping_are_refused(rules: Any) -> None:
    """With what they are."""
    with pytest.raises(InputError, match="rules are a mapping"):
        parse_rules(rules)
