"""How much of a report there is room for on GitHub, and what is left out first where there is less."""

from __future__ import annotations

from dataclasses import dataclass

BUDGET = 56_000
"""Of 60,000 for a whole comment, so that the publisher's marker and a banner fit; GitHub refuses one at 65,536. Counted
in bytes, which no other way of counting exceeds."""
SUMMARY_BUDGET = 1_000_000
"""Below the 1,048,576 bytes at which GitHub drops a step's summary whole."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """How many rows each part may have."""

    answers: int = 20
    listed: int = 20
    improved: int = 100
    regressed: int = 200
    passing: int = 300
    causes: int = 10
    notes: int = 20
    commands: int = 10
    failing: int = 300
    sentences: int = 20
    told: int = 3
    """Sentences of findings; more are folded."""
    limits: int = 20
    altered: int = 40
    open: int = 5
    """Categories in which nothing happened that are not folded."""
    loud: int = 20
    """The same of those in which something did."""


SUMMARY_LEVELS = tuple(
    Room(
        answers=answers, listed=rows, improved=rows, regressed=rows, passing=rows, causes=rows, notes=rows,
        commands=100, failing=rows, sentences=rows, told=rows, limits=rows, altered=rows, open=rows, loud=rows,
    )
    for answers, rows in ((1_000, 10_000), (0, 10_000), (0, 3_000), (0, 1_000))
)  # fmt: skip
LEVELS = (
    Room(),
    Room(answers=5),
    Room(answers=0),
    Room(answers=0, listed=0),
    Room(answers=0, listed=0, improved=0, regressed=50),
    Room(answers=0, listed=0, improved=0, regressed=20, passing=50, causes=5, altered=20),
    Room(
        answers=0, listed=0, improved=0, regressed=10, passing=0, causes=3, notes=5, failing=50, sentences=10,
        altered=10,
    ),
    Room(
        answers=0, listed=0, improved=0, regressed=0, passing=0, causes=1, notes=2, failing=10, sentences=3, limits=5,
        altered=5,
    ),
    Room(
        answers=0, listed=0, improved=0, regressed=0, passing=0, causes=0, notes=0, failing=2, sentences=0, limits=0,
        commands=1, altered=0,
    ),
)  # fmt: skip
"""What is left out first stands first: answers, lists of ids, improved cases, regressed ones, passing categories, …"""
