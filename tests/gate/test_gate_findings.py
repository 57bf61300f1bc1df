"""What each finding says: proofs, margins, floors, limits, and the error budget that they share."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import make_run, make_scored
from gating import found, judge, passes
from hypothesis import given, settings
from hypothesis import strategies as st

from evalgate.gate import sentences
from evalgate.records import Output, Run, Scored, Status, Verdict, VerdictName

ALPHA = 0.05
ONLY_CATEGORIES = {"overall": None}


def _pairs(broke: int, mended: int, steady: int = 30) -> tuple[dict[str, Any], dict[str, Any]]:
    """One category: candidate and a single baseline run with so many discordant pairs."""
    before = passes(steady + broke, mended)
    after = [*passes(steady, broke), *passes(mended)]
    return {"facts": after}, {"facts": before}


# ---- the p and the budget -----------------------------------------------------------------------------------


def test_one_run_and_one_repeat_shows_the_mcnemar_p() -> None:
    """Ten broke, none mended: 1/1024, and no guard widens it."""
    candidate, base = _pairs(10, 0)
    assert found(judge(candidate, [base]), "facts").p == pytest.approx(1 / 1024)


@pytest.mark.parametrize("rules", [{}, {"overall": None}, {"each_category": None}])
def test_a_sole_category_is_the_suite_and_gets_the_whole_level(rules: dict[str, Any]) -> None:
    """Nothing is shared: the adjusted p is the p, whichever of the two rules is on."""
    candidate, base = _pairs(7, 1)
    verdict = judge(candidate, [base], rules)
    drops = [finding for finding in verdict.findings if finding.rule == "max_drop"]
    assert drops
    for finding in drops:
        assert finding.p_adjusted == pytest.approx(finding.p, rel=1e-12)
        assert finding.status is Status.BREACH


def test_the_suite_has_a_fifth_of_the_level_and_the_categories_the_rest() -> None:
    """Two categories: the suite's p counts five times; a category's is shared with its sister and divided by 0.8."""
    base = {"a": passes(60), "b": passes(60)}
    verdict = judge({"a": passes(50, 10), "b": passes(60)}, [base])
    suite, a = found(verdict), found(verdict, "a")
    assert suite.p is not None and a.p is not None
    assert suite.p_adjusted == pytest.approx(suite.p / 0.2)
    # b never varies: it cannot show any p below 1, so it costs nothing.
    assert a.p_adjusted == pytest.approx(a.p / 0.8)


def test_floors_and_drops_share_one_budget() -> None:
    """With a floor beside it the same drop needs more proof."""
    candidate, base = _pairs(9, 1)
    runs = [base] * 3
    alone = found(judge(candidate, runs), "facts").p_adjusted
    shared = found(judge(candidate, runs, {"each_category": {"min": 0.5}, "overall": None}), "facts").p_adjusted
    assert alone is not None and shared is not None
    assert shared > alone


def _random_suite(rng: np.random.Generator, damage: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    sizes = {f"c{n}": int(rng.integers(2, 30)) for n in range(rng.integers(1, 5))}
    truth = {name: rng.beta(0.8, 0.3, size) for name, size in sizes.items()}

    def draw(lowered: float) -> dict[str, Any]:
        return {
            name: [float(x) for x in (rng.random(len(p)) < p * (1 - lowered * (name == "c0")))]
            for name, p in truth.items()
        }

    return draw(damage), [draw(0.0) for _ in range(rng.integers(1, 6))]


RULES = st.sampled_from(
    [
        {},
        {"each_category": {"max_drop": 0.1, "min": 0.6}},
        {"each_category": {"proof": "beyond_margin", "max_drop": 0.05}, "overall": {"min": 0.7}},
        {"overall": None, "alpha": 0.2},
    ]
)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0]), RULES)
def test_a_breach_is_an_adjusted_p_within_alpha_and_a_drop_beyond_what_is_allowed(
    seed: int, damage: float, rules: dict[str, Any]
) -> None:
    """Both, and nothing else; ps are probabilities, and adjusting never lowers one."""
    verdict = judge(*_random_suite(np.random.default_rng(seed), damage), rules)
    for finding in verdict.findings:
        if finding.p is None or finding.p_adjusted is None or finding.limit is None:
            continue
        assert 0 <= finding.p <= finding.p_adjusted <= 1
        low = finding.after < finding.limit if finding.rule == "min" else -(finding.delta or 0) > finding.limit + 1e-12  # type: ignore[operator]
        assert (finding.status is Status.BREACH) == (low and finding.p_adjusted <= verdict.alpha)


@given(st.integers(0, 10_000), RULES)
@settings(max_examples=60)
def test_inconclusive_is_what_could_not_have_breached_had_every_case_failed(seed: int, rules: dict[str, Any]) -> None:
    """Fail all of a category's cases: it breaches if, and only if, it was not called inconclusive before."""
    candidate, base = _random_suite(np.random.default_rng(seed), 0.0)
    verdict = judge(candidate, base, rules)
    for name in candidate:
        all_failed = judge({**candidate, name: [0.0] * len(candidate[name])}, base, rules)
        for rule in ("max_drop", "min"):
            before = [f for f in verdict.findings if (f.category, f.rule) == (name, rule)]
            if before and before[0].status in (Status.PASS, Status.INCONCLUSIVE):
                breaches = found(all_failed, name, rule).status is Status.BREACH
                assert breaches == (before[0].status is Status.PASS), (name, rule)


