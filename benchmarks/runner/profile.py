"""Where the CPU seconds of a run go, phase by phase: the 10,000-case run, unless asked for another.

    python -m benchmarks.runner.profile [--cases 10000] [--concurrency 256] [--latency-ms 50] [--runs 3] [--top 15]

The process is sampled on its own CPU clock, so that nothing is slowed down and waiting costs nothing; a sample counts
for the innermost part of evalgate on its stack. What no part of evalgate has called is the event loop's. The endpoint
runs in another process: the rig's mock where there is one, else the counting endpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runner import counting, rig
from benchmarks.runner.counting import question

Frame = tuple[str, str]
"""File and function."""

PHASES = (
    ("import", "<frozen importlib"),
    ("render", "/evalgate/config/prompting.py", "/evalgate/config/templates.py", "/jinja2/"),
    ("load", "/evalgate/config/", "/evalgate/evalset", "/evalgate/pipeline/load.py"),
    ("plan", "/evalgate/runner/plan.py"),
    ("request and answer", "/evalgate/endpoints/"),
    ("score", "/evalgate/scorers/"),
    ("journal", "/evalgate/runner/journal", "/evalgate/runner/settling.py"),
    ("cache", "/evalgate/runner/cache"),
    ("cases and results on disk", "/evalgate/spool.py"),
    ("pace and worker", "/evalgate/runner/"),
    ("store", "/evalgate/history/"),
    ("gate", "/evalgate/gate/", "/evalgate/stats/"),
    ("report", "/evalgate/report/", "/evalgate/cli/console.py"),
    ("between the stages", "/evalgate/pipeline/", "/evalgate/records.py", "/evalgate/cli/", "/evalgate/github/"),
    ("event loop", "/asyncio/", "/selectors.py"),
)
"""Each phase with the files that make it. Where several match, the innermost frame decides, but for an import."""

SAMPLER = """\
import atexit, collections, json, signal, sys, time
stacks = collections.Counter()
def sample(number, frame):
    stack = []
    while frame is not None:
        stack.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back
    stacks[tuple(stack)] += 1
before_s = time.process_time()
signal.signal(signal.SIGPROF, sample)
signal.setitimer(signal.ITIMER_PROF, 0.004, 0.004)
def write():
    signal.setitimer(signal.ITIMER_PROF, 0)
    with open("samples.json", "w") as file:
        json.dump([before_s, time.process_time(), list(stacks.items())], file)
atexit.register(write)
from evalgate.cli import main
main()
"""

CONFIG = """\
version: 1
suite: profiled
evalsets: [set.yaml]
endpoint: {{kind: openai, base_url: "{url}", api_key_env: PROFILE_KEY, model: mock, params: {{temperature: 0}}}}
run: {{concurrency: {concurrency}, cache: false}}
gate: {{overall: {{min: 0.5}}}}
history: {{store: "sqlite:///history.db"}}
"""

SET = """\
name: profiled
category: sums
prompt: "{{ input }}"
scorers: [exact]
cases_from: cases.jsonl
"""


@dataclass(frozen=True)
class Profile:
    """CPU seconds of one process."""

    phases: Counter[str]
    functions: Counter[str]
    """By the function at work."""


def phase_of(stack: Sequence[Frame]) -> str:
    """What a stack, innermost frame first, is at work on."""
    files = [file.replace("\\", "/") for file, _ in stack]
    if any(file.startswith("<frozen importlib") for file in files):
        return "import"
    for file in files:
        for name, *parts in PHASES:
            if any(part in file for part in parts):
                return name
    return "other"


def profile_of(before_s: float, cpu_s: float, stacks: Sequence[tuple[Sequence[Frame], int]]) -> Profile:
    """The CPU seconds of a process, shared out among its samples."""
    each_s = (cpu_s - before_s) / max(1, sum(count for _, count in stacks))
    phases, functions = Counter({"interpreter": before_s}), Counter[str]()
    for stack, count in stacks:
        phases[phase_of(stack)] += count * each_s  # type: ignore[assignment]
        file, function = stack[0]
        place = "a dataclass" if file == "<string>" else "/".join(Path(file).parts[-2:])
        functions[f"{place}: {function}"] += count * each_s  # type: ignore[assignment]
    return Profile(phases, functions)


def run(folder: Path, url: str, *, cases: int, concurrency: int) -> Profile:
    """One run in a fresh folder, profiled. Raises RuntimeError where it does not pass."""
    rows = (dict(zip(("id", "input", "expected"), question(number), strict=True)) for number in range(cases))
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "set.yaml").write_text(SET)
    (folder / "evalgate.yaml").write_text(CONFIG.format(url=url, concurrency=concurrency))
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{SAMPLER}", "run", "--output", "report.txt"],
        cwd=folder,
        env={**os.environ, "PROFILE_KEY": "none"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr[-1000:]}")
    return profile_of(*json.loads((folder / "samples.json").read_text()))


@contextlib.contextmanager
def endpoint(latency_ms: float) -> Iterator[str]:
    try:
        with rig.running(rig.find(None), None) as found:
            yield f"http://127.0.0.1:{found.port}/l{latency_ms:g}/v1"
    except rig.NoRig:
        with counting.endpoint(latency_ms / 1000) as url:
            yield url


def table(profiles: Sequence[Profile], cases: int, top: int) -> str:
    """Phases in the order in which they come, then the functions at work longest; means over the runs."""
    phases, functions = Counter[str](), Counter[str]()
    for profile in profiles:
        phases.update(profile.phases)
        functions.update(profile.functions)
    total_s = sum(phases.values()) / len(profiles)
    order = ["interpreter", *(name for name, *_ in PHASES), "other"]
    lines = ["| phase | CPU s | share | ms a case |", "| --- | --- | --- | --- |"]
    for name in [*(name for name in order if phases[name]), ""]:
        seconds = phases[name] / len(profiles) if name else total_s
        lines.append(f"| {name or 'all'} | {seconds:.2f} | {seconds / total_s:.0%} | {seconds * 1000 / cases:.3f} |")
    lines += ["", "| at work longest | CPU s | share |", "| --- | --- | --- |"]
    for name, seconds in functions.most_common(top):
        lines.append(f"| `{name}` | {seconds / len(profiles):.2f} | {seconds / len(profiles) / total_s:.0%} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.runner.profile", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--top", type=int, default=15)
    given = parser.parse_args(argv)
    profiles = []
    with endpoint(given.latency_ms) as url:
        for _ in range(given.runs):
            with tempfile.TemporaryDirectory() as folder:
                profiles.append(run(Path(folder), url, cases=given.cases, concurrency=given.concurrency))
    print(
        f"{given.cases:,} cases, {given.concurrency} in flight, {given.latency_ms:g} ms, mean of {given.runs}; sampled "
        f"each 4 ms of CPU.\n\n{table(profiles, given.cases, given.top)}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
