"""From two sides and rules to a verdict. Pure: no file, clock, network, environment or store.

Order matters once: what could not be evaluated is never a statement on quality, so `error` and `not_comparable` come
before `fail`, and what is not proven never becomes `pass`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from evalgate.gate import limits, sentences
from evalgate.gate.family import Test, false_block_rate, run_tests
from evalgate.gate.rules import Proof, Response, Rule, Rules
from evalgate.gate.sides import PARTIAL_COVERAGE, Sides, is_partial, mean, summaries, take_sides
from evalgate.records import (
    EVERY_CASE,
    Baseline,
    BaselineSummary,
    CaseLists,
    CategorySummary,
    Finding,
    Missing,
    Nearest,
    Run,
    Scored,
    Status,
    Usage,
    Verdict,
    VerdictName,
)
from evalgate.stats.interval import mean_interval

Tests = Mapping[tuple[str, str], Test]

ROUNDING = 1e-12
"""What a mean of decimal fractions may be off: a drop of exactly what is allowed is allowed."""


def decide(candidate: Run, baseline: Baseline, rules: Rules, *, now: datetime | None = None) -> Verdict:
    """The gate's answer on this run against this baseline.

    now: for the baseline's age; None leaves it unknown. The same input in any order of results gives the same verdict.
    """
    sides = take_sides(candidate, baseline, rules)
    tests = run_tests(sides, rules)
    found = _findings(sides, rules, tests)
    name, reason = _verdict(sides, baseline, rules, found)
    return Verdict(
        verdict=name,
        exit_code=exit_code(name, rules),
        reason=reason,
        findings=tuple(sorted(found, key=lambda finding: (finding.category, finding.rule))),
        categories=summaries(sides, rules),
        cases=sides.lists,
        usage=candidate.usage,
        baseline=_summary(baseline, now),
        suite=candidate.suite,
        run_id=candidate.id,
        run_version=candidate.version.id,
        run_commit=candidate.commit,
        run_created=candidate.created,
        selection=candidate.selection,
        alpha=rules.alpha,
        notes=tuple(_notes(sides, rules)),
    )


def without_results(name: VerdictName, reason: str, rules: Rules, *, suite: str | None) -> Verdict:
    """The verdict where nothing could be run or read: `not_evaluated` for want of credentials, or `error`."""
    return Verdict(
        verdict=name,
        exit_code=exit_code(name, rules),
        reason=reason,
        findings=(),
        categories={EVERY_CASE: CategorySummary(n=0, passed=0, unscored=0, score=None, before=None)},
        cases=CaseLists(),
        usage=Usage(),
        baseline=BaselineSummary(kind="missing", why="nothing was run, so nothing was compared"),
        suite=suite,
        alpha=rules.alpha,
    )


def exit_code(name: VerdictName, rules: Rules) -> int:
    """0 passed, 1 the gate failed, 3 could not be evaluated; what proves nothing is as `when` says."""
    if name in (VerdictName.PASS, VerdictName.FAIL, VerdictName.ERROR):
        return {VerdictName.PASS: 0, VerdictName.FAIL: 1, VerdictName.ERROR: 3}[name]
    response: Response = getattr(rules.when, name.value)
    return 3 if response is Response.STOP else 0


# ---- findings ---------------------------------------------------------------------------------------------


def _findings(sides: Sides, rules: Rules, tests: Tests) -> list[Finding]:
    found = []
    for category in (EVERY_CASE, *sides.categories):
        rule = rules.of(category)
        if rule.min is not None:
            found.append(_floor(sides, rule, category, tests.get(("min", category)), rules.alpha))
        if rule.max_drop is not None:
            found.append(_drop(sides, rule, category, tests.get(("max_drop", category)), rules.alpha))
    found.extend(_vanished(category, rules) for category in sides.vanished)
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


def _floor(sides: Sides, rule: Rule, category: str, test: Test | None, alpha: float) -> Finding:
    members, scored = sides.members(category), sides.scored(category)
    least = rule.min or 0.0
    bare = Finding(
        rule="min", metric="score", category=category, status=Status.MISSING, n=len(members), limit=rule.min,
        sentence=sentences.nothing_scored(category, len(members)),
    )  # fmt: skip
    if not scored:
        return bare
    score = mean([sides.means_after[case_id] for case_id in scored])
    is_below = score < least - ROUNDING
    if test is None:
        breached, could, adjusted = is_below, least > 0, None
    else:
        breached, could, adjusted = is_below and test.p_adjusted <= alpha, test.could_breach, test.p_adjusted
    return replace(
        bare,
        status=_status(breached, could),
        after=score,
        p=None if test is None else test.p,
        p_adjusted=adjusted,
        sentence=sentences.floor(category, score, least, adjusted, breached=breached, could_breach=could),
    )


def _drop(sides: Sides, rule: Rule, category: str, test: Test | None, alpha: float) -> Finding:
    members, scored, pairs = sides.members(category), sides.scored(category), sides.pairs(category)
    allowed = rule.max_drop or 0.0
    bare = Finding(
        rule="max_drop", metric="score", category=category, status=Status.MISSING, n=len(members), n_pairs=len(pairs),
        limit=rule.max_drop, sentence=sentences.nothing_scored(category, len(members)),
    )  # fmt: skip
    if not scored:
        return bare
    if not pairs:
        text = sentences.no_pairs(
            category, has_baseline=bool(sides.baseline_runs), changed=len(sides.changed(category))
        )
        return replace(
            bare, status=Status.INCONCLUSIVE, after=mean([sides.means_after[i] for i in scored]), sentence=text
        )
    before, after = (mean([means[i] for i in pairs]) for means in (sides.means_before, sides.means_after))
    ci = mean_interval([sides.means_after[i] - sides.means_before[i] for i in pairs])
    delta = after - before
    exceeds, could_exceed = -delta > allowed + ROUNDING, before > allowed + ROUNDING
    if test is None:
        breached, could = exceeds, could_exceed
        text = sentences.literal_drop(category, delta, allowed, false_block_rate(sides.samples(pairs), allowed))
    else:
        breached, could = exceeds and test.p_adjusted <= alpha, could_exceed and test.could_breach
        text = sentences.drop(
            category, before, delta, ci, test.p_adjusted, allowed,
            breached=breached, could_breach=could, cases=len(pairs), runs=len(sides.baseline_runs),
        )  # fmt: skip
    return replace(
        bare,
        status=_status(breached, could),
        before=before,
        after=after,
        delta=delta,
        ci=ci,
        p=None if test is None else test.p,
        p_adjusted=None if test is None else test.p_adjusted,
        sentence=text,
    )


def _status(breached: bool, could_breach: bool) -> Status:
    if breached:
        return Status.BREACH
    return Status.PASS if could_breach else Status.INCONCLUSIVE


# ---- the verdict ------------------------------------------------------------------------------------------


def _verdict(sides: Sides, baseline: Baseline, rules: Rules, found: Sequence[Finding]) -> tuple[VerdictName, str]:
    """The first name that applies, with the sentence that says why."""
    quality = [finding for finding in found if finding.rule != "error_rate" and finding.gating]
    checks = (
        (VerdictName.ERROR, _could_not_evaluate(sides, found)),
        (VerdictName.NOT_COMPARABLE, _not_comparable(sides, rules)),
        (VerdictName.FAIL, _failure(quality, sides)),
        (VerdictName.NO_BASELINE, _without_baseline(sides, baseline, rules, quality)),
        (VerdictName.INCONCLUSIVE, _inconclusive(quality)),
    )
    for name, reason in checks:
        if reason is not None:
            return name, reason
    return VerdictName.PASS, _pass(sides, quality)


def _could_not_evaluate(sides: Sides, found: Sequence[Finding]) -> str | None:
    candidate = sides.candidate
    if candidate.stopped is not None:
        return f"the run did not finish: {candidate.stopped}"
    for finding in found:
        if finding.rule == "error_rate" and finding.status is Status.BREACH:
            return f"{finding.sentence}{_commonest_cause(candidate)}"
    if not sides.after:
        return f"no case has a score{_commonest_cause(candidate)}"
    if sides.lists.missing:
        lost = sentences.several(sides.lists.missing, 3)
        return f"results are missing for {sentences.count(len(sides.lists.missing), 'case')}: {lost}"
    unscored = [category for category in sides.categories if _is_judged(found, category) and not sides.scored(category)]
    if unscored:
        return f"no case of {sentences.several(unscored)} has a score{_commonest_cause(candidate)}"
    return None


def _is_judged(found: Sequence[Finding], category: str) -> bool:
    """Whether any rule judges this category."""
    return any(finding.category == category for finding in found)


def _commonest_cause(candidate: Run) -> str:
    causes: dict[str, int] = {}
    for result in candidate.results:
        if not isinstance(result, Scored):
            causes[result.cause] = causes.get(result.cause, 0) + 1
    if not causes:
        return ""
    return f"; most often: {min(causes, key=lambda cause: (-causes[cause], cause))}"


def _not_comparable(sides: Sides, rules: Rules) -> str | None:
    if not sides.baseline_runs:
        return None
    if sides.after and not sides.pairs(EVERY_CASE):
        if sides.lists.changed:
            return "no case is comparable with the baseline: every common case has other content or other scorers"
        if rules.overall.max_drop is not None or any(rules.of(c).max_drop is not None for c in sides.categories):
            return "no case is comparable with the baseline: the two have no scored case in common"
    for category in (EVERY_CASE, *sides.categories):
        changed, members = len(sides.changed(category)), len(sides.members(category))
        if rules.of(category).max_drop is not None and changed > members / 2:
            return (
                f"{sentences.named(category)} is not comparable with the baseline: {changed:,} of its "
                f"{sentences.count(members, 'case')} {'has' if changed == 1 else 'have'} other content or other "
                "scorers there"
            )
    return None


def _failure(quality: Sequence[Finding], sides: Sides) -> str | None:
    """What breached or vanished: the category that fell most, else the suite, and the names of the others."""
    breaches = [finding for finding in quality if finding.status is Status.BREACH]
    gone = [finding for finding in quality if finding.status is Status.MISSING and finding.category in sides.vanished]
    if not breaches and not gone:
        return None
    named = [finding for finding in breaches if finding.category != EVERY_CASE]
    first = min(named or breaches or gone, key=_weight)
    others = {_culprit(finding) for finding in (*breaches, *gone)} - {_culprit(first)}
    if named:
        others -= {sentences.named(EVERY_CASE)}  # it fell because they did
    text = first.sentence
    if first.category == EVERY_CASE and first.rule == "max_drop" and any(_is_of_category(f) for f in quality):
        text += "; no category alone is proven to have fallen"
    return text + (f"; also failing: {sentences.several(sorted(others))}" if others else "")


def _culprit(finding: Finding) -> str:
    return sentences.named(finding.category) if finding.metric == "score" else finding.metric


def _is_of_category(finding: Finding) -> bool:
    """Whether it judges the drop of one category, and could."""
    return finding.rule == "max_drop" and finding.category != EVERY_CASE and finding.status is not Status.MISSING


def _weight(finding: Finding) -> tuple[float, float, str, str]:
    """The largest drop first, then the surest."""
    surest = finding.p_adjusted if finding.p_adjusted is not None else 1.0
    return finding.delta or 0.0, surest, finding.category, finding.rule


def _without_baseline(sides: Sides, baseline: Baseline, rules: Rules, quality: Sequence[Finding]) -> str | None:
    compares = [finding for finding in quality if finding.rule == "max_drop"]
    rises = [limit.metric for limit in rules.limits if limit.max_rise is not None]
    if isinstance(baseline, Missing):
        if not compares and not rises:
            return None
        return f"no baseline, so drops were not judged: {baseline.reason}"
    partial = [run for run in sides.baseline_runs if is_partial(run)]
    if compares and partial:
        why = partial[0].selection or partial[0].stopped
        return f"the baseline is partial: run {partial[0].id or 'given'} has only a part of its eval set ({why})"
    uncovered, scored = len(sides.uncovered), len(sides.after)
    if compares and uncovered > (1 - PARTIAL_COVERAGE) * scored + 1e-9:
        return (
            f"the baseline is partial: it has scores for {scored - uncovered:,} of "
            f"{sentences.count(scored, 'case')}, the rest could not be compared"
        )
    bare = [sentences.named(f.category) for f in compares if _is_bare(sides, f.category)]
    if bare:
        return f"no baseline for {sentences.several(bare)}; everything else was judged and nothing failed"
    if any(finding.rule in rises and finding.before is None for finding in quality):
        return f"no baseline for {sentences.several(rises)}: the baseline's runs do not tell it"
    return None


def _is_bare(sides: Sides, category: str) -> bool:
    """Whether over half of a category's scored cases have no baseline, though nothing says that they are new."""
    scored, uncovered = sides.scored(category), set(sides.uncovered)
    return 2 * sum(case_id in uncovered for case_id in scored) > len(scored)