def test_categories_too_small_to_fail_are_named_in_a_pass() -> None:
    """And their findings are inconclusive."""
    verdict = judge({"large": passes(40), "tiny": passes(2)}, [{"large": passes(40), "tiny": passes(2)}] * 2)
    assert verdict.verdict is VerdictName.PASS
    assert found(verdict, "tiny").status is Status.INCONCLUSIVE
    assert verdict.reason.endswith("; too small to fail on their own: tiny")
    assert "2 cases against 2 runs could not have proven any drop" in found(verdict, "tiny").sentence


def test_a_gate_that_could_not_fail_at_all_is_inconclusive() -> None:
    """Exit 0 by default, 3 where that is to stop."""
    one = {"facts": passes(3)}
    verdict = judge(one, [one])
    assert (verdict.verdict, verdict.exit_code) == (VerdictName.INCONCLUSIVE, 0)
    assert judge(one, [one], {"when": {"inconclusive": "stop"}}).exit_code == 3
    assert "no rule of this gate could have failed, whatever the results" in verdict.reason


# ---- margins ------------------------------------------------------------------------------------------------


def test_a_proven_drop_within_what_is_allowed_passes() -> None:
    """Six of a hundred broke, ten points are allowed."""
    candidate, base = _pairs(6, 0, steady=94)
    assert found(judge(candidate, [base] * 9), "facts").status is Status.BREACH
    allowed = found(judge(candidate, [base] * 9, {"each_category": {"max_drop": 0.1}, "overall": None}), "facts")
    assert allowed.status is Status.PASS


@pytest.mark.parametrize("drop", [0.05, 0.1, 0.3])
@pytest.mark.parametrize("proof", ["shown", "literal"])
def test_a_drop_of_exactly_what_is_allowed_does_not_breach(drop: float, proof: str) -> None:
    """Whatever the last bit of a mean says; one case more does."""
    fails = round(drop * 100)
    rules = {"overall": None, "each_category": {"max_drop": drop, "proof": proof}}
    candidate, base = _pairs(fails, 0, steady=100 - fails)
    assert found(judge(candidate, [base] * 9, rules), "facts").status is Status.PASS
    candidate, base = _pairs(fails + 1, 0, steady=99 - fails)
    assert found(judge(candidate, [base] * 9, rules), "facts").status is Status.BREACH


