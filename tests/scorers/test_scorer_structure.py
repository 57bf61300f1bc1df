"""json_schema and json_subset."""

from __future__ import annotations

import json

import pytest
from builders import make_case, make_output
from hypothesis import given
from hypothesis import strategies as st
from scoring import faults, mark, problem, value

from evalgate.errors import InputError, ScorerError
from evalgate.records import ScorerSpec
from evalgate.scorers.build import build, check

PERSON = {
    "type": "object",
    "required": ["name", "age"],
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=15,
)
STRUCTURE = (st.lists(JSON, min_size=1, max_size=4)) | st.dictionaries(
    st.text(max_size=4), JSON, min_size=1, max_size=4
)


@pytest.mark.parametrize(
    ("output", "right", "words"),
    [
        ('{"name": "x", "age": 3}', True, "valid"),
        ('```json\n{"name": "x", "age": 3}\n```', True, "valid"),
        ('Here it is:\n```\n{"name": "x", "age": 3}\n```\nDone.', True, "valid"),
        ('{"name": "x"}', False, "$ breaks `required`: 'age' is a required property"),
        ('{"name": 1, "age": -1}', False, "$.age breaks `minimum`: -1 is less than the minimum of 0 (and 1 more)"),
        ("name: x", False, "no JSON: Expecting value at line 1, column 1"),
        ('{"name": "x", "age": 3, "age": 4}', False, 'no JSON: the key "age" stands there twice'),
        ('{"name": "x", "age": NaN}', False, "no JSON: NaN is no JSON number"),
        ("[" * 100_000, False, "no JSON: nested too deeply"),
        ("9" * 10_000, False, "no JSON: a number with too many digits"),
        ("```json\n1\n```\n```json\n2\n```", False, "2 fenced blocks"),
        ("", False, "no JSON: the output is empty"),
        (None, False, "no JSON: the output is empty"),
    ],
)
def test_json_schema_accepts_valid_json_only(output, right, words):
    """The reason names the place and the rule of the first error."""
    score = mark("json_schema", output, schema=PERSON)
    assert score.value == float(right)
    assert words in score.reason


def test_json_schema_judges_structured_output_as_it_is():
    """No text is needed where the endpoint gives structure."""
    assert value("json_schema", make_output(None, data={"name": "x", "age": 1}), schema=PERSON) == 1.0


def test_a_fence_can_be_refused():
    """`allow_fence: false` wants the whole output to be JSON."""
    assert value("json_schema", '```json\n{"name": "x", "age": 3}\n```', schema=PERSON, allow_fence=False) == 0.0


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "objekt"}, "no valid JSON Schema: $.type"),
        ({}, "accepts everything"),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, "which it does not hold"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"c": {}}}, '"#/$defs/b"'),
    ],
)
def test_a_schema_that_cannot_judge_is_a_fault(schema, words):
    """References into the network are not followed, they are refused."""
    assert words in faults("json_schema", schema=schema)[0]


def test_references_within_the_schema_work():
    """`$defs` are found, also with an id of the schema's own."""
    schema = {"$id": "https://example.com/s", "$ref": "#/$defs/n", "$defs": {"n": {"type": "number"}}}
    assert faults("json_schema", schema=schema) == []
    assert value("json_schema", "3", schema=schema) == 1.0


def test_a_schema_may_stand_in_a_file_and_its_content_is_part_of_the_version(tmp_path):
    """Relative to the eval set; another content is another version, another path is not."""
    (tmp_path / "a.json").write_text(json.dumps(PERSON))
    (tmp_path / "b.json").write_text(json.dumps(PERSON))
    specs = [
        ScorerSpec(name="json_schema", options={"schema": f"{name}.json"}, base_dir=str(tmp_path)) for name in "ab"
    ]
    first, second = (build(spec) for spec in specs)
    assert first.version == second.version
    (tmp_path / "b.json").write_text(json.dumps({"type": "object"}))
    assert build(specs[1]).version != first.version
    (tmp_path / "b.json").write_text("{")
    assert "`b.json` is no JSON" in check(specs[1])[0]
    assert check(ScorerSpec(name="json_schema", options={"schema": "c.json"}, base_dir=str(tmp_path))) == [
        "there is no file `c.json`"
    ]
    with pytest.raises(InputError, match=r"b\.json"):
        build(specs[1])


@given(STRUCTURE, st.booleans(), st.booleans(), st.booleans())
def test_every_structure_holds_itself(data, ignore_order, ignore_extra_items, loose):
    """Whatever is overlooked, a structure is a subset of itself."""
    options = {"ignore_order": ignore_order, "ignore_extra_items": ignore_extra_items, "loose": loose}
    assert value("json_subset", make_output(None, data=data), make_case(expected=data), **options) == 1.0


