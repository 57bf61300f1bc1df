"""A run of any size is written piece by piece."""

from pathlib import Path

from evalgate.history import run_file
from evalgate.history.store import History
from evalgate.records import CaseRef, Output, Run
from tests.builders import NOON, Made, make_scored, peak_bytes

CASES = 2500
MOST_BYTES = 4_000_000
"""A thousand rows on their way and a few numbers a case; all of them as rows were over 10,000,000."""


def test_a_run_is_written_without_being_held_as_rows(tmp_path: Path) -> None:
    """What writing holds besides the run itself is a few numbers a case, whatever the texts are."""
    cases = Made(CASES, lambda n: CaseRef(id=f"case-{n:05}", categories=(f"facts-{n % 5}",), input=f"{n}?" * 50))
    results = Made(CASES, lambda n: make_scored(f"case-{n:05}", output=Output(text=f"{n} " * 50, latency_s=0.5)))
    run = Run(id="large", suite="s", created=NOON, cases=cases, results=results)  # type: ignore[arg-type]
    requests = ((f"case-{n:05}", [{"role": "user", "content": f"{n}?" * 50}]) for n in range(CASES))
    with History.open(f"sqlite:///{tmp_path / 'history.db'}") as history:
        history.write_run(Run(id="small", suite="s", created=NOON, cases=(), results=()), requests=())
        with peak_bytes() as peak:
            history.write_run(run, requests=requests)
        assert len(history.read_run("large").results) == CASES
    assert peak[0] < MOST_BYTES


def test_a_run_file_is_written_without_being_held(tmp_path: Path) -> None:
    """What passes through memory is a line at a time, and a few numbers a case stay. What is read is a `Spool`."""
    cases = Made(CASES, lambda n: CaseRef(id=f"case-{n:05}", categories=(f"facts-{n % 5}",), input=f"{n}?" * 50))
    results = Made(CASES, lambda n: make_scored(f"case-{n:05}", output=Output(text=f"{n} " * 50, latency_s=0.5)))
    run = Run(id="large", suite="s", created=NOON, cases=cases, results=results)  # type: ignore[arg-type]
    with peak_bytes() as peak:
        run_file.write(tmp_path / "a", run)
    assert peak[0] < MOST_BYTES
    read = run_file.read(tmp_path / "a").run
    assert (len(read.cases), len(read.results), read.results[7]) == (CASES, CASES, results[7])
