"""Ends `evalgate run` at random moments and resumes it until it is done, again and again; then counts what was lost.

    python -m benchmarks.runner.kill [--kills 200] [--cases 2000] [--signal KILL|TERM|INT] [--steps] [--cache]

Moments are uniform over the life of a whole run, as long as the last one that nobody disturbed: imports, calls,
deciding, storing, clearing up. Each run has a folder and a history of its own, and an endpoint that counts every call.
What becomes of it is held against the first run, which nobody disturbs. `--steps`: of a change for the worse with a
history behind it, so that undecided categories are repeated and both sides are called anew before it is blocked. Exit
code 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.runner import counting
from benchmarks.runner.counting import forget, is_answered_rightly, question
from evalgate.history.store import History
from evalgate.records import Result, Scored

JUST_S = 0.1
"""An answer that left the endpoint this long before a kill may not have arrived, been scored and written down."""

CONFIG = """\
version: 1
suite: killed
evalsets: [set.yaml]
endpoint: {{kind: openai, base_url: "{url}", api_key_env: KILL_KEY, model: {model}}}
run: {{concurrency: {concurrency}, cache: {cache}}}
history: {{store: "sqlite:///history.db"}}
"""

SET = """\
name: killed
category: sums
prompt: "{{ input }}"
scorers: [exact]
cases_from: cases.jsonl
"""

IGNORED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A shell's background jobs ignore Ctrl-C, and so would what they start."""


