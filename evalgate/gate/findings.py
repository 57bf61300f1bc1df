"""What became of each rule: its numbers and its sentence. Decides rule by rule; the verdict is made of these."""

from __future__ import annotations

from dataclasses import replace

from evalgate.gate import critical, limits, sentences
from evalgate.gate.columns import Numbers
from evalgate.gate.confirm import Answer, Fresh
from evalgate.gate.family import Test, false_block_rate
from evalgate.gate.judgement import Judgement, exceeds
from evalgate.gate.pool import mean
from evalgate.gate.rules import Proof, Rule, Rules
from evalgate.gate.sides import ROUNDING, Sides
from evalgate.records import EVERY_CASE, Finding, Missing, Status
from evalgate.stats.interval import mean_interval


def findings(judged: Judgement, rules: Rules) -> list[Finding]:
    """One finding for each rule of each category, limits and critical cases included."""
    sides = judged.sides
    found = []
    for category in (EVERY_CASE, *sides.categories):
        rule = rules.of(category)
        if rule.min is not None:
            key = "min", category
            found.append(_floor(sides, rule, category, judged.tests.get(key), rules, judged.fresh.get(key)))
        if rule.max_drop is not None:
            key = "max_drop", category
            finding = _drop(sides, rule, category, judged.tests.get(key), rules, judged.fresh.get(key))
            found.append(replace(finding, detectable=judged.detectable.get(category)))
            found.extend(_against_anchor(judged, rule, category, rules))
    found.extend(_vanished(category, rules) for category in sides.vanished)
    found.extend(critical.findings(sides, rules))
    found.extend(limits.findings(sides, rules))
    return found


def _vanished(category: str, rules: Rules) -> Finding:
    rule = rules.of(category)
    return Finding(
        rule="min" if rule.max_drop is None and rule.min is not None else "max_drop",
        metric="score",
        category=category,
        status=Status.MISSING,
        sentence=sentences.vanished(category),
        limit=rule.min if rule.max_drop is None else rule.max_drop,
    )


# ---- floors -----------------------------------------------------------------------------------------------


def _floor(sides: Sides, rule: Rule, category: str, test: Test | None, rules: Rules, fresh: Fresh | None) -> Finding:
    members, scored = _judged(sides, category), sides.scored(category)
    least = rule.min or 0.0
    bare = Finding(
        rule="min", metric="score", category=category, status=Status.MISSING, n=len(members), limit=rule.min,
        sentence=sentences.nothing_scored(category, len(members)),
    )  # fmt: skip
    if not scored:
        return _unjudged(bare, sides, is_critical=rule.critical)
    score = mean([sides.means_after[i] for i in scored])
    if rule.critical and least > 0:
        return _proven_floor(sides, replace(bare, after=score), category, least, rules.alpha)
    is_below = score < least - ROUNDING
    if test is None and rule.proof is not Proof.LITERAL and least > 0:
        return replace(bare, status=Status.INCONCLUSIVE, after=score, sentence=sentences.untested(category))
    if test is None:
        breached, could, adjusted = is_below, least > 0, None
    else:
        breached, could, adjusted = is_below and test.p_adjusted <= rules.alpha, test.could_breach, test.p_adjusted
    text = sentences.floor(category, score, least, adjusted, breached=breached, could_breach=could)
    finding = replace(
        bare,
        status=_status(breached, could),
        after=score,
        p=None if test is None else test.p,
        p_adjusted=adjusted,
        sentence=text,
    )
    return _after_fresh_calls(finding, fresh) if breached else finding


def _proven_floor(sides: Sides, finding: Finding, category: str, least: float, alpha: float) -> Finding:
    """A critical floor: not being below it has to be proven, at alpha of its own. It is no part of the budget, since
    an error here is a pass."""
    p = critical.proof_of_floor(sides, category, least)
    is_proven = p is not None and p <= alpha
    return replace(
        finding,
        status=Status.PASS if is_proven else Status.BREACH,
        p=p,
        p_adjusted=None,
        sentence=sentences.critical_floor(category, finding.after or 0.0, least, p, is_proven=is_proven),
    )


# ---- drops ------------------------------------------------------------------------------------------------


