"""Before anything blocks, both sides are called anew: confirmed, not confirmed, or upstream drift."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from builders import NOON, make_failed
from gating import found
from stepping import Answers, Scripted, broken, first_calls, history, passing, step, verdict_of

from evalgate.gate import Doubt
from evalgate.gate.sentences import called_anew
from evalgate.records import Confirmation, Missing, Nearest, Pinned, Run, Status, Verdict, VerdictName

SIZES = {"facts": 40, "lists": 40}
BROKEN = broken("facts", 20)


def judged(now: Answers, rules: dict[str, Any] | None = None, **scripted: Any) -> tuple[Run, Verdict, list[Any]]:
    """The run, its verdict and what was asked, against five steady runs."""
    base, calls = history(SIZES, passing), Scripted(now=now, **scripted)
    run = step(first_calls(SIZES, now), base, calls, rules)
    return run, verdict_of(run, base, rules), calls.asked


def test_a_drop_that_is_there_again_is_confirmed_and_blocks() -> None:
    """The change is worse than the baseline in the same minutes: its fault."""
    run, verdict, asked = judged(BROKEN, fresh_before=passing)
    assert isinstance(asked[-1], Doubt)
    assert run.confirmation is not None
    assert (verdict.verdict, found(verdict, "facts").status) == (VerdictName.FAIL, Status.BREACH)
    assert "Confirmed by 8 fresh repeats of both sides" in found(verdict, "facts").sentence
    assert verdict.drift == ()


def test_a_drop_that_is_not_there_again_passes_and_is_shown() -> None:
    """Both sides are well when asked again: nothing blocks, and the first line says what seemed to be."""
    _, verdict, _ = judged(BROKEN, fresh_after=passing, fresh_before=passing)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.PASS, 0)
    assert found(verdict, "facts").status is Status.PASS
    assert "Not confirmed by 8 fresh repeats of both sides" in found(verdict, "facts").sentence
    assert "seemed to fall, and fresh calls did not confirm it: the suite, facts" in verdict.reason


def test_a_provider_that_got_worse_is_drift_and_nobodys_fault() -> None:
    """The baseline's own requests fail as well: status drift, named in the first line, one event a category."""
    _, verdict, _ = judged(BROKEN, fresh_before=BROKEN)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.PASS, 0)
    assert found(verdict, "facts").status is Status.DRIFT
    assert "UPSTREAM DRIFT, not this change: the suite, facts" in verdict.reason
    events = {event.category: (event.before, event.after) for event in verdict.drift}
    assert events["facts"] == (1.0, 0.5)
    assert all(event.run_id == "candidate" and event.p <= 0.05 for event in verdict.drift)


def test_drift_stops_where_it_is_asked_to() -> None:
    """`when.drift: stop` is exit 3: could not be evaluated, never a statement on quality."""
    _, verdict, _ = judged(BROKEN, {"when": {"drift": "stop"}}, fresh_before=BROKEN)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.PASS, 3)


def test_drift_alone_does_not_make_a_verdict_of_its_own() -> None:
    """With one category, the verdict is what it would be without the finding: not inconclusive, since it could fail."""
    sizes = {"facts": 40}
    base, calls = history(sizes, passing), Scripted(now=BROKEN, fresh_before=BROKEN)
    run = step(first_calls(sizes, BROKEN), base, calls)
    assert verdict_of(run, base).verdict is VerdictName.PASS


def test_a_change_that_is_worse_on_a_bad_day_is_still_blamed() -> None:
    """The provider lost a quarter, the change lost more: confirmed against the fresh baseline."""
    _, verdict, _ = judged(broken("facts", 30), fresh_before=broken("facts", 10))
    assert (verdict.verdict, found(verdict, "facts").status) == (VerdictName.FAIL, Status.BREACH)


def test_where_the_baseline_cannot_be_asked_the_change_alone_is() -> None:
    """Its fresh answers are compared with the history, and the report says so."""
    _, verdict, _ = judged(BROKEN)
    assert verdict.verdict is VerdictName.FAIL
    assert "Confirmed by 8 fresh repeats of this change alone" in found(verdict, "facts").sentence
    assert any("this change alone: by the test" in note for note in verdict.notes)
    _, lucky, _ = judged(BROKEN, fresh_after=passing)
    assert lucky.verdict is VerdictName.PASS


def test_fresh_calls_that_fail_leave_the_block_standing() -> None:
    """A category of which too few fresh calls were answered is not confirmed, and not excused either."""
    run, _, _ = judged(BROKEN, fresh_before=passing)
    assert run.confirmation is not None
    lost = tuple(make_failed(r.case_id, epoch=r.epoch) for r in run.confirmation.after)
    verdict = verdict_of(replace(run, confirmation=replace(run.confirmation, after=lost)), history(SIZES, passing))
    assert verdict.verdict is VerdictName.FAIL
    assert "could not be confirmed: too few fresh calls were answered" in found(verdict, "facts").sentence


