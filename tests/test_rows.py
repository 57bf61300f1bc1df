"""Recorded results at the door: what is taken, what is refused and with which words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders import make_case
from hypothesis import given
from hypothesis import strategies as st

from evalgate.errors import InputError
from evalgate.records import EvalSet, Failed, Output, Run, Scored, Stage, ToolCall
from evalgate.rows import MOST_FAULTS, run_from_rows

NAN = float("nan")


def read(*rows: Any, evalset: EvalSet | None = None) -> Run:
    places = ((f"results.jsonl:{number}", row) for number, row in enumerate(rows, start=1))
    created = datetime(2026, 11, 1, tzinfo=UTC)
    return run_from_rows(places, id="r", suite="bot", created=created, name="results.jsonl", evalset=evalset)


def row(id: Any = "a", **changes: Any) -> dict[str, Any]:
    return {"id": id, "category": "facts", "score": 1.0, **changes}


def without(key: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in row(**changes).items() if name != key}


def complaint(*rows: Any, evalset: EvalSet | None = None) -> str:
    with pytest.raises(InputError) as refused:
        read(*rows, evalset=evalset)
    return str(refused.value)


# ---- what is taken ------------------------------------------------------------------------------------------


def test_a_row_becomes_a_case_and_a_result() -> None:
    """With everything that a row may tell."""
    run = read(
        row(
            category=["safety", "refunds", "safety"],
            epoch=2,
            output="42",
            latency_s=1.5,
            tokens_in=10,
            tokens_out=3,
            cost_usd=0.01,
            model="small-1",
            contexts=["p1"],
            tool_calls=["search", {"name": "open", "arguments": {"n": 1}}, 7],
            input="6 x 7?",
            reference="42",
            subcategory="products",
        )
    )
    (ref,), (result,) = run.cases, run.results
    assert (ref.id, ref.categories, ref.input, ref.expected) == ("a", ("refunds", "safety"), "6 x 7?", "42")
    assert ref.metadata == {"subcategory": "products"}
    assert isinstance(result, Scored)
    assert (result.epoch, result.score, result.scores[0].scorer) == (2, 1.0, "score")
    assert result.output == Output(
        text="42", latency_s=1.5, tokens_in=10, tokens_out=3, cost_usd=0.01, model="small-1", contexts=("p1",),
        tool_calls=(ToolCall(name="search"), ToolCall(name="open", arguments={"n": 1})),
    )  # fmt: skip
    assert (run.epochs, run.origin, run.evalset) == (2, "import", None)
    assert (run.usage.calls, run.usage.tokens_in, run.usage.cost_usd) == (1, 10, 0.01)
    assert run.version.parts == {"models": ["small-1"]}


@pytest.mark.parametrize(
    ("given_score", "score"),
    [
        ({"score": 0}, 0.0),
        ({"score": True}, 1.0),
        ({"correct": False}, 0.0),
        ({"score": np.float32(0.5)}, 0.5),
        ({"score": np.bool_(True)}, 1.0),
        ({"scores": {"style": 0.5, "facts": 1}}, 0.75),
    ],
)
def test_scores_in_every_spelling(given_score: dict[str, Any], score: float) -> None:
    """`score`, `correct`, or `scores` by name, whose mean counts."""
    (result,) = read({"id": "a", "category": "x", **given_score}).results
    assert isinstance(result, Scored)
    assert result.score == score


def test_an_error_is_a_failed_result_never_a_zero() -> None:
    """With its cause; a row that tells nothing else had no answer."""
    (result,) = read(without("score", error=" timed out ")).results
    assert result == Failed(case_id="a", epoch=1, stage=Stage.RECORDED, cause="timed out")
    (result,) = read(without("score", error="judge failed", output="42")).results
    assert isinstance(result, Failed)
    assert result.output == Output(text="42")
    (result,) = read(without("score", error="")).results
    assert isinstance(result, Failed)
    assert result.cause == "the recorded row gives no cause"


@pytest.mark.parametrize("empty", [None, NAN, pd.NA, pd.NaT])
@pytest.mark.parametrize("key", ["error", "epoch", "output", "latency_s", "tokens_in", "cost_usd", "model"])
def test_empty_cells_of_a_table_are_nothing(key: str, empty: Any) -> None:
    """Whatever mark a table has for them."""
    (result,) = read(row(**{key: empty})).results
    assert isinstance(result, Scored)
    assert (result.epoch, result.output) == (1, Output())


@pytest.mark.parametrize("empty", [None, NAN, pd.NA])
def test_an_empty_score_beside_an_error_is_no_score(empty: Any) -> None:
    """Tables have every column in every row."""
    (result,) = read(row(score=empty, error="down")).results
    assert isinstance(result, Failed)


def test_ids_and_categories_are_texts() -> None:
    """Numbers name cases as well."""
    run = read(row(7, category=3))
    assert (run.cases[0].id, run.cases[0].categories) == ("7", ("3",))


def test_whole_floats_are_epochs() -> None:
    """Tables make floats of whole numbers where a cell is empty."""
    assert read(row(epoch=2.0), row(epoch=np.int64(1))).epochs == 2


@given(st.permutations([row("a", epoch=e, input=f"try {e}") for e in (1, 2)] + [row("b"), row("c", score=0)]))
def test_the_order_of_rows_does_not_matter(rows: list[dict[str, Any]]) -> None:
    """The same run to the last field: a case asks what its first epoch asked."""
    run = read(*rows)
    assert run == read(*sorted(rows, key=lambda each: (each["id"], each.get("epoch", 1))))
    assert run.cases[0].input == "try 1"


def test_the_eval_set_gives_categories_and_the_cases_that_lack_a_row() -> None:
    """A case without row is planned all the same."""
    cases = (make_case("a", categories=("facts",)), make_case("b", categories=("dates",)))
    evalset = EvalSet(name="bot", cases=cases, scorers={})
    run = read({"id": "a", "score": 1}, evalset=evalset)
    assert [(ref.id, ref.categories) for ref in run.cases] == [("a", ("facts",)), ("b", ("dates",))]
    assert (run.cases[0].input, run.cases[0].expected) == ("2 + 2?", "4")
    assert run.evalset == evalset.content()
    assert "case 'z' is not in the eval set" in complaint({"id": "z", "score": 1}, evalset=evalset)


def test_sums_of_partly_unknown_usage_are_unknown() -> None:
    """A sum of some would look like the whole; a call without answer has no part in it."""
    run = read(row("a", tokens_in=5, cost_usd=0.1), row("b", tokens_in=6), row("c", score=None, error="down"))
    assert (run.usage.tokens_in, run.usage.cost_usd, run.usage.calls) == (11, None, 3)


# ---- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(score=NAN), "results.jsonl:1: score nan is no number in [0, 1]. Scale it, or write `error`"),
        (row(score=1.2), "score 1.2 is no number in [0, 1]"),
        (row(score=-0.1), "score -0.1 is no number in [0, 1]"),
        (row(score="1"), "score '1' is no number in [0, 1]"),
        (row(score=10**400), "is no number in [0, 1]"),
        (row(score=[1]), "score [1] is no number in [0, 1]"),
        (row(score=np.array([0.1, 0.2])), "is no number in [0, 1]"),
        (row(score=float("inf")), "score inf is no number in [0, 1]"),
        (row(error="down"), "case 'a' has both a score and an `error`. Exactly one of them is needed."),
        (without("score"), "case 'a' has neither `score` nor `error`. Exactly one of them is needed."),
        (row(score=None), "case 'a' has neither `score` nor `error`"),
        (row(correct=True), "both `score` and `correct`. Keep one of them."),
        (without("score", scores={}), "`scores` is no mapping of names to numbers"),
        (without("score", scores=[1]), "`scores` is no mapping of names to numbers"),
        (without("score", scores={"a": 1, "b": 3}), "b 3 is no number in [0, 1]"),
        (row(epoch=0), "epoch 0 is no whole number from 1"),
        (row(epoch=1.5), "epoch 1.5 is no whole number from 1"),
        (row(epoch="1"), "epoch '1' is no whole number from 1"),
        (row(epoch=True), "epoch True is no whole number from 1"),
        (without("category"), "case 'a' has no `category`. Add one to each row, or pass the eval set (`--evalset`)."),
        (row(category=""), "case 'a' has no `category`"),
        (row(category=[]), "case 'a' has no `category`"),
        (row(category=NAN), "case 'a' has no `category`"),
        (row(category=pd.NA), "case 'a' has no `category`"),
        (row(category=["x", None]), "case 'a' has no `category`"),
        (row(category={"x": 1}), "`category` is a text or a list of texts, this is {'x': 1}"),
        (row(category=[["x"]]), "`category` is a text or a list of texts"),
        (row(category="*"), "category '*' stands for every case and cannot be one of them"),
        (without("id"), "results.jsonl:1: no `id`. Each row names its case."),
        (row(""), "no `id`"),
        (row(NAN), "no `id`"),
        (row(pd.NA), "no `id`"),
        (row(["a"]), "no `id`"),
        (row(latency_s="fast"), "latency_s 'fast' is no number from 0"),
        (row(cost_usd=-1), "cost_usd -1 is no number from 0"),
        (row(tokens_in=float("inf")), "tokens_in inf is no number from 0"),
        (row(tokens_out=10**400), "is no number from 0"),
        ("a,facts,1", "results.jsonl:1: a row is a mapping, this is str"),
        (["a", "facts", 1], "a row is a mapping, this is list"),
        (None, "a row is a mapping, this is NoneType"),
    ],
)
def test_a_bad_row_is_refused_with_its_place_and_what_is_wrong(bad: Any, message: str) -> None:
    """One message: where, what, what now."""
    told = complaint(bad)
    assert told.startswith("results.jsonl:1: ")
    assert message in told


def test_a_result_that_stands_twice_names_both_places() -> None:
    """The same case and epoch, though the scores agree."""
    assert complaint(row(), row("b"), row()) == (
        "results.jsonl:3: case 'a', epoch 1 stands twice (first in results.jsonl:1). "
        "Give repeats an `epoch` of their own: 1, 2, …"
    )


def test_a_case_cannot_change_its_category_between_epochs() -> None:
    """Which of them should its scores count in?"""
    told = complaint(row(), row(epoch=2, category="dates"))
    assert "case 'a' is of category dates here and of facts before" in told


def test_no_row_is_no_run() -> None:
    """Absent data is never good data."""
    assert complaint() == "results.jsonl: no row. Recorded results need at least one row."


def test_every_fault_is_told_up_to_a_limit() -> None:
    """A wrong column has one in each row."""
    assert complaint(row("a", score=2), row("b", score=3)).count("\n") == 1
    with pytest.raises(InputError) as refused:
        read(*(row(f"c-{n}", score=7) for n in range(100)))
    assert len(refused.value.faults) == MOST_FAULTS


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
KEYS = (
    "id",
    "category",
    "score",
    "correct",
    "scores",
    "error",
    "epoch",
    "latency_s",
    "tokens_in",
    "output",
    "tool_calls",
)


@given(st.lists(st.dictionaries(st.sampled_from(KEYS), JUNK) | JUNK, max_size=4))
def test_whatever_is_given_is_a_run_or_an_input_error(rows: list[Any]) -> None:
    """Never another exception, and a run's scores are in [0, 1]."""
    try:
        run = read(*rows)
    except InputError as refused:
        assert str(refused)
        return
    assert all(isinstance(each, Mapping) for each in rows)
    assert all(0 <= result.score <= 1 for result in run.results if isinstance(result, Scored))