@dataclass
class Found:
    """What was found after the runs."""

    runs: int = 0
    kills: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    """How the processes ended."""
    results: int = 0
    lost: int = 0
    """Cases without a result."""
    doubled: int = 0
    """Results, or whole runs, that were recorded more than once."""
    wrong: int = 0
    """Results that are not what the endpoint's answer deserves."""
    different: int = 0
    """Runs whose results, steps, confirmation or verdict are not those of the undisturbed one."""
    repeated: int = 0
    """Calls beyond those of the undisturbed run."""
    in_flight: int = 0
    """Calls that the kills met: asked, and not answered, or answered just then."""
    left: int = 0
    """Journals that nobody needs."""
    faults: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        broken = self.lost + self.doubled + self.wrong + self.different + self.left + len(self.faults)
        return not broken and self.repeated <= self.in_flight

    def table(self) -> str:
        rows = [
            ("results lost", self.lost, "0", not self.lost),
            ("results or runs doubled", self.doubled, "0", not self.doubled),
            ("results wrong", self.wrong, "0", not self.wrong),
            ("runs that came out differently", self.different, "0", not self.different),
            ("calls repeated", self.repeated, f"≤ {self.in_flight} in flight", self.repeated <= self.in_flight),
            ("journals left over", self.left, "0", not self.left),
            ("other faults", len(self.faults), "0", not self.faults),
        ]
        lines = ["| | measured | goal | |", "| --- | --- | --- | --- |"]
        lines += [
            f"| {name} | {value} | {goal} | {'reached' if good else 'MISSED'} |" for name, value, goal, good in rows
        ]
        return "\n".join([*lines, *(f"- {fault}" for fault in self.faults[:20])])


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is run."""

    cases: int
    concurrency: int
    url: str
    steps: bool = False
    cache: bool = False


@dataclass(frozen=True)
class Outcome:
    """What has become of a run."""

    exit_code: int
    results: dict[tuple[str, int], float | None]
    rest: object
    calls: dict[str, int]
    """By `model/case`."""


class Victim:
    """One run, begun and gone on with by as many processes as it takes."""

    def __init__(self, folder: Path, job: Job) -> None:
        self.folder, self.job = folder, job
        self.journals = folder / ".evalgate" / "journal"
        folder.mkdir(parents=True)
        rows = (dict(zip(("id", "input", "expected"), question(number), strict=True)) for number in range(job.cases))
        (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "set.yaml").write_text(SET)
        self.configure("counting")
        self.model, self.runs_before = "counting", 0
        self.ends: list[float] = []

    def configure(self, model: str) -> None:
        job = self.job
        cache = "true" if job.cache else "false"
        text = CONFIG.format(url=job.url, concurrency=job.concurrency, cache=cache, model=model)
        (self.folder / "evalgate.yaml").write_text(text)

    def begin_worse(self, history: Path) -> None:
        """From here on it is a change for the worse, after the runs of this history."""
        shutil.copy(history, self.folder / "history.db")
        self.model, self.runs_before = "worse", 2
        self.configure("worse")

    def start(self, *words: str) -> subprocess.Popen[str]:
        """What somebody would do who was told nothing: resume what there is, else begin."""
        if any(file.stat().st_size for file in self.journals.glob("*.jsonl")):
            words = (*words, "--resume")
        code = f"import sys; {IGNORED}; sys.path[:0] = {sys.path!r}; from evalgate.cli import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", code, "run", "--format", "json", *words],
            cwd=self.folder,
            env={"KILL_KEY": "none", "PATH": "", "EVALGATE_CACHE_DIR": str(self.folder / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_done(self) -> bool:
        """Whether it is recorded, and its journal gone."""
        file = self.folder / "history.db"
        if not file.exists() or any(self.journals.glob("*.jsonl")):
            return False
        with History.open(f"sqlite:///{file}") as history:
            return len(history.list_runs()) > self.runs_before

    def check(self, found: Found, expected: Outcome | None) -> Outcome:
        """What has become of the run, and what is wrong with it."""
        calls = forget(self.job.url)
        outcome = self._outcome(found, {asked: len(times) for asked, times in calls.items()})
        for end in self.ends:
            met = sum(
                came <= end + JUST_S and (gone is None or gone >= end - JUST_S)
                for times in calls.values()
                for came, gone in times
            )
            found.in_flight += min(met, self.job.concurrency)
        for (case_id, _), score in outcome.results.items():
            found.wrong += score != float(is_answered_rightly(case_id, self.model))
        found.lost += self.job.cases - len({case_id for case_id, _ in outcome.results})
        if expected is not None:
            known = (expected.exit_code, expected.results, expected.rest)
            found.different += known != (outcome.exit_code, outcome.results, outcome.rest)
            asked = outcome.calls.keys() | expected.calls.keys()
            found.repeated += sum(max(0, outcome.calls.get(a, 0) - expected.calls.get(a, 0)) for a in asked)
        found.left += sum(1 for file in self.journals.rglob("*.jsonl") if file.stat().st_size)
        return outcome

    def _outcome(self, found: Found, calls: dict[str, int]) -> Outcome:
        with History.open(f"sqlite:///{self.folder / 'history.db'}") as history:
            found.doubled += len(history.list_runs()) - self.runs_before - 1
            run = history.read_run("latest")
            verdicts = history.verdicts(run.id)
        if len(verdicts) != 1:
            found.faults.append(f"{self.folder}: recorded with {len(verdicts)} verdicts")
        results = _scores(run.results)
        found.results += len(run.results)
        found.doubled += len(run.results) - len(results)
        fresh = run.confirmation
        rest = (run.steps, fresh and (fresh.categories, fresh.epochs, _scores(fresh.after), _scores(fresh.before)))
        return Outcome(verdicts[-1].exit_code, results, rest, calls)


def _scores(results: Iterable[Result]) -> dict[tuple[str, int], float | None]:
    return {(r.case_id, r.epoch): r.score if isinstance(r, Scored) else None for r in results}


def measure(folder: Path, *, job: Job, kills: int, number: int, seed: int) -> Found:
    """What is found after so many kills, and after the last run has come to its end."""
    rng, found, life_s = random.Random(seed), Found(), 0.0
    first: Outcome | None = None
    history = _history(folder, job) if job.steps else None
    while first is None or found.kills < kills:
        victim = Victim(folder / f"run-{found.runs}", job)
        if history is not None:
            victim.begin_worse(history)
        began = time.monotonic()
        is_done = False
        while not is_done:
            is_disturbed = first is not None and found.kills < kills
            is_done = _lives(victim, found, rng.uniform(0, life_s) if is_disturbed else None, number)
            if len(victim.ends) % 10 == 9:  # the machine has become slower: they hardly get to their calls
                life_s *= 1.5
            sys.stderr.write(f"\r{found.kills} kills, {found.runs} runs ")
        if not victim.ends:  # what else the machine does makes lives longer and shorter again
            life_s = time.monotonic() - began
        found.runs += 1
        outcome = victim.check(found, first)
        first = first or outcome
        shutil.rmtree(victim.folder)
    sys.stderr.write("\n")
    return found


def _history(folder: Path, job: Job) -> Path:
    """The history that a change is held against: two runs."""
    victim = Victim(folder / "history", job)
    for _ in range(2):
        process = victim.start("--no-gate")
        _, err = process.communicate()
        assert process.returncode == 0, err
    forget(job.url)
    return victim.folder / "history.db"


def _lives(victim: Victim, found: Found, moment_s: float | None, number: int) -> bool:
    """Whether the run is done after one more process, which lives so long at most."""
    process = victim.start()
    try:
        out, err = process.communicate(timeout=moment_s)
    except (KeyboardInterrupt, SystemExit):
        process.kill()
        raise
    except subprocess.TimeoutExpired:
        victim.ends.append(time.monotonic())
        process.send_signal(number)
        found.kills += 1
        out, err = process.communicate(timeout=60)
        _check_end(victim, found, process.returncode, err, number)
    else:
        found.ends[f"exit {process.returncode}"] += 1
        if process.returncode not in (0, 1):
            found.faults.append(f"{victim.folder.name}: exit {process.returncode}: {(out + err)[-500:]}")
            return True
    return victim.is_done()


def _check_end(victim: Victim, found: Found, code: int, err: str, number: int) -> None:
    """A process that is asked to end says so, unless Python itself was still starting, or ending, it."""
    found.ends[signal.Signals(-code).name if code < 0 else f"exit {code}"] += 1
    if number == signal.SIGKILL or code in (0, 1, -number):
        return
    if code != 130 or "interrupted" not in err or "Traceback" in err:
        found.faults.append(f"{victim.folder.name}: exit {code} after a signal: {err[-500:]}")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.runner.kill", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--signal", choices=("KILL", "TERM", "INT"), default="KILL")
    parser.add_argument("--steps", action="store_true", help="a change for the worse: with repeats and fresh calls")
    parser.add_argument("--cache", action="store_true", help="each run with a cache of calls")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    given = parse(argv)
    began = time.monotonic()
    before = signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(128 + number)
    )  # so that the endpoint ends too
    with tempfile.TemporaryDirectory() as folder, counting.endpoint(given.latency_ms / 1000) as url:
        job = Job(cases=given.cases, concurrency=given.concurrency, url=url, steps=given.steps, cache=given.cache)
        number = signal.Signals[f"SIG{given.signal}"]
        found = measure(Path(folder), job=job, kills=given.kills, number=number, seed=given.seed)
    signal.signal(signal.SIGTERM, before)
    print(
        f"SIG{given.signal} at {found.kills} random moments of {found.runs - 1} runs of {given.cases:,} cases "
        f"({given.concurrency} in flight, {given.latency_ms:g} ms), each resumed until done: {found.results:,} results "
        f"in {time.monotonic() - began:.0f} s. Processes ended by: "
        + ", ".join(f"{name} {count}" for name, count in sorted(found.ends.items()))
        + f".\n\n{found.table()}"
    )
    return 0 if found.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
