"""Which cases are to run, how often, in which order. Knows no endpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from evalgate.records import Case


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Every (case, epoch) of a run, in the order in which they are started.

    A run may end early (budget, deadline, Ctrl-C), so that every beginning of the plan is a fair sample of it: each
    epoch goes through all cases before the next begins, and within an epoch the categories take turns in proportion
    to their size. The order depends on nothing but the cases' own order.
    """

    cases: tuple[Case, ...]
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
        ordered = _in_turns(self.cases)
        for epoch in range(1, self.epochs + 1):
            for case in ordered:
                if epoch > self.done.get(case.id, 0):
                    yield case, epoch


def _in_turns(cases: tuple[Case, ...]) -> list[Case]:
    """The cases spread so that the first k of them hold k/n of every category, give or take one.

    The i-th of a category's m cases stands at (i + 1/2) / m of the way. A case counts for its first category.
    """
    sizes = Counter(case.categories[0] for case in cases)
    seen: Counter[str] = Counter()
    places: list[float] = []
    for case in cases:
        category = case.categories[0]
        places.append((seen[category] + 0.5) / sizes[category])
        seen[category] += 1
    return [cases[index] for index in sorted(range(len(cases)), key=places.__getitem__)]
