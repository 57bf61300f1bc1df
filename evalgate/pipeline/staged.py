"""A run in steps: one call a case, more of what stays undecided, and fresh calls of both sides before a block.

The gate plans, whoever is given as `Calls` makes the calls: a session with an endpoint, or a simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date
from typing import Protocol

from evalgate import gate
from evalgate.gate import Doubt, More, Rules
from evalgate.pipeline.ruling import Ruling
from evalgate.records import Baseline, Confirmation, Exceptions, Missing, Run, Step


class Calls(Protocol):
    """Who makes the calls of a run."""

    async def more(self, run: Run, more: More) -> Run:
        """The run with further results, so that each case of `more.case_ids` has `more.epochs` of them; where they
        could not all be made, `stopped` says why."""

    async def confirm(self, run: Run, doubt: Doubt) -> Confirmation | None:
        """Fresh results of both sides; None where they could not be had."""

    def room(self) -> int | None:
        """How many further calls the run's budget allows; None: it sets no bound."""


@dataclass(frozen=True, kw_only=True)
class Against:
    """What a run is judged by, known before its repeats are planned."""

    baseline: Baseline
    rules: Rules
    anchor: Baseline | None = None
    exempt: Exceptions = Exceptions()
    today: date | None = None
    """For what expires; None: the run's own day."""
    ruling: Ruling | None = None
    """Whose rules these are, and what is told of them; None: nothing is."""

    @property
    def is_undecided(self) -> bool:
        """Whether nothing may be decided, since the rules that are to decide are not known."""
        return self.ruling is not None and self.ruling.fault is not None


async def staged(run: Run, against: Against, calls: Calls, *, escalates: bool = True) -> Run:
    """The run with its repeats, its steps and its confirmation, ready for its verdict.

    run: one with a result for each planned case. escalates: whether undecided cases are repeated; the confirmation of a
    block is not affected. A run with nothing to compare with comes back as it is.
    """
    baseline, rules = against.baseline, against.rules
    if isinstance(baseline, Missing) or against.is_undecided:
        return run
    run = replace(run, against=tuple(sorted(other.id for other in baseline.runs)))
    if escalates:
        run = replace(run, steps=(gate.first_step(run, rules, calls.room()),))
    today = against.today or run.created.astimezone(UTC).date()
    planner = gate.Planner(baseline, rules, today=today, anchor=against.anchor, exempt=against.exempt)
    while True:
        plan = planner.next_calls(run, room=calls.room())
        if plan is None:
            return run
        if isinstance(plan, Doubt):
            return replace(run, confirmation=await calls.confirm(run, plan))
        run = await calls.more(run, plan)
        if plan.categories:
            step = Step(epochs=plan.epochs, categories=plan.categories, is_last=plan.is_last)
            run = replace(run, steps=(*run.steps, step))
