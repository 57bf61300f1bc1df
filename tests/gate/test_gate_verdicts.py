"""Which verdict, with which exit code: the order of names, and that absent data never becomes `pass`."""

from dataclasses import replace
from typing import Any

import pytest
from builders import make_failed, make_run, make_scored
from gating import found, judge, judge_nearest, passes

from evalgate import gate
from evalgate.gate.decide import exit_code
from evalgate.records import Run, Status, VerdictName

STEADY = {"refunds": passes(40), "safety": passes(40)}
BASE = [STEADY] * 3
BROKEN = {"refunds": passes(20, 20), "safety": passes(40)}


# ---- exit codes and order ---------------------------------------------------------------------------------


@pytest.mark.parametrize("response", ["stop", "warn", "allow"])
@pytest.mark.parametrize("name", list(VerdictName))
def test_every_verdict_has_its_exit_code(name: VerdictName, response: str) -> None:
    """0 passed, 1 failed, 3 not evaluated; `when` decides on what proves nothing."""
    keys = ("no_baseline", "inconclusive", "not_comparable", "not_evaluated")
    rules = gate.parse_rules({"when": dict.fromkeys(keys, response)})
    fixed = {VerdictName.PASS: 0, VerdictName.FAIL: 1, VerdictName.ERROR: 3}
    assert exit_code(name, rules) == fixed.get(name, 3 if response == "stop" else 0)


def test_nothing_changed_passes() -> None:
    """Exit 0, with what was compared."""
    verdict = judge(STEADY, BASE)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.PASS, 0)
    assert (
        verdict.reason == "nothing is proven to be worse than allowed: 80 cases in 2 categories against 3 baseline runs"
    )


def test_a_proven_drop_fails() -> None:
    """Exit 1, and the first line names the category with its numbers."""
    verdict = judge(BROKEN, BASE)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.FAIL, 1)
    assert verdict.reason.startswith(
        "refunds fell 50.0 points (95 % CI -66.2 to -33.8, adjusted p < 0.0001); allowed 0"
    )
    assert found(verdict, "refunds").status is Status.BREACH
    assert found(verdict, "safety").status is Status.PASS


def _cut_short(run: Run) -> Run:
    return replace(run, stopped="the budget of 2.00 USD is spent", results=run.results[:-1])


@pytest.mark.parametrize(
    ("candidate", "baseline", "rules", "expected"),
    [
        pytest.param(_cut_short(make_run(**BROKEN)), BASE, {}, "error", id="stopped and broken"),
        pytest.param({**BROKEN, "safety": [None] * 40}, BASE, {}, "error", id="errors and broken"),
        pytest.param({"refunds": [0.0] * 40}, BASE, {}, "fail", id="vanished and broken"),
        pytest.param({"refunds": passes(9, 31)}, [], {"overall": {"min": 0.9}}, "fail", id="floor without baseline"),
        pytest.param(STEADY, [], {"overall": {"min": 0.9}}, "no_baseline", id="floor holds, no baseline"),
        pytest.param({"tiny": [1.0]}, [], {}, "no_baseline", id="no baseline and too small"),
        pytest.param({"tiny": [0.0]}, [{"tiny": [1.0]}], {}, "inconclusive", id="one case, one run"),
        pytest.param(STEADY, [], {"overall": None, "each_category": None}, "inconclusive", id="no rule"),
        pytest.param(
            STEADY, [], {"overall": {"min": 0.9, "max_drop": None}, "each_category": None}, "pass", id="floors"
        ),
        pytest.param(STEADY, BASE, {}, "pass", id="steady"),
    ],
)
def test_the_first_name_that_applies_wins(candidate: Any, baseline: Any, rules: dict[str, Any], expected: str) -> None:
    """What could not be evaluated is never a statement on quality; what is not proven is never `pass`."""
    assert judge(candidate, baseline, rules).verdict.value == expected


def test_not_comparable_comes_before_fail() -> None:
    """A broken category beside one whose every case was rewritten."""
    base = _with_content(make_run("base", **STEADY), "old")
    candidate = _with_content(make_run("now", **BROKEN), "old", new=("safety",))
    verdict = judge(candidate, [base])
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.NOT_COMPARABLE, 3)
    assert "safety is not comparable with the baseline: 40 of its 40 cases have other content" in verdict.reason


