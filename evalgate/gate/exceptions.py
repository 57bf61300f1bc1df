"""Waivers and quarantine: what a reviewed file takes out of the gate's reach, and the sentences that show it.

A waiver names a level, not a distance: `from` less `drop`. It follows neither the baseline nor the anchor, so a second
drop below the level blocks like the first. Pure: today and the baseline's ids are handed in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date

from evalgate.gate.sentences import named, points
from evalgate.records import Exceptions, Finding, Quarantined, Status, Waiver

WAIVABLE = ("max_drop", "min")
"""Rules that a waiver of their category can cover: both judge its mean score."""

MARGIN = 0.05
"""Most that a suggested level lies below what was observed."""

ROUNDING = 1e-9
"""What a mean of decimal fractions may be off."""


def apply_waivers(findings: Sequence[Finding], waivers: Sequence[Waiver], today: date) -> list[Finding]:
    """The findings in their order, each breach that a waiver covers no longer gating.

    It stays a breach and keeps its numbers; its sentence says who accepted it. A breach that its category's waiver
    does not cover, because the score is below the level or the waiver has expired, stays gating and says so. What is
    not gating already is left alone. today: UTC. At most one waiver a category.
    """
    by_category = {waiver.category: waiver for waiver in waivers}
    return [_considered(finding, by_category.get(finding.category), today) for finding in findings]


def _considered(finding: Finding, waiver: Waiver | None, today: date) -> Finding:
    if waiver is None or not finding.gating or not _is_waivable(finding):
        return finding
    level = f"down to {points(waiver.least)} %"
    if today > waiver.expires:
        said = f"the waiver of {waiver.owner} expired on {waiver.expires}"
    elif not _reaches(waiver, finding):
        said = f"the waiver of {waiver.owner} covers only {level}"
    else:
        said = f"waived until {waiver.expires} by {waiver.owner}: {waiver.reason} ({level})"
        finding = replace(finding, gating=False)
    return replace(finding, sentence=f"{finding.sentence}; {said}")


def _is_waivable(finding: Finding) -> bool:
    return finding.status is Status.BREACH and finding.rule in WAIVABLE


def _reaches(waiver: Waiver, finding: Finding) -> bool:
    """Whether the score is not below the level; an unknown one is never covered."""
    return finding.after is not None and finding.after >= waiver.least - ROUNDING


def waived(waivers: Sequence[Waiver], means: Mapping[str, float], today: date) -> frozenset[str]:
    """The categories whose waivers hold today and cover these mean scores, by category; `"*"` is the suite."""
    return frozenset(
        waiver.category
        for waiver in waivers
        if today <= waiver.expires and means.get(waiver.category, -1.0) >= waiver.least - ROUNDING
    )


def notes(exceptions: Exceptions, today: date, findings: Sequence[Finding]) -> list[str]:
    """One sentence for each waiver, then one for each quarantined case, in the order of the file: for every report.

    findings: before or after `apply_waivers`. Says what the file asks for; which quarantines have no effect, and why,
    depends on the baseline too and is told by `quarantined`.
    """
    waived = [_waiver_note(waiver, today, findings) for waiver in exceptions.waivers]
    return waived + [_quarantine_note(case, today) for case in exceptions.quarantine]


def _waiver_note(waiver: Waiver, today: date, findings: Sequence[Finding]) -> str:
    breaches = [finding for finding in findings if finding.category == waiver.category and _is_waivable(finding)]
    below = [finding for finding in breaches if not _reaches(waiver, finding)]
    if today > waiver.expires:
        state = "expired, so it covers nothing"
    elif below:
        state = "does not cover this run"
    else:
        state = "used" if breaches else "not needed by this run"
    return (
        f"Waiver {state}: {named(waiver.category)} down to {points(waiver.least)} % until {waiver.expires} "
        f"({waiver.owner}: {waiver.reason})."
    )


def _quarantine_note(case: Quarantined, today: date) -> str:
    state = f"expired on {case.expires}" if today > case.expires else f"until {case.expires}"
    return f"Quarantine of {case.case_id} {state} ({case.owner}: {case.reason})."


def quarantined(exceptions: Exceptions, today: date, baseline_ids: Collection[str]) -> tuple[frozenset[str], list[str]]:
    """The cases that are not to be judged, and a sentence for each quarantine that has no effect.

    baseline_ids: ids of all runs that are compared with. A quarantine has no effect once it has expired, nor where one
    of its `judged_on`, an id or the beginning of one, is among these runs: cases that are chosen by the very runs they
    are compared with leave a baseline that was lucky, and an unchanged system seems to have fallen.
    Cases that are taken out still run and are shown; no rule counts them.
    """
    taken, sentences = [], []
    for case in exceptions.quarantine:
        why = _why_judged(case, today, baseline_ids)
        if why is None:
            taken.append(case.case_id)
        else:
            sentences.append(f"{case.case_id} is judged in spite of its quarantine, which {why}.")
    return frozenset(taken), sentences


def _why_judged(case: Quarantined, today: date, baseline_ids: Collection[str]) -> str | None:
    """Why this case is judged nevertheless; None: it is not."""
    if today > case.expires:
        return f"expired on {case.expires}"
    if case.missing_run is not None:
        return f"was judged on run {case.missing_run}, which the history does not have: name runs that it has"
    shared = sorted(run_id for run_id in baseline_ids if run_id.startswith(case.judged_on))
    if shared:
        return (
            f"was judged on run {shared[0]}, also one of the runs compared here: choosing cases by the runs they are "
            "compared with makes nearly every unchanged change fail; judge it on older runs"
        )
    return None


def suggestion(finding: Finding) -> str | None:
    """The line of a waiver that would cover this breach of `max_drop`; None for any other finding.

    It belongs under `waivers:`, at whatever indentation. The level lies below what was observed by a margin for a run's
    noise: half of the interval's half width, at most five points.
    Owner, reason and day are placeholders, which the reader of the file refuses.
    """
    if finding.rule != "max_drop" or not _is_waivable(finding) or not finding.gating:
        return None
    if finding.before is None or finding.after is None:
        return None
    before = _up(finding.before, 3)
    # One look is noisy: without a margin the next run of the same change would fall below the level.
    margin = 0.0 if finding.ci is None else min(MARGIN, (finding.ci[1] - finding.ci[0]) / 4)
    drop = min(_up(before - finding.after + margin, 2), before)  # nothing scores below 0, nor may a waiver reach there
    return (
        f"- {{category: {json.dumps(finding.category, ensure_ascii=False)}, from: {before:g}, drop: {drop:g}, "
        'owner: "<who answers for it>", reason: "<why this is right>", expires: "<year-month-day>"}'
    )


def _up(value: float, digits: int) -> float:
    """Rounded up; what is above a step by a rounding error only stays on it."""
    steps = 10.0**digits
    return math.ceil(value * steps - ROUNDING * steps / 10) / steps