def _drop(sides: Sides, rule: Rule, category: str, test: Test | None, rules: Rules, fresh: Fresh | None) -> Finding:
    members, scored, pairs = _judged(sides, category), sides.scored(category), sides.pairs(category)
    allowed = rule.max_drop or 0.0
    bare = Finding(
        rule="max_drop", metric="score", category=category, status=Status.MISSING, n=len(members), n_pairs=len(pairs),
        limit=rule.max_drop, sentence=sentences.nothing_scored(category, len(members)),
    )  # fmt: skip
    if not scored:
        return _unjudged(bare, sides)
    if not pairs:
        text = sentences.no_pairs(
            category, has_baseline=bool(sides.baseline_runs), changed=len(sides.changed(category))
        )
        return replace(
            bare, status=Status.INCONCLUSIVE, after=mean([sides.means_after[i] for i in scored]), sentence=text
        )
    before, after = (mean([means[i] for i in pairs]) for means in (sides.means_before, sides.means_after))
    ci = _possible(mean_interval(sides.differences(pairs)), before)
    could_exceed = before > allowed + ROUNDING
    beyond = exceeds(sides, ("max_drop", category), rules)
    if test is None and rule.proof is not Proof.LITERAL:
        moved = replace(bare, before=before, after=after, delta=after - before)
        return replace(moved, status=Status.INCONCLUSIVE, sentence=sentences.untested(category))
    if test is None:
        breached, could = beyond, could_exceed
        false_blocks = false_block_rate(sides.samples(pairs), allowed)
        text = sentences.literal_drop(category, after - before, allowed, false_blocks)
    else:
        breached, could = beyond and test.p_adjusted <= rules.alpha, could_exceed and test.could_breach
        text = sentences.drop(
            category, before, after - before, ci, test.p_adjusted, allowed,
            breached=breached, could_breach=could, cases=len(pairs), runs=len(sides.baseline_runs),
        )  # fmt: skip
    finding = replace(
        bare,
        status=_status(breached, could),
        before=before,
        after=after,
        delta=after - before,
        ci=ci,
        p=None if test is None else test.p,
        p_adjusted=None if test is None else test.p_adjusted,
        sentence=text,
    )
    return _after_fresh_calls(finding, fresh) if breached else finding


def _against_anchor(judged: Judgement, rule: Rule, category: str, rules: Rules) -> list[Finding]:
    """The same drop measured from the anchor, which does not move with the baseline."""
    if judged.anchor_sides is not None:
        test = judged.anchor_tests.get(("max_drop", category))
        # What the day has done to the baseline's own requests, it has done to this run: no blame here either.
        fresh = judged.fresh.get(("max_drop", category))
        excuse = fresh if fresh is not None and fresh.answer is Answer.DRIFT else None
        finding = _drop(judged.anchor_sides, rule, category, test, rules, excuse)
        return [replace(finding, against="anchor", sentence=f"against the anchor, {finding.sentence}")]
    if isinstance(judged.anchor, Missing):
        finding = Finding(
            rule="max_drop", metric="score", category=category, status=Status.INFO, gating=False, against="anchor",
            n=len(judged.sides.members(category)), limit=rule.max_drop,
            sentence=f"{sentences.named(category)}: not held against the anchor: {judged.anchor.reason}",
        )  # fmt: skip
        return [finding]
    return []


def _possible(ci: tuple[float, float] | None, before: float) -> tuple[float, float] | None:
    """The interval without what no score could reach: nothing falls below 0 or rises above 1."""
    return None if ci is None else (max(ci[0], -before), min(ci[1], 1 - before))


def _judged(sides: Sides, category: str) -> Numbers:
    """A category's cases without those in quarantine."""
    members = sides.members(category)
    return [i for i in members if i not in sides.apart] if sides.apart else members


# ---- shared -----------------------------------------------------------------------------------------------


def _unjudged(finding: Finding, sides: Sides, *, is_critical: bool = False) -> Finding:
    """A category none of whose cases is judged: without any score, or all of them in quarantine."""
    answered = [i for i in sides.members(finding.category) if sides.after[i]]
    if not answered:
        return finding
    # A critical floor has the burden reversed: what is not judged is not proven.
    status = Status.BREACH if is_critical else Status.INCONCLUSIVE
    return replace(finding, status=status, sentence=sentences.in_quarantine(finding.category, len(answered)))


def _after_fresh_calls(finding: Finding, fresh: Fresh | None) -> Finding:
    """A breach after what fresh calls of both sides say of it."""
    if fresh is None:
        return finding
    status = {Answer.NOT_CONFIRMED: Status.PASS, Answer.DRIFT: Status.DRIFT}.get(fresh.answer, Status.BREACH)
    return replace(finding, status=status, sentence=finding.sentence + sentences.fresh_calls(fresh))


def _status(breached: bool, could_breach: bool) -> Status:
    if breached:
        return Status.BREACH
    return Status.PASS if could_breach else Status.INCONCLUSIVE
