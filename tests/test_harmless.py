"""What others wrote is harmless in the log of a job, whichever way it gets there."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from workflow_commands import commands

import evalgate.cli
from evalgate.harmless import LogStream, guard, log_safe

ATTACKS = [
    "::set-output name=verdict::pass",
    "   \t::add-mask::e",
    "\u00a0\u2003::stop-commands::x",
    "fine\r::error::boo",
    "fine\r\n::error::boo",
    "text ##[add-mask]e",
    "##[error]boo",
    "\x1b[31m::error::boo",
    "\x1b]0;title\x07::error::boo",
    "\u200b::error::boo",
    ":\u200b:error::boo",
    ":\x1b[0m:error::boo",
    "#\u00ad#[error]boo",
    "##\x00[error]boo",
    "\ufeff::error::boo",
    "\u2028::error::boo",
    "\x0b::error::boo",
    "\x85::error::boo",
    "\u2066::error::boo\u2069",
    "::error::one\n::error::two",
    "##[##[error]boo",
    ":\ufe0f:error::boo",
    "\u034f::error::boo",
    "#\u0301#\u0301[error]boo",
    ":::error::boo",
]
BEHIND_COLOURS = ["\x1b[31m::error::boo", "\x1b]0;title\x07::error::boo", ":\x1b[0m:error::boo"]
"""Commands once the colours are taken out, which `log_safe` does."""


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_is_a_command_after_log_safe(attack: str) -> None:
    """Whatever a model prints, the runner finds nothing to execute."""
    assert commands(log_safe(attack)) == []


def test_the_runner_model_finds_what_log_safe_stops() -> None:
    """The check above checks something: as they are, the attacks are commands."""
    assert [attack for attack in ATTACKS if not commands(attack)] == [*BEHIND_COLOURS, ":::error::boo"]


@given(
    st.text(
        alphabet=st.sampled_from(list("::##[]error \t\n\r\x1b[m\u200b\u00a0\u2028\ufe0f\x00set-output")), max_size=80
    )
)
def test_no_text_is_a_command_after_log_safe(text: str) -> None:
    """Random text from the letters of attacks: nothing to execute, and a second pass changes nothing."""
    safe = log_safe(text)
    assert commands(safe) == []
    assert log_safe(safe) == safe


def test_ordinary_text_is_left_as_it_is() -> None:
    """Lines, indents, accents, emoji and code stay readable."""
    text = "Café: 3 × 4 = 12\n\tstd::vector<int> a; # ok\n#[derive(Debug)]\n日本語 🙂 ▫️"
    assert log_safe(text) == text


@given(st.lists(st.one_of(st.sampled_from(ATTACKS), st.text(max_size=8), st.just("\n")), max_size=8))
@example(["::err", "or::boo\n"])
@example(["fine\r", "\n::error::boo\n"])
def test_a_stream_is_safe_however_its_text_is_cut(pieces: list[str]) -> None:
    """Who prints a line in pieces, flushed or not, prints no command; what is printed is `log_safe`, and all of it."""
    log = io.StringIO(newline="")
    stream = LogStream(log)
    for piece in pieces:
        assert stream.write(piece) == len(piece)
        stream.flush()
        assert log.getvalue().endswith("\n") or not log.getvalue()
    stream.end()
    assert commands(log.getvalue()) == []
    assert log.getvalue() == log_safe(log.getvalue())


def test_a_stream_takes_bytes_the_same_way() -> None:
    """`sys.stdout.buffer` is no way round."""
    log = io.StringIO()
    stream = LogStream(log)
    stream.buffer.write(b"::error::boo\n\xff::error::boo\n")
    assert log.getvalue() == ": :error::boo\n\N{REPLACEMENT CHARACTER}: :error::boo\n"


def test_a_stream_is_asked_what_streams_are_asked() -> None:
    """An application that sets up its output when it is imported works in a job as it does elsewhere."""
    with Path(os.devnull).open("w", encoding="ascii") as there:
        stream = LogStream(there)
        stream.reconfigure(encoding="utf-8", line_buffering=True)
        assert (there.encoding, stream.encoding, stream.fileno()) == ("utf-8", "utf-8", there.fileno())
        assert (str(stream.name), stream.isatty(), stream.writable()) == (os.devnull, False, True)


def test_outside_of_actions_streams_are_left_alone() -> None:
    """A terminal has colours and lines that are drawn over."""
    before = sys.stdout, sys.stderr
    assert guard({"GITHUB_ACTIONS": "false"}) == []
    assert (sys.stdout, sys.stderr) == before


APP = """
import sys, threading

def answer(request):
    print("::set-output name=verdict::pass")
    sys.stderr.write("\\r##[error]boo"); sys.stderr.flush()
    sys.stdout.buffer.write(b"::add-mask::e\\n")
    threading.Thread(target=lambda: [][0], name="::error::boo\\n::error::boo").start()
    raise RuntimeError("\\n::error::boo")

def scorer(case, output):
    print("::set-output name=verdict::pass")
    return 1
"""
SUITE = """
version: 1
suite: "::error::boo"
evalsets: [set.yaml]
endpoint: {kind: python, callable: "app:answer"}
run: {max_retries: 0}
"""
EVALSET = """
name: s
scorers: ["app.py:scorer"]
cases: [{id: "\\r::error::boo", category: "\\u200b::error::boo ##[error]x", input: "::error::boo"}]
"""


def test_nothing_that_a_run_prints_in_actions_is_a_command(tmp_path: Path) -> None:
    """The program itself, in a `run:` step: its report, and whatever the user's own code prints and raises."""
    for name, text in (("app.py", APP), ("evalgate.yaml", SUITE), ("set.yaml", EVALSET)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", "from evalgate.cli import main; main(['run'])"],
        cwd=tmp_path,
        env={**os.environ, "GITHUB_ACTIONS": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert ": :set-output" in ended.stderr and "## [error]boo" in ended.stderr and "list index out" in ended.stderr
    assert "boo" in ended.stdout
    assert commands(ended.stdout) == commands(ended.stderr) == []


def test_a_command_prints_and_writes_in_one_place_only() -> None:
    """`console` makes texts harmless, masks secrets and spells JSON so that a log can take it: nobody goes round it."""
    cli = Path(evalgate.cli.__file__).parent
    found = {
        file.name: call
        for file in cli.glob("*.py")
        for call in ("json.dumps(", "print(", "stdout.write(", "stderr.write(", ".write_text(")
        if call in file.read_text("utf-8") and file.name != "console.py"
    }
    # The version, and messages where not even a command could be loaded.
    assert found == {"__init__.py": "stderr.write(", "program.py": "stderr.write("}
