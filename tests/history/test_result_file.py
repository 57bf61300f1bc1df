"""A result file gives back what decides about a run, without a word of it that somebody wrote; or one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import make_failed, make_output, make_run, make_scored, peak_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from evalgate.errors import InputError, StoreError
from evalgate.gate import Rules, decide
from evalgate.history import result_file
from evalgate.history.result_file import CAUSES, PARTIAL, STOPPED, Handed
from evalgate.history.result_file_rows import LONGEST_NAME, check_of, document_schema
from evalgate.records import CaseRef, Confirmation, Pinned, Run, Stage, Step, ToolCall, Usage, Version, fingerprint

PRINT = "s1:" + "0" * 16


def told(text: str = "private words", **changes: Any) -> Run:
    """A run that says `text` wherever a run can hold one."""
    output = make_output(
        text,
        data={"a": [text]},
        tool_calls=(ToolCall(name=text, arguments=text),),
        contexts=(text,),
        latency_s=0.25,
        tokens_in=10,
        tokens_out=2,
        cost_usd=0.001,
        model=text,
        response_id=text,
        finish_reason=text,
    )
    cases = [
        CaseRef(
            id=id,
            categories=("facts", "safety"),
            content=fingerprint(text),
            scorers=fingerprint([text]),
            critical=id == "a",
            cluster=text,
            tags=(text,),
            input=text,
            expected=text,
            metadata={text: text},
        )
        for id in "ab"
    ]
    run = replace(
        make_run(results=[make_scored("a", 0.5, output=output), make_failed("b", text, output=output)]),
        cases=tuple(cases),
        commit="c" * 40,
        branch=text,
        version=Version.of({"system": text}),
        evalset=fingerprint("set"),
        selection=text,
        stopped=text,
        usage=Usage(calls=3, tokens_in=20, cost_usd=0.002),
        steps=(Step(epochs=1, categories=("*",)), Step(epochs=2, categories=("facts",), is_last=True)),
        against=("run-0",),
        confirmation=Confirmation(
            categories=("facts",), epochs=1, after=(make_scored("a"),), before=(make_scored("a", 0.0),), how=text
        ),
        metadata={"notes": [text], "models": [text], "changed_since": "run-0"},
    )
    return replace(run, **changes)


def written(folder: Path, run: Run | None = None, **options: Any) -> bytes:
    result_file.write(folder / "result.json", "suite", run, **options)
    return (folder / "result.json").read_bytes()


def read(content: bytes) -> Handed:
    return result_file.read(content, where="the artifact")


def refused(content: bytes) -> str:
    """What is said of it: one sentence."""
    with pytest.raises(InputError) as caught:
        read(content)
    assert len(caught.value.faults) == 1 and str(caught.value).startswith("the artifact: ")
    return str(caught.value)


# ---- what it holds ------------------------------------------------------------------------------------------


def test_everything_that_decides_comes_back(tmp_path: Path) -> None:
    """Cases, scores, measures and steps as they were; texts of the program's own in the place of what was said."""
    run = told()
    found = read(written(tmp_path, run)).run
    assert found is not None
    same = ("id", "suite", "created", "epochs", "commit", "evalset", "usage", "steps", "against")
    assert [getattr(found, name) for name in same] == [getattr(run, name) for name in same]
    assert (found.version.id, found.selection, found.stopped) == (run.version.id, PARTIAL, STOPPED)
    assert [(c.id, c.categories, c.content, c.scorers, c.critical) for c in found.cases] == [
        (c.id, c.categories, c.content, c.scorers, c.critical) for c in run.cases
    ]
    scored, failed = found.results
    assert (scored.score, failed.cause) == (0.5, CAUSES[Stage.ENDPOINT])  # type: ignore[union-attr]
    assert scored.output is not None and scored.output.latency_s == 0.25 and scored.output.cost_usd == 0.001
    assert found.confirmation is not None
    assert [len(results) for results in (found.confirmation.after, found.confirmation.before)] == [1, 1]
    assert found.metadata == {"changed_since": "run-0"}


