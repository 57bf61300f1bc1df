"""`evalgate.decide`: recorded rows and rules in, a verdict out; pure, and byte for byte the same whatever the order."""

import json
import random
from collections.abc import Sequence
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalgate
from evalgate import decide
from evalgate.records import Verdict
from evalgate.report.machine import verdict_schema

Rows = list[dict[str, Any]]


def rows(**categories: Sequence[float | None]) -> Rows:
    """Rows by category, a score a case; None is an error."""
    found: Rows = []
    for category, scores in categories.items():
        for number, score in enumerate(scores):
            told = {"error": "timed out"} if score is None else {"score": score}
            found.append({"id": f"{category}-{number}", "category": category, **told})
    return found


GOOD = rows(facts=[1] * 30, dates=[1] * 20)
BAD = rows(facts=[1] * 15 + [0] * 15, dates=[1] * 20)


def as_bytes(verdict: Verdict) -> bytes:
    return json.dumps(verdict.to_dict(), ensure_ascii=False).encode()


# ---- the contract -------------------------------------------------------------------------------------------


def test_the_verdict_is_the_documented_json() -> None:
    """Key by key, in this order; the run's fields are null."""
    told = decide(BAD, [GOOD, GOOD], {}).to_dict()
    assert list(told)[:10] == [
        "schema", "suite", "verdict", "exit_code", "reason", "run", "baseline", "findings", "categories", "cases",
    ]  # fmt: skip
    assert (told["schema"], told["verdict"], told["exit_code"]) == ("evalgate.verdict/1", "fail", 1)
    assert told["suite"] is None
    assert told["run"] == {"id": None, "version": None, "commit": None, "created": None}
    assert told["baseline"] == {
        "kind": "pinned", "ids": [], "commit": None, "behind": None, "age_s": None,
        "why": "given by the caller: 2 runs",
    }  # fmt: skip
    finding = next(f for f in told["findings"] if (f["category"], f["rule"]) == ("facts", "max_drop"))
    assert list(finding) == [
        "rule", "metric", "category", "status", "gating", "n", "n_pairs", "before", "after", "delta", "ci", "p",
        "p_adjusted", "detectable", "limit", "sentence",
    ]  # fmt: skip
    assert (finding["n"], finding["n_pairs"], finding["before"], finding["after"]) == (30, 30, 1.0, 0.5)
    assert (finding["delta"], finding["limit"], finding["detectable"]) == (-0.5, 0.0, None)
    assert told["categories"]["facts"] == {"n": 30, "passed": 15, "unscored": 0, "score": 0.5, "before": 1.0}
    assert told["categories"]["*"]["n"] == 50
    assert told["cases"]["regressed"] == sorted(f"facts-{n}" for n in range(15, 30))
    assert told["usage"]["calls"] == 50


@pytest.mark.parametrize(
    ("candidate", "baseline", "rules"),
    [
        (BAD, [GOOD], {}),
        (GOOD, [], {}),
        (GOOD[:30], [GOOD], {}),
        (GOOD[1:], [GOOD], {}),
        (rows(facts=[None] * 5), [GOOD], {}),
        (rows(facts=[0.3, None, 1] * 9), [rows(facts=[0.9] * 27)], {"each_category": {"min": 0.5, "proof": "literal"}}),
        (GOOD, [GOOD], {"limits": {"latency_p95_s": 3, "cost_per_call_usd": {"max_rise": 1}}}),
    ],
)
def test_every_verdict_keeps_its_schema(candidate: Rows, baseline: list[Rows], rules: dict[str, Any]) -> None:
    """Whatever the outcome; numbers are rounded to six digits and lists sorted."""
    told = decide(candidate, baseline, rules).to_dict()
    jsonschema.validate(told, verdict_schema())
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    for ids in told["cases"].values():
        assert ids == sorted(ids)
    for finding in told["findings"]:
        for number in (finding["before"], finding["delta"], finding["p"], *(finding["ci"] or ())):
            assert number is None or number == round(number, 6)


def test_rules_may_be_left_out() -> None:
    """None and `{}` are the defaults."""
    assert as_bytes(decide(BAD, [GOOD])) == as_bytes(decide(BAD, [GOOD], None)) == as_bytes(decide(BAD, [GOOD], {}))


# ---- purity -------------------------------------------------------------------------------------------------


def _noisy(seed: int) -> tuple[Rows, list[Rows]]:
    rng = np.random.default_rng(seed)

    def draw() -> Rows:
        scores = rng.random(40).round(3)
        return [
            {
                "id": f"c-{n}",
                "category": ["a", "b"] if n % 7 == 0 else "ab"[n % 2],
                "epoch": epoch,
                **({"error": f"cause {n % 3}"} if rng.random() < 0.01 else {"score": float(scores[n] ** epoch)}),
                "latency_s": float(rng.random()),
                "cost_usd": 0.1 * n,
            }
            for n in range(40)
            for epoch in (1, 2)
        ]

    return draw(), [draw() for _ in range(3)]