def test_no_confirmation_is_made_where_it_is_switched_off() -> None:
    """`confirm: false`: the run and its history decide."""
    run, verdict, asked = judged(BROKEN, {"confirm": False}, fresh_before=BROKEN)
    assert (run.confirmation, verdict.verdict) == (None, VerdictName.FAIL)
    assert not any(isinstance(item, Doubt) for item in asked)


def test_what_is_doubted_alone_is_called_anew() -> None:
    """A floor that is breached doubts its category's cases; nothing else is asked."""
    rules = {"overall": None, "each_category": None, "categories": {"lists": {"min": 0.9, "max_drop": None}}}
    _, verdict, asked = judged(broken("lists", 20), rules, fresh_before=passing)
    doubt = asked[-1]
    assert isinstance(doubt, Doubt)
    assert (doubt.categories, len(doubt.case_ids), doubt.epochs) == (("lists",), 40, 8)
    assert found(verdict, "lists", "min").status is Status.BREACH


def test_many_doubted_cases_are_called_four_times_and_few_eight_times() -> None:
    """Above a hundred cases four fresh repeats of each side see enough."""
    sizes = {"facts": 120}
    calls = Scripted(now=broken("facts", 60), fresh_before=passing)
    step(first_calls(sizes, calls.now), history(sizes, passing), calls)
    assert calls.asked[-1].epochs == 4


def test_history_that_is_not_trusted_needs_a_stronger_confirmation() -> None:
    """Fresh answers at p 0.1 confirm at 20 %, not at 5 %."""
    sizes = {"facts": 40}

    def half(case_id: str, epoch: int) -> float:
        # Of eight fresh repeats the change loses one, in three cases: 3 of 6 draws alike.
        return 0.0 if epoch == 1 and case_id < "facts-003" else 1.0

    base, calls = history(sizes, passing), Scripted(now=BROKEN, fresh_after=half, fresh_before=passing)
    run = step(first_calls(sizes, BROKEN), base, calls)
    assert verdict_of(run, base).verdict is VerdictName.FAIL
    assert verdict_of(run, base, {"trust_history": False}).verdict is VerdictName.PASS


def test_a_confirmation_says_nothing_about_another_baseline() -> None:
    """It was made against these runs; against others the block stands on its own."""
    run, _, _ = judged(BROKEN, fresh_after=passing, fresh_before=passing)
    other = history(SIZES, passing)
    renamed = Pinned(runs=tuple(replace(r, id=f"other-{r.id}") for r in other.runs), why="")
    assert verdict_of(run, renamed).verdict is VerdictName.FAIL


def test_a_confirmation_is_replayed_byte_for_byte() -> None:
    """The verdict of the run is the verdict from the history."""
    run, verdict, _ = judged(BROKEN, fresh_before=BROKEN)
    shuffled = replace(
        run,
        confirmation=Confirmation(
            categories=("*", "facts"),
            epochs=8,
            after=run.confirmation.after,  # type: ignore[union-attr]
            before=run.confirmation.before,  # type: ignore[union-attr]
            how="by the test",
        ),
    )
    assert verdict_of(shuffled, history(SIZES, passing)).to_dict() == verdict.to_dict()


# ---- age and anchor ------------------------------------------------------------------------------------------


def test_a_stale_baseline_is_never_a_pass() -> None:
    """Ninety days by default: said in the first line, exit 0, or 3 where `when.stale` stops; failing stays failing."""
    base = history(SIZES, passing)
    nearest = Nearest(runs=base.runs, why="by the test", behind=3)
    late, soon = NOON + timedelta(days=91), NOON + timedelta(days=89)
    run = first_calls(SIZES, passing)
    assert verdict_of(run, nearest, now=soon).verdict is VerdictName.PASS
    stale = verdict_of(run, nearest, now=late)
    assert (stale.verdict, stale.exit_code) == (VerdictName.NO_BASELINE, 0)
    assert stale.reason.startswith("the baseline is stale: 91 days old, allowed 90")
    assert verdict_of(run, nearest, {"when": {"stale": "stop"}}, now=late).exit_code == 3
    assert verdict_of(run, nearest, {"max_baseline_age_days": None}, now=late).verdict is VerdictName.PASS
    failing = verdict_of(first_calls(SIZES, BROKEN), nearest, now=late)
    assert failing.verdict is VerdictName.FAIL
    assert "the baseline is stale: 91 days old" in failing.reason


