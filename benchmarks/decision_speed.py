#!/usr/bin/env python3
"""How long one gate decision takes: 810 cases in 12 categories against 5 baseline runs, beside the goals.

    python benchmarks/decision_speed.py [--requests 25] [--profile KIND]

Each row is a fresh process and shows the median over `--requests` simulated pull requests, every one with results of
its own, so that no answer is known from the one before; the first decision, with nothing warm, is told apart.
`unchanged` is a candidate like its history, `fell` one that lost 15 points everywhere (its tails are the far ones).
The last column is the time over that of fixed numpy work, done right after each decision: on a busy or a slower
machine compare that. `--profile` prints where the time of one kind's decisions goes instead.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from evalgate.gate.decide import decide
from evalgate.gate.rules import parse_rules
from evalgate.records import CaseRef, Pinned, Run, Scored

SIZES = (10, 10, 20, 20, 20, 30, 50, 50, 100, 100, 200, 200)
BASELINE_RUNS = 5
FALL = 0.15
RULES = {"overall": {"min": 0.5}, "each_category": {"max_drop": 0.05}}
REFS = tuple(
    CaseRef(id=f"c{category:02}-{number:03}", categories=(f"c{category:02}",), content="same", scorers="exact/1")
    for category, size in enumerate(SIZES)
    for number in range(size)
)

Draw = Callable[[np.random.Generator, NDArray[np.float64]], NDArray[np.float64]]


def binary(rng: np.random.Generator, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    return (rng.random(rates.shape) < rates).astype(np.float64)


def tenths(rng: np.random.Generator, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = rng.binomial(10, rates) / 10
    return scores


def hundredths(rng: np.random.Generator, rates: NDArray[np.float64]) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = np.clip(rates + rng.normal(0, 0.12, rates.shape), 0, 1)
    return scores.round(2)


KINDS: dict[str, tuple[Draw, float]] = {
    "binary": (binary, 15.0),
    "tenths": (tenths, 50.0),
    "hundredths": (hundredths, 50.0),
}
"""How scores are drawn from the cases' rates, and the goal in milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Medians in milliseconds, and that of the unchanged decision's time over the fixed work's."""

    kind: str
    repeats: int
    first: float
    unchanged: float
    fell: float
    ratio: float


def pull_request(rng: np.random.Generator, draw: Draw, repeats: int, fall: float) -> tuple[Run, Pinned]:
    """A candidate with so many repeats of each case and its history; rates Beta distributed with concentration 1."""
    rates = rng.beta(0.8, 0.2, len(REFS))
    history = tuple(_run(f"base-{number}", draw(rng, rates[:, None])) for number in range(BASELINE_RUNS))
    after = draw(rng, np.repeat(np.clip(rates - fall, 0, 1)[:, None], repeats, axis=1))
    return _run("candidate", after), Pinned(runs=history, why="benchmark")


def _run(name: str, scores: NDArray[np.float64]) -> Run:
    results = tuple(
        Scored(case_id=ref.id, epoch=epoch, score=score)
        for ref, row in zip(REFS, scores.tolist(), strict=True)
        for epoch, score in enumerate(row, 1)
    )
    return Run(
        id=name,
        suite="benchmark",
        created=datetime(2026, 1, 1, tzinfo=UTC),
        cases=REFS,
        results=results,
        epochs=scores.shape[1],
        evalset="set",
    )


def fixed_work() -> None:
    """Some milliseconds of what a decision is made of: FFTs of middling length, exponentials, a Python loop."""
    table = np.random.default_rng(1).random((64, 2048))
    for _ in range(4):
        spectra = np.fft.rfft(table)
        np.exp(-np.fft.irfft(spectra, 2048)).sum()
    total: dict[int, int] = {}
    for number in range(20_000):
        total[number % 997] = total.get(number % 997, 0) + number


def milliseconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def measure(kind: str, repeats: int, requests: int) -> Row:
    draw, _ = KINDS[kind]
    rules = parse_rules(RULES)
    times: dict[float, list[float]] = {0.0: [], FALL: []}
    fixed = []
    for seed in range(requests + 1):
        for fall, found in times.items():
            candidate, baseline = pull_request(np.random.default_rng(seed), draw, repeats, fall)
            found.append(milliseconds(lambda c=candidate, b=baseline: decide(c, b, rules)))  # type: ignore[misc]
        fixed.append(milliseconds(fixed_work))
    unchanged, fell = (statistics.median(found[1:]) for found in times.values())
    return Row(
        kind=kind,
        repeats=repeats,
        first=times[0.0][0],
        unchanged=unchanged,
        fell=fell,
        ratio=statistics.median(found / work for found, work in zip(times[0.0][1:], fixed[1:], strict=True)),
    )


def table(rows: Sequence[Row]) -> str:
    lines = [
        "scores      repeats  goal ms  unchanged ms  fell ms  first ms  unchanged / fixed work",
        "----------  -------  -------  ------------  -------  --------  ----------------------",
    ]
    for row in rows:
        goal = KINDS[row.kind][1]
        lines.append(
            f"{row.kind:10}  {row.repeats:7}  {goal:7.0f}  {row.unchanged:12.1f}  {row.fell:7.1f}  {row.first:8.1f}"
            f"  {row.ratio:22.2f}"
        )
    return "\n".join(lines)


def profile(kind: str, requests: int) -> None:
    draw, _ = KINDS[kind]
    rules = parse_rules(RULES)
    made = [pull_request(np.random.default_rng(seed), draw, 3, 0.0) for seed in range(requests)]
    with cProfile.Profile() as profiler:
        for candidate, baseline in made:
            decide(candidate, baseline, rules)
    pstats.Stats(profiler).sort_stats("tottime").print_stats(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=25, help="simulated pull requests a row")
    parser.add_argument("--profile", choices=KINDS)
    parser.add_argument("--one", nargs=2, metavar=("KIND", "REPEATS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.profile:
        profile(args.profile, args.requests)
        return
    if args.one:
        kind, repeats = args.one
        print(json.dumps(asdict(measure(kind, int(repeats), args.requests))))
        return
    rows = []
    for kind in KINDS:
        for repeats in (1, 3, 8):
            me = [sys.executable, __file__, "--requests", str(args.requests), "--one", kind, str(repeats)]
            rows.append(Row(**json.loads(subprocess.run(me, check=True, capture_output=True, text=True).stdout)))
    print(table(rows))


if __name__ == "__main__":
    main()
