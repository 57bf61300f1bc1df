"""What differs between two sets of rules, or of exceptions, and whether it lets more through. Pure.

Rules are compared as they take effect, with what they inherit and every default: how they are written does not matter.
*Weakens* means that fewer runs would fail, or be stopped. Where a change does both, it is told as weakening.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from evalgate.gate.rules import Limit, Proof, Response, Rule, Rules, RulesFrom, When
from evalgate.gate.sentences import points
from evalgate.records import EVERY_CASE, ChangeKind, Effect, Exceptions, Json, Quarantined, RuleChange, Waiver

Scale: TypeAlias = Callable[[Json], float]
"""Value → how much it lets through."""

_PROOFS = {Proof.LITERAL: 0, Proof.SHOWN: 1, Proof.BEYOND_MARGIN: 2}
_RESPONSES = {Response.STOP: 0, Response.WARN: 1, Response.ALLOW: 2}

EVERY_SUITE = "the suite"
ANY_CATEGORY = "every category without a rule of its own"


def rule_changes(before: Rules, after: Rules) -> list[RuleChange]:
    """What was altered in the rules, in the order in which they are documented. Equal rules give nothing."""
    found = [*_rule("gate.overall", EVERY_SUITE, before.overall, after.overall)]
    each = [*_rule("gate.each_category", ANY_CATEGORY, before.each_category, after.each_category)]
    inherited = {(change.kind, change.before, change.after) for change in each}
    found += each
    for name in sorted(before.categories.keys() | after.categories.keys()):
        of_its_own = _rule(f"gate.categories.{name}", name, before.of(name), after.of(name))
        found += [change for change in of_its_own if (change.kind, change.before, change.after) not in inherited]
    found += [*_limits(before, after), *_numbers(before, after), *_anchor(before.anchor, after.anchor)]
    found += [*_removed(before.removed_categories, after.removed_categories), *_when(before.when, after.when)]
    if before.rules_from is not after.rules_from:
        effect = Effect.WEAKENS if after.rules_from is RulesFrom.HEAD else Effect.STRENGTHENS
        what = "whose rules decide"
        found.append(
            _change("rules_from", "gate.rules_from", effect, what, before.rules_from.value, after.rules_from.value)
        )
    return found


def _change(kind: ChangeKind, where: str, effect: Effect, sentence: str, before: Json, after: Json) -> RuleChange:
    return RuleChange(kind=kind, where=where, effect=effect, sentence=sentence, before=before, after=after)


def _moved(
    kind: ChangeKind, where: str, name: str, before: Json, after: Json, lets_through: Scale
) -> Iterator[RuleChange]:
    """The change of one value, if it takes effect."""
    then, now = lets_through(before), lets_through(after)
    if then == now:
        return
    verb = "set" if before is None else "taken away" if after is None else "loosened" if now > then else "tightened"
    effect = Effect.WEAKENS if now > then else Effect.STRENGTHENS
    yield _change(kind, where, effect, f"{name} {verb}", before, after)


def _upwards(most: float = math.inf) -> Scale:
    """The higher the more; none is no bound, and so is `most`."""
    return lambda value: most if value is None else min(float(value), most)


def _downwards(value: Json) -> float:
    """The lower the more; none is no bound."""
    return -float(value or 0.0)


# ---- rules on scores --------------------------------------------------------------------------------------


def _rule(where: str, of: str, before: Rule, after: Rule) -> Iterator[RuleChange]:
    yield from _moved("min", f"{where}.min", f"floor of {of}", before.min, after.min, _downwards)
    yield from _moved(
        "max_drop", f"{where}.max_drop", f"allowed drop of {of}", before.max_drop, after.max_drop, _upwards(1.0)
    )
    if before.proof is not after.proof and _judges(before) and _judges(after):
        is_weaker = _PROOFS[after.proof] > _PROOFS[before.proof]
        effect = Effect.WEAKENS if is_weaker else Effect.STRENGTHENS
        what = f"{'more' if is_weaker else 'less'} has to be proven before {of} blocks"
        yield _change("proof", f"{where}.proof", effect, what, before.proof.value, after.proof.value)
    if before.critical is not after.critical:
        effect = Effect.STRENGTHENS if after.critical else Effect.WEAKENS
        what = f"the floor of {of} {'has' if after.critical else 'no longer has'} to be proven"
        yield _change("critical", f"{where}.critical", effect, what, before.critical, after.critical)


def _judges(rule: Rule) -> bool:
    return rule.max_drop is not None or rule.min is not None


# ---- limits and what decides how much is seen -------------------------------------------------------------


def _limits(before: Rules, after: Rules) -> Iterator[RuleChange]:
    then, now = ({limit.metric: limit for limit in rules.limits} for rules in (before, after))
    for metric in sorted(then.keys() | now.keys()):
        old, new = then.get(metric, Limit(metric=metric)), now.get(metric, Limit(metric=metric))
        where = f"gate.limits.{metric}"
        yield from _moved("limit", where, f"limit on {metric}", old.ceiling, new.ceiling, _upwards())
        rise = f"allowed rise of {metric}"
        yield from _moved("limit", f"{where}.max_rise", rise, old.max_rise, new.max_rise, _upwards())
    rate = "allowed rate of errors"
    yield from _moved("limit", "gate.limits.error_rate", rate, before.error_rate, after.error_rate, _upwards(1.0))


def _numbers(before: Rules, after: Rules) -> Iterator[RuleChange]:
    yield from _alpha(before, after)
    yield from _moved(
        "max_baseline_age_days",
        "gate.max_baseline_age_days",
        "allowed age of the baseline in days",
        before.max_baseline_age_days,
        after.max_baseline_age_days,
        _upwards(),
    )
    pooled = "number of runs that are compared with"
    yield from _moved(
        "baseline_runs", "gate.baseline_runs", pooled, before.baseline_runs, after.baseline_runs, _downwards
    )
    repeats = "number of repeats that settle a doubt"
    yield from _moved("max_epochs", "gate.max_epochs", repeats, before.max_epochs, after.max_epochs, _downwards)
    yield from _extra_calls(before.max_extra_calls, after.max_extra_calls)
    if before.pass_mark != after.pass_mark:
        # A higher mark lets fewer answers pass, and finds fewer cases that used to: nothing says which is more.
        effect = Effect.WEAKENS if after.pass_mark < before.pass_mark else Effect.NEITHER
        what = "score from which a case counts as passed"
        yield _change("pass_mark", "gate.pass_mark", effect, what, before.pass_mark, after.pass_mark)
    fresh = "fresh calls that have to confirm a block"
    yield from _moved("confirm", "gate.confirm", fresh, before.confirm, after.confirm, float)
    trust = "weight of the history beside fresh calls"
    yield from _moved("confirm", "gate.trust_history", trust, before.trust_history, after.trust_history, _downwards)


def _alpha(before: Rules, after: Rules) -> Iterator[RuleChange]:
    if before.alpha == after.alpha:
        return
    # Less has to be shown for a drop, but also for a critical floor, which is proven at the same level.
    proves = any(rule.critical for rules in (before, after) for rule in _every(rules))
    effect = Effect.WEAKENS if after.alpha < before.alpha or proves else Effect.STRENGTHENS
    yield _change("alpha", "gate.alpha", effect, "chance to block what did not change", before.alpha, after.alpha)


def _every(rules: Rules) -> tuple[Rule, ...]:
    return rules.overall, rules.each_category, *rules.categories.values()


def _extra_calls(before: int | None, after: int | None) -> Iterator[RuleChange]:
    what, where = "calls that repeats may add", "gate.max_extra_calls"
    if before == after:
        return
    if before is not None and after is not None:
        effect = Effect.WEAKENS if after < before else Effect.STRENGTHENS
    elif after == 0:
        effect = Effect.WEAKENS
    elif before == 0:
        effect = Effect.STRENGTHENS
    else:
        effect = Effect.NEITHER  # twice the cases is more than some numbers and less than others
    yield _change("max_extra_calls", where, effect, what, before, after)


def _anchor(before: str | None, after: str | None) -> Iterator[RuleChange]:
    if before == after:
        return
    verb = (
        "set" if before is None else "taken away" if after is None else "changed: drops are measured from another run"
    )
    effect = Effect.STRENGTHENS if before is None else Effect.WEAKENS
    yield _change("anchor", "gate.anchor", effect, f"anchor {verb}", before, after)


def _removed(before: tuple[str, ...], after: tuple[str, ...]) -> Iterator[RuleChange]:
    where = "gate.removed_categories"
    for name in sorted(set(after) - set(before)):
        yield _change("removed_categories", where, Effect.WEAKENS, f"category {name} may vanish", None, name)
    for name in sorted(set(before) - set(after)):
        yield _change(
            "removed_categories", where, Effect.STRENGTHENS, f"category {name} may no longer vanish", name, None
        )


def _when(before: When, after: When) -> Iterator[RuleChange]:
    for name in When.__dataclass_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if old is not new:
            effect = Effect.WEAKENS if _RESPONSES[new] > _RESPONSES[old] else Effect.STRENGTHENS
            what = f"what becomes of a run that is {name.replace('_', ' ')}"
            yield _change("when", f"gate.when.{name}", effect, what, old.value, new.value)


# ---- exceptions -------------------------------------------------------------------------------------------


def exception_changes(before: Exceptions, after: Exceptions) -> list[RuleChange]:
    """What was altered in waivers and quarantine; owners and reasons decide nothing and are left out."""
    then = {waiver.category: waiver for waiver in before.waivers}
    now = {waiver.category: waiver for waiver in after.waivers}
    found = [_waiver(name, then.get(name), now.get(name)) for name in sorted(then.keys() | now.keys())]
    held = {case.case_id: case for case in before.quarantine}
    holds = {case.case_id: case for case in after.quarantine}
    found += [_quarantine(case_id, held, holds) for case_id in sorted(held.keys() | holds.keys())]
    return [change for change in found if change is not None]


def _waiver(category: str, before: Waiver | None, after: Waiver | None) -> RuleChange | None:
    name = EVERY_SUITE if category == EVERY_CASE else category
    if before is not None and after is not None:
        level, days = after.least - before.least, (after.expires - before.expires).days
        if abs(level) < 1e-9 and not days:
            return None
        is_more = level < -1e-9 or days > 0
    else:
        is_more = after is not None
    return _change(
        "waiver",
        f"waivers: {category}",
        Effect.WEAKENS if is_more else Effect.STRENGTHENS,
        f"drop of {name} {'accepted' if is_more else 'accepted no longer, or less of it'}",
        _covers(before),
        _covers(after),
    )


def _covers(waiver: Waiver | None) -> str | None:
    return None if waiver is None else f"down to {points(waiver.least)} % until {waiver.expires}"


def _quarantine(case_id: str, held: Mapping[str, Quarantined], holds: Mapping[str, Quarantined]) -> RuleChange | None:
    before, after = held.get(case_id), holds.get(case_id)
    if before is not None and after is not None:
        if (before.expires, before.judged_on) == (after.expires, after.judged_on):
            return None
        # Other runs may be such that it takes effect at all.
        is_more = after.expires > before.expires or before.judged_on != after.judged_on
    else:
        is_more = after is not None
    return RuleChange(
        kind="quarantine",
        where=f"quarantine: {case_id}",
        effect=Effect.WEAKENS if is_more else Effect.STRENGTHENS,
        sentence=f"case {'not judged' if is_more else 'judged again'}",
        before=None if before is None else f"until {before.expires}",
        after=None if after is None else f"until {after.expires}",
        cases=(case_id,),
    )