@pytest.mark.parametrize(("renamed", "expected"), [(20, "pass"), (21, "not_comparable"), (40, "not_comparable")])
def test_cases_under_other_ids_are_other_cases(renamed: int, expected: str) -> None:
    """As edited ones are: over half of a category's cases taken out and as many added is no comparison."""
    base = _told(make_run("base", **STEADY))
    verdict = judge(_told(_renamed(make_run("now", **STEADY), "refunds", renamed)), [base])
    assert verdict.verdict == expected, verdict.reason
    if expected == "not_comparable":
        assert f"{renamed} of its 40 cases are new, while as many were taken out" in verdict.reason


def test_a_category_that_shrinks_or_grows_is_compared() -> None:
    """Fewer cases are shown, more are judged by floors: neither hides another one."""
    small, large = ({"refunds": passes(n), "safety": passes(40)} for n in (15, 40))
    for before, after in ((large, small), (small, large)):
        verdict = judge(_told(make_run("now", **after)), [_told(make_run("base", **before))])
        assert verdict.verdict == "pass", verdict.reason


def _told(run: Run) -> Run:
    """A run that knows which eval set it is of."""
    return replace(run, evalset="e1")


def _renamed(run: Run, category: str, count: int) -> Run:
    ids = [ref.id for ref in run.cases if category in ref.categories][:count]
    new = {case_id: f"{case_id}-new" for case_id in ids}
    cases = tuple(replace(ref, id=new.get(ref.id, ref.id)) for ref in run.cases)
    results = [replace(result, case_id=new.get(result.case_id, result.case_id)) for result in run.results]
    return replace(run, cases=cases, results=tuple(results))


def test_what_could_not_begin_is_not_evaluated() -> None:
    """No credentials: nothing was learnt, and nothing is claimed."""
    name = VerdictName.NOT_EVALUATED
    verdict = gate.without_results(name, "OPENAI_API_KEY is not set", gate.parse_rules({}), suite="bot")
    assert (verdict.verdict, verdict.exit_code, verdict.findings) == (VerdictName.NOT_EVALUATED, 0, ())
    stopped = gate.without_results(name, "x", gate.parse_rules({"when": {"not_evaluated": "stop"}}), suite="bot")
    assert stopped.exit_code == 3


# ---- fail closed ------------------------------------------------------------------------------------------


def _with_content(run: Run, content: str, *, new: tuple[str, ...] = (), scorers: str | None = None) -> Run:
    refs = tuple(
        replace(ref, content="new" if set(ref.categories) & set(new) else content, scorers=scorers) for ref in run.cases
    )
    return replace(run, cases=refs)


