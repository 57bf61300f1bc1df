"""Infrastructure is no failure, a false alarm hides nothing, and what is not there acquits nobody."""

from dataclasses import replace
from typing import Any

from builders import make_failed
from gating import found
from stepping import Answers, Scripted, broken, first_calls, history, passing, step, verdict_of

from evalgate.gate import Doubt
from evalgate.records import Confirmation, Exceptions, Pinned, Run, Status, Step, VerdictName, Waiver

SIZES = {"facts": 40, "lists": 40}
BROKEN = broken("facts", 20)


def without(run: Run, case_ids: set[str], epochs: set[int] | None = None) -> Run:
    """The same run, these calls failed."""
    return replace(
        run,
        results=tuple(
            make_failed(r.case_id, epoch=r.epoch) if r.case_id in case_ids and (not epochs or r.epoch in epochs) else r
            for r in run.results
        ),
    )


def test_a_rule_that_could_not_be_tested_is_never_a_plain_comparison() -> None:
    """The one comparable case of a category lost its first call: what a later call says of it is no breach."""
    base = history({"b": 60}, passing)
    run = first_calls({"b": 60}, broken("b", 1), epochs=2)
    cases = tuple(replace(ref, categories=("a", "b")) if ref.id == "b-000" else ref for ref in run.cases)
    steps = (Step(epochs=1, categories=("*",)), Step(epochs=2, categories=("b",)))
    run = replace(run, cases=cases, epochs=1, steps=steps, against=tuple(sorted(other.id for other in base.runs)))
    finding = found(verdict_of(without(run, {"b-000"}, {1}), base, {"overall": None}), "a")
    assert (finding.status, finding.p) == (Status.INCONCLUSIVE, None)
    assert "plain comparison" not in finding.sentence


