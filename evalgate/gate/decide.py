"""From two sides and rules to a verdict. Pure: no file, clock, network, environment or store.

Order matters once: what could not be evaluated is never a statement on quality, so `error` and `not_comparable` come
before `fail`, and what is not proven never becomes `pass`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from evalgate.gate import confirm, exceptions, sentences
from evalgate.gate.confirm import Answer
from evalgate.gate.evaluable import could_not_evaluate, not_comparable
from evalgate.gate.findings import findings
from evalgate.gate.judgement import Judgement, falls_without, judge
from evalgate.gate.rules import Proof, Response, Rules
from evalgate.gate.sides import PARTIAL_COVERAGE, ROUNDING, Sides, is_partial, summaries
from evalgate.records import (
    EVERY_CASE,
    Baseline,
    BaselineSummary,
    CaseLists,
    CategorySummary,
    Exceptions,
    Failed,
    Finding,
    Missing,
    Nearest,
    Run,
    Status,
    Usage,
    Verdict,
    VerdictName,
)

DAY_S = 86_400.0


def decide(
    candidate: Run,
    baseline: Baseline,
    rules: Rules,
    *,
    anchor: Baseline | None = None,
    exempt: Exceptions | None = None,
    now: datetime | None = None,
) -> Verdict:
    """The gate's answer on this run against this baseline.

    anchor: what every drop rule is held against as well, where the rules name one. exempt: waivers and quarantine.
    now: for the baseline's age and for what expires; None leaves the age unknown, and exceptions hold as of the run's
    own day. The same input in any order of results gives the same verdict.
    """
    today = (now or candidate.created).astimezone(UTC).date()
    judged = judge(candidate, baseline, rules, anchor=anchor, exempt=exempt or Exceptions(), today=today)
    sides = judged.sides
    found = settled(judged, rules, today)
    found = sorted(found, key=lambda finding: (finding.category, finding.rule, finding.against != "baseline"))
    summary = summary_of(baseline, now)
    lacking = _without_baseline(judged, baseline, rules, _judging(found))
    stale = _stale(baseline, rules, _judging(found), summary)
    summary = replace(summary, is_stale=stale is not None and lacking is None)
    name, reason = _verdict(judged, rules, found, lacking, stale)
    drifts = confirm.events(candidate, judged.fresh, {f_key(f): f.sentence for f in found if f.against == "baseline"})
    return Verdict(
        verdict=name,
        exit_code=_exit_code(name, rules, lacking, stale, has_drifted=bool(drifts)),
        reason=reason,
        findings=tuple(found),
        categories=summaries(sides, rules),
        cases=sides.lists,
        usage=candidate.usage,
        baseline=summary,
        suite=candidate.suite,
        run_id=candidate.id,
        run_version=candidate.version.id,
        run_commit=candidate.commit,
        run_created=candidate.created,
        selection=candidate.selection,
        alpha=rules.alpha,
        notes=(*_notes(judged, rules), *exceptions.notes(judged.exempt, today, found), *judged.not_quarantined),
        drift=drifts,
    )


def settled(judged: Judgement, rules: Rules, today: date) -> list[Finding]:
    """Every finding, with what waivers accept of them."""
    return _suite_excused(
        judged, rules, exceptions.apply_waivers(findings(judged, rules), judged.exempt.waivers, today)
    )


def _suite_excused(judged: Judgement, rules: Rules, found: Sequence[Finding]) -> list[Finding]:
    """The findings, the suite's drop no longer gating where it is that of waived categories and of nothing else."""
    waived = {f.category for f in found if not f.gating and f.status is Status.BREACH and f.category != EVERY_CASE}
    names = sentences.several(sorted(waived))
    result = []
    for finding in found:
        is_anchored = finding.against == "anchor"
        sides = judged.anchor_sides if is_anchored else judged.sides
        test = (judged.anchor_tests if is_anchored else judged.tests).get(f_key(finding))
        is_suite = f_key(finding) == ("max_drop", EVERY_CASE) and finding.status is Status.BREACH and finding.gating
        if (
            waived
            and is_suite
            and sides is not None
            and test is not None
            and not falls_without(sides, test, rules, waived)
        ):
            text = f"{finding.sentence}; that is what is waived ({names}): without it no drop is proven"
            finding = replace(finding, gating=False, sentence=text)
        result.append(finding)
    return result


def f_key(finding: Finding) -> tuple[str, str]:
    return finding.rule, finding.category