@pytest.mark.parametrize("allowed", [0.1, 0.2, 0.3, 0.35, 0.7])
def test_the_same_holds_of_means_that_no_float_can_hold(allowed: float) -> None:
    """0.9 - 0.8 is a little less than 0.1, 0.8 - 0.7 a little more."""
    base = {"facts": [0.9, 0.8, 0.9, 0.95, 0.85] * 8}
    candidate = {"facts": [round(score - allowed, 10) for score in base["facts"]]}
    rules = {"overall": None, "each_category": {"max_drop": allowed}}
    assert found(judge(candidate, [base] * 5, rules), "facts").status is Status.PASS


@given(st.integers(1, 20), st.integers(0, 5), st.integers(1, 5), st.sampled_from([0.0, 0.02, 0.05, 0.2]))
@settings(max_examples=40)
def test_beyond_margin_is_never_easier_to_breach_than_shown(broke: int, mended: int, runs: int, margin: float) -> None:
    """Its p is at least as large, and equal where no margin is given."""
    candidate, base = _pairs(broke, mended)
    ps = []
    for proof in ("shown", "beyond_margin"):
        rules = {"overall": None, "each_category": {"max_drop": margin, "proof": proof}}
        ps.append(found(judge(candidate, [base] * runs, rules), "facts").p or 0.0)
    assert ps[1] >= ps[0] * (1 - 1e-9)
    if margin == 0:
        assert ps[0] == ps[1]


def test_beyond_margin_breaches_when_the_margin_itself_is_exceeded_beyond_doubt() -> None:
    """Half of a hundred broke, five points are allowed; six broke: a drop, but not surely more than five."""
    rules = {"overall": None, "each_category": {"max_drop": 0.05, "proof": "beyond_margin"}}
    candidate, base = _pairs(50, 0, steady=50)
    assert found(judge(candidate, [base] * 3, rules), "facts").status is Status.BREACH
    candidate, base = _pairs(6, 0, steady=94)
    assert found(judge(candidate, [base] * 3, rules), "facts").status is Status.PASS


def test_literal_compares_two_numbers_and_prints_how_often_that_blocks_the_unchanged() -> None:
    """One case of ten fell: a breach without any p. A fair coin on one discordant pair falls one time in two."""
    candidate, base = _pairs(1, 0, steady=9)
    verdict = judge(candidate, [base], {"overall": None, "each_category": {"proof": "literal"}})
    finding = found(verdict, "facts")
    assert (finding.status, finding.p, finding.p_adjusted) == (Status.BREACH, None, None)
    assert "it would block an unchanged system 50 % of the time" in finding.sentence
    assert "Rules with `proof: literal` compare two numbers; noise alone can fail them." in verdict.notes


def test_a_category_that_stood_below_what_it_may_lose_cannot_breach_and_says_why() -> None:
    """It stood at 4 %, five points are allowed."""
    base = {"facts": passes(2, 48), "other": passes(50)}
    verdict = judge(base, [base] * 3, {"each_category": {"max_drop": 0.05}})
    assert found(verdict, "facts").status is Status.INCONCLUSIVE
    assert found(verdict, "facts").sentence.endswith("It stood at 4.0 %, so no drop could have exceeded that")


# ---- floors -------------------------------------------------------------------------------------------------

FLOOR = {"overall": None, "each_category": {"min": 0.9, "max_drop": None}}


@pytest.mark.parametrize(
    ("scores", "status"),
    [
        (passes(45, 5), Status.PASS),  # exactly at the floor
        (passes(44, 6), Status.PASS),  # below, not proven
        (passes(30, 20), Status.BREACH),
        (passes(50), Status.PASS),
        ([1.0], Status.INCONCLUSIVE),  # one failure at 0.9 has a mid-p of exactly 0.05: see the next test
        (passes(1, 0) * 0 or [None] * 5, Status.MISSING),
    ],
)
def test_a_floor_breaks_when_the_truth_is_proven_to_be_below(scores: list[float | None], status: Status) -> None:
    """Without history by a binomial's mid-p."""
    assert found(judge({"facts": scores}, [], {**FLOOR, "alpha": 0.04}), "facts", "min").status is status