def test_nothing_that_somebody_wrote_is_in_it(tmp_path: Path) -> None:
    """Not what a model said, what was asked, a prompt, a model's name, a branch, a note: hashes and numbers."""
    assert b"private" not in written(tmp_path, told("private words"))


def test_a_cluster_stays_one_without_its_name(tmp_path: Path) -> None:
    """Cases that share a document are still known to share it."""
    found = read(written(tmp_path, told())).run
    assert found is not None and {case.cluster for case in found.cases} == {fingerprint("private words")}


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """And what was read, written again, too."""
    first = written(tmp_path, told())
    assert first == written(tmp_path, told())
    assert json.loads(first)["schema"] == "evalgate.result/1"


def test_the_gate_decides_alike_on_what_comes_back(tmp_path: Path) -> None:
    """A run that a fork reports honestly is judged as it was there."""
    before = make_run("run-0", billing=[1.0] * 40, facts=[1.0] * 40)
    run = replace(make_run("run-1", billing=[1.0] * 40, facts=[0.0] * 10 + [1.0] * 30), evalset=PRINT)
    found = read(written(tmp_path, replace(run, version=Version(id=None)))).run
    assert found is not None
    ours, theirs = (decide(r, Pinned(runs=(before,), why="so"), Rules()).to_dict() for r in (run, found))
    assert ours["verdict"] == "fail"
    assert {**ours, "run": None} == {**theirs, "run": None}


@pytest.mark.parametrize("unrun", ["no_credentials", "nothing_changed", "error"])
def test_a_run_that_never_began_says_so(tmp_path: Path, unrun: Any) -> None:
    """A pull request from a fork mostly has no key: that is no missing file."""
    assert read(written(tmp_path, unrun=unrun)) == Handed(suite="suite", run=None, unrun=unrun)


def test_what_an_import_names_itself_is_left_out(tmp_path: Path) -> None:
    """Versions, commits and scorers of imported rows are texts of somebody's choice; unknown is null."""
    case = CaseRef(id="a", categories=("facts",), scorers="names:exact", content="mine")
    run = told(commit="my commit", version=Version(id="v1"), cases=(case,), results=(), confirmation=None)
    found = read(written(tmp_path, run)).run
    assert found is not None
    assert (found.commit, found.version.id, found.cases[0].scorers, found.cases[0].content) == (None, None, None, None)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    with pytest.raises(StoreError, match="cannot be written"):
        written(tmp_path / "none", told())
    assert list(tmp_path.iterdir()) == []


# ---- what is refused ----------------------------------------------------------------------------------------


