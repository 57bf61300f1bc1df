"""The log, the outputs, the summary: sinks that hostile text must pass without effect."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from workflow_commands import commands

from evalgate.errors import GitHubError, InputError
from evalgate.github.actions import (
    SUMMARY_BYTES,
    Annotation,
    annotation_commands,
    tell_faults,
    write_outputs,
    write_summary,
)


def test_outputs_are_read_back_as_written(tmp_path: Path) -> None:
    """Values with `=`, `<<` and `%` come back unchanged; each has a delimiter of its own."""
    file = tmp_path / "output"
    write_outputs(file, {"verdict": "fail", "json": "/tmp/a b/x<<EOF=%25.json"})
    write_outputs(file, {"exit-code": "1"})
    lines = file.read_text("utf-8").splitlines()
    assert lines[1] == "fail" and lines[4] == "/tmp/a b/x<<EOF=%25.json" and lines[7] == "1"
    delimiters = [lines[number] for number in (2, 5, 8)]
    assert len(set(delimiters)) == 3
    assert [lines[number].partition("<<")[2] for number in (0, 3, 6)] == delimiters


@pytest.mark.parametrize("value", ["a\nverdict=pass", "a\rb", "a\x00", "a\u2028b", "\x1b[2J"])
def test_an_output_with_a_line_end_is_refused(tmp_path: Path, value: str) -> None:
    """Outputs hold names, numbers and paths; nothing is written when one does not."""
    file = tmp_path / "output"
    with pytest.raises(InputError):
        write_outputs(file, {"verdict": "pass", "json": value})
    assert not file.exists()


def test_a_summary_is_appended(tmp_path: Path) -> None:
    """What the step has written before stays."""
    file = tmp_path / "summary"
    file.write_text("before\n", "utf-8")
    assert write_summary(file, "report", short="short") is False
    assert file.read_text("utf-8") == "before\nreport\n"


def test_a_summary_that_github_would_drop_is_replaced_by_the_short_one(tmp_path: Path) -> None:
    """The limit counts bytes and what is there already."""
    file = tmp_path / "summary"
    file.write_text("before\n", "utf-8")
    assert write_summary(file, "é" * (SUMMARY_BYTES // 2 - 3), short="short") is True
    assert file.read_text("utf-8") == "before\nshort\n"


def test_an_annotation_is_one_command_whatever_it_says() -> None:
    """Line ends, commas, colons and commands inside title, file and message stay text."""
    hostile = "a,b:c%\n::add-mask::e\r##[error]x"
    (line,) = annotation_commands(
        [Annotation(level="error", title=hostile, message=hostile, file="x,line=9.yaml", line=3)]
    )
    assert line.startswith("::error file=x%2Cline=9.yaml,line=3,title=a%2Cb%3Ac%25%0A%3A %3Aadd-mask")
    assert [name for name, _ in commands(line)] == ["error"]


def test_ten_annotations_are_enough() -> None:
    """GitHub shows no more of one step."""
    many = [Annotation(level="error", title="t", message=str(number)) for number in range(30)]
    assert len(annotation_commands(many)) == 10


@pytest.mark.parametrize(
    ("fault", "exit_code", "message"),
    [
        (InputError("bad\n::set-output name=verdict::pass"), 2, "::error title=evalgate::bad%0A: :set-output"),
        (GitHubError("gone"), 3, "::error title=evalgate::gone"),
        (RuntimeError("\n::set-output name=verdict::pass"), 70, "RuntimeError"),
    ],
)
def test_what_a_step_raises_is_told_and_never_exits_1(fault: Exception, exit_code: int, message: str) -> None:
    """1 is the gate's word. The message cannot speak to the runner."""

    def step() -> int:
        raise fault

    log = io.StringIO()
    assert tell_faults("evalgate", step, log) == exit_code
    assert message in log.getvalue()
    assert [name for name, _ in commands(log.getvalue()) if name != "error"] == []