def test_a_score_of_exactly_the_floor_does_not_breach() -> None:
    """Also with a history that never varies, where any shortfall is proof."""
    base = {"facts": passes(90, 10)}
    exact = found(judge(base, [base] * 5, FLOOR), "facts", "min")
    assert (exact.status, exact.after) == (Status.PASS, 0.9)
    below = found(judge({"facts": passes(80, 20)}, [base] * 5, FLOOR), "facts", "min")
    assert below.status is Status.BREACH
    assert "the truth is below it" in below.sentence


def test_a_floor_of_one_is_broken_by_any_failure() -> None:
    """One of fifty."""
    rules = {"overall": None, "each_category": {"min": 1.0, "max_drop": None}}
    assert found(judge({"facts": passes(50)}, [], rules), "facts", "min").status is Status.PASS
    assert found(judge({"facts": passes(49, 1)}, [], rules), "facts", "min").status is Status.BREACH


def test_a_floor_of_zero_cannot_break() -> None:
    """It judges nothing, so alone it proves nothing."""
    rules = {"overall": None, "each_category": {"min": 0.0, "max_drop": None}}
    assert judge({"facts": passes(0, 9)}, [], rules).verdict is VerdictName.INCONCLUSIVE


def test_a_literal_floor_compares_two_numbers() -> None:
    """One of ten below 95 %."""
    rules = {"overall": None, "each_category": {"min": 0.95, "max_drop": None, "proof": "literal"}}
    finding = found(judge({"facts": passes(9, 1)}, [], rules), "facts", "min")
    assert (finding.status, finding.p) == (Status.BREACH, None)
    assert finding.sentence == ("facts scores 90.0 %, the floor is 95.0 % (plain comparison: noise alone can fail it)")


def test_a_case_repeated_a_hundred_times_does_not_outvote_the_others() -> None:
    """Nineteen cases pass, one fails a hundred times: the mean is 95 %, and that is what the floor judges."""
    results = [make_scored(f"c-{n:02d}") for n in range(19)] + [
        make_scored("c-19", 0.0, epoch=e) for e in range(1, 101)
    ]
    run = replace(
        make_run(results=results, categories={f"c-{n:02d}": ["facts"] for n in range(20)}), origin="import", epochs=100
    )
    finding = found(judge(run, [], FLOOR), "facts", "min")
    assert finding.after == pytest.approx(0.95)
    assert finding.status is Status.PASS


# ---- kinds of scores and categories -------------------------------------------------------------------------


def test_graded_scores_are_judged_by_their_means() -> None:
    """Each of thirty answers lost a tenth: no flip, and proven."""
    base = {"facts": [0.9, 0.8, 0.95] * 10}
    verdict = judge({"facts": [0.8, 0.7, 0.85] * 10}, [base] * 3)
    assert found(verdict, "facts").status is Status.BREACH
    assert verdict.cases.regressed == ()
    assert found(verdict, "facts").delta == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("mark", "passed", "regressed"), [(0.5, 2, ()), (0.6, 1, ("facts-1",)), (0.9, 0, ("facts-0",))]
)
def test_the_pass_mark_moves_counts_and_flips_and_no_rule(mark: float, passed: int, regressed: tuple[str, ...]) -> None:
    """0.9 fell to 0.7, 0.6 to 0.5; at or above the mark is passed."""
    verdict = judge({"facts": [0.7, 0.5]}, [{"facts": [0.9, 0.6]}], {"pass_mark": mark})
    plain = judge({"facts": [0.7, 0.5]}, [{"facts": [0.9, 0.6]}])
    assert verdict.categories["facts"].passed == passed
    assert verdict.cases.regressed == regressed
    assert verdict.findings == plain.findings


