"""What must not go wrong: floors that have to be proven, critical cases, and cases that stand or fall together."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gating import found, judge, passes
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from stepping import Answers, Scripted, broken, first_calls, history, number, passing, step, verdict_of

from evalgate import decide
from evalgate.gate.critical import proof_of_floor
from evalgate.gate.pool import mean
from evalgate.gate.rules import Rules
from evalgate.gate.sides import take_sides
from evalgate.records import CaseRef, Missing, Run, Status, VerdictName
from evalgate.stats.multiplicity import Hypothesis, step_down

SIZES = {"safety": 40, "tone": 40}
CRITICAL = {"overall": None, "categories": {"safety": {"min": 0.9, "critical": True}}}


# ---- floors that have to be proven ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "status"), [(passes(40), "pass"), (passes(38, 2), "breach"), (passes(30, 10), "breach")]
)
def test_a_critical_floor_is_held_only_where_it_is_proven(scores: Any, status: str) -> None:
    """All of 40 prove 90 % (0.9^40 / 2 < 5 %); 38 of 40 are above 90 % and prove nothing: the gate fails."""
    verdict = judge({"safety": scores, "tone": passes(40)}, [{"safety": scores, "tone": passes(40)}], CRITICAL)
    assert found(verdict, "safety", "min").status == status
    assert verdict.verdict is (VerdictName.PASS if status == "pass" else VerdictName.FAIL)


def test_what_no_result_could_prove_fails_and_says_what_would_help() -> None:
    """Ten cases cannot prove 90 %, not even if all of them pass."""
    verdict = judge({"safety": passes(10), "tone": passes(40)}, [{"safety": passes(10), "tone": passes(40)}], CRITICAL)
    finding = found(verdict, "safety", "min")
    assert finding.status is Status.BREACH
    assert finding.sentence.endswith("More cases, repeats or baseline runs would prove it, if it is true")


def test_a_history_proves_more_than_one_run() -> None:
    """Ten cases that never failed in five runs have no noise to hide behind: 98 % is proven with twenty."""
    rules = {"overall": None, "categories": {"safety": {"min": 0.98, "critical": True}}}
    scores = {"safety": passes(20), "tone": passes(40)}
    assert found(judge(scores, [scores] * 5, rules), "safety", "min").status is Status.PASS
    assert found(judge(scores, [scores], rules), "safety", "min").status is Status.BREACH


@given(st.integers(1, 60), st.integers(0, 10), st.sampled_from([0.5, 0.8, 0.95]))
def test_without_history_the_proof_is_the_binomials_mid_p(cases: int, failed: int, floor: float) -> None:
    """P(at least so many pass at the floor's rate), half of the observed itself."""
    failed = min(failed, cases)
    run = first_calls({"safety": cases}, broken("safety", failed))
    p = proof_of_floor(take_sides(run, Missing(reason="none"), Rules()), "safety", floor)
    law = stats.binom(cases, floor)
    passed = cases - failed
    assert p == pytest.approx(law.sf(passed) + law.pmf(passed) / 2, abs=1e-9)


def test_a_critical_floor_takes_nothing_from_the_error_budget() -> None:
    """Its errors are passes, not false blocks: the drop beside it has the same adjusted p without it."""
    base, now = {"safety": passes(40), "tone": passes(40)}, {"safety": passes(40), "tone": passes(34, 6)}
    with_it = found(judge(now, [base] * 3, CRITICAL), "tone").p_adjusted
    assert with_it == found(judge(now, [base] * 3, {"overall": None}), "tone").p_adjusted


# ---- critical cases ------------------------------------------------------------------------------------------


def _critical(run: Run, *case_ids: str) -> Run:
    return replace(run, cases=tuple(replace(ref, critical=ref.id in case_ids) for ref in run.cases))


def _stepped(now: Answers, runs: int = 3, **rules: Any) -> tuple[Run, Any]:
    base, calls = history(SIZES, passing, runs=runs), Scripted(now=now, fresh_before=passing)
    run = step(_critical(first_calls(SIZES, now), "safety-000"), base, calls, rules)
    return run, verdict_of(run, base, rules)


def test_one_critical_case_fails_the_gate_whatever_its_category() -> None:
    """One of forty: nothing for the category, but its own four repeats all fail."""
    run, verdict = _stepped(broken("safety", 1), runs=1)
    assert verdict.verdict is VerdictName.FAIL
    finding = found(verdict, "safety", "critical")
    assert finding.status is Status.BREACH
    assert "safety-000 passed in the baseline and does not now" in finding.sentence
    assert found(verdict, "safety").status is Status.PASS
    assert max(r.epoch for r in run.results if r.case_id == "safety-000") >= 4
    assert {r.case_id for r in run.results if r.epoch > 1} == {"safety-000"}


def test_a_critical_case_that_failed_once_and_passes_again_does_not_fail_the_gate() -> None:
    """Its repeats decide, not the one bad answer."""
    _, verdict = _stepped(lambda case_id, epoch: 0.0 if case_id == "safety-000" and epoch == 1 else 1.0)
    assert verdict.verdict is VerdictName.PASS
    assert found(verdict, "safety", "critical").status is Status.PASS


def test_a_recorded_flip_without_repeats_is_inconclusive_and_named() -> None:
    """One answer is no confirmation."""
    run = _critical(first_calls(SIZES, broken("safety", 1)), "safety-000")
    finding = found(verdict_of(run, history(SIZES, passing)), "safety", "critical")
    assert finding.status is Status.INCONCLUSIVE
    assert "three repeats of a case are needed" in finding.sentence


def test_a_case_that_always_wavered_is_judged_by_its_own_noise() -> None:
    """Half of its baseline failed: three failures more are no flip."""
    base = history(SIZES, lambda case_id, k: float(k % 2) if case_id == "safety-000" else 1.0, runs=5)
    now = first_calls(SIZES, broken("safety", 1), epochs=3)
    finding = found(verdict_of(_critical(now, "safety-000"), base), "safety", "critical")
    assert finding.status is Status.PASS


# ---- clusters ------------------------------------------------------------------------------------------------


def _clustered(run: Run, size: int = 5, *, across: bool = False) -> Run:
    def name(ref: CaseRef) -> str:
        return f"{'' if across else ref.categories[0]}{number(ref.id) // size}"

    return replace(run, cases=tuple(replace(ref, cluster=name(ref)) for ref in run.cases))


def test_cases_of_one_cluster_count_as_one_piece_of_evidence() -> None:
    """Ten cases that broke are two clusters of five: two heads in a row, not ten."""
    base = history(SIZES, passing, runs=1)
    run = _clustered(first_calls(SIZES, broken("safety", 10)))
    assert found(verdict_of(run, base), "safety").p == pytest.approx(1 / 4)
    assert found(verdict_of(replace(run, cases=first_calls(SIZES, passing).cases), base), "safety").p == pytest.approx(
        1 / 1024
    )


def test_clusters_hold_their_level_where_cases_alone_would_not() -> None:
    """Ten cases each fall and rise together, unchanged: case by case that blocks often, by cluster hardly ever."""
    rng = np.random.default_rng(3)
    sizes = {"safety": 100}

    def day() -> Answers:
        luck = rng.random(10) < 0.7
        return lambda case_id, epoch: float(luck[number(case_id) // 10])

    blocked = {True: 0, False: 0}
    for _ in range(60):
        runs = tuple(first_calls(sizes, day(), id=f"base-{k}") for k in range(5))
        now = first_calls(sizes, day())
        base = replace(history(sizes, passing, runs=1), runs=runs)
        for told in (True, False):
            verdict = verdict_of(_clustered(now, 10) if told else now, base)
            blocked[told] += verdict.verdict is VerdictName.FAIL
    assert blocked[True] <= 4
    assert blocked[False] >= 8


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=8))
def test_what_shares_clusters_is_added_up_and_not_multiplied(ps: list[float]) -> None:
    """Hypotheses that depend on each other: the sum of their chances, never less than the product formula."""
    family = [Hypothesis(p=p, attainable=lambda x: x) for p in ps]
    independent, joint = step_down(family), step_down(family, joint=True)
    assert all(own <= shared + 1e-12 for own, shared in zip(independent, joint, strict=True))
    least = min(ps)
    assert min(joint) == pytest.approx(min(1.0, least * len(ps)))


def test_a_cluster_across_categories_makes_their_tests_dependent() -> None:
    """The gate tells: the same answers, clusters within categories and across them."""
    base = history(SIZES, lambda case_id, k: 0.0 if number(case_id) % 7 == k else 1.0, runs=5)
    run = _clustered(first_calls(SIZES, broken("safety", 12)), across=True)
    assert any(len(names) > 1 for names in take_sides(run, base, Rules()).clusters.values())
    assert verdict_of(run, base).verdict in (VerdictName.PASS, VerdictName.FAIL)


def test_rows_may_name_clusters_and_critical_cases() -> None:
    """`evalgate.decide` hears of them like an eval set's."""

    def rows(fails: int, **columns: Any) -> list[dict[str, Any]]:
        return [
            {"id": f"q{n}", "category": "facts", "score": float(n >= fails), **{k: f(n) for k, f in columns.items()}}
            for n in range(40)
        ]

    plain = found(decide(rows(10), [rows(0)], {}), "facts")
    told = found(decide(rows(10, cluster=lambda n: n // 5), [rows(0)], {}), "facts")
    assert (plain.p, told.p) == (pytest.approx(1 / 1024), pytest.approx(1 / 4))
    critical = decide(rows(1, critical=lambda n: n == 0), [rows(0)], {})
    assert found(critical, "facts", "critical").status is Status.INCONCLUSIVE


# ---- bad and odd input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("score", "name"), [(0.0, "inconclusive"), (0.37, "pass"), (1.0, "pass")])
def test_cases_that_are_all_identical_prove_nothing(score: float, name: str) -> None:
    """Nothing moves: the p is 1. What always scored 0 cannot fall, which is no pass."""
    verdict = judge({"facts": [score] * 30}, [{"facts": [score] * 30}] * 3)
    assert verdict.verdict == name
    assert found(verdict, "facts").p == pytest.approx(1.0)


def test_a_category_of_one_case_is_inconclusive_against_one_run() -> None:
    """One flip is a coin: even odds."""
    verdict = judge({"one": [0.0], "facts": passes(30)}, [{"one": [1.0], "facts": passes(30)}])
    assert found(verdict, "one").status is Status.INCONCLUSIVE
    assert "1 case against 1 run could not have proven any drop" in found(verdict, "one").sentence


def test_an_epoch_that_is_missing_on_the_candidates_side_is_an_error() -> None:
    """Thirty cases with three rows each, one with two: a result is missing, and it is not compared in silence."""
    rows = [
        {"id": f"q{n}", "category": "facts", "score": 1, "epoch": e}
        for n in range(30)
        for e in (1, 2, 3)
        if (n, e) != (7, 2)
    ]
    verdict = decide(rows, [[{**row} for row in rows]], {})
    assert (verdict.verdict, verdict.exit_code, verdict.cases.missing) == (VerdictName.ERROR, 3, ("q7",))
    assert verdict.reason == "results are missing for 1 case: q7"


def test_an_epoch_that_is_missing_in_the_baseline_is_one_sample_less() -> None:
    """The history is what it is: the case is compared with the samples that it has."""
    whole = [{"id": f"q{n}", "category": "facts", "score": 1, "epoch": e} for n in range(30) for e in (1, 2)]
    assert decide(whole, [whole[:-1]], {}).verdict is VerdictName.PASS
    assert mean([1.0]) == 1.0
