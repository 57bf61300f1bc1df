"""A loosened rule is told as such, whatever it is and however it is written; an unchanged one is not told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalgate.gate import exception_changes, parse_rules, rule_changes
from evalgate.gate.rules import KEYS, LIMIT_NAMES
from evalgate.records import Effect, Exceptions, Quarantined, RuleChange, Waiver

SHARES = st.integers(0, 100).map(lambda percent: percent / 100)
LIMITED = [name for name in LIMIT_NAMES if name != "error_rate"]


def two(values: st.SearchStrategy[Any], *, stricter_is_less: bool) -> st.SearchStrategy[tuple[Any, Any]]:
    """A stricter value and a looser one."""
    pairs = st.tuples(values, values).filter(lambda pair: pair[0] != pair[1]).map(sorted)
    return pairs.map(lambda pair: tuple(pair if stricter_is_less else pair[::-1]))


def or_none(values: st.SearchStrategy[Any], pairs: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Where no value is the loosest."""
    return st.one_of(pairs, values.map(lambda value: (value, None)))


def at(*path: str) -> Any:
    """A value → the rules that say it there and nothing else."""

    def written(value: Any) -> dict[str, Any]:
        for key in reversed(path):
            value = {key: value}
        return value

    return written


PARTS = (("overall",), ("each_category",), ("categories", "safety"))
FLOORS = or_none(st.floats(0.01, 1), two(SHARES, stricter_is_less=False))
DROPS = or_none(st.floats(0, 0.99), two(SHARES, stricter_is_less=True))
AMOUNTS = or_none(st.floats(0, 100), two(st.floats(0, 100), stricter_is_less=True))
AGES = or_none(st.floats(1, 500), two(st.integers(1, 99), stricter_is_less=True))
PROOFS = st.sampled_from([("literal", "shown"), ("shown", "beyond_margin"), ("literal", "beyond_margin")])
ANSWERS = st.sampled_from([("stop", "warn"), ("warn", "allow"), ("stop", "allow")])
COUNTS = two(st.integers(1, 50), stricter_is_less=False)
SWITCHED = st.just((True, False))
LOOSENED: list[tuple[str, Any, st.SearchStrategy[Any]]] = [
    *((f"gate.{'.'.join(part)}.min", at(*part, "min"), FLOORS) for part in PARTS),
    *((f"gate.{'.'.join(part)}.max_drop", at(*part, "max_drop"), DROPS) for part in PARTS),
    *((f"gate.{'.'.join(part)}.proof", at(*part, "proof"), PROOFS) for part in PARTS),
    *((f"gate.limits.{name}", at("limits", name), AMOUNTS) for name in LIMITED),
    *((f"gate.limits.{name}.max_rise", at("limits", name, "max_rise"), AMOUNTS) for name in LIMITED[:2]),
    ("gate.limits.error_rate", at("limits", "error_rate"), DROPS),
    *(
        (f"gate.when.{name}", at("when", name), ANSWERS)
        for name in ("no_baseline", "inconclusive", "not_comparable", "not_evaluated", "stale", "drift")
    ),
    ("gate.alpha", at("alpha"), two(st.floats(0.001, 0.5), stricter_is_less=False)),
    ("gate.baseline_runs", at("baseline_runs"), COUNTS),
    ("gate.max_epochs", at("max_epochs"), COUNTS),
    ("gate.max_extra_calls", at("max_extra_calls"), COUNTS),
    ("gate.max_extra_calls", at("max_extra_calls"), st.just((None, 0))),
    ("gate.max_baseline_age_days", at("max_baseline_age_days"), AGES),
    ("gate.confirm", at("confirm"), st.just((False, True))),
    ("gate.trust_history", at("trust_history"), SWITCHED),
    ("gate.anchor", at("anchor"), st.just(("v1", None))),
    ("gate.removed_categories", at("removed_categories"), st.just(([], ["safety"]))),
    ("gate.removed_categories", at("removed_categories"), st.just((["a"], ["a", "b"]))),
    ("gate.rules_from", at("rules_from"), st.just(("base", "head"))),
]  # fmt: skip
OTHERS = st.sampled_from(
    [{}, {"categories": {"tone": {"min": 0.5, "critical": False}, "x": None}}, {"limits": {"latency_p95_s": 3}}]
)


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    found = dict(first)
    for key, value in second.items():
        found[key] = merged(found[key], value) if isinstance(found.get(key), dict) else value
    return found


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[RuleChange]:
    return rule_changes(parse_rules(before), parse_rules(after))


@given(st.data())
def test_whatever_is_loosened_is_told_as_weakening_and_the_way_back_as_strengthening(data: st.DataObject) -> None:
    """Each rule, beside others that stay as they are."""
    where, written, pairs = data.draw(st.sampled_from(LOOSENED))
    strict, loose = data.draw(pairs)
    others = data.draw(OTHERS)
    before, after = merged(others, written(strict)), merged(others, written(loose))
    assert changes(before, before) == changes(after, after) == []
    (there,), (back,) = changes(before, after), changes(after, before)
    assert (there.where, there.effect) == (where, Effect.WEAKENS)
    assert (back.where, back.effect) == (where, Effect.STRENGTHENS)
    assert (there.before, there.after) == (back.after, back.before)