def test_a_stale_baseline_is_never_a_pass_where_only_limits_compare() -> None:
    """A `max_rise` is measured from it too; rules that compare nothing need no baseline of any age."""
    base = history(SIZES, passing)
    nearest = Nearest(runs=base.runs, why="by the test", behind=3)
    run, late = first_calls(SIZES, passing), NOON + timedelta(days=91)
    floors: dict[str, Any] = {"overall": {"min": 0.1, "max_drop": None}, "each_category": {"max_drop": None}}
    rises = {**floors, "limits": {"error_rate": 0.02, "tokens_per_call": {"max_rise": 0.2}}, "when": {"stale": "stop"}}
    assert verdict_of(run, nearest, floors, now=late).verdict is VerdictName.PASS
    stale = verdict_of(run, nearest, rises, now=late)
    assert (stale.verdict, stale.exit_code) == (VerdictName.NO_BASELINE, 3)


def test_a_baseline_dated_in_the_future_is_of_unknown_age() -> None:
    """A slip in an imported date, or a runner's wrong clock, does not make a baseline young for ever."""
    base = history(SIZES, passing)
    nearest = Nearest(runs=base.runs, why="by the test", behind=3)
    run = first_calls(SIZES, passing)
    skewed = verdict_of(run, nearest, now=NOON - timedelta(hours=14))
    assert skewed.verdict is VerdictName.PASS
    ahead = verdict_of(run, nearest, now=NOON - timedelta(days=3))
    assert ahead.verdict is VerdictName.NO_BASELINE
    assert ahead.reason.startswith("the baseline is dated 3 days in the future, so nobody knows how old it is")


def test_what_is_lacking_beside_a_stale_baseline_stops_where_it_is_to_stop() -> None:
    """`when.stale: allow` does not let an anchor pass that is not there."""
    nearest = Nearest(runs=history(SIZES, passing).runs, why="by the test", behind=3)
    rules = {"anchor": "v1", "when": {"no_baseline": "stop", "stale": "allow"}}
    gone = Missing(reason="no run was blessed as v1")
    found = verdict_of(first_calls(SIZES, passing), nearest, rules, anchor=gone, now=NOON + timedelta(days=91))
    assert (found.verdict, found.exit_code) == (VerdictName.NO_BASELINE, 3)
    assert "no anchor" in found.reason and "the baseline is stale: 91 days old" in found.reason


def test_an_anchor_sees_the_slow_loss_that_the_baseline_has_followed() -> None:
    """The baseline has lost ten cases already, the change loses one more: nothing against it, a breach against what
    was blessed."""
    followed = history(SIZES, broken("facts", 10))
    anchor = Pinned(runs=(replace(first_calls(SIZES, passing), id="blessed"),), why="blessed")
    run = first_calls(SIZES, broken("facts", 11))
    rules = {"anchor": "v1"}
    alone = verdict_of(run, followed)
    assert alone.verdict is VerdictName.PASS
    held = verdict_of(run, followed, rules, anchor=anchor)
    assert held.verdict is VerdictName.FAIL
    against = [f for f in held.findings if (f.category, f.rule, f.against) == ("facts", "max_drop", "anchor")]
    assert [f.status for f in against] == [Status.BREACH]
    assert against[0].sentence.startswith("against the anchor, facts fell")
    told = [f for f in held.to_dict()["findings"] if f.get("against") == "anchor"]
    assert {f["category"] for f in told} == {"*", "facts", "lists"}


def test_baseline_and_anchor_have_half_of_alpha_each() -> None:
    """The same drop has twice the adjusted p where an anchor is held as well."""
    base = history(SIZES, passing)
    run = first_calls(SIZES, broken("facts", 4))
    anchor = Pinned(runs=base.runs[:1], why="blessed")
    alone = found(verdict_of(run, base), "facts").p_adjusted or 0
    held = verdict_of(run, base, {"anchor": "v1"}, anchor=anchor)
    mine = next(f for f in held.findings if (f.category, f.rule, f.against) == ("facts", "max_drop", "baseline"))
    assert mine.p_adjusted == pytest.approx(2 * alone)


def test_an_anchor_that_is_not_there_is_never_a_pass() -> None:
    """Nobody was blessed under that name: drops were not held against it."""
    base = history(SIZES, passing)
    verdict = verdict_of(
        first_calls(SIZES, passing), base, {"anchor": "v1"}, anchor=Missing(reason="no run was blessed as v1")
    )
    assert verdict.verdict is VerdictName.NO_BASELINE
    assert verdict.reason == "no anchor, so drops were not held against it: no run was blessed as v1"


def test_a_confirmation_that_does_not_say_how_is_told_without() -> None:
    """A result file from a fork holds no sentences."""
    assert called_anew(4, 180, "", both=False).endswith("4 times, this change alone.")
    assert called_anew(4, 180, "why", both=False).endswith("4 times, this change alone: why.")
