"""How much of alpha the looks at an escalating run spend together, in the normal limit.

    python -m benchmarks.decision.levels [--pulls 200000] [--seed 1]

Each category's deviation is a sum of independent normal steps, one a repeat, against a history of so many repeats: what
the exact tests tend to as categories grow. The looks, their parts of alpha, who is repeated further, and the bound on
extra calls are the gate's own numbers. Discrete scores and the guards only take from what is printed here, which must
not exceed alpha.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.decision.generator import TWELVE, Array
from benchmarks.decision.table import table
from evalgate.gate.family import SUITE_SHARE
from evalgate.gate.looks import EPOCHS, LAST_SHARES, SHARES, go_on, suite_go_on

ALPHA = 0.05
BATCH = 10_000
HISTORIES = (1, 3, 5, 15, 100)
"""Baseline repeats of each case."""

Truths = NDArray[np.bool_]
Whole = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Design:
    """What is looked at."""

    sizes: tuple[int, ...]
    """Cases of each category."""
    history: int
    max_epochs: int = EPOCHS[-1]
    extra: float = 2.0
    """Calls that repeats may add, in calls of the whole suite."""


def size_of(design: Design, pulls: int, seed: int) -> float:
    """The share of unchanged pull requests that is blocked."""
    rng = np.random.default_rng(seed)
    batches = max(1, pulls // BATCH)
    return sum(float(_Pulls(rng, design).blocked().mean()) for _ in range(batches)) / batches


class _Pulls:
    """A batch of unchanged pull requests, looked at again and again."""

    def __init__(self, rng: np.random.Generator, design: Design) -> None:
        self._sizes = np.array(design.sizes, dtype=np.float64)
        self._most, self._history, self._count = design.max_epochs, design.history, len(design.sizes)
        self._spread = np.sqrt(self._sizes)
        """Of the sum over one repeat of a category's cases."""
        shape = (BATCH, self._count)
        steps = self._spread[:, None] * rng.standard_normal((*shape, design.max_epochs))
        self._sums = np.cumsum(steps, axis=2)
        self._past = self._spread * rng.standard_normal(shape) / math.sqrt(design.history)
        self._is_ample = design.extra >= design.max_epochs - 1
        self._room = np.full(BATCH, design.extra * self._sizes.sum())
        self._now: Whole = np.ones(BATCH, dtype=np.int64)
        """Repeats of whoever is still looked at."""
        self._open: Truths = np.ones(BATCH, dtype=bool)
        self._is_last: Truths = np.full(BATCH, design.max_epochs <= 1)
        self._active: Truths = np.ones(shape, dtype=bool)
        self._has_suite: Truths = np.ones(BATCH, dtype=bool)

    def blocked(self) -> Truths:
        """Which of them are blocked at any look."""
        blocked: Truths = np.zeros(BATCH, dtype=bool)
        for look in range(self._most):
            p, suite = self._tails()
            blocks = self._open & self._blocks(p, suite, look)
            blocked |= blocks
            self._open &= ~blocks & ~self._is_last
            self._let_go(p, suite, look)
            self._repeat()
        return blocked

    def _tails(self) -> tuple[Array, Array]:
        """p of every category, and of the suite, with the repeats that there are now."""
        mean = np.take_along_axis(self._sums, self._now[:, None, None] - 1, axis=2)[:, :, 0] / self._now[:, None]
        difference, width = mean - self._past, np.sqrt(1 / self._now + 1 / self._history)
        suite = difference.sum(axis=1) / (math.sqrt(self._sizes.sum()) * width)
        return _tail(difference / (self._spread * width[:, None])), _tail(suite)

    def _blocks(self, p: Array, suite: Array, look: int) -> Truths:
        share = ALPHA * np.where(self._is_last, LAST_SHARES[min(look, 3)], SHARES[min(look, 2)])
        if self._count == 1:
            return np.asarray(suite <= share)
        nearest, whole = self._adjusted(p, suite)
        return np.asarray(np.minimum(nearest, whole) <= share)

    def _adjusted(self, p: Array, suite: Array) -> tuple[Array, Array]:
        """The smallest adjusted p of the categories, and the suite's; each by its own part of the level."""
        # Who was let go stays in the family as a hypothesis that could show any p.
        least = 1 - (1 - np.where(self._active, p, 1.0).min(axis=1)) ** self._count
        return least / (1 - SUITE_SHARE), np.where(self._has_suite, suite / SUITE_SHARE, 1.0)

    def _let_go(self, p: Array, suite: Array, look: int) -> None:
        limits = np.array([go_on(look, int(size)) for size in self._sizes])
        undecided = self._active & (p <= limits)
        if self._count == 1:
            self._active = undecided
            return
        nearest, whole = self._adjusted(p, suite)
        is_nearer = self._is_ample | ~undecided.any(axis=1) | (whole <= nearest)
        self._has_suite &= (suite <= suite_go_on(look, is_ample=self._is_ample)) & is_nearer
        self._active = undecided | self._has_suite[:, None]

    def _repeat(self) -> None:
        """The next repeats of whoever is left, as far as extra calls are allowed."""
        members = self._active @ self._sizes
        following = [min([epochs for epochs in EPOCHS if epochs > now] + [self._most]) for now in range(self._most + 1)]
        wanted = np.minimum(np.array(following)[self._now], self._most)
        possible = np.minimum(wanted, self._now + (self._room // np.maximum(members, 1)).astype(np.int64))
        self._open &= (members > 0) & (possible > self._now)
        self._room -= np.where(self._open, (possible - self._now) * members, 0)
        self._is_last = (possible >= self._most) | (possible < wanted)
        self._now = np.where(self._open, possible, self._now)


_GRID = np.linspace(-9.0, 9.0, 36_001)
_TAILS = np.array([1 - NormalDist().cdf(z) if z < 0 else NormalDist().cdf(-z) for z in _GRID])


def _tail(z: NDArray[Any]) -> Array:
    """P(Z >= z), to about 1e-8: numpy has no normal law."""
    return np.asarray(np.interp(z, _GRID, _TAILS))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision.levels", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pulls", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    layouts = {
        **{f"{count} equal": (50,) * count for count in (1, 2, 3, 5, 12, 30)},
        "the twelve of the simulation": TWELVE.sizes,
        "one of 200, eleven of 10": (200,) + (10,) * 11,
    }
    rows, worst = [], 0.0
    for name, sizes in layouts.items():
        for extra, bound in ((2.0, "twice the cases"), (1e9, "none")):
            found = [
                size_of(Design(sizes=sizes, history=history, extra=extra), options.pulls, options.seed)
                for history in HISTORIES
            ]
            worst = max(worst, *found)
            rows.append([name, bound, *(f"{100 * size:.2f}" for size in found)])
    print(table(["categories", "bound on extra calls", *(f"{history} history repeats" for history in HISTORIES)], rows))
    error = 100 * math.sqrt(ALPHA * (1 - ALPHA) / options.pulls)
    print(f"\nUnchanged pull requests blocked, per cent, in the normal limit; standard error {error:.2f}. ", end="")
    print(f"The most: {100 * worst:.2f} of {100 * ALPHA:g}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