FAIL_CLOSED = [
    pytest.param(make_run(), BASE, {}, "error", id="no case ran"),
    pytest.param(replace(make_run(), selection="--tag x"), BASE, {}, "error", id="a filter matched nothing"),
    pytest.param({"refunds": passes(40)}, BASE, {}, "fail", id="a category of the baseline vanished"),
    pytest.param(
        STEADY, BASE, {"categories": {"privacy": {"min": 0.9}}}, "fail", id="a category of the rules vanished"
    ),
    pytest.param(
        {"refunds": passes(40)}, BASE, {"each_category": None, "overall": None}, "fail", id="vanished, rules off"
    ),
    pytest.param(STEADY, [], {}, "no_baseline", id="the baseline is missing"),
    pytest.param(
        STEADY, [{"refunds": passes(15), "safety": passes(15)}], {}, "no_baseline", id="the baseline is partial"
    ),
    pytest.param(STEADY, [{"refunds": passes(40), "safety": passes(2)}], {}, "no_baseline", id="partial in a category"),
    pytest.param(STEADY, [{"refunds": passes(40)}], {}, "no_baseline", id="the baseline lacks a category"),
    pytest.param(
        STEADY, [{"refunds": passes(40), "safety": [None] * 40}], {}, "no_baseline", id="the baseline lacks its scores"
    ),
    pytest.param(STEADY, [{"refunds": [None] * 40, "safety": [None] * 40}], {}, "not_comparable", id="no score before"),
    pytest.param(
        STEADY,
        [replace(make_run(refunds=passes(40)), evalset="s1:x", selection="--category refunds")],
        {},
        "no_baseline",
        id="the baseline is a selection",
    ),
    pytest.param(
        _with_content(make_run(**STEADY), "new"),
        [_with_content(make_run(**STEADY), "old")],
        {},
        "not_comparable",
        id="another eval set",
    ),
    pytest.param(
        {"other": passes(40)},
        BASE,
        {"removed_categories": ["refunds", "safety"]},
        "not_comparable",
        id="nothing shared",
    ),
    pytest.param(
        _with_content(make_run(**STEADY), "c", scorers="judge/2"),
        [_with_content(make_run(**STEADY), "c", scorers="judge/1")],
        {},
        "not_comparable",
        id="another judge",
    ),
    pytest.param({"refunds": passes(39), "safety": passes(40)}, BASE, {}, "error", id="a result is missing"),
    pytest.param(
        {"refunds": [*passes(37), *[None] * 3], "safety": passes(40)}, BASE, {}, "error", id="too many errors"
    ),
    pytest.param(
        {"refunds": [None] * 40, "safety": [None] * 40}, BASE, {"limits": {"error_rate": None}}, "error", id="none"
    ),
    pytest.param(
        {"refunds": passes(400), "safety": [None]},
        [{"refunds": passes(400), "safety": passes(1)}],
        {},
        "error",
        id="no score in a category",
    ),
    pytest.param(_cut_short(make_run(**STEADY)), BASE, {}, "error", id="the budget ended early"),
    pytest.param(replace(make_run(**STEADY), stopped="the deadline passed"), BASE, {}, "error", id="the deadline"),
    pytest.param(
        STEADY,
        BASE,
        {"overall": None, "each_category": None, "limits": {"latency_p95_s": 3}},
        "inconclusive",
        id="nothing but a limit on what is unknown",
    ),
    pytest.param(
        STEADY, BASE, {"limits": {"tokens_per_call": {"max_rise": 0.1}}}, "no_baseline", id="a rise from nothing"
    ),
]


@pytest.mark.parametrize(("candidate", "baseline", "rules", "expected"), FAIL_CLOSED)
def test_absent_data_never_becomes_pass(candidate: Any, baseline: Any, rules: dict[str, Any], expected: str) -> None:
    """Each line of the fail-closed list, with the name it gets instead."""
    if rules.get("limits", {}).get("tokens_per_call"):
        candidate = _with_tokens(make_run(**candidate))
    assert judge(candidate, baseline, rules).verdict.value == expected


def _with_tokens(run: Run) -> Run:
    results = [replace(r, output=replace(r.output, tokens_in=10, tokens_out=5)) for r in run.results]  # type: ignore[type-var,arg-type]
    return replace(run, results=tuple(results))


def test_changed_cases_lose_their_history_and_the_others_still_pair() -> None:
    """Ten of eighty rewritten: seventy are compared, and the verdict says so."""
    base = _with_content(make_run("base", **STEADY), "old")
    refs = tuple(replace(ref, content="new" if n < 10 else "old") for n, ref in enumerate(base.cases))
    verdict = judge(replace(base, cases=refs), [base])
    assert verdict.verdict is VerdictName.PASS
    assert (found(verdict).n, found(verdict).n_pairs) == (80, 70)
    assert verdict.cases.changed == tuple(ref.id for ref in base.cases[:10])
    assert "10 cases with other content or scorers than in the baseline were not compared." in verdict.notes
    one = replace(base, cases=(*base.cases[:-1], replace(base.cases[-1], content="new")))
    assert "1 case with other content or scorers than in the baseline was not compared." in judge(one, [base]).notes


# ---- what is not there ------------------------------------------------------------------------------------


def test_a_vanished_category_fails_and_its_cases_do_not_count_as_missing_on_top() -> None:
    """Named as a whole, with its score before."""
    verdict = judge({"refunds": passes(40)}, [{"refunds": passes(40), "safety": passes(30, 10)}])
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.FAIL, 1)
    assert found(verdict, "safety").status is Status.MISSING
    assert verdict.cases.missing == ()
    assert verdict.reason.startswith("safety: no case of this category was run")
    row = verdict.categories["safety"]
    assert (row.n, row.passed, row.unscored, row.score, row.before) == (0, 0, 0, None, 0.75)