@given(st.integers(0, 50), st.integers(0, 1000))
@settings(max_examples=25)
def test_the_same_input_in_any_order_gives_the_same_bytes(seed: int, order: int) -> None:
    """Rows of each run shuffled, and the runs of the baseline too."""
    candidate, baseline = _noisy(seed)
    rules = {"overall": {"min": 0.4}, "limits": {"latency_p95_s": 1, "cost_per_call_usd": {"max_rise": 0.1}}}
    expected = as_bytes(decide(candidate, baseline, rules))
    shuffle = random.Random(order)
    for run in (candidate, *baseline, baseline):
        shuffle.shuffle(run)
    assert as_bytes(decide(candidate, baseline, rules)) == expected


def test_the_input_is_not_changed() -> None:
    """Neither rows nor rules."""
    candidate, baseline, rules = rows(facts=[1, 0, None]), [rows(facts=[1, 1, 1])], {"overall": {"min": 0.1}}
    before = json.dumps([candidate, baseline, rules])
    decide(candidate, baseline, rules)
    assert json.dumps([candidate, baseline, rules]) == before


def test_runs_may_be_any_iterables() -> None:
    """Generators and tuples."""
    lazy = decide((row for row in BAD), tuple((row for row in GOOD) for _ in range(2)), {})
    assert as_bytes(lazy) == as_bytes(decide(BAD, [GOOD, GOOD], {}))


# ---- DataFrames ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nullable", [False, True])
def test_a_dataframe_is_as_good_as_its_rows(nullable: bool) -> None:
    """Empty cells in the score and error columns and all: NaN, or the newer NA."""
    mixed = rows(facts=[1] * 60 + [0, None], dates=[1] * 40)
    frame = pd.DataFrame(mixed)
    assert frame["error"].isna().any()
    assert frame["score"].isna().any()
    frame = frame.convert_dtypes() if nullable else frame
    base = pd.DataFrame(rows(facts=[1] * 62, dates=[1] * 40))
    told = decide(frame, [base, base], {})
    assert as_bytes(told) == as_bytes(decide(mixed, [rows(facts=[1] * 62, dates=[1] * 40)] * 2, {}))
    assert told.categories["facts"].unscored == 1


def test_an_empty_score_cell_without_error_is_refused() -> None:
    """A dataframe's empty cell is no score of any kind."""
    frame = pd.DataFrame({"id": ["a", "b"], "category": "x", "score": [1.0, float("nan")]})
    with pytest.raises(evalgate.InputError, match="candidate, row 2: case 'b' has neither `score` nor `error`"):
        decide(frame, [], {})


# ---- complaints ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "baseline",
    [GOOD, pd.DataFrame(GOOD), GOOD[0], "runs", None, 7],
    ids=["rows", "a frame", "one row", "a text", "none", "a number"],
)
def test_a_baseline_that_is_no_list_of_runs_is_refused_with_what_to_write(baseline: Any) -> None:
    """The commonest slip is to give the rows of one run."""
    with pytest.raises(evalgate.InputError) as refused:
        decide(GOOD, baseline, {})
    told = str(refused.value)
    assert told.startswith("baseline: is a list of runs, each a list of rows")
    assert told.endswith("For one run write [rows], for none [].")


@pytest.mark.parametrize("candidate", ["rows", {"id": "a"}, 3, None])
def test_a_candidate_that_is_no_rows_is_refused(candidate: Any) -> None:
    """With what it should be."""
    with pytest.raises(evalgate.InputError, match="candidate: is an iterable of rows"):
        decide(candidate, [], {})


def test_the_place_of_a_bad_row_is_told() -> None:
    """Which side, which run, which row."""
    with pytest.raises(evalgate.InputError, match="baseline run 2, row 3: score 7 is no number"):
        decide(GOOD, [GOOD, [*GOOD[:2], {"id": "z", "category": "x", "score": 7}]], {})


@pytest.mark.parametrize("empty", [[], (), iter(())])
def test_no_row_on_either_side_is_refused(empty: Any) -> None:
    """No row: exit 2, not a verdict."""
    with pytest.raises(evalgate.InputError, match="candidate: no row"):
        decide(empty, [GOOD], {})
    with pytest.raises(evalgate.InputError, match="baseline run 1: no row"):
        decide(GOOD, [[]], {})


def test_bad_rules_are_refused_before_any_row_is_read() -> None:
    """With their place."""
    with pytest.raises(evalgate.InputError, match="Did you mean `alpha`"):
        decide(object(), [], {"alfa": 1})


def test_a_drop_that_all_failed_means_all_failed() -> None:
    """A candidate with nothing but errors is an error, not a drop to zero."""
    told = decide(rows(facts=[None] * 30, dates=[None] * 20), [GOOD], {})
    assert (told.verdict.value, told.exit_code) == ("error", 3)
    assert "timed out" in told.reason
