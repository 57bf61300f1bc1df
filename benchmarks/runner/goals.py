"""From measured runs to lines with a goal beside them. Pure: measures nothing."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.runner.rig import FLOOR, OURS, Timed, Work

Runs = Mapping[str, Sequence[Timed]]
"""By tool."""

START = Work(cases=50, in_flight=10, latency_ms=0)
SMALL = Work(cases=1_000, in_flight=64, latency_ms=50)
LARGE = Work(cases=10_000, in_flight=256, latency_ms=50)
FAST = Work(cases=20_000, in_flight=64, latency_ms=0)
"""So many that starting up, 0.5 s, is a twentieth of the time that the goal allows."""
FEW = Work(cases=1_000, in_flight=256, latency_ms=0)
MANY = Work(cases=100_000, in_flight=256, latency_ms=0)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A goal, and what was measured."""

    name: str
    measured: str
    goal: str
    is_reached: bool | None
    """None: it was not measured."""


def median(runs: Sequence[Timed], name: str) -> float:
    return float(statistics.median(getattr(run, name) for run in runs))


def start(runs: Runs) -> list[Line]:
    wall_s, name = median(runs[OURS], "wall_s"), "50 cases, 0 ms, start to verdict"
    lines = [_line(name, wall_s, 0.8, f"{wall_s:.2f} s", "≤ 0.8 s", runs)]
    if FLOOR in runs:
        ratio = wall_s / median(runs[FLOOR], "wall_s")
        lines.append(_line(f"{name}, to the aiohttp floor", ratio, 2.0, f"{ratio:.2f} ×", "≤ 2 ×", runs))
    return lines


def small(runs: Runs) -> list[Line]:
    ratio = median(runs[OURS], "wall_s") / SMALL.limit_s
    return [_line("1,000 cases, 64 in flight, 50 ms", ratio, 1.8, f"{ratio:.2f} × limit", "≤ 1.8 × limit", runs)]


def large(runs: Runs) -> list[Line]:
    ratio = median(runs[OURS], "wall_s") / LARGE.limit_s
    cpu_ms = median(runs[OURS], "cpu_s") * 1000 / LARGE.cases
    name = "10,000 cases, 256 in flight, 50 ms"
    return [
        _line(name, ratio, 2.5, f"{ratio:.2f} × limit", "≤ 2.5 × limit", runs),
        _line(f"{name}: CPU", cpu_ms, 0.5, f"{cpu_ms:.2f} ms a case", "≤ 0.5 ms a case", runs),
    ]


def fast(runs: Runs) -> list[Line]:
    rate = FAST.cases / median(runs[OURS], "wall_s")
    name = f"{FAST.cases:,} cases, {FAST.in_flight} in flight, 0 ms, start and store included"
    return [_line(name, -rate, -2000, f"{rate:,.0f} cases/s", "≥ 2,000 cases/s", runs)]


def memory(few: Sequence[Timed], many: Sequence[Timed]) -> list[Line]:
    peak = median(many, "peak_mb")
    more = peak - median(few, "peak_mb")
    name, runs = f"memory, {MANY.cases:,} cases", {OURS: [*few, *many]}
    return [
        _line(name, peak, 150, f"{peak:.0f} MB", "≤ 150 MB", runs),
        _line(f"{name}, above {FEW.cases:,}", more, 20, f"{more:.0f} MB", "≤ 20 MB", runs),
    ]


def cached(runs: Runs) -> list[Line]:
    wall_s = median(runs[OURS], "wall_s")
    requests = max(run.requests for run in runs[OURS])
    return [
        _line("everything cached, 1,000 cases", wall_s, 1.0, f"{wall_s:.2f} s", "≤ 1.0 s", runs),
        _line("everything cached: requests", requests, 0, f"{requests}", "0", runs),
    ]


def _line(name: str, value: float, most: float, measured: str, goal: str, runs: Runs) -> Line:
    """A goal that is reached up to `most`. One run with a wrong result, and nothing is."""
    fault = next((run.fault for run in runs[OURS] if run.fault), "")
    if fault:
        return Line(name=name, measured=f"broken: {fault}", goal=goal, is_reached=False)
    return Line(name=name, measured=measured, goal=goal, is_reached=value <= most)


def table(lines: Iterable[Line]) -> str:
    """Each goal beside what was measured."""
    words = {True: "reached", False: "MISSED", None: "not measured"}
    rows = [f"| {line.name} | {line.measured} | {line.goal} | {words[line.is_reached]} |" for line in lines]
    return "\n".join(["| | measured | goal | |", "| --- | --- | --- | --- |", *rows])


def tools(work: Work, runs: Runs) -> str:
    """Every tool on the same work: medians, with the range of the wall times."""
    limit_s = work.limit_s
    title = f"{work.cases:,} cases, {work.in_flight} in flight, {work.latency_ms:g} ms"
    lines = [
        f"#### {title}" + (f", limit {limit_s:g} s" if limit_s else ""),
        "",
        "| tool | wall s [min-max] | × limit | × evalgate | CPU ms a case | peak MB | requests | runs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    ours_s = median(runs[OURS], "wall_s")
    for tool, timed in sorted(runs.items(), key=lambda item: median(item[1], "wall_s")):
        fault = next((run.fault for run in timed if run.fault), "")
        if fault:
            lines.append(f"| {tool} | broken: {fault} | | | | | | {len(timed)} |")
            continue
        wall_s = median(timed, "wall_s")
        times = [run.wall_s for run in timed]
        to_limit = f"{wall_s / limit_s:.2f}" if limit_s else "–"
        to_ours = f"{wall_s / ours_s:.2f}" if ours_s else "–"
        lines.append(
            f"| {tool} | {wall_s:.2f} [{min(times):.2f}-{max(times):.2f}] | {to_limit} | {to_ours} "
            f"| {median(timed, 'cpu_s') * 1000 / work.cases:.2f} | {median(timed, 'peak_mb'):.0f} "
            f"| {median(timed, 'requests'):.0f} | {len(timed)} |"
        )
    return "\n".join(lines)
