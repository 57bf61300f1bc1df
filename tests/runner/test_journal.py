"""What a run leaves behind when it does not end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from builders import NOON, make_failed, make_output, make_scored
from runner_fakes import HEADER

from evalgate.errors import InputError, StoreError
from evalgate.runner.journal import Header, Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journals" / "run-1.jsonl"


def test_what_was_written_is_there_when_the_run_is_resumed(path: Path) -> None:
    """Results come back sorted, and the newest line of a case wins."""
    with Journal.create(path, HEADER) as journal:
        journal.write(make_scored("b"))
        journal.write(make_failed("a"))
        journal.write(make_scored("a", 0.5))
    journal, results = Journal.resume(path, HEADER)
    with journal:
        assert (make_scored("a", 0.5), make_scored("b")) == results
        journal.write(make_scored("c"))
    journal, results = Journal.resume(path, HEADER)
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
    journal, results = Journal.resume(path, HEADER)
    with journal:
        assert [result.case_id for result in results] == ["a"]
        journal.write(make_scored("b"))
    assert whole == path.read_bytes()


def test_a_damaged_line_in_the_middle_is_a_result_never_made(path: Path) -> None:
    """Damage makes a run dearer, it never makes a result."""
    with Journal.create(path, HEADER) as journal:
        for name in "abc":
            journal.write(make_scored(name))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"case": "b", "epoch"\x00\xff\n'
    path.write_bytes(b"".join(lines))
    journal, results = Journal.resume(path, HEADER)
    journal.close()
    assert [result.case_id for result in results] == ["a", "c"]


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
    assert Journal.find(tmp_path, "bot") == []


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
    Journal.resume(path, HEADER)[0].close()


def test_a_journal_never_overwrites_another(path: Path) -> None:
    """Creating is for new runs."""
    Journal.create(path, HEADER).close()
    with pytest.raises(StoreError, match=r"run-1\.jsonl"):
        Journal.create(path, HEADER)


def test_unfinished_runs_are_found_newest_first(tmp_path: Path) -> None:
    """Only those of the suite, and none that was removed."""
    for name, suite, hour in (("a", "bot", 1), ("b", "bot", 3), ("c", "bot", 2), ("d", "other", 4), ("e", "bot", 5)):
        header = replace(HEADER, run_id=name, suite=suite, created=NOON.replace(hour=hour), meta={"limit": 3})
        journal = Journal.create(tmp_path / f"{name}.jsonl", header)
        journal.remove() if name == "e" else journal.close()
    found = Journal.find(tmp_path, "bot")
    assert [unfinished.header.run_id for unfinished in found] == ["b", "c", "a"]
    assert found[0].header.meta == {"limit": 3}
    assert Journal.find(tmp_path / "nowhere", "bot") == []


def test_the_earlier_sessions_usage_is_known(path: Path) -> None:
    """Failed and repeated calls count; an answer that was only judged again was paid for once; saved ones are free."""
    with Journal.create(path, HEADER) as journal:
        journal.write(make_failed("a", attempts=6))
        journal.write(make_scored("a", attempts=2, output=make_output(cost_usd=0.5, tokens_in=10, tokens_out=1)))
        rejudged = make_scored("a", 0.0, attempts=2, output=make_output(cost_usd=0.5, tokens_in=10, tokens_out=1))
        journal.write(rejudged, is_rejudged=True)
        journal.write(make_scored("b", output=make_output(cost_usd=0.5, cached=True)))
    journal, results = Journal.resume(path, HEADER)
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
    journal, (result,) = Journal.resume(path, HEADER)
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
from evalgate.runner.journal import Journal
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
    journal, results = Journal.resume(path, HEADER)
    with journal:
        assert int(written) == len(results) > 0


def test_no_journal_remembers_nothing() -> None:
    """The stand-in can be written to, closed and removed like a real one."""
    with Journal.null() as journal:
        journal.write(make_scored("a"))
    journal.remove()
    assert journal.kept == {}