def test_regressed_improved_and_flaky_cases_are_listed() -> None:
    """By the mean of each side; flaky is who passed and failed within one side."""
    base = [{"facts": [1, 0, 1, 1]}, {"facts": [1, 0, 0, 1]}, {"facts": [1, 0, 1, 1]}]
    verdict = judge({"facts": [0, 1, 1, 1]}, base)
    assert verdict.cases.regressed == ("facts-0",)
    assert verdict.cases.improved == ("facts-1",)
    assert verdict.cases.flaky == ("facts-2",)


def test_a_case_of_several_categories_counts_in_each_and_once_in_the_suite() -> None:
    """Ten cases are safety and refunds."""
    both = {f"c-{n}": ["refunds", "safety"] if n < 10 else ["refunds"] for n in range(30)}
    base = make_run(results=[make_scored(name) for name in both], categories=both)
    broken = make_run(
        results=[make_scored(name, 0.0 if len(both[name]) > 1 else 1.0) for name in both], categories=both
    )
    verdict = judge(broken, [base] * 3)
    assert {name: row.n for name, row in verdict.categories.items()} == {"refunds": 30, "safety": 10, "*": 30}
    assert found(verdict, "safety").delta == -1.0
    assert found(verdict, "refunds").delta == pytest.approx(-1 / 3)
    assert found(verdict, "safety").status is found(verdict, "refunds").status is Status.BREACH


def test_means_are_per_case_first() -> None:
    """One case thrice right, one once wrong: the score is one half."""
    results = [make_scored("a", epoch=n) for n in (1, 2, 3)] + [make_scored("b", 0.0)]
    run = replace(make_run(results=results, categories={"a": ["x"], "b": ["x"]}), origin="import", epochs=3)
    row = judge(run, []).categories["x"]
    assert (row.n, row.passed, row.score) == (4, 3, 0.5)


# ---- limits -------------------------------------------------------------------------------------------------


def _measured(run: Run, **output: Any) -> Run:
    results = [replace(r, output=Output(**output)) if isinstance(r, Scored) else r for r in run.results]
    return replace(run, results=tuple(results))


def _against(limits: dict[str, Any], after: dict[str, Any], before: dict[str, Any]) -> Verdict:
    run = make_run(facts=passes(40))
    return judge(_measured(run, **after), [_measured(run, **before)], {"limits": limits})


@pytest.mark.parametrize(
    ("limits", "after", "status"),
    [
        ({"latency_p95_s": 3.0}, {"latency_s": 3.0}, Status.PASS),
        ({"latency_p95_s": 3.0}, {"latency_s": 3.1}, Status.BREACH),
        ({"cost_per_call_usd": 0.002}, {"cost_usd": 0.003}, Status.BREACH),
        ({"tokens_per_call": 100}, {"tokens_in": 90, "tokens_out": 20}, Status.BREACH),
        ({"tokens_per_call": 110}, {"tokens_in": 90, "tokens_out": 20}, Status.PASS),
        ({"tokens_per_call": 110}, {"tokens_in": 90}, Status.MISSING),
        ({"latency_p50_s": {"max_rise": 0.5}}, {"latency_s": 1.5}, Status.PASS),
        ({"latency_p50_s": {"max_rise": 0.5}}, {"latency_s": 1.6}, Status.BREACH),
        ({"latency_p50_s": {"max": 2, "max_rise": 9}}, {"latency_s": 2.1}, Status.BREACH),
        ({"cost_per_call_usd": {"max_rise": 0.2}}, {"cost_usd": 0.1}, Status.INCONCLUSIVE),
    ],
)
def test_limits_are_plain_comparisons(limits: dict[str, Any], after: dict[str, Any], status: Status) -> None:
    """At most the ceiling; a rise is held against the baseline's latency of one second."""
    verdict = _against(limits, after, {"latency_s": 1.0})
    assert found(verdict, rule=next(iter(limits))).status is status
    assert verdict.exit_code == (1 if status is Status.BREACH else 0)
    # What a run does not tell is named in the first line; it is no statement on quality.
    assert (verdict.verdict is VerdictName.PASS) == (status in (Status.PASS, Status.MISSING))
    assert ("not judged" in verdict.reason) == (status is Status.MISSING)


