"""Which cases are to run, how often, in which order. Knows no endpoint."""

from __future__ import annotations

import heapq
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from evalgate.records import Case


class Planned(Protocol):
    """What is to be run: pairs of case and epoch, each once."""

    @property
    def total(self) -> int:
        """How many pairs."""

    def __iter__(self) -> Iterator[tuple[Case, int]]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Every (case, epoch) of a run, in the order in which they are started.

    A run may end early (budget, deadline, Ctrl-C), so that every beginning of the plan is a fair sample of it: each
    epoch goes through all cases before the next begins, and within an epoch the categories take turns in proportion
    to their size. The order depends on nothing but the cases' own order.
    """

    cases: Sequence[Case]
    """Ids are unique."""
    epochs: int = 1
    """Repetitions of each case, at least 1."""
    done: Mapping[str, int] = field(default_factory=dict)
    """Repetitions that an earlier plan of the same run has made, by case: they are not made again."""

    @property
    def total(self) -> int:
        """How many results the plan asks for."""
        if not self.done:
            return len(self.cases) * self.epochs
        return sum(max(0, self.epochs - self.done.get(case.id, 0)) for case in self.cases)

    def __iter__(self) -> Iterator[tuple[Case, int]]:
        order = _in_turns(self.cases)
        for epoch in range(1, self.epochs + 1):
            for place in order:
                case = self.cases[place]
                if epoch > self.done.get(case.id, 0):
                    yield case, epoch


def _in_turns(cases: Sequence[Case]) -> Sequence[int]:
    """The cases' places, spread so that the first k of them hold k/n of every category, give or take one.

    The i-th of a category's m cases stands at (i + 1/2) / m of the way. A case counts for its first category.
    """
    members: dict[str, array[int]] = defaultdict(lambda: array("I"))
    for place, case in enumerate(cases):
        members[case.categories[0]].append(place)
    return array("I", [place for _, place in heapq.merge(*map(_spread, members.values()))])


def _spread(places: Sequence[int]) -> Iterator[tuple[float, int]]:
    """How far along the way each of a category's cases stands."""
    return (((number + 0.5) / len(places), place) for number, place in enumerate(places))
