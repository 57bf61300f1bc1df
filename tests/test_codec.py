"""Results survive being written."""

import json

import pytest
from builders import make_scored
from hypothesis import given
from hypothesis import strategies as st

from evalgate.codec import result_from_json, result_to_json
from evalgate.records import Failed, Output, Score, Scored, Stage, ToolCall

numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too: models send them
values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
maybe_text = st.none() | texts
maybe_count = st.none() | st.integers(min_value=0)
outputs = st.builds(
    Output,
    text=maybe_text,
    data=values,
    tool_calls=st.lists(st.builds(ToolCall, name=texts, arguments=values), max_size=2).map(tuple),
    contexts=st.none() | st.lists(values, max_size=2).map(tuple),
    latency_s=st.none() | numbers,
    tokens_in=maybe_count,
    tokens_out=maybe_count,
    cost_usd=st.none() | numbers,
    model=maybe_text,
    system_fingerprint=maybe_text,
    response_id=maybe_text,
    finish_reason=maybe_text,
    cached=st.booleans(),
)
scores = st.builds(Score, scorer=texts, value=st.floats(0, 1), reason=texts, version=texts, weight=st.floats(0.1, 10))
common = {"case_id": texts, "epoch": st.integers(1, 99), "attempts": st.integers(0, 9)}
results = st.builds(
    Scored, score=st.floats(0, 1), scores=st.lists(scores, max_size=3).map(tuple), output=outputs, **common
) | st.builds(Failed, stage=st.sampled_from(Stage), cause=texts, output=st.none() | outputs, **common)


@given(results)
def test_a_result_comes_back_exactly(result: Scored | Failed) -> None:
    """Every field of every result survives JSON text and back, whatever characters a model sent."""
    assert result == result_from_json(json.loads(json.dumps(result_to_json(result))))


@pytest.mark.parametrize(
    "row",
    [None, 7, [], {}, {"case": "a"}, {"case": "a", "epoch": 1, "score": 1, "scores": []}, {"stage": "nowhere"}],
)
def test_what_is_no_result_is_refused(row: object) -> None:
    """A damaged line is a ValueError and never half a result."""
    with pytest.raises(ValueError):
        result_from_json(row)


def test_defaults_take_no_room() -> None:
    """A plain result's line holds what was found and nothing else."""
    assert {"case", "epoch", "score", "scores", "output"} == set(result_to_json(make_scored("a")))
