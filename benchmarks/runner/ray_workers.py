"""`evalgate run --engine ray` with one of its workers killed in the middle; then counts what was lost and repeated.

    python -m benchmarks.runner.ray_workers [--calls 20000] [--workers 2] [--latency-ms 20] [--kills 1]

The workers are processes of a Ray cluster on this machine, the endpoint another process that counts every call. A
worker is ended by SIGKILL when half of the results are there; several kills are spread over the run. Exit code 1
where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.runner import counting
from benchmarks.runner.counting import forget, is_answered_rightly, question
from evalgate.history.store import History
from evalgate.records import Run, Scored

MOST_REPEATED = 0.02

CONFIG = """\
version: 1
suite: on-ray
evalsets: [set.yaml]
endpoint: {{kind: openai, base_url: "{url}", api_key_env: RAY_BENCHMARK_KEY, model: sums}}
run: {{concurrency: {concurrency}, cache: false}}
history: {{store: "sqlite:///history.db"}}
"""

SET = """\
name: on-ray
category: sums
prompt: "{{ input }}"
scorers: [exact]
cases_from: cases.jsonl
"""


def prepare(folder: Path, url: str, calls: int, concurrency: int) -> None:
    """A suite of so many cases."""
    (folder / "evalgate.yaml").write_text(CONFIG.format(url=url, concurrency=concurrency))
    (folder / "set.yaml").write_text(SET)
    with (folder / "cases.jsonl").open("w") as file:
        for number in range(calls):
            case_id, asked, right = question(number)
            file.write(json.dumps({"id": case_id, "input": asked, "expected": right}) + "\n")


def workers_of(ancestor: int) -> list[int]:
    """The processes below another that run a batch on Ray right now."""
    parents: dict[int, int] = {}
    busy: list[int] = []
    for folder in Path("/proc").iterdir():
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if (folder / "cmdline").read_bytes().startswith(b"ray::_work"):
                busy.append(int(folder.name))
        except (ValueError, OSError):
            continue

    def is_below(pid: int) -> bool:
        while pid in parents and pid != ancestor:
            pid = parents[pid]
        return pid == ancestor

    return sorted(pid for pid in busy if is_below(pid))


def finished(folder: Path) -> int:
    """How many results the run's journal holds."""
    return sum(file.read_bytes().count(b"\n") - 1 for file in (folder / ".evalgate" / "journal").glob("*.jsonl"))


def run_and_kill(folder: Path, calls: int, workers: int, kills: int) -> tuple[float, list[int], int, str]:
    """Seconds, the results that were there at each kill, the exit code, and what was said."""
    command = [sys.executable, "-c", "from evalgate.cli import main; main()"]
    command += ["run", "--engine", "ray", "--workers", str(workers)]
    environ = {**os.environ, "RAY_BENCHMARK_KEY": "none"}
    for name in ("RAY_ADDRESS", "GITHUB_ACTIONS", "GITHUB_EVENT_NAME"):
        environ.pop(name, None)
    began_at = time.monotonic()
    killed: list[int] = []
    with (folder / "talk").open("wb") as talk:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=talk, stderr=talk)
        while process.poll() is None:
            time.sleep(0.05)
            if len(killed) < kills and finished(folder) > calls * (len(killed) + 1) // (kills + 1):
                busy = workers_of(process.pid)
                if busy:
                    os.kill(busy[0], signal.SIGKILL)
                    killed.append(finished(folder))
    return time.monotonic() - began_at, killed, process.returncode, (folder / "talk").read_text(errors="replace")


def stored(folder: Path) -> Run:
    with History.open(f"sqlite:///{folder / 'history.db'}", create=False) as history:
        return history.read_run("latest")


def main(calls: int, workers: int, latency_s: float, kills: int, concurrency: int) -> int:
    with tempfile.TemporaryDirectory() as name, counting.endpoint(latency_s) as url:
        folder = Path(name)
        prepare(folder, url, calls, concurrency)
        wall_s, killed, code, talk = run_and_kill(folder, calls, workers, kills)
        if code not in (0, 1):
            print(talk)
            return 1
        asked = Counter({name.partition("/")[2]: len(times) for name, times in forget(url).items()})
        run = stored(folder)
    unique = {(result.case_id, result.epoch) for result in run.results}
    wrong = sum(
        not isinstance(result, Scored) or (result.score == 1) != is_answered_rightly(result.case_id, "sums")
        for result in run.results
    )
    repeated = asked.total() - len(asked)
    share = repeated / calls
    rows = [
        (
            "workers, killed by SIGKILL",
            f"{workers}, {len(killed)} (after {', '.join(map(str, killed))} results)",
            kills,
        ),
        ("results", f"{len(run.results):,}", f"{calls:,}"),
        ("unique", f"{len(unique):,}", f"{calls:,}"),
        ("wrong or without a score", wrong, 0),
        ("calls at the endpoint", f"{asked.total():,}", ""),
        ("repeated calls", f"{repeated} = {share:.2%}", f"<= {MOST_REPEATED:.0%}"),
        ("seconds, start of the cluster included", f"{wall_s:.1f}", ""),
    ]
    print(f"{'':42}{'found':>36}{'goal':>10}")
    for what, found, goal in rows:
        print(f"{what:42}{found!s:>36}{goal!s:>10}")
    is_good = len(run.results) == len(unique) == calls and not wrong and share <= MOST_REPEATED and len(killed) == kills
    return 0 if is_good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.runner.ray_workers", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--latency-ms", type=float, default=20)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=64)
    given = parser.parse_args()
    sys.exit(main(given.calls, given.workers, given.latency_ms / 1000, given.kills, given.concurrency))