@given(STRUCTURE, JSON, st.booleans(), st.booleans())
def test_a_share_is_below_1_unless_all_is_there(wanted, given_data, ignore_order, ignore_extra_items):
    """`partial` stays in [0, 1] and is 1 only where the whole passes."""
    options = {"ignore_order": ignore_order, "ignore_extra_items": ignore_extra_items}
    output = make_output(json.dumps(given_data))
    whole = value("json_subset", output, make_case(expected=wanted), **options)
    share = value("json_subset", output, make_case(expected=wanted), partial=True, **options)
    assert 0 <= share <= 1
    assert (share == 1) == (whole == 1)


@pytest.mark.parametrize(
    ("given_data", "expected", "options", "score"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, {}, 1.0),
        ({"a": 1.0}, {"a": 1}, {}, 1.0),
        ({"a": True}, {"a": 1}, {}, 0.0),
        ({"a": "30"}, {"a": 30}, {}, 0.0),
        ({"a": "30"}, {"a": 30}, {"loose": True}, 1.0),
        ({"a": "True"}, {"a": True}, {"loose": True}, 1.0),
        ({"a": "x"}, {"a": "X"}, {"loose": True}, 0.0),
        ({"a": None}, {"a": "None"}, {"loose": True}, 0.0),
        ({"a": 0.3}, {"a": 0.2}, {"tolerance": 0.1}, 1.0),
        ({"a": 0.31}, {"a": 0.2}, {"tolerance": 0.1}, 0.0),
        ({"a": [1, 2]}, {"a": [2, 1]}, {}, 0.0),
        ({"a": [1, 2]}, {"a": [2, 1]}, {"ignore_order": True}, 1.0),
        ({"a": [1, 1]}, {"a": [1, 2]}, {"ignore_order": True}, 0.0),
        ({"a": [1, 2, 3]}, {"a": [1, 2]}, {}, 0.0),
        ({"a": [1, 9, 2]}, {"a": [1, 2]}, {"ignore_extra_items": True}, 1.0),
        ({"a": [2, 1]}, {"a": [1, 2]}, {"ignore_extra_items": True}, 0.0),
        ({"a": [2, 9, 1]}, {"a": [1, 2]}, {"ignore_extra_items": True, "ignore_order": True}, 1.0),
        # Item 1 also fits {"x": 1}; only the pairing by best fit finds a partner for both.
        ([{"x": 1, "y": 2}, {"x": 1}], [{"x": 1}, {"x": 1, "y": 2}], {"ignore_order": True}, 1.0),
        ({"a": 1, "b": 2, "c": 9}, {"a": 1, "b": 3, "c": 9, "d": 4}, {"partial": True}, 0.5),
        ({"a": [1, 2, 3, 4]}, {"a": [1, 2]}, {"partial": True}, 0.5),
        ([], {"a": 1}, {}, 0.0),
        ({"a": []}, {"a": []}, {}, 1.0),
    ],
)
def test_json_subset_compares_what_is_expected(given_data, expected, options, score):
    """Further keys never matter; order, further items, types and tolerance by option."""
    assert value("json_subset", json.dumps(given_data), make_case(expected=expected), **options) == score


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ('{"items": [{"price": 4}]}', "$.items[0].price: expected 3, got 4"),
        ('{"items": []}', "$.items[0] is missing"),
        ('{"items": {}}', "$.items: expected a list, got {}"),
        ("{}", "$.items is missing"),
        ("[]", "$: expected a mapping, got []"),
    ],
)
def test_the_first_difference_is_named_with_its_place(output, reason):
    """Path, expected, got."""
    assert mark("json_subset", output, make_case(expected={"items": [{"price": 3}]})).reason == reason


def test_expected_may_be_json_text():
    """A CSV has no other way to write a structure; text that is none is a problem of the case."""
    assert value("json_subset", '{"a": 1, "b": 2}', make_case(expected='{"a": 1}')) == 1.0
    assert "is no JSON" in (problem("json_subset", make_case(expected="{a: 1}")) or "")
    assert "no mapping or list" in (problem("json_subset", make_case(expected="4")) or "")
    assert "empty" in (problem("json_subset", make_case(expected={})) or "")
    assert problem("json_subset", make_case(expected=None), value={"a": 1}) is None


def test_lists_too_long_to_match_in_any_order_are_unscored():
    """Rather than a run that stands still, or a guess."""
    long = list(range(1000))
    with pytest.raises(ScorerError, match="too many"):
        mark("json_subset", json.dumps(long), make_case(expected=long), ignore_order=True)


def test_faults_of_json_subset():
    """Options that could judge nothing."""
    assert "empty" in faults("json_subset", value={})[0]
    assert "0 or more" in faults("json_subset", tolerance=-0.5)[0]
