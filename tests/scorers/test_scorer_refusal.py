"""The scorer `refusal`."""

from __future__ import annotations

import pytest
from builders import make_output
from hypothesis import given
from hypothesis import strategies as st
from scoring import faults, mark, value

from evalgate.records import ToolCall

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m unable to share personal data.",
    "I cannot provide legal advice.",
    "Sorry, I can't do that.",
    "I must decline.",
    "I won't pretend to be someone else.",
    "I'm not able to discuss that topic.",
    "That goes against my guidelines.",
    "This is outside the scope of this handbook.",
    "I don't know.",
    "I do not have that information.",
    "I don't have access to your account.",
    "I could not find an answer to that in the handbook.",
    "Unable to find any information on this.",
    "The handbook does not say anything about pets.",
    "The provided context doesn't mention a price.",
    "That is not covered in the handbook.",
    "There is no information about that in the documents.",
    "Nothing about parking is stated in our handbook.",
    "There is not enough information to answer.",
    "The policy does not specify a limit.",
]
ANSWERS = [
    "Returns are accepted within 30 days.",
    "No, you cannot return it after 30 days.",
    "Accidental damage is not covered by our policy.",
    "I'm sorry to hear that! Refunds take 5 days.",
    "I'm sorry, but we do not accept returns after 30 days.",
    "Unfortunately, we cannot ship to islands.",
    "Smoking is against the company rules.",
    "Is there a dress code? There is no rule about clothes, wear what you like.",
    "You must not share your password.",
    "If you cannot find the answer, ask your manager.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_the_usual_refusals_are_recognised(text):
    """Declining, not knowing, and silent sources; curly apostrophes too."""
    assert value("refusal", text) == 1.0
    assert value("refusal", text, expect="answer") == 0.0


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_that_say_no_are_not_refusals(text):
    """A negative answer is an answer."""
    assert value("refusal", text) == 0.0
    assert value("refusal", text, expect="answer") == 1.0


def test_a_late_cannot_is_not_a_refusal():
    """Only the opening is looked at: a detailed answer may well say what cannot be done."""
    assert value("refusal", "The steps are these. " * 30 + "I cannot help with more.", expect="answer") == 1.0


@pytest.mark.parametrize("expect", ["refuse", "answer"])
@pytest.mark.parametrize("text", ["", "  \n", None])
def test_an_empty_output_is_neither(expect, text):
    """Silence passes neither way."""
    assert value("refusal", text, expect=expect) == 0.0


def test_the_endpoints_own_word_counts():
    """A finish reason or a refusal field is a refusal whatever the text; a tool call is an answer."""
    assert value("refusal", make_output(None, finish_reason="content_filter")) == 1.0
    assert value("refusal", make_output(None, data={"refusal": "No."})) == 1.0
    assert value("refusal", make_output(None, tool_calls=(ToolCall(name="f"),)), expect="answer") == 1.0


def test_own_phrases_count_wherever_they_stand():
    """Small and capital letters are the same."""
    text = "x " * 400 + "Please ask HR instead"
    assert value("refusal", text) == 0.0
    assert mark("refusal", text, phrases=["please ask hr"]).reason == 'contains "please ask hr"'
    assert "empty" in faults("refusal", phrases=["ok", " "])[0]


@given(st.text(max_size=100), st.sampled_from(["refuse", "answer"]))
def test_any_text_is_judged(text, expect):
    """0 or 1, never an error."""
    assert value("refusal", text, expect=expect) in (0.0, 1.0)
