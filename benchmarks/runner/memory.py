"""The memory that a run takes, by the number of its cases: on an empty history, and again with a baseline.

    python -m benchmarks.runner.memory [--cases 1000 10000 100000] [--concurrency 64]

What is told is the largest size of the whole process, as the system counts it. The endpoint runs in another process:
the rig's mock where there is one, else the counting endpoint. Exit code 1 where the goals are missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.runner.counting import question
from benchmarks.runner.profile import CONFIG, SET, endpoint

MOST_MB, MOST_MORE_MB = 150, 20
"""Goals: of the largest number of cases, and of what it takes above the smallest."""


def prepare(folder: Path, url: str, *, cases: int, concurrency: int) -> None:
    """A suite of so many cases."""
    with (folder / "cases.jsonl").open("w") as file:
        for number in range(cases):
            row = dict(zip(("id", "input", "expected"), question(number), strict=True))
            file.write(json.dumps(row) + "\n")
    (folder / "set.yaml").write_text(SET)
    (folder / "evalgate.yaml").write_text(CONFIG.format(url=url, concurrency=concurrency))


def peak_mb(folder: Path) -> float:
    """Of one run. Raises RuntimeError where it does not pass."""
    pid = os.fork()
    if pid == 0:
        os.chdir(folder)
        with Path("log.txt").open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            program = f"import sys; sys.path[:0] = {sys.path!r}; from evalgate.cli import main; main()"
            environ = {**os.environ, "PROFILE_KEY": "none"}
            os.execve(sys.executable, [sys.executable, "-c", program, "run", "--output", "report.txt"], environ)
    _, status, used = os.wait4(pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"exit {os.waitstatus_to_exitcode(status)}: {(folder / 'log.txt').read_text()[-1000:]}")
    return used.ru_maxrss / 1024


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.runner.memory", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--cases", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--concurrency", type=int, default=64)
    given = parser.parse_args(argv)
    first: list[float] = []
    print("| cases | MB, empty history | MB, with a baseline | goal |\n| --- | --- | --- | --- |", flush=True)
    for cases in given.cases:
        with tempfile.TemporaryDirectory() as name, endpoint(0) as url:
            folder = Path(name)
            prepare(folder, url, cases=cases, concurrency=given.concurrency)
            peaks = [peak_mb(folder), peak_mb(folder)]
        first.append(peaks[0])
        goal = f"≤ {MOST_MB} MB, ≤ {MOST_MORE_MB} MB above {given.cases[0]:,}" if cases == given.cases[-1] else ""
        print(f"| {cases:,} | {peaks[0]:.0f} | {peaks[1]:.0f} | {goal} |", flush=True)
    return 0 if reached(first) else 1


def reached(peaks: Sequence[float]) -> bool:
    """Whether the last of these, from the smallest number of cases to the largest, is within the goals."""
    return peaks[-1] <= MOST_MB and peaks[-1] - peaks[0] <= MOST_MORE_MB


if __name__ == "__main__":
    sys.exit(main())
