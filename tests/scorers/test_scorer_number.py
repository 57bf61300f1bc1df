"""The scorer `number`."""

from __future__ import annotations

from decimal import Decimal

import pytest
from builders import make_case
from hypothesis import given
from hypothesis import strategies as st
from scoring import faults, mark, problem, value

from evalgate.scorers.numeric import numbers_in


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the total is 42.", ["42"]),
        ("$1,234.50 or 1'234", ["1234.50", "1234"]),
        ("−7, -$5, $-6, +8", ["-7", "-5", "-6", "8"]),
        ("10-20 of GPT-4", ["10", "20", "4"]),
        ("1.5e3 and 3 × 10^8 and 2 \\times 10^{-2}", ["1500", "300000000", "0.02"]),
        (".5 is 50 %", ["0.5", "50"]),
        ("[1,2,3]", ["1", "2", "3"]),
        ("12\u202f500 EUR", ["12500"]),
        ("30days, B12, H2O, v1.2", ["30"]),
        ("\\boxed{17}", ["17"]),
        ("**9**", ["9"]),
        ("1e999999999", ["1"]),
        ("none", []),
        ("", []),
    ],
)
def test_numbers_are_read_as_people_write_them(text, found):
    """Separators, signs, currency, powers of ten; digits inside words are none."""
    assert list(numbers_in(text)) == [Decimal(number) for number in found]


def test_a_comma_may_be_the_decimal_sign():
    """`decimal: ","` swaps the two signs."""
    assert list(numbers_in("1.234,5 und 0,25", ",")) == [Decimal("1234.5"), Decimal("0.25")]
    assert value("number", "Es sind 1.234,5", make_case(expected="1234,5"), decimal=",") == 1.0


@given(st.integers(-(10**15), 10**15), st.sampled_from(["{:d}", "{:,d}", "about {:d}.", "({:d})"]))
def test_an_integer_is_read_back_as_it_was_written(number, form):
    """With or without separators, in a sentence or in brackets."""
    assert list(numbers_in(form.format(number))) == [Decimal(number)]


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_a_float_is_read_back_as_it_was_written(number):
    """Python's own notation is among those that are read, exponents included."""
    assert list(numbers_in(f"= {number!r}")) == [Decimal(repr(number))]


@given(st.text(max_size=60))
def test_any_text_can_be_read(text):
    """No text makes the reading fail, and the score is 0 or 1."""
    assert value("number", text, make_case(expected="4"), which="any") in (0.0, 1.0)


@pytest.mark.parametrize(
    ("output", "expected", "options", "right"),
    [
        ("2 + 2 = 4", "4", {}, True),
        ("4 = 2 + 2", "4", {}, False),
        ("4 = 2 + 2", "4", {"which": "first"}, True),
        ("2, 4, 6", "4", {"which": "any"}, True),
        ("2, 4", "4", {"which": "only"}, False),
        ("4, I repeat, 4", "4", {"which": "only"}, True),
        ("4.0", "4", {}, True),
        ("0.3", "0.2", {"tolerance": 0.1}, True),
        ("0.31", "0.2", {"tolerance": 0.1}, False),
        ("101", "100", {"tolerance": 0.01, "relative": True}, True),
        ("-101", "-100", {"tolerance": 0.01, "relative": True}, True),
        ("102", "100", {"tolerance": 0.01, "relative": True}, False),
        ("$1,200.00", "1200", {}, True),
        ("30", "30 days", {}, True),
        ("7", {"min": 5, "max": 10}, {}, True),
        ("11", {"min": 5, "max": 10}, {}, False),
        ("11", {"min": 5}, {}, True),
        ("4", 4.0, {}, True),
        ("no idea", "4", {}, False),
        (None, "4", {}, False),
    ],
)
def test_the_right_number_is_recognised(output, expected, options, right):
    """By value, at the place asked for, within the tolerance."""
    assert value("number", output, make_case(expected=expected), **options) == float(right)


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (None, "no `expected`"),
        ("many", "holds no number"),
        ("5-10", "holds 2 numbers"),
        (True, "no number"),
        ({"min": 9, "max": 5}, "above"),
        ({"low": 9}, "{min: …, max: …}"),
        ({}, "{min: …, max: …}"),
        ([1, 2], "no number"),
    ],
)
def test_an_expectation_that_is_no_number_is_known_beforehand(expected, words):
    """With what to write instead."""
    assert words in (problem("number", make_case(expected=expected)) or "")


def test_reasons_give_both_numbers():
    """Short ones, whatever was written."""
    assert mark("number", "5").reason == "expected 4, got 5"
    assert mark("number", "five").reason == 'expected 4, found no number in "five"'
    assert len(mark("number", "9" * 9999).reason) < 80


def test_a_negative_tolerance_is_a_fault():
    """Nothing could be within it."""
    assert faults("number", tolerance=-1.0) == ["`tolerance` is -1: write 0 or more"]
