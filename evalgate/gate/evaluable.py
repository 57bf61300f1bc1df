"""Can this run be judged at all, and compared with its baseline? Asked before any rule is."""

from __future__ import annotations

from evalgate.gate import critical, limits, sentences
from evalgate.gate.pool import mean
from evalgate.gate.rules import Rule, Rules
from evalgate.gate.sides import ROUNDING, Sides
from evalgate.records import EVERY_CASE, Run, Scored, Status


def could_not_evaluate(sides: Sides, rules: Rules) -> str | None:
    """Why this run says nothing on quality, in a sentence without a full stop; None: it can be judged."""
    candidate = sides.candidate
    if candidate.stopped is not None:
        return f"the run did not finish: {candidate.stopped}"
    if rules.error_rate is not None:
        errors = limits.error_rate(sides, rules.error_rate)
        if errors.status is Status.BREACH:
            return f"{errors.sentence}{_commonest_cause(candidate)}"
    if not sides.answered:
        return f"no case has a score{_commonest_cause(candidate)}"
    if sides.missing:
        lost = sentences.several(sides.missing, 3)
        return f"results are missing for {sentences.count(len(sides.missing), 'case')}: {lost}"
    unscored = [
        category
        for category in sides.categories
        if _is_judged(rules.of(category)) and not any(sides.after[i] for i in sides.members(category))
    ]
    critical_ones = _unproven_for_want_of_scores(sides, rules)
    if critical_ones:
        names = sentences.several(critical_ones)
        return f"{names}: critical, and too many results have no score to prove the floor{_commonest_cause(candidate)}"
    silent = sides.cases.names(i for i in sorted(sides.cases.critical) if not sides.after[i])
    if silent:
        return f"critical cases without a score: {sentences.several(silent)}{_commonest_cause(candidate)}"
    if unscored:
        return f"no case of {sentences.several(unscored)} has a score{_commonest_cause(candidate)}"
    return None


def _unproven_for_want_of_scores(sides: Sides, rules: Rules) -> list[str]:
    """Critical categories whose floor is not proven while results of theirs have no score: that is no failure."""
    found = []
    for category in sides.categories:
        rule, scored = rules.of(category), sides.scored(category)
        if not rule.critical or not rule.min or not scored or len(scored) == len(sides.members(category)):
            continue
        p = critical.proof_of_floor(sides, category, rule.min)
        is_above = mean([sides.means_after[i] for i in scored]) >= rule.min - ROUNDING
        if is_above and p is not None and p > rules.alpha:
            found.append(category)
    return found


def _is_judged(rule: Rule) -> bool:
    return rule.min is not None or rule.max_drop is not None


def _commonest_cause(candidate: Run) -> str:
    causes: dict[str, int] = {}
    for result in candidate.results:
        if not isinstance(result, Scored):
            causes[result.cause] = causes.get(result.cause, 0) + 1
    if not causes:
        return ""
    return f"; most often: {min(causes, key=lambda cause: (-causes[cause], cause))}"


def not_comparable(sides: Sides, rules: Rules) -> str | None:
    """Why too little of it can be compared with the baseline that there is; None: enough can."""
    if not sides.baseline_runs:
        return None
    if sides.answered and not sides.pairs(EVERY_CASE):
        if sides.pool.changed:
            return "no case is comparable with the baseline: every common case has other content or other scorers"
        if rules.overall.max_drop is not None or any(rules.of(c).max_drop is not None for c in sides.categories):
            return "no case is comparable with the baseline: the two have no scored case in common"
    for category in (EVERY_CASE, *sides.categories):
        changed, members = len(sides.changed(category)), len(sides.members(category))
        # Where many were taken out and as many added, the same cases may go by other ids.
        replaced = 0 if category in rules.removed_categories else sides.replaced(category)
        if rules.of(category).max_drop is not None and changed + replaced > members / 2:
            return (
                f"{sentences.named(category)} is not comparable with the baseline: {changed + replaced:,} of its "
                f"{sentences.count(members, 'case')} {_apart(changed, replaced)}"
            )
    return None


def _apart(changed: int, replaced: int) -> str:
    """Why so many cases cannot be compared."""
    have = "has" if changed + replaced == 1 else "have"
    edited = f"{have} other content or other scorers there"
    if not replaced:
        return edited
    taken = f"{'is' if replaced == 1 else 'are'} new, while as many were taken out"
    return f"{edited}, or {taken}" if changed else taken
