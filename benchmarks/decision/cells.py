"""The cells of the simulation: which system, which history, what the pull request does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.decision.generator import (
    THIRTY,
    TWELVE,
    Effect,
    Setting,
    break_all,
    break_one,
    churn,
    improve,
    noisier,
    nothing,
    shift_one,
)

MAIN = Setting()
"""12 categories, 810 cases, concentration 1, five baseline runs of three repeats."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of pull request."""

    name: str
    title: str
    effect: Effect = field(default_factory=nothing)
    setting: Setting = MAIN
    is_everywhere: bool = False
    """Every category falls, and the limit is told so."""
    has_limit: bool = False
    """Whether the test that knows the truth is asked too: where the truth is one rate a case, and something falls."""
    are_contexts_told: bool = False
    """Whether the rows carry `cluster`."""
    has_recorded: bool = False
    """Whether recorded results, with one repeat and with three, are decided too: two further decisions."""
    is_ample: bool = False
    """Whether repeats may cost so many calls that every case can be repeated to the last."""
    is_as_printed: bool = False
    """The pull requests break one category after the other by the drop that evalgate says it would see, instead of
    having an effect of the cell."""


def _power(name: str, title: str, effect: Effect, setting: Setting = MAIN, **more: bool) -> Cell:
    return Cell(name=name, title=title, effect=effect, setting=setting, has_limit=not setting.is_graded, **more)


FIFTY = break_one(50, 0.10)

_CELLS = (
    Cell(name="nothing", title="nothing changed", has_recorded=True),
    _power("n20-20", "n=20, −20 pp", break_one(20, 0.20), has_recorded=True),
    _power("n50-10", "n=50, −10 pp", FIFTY, has_recorded=True),
    _power("n200-5", "n=200, −5 pp", break_one(200, 0.05), has_recorded=True),
    _power("n20-10", "n=20, −10 pp", break_one(20, 0.10), has_recorded=True),
    _power("n50-5", "n=50, −5 pp", break_one(50, 0.05), has_recorded=True),
    _power("all-2", "all −2 pp", break_all(0.02), has_recorded=True, is_everywhere=True),
    _power("n50-10-shift", "n=50, −10 pp, all its cases a little", shift_one(50, 0.10)),
    Cell(name="better", title="all +5 pp", effect=improve(0.05), has_recorded=True),
    Cell(name="half-better", title="half +5 pp", effect=improve(0.05, every=2), has_recorded=True),
    Cell(name="churn", title="churn ±5 pp", effect=churn(0.05), has_recorded=True),
    Cell(name="noisier", title="noisier, same mean", effect=noisier(0.5), has_recorded=True),
    # The same with as many extra calls as all repeats of all cases cost, instead of twice the cases.
    Cell(name="ample-nothing", title="ample calls: nothing changed", is_ample=True),
    _power("ample-n20-20", "ample calls: n=20, −20 pp", break_one(20, 0.20), is_ample=True),
    _power("ample-n50-10", "ample calls: n=50, −10 pp", FIFTY, is_ample=True),
    _power("ample-n200-5", "ample calls: n=200, −5 pp", break_one(200, 0.05), is_ample=True),
    _power("ample-n20-10", "ample calls: n=20, −10 pp", break_one(20, 0.10), is_ample=True),
    _power("ample-n50-5", "ample calls: n=50, −5 pp", break_one(50, 0.05), is_ample=True),
    _power("ample-all-2", "ample calls: all −2 pp", break_all(0.02), is_everywhere=True, is_ample=True),
    # Other flakiness: most models at temperature 0 are near 0.1, gpt-4o near 0.6, agents near 4.
    Cell(name="nothing-c0.1", title="nothing, concentration 0.1", setting=Setting(concentration=0.1)),
    Cell(name="nothing-c0.6", title="nothing, concentration 0.6", setting=Setting(concentration=0.6)),
    Cell(name="nothing-c4", title="nothing, concentration 4", setting=Setting(concentration=4.0)),
    _power("n50-10-c0.1", "n=50, −10 pp, concentration 0.1", FIFTY, Setting(concentration=0.1)),
    _power("n50-10-c0.6", "n=50, −10 pp, concentration 0.6", FIFTY, Setting(concentration=0.6)),
    _power("n50-10-c4", "n=50, −10 pp, concentration 4", FIFTY, Setting(concentration=4.0)),
    # Assumptions that do not hold.
    Cell(name="day0.1", title="nothing, run shock sd 0.1", setting=Setting(day_sd=0.1)),
    Cell(name="day0.2", title="nothing, run shock sd 0.2", setting=Setting(day_sd=0.2)),
    Cell(name="stale", title="nothing, stale history sd 0.3", setting=Setting(wander_sd=0.3)),
    Cell(
        name="contexts",
        title="nothing, clusters of 5 sd 1.0, told",
        setting=Setting(context_sd=1.0),
        are_contexts_told=True,
    ),
    Cell(name="contexts-untold", title="nothing, clusters of 5 sd 1.0, untold", setting=Setting(context_sd=1.0)),
    Cell(name="day0.2-n50-10", title="n=50, −10 pp, run shock sd 0.2", effect=FIFTY, setting=Setting(day_sd=0.2)),
    Cell(
        name="contexts-n50-20",
        title="n=50, −20 pp, clusters of 5 sd 1.0, told",
        effect=break_one(50, 0.20),
        setting=Setting(context_sd=1.0),
        are_contexts_told=True,
    ),
    # Other families.
    Cell(name="steady-nothing", title="nearly deterministic, nothing", setting=Setting(concentration=0.3)),
    Cell(
        name="steady-noisier",
        title="nearly deterministic, noisier",
        effect=noisier(0.5),
        setting=Setting(concentration=0.3),
    ),
    Cell(name="thirty-nothing", title="30 small categories, nothing", setting=Setting(layout=THIRTY)),
    _power("thirty-n20-20", "30 small categories, n=20, −20 pp", break_one(20, 0.20), Setting(layout=THIRTY)),
    Cell(name="graded-nothing", title="graded, nothing", setting=Setting(is_graded=True)),
    Cell(name="graded-churn", title="graded, churn ±5 pp", effect=churn(0.05), setting=Setting(is_graded=True)),
    _power("graded-n50-5", "graded, n=50, −5 pp", break_one(50, 0.05), Setting(is_graded=True)),
    # Less history.
    Cell(name="five-nothing", title="5 history samples, nothing", setting=Setting(repeats=1), has_recorded=True),
    _power("five-n50-10", "5 history samples, n=50, −10 pp", FIFTY, Setting(repeats=1), has_recorded=True),
    Cell(name="one-nothing", title="1 history sample, nothing", setting=Setting(runs=1, repeats=1), has_recorded=True),
    _power("one-n50-10", "1 history sample, n=50, −10 pp", FIFTY, Setting(runs=1, repeats=1), has_recorded=True),
    # What is said to be seen four times out of five. Twelve neighbours share a history, one for each category.
    Cell(
        name="as-printed",
        title="one category falls by the printed detectable drop",
        setting=Setting(pulls_a_history=len(TWELVE.sizes)),
        is_as_printed=True,
    ),
    Cell(
        name="as-printed-five",
        title="5 history samples, one category falls by the printed detectable drop",
        setting=Setting(repeats=1, pulls_a_history=len(TWELVE.sizes)),
        is_as_printed=True,
    ),
    Cell(name="no-baseline", title="no baseline, n=50, −10 pp", effect=FIFTY, setting=Setting(runs=0)),
)

CELLS: Mapping[str, Cell] = {cell.name: cell for cell in _CELLS}
