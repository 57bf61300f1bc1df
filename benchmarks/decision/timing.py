"""How long one decision takes: 810 cases, 12 categories, 5 baseline runs, one repeat each, nothing else running."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.decision.cells import Cell
from benchmarks.decision.drive import pull_of
from benchmarks.decision.figures import Figure
from benchmarks.decision.generator import Setting
from benchmarks.decision.goals import Goal
from evalgate import gate

DECISIONS = 25
"""Different pull requests; the first five are not counted."""


def goals(seed: int) -> Iterator[Goal]:
    """The median of a decision on binary and on graded scores."""
    for title, is_graded, most in (("binary", False, 15.0), ("graded", True, 50.0)):
        what = f"one decision, 810 cases × 12 categories × 5 runs, {title}, median"
        yield Goal(what=what, measured=decision_ms(seed, is_graded=is_graded), unit="ms", most=most)


def decision_ms(seed: int, *, is_graded: bool) -> Figure:
    """Median milliseconds; the error is a quarter of the middle half's width."""
    cell = Cell(name=f"timing-{is_graded}", title="", setting=Setting(repeats=1, is_graded=is_graded))
    took = []
    for number in range(DECISIONS):
        pull = pull_of(cell, seed, number)
        run = pull.first
        begin = time.perf_counter()
        gate.decide(run, pull.baseline, pull.rules)
        took.append(1000 * (time.perf_counter() - begin))
    low, middle, high = statistics.quantiles(took[5:], n=4)
    return Figure(value=middle, error=(high - low) / 4)
