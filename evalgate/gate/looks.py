"""When the gate looks at a run, how much of its error budget each look may spend, and who is repeated after it.

A run begins with one call a case. What stays undecided is repeated: 2, 4, 8 calls in all. Looking four times spends
the budget in four parts; a category whose p is too large to have a chance is let go, and stays in the family as a
hypothesis that could show any p. Source: decision.md 4 (schedule A); group-sequential tests after Lan and DeMets.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evalgate.gate.rules import Rules
from evalgate.records import EVERY_CASE, Run, Step

EPOCHS = (1, 2, 4, 8)
"""Repeats of a case after each step, all steps together."""

SHARES = (0.03, 0.15, 0.42)
"""Part of alpha that may be spent at each look but the last: .15, .75 and 2.1 % of 5 %."""

LAST_SHARES = (1.0, 0.97, 0.88, 0.82)
"""Part of alpha for the last look, by the number of looks before it.

The parts add up to more than 1, the chances do not: looks share their data, and who is let go cannot block. In the
normal limit, for 1 to 30 categories and any history, the whole spends at most alpha (benchmarks/decision/levels.py).
"""

GO_ON = ((30, (0.40, 0.20, 0.08)), (60, (0.28, 0.14, 0.05)), (math.inf, (0.24, 0.15, 0.05)))
"""Up to so many cases, a category is repeated further while one of its p is at most this, by the number of the look.

Small categories are cheap to repeat and show little at first; large ones show more and are dear.
"""

SUITE_GO_ON = (0.12, 0.08, 0.05)
"""Every case is repeated further while the suite's p is at most this, and no category alone is nearer to a block."""

AMPLE_SUITE_GO_ON = (0.40, 0.20, 0.08)
"""The same where the limit on extra calls lets every case be repeated to the last: whether a category is nearer does
not matter then. It finds small losses everywhere, for half a call a case more in what is unchanged."""


def go_on(look: int, cases: int) -> float:
    """The p up to which a category of so many cases is repeated after this look, from 0."""
    return next(limits for most, limits in GO_ON if cases <= most)[min(look, 2)]


def suite_go_on(look: int, *, is_ample: bool) -> float:
    """The p of the suite up to which every case is repeated after this look, from 0."""
    return (AMPLE_SUITE_GO_ON if is_ample else SUITE_GO_ON)[min(look, 2)]


def is_ample(rules: Rules, cases: int) -> bool:
    """Whether the limit on extra calls lets every case be repeated to the last."""
    return rules.extra_calls(cases) >= (rules.max_epochs - 1) * cases


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look at a run."""

    steps: int | None
    """How many of the run's steps count; None: the run has none, and everything there is counts."""
    share: float
    """Part of alpha that it may spend."""
    active: frozenset[str] | None
    """The categories that are judged at it; None: every one, and the suite."""

    def has(self, category: str) -> bool:
        """Whether this category (`"*"`: the suite) is judged at this look."""
        return self.active is None or category in self.active


def looks_at(run: Run, against: Sequence[str]) -> list[Look]:
    """The looks that were taken at a run, or the one look at a run whose repeats were fixed beforehand.

    against: ids of the baseline's runs. A run that was repeated for the sake of others is looked at once, with all that
    is there: its steps say nothing about this comparison.
    """
    if not run.steps or tuple(sorted(against)) != run.against:
        return [Look(steps=None, share=1.0, active=None)]
    return [
        Look(
            steps=number + 1,
            share=LAST_SHARES[min(number, 3)] if step.is_last else SHARES[min(number, 2)],
            active=None if EVERY_CASE in step.categories else frozenset(step.categories),
        )
        for number, step in enumerate(run.steps)
    ]


def first_step(run: Run, rules: Rules, room: int | None = None) -> Step:
    """One call a case; the last look as well where the limits allow not even the smallest category a repeat.

    room: calls that may still be made, whatever the rules allow.
    """
    sizes = Counter(name for ref in run.cases for name in ref.categories)
    allowed = rules.extra_calls(len(run.cases))
    room = allowed if room is None else min(room, allowed)
    is_last = rules.max_epochs <= 1 or room < min(sizes.values(), default=1)
    return Step(epochs=1, categories=(EVERY_CASE,), is_last=is_last)


def next_epochs(now: int, rules: Rules) -> int:
    """The repeats of the step after the one with `now` repeats; `now` itself where there is none."""
    further = [epochs for epochs in EPOCHS if epochs > now] or [rules.max_epochs]
    return max(now, min(further[0], rules.max_epochs))