def change(*path: Any, to: Any = None) -> Callable[[Any], None]:
    """Puts a value at this place of the document, or takes it away where `to` is a list's or mapping's own `del`."""

    def apply(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        if to is DEL:
            del document[path[-1]]
        else:
            document[path[-1]] = to

    return apply


DEL = object()

CHANGES: dict[str, Callable[[Any], None]] = {
    "newer schema": change("schema", to="evalgate.result/2"),
    "other schema": change("schema", to="evalgate.verdict/1"),
    "no suite": change("suite", to=DEL),
    "empty suite": change("suite", to=""),
    "suite is long": change("suite", to="s" * (LONGEST_NAME + 1)),
    "unknown key": change("extra", to=1),
    "unknown key of the run": change("run", "notes", to=["@everyone"]),
    "unknown key of a case": change("cases", 0, "input", to="x"),
    "unknown key of a result": change("results", 0, "output", to={}),
    "id for a shell": change("run", "id", to="a; rm -rf /"),
    "id with a line end": change("run", "id", to="run-1\n"),
    "no commit's name": change("run", "commit", to="HEAD"),
    "commit in capitals": change("run", "commit", to="C" * 40),
    "commit with a line end": change("run", "commit", to="c" * 40 + "\n"),
    "version that speaks": change("run", "version", to="now with 100 % quality"),
    "no zone": change("run", "created", to="2026-01-01T00:00:00"),
    "year 0": change("run", "created", to="0001-01-01T00:00:00+14:00"),
    "epochs 0": change("run", "epochs", to=0),
    "epochs 1.0": change("run", "epochs", to=1.0),
    "epochs huge": change("run", "epochs", to=2**40),
    "epochs true": change("run", "epochs", to=True),
    "flag 1": change("run", "is_partial", to=1),
    "usage negative": change("run", "usage", "calls", to=-1),
    "usage huge": change("run", "usage", "tokens_in", to=10**400),
    "step of no category": change("run", "steps", 0, "categories", to=[]),
    "many steps": change("run", "steps", to=[{"epochs": 1, "categories": ["*"], "is_last": False}] * 101),
    "run and none": change("unrun", to="error"),
    "neither": change("run", to=None),
    "why no run": change("unrun", to="the maintainers are wrong"),
    "confirmation of nothing": change("run", "confirmation", to=None),
    "confirmation without a side": change("before", to=[]),
    "cases no list": change("cases", to={}),
    "case no mapping": change("cases", 0, to="a"),
    "case twice": lambda d: d["cases"].insert(1, d["cases"][0]),
    "case out of order": lambda d: d["cases"].reverse(),
    "case without id": change("cases", 0, "id", to=DEL),
    "case id empty": change("cases", 0, "id", to=""),
    "case id long": change("cases", 0, "id", to="a" * (LONGEST_NAME + 1)),
    "case id no text": change("cases", 0, "id", to=["a"]),
    "case id not encodable": change("cases", 0, "id", to="\ud800"),
    "no category": change("cases", 0, "categories", to=[]),
    "category twice": change("cases", 0, "categories", to=["a", "a"]),
    "category every": change("cases", 0, "categories", to=["*"]),
    "category no text": change("cases", 0, "categories", to=[{}]),
    "category huge": change("cases", 0, "categories", to=["a" * 10**6]),
    "categories without end": change("cases", 0, "categories", to=[str(n) for n in range(1_001)]),
    "content that speaks": change("cases", 0, "content", to="trust me"),
    "scorers that speak": change("cases", 0, "scorers", to="names:exact"),
    "critical 1": change("cases", 0, "critical", to=1),
    "result of a stranger": change("results", 0, "case", to="aa"),
    "result twice": lambda d: d["results"].insert(1, d["results"][0]),
    "result out of order": lambda d: d["results"].reverse(),
    "score 2": change("results", 0, "score", to=2),
    "score -1": change("results", 0, "score", to=-0.001),
    "score huge": change("results", 0, "score", to=10**400),
    "score true": change("results", 0, "score", to=True),
    "score text": change("results", 0, "score", to="1"),
    "score and failure": change("results", 0, "failed", to="endpoint"),
    "neither score nor failure": change("results", 0, "score", to=DEL),
    "stage that speaks": change("results", 1, "failed", to="on purpose"),
    "epoch 0": change("results", 0, "epoch", to=0),
    "epoch huge": change("results", 0, "epoch", to=1_001),
    "latency negative": change("results", 0, "latency_s", to=-1),
    "latency huge": change("results", 0, "latency_s", to=1e308),
    "tokens 1.5": change("results", 0, "tokens_in", to=1.5),
    "response that speaks": change("results", 0, "response", to="abc"),
    "fresh call of a stranger": change("after", 0, "case", to="zz"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_thing_that_does_not_belong_there_is_refused(tmp_path: Path, name: str) -> None:
    """One sentence, which repeats nothing of what stands there."""
    document = json.loads(written(tmp_path, told()))
    CHANGES[name](document)
    said = refused(json.dumps(document).encode())
    assert not any(text in said for text in ("@everyone", "rm -rf", "trust me", "speak", "maintainers", "aaaa"))


ATTACKS = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"evalgate.result/1"',
    "cut off": b'{"schema": "evalgate.result/1"',
    "NaN": b'{"schema": "evalgate.result/1", "suite": NaN}',
    "infinity": b'{"schema": "evalgate.result/1", "suite": -Infinity}',
    "a number without end": b"9" * 10_000,
    "deep": b"[" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep in a key": b'{"a":' * 100_000,
    "a key twice": b'{"schema": "evalgate.result/1", "suite": "a", "suite": "b"}',
    "not UTF-8": b'{"schema": "\xff"}',
    "UTF-16": '{"schema": "evalgate.result/1"}'.encode("utf-16"),
    "a mark before it": b'\xef\xbb\xbf{"schema": "evalgate.result/1"}',
    "binary": bytes(range(256)),
    "many values": b"[" + b"0," * (result_file.MOST_VALUES + 1) + b"0]",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_is_no_result_file_is_refused(name: str) -> None:
    """Broken, deep, endless, twice: one sentence and no traceback."""
    refused(ATTACKS[name])


def test_many_small_values_are_refused_before_they_take_memory() -> None:
    """16 MB of brackets would be a gigabyte of lists."""
    content = b"[" + b"[]," * (result_file.MOST_VALUES // 2) + b"[]]"
    with peak_bytes() as peak:
        refused(content)
    assert peak[0] < 1_000_000


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    """Never another exception."""
    with pytest.raises(InputError):
        read(content)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
DOCUMENT = json.loads(
    '{"schema": "evalgate.result/1", "suite": "s", "unrun": null, "cases": [{"id": "a", "categories": ["x"]}], '
    '"results": [{"case": "a", "epoch": 1, "score": 1}], "after": [], "before": [], "run": {"id": "r", "created": '
    '"2026-01-01T00:00:00+00:00", "commit": null, "version": null, "evalset": null, "epochs": 1, "is_partial": false, '
    '"is_stopped": false, "changed_since": null, "usage": {"calls": 1, "calls_saved": 0, "tokens_in": null, '
    '"tokens_out": null, "cost_usd": null, "wall_s": null}, "steps": [], "against": [], "confirmation": null}}'
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [place for key, inner in items for place in places(inner, (*path, key))]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(places(DOCUMENT)), JSONS)
def test_any_value_at_any_place_is_refused_or_read(path: tuple[Any, ...], value: Any) -> None:
    """Never another exception; and what is read is as the printed schema says."""
    document = json.loads(json.dumps(DOCUMENT))
    change(*path, to=value)(document)
    try:
        read(json.dumps(document).encode())
    except InputError:
        return
    Draft202012Validator(document_schema()).validate(document)


# ---- the schema ---------------------------------------------------------------------------------------------


def test_the_printed_schema_takes_what_is_written(tmp_path: Path) -> None:
    """Whatever kind of run it is; and it is a schema."""
    schema = document_schema()
    Draft202012Validator.check_schema(schema)
    for content in (
        written(tmp_path, told()),
        written(tmp_path, unrun="error"),
        written(tmp_path, make_run(a=[1, None])),
    ):
        Draft202012Validator(schema).validate(json.loads(content))
        assert check_of(schema)(json.loads(content))


UNTOLD = {
    "id with a line end",
    "commit with a line end",
    "no zone",
    "year 0",
    "epochs 1.0",
    "run and none",
    "neither",
    "confirmation of nothing",
    "confirmation without a side",
    "case twice",
    "case out of order",
    "case id not encodable",
    "result of a stranger",
    "result twice",
    "result out of order",
    "fresh call of a stranger",
}
"""What a JSON Schema, or its validator, cannot say: order, contradictions, time zones."""


@pytest.mark.parametrize("name", [name for name in CHANGES if name not in UNTOLD])
def test_the_printed_schema_refuses_what_is_refused(tmp_path: Path, name: str) -> None:
    """Field by field: who writes such a file by other means can know beforehand."""
    document = json.loads(written(tmp_path, told()))
    CHANGES[name](document)
    assert not Draft202012Validator(document_schema()).is_valid(document)
