"""What a run leaves behind when it does not end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from builders import NOON, make_failed, make_output, make_scored
from hypothesis import given
from hypothesis import strategies as st
from runner_fakes import HEADER, resumed

from evalgate.errors import InputError, StoreError
from evalgate.runner.journal import Found, Journal
from evalgate.runner.journal_lines import Header


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journals" / "run-1.jsonl"


def test_what_was_written_is_there_when_the_run_is_resumed(path: Path) -> None:
    """Results come back sorted, and the newest line of a case wins."""
    with Journal.create(path, HEADER) as journal:
        journal.write(make_scored("b"))
        journal.write(make_failed("a"))
        journal.write(make_scored("a", 0.5))
    journal, results = resumed(path)
    with journal:
        assert (make_scored("a", 0.5), make_scored("b")) == results
        journal.write(make_scored("c"))
    journal, results = resumed(path)
    journal.close()
    assert [result.case_id for result in results] == ["a", "b", "c"]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_costs_only_its_own_result(path: Path, cut: int) -> None:
    """Wherever a crash tore the last line, the lines before it count and new ones do not stick to the stump."""
    with Journal.create(path, HEADER) as journal:
        journal.write(make_scored("a"))
        journal.write(make_scored("b"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    journal, results = resumed(path)
    with journal:
        assert [result.case_id for result in results] == ["a"]
        journal.write(make_scored("b"))
    assert whole == path.read_bytes()


def spoil(path: Path, line: int, at: int = -20, byte: bytes = b"#") -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    at %= len(lines[line])
    lines[line] = lines[line][:at] + byte + lines[line][at + 1 :]
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("at", range(0, 180, 7))
@pytest.mark.parametrize("byte", [b"\0", b"7", b"\n"])
def test_a_damaged_line_in_the_middle_is_a_result_never_made(path: Path, at: int, byte: bytes) -> None:
    """Damage makes a run dearer, it never makes a result: also where it is JSON still, with another score."""
    with Journal.create(path, HEADER) as journal:
        for name in "abc":
            journal.write(make_scored(name))
    whole = path.read_bytes()
    spoil(path, line=2, at=at, byte=byte)
    assert whole != path.read_bytes()
    journal, results = resumed(path)
    journal.close()
    assert results == (make_scored("a"), make_scored("c"))


def test_what_a_power_failure_leaves_costs_only_what_it_hit(path: Path) -> None:
    """Pages that never reached the disk read as zeros, in the middle or at the end; new lines do not stick to them."""
    with Journal.create(path, HEADER) as journal:
        for number in range(100):
            journal.write(make_scored(f"{number:03}"))
    whole = bytearray(path.read_bytes())
    whole[4096:8192] = bytes(4096)
    path.write_bytes(whole + bytes(5000))
    journal, before = resumed(path)
    with journal:
        journal.write(make_scored("new"))
    journal, after = resumed(path)
    journal.close()
    assert 70 < len(before) < 90
    assert after == (*before, make_scored("new"))


@given(st.data())
def test_whatever_is_cut_or_overwritten_no_result_changes(data: st.DataObject) -> None:
    """What is read back was written, each result in its newest form or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j.jsonl"
        written = [make_scored(f"case-{number}", number / 10) for number in range(10)]
        with Journal.create(path, HEADER) as journal:
            header = path.stat().st_size
            for result in written:
                journal.write(result)
        content = bytearray(path.read_bytes())
        at = data.draw(st.integers(header, len(content)))
        what = data.draw(st.binary(max_size=300))
        content[at : at + len(what)] = what
        path.write_bytes(content[: data.draw(st.integers(header, len(content)))])
        journal, results = resumed(path)
        journal.close()
        assert set(results) <= set(written)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda header: replace(header, suite="other"), "suite"),
        (lambda header: replace(header, version="v2"), "version"),
        (lambda header: replace(header, version=None), "version"),
        (lambda header: replace(header, evalset="e2"), "eval set"),
    ],
)
def test_a_journal_of_something_else_is_refused(path: Path, change: Callable[[Header], Header], word: str) -> None:
    """Results of another suite, version or eval set do not flow into a run; the message says what to do."""
    Journal.create(path, HEADER).close()
    with pytest.raises(InputError, match=f"{word}.*(--resume|configuration)"):
        Journal.resume(path, change(HEADER))


def test_all_differences_are_told_together(path: Path) -> None:
    """Nobody mends one difference only to meet the next."""
    Journal.create(path, HEADER).close()
    with pytest.raises(InputError) as caught:
        Journal.resume(path, replace(HEADER, version="v2", evalset="e2"))
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    "content", [b"", b'{"schema": "evalg', b"hello\n", b"[]\n", b'{"schema": "evalgate.journal/9"}\n']
)
def test_what_is_no_journal_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty, torn, foreign or newer file is never read as a run without results."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="without --resume"):
        Journal.resume(path, HEADER)
    assert Journal.find(tmp_path).unfinished == ()


def test_a_missing_journal_is_said_to_be_missing(tmp_path: Path) -> None:
    """The user mistyped, or the run is finished: not our fault."""
    with pytest.raises(InputError, match="no such journal"):
        Journal.resume(tmp_path / "nothing.jsonl", HEADER)


