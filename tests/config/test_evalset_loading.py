"""Good eval sets: what becomes of rows in YAML, JSONL, CSV and Parquet; texts stay as written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from config_kit import evalsets

from evalgate.config import load_items
from evalgate.errors import InputError
from evalgate.records import Case, EvalSet

HEAD = "category: c\nscorers: [refusal]\n"


def _load(folder: Path, **files: str) -> EvalSet:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, "utf-8")
    return evalsets(folder)


def _only(evalset: EvalSet) -> Case:
    (case,) = evalset.cases
    return case


WRITTEN = ["no", "1:30", "010", "1e3", "true", "0x1F", "1.50", ".nan", "2024-01-01", "-0", "Null-ish", "0o17"]


@pytest.mark.parametrize("text", WRITTEN)
def test_yaml_keeps_texts_as_written(folder: Path, text: str) -> None:
    """`no` is no boolean, `1:30` no number of seconds, `010` no 10."""
    row = f"- {{id: {text}, category: {text}, input: {text}, expected: [{text}, {{a: x}}], tags: {text}}}"
    case = _only(_load(folder, set_yaml=f"scorers: [exact]\ncases:\n{row}\n"))

    assert (case.id, case.categories, case.input, case.tags) == (text, (text,), text, (text,))
    assert case.expected == [text, {"a": "x"}]


@pytest.mark.parametrize("text", ["10", "1e3", "1.50", "true", "-0", "1.0", "12345678901234567890", "1E+2"])
def test_jsonl_keeps_texts_as_written(folder: Path, text: str) -> None:
    """A number in a JSONL row keeps its digits; inside a mapping it is a number."""
    row = f'{{"id": {text}, "category": {text}, "input": {text}, "expected": [{text}, {{"a": {text}}}], "n": {text}}}'
    case = _only(_load(folder, set_yaml="scorers: [exact]\ncases_from: c.jsonl\n", c_jsonl=row))

    assert (case.id, case.categories, case.input) == (text, (text,), text)
    assert case.expected == [text, {"a": json.loads(text)}]
    assert case.metadata == {"n": json.loads(text)}


def test_mappings_keep_their_types_and_null_is_absent(folder: Path) -> None:
    """Structures are structures; an explicit null is None, never the text `null`."""
    text = HEAD + "cases:\n- {id: a, input: {n: 1, b: true, t: no}, expected: null, cluster: ~, metadata: {n: 010}}\n"
    case = _only(_load(folder, set_yaml=text))

    assert case.input == {"n": 1, "b": True, "t": "no"}
    assert (case.expected, case.cluster, case.metadata) == (None, None, {"n": 10})


def test_a_case_overrides_what_the_file_says(folder: Path) -> None:
    """Category, scorers and prompt of a case replace the file's; tags are added."""
    text = """
name: refunds
category: refunds
tags: [nightly]
prompt: "Question: {{ input }}"
scorers: [{exact: {weight: 2}}, {regex: "^A"}]
cases:
  - {id: a, input: x, expected: y}
  - {id: b, input: x, category: [safety, refunds, safety], tags: l,
     critical: true, scorers: refusal, prompt: "{{ id }}"}
  - {id: c, messages: [{role: user, content: hi}], expected: y, cluster: k, context: z}
"""
    evalset = _load(folder, set_yaml=text)
    first, second, third = evalset.cases

    assert evalset.name == "refunds"
    assert [(evalset.scorers[key].name, evalset.scorers[key].weight) for key in first.scorers] == [
        ("exact", 2.0),
        ("regex", 1.0),
    ]
    assert evalset.scorers[first.scorers[1]].options == {"pattern": "^A"}
    assert evalset.templates[first.template or ""] == "Question: {{ input }}"
    assert evalset.templates[second.template or ""] == "{{ id }}"
    assert (second.categories, second.tags, second.critical) == (("safety", "refunds"), ("nightly", "l"), True)
    assert [evalset.scorers[key].name for key in second.scorers] == ["refusal"]
    assert third.template is None
    assert third.messages == ({"role": "user", "content": "hi"},)
    assert [str(case.source) for case in evalset.cases] == ["set.yaml:8", "set.yaml:9", "set.yaml:11"]


def test_own_scorers_know_the_folder_of_their_eval_set(folder: Path) -> None:
    """`file.py:function` is relative to the file that names it."""
    (folder / "sets").mkdir()
    (folder / "sets" / "a.yaml").write_text("category: c\nscorers: [mine.py:judge]\ncases: [{id: a, input: x}]\n")
    evalset = evalsets(folder, "sets/*.yaml")
    assert [(spec.name, spec.base_dir) for spec in evalset.scorers.values()] == [("mine.py:judge", "sets")]


