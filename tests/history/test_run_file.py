"""A run file gives back the run that it was made of, or one clear error."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from builders import make_failed, make_output, make_run, make_scored
from hypothesis import HealthCheck, assume, given, settings
from test_store_round_trip import runs

from evalgate.errors import InputError, StoreError
from evalgate.history import run_file
from evalgate.history.listing import Beside, VerdictRow
from evalgate.history.run_file_rows import Shard
from evalgate.records import CaseRef, Confirmation, DriftEvent, Run, ToolCall, Version, fingerprint

SHARD = Shard(index=2, count=3, plan="s1:aa", cases=9, scorers="s1:bb")


def with_own_cases(run: Run) -> Run:
    """Confirmed results are of the run's own cases, sorted."""
    if run.confirmation is None:
        return run
    return replace(run, confirmation=replace(run.confirmation, after=run.results, before=run.results[:1]))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=runs().map(with_own_cases))
def test_a_run_comes_back_exactly(tmp_path: Path, written: Run) -> None:
    """Every field of every record survives, whatever it holds."""
    assume(not re.search(r"\binf\b", repr(written)))  # JSON has no infinity: it becomes text
    written = replace(written, against=("run-1",) if written.against else (), metadata={"notes": ["so"]})
    checksum = run_file.write(tmp_path / "a.evalrun", written, shard=SHARD)
    found = run_file.read(tmp_path / "a.evalrun")
    assert found.run == written
    assert (found.shard, found.outputs, found.checksum) == (SHARD, "full", checksum)


def said(text: str) -> Run:
    output = make_output(text, data={"a": [text]}, tool_calls=(ToolCall(name="t", arguments=text),), contexts=(text,))
    run = make_run(results=[make_scored("a", output=output), make_failed("b", text, output=output)], facts=[1])
    return replace(
        run,
        cases=tuple(CaseRef(id=i, categories=("x",), input=text, expected=text) for i in ("a", "b", "facts-0")),
        confirmation=Confirmation(categories=("x",), epochs=1, after=(make_scored("a", output=output),), how="so"),
    )


def test_without_texts_nothing_that_was_said_is_in_the_file(tmp_path: Path) -> None:
    """A public repository publishes its branches: there are scores, usage and hashes, and no text of a model."""
    run = said("very private")
    parts = {"kind": "openai", "system": "very private", "templates": ["very private"]}
    run = replace(run, version=Version(id="v", parts=parts))
    run_file.write(tmp_path / "a", run, outputs="hashes")
    assert b"private" not in gzip.decompress((tmp_path / "a").read_bytes())
    found = run_file.read(tmp_path / "a")
    assert found.outputs == "hashes"
    assert [case.id for case in found.run.cases] == ["a", "b", "facts-0"]
    assert [getattr(result, "score", None) for result in found.run.results] == [1.0, None, 1.0]
    assert found.run.version.parts == {
        **parts,
        "system": fingerprint("very private"),
        "templates": fingerprint(parts["templates"]),
    }


