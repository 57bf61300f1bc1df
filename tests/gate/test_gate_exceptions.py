"""Waivers and quarantine: what they cover, that they never cover more, and that every report shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from evalgate.gate.exceptions import apply_waivers, notes, quarantined, suggestion
from evalgate.records import Exceptions, Finding, Quarantined, Status, Waiver

TODAY = date(2026, 12, 1)
LAST_DAY = date(2026, 12, 31)
WAIVER = Waiver(
    category="refunds", before=0.91, drop=0.06, owner="@alice", reason="shorter answers on purpose", expires=LAST_DAY
)
CASE = Quarantined(
    case_id="late-07",
    owner="@bob",
    reason="the index is rebuilt at night",
    expires=LAST_DAY,
    judged_on=("3f1c09a2b7de", "8a40"),
)
SHARES = st.floats(0, 1)
HUNDREDTHS = st.integers(0, 100).map(lambda points: points / 100)
DAYS = st.integers(-100, 100).map(lambda days: LAST_DAY + timedelta(days=days))


def breach(after: float | None = 0.86, before: float = 0.91, **changes: Any) -> Finding:
    """A drop of refunds that blocks."""
    given: dict[str, Any] = {"rule": "max_drop", "category": "refunds", "status": Status.BREACH, **changes}
    return Finding(
        metric="score",
        sentence="refunds fell",
        before=before,
        after=after,
        delta=None if after is None else after - before,
        **given,
    )


FINDINGS = st.builds(
    breach,
    after=st.none() | SHARES | HUNDREDTHS,
    before=SHARES,
    rule=st.sampled_from(["max_drop", "min", "latency_p95_s", "error_rate"]),
    category=st.sampled_from(["refunds", "safety", "*"]),
    status=st.sampled_from(list(Status)),
    gating=st.booleans(),
    against=st.sampled_from(["baseline", "anchor"]),
)
WAIVERS = st.builds(
    lambda before, drop, category, expires: replace(
        WAIVER, before=before, drop=min(before, drop), category=category, expires=expires
    ),
    before=HUNDREDTHS.filter(bool),
    drop=HUNDREDTHS.filter(bool),
    category=st.sampled_from(["refunds", "safety", "*"]),
    expires=DAYS,
)


@pytest.mark.parametrize("rule", ["max_drop", "min"])
@pytest.mark.parametrize("after", [0.91, 0.86, 0.85, 1 - 0.15])
def test_a_covered_breach_no_longer_blocks_and_says_who_accepted_it(rule: str, after: float) -> None:
    """It stays a breach, down to the level itself."""
    (found,) = apply_waivers([breach(after, rule=rule)], [WAIVER], TODAY)
    assert (found.gating, found.status) == (False, Status.BREACH)
    assert found.sentence == (
        "refunds fell; waived until 2026-12-31 by @alice: shorter answers on purpose (down to 85.0 %)"
    )


def test_a_further_drop_blocks_and_says_how_far_the_waiver_reaches() -> None:
    """The level is fixed: falling below it is not what was accepted."""
    (found,) = apply_waivers([breach(0.849)], [WAIVER], TODAY)
    assert found.gating
    assert found.sentence == "refunds fell; the waiver of @alice covers only down to 85.0 %"


def test_a_waiver_holds_on_its_last_day_and_not_on_the_next() -> None:
    """What has expired blocks again, and says why."""
    last, after = (apply_waivers([breach()], [WAIVER], LAST_DAY + timedelta(days=days))[0] for days in (0, 1))
    assert (last.gating, after.gating) == (False, True)
    assert after.sentence == "refunds fell; the waiver of @alice expired on 2026-12-31"


def test_a_second_drop_of_the_same_size_is_not_covered_by_the_first_ones_waiver() -> None:
    """Once the lower score is the baseline, the waiver does not reach further down than before."""
    first = breach(before=0.91, after=0.85)
    second = breach(before=0.85, after=0.79)
    assert [found.gating for found in apply_waivers([first, second], [WAIVER], TODAY)] == [False, True]


@given(finding=FINDINGS, waivers=st.lists(WAIVERS, unique_by=lambda waiver: waiver.category), today=DAYS)
def test_nothing_is_let_through_that_no_waiver_names(finding: Finding, waivers: list[Waiver], today: date) -> None:
    """Category, rule, day and level all have to fit; numbers and status stay what they are."""
    (found,) = apply_waivers([finding], waivers, today)
    assert replace(found, gating=finding.gating, sentence=finding.sentence) == finding
    fits = [
        waiver
        for waiver in waivers
        if waiver.category == finding.category
        and today <= waiver.expires
        and finding.after is not None
        and finding.after >= waiver.before - waiver.drop - 1e-9
    ]
    is_let_through = finding.gating and not found.gating
    can_be = finding.gating and finding.status is Status.BREACH and finding.rule in ("max_drop", "min")
    assert is_let_through == (can_be and bool(fits))


@given(waiver=WAIVERS, after=SHARES, further=SHARES, befores=st.tuples(SHARES, SHARES), today=DAYS)
def test_where_it_is_measured_from_moves_no_waiver_and_falling_further_never_helps(
    waiver: Waiver, after: float, further: float, befores: tuple[float, float], today: date
) -> None:
    """Whatever the baseline or the anchor has become, the same score is covered or not; a lower one is not sooner."""
    category = waiver.category
    lower = max(0.0, after - further)
    findings = [
        breach(after, befores[0], category=category),
        breach(after, befores[1], category=category, against="anchor"),
        breach(lower, befores[0], category=category),
    ]
    first, other, fallen = (found.gating for found in apply_waivers(findings, [waiver], today))
    assert first == other
    assert fallen or not first


@given(findings=st.lists(FINDINGS, max_size=5), waivers=st.lists(WAIVERS, unique_by=lambda w: w.category), today=DAYS)
def test_waiving_twice_is_waiving_once(findings: list[Finding], waivers: list[Waiver], today: date) -> None:
    """What is waived stays as it was said the first time."""
    once = apply_waivers(findings, waivers, today)
    twice = apply_waivers(once, waivers, today)
    assert [found for found in twice if not found.gating] == [found for found in once if not found.gating]
    assert [found.gating for found in twice] == [found.gating for found in once]


# ---- what every report shows ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("findings", "today", "said"),
    [
        ([breach(0.86)], TODAY, "used"),
        ([breach(0.86), breach(0.84, rule="min")], TODAY, "does not cover this run"),
        ([breach(0.86, category="safety")], TODAY, "not needed by this run"),
        ([breach(0.90, status=Status.PASS)], TODAY, "not needed by this run"),
        ([breach(0.86)], LAST_DAY + timedelta(days=1), "expired, so it covers nothing"),
    ],
)
def test_every_waiver_is_told_whether_used_or_not(findings: list[Finding], today: date, said: str) -> None:
    """The same before and after the waivers were applied."""
    expected = [f"Waiver {said}: refunds down to 85.0 % until 2026-12-31 (@alice: shorter answers on purpose)."]
    exceptions = Exceptions(waivers=(WAIVER,))
    assert notes(exceptions, today, findings) == expected
    assert notes(exceptions, today, apply_waivers(findings, [WAIVER], today)) == expected


def test_the_suites_waiver_is_called_by_its_name() -> None:
    """`*` is a sign of the file, not a word for readers."""
    suite = Exceptions(waivers=(replace(WAIVER, category="*"),))
    (note,) = notes(suite, TODAY, [])
    assert note.startswith("Waiver not needed by this run: the suite down to 85.0 %")


def test_a_quarantined_case_is_taken_out_of_judgement_and_told() -> None:
    """It holds on its last day too."""
    exceptions = Exceptions(quarantine=(CASE,))
    assert quarantined(exceptions, LAST_DAY, ["run-1"]) == (frozenset({"late-07"}), [])
    assert notes(exceptions, LAST_DAY, []) == [
        "Quarantine of late-07 until 2026-12-31 (@bob: the index is rebuilt at night)."
    ]


@pytest.mark.parametrize("run_id", ["3f1c09a2b7de", "8a40c1f2aa01", "8a40"])
def test_a_case_chosen_by_the_runs_it_is_compared_with_stays_judged(run_id: str) -> None:
    """An id and the beginning of one are recognised; the sentence says what to do."""
    taken, said = quarantined(Exceptions(quarantine=(CASE,)), TODAY, ["run-1", run_id])
    assert not taken
    assert said == [
        f"late-07 is judged in spite of its quarantine, which was judged on run {run_id}, also one of the runs "
        "compared here: choosing cases by the runs they are compared with makes nearly every unchanged change fail; "
        "judge it on older runs."
    ]


def test_an_expired_quarantine_has_no_effect() -> None:
    """The case is judged again, and the report says so."""
    day_after, exceptions = LAST_DAY + timedelta(days=1), Exceptions(quarantine=(CASE,))
    taken, said = quarantined(exceptions, day_after, [])
    assert not taken
    assert said == ["late-07 is judged in spite of its quarantine, which expired on 2026-12-31."]
    assert notes(exceptions, day_after, []) == [
        "Quarantine of late-07 expired on 2026-12-31 (@bob: the index is rebuilt at night)."
    ]


@given(
    cases=st.lists(st.tuples(st.sampled_from(["3f1c", "8a40", "77aa"]), DAYS), max_size=5),
    baseline=st.sets(st.sampled_from(["3f1c09a2b7de", "8a40c1f2aa01", "run-1"])),
    today=DAYS,
)
def test_every_quarantine_is_either_taken_out_or_told_and_always_noted(
    cases: list[tuple[str, date]], baseline: set[str], today: date
) -> None:
    """None is lost, none is told in two ways."""
    entries = tuple(
        replace(CASE, case_id=f"case-{number}", judged_on=(run,), expires=expires)
        for number, (run, expires) in enumerate(cases)
    )
    exceptions = Exceptions(quarantine=entries)
    taken, said = quarantined(exceptions, today, baseline)
    assert len(taken) + len(said) == len(notes(exceptions, today, [])) == len(entries)
    for entry in entries:
        is_clean = not any(run_id.startswith(entry.judged_on[0]) for run_id in baseline)
        assert (entry.case_id in taken) == (today <= entry.expires and is_clean)


# ---- the line to paste ------------------------------------------------------------------------------------


def pasted(line: str) -> Waiver:
    """The waiver that a line stands for, once its placeholders are filled in."""
    (entry,) = yaml.safe_load(line)
    assert {entry[key][0] for key in ("owner", "reason", "expires")} == {"<"}
    return replace(WAIVER, category=entry["category"], before=entry["from"], drop=entry["drop"])


def test_a_breach_gets_a_line_to_paste() -> None:
    """As it belongs under `waivers:`."""
    assert suggestion(breach(before=0.9104, after=0.8521)) == (
        '- {category: "refunds", from: 0.911, drop: 0.06, owner: "<who answers for it>", '
        'reason: "<why this is right>", expires: "<year-month-day>"}'
    )


@given(
    before=SHARES.filter(lambda share: share > 0.001) | HUNDREDTHS.filter(bool),
    fallen=st.floats(0.001, 1) | HUNDREDTHS.filter(bool),
    category=st.sampled_from(["refunds", "*", "no", "010", 'say "hi": {x}', "größe"]),
)
def test_the_pasted_line_covers_what_was_seen_and_not_a_point_more(before: float, fallen: float, category: str) -> None:
    """Merged as it stands it lets this run through, and blocks one that falls a point further."""
    after = max(0.0, before - fallen)
    finding = breach(after, before, category=category)
    line = suggestion(finding)
    assert line is not None
    waiver = pasted(line)
    assert waiver.category == category
    assert 0 < waiver.drop <= waiver.before <= 1
    (found,) = apply_waivers([finding], [waiver], TODAY)
    assert not found.gating
    assert after - 0.01 - 1e-9 <= waiver.least
    if after >= 0.0101:
        (further,) = apply_waivers([replace(finding, after=after - 0.0101)], [waiver], TODAY)
        assert further.gating


@pytest.mark.parametrize(
    "finding",
    [
        breach(rule="min"),
        breach(rule="latency_p95_s"),
        breach(status=Status.PASS),
        breach(gating=False),
        breach(after=None),
    ],
    ids=["floor", "limit", "pass", "waived", "vanished"],
)
def test_nothing_else_gets_a_line(finding: Finding) -> None:
    """A floor is mended in the rules, and what does not block needs no waiver."""
    assert suggestion(finding) is None
