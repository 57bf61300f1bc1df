"""The scorer `choice`."""

from __future__ import annotations

import pytest
from builders import make_case
from hypothesis import given
from hypothesis import strategies as st
from scoring import faults, mark, problem, value

LETTERS = ["A", "B", "C", "D"]


@pytest.mark.parametrize(
    "output",
    [
        "B",
        "b",
        "(B)",
        " B. ",
        "**B**",
        "B. Paris",
        "B) Paris",
        "B\nbecause it is the capital",
        "(B) Paris",
        "Answer: B",
        "The answer is B.",
        "The correct answer is (b)",
        "the correct option is: **B**",
        "I would choose option B",
        "\\boxed{B}",
        "Let me think. A river is no city.\n\nB",
        "Option A is wrong, so the answer is B.",
        "It is not A. The answer: B",
        "It has to be (B), as a capital.",
        "A good choice would be B",
        "I think B",
        "A is wrong; it is B",
        "Ｂ",
    ],
)
def test_the_choice_that_an_output_commits_to_is_found(output):
    """In the usual ways of answering a multiple-choice question."""
    assert mark("choice", output, make_case(expected="B"), choices=LETTERS).reason == 'commits to "B"'


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("A or B", "several"),
        ("The answer is A. No, the answer is B.", "several"),
        ("Paris, I think", "commits to no choice"),
        ("A good question!", "commits to no choice"),
        ("not B", "commits to no choice"),
        ("C", 'got "C"'),
        ("", "empty"),
        (None, "no text"),
    ],
)
def test_no_single_right_choice_is_0_with_the_reason(output, words):
    """None, several and a wrong one are told apart."""
    score = mark("choice", output, make_case(expected="B"), choices=LETTERS)
    assert score.value == 0.0
    assert words in score.reason


@pytest.mark.parametrize(
    ("output", "expected", "right"),
    [
        ("Yes, within 30 days.", "yes", True),
        ("No.", "yes", False),
        ("I'd say yes", "yes", True),
        ("yes and no", "yes", False),
        ("Nothing is known", "no", False),
    ],
)
def test_choices_may_be_words(output, expected, right):
    """Whole words only: `no` is not in `Nothing`."""
    assert value("choice", output, make_case(expected=expected), choices=["yes", "no"]) == float(right)


def test_a_choice_may_be_given_by_its_text():
    """With a mapping, the label and its text mean the same, on both sides."""
    cities = {"A": "London", "B": "Paris"}
    assert value("choice", "It is Paris.", make_case(expected="B"), choices=cities) == 1.0
    assert value("choice", "B", make_case(expected="Paris"), choices=cities) == 1.0
    assert value("choice", "London", make_case(expected="B", metadata={"choices": cities})) == 0.0


def test_the_longer_choice_wins_over_the_one_it_begins_with():
    """`partly true` is not `true`."""
    choices = ["true", "partly true"]
    assert value("choice", "That is partly true.", make_case(expected="partly true"), choices=choices) == 1.0


@pytest.mark.parametrize(
    ("case", "options", "words"),
    [
        (make_case(expected=None), {"choices": LETTERS}, "no choice in `expected`"),
        (make_case(expected="E"), {"choices": LETTERS}, "none of the choices A, B, C, D"),
        (make_case(expected="reed"), {"choices": ["red", "green"]}, "Did you mean `red`?"),
        (make_case(expected="4"), {}, "A, B, C"),
        (make_case(expected="A", metadata={"choices": "A"}), {}, "neither a list"),
        (make_case(expected="A", metadata={"choices": ["A"]}), {}, "fewer than two"),
    ],
)
def test_a_case_whose_answer_is_no_choice_is_known_beforehand(case, options, words):
    """With the choices that there are."""
    assert words in (problem("choice", case, **options) or "")


@pytest.mark.parametrize(
    ("choices", "words"),
    [([], "fewer than two"), (["A"], "fewer than two"), (["A", " "], "empty"), ({"A": "x", "B": "x"}, "two choices")],
)
def test_choices_that_cannot_be_told_apart_are_faults(choices, words):
    """Before any call."""
    assert words in faults("choice", choices=choices)[0]


@given(st.text(max_size=80))
def test_any_output_is_right_or_wrong(output):
    """No text makes the search fail."""
    assert value("choice", output, make_case(expected="B"), choices=LETTERS) in (0.0, 1.0)