def _exit_code(name: VerdictName, rules: Rules, lacking: str | None, stale: str | None, *, has_drifted: bool) -> int:
    """As `exit_code`; a stale baseline and drift have answers of their own under `when`."""
    if name is VerdictName.NO_BASELINE and stale is not None:
        is_stopped = rules.when.stale is Response.STOP or (lacking is not None and exit_code(name, rules) == 3)
        return 3 if is_stopped else 0
    if name is not VerdictName.FAIL and has_drifted and rules.when.drift is Response.STOP:
        return 3
    return exit_code(name, rules)


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


# ---- the verdict ------------------------------------------------------------------------------------------


def _judging(found: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.rule != "error_rate"]


def _verdict(
    judged: Judgement, rules: Rules, found: Sequence[Finding], lacking: str | None, stale: str | None
) -> tuple[VerdictName, str]:
    """The first name that applies, with the sentence that says why; drift and what was not confirmed are named too.

    lacking, stale: why drops could not be judged, or not by a baseline of today.
    """
    sides = judged.sides
    judging = _judging(found)
    quality = [finding for finding in judging if finding.gating]
    # What has changed is not comparable: where only that was run, this is how it should be, and floors are judged.
    is_of_changes = sides.candidate.metadata.get("changed_since") is not None
    apart = not_comparable(sides, rules)
    checks = (
        (VerdictName.ERROR, could_not_evaluate(sides, rules)),
        (VerdictName.NOT_COMPARABLE, None if is_of_changes else apart),
        (VerdictName.FAIL, _failure(quality, sides)),
        (VerdictName.NO_BASELINE, lacking or (stale and f"{stale}; nothing is proven to be worse than it")),
        (VerdictName.INCONCLUSIVE, apart if is_of_changes and apart else _inconclusive(judging)),
    )
    for name, reason in checks:
        if reason is not None:
            # What could not be evaluated says nothing of drift either.
            too = f"; {stale}" if stale is not None and stale not in reason else ""
            return name, reason if name is VerdictName.ERROR else reason + _asides(judged, found) + too
    return VerdictName.PASS, _pass(sides, quality) + _asides(judged, found)


def _asides(judged: Judgement, found: Sequence[Finding]) -> str:
    """What the first line names whatever the verdict: drift, drops that were not confirmed, and waived ones."""
    drifted = [finding.category for finding in found if finding.status is Status.DRIFT]
    doubts = {category for (_, category), fresh in judged.fresh.items() if fresh.answer is Answer.NOT_CONFIRMED}
    waived = {finding.category for finding in found if not finding.gating and finding.status is Status.BREACH}
    text = ""
    if drifted:
        text += f"; UPSTREAM DRIFT, not this change: {_names(drifted)} fell with the baseline's own requests too"
    if doubts:
        text += f"; seemed to fall, and fresh calls did not confirm it: {_names(doubts)}"
    if waived:
        text += f"; waived: {_names(waived)}"
    apart = judged.sides.apart
    if apart:
        text += f"; in quarantine and not judged: {sentences.count(len(apart), 'case')}"
    return text


def _names(categories: Iterable[str]) -> str:
    return sentences.several([sentences.named(category) for category in sorted(categories)])


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


def _without_baseline(judged: Judgement, baseline: Baseline, rules: Rules, quality: Sequence[Finding]) -> str | None:
    sides = judged.sides
    compares = [finding for finding in quality if finding.rule == "max_drop"]
    rises = [limit.metric for limit in rules.limits if limit.max_rise is not None]
    if isinstance(baseline, Missing):
        if not compares and not rises:
            return None
        return f"no baseline, so drops were not judged: {baseline.reason}"
    if compares and isinstance(judged.anchor, Missing):
        return f"no anchor, so drops were not held against it: {judged.anchor.reason}"
    partial = [run for run in sides.baseline_runs if is_partial(run)]
    if compares and partial:
        why = partial[0].selection or partial[0].stopped
        return f"the baseline is partial: run {partial[0].id or 'given'} has only a part of its eval set ({why})"
    uncovered, scored = len(sides.uncovered), len(sides.answered)
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
    scored, uncovered = sides.scored(category), sides.uncovered
    return 2 * sum(i in uncovered for i in scored) > len(scored)


def _inconclusive(quality: Sequence[Finding]) -> str | None:
    flips = sorted({f.category for f in quality if f.rule == "critical" and f.status is Status.INCONCLUSIVE})
    if flips:
        return f"CRITICAL cases may have flipped, and repeats are needed to tell: {sentences.several(flips)}"
    if any(finding.status in (Status.PASS, Status.BREACH, Status.DRIFT) for finding in quality):
        return None
    if not quality:
        return "no rule is switched on, so nothing was judged"
    if all(finding.status is Status.MISSING for finding in quality):
        return quality[0].sentence
    drops = [f for f in quality if f.rule == "max_drop" and f.before is not None and f.limit is not None]
    if drops and all((f.before or 0.0) <= (f.limit or 0.0) + ROUNDING for f in drops):
        return "no score stood high enough to fall by more than is allowed: no rule of this gate could have failed"
    return "too few cases or baseline runs: no rule of this gate could have failed, whatever the results"


