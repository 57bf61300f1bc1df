"""The scorer `retrieval`."""

from __future__ import annotations

import pytest
from builders import make_case, make_output
from hypothesis import given
from hypothesis import strategies as st
from scoring import faults, mark, problem, value

from evalgate.errors import ScorerError

CASE = make_case(metadata={"expected_contexts": ["a", "b"]})
METRICS = ["recall", "precision", "f1", "mrr", "hit"]


def returning(*contexts):
    return make_output("x", contexts=tuple({"id": one} if isinstance(one, str) else one for one in contexts))


@pytest.mark.parametrize(
    ("returned", "options", "expected"),
    [
        (("a", "b"), {}, 1.0),
        (("a", "x"), {}, 0.5),
        (("x", "a"), {"k": 1}, 0.0),
        ((), {}, 0.0),
        (("a", "x", "y", "b"), {"metric": "precision"}, 0.5),
        (("a", "a", "x"), {"metric": "precision"}, 0.5),  # the copy is no second find
        (("a", "x"), {"metric": "f1"}, 0.5),
        (("x",), {"metric": "f1"}, 0.0),
        (("x", "y", "b"), {"metric": "mrr"}, 1 / 3),
        (("x",), {"metric": "mrr"}, 0.0),
        (("x", "b"), {"metric": "hit"}, 1.0),
        (("x",), {"metric": "hit"}, 0.0),
    ],
)
def test_the_measures_are_the_usual_ones(returned, options, expected):
    """Hand-worked: two passages are expected."""
    assert value("retrieval", returning(*returned), CASE, **options) == pytest.approx(expected)


def test_texts_are_found_within_passages_that_have_no_id():
    """Whatever their letters and white space."""
    case = make_case(metadata={"expected_contexts": ["returned within 30 days"]})
    assert value("retrieval", make_output("x", contexts=("Goods may be Returned\nwithin 30 days.",)), case) == 1.0
    assert value("retrieval", make_output("x", contexts=("Goods may be returned.",)), case) == 0.0
    assert value("retrieval", returning({"text": "returned within 30 days"}), case) == 1.0


def test_an_id_is_not_looked_for_in_texts_of_passages_that_have_ids():
    """`a` is a letter of every text."""
    case = make_case(metadata={"expected_contexts": ["a"]})
    assert value("retrieval", returning({"id": "z", "text": "banana"}), case) == 0.0
    case = make_case(metadata={"expected_contexts": [{"text": "banana"}]})
    assert value("retrieval", returning({"id": "z", "text": "one banana"}), case) == 1.0


def test_the_expected_may_stand_in_context_or_expected_or_another_column():
    """In this order; numbers as ids are compared by how they are written."""
    assert value("retrieval", returning("a"), make_case(context=["a"])) == 1.0
    assert value("retrieval", returning("a"), make_case(expected=["a", "b"])) == 0.5
    assert value("retrieval", returning("a"), make_case(metadata={"expected_contexts": '["a", "b"]'})) == 0.5
    assert value("retrieval", returning({"id": 7}), make_case(metadata={"pages": [7]}), key="pages") == 1.0


def test_an_endpoint_that_does_not_say_is_unscored():
    """Unknown contexts are not the same as none."""
    with pytest.raises(ScorerError, match="does not say"):
        mark("retrieval", make_output("x", contexts=None), CASE)
    with pytest.raises(ScorerError, match="neither `id` nor `text`"):
        mark("retrieval", make_output("x", contexts=({"score": 1},)), CASE)


@pytest.mark.parametrize(
    ("case", "words"),
    [
        (make_case(), "`metadata: {expected_contexts: […]}`"),
        (make_case(metadata={"expected_contexts": []}), "is empty"),
        (make_case(metadata={"expected_contexts": [{"page": 3}]}), "neither `id` nor `text`"),
        (make_case(metadata={"expected_contexts": [""]}), "no words"),
        (make_case(metadata={"expected_contexts": "[a]"}), "no JSON"),
    ],
)
def test_a_case_that_expects_no_context_is_known_beforehand(case, words):
    """Recall of nothing is undefined, it is not 1."""
    assert words in (problem("retrieval", case) or "")


def test_the_reason_counts_and_names():
    """What was found, what is missing, and the rank."""
    assert mark("retrieval", returning("x", "a"), CASE).reason == (
        '1 of 2 expected found in 2 returned, "b" is missing, first at rank 2'
    )


def test_k_has_to_be_positive():
    """`k: 0` would look at nothing."""
    assert faults("retrieval", k=0) == ["`k` is 0: write 1 or more"]


@given(
    st.lists(st.sampled_from("abcd"), min_size=1, max_size=5),
    st.lists(st.sampled_from("abcd"), max_size=6),
    st.sampled_from(METRICS),
    st.none() | st.integers(1, 6),
)
def test_every_measure_stays_between_0_and_1(expected, returned, metric, k):
    """And recall never falls when more is returned."""
    case = make_case(metadata={"expected_contexts": expected})
    assert 0 <= value("retrieval", returning(*returned), case, metric=metric, k=k) <= 1
    assert value("retrieval", returning(*returned, "a"), case) >= value("retrieval", returning(*returned), case)