def test_every_key_of_the_gate_is_compared() -> None:
    """A key that is added and not compared could be weakened quietly."""
    compared = {where.split(".")[1] for where, _, _ in LOOSENED}
    assert compared | {"pass_mark"} == set(KEYS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"overall": {"max_drop": 0}, "when": {}, "limits": {"error_rate": 0.02}}),
        ({"each_category": {"min": 0.9}}, {"each_category": {"min": 0.9}, "categories": {"a": {}, "b": {"min": 0.9}}}),
        ({"overall": {"max_drop": None}}, {"overall": None}),
        ({"overall": {"max_drop": None}}, {"overall": {"max_drop": 1, "min": 0}}),
        ({"overall": None}, {"overall": {"max_drop": None, "proof": "beyond_margin"}}),
        ({"removed_categories": ["a", "b"]}, {"removed_categories": ["b", "a"]}),
    ],
)
def test_what_only_is_written_otherwise_is_no_change(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Rules are compared as they take effect."""
    assert changes(before, after) == []


def test_what_a_category_inherits_is_told_once() -> None:
    """By the rule that it is inherited from; what is its own is told for it."""
    before = {"each_category": {"min": 0.9}, "categories": {"a": {"max_drop": 0.1}, "b": {"min": 0.95}}}
    after = {"each_category": {"min": 0.8}, "categories": {"a": {"max_drop": 0.1}, "b": {"min": 0.95}}}
    assert [change.where for change in changes(before, after)] == ["gate.each_category.min"]
    del after["categories"]["b"]
    found = changes(before, after)
    assert [(change.where, change.before, change.after) for change in found] == [
        ("gate.each_category.min", 0.9, 0.8),
        ("gate.categories.b.min", 0.95, 0.8),
    ]


def test_a_critical_floor_that_need_not_be_proven_any_more_is_weaker() -> None:
    """Category by category."""
    proven = {"categories": {"safety": {"min": 0.9, "critical": True}}}
    found = changes(proven, {"categories": {"safety": {"min": 0.9}}})
    assert [(change.kind, change.effect, change.sentence) for change in found] == [
        ("critical", Effect.WEAKENS, "the floor of safety no longer has to be proven")
    ]


def test_alpha_is_weaker_either_way_where_a_floor_is_to_be_proven() -> None:
    """Less has to be shown for a block, and less for the proof."""
    critical = {"categories": {"safety": {"min": 0.9, "critical": True}}}
    for before, after in ((0.05, 0.5), (0.5, 0.05)):
        (change,) = changes({**critical, "alpha": before}, {**critical, "alpha": after})
        assert change.weakens


def test_a_mark_and_an_anchor_that_move_are_told() -> None:
    """Nobody can say that drops from another run are no fewer."""
    assert [change.effect for change in changes({"pass_mark": 0.8}, {"pass_mark": 0.5})] == [Effect.WEAKENS]
    assert [change.effect for change in changes({"pass_mark": 0.5}, {"pass_mark": 0.8})] == [Effect.NEITHER]
    assert [change.effect for change in changes({"anchor": "v1"}, {"anchor": "v2"})] == [Effect.WEAKENS]
    assert [change.effect for change in changes({}, {"max_extra_calls": 5})] == [Effect.NEITHER]


# ---- exceptions -------------------------------------------------------------------------------------------

WAIVER = Waiver(category="refunds", before=0.9, drop=0.05, owner="a", reason="b", expires=date(2026, 12, 31))
CASE = Quarantined(case_id="late-1", owner="a", reason="b", expires=date(2026, 12, 31), judged_on=("r1",))


@pytest.mark.parametrize(
    ("strict", "loose"),
    [
        (None, WAIVER),
        (WAIVER, replace(WAIVER, drop=0.06)),
        (WAIVER, replace(WAIVER, before=0.8)),
        (WAIVER, replace(WAIVER, expires=date(2027, 1, 1))),
    ],
)
def test_a_waiver_that_covers_more_weakens(strict: Waiver | None, loose: Waiver) -> None:
    """New, deeper, or longer; the way back strengthens."""
    before = Exceptions(waivers=(strict,) if strict else ())
    (there,), (back,) = (
        exception_changes(before, Exceptions(waivers=(loose,))),
        exception_changes(Exceptions(waivers=(loose,)), before),
    )
    assert (there.effect, back.effect, there.where) == (Effect.WEAKENS, Effect.STRENGTHENS, "waivers: refunds")
    assert there.after == back.before


def test_a_waiver_that_covers_more_in_one_way_and_less_in_another_weakens() -> None:
    """Deeper but shorter."""
    other = replace(WAIVER, drop=0.2, expires=date(2026, 12, 1))
    (there,) = exception_changes(Exceptions(waivers=(WAIVER,)), Exceptions(waivers=(other,)))
    assert (there.effect, there.after) == (Effect.WEAKENS, "down to 70.0 % until 2026-12-01")


@pytest.mark.parametrize(
    ("before", "after", "effect"),
    [
        (None, CASE, Effect.WEAKENS),
        (CASE, None, Effect.STRENGTHENS),
        (CASE, replace(CASE, expires=date(2027, 1, 1)), Effect.WEAKENS),
        (CASE, replace(CASE, expires=date(2026, 1, 1)), Effect.STRENGTHENS),
        (CASE, replace(CASE, judged_on=("r0",)), Effect.WEAKENS),
    ],
)
def test_a_case_that_is_not_judged_weakens(
    before: Quarantined | None, after: Quarantined | None, effect: Effect
) -> None:
    """Put into quarantine, for longer, or on the word of other runs."""
    sides = [Exceptions(quarantine=(case,) if case else ()) for case in (before, after)]
    (change,) = exception_changes(*sides)
    assert (change.effect, change.cases) == (effect, ("late-1",))


def test_owners_and_reasons_change_nothing() -> None:
    """They are for readers."""
    before = Exceptions(waivers=(WAIVER,), quarantine=(CASE,))
    after = Exceptions(waivers=(replace(WAIVER, reason="c"),), quarantine=(replace(CASE, owner="d"),))
    assert exception_changes(before, after) == []