def test_a_limit_is_not_judged_on_the_calls_that_happen_to_tell() -> None:
    """One call of forty does not say its cost: the mean of the others could be that of the cheap half."""
    run = _measured(make_run(facts=passes(40)), cost_usd=0.001)
    first = replace(run.results[0], output=Output())  # type: ignore[type-var]
    verdict = judge(replace(run, results=(first, *run.results[1:])), [run], {"limits": {"cost_per_call_usd": 1}})
    assert found(verdict, rule="cost_per_call_usd").status is Status.MISSING


def test_answers_from_a_cache_have_no_latency() -> None:
    """They are left out of the percentiles."""
    run = _measured(make_run(facts=passes(40)), latency_s=9.0, cached=True)
    first = replace(run.results[0], output=Output(latency_s=1.0))  # type: ignore[type-var]
    verdict = judge(replace(run, results=(first, *run.results[1:])), [run], {"limits": {"latency_p99_s": 2}})
    assert found(verdict, rule="latency_p99_s").after == 1.0
    assert "measured on 1 new call, 39 answers came from the cache" in found(verdict, rule="latency_p99_s").sentence


@pytest.mark.parametrize(
    ("limits", "metric"),
    [({"latency_p95_s": 2}, "latency_p95_s"), ({"cost_per_call_usd": {"max_rise": 0.2}}, "cost_per_call_usd")],
)
def test_a_limit_is_not_measured_where_every_answer_came_from_the_cache(limits: dict[str, Any], metric: str) -> None:
    """It does not pass: the first line says that it was not judged, and the finding why."""
    base = _measured(make_run(facts=passes(40)), latency_s=1.0, cost_usd=0.1)
    run = _measured(make_run(facts=passes(40)), latency_s=1.0, cost_usd=0.1, cached=True)
    verdict = judge(run, [base], {"limits": limits})
    assert found(verdict, rule=metric).status is Status.MISSING
    assert "was not measured: every answer of this run came from the cache" in found(verdict, rule=metric).sentence
    assert "not judged" in verdict.reason


# ---- sentences ----------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0]), RULES)
@settings(max_examples=50)
def test_sentences_agree_with_their_findings(seed: int, damage: float, rules: dict[str, Any]) -> None:
    """Fell or rose as the sign says; unproven only where there is no breach; never a negative zero."""
    for finding in judge(*_random_suite(np.random.default_rng(seed), damage), rules).findings:
        assert "-0.0" not in finding.sentence
        assert finding.sentence
        if finding.rule == "max_drop" and finding.delta is not None and abs(finding.delta) > 5e-4:
            assert (" fell " in finding.sentence) == (finding.delta < 0)
        if finding.status is Status.BREACH:
            assert "No drop is proven" not in finding.sentence
            assert "Not proven" not in finding.sentence
        if finding.status is Status.INCONCLUSIVE:
            assert "could" in finding.sentence or "Too few" in finding.sentence


def test_the_interval_is_of_the_paired_differences() -> None:
    """Student's over cases: 5 of 10 fell by one; mean -0.5, spread sqrt(10 x 0.25 / 9), t = 2.262."""
    candidate, base = _pairs(5, 0, steady=5)
    half = 2.2621571627 * math.sqrt(2.5 / 9) / math.sqrt(10)
    assert found(judge(candidate, [base]), "facts").ci == pytest.approx((-0.5 - half, -0.5 + half))


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0504, "0.0504"), (0.0496, "0.0496"), (0.00304, "0.003"), (0.00009, "< 0.0001"), (1.0, "1"), (0.25, "0.25")],
)
def test_a_p_is_never_rounded_across_the_level(p: float, text: str) -> None:
    """0.0504 is not 0.05: the sentence would contradict its status."""
    assert sentences.chance(p) == text
