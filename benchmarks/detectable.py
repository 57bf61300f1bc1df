#!/usr/bin/env python3
"""Is the promised power real? The detectable drop of simulated categories against the exact test.

    python benchmarks/detectable.py [--draws 400] [--quick] [--cells PATTERN] [--graded] [--seed 7]

A cell is a size, a concentration of the cases' Beta law (0.1: nearly every case always passes or always fails, 1, 4:
flaky), a number of history samples K and a design: one look at 1 or at 3 repeats with a twelfth of 4 %, or escalating
1/2/4/8 repeats. For each draw: true rates (mean 0.65 to 0.95), a history from them, the detectable drop from the
history alone; then the truth is broken by exactly that drop and the exact permutation test says whether it blocks.
The table shows the average real power, where 80 % is promised and 75 to 85 % is the goal; `*` marks cells outside by
more than two standard errors. `exists` is the share of draws that have a detectable drop, `fits` the share of these
where the truth is high enough to fall so far (only they are counted: elsewhere the answer means a total failure).
The last lines give the processor time of twelve categories with 810 cases.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalgate.stats.detect import Stage, detectable_drop
from evalgate.stats.permutation import Law, Samples

Array = NDArray[np.float64]

SIZES = (10, 20, 50, 100, 200)
CONCENTRATIONS = (0.1, 1.0, 4.0)
HISTORIES = (1, 5, 15)
GRADED_SPREAD = 4.0
CATEGORIES = (10, 10, 20, 20, 20, 30, 50, 50, 100, 100, 200, 200)
CANDIDATES = 4
"""Pull requests tried for each truth."""

DESIGNS = {
    "1 repeat": (Stage(epochs=1, level=0.04 / 12),),
    "3 repeats": (Stage(epochs=3, level=0.04 / 12),),
    "1/2/4/8": tuple(
        Stage(epochs=epochs, level=level * 0.8 / 12, go_on=go_on)
        for epochs, level, go_on in ((1, 0.0015, 0.30), (2, 0.0075, 0.15), (4, 0.021, 0.05), (8, 0.045, 1.0))
    ),
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One line of the table."""

    size: int
    concentration: float
    samples: int
    design: str
    graded: bool

    def __str__(self) -> str:
        kind = "graded" if self.graded else "binary"
        return f"n={self.size} s={self.concentration:g} K={self.samples} {self.design} {kind}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one draw; `power` is None where there is no such drop."""

    drop: float | None
    power: float | None


def broken(rng: np.random.Generator, rates: Array, drop: float) -> Array | None:
    """The rates after random cases have broken to a tenth, and if need be to nothing, so that the mean falls by `drop`.

    None where they are too low for that.
    """
    need = drop * len(rates)
    if need > rates.sum():
        return None
    order = rng.permutation(len(rates))
    after = rates.copy()
    for share in (0.9, 0.1):
        losses = share * rates[order]
        taken = np.clip(need - (np.cumsum(losses) - losses), 0.0, losses)
        after[order] -= taken
        need -= float(taken.sum())
    return np.maximum(after, 0.0)


def scores(rng: np.random.Generator, rates: Array, count: int, graded: bool) -> Array:
    """`count` scores of each case: 0 or 1, or like a judge's in tenths."""
    shape = (len(rates), count)
    if not graded:
        return (rng.random(shape) < rates[:, None]).astype(np.float64)
    mean = np.clip(rates, 1e-6, 1 - 1e-6)[:, None]
    return np.asarray(np.round(rng.beta(mean * GRADED_SPREAD, (1 - mean) * GRADED_SPREAD, shape), 1))


def is_blocked(history: Array, candidate: Array, stages: Sequence[Stage]) -> bool:
    """By the exact test, look after look."""
    for stage in stages:
        drop = history.mean() - candidate[:, : stage.epochs].mean()
        law = Law([Samples.of(b, c[: stage.epochs]) for b, c in zip(history.tolist(), candidate.tolist(), strict=True)])
        p = math.exp(law.log_tail(law.observed))
        if p <= stage.level and drop > 1e-9:
            return True
        if p > stage.go_on:
            return False
    return False


def draw(cell: Cell, seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.65, 0.95)
    rates = rng.beta(mean * cell.concentration, (1 - mean) * cell.concentration, cell.size)
    history = scores(rng, rates, cell.samples, cell.graded)
    stages = DESIGNS[cell.design]
    drop = detectable_drop(history.tolist(), stages)
    if drop is None:
        return Outcome(drop=None, power=None)
    truth = scores(rng, rates, 4000, True).mean(axis=1) if cell.graded else rates
    blocks = []
    for _ in range(CANDIDATES):
        after = broken(rng, truth, drop)
        if after is None:
            return Outcome(drop=drop, power=None)
        blocks.append(is_blocked(history, scores(rng, after, stages[-1].epochs, cell.graded), stages))
    return Outcome(drop=drop, power=statistics.fmean(blocks))


def report(cell: Cell, outcomes: Sequence[Outcome]) -> str:
    exists = [outcome for outcome in outcomes if outcome.drop is not None]
    powers = [100 * outcome.power for outcome in exists if outcome.power is not None]
    drop = 100 * statistics.median(outcome.drop or 0 for outcome in exists) if exists else math.nan
    shares = f"{100 * len(exists) / len(outcomes):6.0f}{100 * len(powers) / max(1, len(exists)):6.0f}"
    if len(powers) < 2:
        return f"{cell!s:40}{drop:8.1f}{shares}      –"
    power, error = statistics.fmean(powers), statistics.stdev(powers) / math.sqrt(len(powers))
    mark = " *" if max(75 - power, power - 85) > 2 * error else ""
    return f"{cell!s:40}{drop:8.1f}{shares}{power:7.1f} ± {error:.1f}{mark}"


def speed() -> str:
    rng = np.random.default_rng(3)
    lines = []
    for design, stages in DESIGNS.items():
        for samples in HISTORIES:
            suite = [
                scores(rng, rng.beta(0.8, 0.2, size), samples, False).tolist() for size in CATEGORIES
            ]  # fmt: skip
            times = []
            for _ in range(3):
                start = time.process_time()
                for history in suite:
                    detectable_drop(history, stages)
                times.append(time.process_time() - start)
            lines.append(f"810 cases in 12 categories, K={samples}, {design}: {1000 * min(times):.0f} ms")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--quick", action="store_true", help="100 draws a cell")
    parser.add_argument("--cells", default="", help="only cells whose name contains this text")
    parser.add_argument("--graded", action="store_true", help="graded scores instead of 0 and 1")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    draws = 100 if options.quick else options.draws
    cells = [
        Cell(size=size, concentration=concentration, samples=samples, design=design, graded=options.graded)
        for design in DESIGNS
        for samples in HISTORIES
        for concentration in CONCENTRATIONS
        for size in SIZES
    ]
    print(f"{'cell':40}{'drop pp':>8}{'exists':>6}{'fits':>6}  power % ({draws} draws × {CANDIDATES})")
    with ProcessPoolExecutor(options.workers) as pool:
        for cell in cells:
            if options.cells not in str(cell):
                continue
            seeds = [options.seed * 1_000_000 + number for number in range(draws)]
            print(report(cell, list(pool.map(draw, [cell] * draws, seeds, chunksize=5))), flush=True)
    print(speed())


if __name__ == "__main__":
    main()
