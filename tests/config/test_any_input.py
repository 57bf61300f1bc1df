"""Whatever stands in a file: texts survive, and nothing but an InputError comes out."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from config_kit import config, evalsets
from hypothesis import given, settings
from hypothesis import strategies as st

from evalgate.config import load_items
from evalgate.errors import InputError

TEXTS = st.text(min_size=1, max_size=30)
GOOD = b"""name: a
category: c
tags: &t [x]
prompt: "{{ input }} {% if 1 %}{{ hint | default('') }}{% endif %}"
scorers: [exact, {regex: "^A"}]
cases:
  - {id: 010, input: 1e3, expected: "x\\ty", metadata: {a: *t}}
  - id: b
    messages: [{role: user, content: |
      text
    }]
    expected: [1, {b: .5}]
cases_from: c.jsonl
"""
CONFIG = b"""version: 1
suite: s
evalsets: [a.yaml]
endpoint: {kind: openai, base_url: "${A}", model: m, system: {file: p}}
run: {epochs: 2, timeout_s: 1.5}
gate: {categories: {c: {min: 0.5}}}
history: {store: "sqlite:///x.db"}
"""
ROWS = b'{"id": 1, "category": ["a", true], "input": "x\\u00e9", "expected": 1.50, "n": {"m": [1]}}\n'
CSV = b'id,category,input,expected,critical,metadata\na,"x;y",1,"two\nlines",true,"{""n"": 1}"\n'
RUNS = settings(max_examples=150, deadline=None)


def _changed(good: bytes) -> st.SearchStrategy[bytes]:
    """The good bytes with some cut out and some put in, or bytes of no kind at all."""
    signs = st.sampled_from(
        [
            b"{",
            b"[",
            b"&a ",
            b"*a ",
            b"\t",
            b": ",
            b"- ",
            b"\x00",
            b"\xff",
            b'"',
            b"{{",
            b"|\n",
            b"\n",
            b"!!int ",
            b"1e999",
            b"${",
            b"%}",
        ]
    )
    piece = st.one_of(signs, st.binary(max_size=4))
    place = st.integers(0, len(good))
    edit = st.tuples(place, st.integers(0, 6), piece)

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        text = good
        for start, length, put in edits:
            text = text[:start] + put + text[start + length :]
        return text

    return st.one_of(st.lists(edit, min_size=1, max_size=4).map(apply), st.binary(max_size=60))


@RUNS
@given(case_id=TEXTS, given_input=TEXTS, expected=TEXTS)
def test_any_text_survives(case_id: str, given_input: str, expected: str) -> None:
    """Any text is the same text after a trip through YAML and through JSONL."""
    row = {"id": case_id, "category": "c", "input": given_input, "expected": expected}
    Path("set.yaml").write_text(yaml.safe_dump({"scorers": ["exact"], "cases": [row]}), "utf-8")
    Path("items.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8", newline="")

    for evalset in (evalsets(Path(), "set.yaml"), load_items(Path("items.jsonl"))):
        (case,) = evalset.cases
        assert (case.id, case.input, case.expected) == (case_id, given_input, expected)


@RUNS
@given(content=_changed(CONFIG))
def test_no_configuration_crashes(content: bytes) -> None:
    """A configuration is read or refused."""
    Path("evalgate.yaml").write_bytes(content)
    with contextlib.suppress(InputError):
        config(Path("evalgate.yaml"), {"A": "http://h"})


@RUNS
@given(content=_changed(GOOD))
def test_no_eval_set_crashes(content: bytes) -> None:
    """An eval set is read or refused."""
    Path("c.jsonl").write_bytes(b'{"id": "z", "input": "x", "expected": "y"}\n')
    Path("set.yaml").write_bytes(content)
    with contextlib.suppress(InputError):
        evalsets(Path(), "set.yaml")


@pytest.mark.parametrize("good", [ROWS, CSV], ids=["jsonl", "csv"])
def test_no_data_file_crashes(good: bytes) -> None:
    """A data file is read or refused."""
    name = Path("items.jsonl" if good is ROWS else "items.csv")

    @RUNS
    @given(content=_changed(good))
    def holds(content: bytes) -> None:
        name.write_bytes(content)
        with contextlib.suppress(InputError):
            load_items(name)

    holds()