def _inconclusive(quality: Sequence[Finding]) -> str | None:
    if any(finding.status in (Status.PASS, Status.BREACH) for finding in quality):
        return None
    if not quality:
        return "no rule is switched on, so nothing was judged"
    if all(finding.status is Status.MISSING for finding in quality):
        return quality[0].sentence
    return "too few cases or baseline runs: no rule of this gate could have failed, whatever the results"


def _pass(sides: Sides, quality: Sequence[Finding]) -> str:
    cases, categories = len(sides.after), len(sides.categories)
    size = f"{sentences.count(cases, 'case')} in {categories} categor{'y' if categories == 1 else 'ies'}"
    against = f" against {sentences.count(len(sides.baseline_runs), 'baseline run')}" if sides.baseline_runs else ""
    mute = [f for f in quality if f.status is Status.INCONCLUSIVE and f.category != EVERY_CASE]
    new = sorted({f.category for f in mute if f.n_pairs == 0})
    weak = sorted({f.category for f in mute} - set(new))
    unknown = [f.rule for f in quality if f.status is Status.MISSING]
    rest = [
        f"; {what}: {sentences.several(names)}"
        for what, names in (
            ("not judged, since not every call tells it", unknown),
            ("new and not compared", new),
            ("too small to fail on their own", weak),
        )
        if names
    ]
    return f"nothing is proven to be worse than allowed: {size}{against}{''.join(rest)}"