def test_columns_of_data_files_are_template_variables(folder: Path) -> None:
    """A case without `input` is complete where its prompt needs none."""
    evalset = _load(
        folder,
        set_yaml='name: bench\nprompt: "{{ prompt }}"\nscorers: [exact]\ncases_from: c.jsonl\n',
        c_jsonl='{"id": "a", "category": "k", "prompt": "hello", "expected": "x", "other": null}\n',
    )
    case = _only(evalset)
    assert (case.metadata, case.input, str(case.source)) == ({"prompt": "hello"}, None, "c.jsonl:1")


def test_csv_cells_are_texts(folder: Path) -> None:
    """Nothing is guessed: `010` stays, an empty cell is absent, `;` separates categories and tags."""
    csv = (
        "id,category,input,expected,critical,tags,metadata,team\n"
        'a,"x; y",010,"two\nlines",TRUE,p;q,"{""n"": 1}",red\n'
        "\n"
        "b,x,1e3,,,,,\n"
    )
    evalset = _load(folder, set_yaml="scorers: [refusal]\ncases_from: c.csv\n", c_csv=csv)
    first, second = evalset.cases

    assert (first.categories, first.input, first.expected) == (("x", "y"), "010", "two\nlines")
    assert (first.critical, first.tags, first.metadata) == (True, ("p", "q"), {"n": 1, "team": "red"})
    assert (second.expected, second.critical, second.metadata, second.source.line) == (None, False, {}, 5)


def test_a_large_csv_cell_is_read(folder: Path) -> None:
    """The csv module's own limit of 131,072 characters is no limit of contexts."""
    csv = "id,input\na," + "x" * 200_000 + "\n"
    assert len(_only(_load(folder, set_yaml=HEAD + "cases_from: c.csv\n", c_csv=csv)).input) == 200_000


def test_parquet_rows_are_read_like_others(folder: Path) -> None:
    """Numbers of the four fields become texts, other columns keep their types."""
    duckdb = pytest.importorskip("duckdb")
    duckdb.sql(
        "COPY (SELECT 7 AS id, 'k' AS category, 1.5::DOUBLE AS input, [1, 2] AS expected, 3 AS n,"
        " DATE '2024-01-02' AS day)"
        " TO 'c.parquet' (FORMAT parquet)"
    )
    case = _only(_load(folder, set_yaml=HEAD + "cases_from: c.parquet\n"))

    assert (case.id, case.categories, case.input, case.expected) == ("7", ("k",), "1.5", ["1", "2"])
    assert case.metadata == {"n": 3, "day": "2024-01-02"}


def test_a_file_that_is_no_parquet_says_so(folder: Path) -> None:
    """The reader's own words stand behind the file's name."""
    pytest.importorskip("duckdb")
    (folder / "c.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"^c\.parquet: not Parquet: "):
        _load(folder, set_yaml=HEAD + "cases_from: c.parquet\n")


def test_files_are_read_once_and_in_the_order_of_their_names(folder: Path) -> None:
    """Patterns may overlap; the order of cases does not depend on the file system."""
    (folder / "b.yaml").write_text(HEAD + "cases: [{id: b, input: x}]\n")
    (folder / "a.yaml").write_text(HEAD + "cases: [{id: a, input: x}]\n")
    evalset = evalsets(folder, "*.yaml", "a.*")
    assert ([case.id for case in evalset.cases], evalset.name) == (["a", "b"], "a+b")


def test_items_need_no_scorers(folder: Path) -> None:
    """For recorded results it is enough to know the cases, from JSONL or an eval set."""
    (folder / "items.jsonl").write_text('{"id": 1, "category": "c", "expected": "x", "topic": "t"}\n')
    (folder / "set.yaml").write_text('category: c\nscorers: [unheard-of]\nprompt: "{{ nope }}"\ncases: [{id: 1}]\n')

    items = load_items(folder / "items.jsonl")
    assert (items.name, _only(items).id, _only(items).metadata) == ("items", "1", {"topic": "t"})
    assert (_only(load_items(folder / "set.yaml")).scorers, _only(load_items(folder / "set.yaml")).id) == ((), "1")


def test_a_file_of_items_holds_some(folder: Path) -> None:
    """What a run cannot be judged by is told at the door; categories may come with the rows."""
    (folder / "items.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no case"):
        load_items(folder / "items.jsonl")
    (folder / "items.jsonl").write_text('{"id": "a"}')
    assert _only(load_items(folder / "items.jsonl")).categories == ()


def test_faults_are_capped(folder: Path) -> None:
    """Fifty faults are shown, the rest is counted."""
    rows = "".join(f'{{"id": "{number}"}}\n' for number in range(6000))
    with pytest.raises(InputError) as caught:
        _load(folder, set_yaml=HEAD + "cases_from: c.jsonl\n", c_jsonl=rows)

    assert len(caught.value.faults) == 51
    assert str(caught.value.faults[-1]) == "and 5950 more"