def test_a_confirmation_that_was_cut_short_acquits_nobody() -> None:
    """One answer in eight came back on each side: the block stands, and drift is not claimed either."""
    base, calls = history(SIZES, passing), Scripted(now=BROKEN, fresh_after=passing, fresh_before=passing)
    run = step(first_calls(SIZES, BROKEN), base, calls)
    assert verdict_of(run, base).verdict is VerdictName.PASS
    whole = run.confirmation
    assert isinstance(whole, Confirmation)
    first = tuple(r for r in whole.after if r.epoch == 1)
    for cut in (replace(whole, after=first), replace(whole, before=whole.before[: len(whole.before) // 4])):
        verdict = verdict_of(replace(run, confirmation=cut), base)
        assert (verdict.verdict, verdict.drift) == (VerdictName.FAIL, ())
        assert "could not be confirmed" in found(verdict, "facts").sentence


def test_a_false_alarm_in_one_category_does_not_hide_a_drop_in_another() -> None:
    """Facts drift with the provider; lists lose three cases by the change, which takes repeats to see."""
    base = history(SIZES, passing)

    def now(case_id: str, epoch: int) -> float:
        return min(BROKEN(case_id, epoch), broken("lists", 2)(case_id, epoch))

    calls = Scripted(now=now, fresh_before=BROKEN)
    run = step(first_calls(SIZES, now), base, calls, {"overall": None})
    verdict = verdict_of(run, base, {"overall": None})
    assert found(verdict, "facts").status is Status.DRIFT
    assert found(verdict, "lists").status is Status.BREACH
    assert verdict.verdict is VerdictName.FAIL
    assert isinstance(calls.asked[-1], Doubt)
    assert calls.asked[-1].categories == ("facts", "lists")


def test_critical_flips_are_asked_before_anything_is_confirmed() -> None:
    """Facts drift; the critical case of lists flipped: named, repeated, and failing on its own."""

    def now(case_id: str, epoch: int) -> float:
        return min(BROKEN(case_id, epoch), broken("lists", 1)(case_id, epoch))

    base, calls = history(SIZES, passing, runs=1), Scripted(now=now, fresh_before=BROKEN)
    run = first_calls(SIZES, now)
    run = replace(run, cases=tuple(replace(ref, critical=ref.id == "lists-000") for ref in run.cases))
    verdict = verdict_of(step(run, base, calls), base)
    assert found(verdict, "lists", "critical").status is Status.BREACH


def test_an_open_critical_flip_is_never_a_pass() -> None:
    """Recorded results have no repeats: the first line says that a critical case may have flipped."""
    run = first_calls(SIZES, broken("lists", 1))
    run = replace(run, cases=tuple(replace(ref, critical=ref.id == "lists-000") for ref in run.cases))
    verdict = verdict_of(run, history(SIZES, passing))
    assert verdict.verdict is VerdictName.INCONCLUSIVE
    assert verdict.reason == "CRITICAL cases may have flipped, and repeats are needed to tell: lists"


def test_a_critical_case_without_a_score_is_an_error() -> None:
    """It was not answered: nobody knows whether it flipped."""
    run = without(first_calls({"facts": 100}, passing), {"facts-000"})
    run = replace(run, cases=tuple(replace(ref, critical=ref.id == "facts-000") for ref in run.cases))
    verdict = verdict_of(run, history({"facts": 100}, passing))
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.ERROR, 3)
    assert verdict.reason.startswith("critical cases without a score: facts-000")


def test_a_critical_floor_that_errors_left_unproven_is_an_error_and_no_failure() -> None:
    """All that was answered is right; two thirds were not answered."""
    sizes = {"safe": 150, "tone": 5150}
    rules: dict[str, Any] = {
        "overall": None,
        "each_category": None,
        "categories": {"safe": {"min": 0.98, "critical": True}},
    }
    run = first_calls(sizes, passing)
    base = history(sizes, passing, runs=1)
    assert verdict_of(run, base, rules).verdict is VerdictName.PASS
    verdict = verdict_of(without(run, {f"safe-{n:03d}" for n in range(95)}), base, rules)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.ERROR, 3)
    assert verdict.reason.startswith("safe: critical, and too many results have no score to prove the floor")


def test_a_critical_floor_of_one_is_held_by_nothing_but_perfection() -> None:
    """All right passes, one wrong fails."""
    rules = {"overall": None, "each_category": None, "categories": {"facts": {"min": 1, "critical": True}}}
    base = history(SIZES, passing)
    assert verdict_of(first_calls(SIZES, passing), base, rules).verdict is VerdictName.PASS
    assert verdict_of(first_calls(SIZES, broken("facts", 1)), base, rules).verdict is VerdictName.FAIL


def test_drift_excuses_the_anchor_and_the_floor_of_the_same_category() -> None:
    """What the day did to the baseline's own requests, it did to the change: neither rule blames it."""
    base, calls = history(SIZES, passing), Scripted(now=BROKEN, fresh_before=BROKEN)
    anchor = Pinned(runs=(replace(first_calls(SIZES, passing), id="blessed"),), why="blessed")
    rules = {"anchor": "v1", "each_category": {"min": 0.9}}
    run = step(first_calls(SIZES, BROKEN), base, calls, rules, anchor=anchor)
    verdict = verdict_of(run, base, rules, anchor=anchor)
    statuses = {(f.rule, f.against): f.status for f in verdict.findings if f.category == "facts"}
    assert statuses == {
        ("max_drop", "baseline"): Status.DRIFT,
        ("max_drop", "anchor"): Status.DRIFT,
        ("min", "baseline"): Status.DRIFT,
    }
    assert verdict.verdict is VerdictName.PASS


def test_a_floor_that_the_change_alone_breaks_is_confirmed() -> None:
    """The baseline is well: no drift to hide behind."""
    base, calls = history(SIZES, passing), Scripted(now=BROKEN, fresh_before=passing)
    rules = {"each_category": {"min": 0.9}}
    verdict = verdict_of(step(first_calls(SIZES, BROKEN), base, calls, rules), base, rules)
    assert found(verdict, "facts", "min").status is Status.BREACH


def _waiver(category: str, drop: float) -> Waiver:
    from datetime import date

    return Waiver(category=category, before=1.0, drop=drop, owner="ann", reason="meant", expires=date(2099, 1, 1))


def test_a_waived_category_does_not_fail_the_suite_that_it_pulls_down() -> None:
    """One waiver is enough to merge an intended drop; what else falls is found."""
    base, exempt = history(SIZES, passing), Exceptions(waivers=(_waiver("facts", 0.5),))
    verdict = verdict_of(first_calls(SIZES, BROKEN), base, exempt=exempt)
    assert verdict.verdict is VerdictName.PASS
    assert "that is what is waived (facts)" in found(verdict).sentence

    def both(case_id: str, epoch: int) -> float:
        return min(BROKEN(case_id, epoch), broken("lists", 12)(case_id, epoch))

    worse = verdict_of(first_calls(SIZES, both), base, exempt=exempt)
    assert worse.verdict is VerdictName.FAIL
    assert found(worse).gating


def test_where_everything_is_waived_the_verdict_says_pass_and_not_that_no_rule_is_on() -> None:
    """A sole category, accepted: judged, and named as waived."""
    base = history({"facts": 40}, passing)
    exempt = Exceptions(waivers=(_waiver("facts", 0.5), _waiver("*", 0.5)))
    verdict = verdict_of(first_calls({"facts": 40}, BROKEN), base, exempt=exempt)
    assert verdict.verdict is VerdictName.PASS
    assert "waived: the suite, facts" in verdict.reason


def test_a_step_that_leaves_no_room_is_the_last_and_has_the_rest_of_the_level() -> None:
    """Sixty of a hundred cases undecided, then no room for anyone: the look before is not wasted."""
    sizes = {"a": 60, "b": 40}
    now: Answers = broken("a", 2)
    base = history(sizes, passing, runs=2)
    rules = {"overall": None, "max_extra_calls": 200, "confirm": False}
    run = step(first_calls(sizes, now), base, Scripted(now=now), rules)
    assert [(s.epochs, s.is_last) for s in run.steps if s.is_last] == [(run.steps[-1].epochs, True)] or len(
        run.steps
    ) == 4
    assert sum(r.epoch > 1 for r in run.results) <= 200


def test_what_no_allowed_repeat_could_prove_is_inconclusive() -> None:
    """Two cases and one run: three repeats at most, which prove nothing even if all fail."""
    sizes = {"facts": 2}
    now = broken("facts", 2)
    base = history(sizes, passing, runs=1)
    run = step(first_calls(sizes, now), base, Scripted(now=now), {"confirm": False})
    assert verdict_of(run, base, {"confirm": False}).verdict is VerdictName.INCONCLUSIVE
