"""Every goal of the runner, measured: evalgate, the bare floor and whichever peers are installed, in turns.

    python -m benchmarks.runner                     all of it, medians of 5: about half an hour
    python -m benchmarks.runner --quick             once each, without ranges
    python -m benchmarks.runner --only start cached
    python -m benchmarks.runner --rig DIR --peers DIR --write FILE

What is printed is Markdown: the goals first, then each tool on each work. Only ratios within one run can be compared
with those of another day. Exit code 1 where a goal is missed, 2 where there is nothing to measure with.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.runner import goals, rig
from benchmarks.runner.goals import Line
from benchmarks.runner.rig import FLOOR, OURS, ROOT, Rig, Timed, Work

PEERS = (
    "promptfoo",
    "inspect_ai",
    "pydantic_evals",
    "deepeval",
    "braintrust",
    "langfuse",
    "multivon_eval",
    "lm_eval",
)
WITH_CACHE = ("promptfoo", "inspect_ai")
FLOORS = ("floor", FLOOR)


@dataclass
class Report:
    """What is printed in the end."""

    repeats: int
    tools: tuple[str, ...]
    lines: list[Line] = field(default_factory=list)
    details: list[str] = field(default_factory=list)


def measure(measured: Rig, work: Work, tools: Sequence[str], repeats: int) -> dict[str, list[Timed]]:
    """In turns, so that what else the machine does is shared among them."""
    runs: dict[str, list[Timed]] = {tool: [] for tool in tools}
    for turn in range(repeats):
        for tool in tools:
            _say(f"{turn + 1}/{repeats} {tool}, {work.cases:,} cases, {work.latency_ms:g} ms")
            runs[tool].append(measured.time(tool, work))
    return runs


def compared(report: Report, measured: Rig, work: Work, judge: Callable[[goals.Runs], list[Line]]) -> None:
    runs = measure(measured, work, report.tools, report.repeats)
    report.lines += judge(runs)
    report.details.append(goals.tools(work, runs))


def alone(report: Report, measured: Rig, work: Work, judge: Callable[[goals.Runs], list[Line]]) -> None:
    """Beside the floors only: peers take minutes to hours for as much."""
    tools = [tool for tool in report.tools if tool in (OURS, *FLOORS)]
    runs = measure(measured, work, tools, report.repeats)
    report.lines += judge(runs)
    report.details.append(goals.tools(work, runs))


def memory(report: Report, measured: Rig) -> None:
    """Once: the peak of a process hardly moves, and 100,000 cases take a minute."""
    few = measure(measured, goals.FEW, [OURS], 1)[OURS]
    many = measure(measured, goals.MANY, [OURS], 1)
    report.lines += goals.memory(few, many[OURS])
    report.details.append(goals.tools(goals.MANY, many))


def cached(report: Report, measured: Rig) -> None:
    """Each tool once to fill its cache, then again and again from it."""
    with tempfile.TemporaryDirectory() as folder:
        tools = [f"{name},cache=yes,state={folder}/{name}" for name in (OURS, *WITH_CACHE) if name in report.tools]
        for tool in tools:
            measured.time(tool, goals.SMALL)
        found = measure(measured, goals.SMALL, tools, report.repeats)
    runs = {tool.split(",")[0]: timed for tool, timed in found.items()}
    report.lines += goals.cached(runs)
    report.details.append(goals.tools(goals.SMALL, runs).replace("####", "#### Everything cached:", 1))


def own(
    report: Report, name: str, what: str, goal: str, arguments: Sequence[str] = (), *, needs: str | None = None
) -> None:
    """A test with a program of its own, which says by its exit code whether its goals are reached."""
    if needs is not None and importlib.util.find_spec(needs) is None:
        report.lines.append(Line(name=what, measured=f"skipped: {needs} is not installed", goal=goal, is_reached=None))
        return
    _say(f"benchmarks.runner.{name} {' '.join(arguments)}")
    command = [sys.executable, "-m", f"benchmarks.runner.{name}", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    report.lines.append(Line(name=what, measured=f"see {name} below", goal=goal, is_reached=done.returncode == 0))
    report.details.append(f"#### {name}\n\n{done.stdout.strip()}")


def parts(report: Report, measured: Rig, kills: int) -> dict[str, Callable[[], None]]:
    """What can be measured, by name."""
    return {
        "start": lambda: compared(report, measured, goals.START, goals.start),
        "small": lambda: compared(report, measured, goals.SMALL, goals.small),
        "large": lambda: alone(report, measured, goals.LARGE, goals.large),
        "fast": lambda: alone(report, measured, goals.FAST, goals.fast),
        "memory": lambda: memory(report, measured),
        "cached": lambda: cached(report, measured),
        "faults": lambda: own(
            report, "faults", "faults", "all right, 0 lost, ≤ 1.5 × fault-free + waits asked for + one time-out"
        ),
        "kill": lambda: own(
            report,
            "kill",
            f"SIGKILL at {kills} random moments",
            "0 lost, 0 doubled, repeated ≤ in flight",
            ["--kills", str(kills)],
        ),
        "ray": lambda: own(
            report, "ray_workers", "Ray, 2 workers, one killed", "20,000 unique results, ≤ 2 % repeated", needs="ray"
        ),
    }


PARTS = ("start", "small", "large", "fast", "memory", "cached", "faults", "kill", "ray")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.runner", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("-n", type=int, default=5, dest="repeats", help="runs of each tool; medians are printed")
    parser.add_argument("--quick", action="store_true", help="one run each, 10 kills")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rig", type=Path, metavar="DIR", help="where run.py and mock.sh are")
    parser.add_argument("--peers", type=Path, metavar="DIR", help="where the peers' environments are (PEERS_DIR)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the Markdown there")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    given = parse(argv)
    try:
        folder = rig.find(given.rig)
        tools = (OURS, *FLOORS, *PEERS)
        absent = rig.missing(folder, given.peers, tools)
        report = Report(
            repeats=1 if given.quick else given.repeats, tools=tuple(tool for tool in tools if tool not in absent)
        )
        before = machine()
        with rig.running(folder, given.peers) as measured:
            chosen = parts(report, measured, kills=10 if given.quick else 200)
            for name in PARTS:
                if name in given.only:
                    chosen[name]()
    except rig.NoRig as error:
        sys.stderr.write(f"{error}\n")
        return 2
    skipped = [f"- not installed, skipped: {tool} (looked for {place})" for tool, place in absent.items()]
    text = "\n\n".join(
        [
            "## The runner",
            f"{before}. Medians of {report.repeats}, all tools in turns. Load after: {_load()}.",
            "### Goals",
            goals.table(report.lines),
            *(["\n".join(skipped)] if skipped else []),
            "### Every tool",
            *report.details,
        ]
    )
    print(text)
    if given.write is not None:
        given.write.write_text(text + "\n", encoding="utf-8")
    return 1 if any(line.is_reached is False for line in report.lines) else 0


def machine() -> str:
    """Where and when, and what else the machine was doing."""
    try:
        found = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        model = next(line.split(":", 1)[1].strip() for line in found.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    git = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{when}, commit {git or 'unknown'}, {os.cpu_count()} cores ({model}), Python {platform.python_version()}, "
        f"load before: {_load()}"
    )


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
