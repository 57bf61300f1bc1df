"""The table of kinds, and what holds for every one of them."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from builders import make_case, make_output
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scoring import faults, scorer

import evalgate
from evalgate.errors import InputError, ScorerError
from evalgate.records import ScorerSpec, ToolCall
from evalgate.scorers import KINDS, SHORTHAND
from evalgate.scorers.build import build, check

REQUIRED = {"json_schema": {"schema": {"type": "object"}}, "judge": {"rubric": "good"}}
BARE = {
    "exact": "a",
    "contains": ["a", "b"],
    "regex": "^a",
    "number": 0.5,
    "choice": ["A", "B"],
    "json_schema": {"type": "object"},
    "json_subset": {"a": 1},
    "fuzzy": 0.8,
    "refusal": "answer",
    "retrieval": "mrr",
    "tool_calls": "any_order",
    "judge": "good",
}
PLAIN = sorted(set(KINDS) - {"judge"})
VALUES = st.none() | st.text(max_size=20) | st.integers() | st.lists(st.text(max_size=5), max_size=3)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_a_version_options_and_a_shorthand(name):
    """The version is tagged with the kind; the shorthand names one of the options."""
    kind = KINDS[name]
    assert kind.VERSION.partition("/")[0] == name
    assert SHORTHAND[name] in {option.name for option in dataclasses.fields(kind)}
    assert kind.__doc__


@pytest.mark.parametrize("name", KINDS)
def test_options_are_checked_by_their_annotations(name):
    """What the configuration's reader relies on: it accepts the shorthand's value and refuses an unknown option."""
    options = {**REQUIRED.get(name, {}), SHORTHAND[name]: BARE[name]}
    adapter = TypeAdapter(KINDS[name])
    assert adapter.validate_python(options).faults() == []
    assert check(ScorerSpec(name=name, options=options)) == []
    with pytest.raises(ValidationError):
        adapter.validate_python({**options, "ignore_cases": True})


@pytest.mark.parametrize("name", PLAIN)
def test_an_option_at_its_default_changes_no_version(name):
    """Only what could change a judgement does."""
    required = REQUIRED.get(name, {})
    kind = KINDS[name](**required)
    written_out = {option.name: getattr(kind, option.name) for option in dataclasses.fields(kind)}
    assert scorer(name, **written_out).version == scorer(name, **required).version
    assert scorer(name, **{**required, SHORTHAND[name]: BARE[name]}).version.startswith(f"{name}/1")


@settings(max_examples=200)
@given(
    st.sampled_from(PLAIN),
    VALUES | st.dictionaries(st.text(max_size=4), VALUES, max_size=2),
    st.none() | st.text(max_size=30),
    VALUES,
    st.none() | st.lists(VALUES.filter(lambda item: item is not None), max_size=3),
    st.lists(st.text(max_size=4), max_size=2),
)
def test_every_judgement_is_in_0_to_1_or_there_is_none(name, expected, text, data, contexts, tools):
    """Whatever the case and the output: a value in [0, 1] with a reason, or ScorerError; never another exception.

    And a case without a problem is never found lacking later.
    """
    built = scorer(name, **REQUIRED.get(name, {}))
    case = make_case(expected=expected)
    output = make_output(
        text,
        data=data,
        contexts=None if contexts is None else tuple(contexts),
        tool_calls=tuple(ToolCall(name=tool) for tool in tools),
    )
    problem = built.problem(case)
    try:
        score = built.score_now(case, output)
    except ScorerError as error:
        assert name == "retrieval" or problem is not None
        assert problem is None or problem in str(error)
        return
    assert problem is None
    assert 0 <= score.value <= 1
    assert score.reason.isprintable()
    assert len(score.reason) <= 400
    assert score == built.score_now(case, output)


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (ScorerSpec(name="contain"), "unknown scorer `contain`. Did you mean `contains`?"),
        (ScorerSpec(name="zzz"), "unknown scorer `zzz`. Known: exact, contains"),
        (
            ScorerSpec(name="exact", options={"ignore_cases": True}),
            "no option `ignore_cases`. Did you mean `ignore_case`?",
        ),
        (ScorerSpec(name="exact", weight=0.0), "`weight` is 0: write more than 0"),
        (ScorerSpec(name="exact", weight=float("nan")), "`weight` is nan"),
        (ScorerSpec(name="json_schema"), "the option `schema` is required"),
    ],
)
def test_a_spec_that_cannot_be_built_says_why(spec, fault):
    """The same sentence from `check` and from `build`."""
    assert check(spec)[0].startswith(fault)
    with pytest.raises(InputError, match=r"^scorer `"):
        build(spec)


def test_a_score_carries_name_version_and_weight():
    """All that the history keeps of who judged."""
    built = build(ScorerSpec(name="exact", options={"ignore_case": True}, weight=2.0))
    score = built.score_now(make_case(), make_output("4"))
    assert (score.scorer, score.weight) == ("exact", 2.0)
    assert score.version == built.version
    assert score.version.startswith("exact/1+s1:")
    assert not built.is_async


def test_nothing_wrong_means_no_faults():
    """The plainest scorer."""
    assert faults("exact") == []


def test_importing_the_table_loads_no_kind_and_no_library():
    """Start-up is part of the product: a suite of `exact` waits for neither jsonschema nor rapidfuzz."""
    program = (
        "import sys, evalgate.scorers, evalgate.scorers.build; list(evalgate.scorers.KINDS);"
        "heavy = {'jsonschema', 'rapidfuzz', 'pydantic', 'evalgate.scorers.judge', 'evalgate.scorers.structure'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    folder = Path(evalgate.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", program], cwd=folder, check=False).returncode == 0