def test_what_was_said_of_a_run_comes_back_with_it(tmp_path: Path) -> None:
    """Its verdicts decide whether it may serve as a baseline elsewhere."""
    run = said("x")
    moment = datetime(2026, 11, 26, 12, 30, 1, 5, tzinfo=UTC)
    body = {"schema": "evalgate.verdict/1", "verdict": "error", "exit_code": 3, "reason": "it said: very private"}
    row = VerdictRow(run_id=run.id, decided=moment, verdict="error", exit_code=3, body=body)
    drift = DriftEvent(run_id=run.id, created=moment, category="x", before=0.5, after=0.25, p=0.01, sentence="so")
    beside = Beside(verdicts=(row,), drifts=(drift,), detectable={"x": 0.1})
    run_file.write(tmp_path / "a", run, beside=beside)
    assert run_file.read(tmp_path / "a").beside == beside
    run_file.write(tmp_path / "b", run, beside=beside, outputs="hashes")
    assert b"private" not in gzip.decompress((tmp_path / "b").read_bytes())
    assert run_file.read(tmp_path / "b").beside.verdicts[0].exit_code == 3


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whenever and under whatever name it is written: a file can be named by its content."""
    for name in "ab":
        run_file.write(tmp_path / name, said("yes"))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_is_no_json_becomes_text(tmp_path: Path) -> None:
    """A callable may answer NaN; the file stays one that every JSON reader takes."""
    output = make_output(data=[float("nan")])
    run_file.write(tmp_path / "a", replace(said("x"), results=(make_scored("a", output=output),)))
    (result,) = run_file.read(tmp_path / "a").run.results
    assert result.output is not None and result.output.data == ["NaN"]


def test_a_file_that_shrinks_two_hundredfold_is_written_so_that_it_can_be_read(tmp_path: Path) -> None:
    """The bound against files made to fill memory never meets a file of our own."""
    same = make_output("the same answer " * 50_000)
    run = replace(said("x"), results=tuple(make_scored("a", epoch=n + 1, output=same) for n in range(40)))
    run_file.write(tmp_path / "a", run)
    assert run_file.read(tmp_path / "a").run == run


# ---- bad files --------------------------------------------------------------------------------------------


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def refused(file: Path, content: bytes, **options: Any) -> str:
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        run_file.read(file, **options)
    assert len(caught.value.faults) == 1 and str(file) in str(caught.value)
    return str(caught.value)


def test_a_cut_or_changed_file_is_never_used_in_part(tmp_path: Path) -> None:
    """Wherever it is cut, and whichever byte is another: one error, no run."""
    file = tmp_path / "a"
    run_file.write(file, said("x"))
    whole = file.read_bytes()
    for length in range(len(whole)):
        refused(file, whole[:length])
    rng = random.Random(1)
    for place in rng.sample(range(10, len(whole)), 60):  # the first ten bytes are gzip's own header
        refused(file, whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
    assert "follows" in refused(file, whole + gzip.compress(b"x", mtime=0))
    refused(file, whole + b"more")


def sealed(lines: list[Any]) -> bytes:
    """These rows as a file, with the checksum that they have now unless it is the checksum that was changed."""
    content = "".join(json.dumps(line) + "\n" for line in lines if "end" not in line).encode()
    end = [
        line if line["end"] == "00" else {"end": hashlib.sha256(content).hexdigest()} for line in lines if "end" in line
    ]
    return gzip.compress(content + "".join(json.dumps(line) + "\n" for line in end).encode())


CHANGES: dict[str, tuple[Callable[[list[Any]], object], str]] = {
    "no verdict": (
        lambda lines: lines[0].update(verdicts=[{"decided": "2026-01-01T00:00:00+00:00", "body": {}}]),
        "not",
    ),
    "newer": (lambda lines: lines[0].update(schema="evalgate.run/2"), "a newer one"),
    "foreign": (lambda lines: lines[0].update(schema="other/1"), "no run file"),
    "list": (lambda lines: lines.insert(0, []), "no run file"),
    "no suite": (lambda lines: lines[0].pop("suite"), "suite"),
    "no zone": (lambda lines: lines[0].update(created="2026-01-01T00:00:00"), "created"),
    "year 0": (lambda lines: lines[0].update(created="0001-01-01T00:00:00+14:00"), "created"),
    "evil id": (lambda lines: lines[0].update(id="a; rm -rf /"), "id"),
    "unknown key": (lambda lines: lines[0].update(extra=1), "extra"),
    "shard 4 of 3": (lambda lines: lines[0]["shard"].update(index=4), "shard"),
    "notes": (lambda lines: lines[0].update(metadata={"notes": 3}), "metadata"),
    "confirmation": (lambda lines: lines[0].update(confirmation=None), "confirmation"),
    "twice": (lambda lines: lines.insert(1, lines[1]), "twice"),
    "result twice": (lambda lines: (lines.insert(5, lines[4]), lines[0]["counts"].update(result=4)), "twice"),
    "order": (lambda lines: lines[1]["case"].update(id="z"), "order"),
    "score 2": (lambda lines: lines[4]["result"].update(score=2), "no result"),
    "score true": (lambda lines: lines[4]["result"].update(score=True), "no result"),
    "epoch 0": (lambda lines: lines[4]["result"].update(epoch=0), "no result"),
    "tokens -1": (lambda lines: lines[4]["result"]["output"].update(tokens_in=-1), "no result"),
    "tokens huge": (lambda lines: lines[4]["result"]["output"].update(tokens_in=2**64), "no result"),
    "score huge": (lambda lines: lines[4]["result"].update(score=10**400), "no result"),
    "latency huge": (lambda lines: lines[4]["result"]["output"].update(latency_s=10**400), "no result"),
    "stranger": (lambda lines: lines[4]["result"].update({"case": "aa"}), "does not have"),
    "no categories": (lambda lines: lines[1]["case"].update(categories=[]), "no case"),
    "fewer": (lambda lines: lines.pop(4), "no result"),
    "end": (lambda lines: lines.pop(), "cut off"),
    "other checksum": (lambda lines: lines[-1].update(end="00"), "checksum"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_fault_of_a_file_is_told_as_what_it_is(tmp_path: Path, name: str) -> None:
    """What, where, and what to do; nothing crashes."""
    file = tmp_path / "a"
    run_file.write(file, said("x"), shard=SHARD)
    lines = lines_of(file)
    change, told = CHANGES[name]
    change(lines)
    assert told in refused(file, sealed(lines))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"PK\x03\x04",
        b'{"schema": "evalgate.run/1"}\n',
        gzip.compress(b"", mtime=0),
        gzip.compress(b"[" * 10**6, mtime=0),
        gzip.compress(b'{"schema": NaN}\n', mtime=0),
        gzip.compress(b"\xff\xfe\n", mtime=0),
        gzip.compress(b"9" * 10_000 + b"\n", mtime=0),
    ],
    ids=["empty", "byte", "zip", "unpacked", "nothing", "deep", "nan", "binary", "long number"],
)
def test_other_files_are_no_run_files(tmp_path: Path, content: bytes) -> None:
    """Whatever is handed over: one error."""
    refused(tmp_path / "a", content)


def test_a_file_made_to_fill_memory_is_refused_before_it_does(tmp_path: Path) -> None:
    """A line without an end, and lines without number, within bounds that are known beforehand."""
    assert "fill memory" in refused(tmp_path / "a", gzip.compress(b" " * (run_file.LONGEST_LINE + 10), 1))
    file = tmp_path / "b"
    run_file.write(file, said("x"))
    assert "fill memory" in refused(file, file.read_bytes(), most_bytes=500)


def test_a_file_that_is_not_there_or_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With its name."""
    for file in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=str(file)):
            run_file.read(file)
    with pytest.raises(StoreError, match="cannot be written"):
        run_file.write(tmp_path / "none" / "a", said("x"))
    assert not list(tmp_path.iterdir())


def test_the_document_names_every_key_and_every_kind_of_line(tmp_path: Path) -> None:
    """docs/scale.md says what a reader of the format will find."""
    run_file.write(tmp_path / "a", said("x"))
    text = (Path(__file__).parents[2] / "docs" / "scale.md").read_text("utf-8")
    part = text.partition("## The run file")[2].partition("\n## ")[0]
    lines = lines_of(tmp_path / "a")
    assert lines[0].keys() <= set(re.findall(r"`(\w+)`", part))
    assert {key for line in lines[1:] for key in line} | {"before"} == set(re.findall(r'`\{"(\w+)": ', part))