def test_a_removed_category_may_vanish() -> None:
    """Its cases are removed, shown and not missing."""
    verdict = judge({"refunds": passes(40)}, BASE, {"removed_categories": ["safety"]})
    assert verdict.verdict is VerdictName.PASS
    assert len(verdict.cases.removed) == 40
    assert "safety" not in verdict.categories


def test_a_missing_case_is_an_error_where_nothing_says_that_it_was_taken_out() -> None:
    """It is named, and the run is not judged."""
    verdict = judge({"refunds": passes(39), "safety": passes(40)}, BASE)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.ERROR, 3)
    assert verdict.reason == "results are missing for 1 case: refunds-39"
    assert verdict.cases.missing == ("refunds-39",)


def test_a_case_that_the_eval_set_no_longer_has_is_removed() -> None:
    """Where the candidate tells its eval set, absence is a choice."""
    candidate = replace(make_run(refunds=passes(39), safety=passes(40)), evalset="s1:now")
    verdict = judge(candidate, BASE)
    assert verdict.verdict is VerdictName.PASS
    assert verdict.cases.removed == ("refunds-39",)


def test_a_planned_case_without_result_is_missing() -> None:
    """The plan knows it, no row does."""
    whole = make_run(**STEADY)
    verdict = judge(replace(whole, results=whole.results[1:], evalset="s1:now"), BASE)
    assert verdict.verdict is VerdictName.ERROR
    assert verdict.cases.missing == ("refunds-0",)


def test_a_planned_epoch_without_result_is_missing() -> None:
    """Two of three repeats are not three."""
    run = make_run(results=[make_scored("a", epoch=n) for n in (1, 2)], categories={"a": ["x"]})
    verdict = judge(replace(run, epochs=3), [make_run(results=[make_scored("a")], categories={"a": ["x"]})])
    assert (verdict.verdict, verdict.cases.missing) == (VerdictName.ERROR, ("a",))


def test_recorded_rows_may_repeat_some_cases_more_often_than_others() -> None:
    """An import has no plan of epochs."""
    run = make_run(
        results=[make_scored("a"), make_scored("a", epoch=2), make_scored("b")], categories={"a": ["x"], "b": ["x"]}
    )
    base = make_run(results=[make_scored("a"), make_scored("b")], categories={"a": ["x"], "b": ["x"]})
    assert judge(replace(run, epochs=2, origin="import"), [base]).cases.missing == ()


def test_a_selection_makes_nothing_vanish_and_says_that_it_is_one() -> None:
    """What was not asked for is neither missing nor removed."""
    verdict = judge(replace(make_run(refunds=passes(40)), selection="--category refunds"), BASE)
    assert verdict.verdict is VerdictName.PASS
    assert (verdict.cases.missing, verdict.cases.removed) == ((), ())
    assert "Partial run (--category refunds)" in verdict.notes[0]


def test_added_cases_are_listed_and_judged_by_floors_only() -> None:
    """Three new ones among forty-three."""
    verdict = judge({"refunds": passes(43), "safety": passes(40)}, BASE)
    assert verdict.verdict is VerdictName.PASS
    assert verdict.cases.added == ("refunds-40", "refunds-41", "refunds-42")
    assert found(verdict, "refunds").n_pairs == 40


def test_a_new_category_has_no_baseline() -> None:
    """It is named, exit 0 by default."""
    verdict = judge({**STEADY, "privacy": passes(9)}, BASE)
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.NO_BASELINE, 0)
    assert verdict.reason == "no baseline for privacy; everything else was judged and nothing failed"


def test_what_older_pooled_runs_had_and_the_nearest_lacks_did_not_vanish_now() -> None:
    """A category and a case taken out some commits ago block nobody once the nearest baseline lacks them."""
    older = replace(
        make_run("older", minutes=-9, refunds=passes(41), safety=passes(40), gone=passes(9)), evalset="s1:old"
    )
    nearest = replace(make_run("nearest", **STEADY), evalset="s1:new")
    candidate = replace(make_run("now", **STEADY), evalset="s1:new")
    verdict = judge_nearest(candidate, [nearest, older])
    assert verdict.verdict is VerdictName.PASS
    assert (verdict.cases.removed, verdict.cases.missing, verdict.cases.added) == ((), (), ())