def _pass(sides: Sides, quality: Sequence[Finding]) -> str:
    cases, categories = len(sides.answered), len(sides.categories)
    size = f"{sentences.count(cases, 'case')} in {categories} categor{'y' if categories == 1 else 'ies'}"
    against = f" against {sentences.count(len(sides.baseline_runs), 'baseline run')}" if sides.baseline_runs else ""
    mute = [f for f in quality if f.status is Status.INCONCLUSIVE and f.category != EVERY_CASE]
    apart = sorted({f.category for f in mute if not sides.scored(f.category)})
    new = sorted({f.category for f in mute if f.n_pairs == 0} - set(apart))
    weak = sorted({f.category for f in mute} - set(new) - set(apart))
    unknown = [f.rule for f in quality if f.status is Status.MISSING]
    rest = [
        f"; {what}: {sentences.several(names)}"
        for what, names in (
            ("not judged, since not every call tells it", unknown),
            ("in quarantine as a whole", apart),
            ("new and not compared", new),
            ("too small to fail on their own", weak),
        )
        if names
    ]
    return f"nothing is proven to be worse than allowed: {size}{against}{''.join(rest)}"


def _stale(baseline: Baseline, rules: Rules, quality: Sequence[Finding], summary: BaselineSummary) -> str | None:
    """That what is compared with is too old to prove anything by; None: it is not, or nothing is compared."""
    rises = [limit.metric for limit in rules.limits if limit.max_rise is not None]
    compares = rises or any(finding.rule in ("max_drop", "critical") for finding in quality)
    if isinstance(baseline, Missing) or not compares or not is_stale(summary.age_s, rules.max_baseline_age_days):
        return None
    days = (summary.age_s or 0.0) / DAY_S
    if days < 0:
        return f"the baseline is dated {-days:.0f} days in the future, so nobody knows how old it is"
    return f"the baseline is stale: {days:.0f} days old, allowed {rules.max_baseline_age_days:g}"


def is_stale(age_s: float | None, allowed_days: float | None) -> bool:
    """Whether a baseline of this age is older than allowed, or dated more than a day ahead: then nobody knows its age.

    age_s: seconds; None: not asked for. allowed_days: None: any age is allowed.
    """
    return allowed_days is not None and age_s is not None and (age_s > allowed_days * DAY_S or age_s < -DAY_S)


# ---- what goes with it ------------------------------------------------------------------------------------


def summary_of(baseline: Baseline, now: datetime | None) -> BaselineSummary:
    """Which runs those are, and how old the first of them is now."""
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


def _notes(judged: Judgement, rules: Rules) -> list[str]:
    sides = judged.sides
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
    notes.extend(_repeat_notes(judged))
    literal = [name for name in (*sides.categories, EVERY_CASE) if rules.of(name).proof is Proof.LITERAL]
    if literal:
        notes.append("Rules with `proof: literal` compare two numbers; noise alone can fail them.")
    unscored = [category for category in sides.categories if _is_mostly_unscored(sides, category)]
    if unscored:
        notes.append(
            f"Most cases of {sentences.several(unscored)} have no score: errors are no failures, and what is left "
            "says little of the category."
        )
    if changed := len(sides.lists.changed):
        notes.append(
            f"{sentences.count(changed, 'case')} with other content or scorers than in the baseline "
            f"{'was' if changed == 1 else 'were'} not compared."
        )
    return notes


def _repeat_notes(judged: Judgement) -> list[str]:
    run = judged.sides.candidate
    notes = []
    if len(run.steps) > 1:
        notes.append(sentences.repeats([(step.epochs, step.categories) for step in run.steps[1:]]))
        if len(judged.looks) != len(run.steps):
            notes.append("It was repeated for another comparison: here all of it is looked at once.")
    if run.confirmation is not None and judged.fresh:
        fresh = run.confirmation
        cases = len({result.case_id for result in fresh.after})
        notes.append(sentences.called_anew(fresh.epochs, cases, fresh.how, both=bool(fresh.before)))
        for side, results in (("this change", fresh.after), ("the baseline", fresh.before)):
            failed = [result.cause for result in results if isinstance(result, Failed)]
            if failed:
                cause = max(sorted(set(failed)), key=failed.count)
                notes.append(sentences.fresh_failures(side, len(failed), len(results), cause))
    return notes


def _is_mostly_unscored(sides: Sides, category: str) -> bool:
    members = sides.members(category)
    return 2 * sum(bool(sides.after[i]) for i in members) < len(members)
