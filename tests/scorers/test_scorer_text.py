"""exact, contains, regex, fuzzy, and the differences between texts that may be ignored."""

from __future__ import annotations

import pytest
from builders import make_case, make_output
from hypothesis import given
from hypothesis import strategies as st
from scoring import faults, mark, problem, scorer, value

from evalgate.errors import ScorerError
from evalgate.scorers.text import REGEX_REACH
from evalgate.scorers.wording import QUOTED, Wording, quoted

SWITCHES = st.fixed_dictionaries(
    {
        name: st.booleans()
        for name in ("ignore_case", "ignore_punctuation", "ignore_whitespace", "ignore_articles", "unicode")
    }
)
TRICKY = st.text(alphabet="aAthe '’-.,:/_5٣ßſİéﬁ①\u0301\u00a0\u200b\n$−(", max_size=12)


@given(st.one_of(st.text(max_size=20), TRICKY), SWITCHES)
def test_normalising_twice_changes_nothing_more(text, switches):
    """What is ignored is ignored at once: a normal text is its own normal form."""
    wording = Wording(**switches)
    once = wording.normal(text)
    assert wording.normal(once) == once


@given(st.text(min_size=1, max_size=40), SWITCHES)
def test_every_text_is_exactly_itself(text, switches):
    """Whatever is ignored, an output equal to the expected text is right."""
    assert value("exact", text, make_case(expected=text), **switches) == 1.0


@pytest.mark.parametrize(
    ("output", "expected", "options", "right"),
    [
        ("30 days", "30 days", {}, True),
        (" 30 days\n", "30 days", {}, True),
        ("30  days", "30 days", {}, False),
        ("30  days", "30 days", {"ignore_whitespace": True}, True),
        ("Yes", "yes", {}, False),
        ("Yes", "yes", {"ignore_case": True}, True),
        ("STRASSE", "straße", {"ignore_case": True}, True),
        ("Yes.", "yes", {"ignore_case": True, "ignore_punctuation": True}, True),
        ("-5", "5", {"ignore_punctuation": True}, False),
        ("3.50", "350", {"ignore_punctuation": True}, False),
        ("don't", "dont", {"ignore_punctuation": True}, True),
        ("The red door", "a red door", {"ignore_articles": True}, True),
        ("theory", "ory", {"ignore_articles": True}, False),
        ("３０", "30", {}, True),
        ("３０", "30", {"unicode": False}, False),
        ("b", ["a", "b"], {}, True),
        ("c", ["a", "b"], {}, False),
        ("true", True, {}, True),
        ("x", "y", {"value": "x"}, True),
        ("", "", {}, True),
        (None, "", {}, False),
    ],
)
def test_exact_overlooks_what_it_was_told_to_and_nothing_else(output, expected, options, right):
    """Surrounding white space and equivalent characters never count; everything else only by option."""
    assert value("exact", output, make_case(expected=expected), **options) == float(right)


def test_exact_reads_structured_output_as_json():
    """An endpoint that gives structure instead of text is compared by its JSON."""
    assert value("exact", make_output(None, data={"b": 1, "a": 2}), make_case(expected='{"a": 2, "b": 1}')) == 1.0


@pytest.mark.parametrize("name", ["exact", "contains", "fuzzy", "regex"])
@pytest.mark.parametrize("expected", [None, [], {"a": 1}, [{"a": 1}]])
def test_a_case_without_a_text_to_compare_with_is_known_beforehand(name, expected):
    """The problem names `expected` and says what else to write."""
    said = problem(name, make_case(expected=expected))
    assert said is not None
    assert "`expected`" in said
    with pytest.raises(ScorerError):
        scorer(name).score_now(make_case(expected=expected), make_output("x"))


@pytest.mark.parametrize("name", ["contains", "fuzzy", "regex"])
def test_an_empty_expectation_is_a_problem_not_a_pass(name):
    """Every text contains the empty one: such a case must not pass for that."""
    assert "empty" in (problem(name, make_case(expected="")) or "")


@pytest.mark.parametrize(
    ("output", "options", "expected"),
    [
        ("within 30 days", {"value": "30 days"}, 1.0),
        ("within 130 days", {"value": "30 days"}, 1.0),
        ("within 130 days", {"value": "30 days", "words": True}, 0.0),
        ("within 30 days.", {"value": "30 days", "words": True}, 1.0),
        ("a and b", {"value": ["a", "b"]}, 1.0),
        ("only a", {"value": ["a", "z"]}, 0.0),
        ("only a", {"value": ["a", "z"], "mode": "any"}, 1.0),
        ("only a", {"value": ["a", "z"], "partial": True}, 0.5),
        ("A", {"value": "a", "ignore_case": True}, 1.0),
        ("fine", {"value": [], "absent": ["sorry"]}, 1.0),
        ("sorry", {"value": [], "absent": "sorry"}, 0.0),
        ("30, sorry", {"value": "30", "absent": "sorry"}, 0.0),
        ("  ", {"value": [], "absent": "sorry"}, 0.0),
        (None, {"value": [], "absent": "sorry"}, 0.0),
    ],
)
def test_contains_finds_what_has_to_be_there_and_what_must_not(output, options, expected):
    """All or any of the wanted texts, none of the unwanted, and saying nothing is never a pass."""
    assert value("contains", output, **options) == expected