def test_recorded_runs_that_do_not_tell_their_eval_set_are_taken_together() -> None:
    """The nearest may be the one that lost rows: then the older ones speak."""
    older = make_run("older", minutes=-9, refunds=passes(40), safety=passes(40), gone=passes(9))
    verdict = judge_nearest(make_run("now", **STEADY), [make_run("nearest", **STEADY), older])
    assert verdict.verdict is VerdictName.FAIL
    assert found(verdict, "gone").status is Status.MISSING


# ---- errors ------------------------------------------------------------------------------------------------


def test_errors_within_the_limit_are_counted_and_shown_and_never_a_zero() -> None:
    """One of eighty: the score is over 79, the count over 80."""
    verdict = judge({"refunds": [*passes(39), None], "safety": passes(40)}, BASE)
    assert verdict.verdict is VerdictName.PASS
    row = verdict.categories["refunds"]
    assert (row.n, row.passed, row.unscored, row.score) == (40, 39, 1, 1.0)
    assert verdict.cases.unscored == ("refunds-39",)
    assert found(verdict, rule="error_rate").after == pytest.approx(1 / 80)


def test_the_error_rate_may_be_exactly_the_limit() -> None:
    """2 of 100 at 2 %."""
    base = [{"refunds": passes(100)}]
    assert judge({"refunds": [*passes(98), None, None]}, base).verdict is VerdictName.PASS
    verdict = judge({"refunds": [*passes(97), *[None] * 3]}, base)
    assert verdict.verdict is VerdictName.ERROR
    assert "3 of 100 results unscored (3.0 %); allowed 2 %; most often: the endpoint answered 500" in verdict.reason


def test_a_category_that_lost_most_of_its_scores_is_named() -> None:
    """Nine of ten failed inside a suite where that is one per cent: shown, as nothing was learnt of it."""
    base = [{"large": passes(900), "small": passes(10)}]
    verdict = judge({"large": passes(900), "small": [1.0, *[None] * 9]}, base)
    assert any("Most cases of small have no score" in note for note in verdict.notes)


def test_the_commonest_cause_is_told() -> None:
    """Whatever the order, ties go by the alphabet."""
    failed = [make_failed(f"c-{n}", cause=("b: down" if n % 2 else "a: refused")) for n in range(4)]
    verdict = judge(make_run(results=failed, categories={f"c-{n}": ["x"] for n in range(4)}), [{"x": passes(4)}])
    assert verdict.reason.endswith("most often: a: refused")


# ---- the reason ---------------------------------------------------------------------------------------------


def test_a_suite_can_fall_without_any_category_to_name() -> None:
    """Thirty categories of ten each lose one or two cases: none alone proves it."""
    base = {f"c{n:02d}": passes(10) for n in range(30)}
    candidate = {f"c{n:02d}": passes(9, 1) if n % 2 else passes(10) for n in range(30)}
    verdict = judge(candidate, [base] * 5)
    assert verdict.verdict is VerdictName.FAIL
    assert [f.category for f in verdict.findings if f.status is Status.BREACH] == ["*"]
    assert verdict.reason.startswith("the suite fell 5.0 points")
    assert verdict.reason.endswith("; no category alone is proven to have fallen")


def test_every_culprit_is_named() -> None:
    """Two categories fell, one vanished, and a limit broke."""
    base = {"a": passes(40), "b": passes(40), "c": passes(40), "d": passes(9)}
    candidate = make_run(a=passes(20, 20), b=passes(22, 18), c=passes(40))
    slow = [replace(r, output=replace(r.output, latency_s=9.0)) for r in candidate.results]  # type: ignore[type-var,arg-type]
    verdict = judge(replace(candidate, results=tuple(slow)), [base] * 3, {"limits": {"latency_p95_s": 3}})
    assert verdict.reason.startswith("a fell 50.0 points")
    assert verdict.reason.endswith("; also failing: b, d, latency_p95_s")


def test_the_suites_fall_does_not_hide_a_vanished_category() -> None:
    """Both are said."""
    base = {f"c{n:02d}": passes(10) for n in range(30)} | {"gone": passes(5)}
    candidate = {f"c{n:02d}": passes(9, 1) if n % 2 else passes(10) for n in range(30)}
    assert "also failing: gone" in judge(candidate, [base] * 5).reason
