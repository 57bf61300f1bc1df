"""What the decision is to reach, and which of it the simulation shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.decision.cells import CELLS
from benchmarks.decision.figures import Columns, Figure, mean_of, relative, share_of

FIXED_REPEATS = 3
"""Of the design that the number of calls is compared with."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A bound, and what was measured."""

    what: str
    measured: Figure
    unit: str = "%"
    least: float | None = None
    most: float | None = None

    @property
    def missed_by(self) -> float:
        """How far beyond the bounds; 0 within them."""
        below = 0.0 if self.least is None else self.least - self.measured.value
        above = 0.0 if self.most is None else self.measured.value - self.most
        return max(0.0, below, above)

    @property
    def answer(self) -> str:
        if self.missed_by <= 1e-9:
            return "reached"
        is_near = self.missed_by <= 2 * self.measured.error
        return "not reached, by less than two standard errors" if is_near else "**not reached**"

    @property
    def bound(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.least:g} to {self.most:g} {self.unit}"
        return f"≥ {self.least:g} {self.unit}" if self.least is not None else f"≤ {self.most:g} {self.unit}"


UNCHANGED = (
    "nothing-c0.1", "nothing-c0.6", "nothing", "nothing-c4", "steady-nothing", "thirty-nothing", "graded-nothing",
    "five-nothing", "one-nothing", "ample-nothing",
)  # fmt: skip
NOT_WORSE = ("better", "half-better", "churn", "noisier", "steady-noisier", "graded-churn")
STRESSED = ("day0.1", "day0.2", "stale", "contexts", "contexts-untold")
PRINTED = ("as-printed", "as-printed-five")
_POWER = {"n20-20": 98.0, "n50-10": 98.0, "n200-5": 98.0, "n20-10": 98.0, "n50-5": 98.0, "all-2": 92.0}
LEAST_POWER = _POWER | {f"ample-{cell}": least for cell, least in _POWER.items()}


def goals(measured: Mapping[str, Columns]) -> Iterator[Goal]:
    """Every goal that these cells say something about."""
    yield from _false_blocks(measured)
    for cell, least in LEAST_POWER.items():
        columns = measured.get(cell, {})
        for name, how in (("found", "escalating"), ("blocked", "and confirmed")):
            if (figure := relative(columns, name, "limit")) is not None:
                what = f"{CELLS[cell].title}: power relative to the limit, {how}"
                yield Goal(what=what, measured=figure, least=least)
    columns = measured.get("nothing", {})
    if "calls" in columns:
        alone = mean_of(columns["calls"]).scaled(100 / FIXED_REPEATS)
        both = [run + fresh for run, fresh in zip(columns["calls"], columns["confirmation"], strict=True)]
        what = f"model calls when nothing changed, relative to {FIXED_REPEATS} repeats of every case"
        yield Goal(what=what, measured=alone, most=50)
        yield Goal(what=f"{what}, confirmations included", measured=mean_of(both).scaled(100 / FIXED_REPEATS), most=50)
    for cell in PRINTED:
        for name, how in (("seen", "named when escalating"), ("seen_confirmed", "named and confirmed")):
            if (figure := share_of(measured.get(cell, {}), name)) is not None:
                yield Goal(what=f"{CELLS[cell].title}: {how}", measured=figure, least=75, most=85)
    doors = [value for cell in measured.values() for value in cell.get("door", ())]
    if doors:
        what = f"the same input as a run and as rows in two other orders: the same bytes ({len(doors)} verdicts)"
        yield Goal(what=what, measured=mean_of(doors).scaled(100), least=100)


def _false_blocks(measured: Mapping[str, Columns]) -> Iterator[Goal]:
    wanted = (
        *((cell, "found", "escalating", 5.0) for cell in UNCHANGED),
        *((cell, "blocked", "confirmed", 1.0) for cell in UNCHANGED),
        *((cell, "found", "escalating", 3.0) for cell in NOT_WORSE),
        *((cell, "blocked", "confirmed", 3.0) for cell in NOT_WORSE),
        *((cell, "blocked", "confirmed", 5.0) for cell in STRESSED),
    )
    for cell, name, how, most in wanted:
        figure = share_of(measured.get(cell, {}), name)
        if figure is not None:
            yield Goal(what=f"{CELLS[cell].title}: false blocks, {how}", measured=figure, most=most)