def test_contains_with_absent_alone_still_asks_for_an_expectation():
    """A forgotten `expected` is not taken for "check only what is absent"; the message shows how to say that."""
    assert "`value: []`" in (problem("contains", make_case(expected=None), absent=["x"]) or "")


@pytest.mark.parametrize(
    ("output", "options", "right"),
    [
        ("order AB-12 sent", {"pattern": r"[A-Z]{2}-\d+"}, True),
        ("order ab-12 sent", {"pattern": r"[A-Z]{2}-\d+"}, False),
        ("order ab-12 sent", {"pattern": r"[A-Z]{2}-\d+", "ignore_case": True}, True),
        ("order AB-12", {"pattern": r"[A-Z]{2}-\d+", "full": True}, False),
        (" AB-12\n", {"pattern": r"[A-Z]{2}-\d+", "full": True}, True),
        ("a\nb", {"pattern": "^b$"}, False),
        ("a\nb", {"pattern": "^b$", "multiline": True}, True),
        ("a\nb", {"pattern": "a.b"}, False),
        ("a\nb", {"pattern": "a.b", "dotall": True}, True),
        (None, {"pattern": ".*"}, False),
    ],
)
def test_regex_matches_as_asked(output, options, right):
    """Somewhere or the whole, with the usual flags."""
    assert value("regex", output, **options) == float(right)


def test_the_expected_text_may_be_the_pattern():
    """Without `pattern` the case brings it, and a bad one is named with the place of its fault."""
    assert value("regex", "12 kg", make_case(expected=r"\d+ kg")) == 1.0
    assert problem("regex", make_case(expected="a(b")) == (
        '"a(b" is no regular expression: missing ), unterminated subpattern at character 2'
    )


def test_a_text_too_long_for_a_regex_is_unscored_unless_the_match_is_found():
    """What was not looked at is neither right nor wrong."""
    long = "x" * REGEX_REACH
    assert value("regex", "ok " + long, pattern="ok") == 1.0
    with pytest.raises(ScorerError, match="100,000"):
        mark("regex", long + " ok", pattern="ok")


def test_fuzzy_is_graded_or_passes_from_a_minimum():
    """Without `min` the similarity is the score; with it the score is 0 or 1."""
    case = make_case(expected=["hello world", "goodbye"])
    assert 0.9 < value("fuzzy", "hello wrld", case) < 1
    assert value("fuzzy", "hello wrld", case, min=0.9) == 1.0
    assert value("fuzzy", "hello wrld", case, min=0.99) == 0.0
    assert value("fuzzy", "world hello", case, method="token_sort") == 1.0
    assert value("fuzzy", " ", case) == 0.0


@given(
    st.text(max_size=30),
    st.text(min_size=1, max_size=30).filter(str.strip),
    st.sampled_from(["ratio", "partial_ratio", "token_set", "token_sort", "wratio"]),
)
def test_fuzzy_stays_between_0_and_1(output, expected, method):
    """Whatever the texts and the method."""
    if make_case(expected=expected) and problem("fuzzy", make_case(expected=expected)) is None:
        assert 0 <= value("fuzzy", output, make_case(expected=expected), method=method) <= 1


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("exact", {"value": []}, "no output could be right"),
        ("contains", {"value": ""}, "empty"),
        ("contains", {"value": [".", "a"], "ignore_punctuation": True}, "becomes so"),
        ("contains", {"value": []}, "nothing would be checked"),
        ("contains", {"value": "a", "mode": "any", "partial": True}, "leave out one"),
        ("regex", {"pattern": "a(b"}, "at character 2"),
        ("regex", {"pattern": ""}, "empty"),
        ("regex", {"pattern": "*"}, "nothing to repeat at character 1"),
        ("fuzzy", {"min": 0.0}, "above 0"),
        ("fuzzy", {"min": 80}, "up to 1"),
        ("fuzzy", {"value": []}, "nothing to be similar to"),
    ],
)
def test_options_that_could_not_work_are_faults(name, options, words):
    """Said before any call, with the reason."""
    found = faults(name, **options)
    assert found
    assert words in found[0]


@given(st.text(max_size=300))
def test_a_quotation_is_one_short_printable_line(text):
    """Reasons go to terminals, logs and Markdown: no line breaks, no control or direction characters."""
    assert quoted(text).isprintable()
    assert len(quoted("a" * 500)) == QUOTED + 2


def test_a_reason_shows_both_sides():
    """What was expected and what came, in one sentence."""
    assert mark("exact", "40 days\nor so").reason == 'expected "4", got "40 days\\nor so"'