def test_two_at_once_are_refused(path: Path) -> None:
    """The second process to resume a run would pay for the same calls again."""
    journal = Journal.create(path, HEADER)
    with pytest.raises(InputError, match="another process"):
        Journal.resume(path, HEADER)
    journal.close()
    Journal.resume(path, HEADER).close()


def test_a_journal_never_overwrites_another(path: Path) -> None:
    """Creating is for new runs."""
    Journal.create(path, HEADER).close()
    with pytest.raises(StoreError, match=r"run-1\.jsonl"):
        Journal.create(path, HEADER)


def test_unfinished_runs_are_found_newest_first(tmp_path: Path) -> None:
    """Of every suite, and none that was removed."""
    for name, hour in (("a", 1), ("b", 3), ("c", 2), ("e", 5)):
        header = replace(HEADER, run_id=name, created=NOON.replace(hour=hour), meta={"limit": 3})
        journal = Journal.create(tmp_path / f"{name}.jsonl", header)
        journal.remove() if name == "e" else journal.close()
    found = Journal.find(tmp_path).unfinished
    assert [unfinished.header.run_id for unfinished in found] == ["b", "c", "a"]
    assert found[0].header.meta == {"limit": 3}
    assert Journal.find(tmp_path / "nowhere").unfinished == ()


def test_what_cannot_be_gone_on_with_is_found_with_its_reason(tmp_path: Path) -> None:
    """A journal of another evalgate, or with a damaged header, holds paid calls: it is told, never passed over."""
    (tmp_path / "newer.jsonl").write_text('{"schema": "evalgate.journal/9"}\n')
    Journal.create(tmp_path / "torn.jsonl", HEADER).close()
    spoil(tmp_path / "torn.jsonl", line=0)
    newer, torn = Journal.find(tmp_path).unreadable
    assert "evalgate.journal/9" in newer.fault.what and "Finish the run with the evalgate" in newer.fault.hint
    assert "its first line is damaged" in torn.fault.what


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b'{"crc":"00'])
def test_a_journal_without_a_first_line_is_cleared_away_once_it_is_old(tmp_path: Path, content: bytes) -> None:
    """Its process was killed before its first call; a young one may be about to begin."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    for age_s, is_left in ((0, True), (3600, False)):
        os.utime(path, (time.time() - age_s,) * 2)
        assert Journal.find(tmp_path) == Found(unfinished=(), unreadable=())
        assert path.exists() == is_left


def test_the_earlier_sessions_usage_is_known(path: Path) -> None:
    """Failed and repeated calls count; an answer that was only judged again was paid for once; saved ones are free."""
    with Journal.create(path, HEADER) as journal:
        journal.write(make_failed("a", attempts=6))
        journal.write(make_scored("a", attempts=2, output=make_output(cost_usd=0.5, tokens_in=10, tokens_out=1)))
        rejudged = make_scored("a", 0.0, attempts=2, output=make_output(cost_usd=0.5, tokens_in=10, tokens_out=1))
        journal.write(rejudged, is_rejudged=True)
        journal.write(make_scored("b", output=make_output(cost_usd=0.5, cached=True)))
    journal, results = resumed(path)
    journal.close()
    usage = journal.used.usage(None)
    assert (usage.calls, usage.calls_saved, usage.cost_usd, usage.tokens_in, usage.tokens_out) == (8, 1, 0.5, 10, 1)
    assert rejudged == results[0]


def test_only_the_owner_can_read_a_journal(path: Path) -> None:
    """It holds what users asked and models answered."""
    Journal.create(path, HEADER).close()
    assert path.stat().st_mode & 0o077 == 0


def test_what_is_no_json_does_not_end_the_run(path: Path) -> None:
    """A callable's answer with a date in it is kept as text."""
    with Journal.create(path, HEADER) as journal:
        journal.write(make_scored("a", output=make_output(data={"at": NOON})))
    journal, (result,) = resumed(path)
    journal.close()
    assert {"at": str(NOON)} == result.output.data  # type: ignore[union-attr]


def test_a_full_disk_is_one_clear_error_and_leaves_whole_lines(path: Path) -> None:
    """The line that did not fit is taken back, so that the run can be resumed once there is room."""
    script = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from builders import make_scored
from runner_fakes import HEADER
from evalgate.errors import StoreError
from evalgate.runner.journal import Found, Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
journal = Journal.create(Path({str(path)!r}), HEADER)
try:
    for number in range(100):
        journal.write(make_scored(str(number)))
except StoreError as error:
    journal.close()
    print(number, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    written, message = done.stdout.split(" ", 1)
    assert "run-1.jsonl" in message and "--resume" in message
    assert path.read_bytes().endswith(b"\n")
    journal, results = resumed(path)
    with journal:
        assert int(written) == len(results) > 0


def test_no_journal_remembers_nothing() -> None:
    """The stand-in can be written to, closed and removed like a real one."""
    with Journal.null() as journal:
        journal.write(make_scored("a"))
    journal.remove()
    assert not journal.kept
