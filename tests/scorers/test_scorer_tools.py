"""The scorer `tool_calls`."""

from __future__ import annotations

import pytest
from builders import make_case, make_output
from hypothesis import given
from hypothesis import strategies as st
from scoring import mark, problem, value

from evalgate.errors import ScorerError
from evalgate.records import ToolCall

FIND = {"name": "find", "arguments": {"city": "Oslo", "days": 3}}
BOOK = {"name": "book", "arguments": {"id": 7}}


def calling(*calls):
    return make_output(None, tool_calls=tuple(ToolCall(**call) for call in calls))


def wanting(*calls):
    return make_case(metadata={"expected_tool_calls": list(calls)})


@pytest.mark.parametrize(
    ("wanted", "given_calls", "options", "expected"),
    [
        ([FIND, BOOK], [FIND, BOOK], {}, 1.0),
        ([FIND, BOOK], [BOOK, FIND], {}, 0.0),
        ([FIND, BOOK], [BOOK, FIND], {"mode": "any_order"}, 1.0),
        ([FIND], [FIND, BOOK], {}, 0.0),
        ([FIND], [FIND, BOOK], {"mode": "any_order"}, 0.0),
        ([FIND], [BOOK, FIND], {"mode": "subset"}, 1.0),
        ([FIND, FIND], [FIND], {"mode": "subset"}, 0.0),
        ([FIND], [{"name": "find", "arguments": {}}], {}, 0.0),
        ([FIND], [{"name": "find", "arguments": {}}], {"mode": "names"}, 1.0),
        ([FIND], [{"name": "find", "arguments": {}}], {"arguments": "ignore"}, 1.0),
        ([{"name": "find", "arguments": {"city": "Oslo"}}], [FIND], {}, 1.0),
        ([{"name": "find", "arguments": {"city": "Oslo"}}], [FIND], {"arguments": "equal"}, 0.0),
        ([{"name": "find", "arguments": {}}], [FIND], {"arguments": "equal"}, 0.0),
        ([{"name": "find"}], [FIND], {"arguments": "equal"}, 1.0),
        (["find"], [FIND], {}, 1.0),
        ([FIND], [{"name": "find", "arguments": "{broken"}], {}, 0.0),
        ([FIND, BOOK], [FIND], {"partial": True}, 0.5),
        ([FIND], [FIND, BOOK], {"partial": True}, 0.5),
        ([FIND, BOOK], [BOOK, FIND], {"partial": True}, 0.5),
        ([], [], {}, 1.0),
        ([], [FIND], {}, 0.0),
        ([FIND], [], {}, 0.0),
    ],
)
def test_calls_are_compared_as_asked(wanted, given_calls, options, expected):
    """Order, further calls and arguments by option."""
    assert value("tool_calls", calling(*given_calls), wanting(*wanted), **options) == expected


def test_arguments_compare_by_value_and_within_a_tolerance():
    """3 is 3.0, and a tolerance holds for each number."""
    given_calls = calling({"name": "find", "arguments": {"city": "Oslo", "days": 3.0}})
    assert value("tool_calls", given_calls, wanting(FIND)) == 1.0
    near = {"name": "find", "arguments": {"days": 3.4}}
    assert value("tool_calls", given_calls, wanting(near), tolerance=0.5) == 1.0


def test_expected_calls_may_stand_in_expected_or_in_json_text():
    """Without the column, `expected`; as JSON text, for CSV."""
    assert value("tool_calls", calling(FIND), make_case(expected=[FIND])) == 1.0
    assert value("tool_calls", calling(FIND), make_case(expected="find")) == 1.0
    assert value("tool_calls", calling(BOOK), make_case(expected='[{"name": "book", "arguments": {"id": 7}}]')) == 1.0


@pytest.mark.parametrize(
    ("case", "options", "words"),
    [
        (make_case(expected=None), {}, "no expected tool calls"),
        (wanting(), {"mode": "subset"}, "every output would pass"),
        (wanting({"arguments": {}}), {}, "is no tool call"),
        (wanting({"name": "f", "args": {}}), {}, "`args`"),
        (make_case(expected="[oops"), {}, "is no JSON"),
    ],
)
def test_a_case_without_calls_to_compare_with_is_known_beforehand(case, options, words):
    """With what to write."""
    assert words in (problem("tool_calls", case, **options) or "")


@pytest.mark.parametrize(
    ("wanted", "given_calls", "reason"),
    [
        ([FIND], [], 'expected "find", got no tool call'),
        ([], [FIND], 'expected no tool call, got "find"'),
        ([FIND], [BOOK], 'expected "find", got "book" (0 of 1 calls right)'),
        (
            [FIND],
            [{"name": "find", "arguments": {"city": "Rome", "days": 3}}],
            'find.city: expected "Oslo", got "Rome" (0 of 1 calls right)',
        ),
        (
            [FIND, BOOK],
            [BOOK, FIND],
            'expected "find", "book" in this order and number, got "book", "find" (1 of 2 calls right)',
        ),
        ([FIND], [FIND, BOOK], 'expected "find", got "find", "book" (1 of 2 calls right)'),
    ],
)
def test_the_reason_names_the_first_difference(wanted, given_calls, reason):
    """Tool, argument, order or number."""
    assert mark("tool_calls", calling(*given_calls), wanting(*wanted)).reason == reason


def test_a_flood_of_calls_is_unscored():
    """Rather than a run that stands still."""
    with pytest.raises(ScorerError, match="201 tool calls"):
        mark("tool_calls", calling(*[FIND] * 201), wanting(FIND))


@given(
    st.lists(st.sampled_from([FIND, BOOK, {"name": "find", "arguments": {"city": "Rome"}}]), max_size=5),
    st.lists(st.sampled_from([FIND, BOOK]), max_size=5),
    st.sampled_from(["exact", "any_order", "names"]),
    st.sampled_from(["subset", "equal", "ignore"]),
)
def test_a_share_is_1_exactly_where_all_is_right(given_calls, wanted, mode, arguments):
    """And in [0, 1] everywhere."""
    options = {"mode": mode, "arguments": arguments}
    share = value("tool_calls", calling(*given_calls), wanting(*wanted), partial=True, **options)
    assert 0 <= share <= 1
    assert (share == 1) == (value("tool_calls", calling(*given_calls), wanting(*wanted), **options) == 1)