# ---- what goes with it ------------------------------------------------------------------------------------


def _summary(baseline: Baseline, now: datetime | None) -> BaselineSummary:
    if isinstance(baseline, Missing):
        return BaselineSummary(kind="missing", why=baseline.reason)
    first = baseline.runs[0] if baseline.runs else None
    age = (now - first.created).total_seconds() if now is not None and first is not None else None
    return BaselineSummary(
        kind="nearest" if isinstance(baseline, Nearest) else "pinned",
        why=baseline.why,
        ids=tuple(run.id for run in baseline.runs),
        commit=first.commit if first is not None else None,
        behind=baseline.behind if isinstance(baseline, Nearest) else None,
        age_s=age,
    )


def _notes(sides: Sides, rules: Rules) -> list[str]:
    told = sides.candidate.metadata.get("notes")
    nearest = sides.baseline_runs[0] if sides.baseline_runs else None
    notes = [str(note) for note in told] if isinstance(told, list) else []
    if nearest is not None and nearest.metadata.get("modified") is True:
        notes.append("The baseline was run with changes that were not committed.")
    if sides.candidate.selection is not None:
        notes.append(
            f"Partial run ({sides.candidate.selection}): the other cases were not judged, "
            "and it never becomes a baseline."
        )
    critical = sorted(name for name in rules.categories if rules.categories[name].critical)
    if critical:
        notes.append(
            f"`critical` is not yet enforced ({sentences.several(critical)}): its floor is judged like any other."
        )
    cases = [ref.id for ref in sides.refs.values() if ref.critical]
    if cases:
        notes.append(f"`critical` cases are judged like any other for now: {sentences.several(cases)}.")
    literal = [name for name in (*sides.categories, EVERY_CASE) if rules.of(name).proof is Proof.LITERAL]
    if literal:
        notes.append("Rules with `proof: literal` compare two numbers; noise alone can fail them.")
    unscored = [category for category in sides.categories if _is_mostly_unscored(sides, category)]
    if unscored:
        notes.append(
            f"Most cases of {sentences.several(unscored)} have no score: errors are no failures, and what is left "
            "says little of the category."
        )
    if sides.lists.changed:
        notes.append(
            f"{sentences.count(len(sides.lists.changed), 'case')} with other content or scorers than in the baseline "
            "were not compared."
        )
    return notes


def _is_mostly_unscored(sides: Sides, category: str) -> bool:
    return 2 * len(sides.scored(category)) < len(sides.members(category))
