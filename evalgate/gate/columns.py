"""Cases and results as columns: within the gate a case is its number, from 0, in the order of ids.

A hundred thousand cases in dictionaries by id are a hundred megabytes; here they are some bytes each, and whoever
wants a case's id asks for it. Runs are gone through once, whatever they lie on.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import numpy as np

from evalgate.records import EVERY_CASE, CaseRef, Result, Scored
from evalgate.spool import Names, Spool

T = TypeVar("T")

Numbers: TypeAlias = Sequence[int]
"""Numbers of cases, ascending: sorted by id."""

Scores: TypeAlias = Sequence[tuple[float, ...]]
"""By case: its scores in the order of epochs, or sorted; () where it has none. Equal ones are one object."""


class Cases:
    """The planned cases of a run, sorted by id."""

    def __init__(self, refs: Sequence[CaseRef]) -> None:
        self.refs = by_id(refs)
        self.categories: list[tuple[str, ...]] = []
        self.critical: set[int] = set()
        self.clusters: dict[int, str] = {}
        """Of those that name one."""
        self.ids = Names(self._taken(Shared()))

    def __len__(self) -> int:
        return len(self.ids)

    def names(self, numbers: Iterator[int] | Numbers) -> tuple[str, ...]:
        """The ids of these cases."""
        return tuple([self.ids[number] for number in numbers])

    @cached_property
    def members(self) -> dict[str, Numbers]:
        """Cases by category; `"*"` is every case."""
        found: dict[str, array[int]] = {}
        for number, names in enumerate(self.categories):
            for name in names:
                found.setdefault(name, array("I")).append(number)
        return {**found, EVERY_CASE: range(len(self))}

    def finder(self) -> Callable[[str], int]:
        """A function from an id to its number, -1 where there is none. Fastest where ids come sorted."""
        ids, size, last, at = self.ids, len(self), -1, ""

        def find(case_id: str) -> int:
            nonlocal last, at
            if last >= 0 and case_id == at:
                return last
            place = last + 1
            if place >= size or ids[place] != case_id:
                place = bisect_left(ids, case_id)
                if place >= size or ids[place] != case_id:
                    return -1
            last, at = place, case_id
            return place

        return find

    def _taken(self, shared: Shared) -> Iterator[str]:
        for number, ref in enumerate(self.refs):
            self.categories.append(shared(ref.categories))
            if ref.critical:
                self.critical.add(number)
            if ref.cluster is not None:
                self.clusters[number] = ref.cluster
            yield ref.id


class Shared:
    """Equal tuples become one object."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def __call__(self, value: T) -> T:
        return self._known.setdefault(value, value)  # type: ignore[no-any-return]


def by_id(refs: Sequence[CaseRef]) -> Sequence[CaseRef]:
    """The cases sorted by id, as those of a run are; who makes a run by hand may have forgotten it."""
    if isinstance(refs, Spool):
        return refs
    last = None
    for ref in refs:
        if last is not None and ref.id < last:
            return tuple(sorted(refs, key=lambda ref: ref.id))
        last = ref.id
    return refs


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The results of one run, by case."""

    scores: Scores
    """What counts: the answers that were given to this run, or the copies of a case that has nothing else."""
    epochs: Sequence[tuple[int, ...]]
    """Of `scores`."""
    copies: frozenset[int]
    """Cases that have nothing but answers from our cache, which another run was given: beside that one they are
    nothing new."""
    counts: Numbers
    """How many results each case has."""
    unscored: Numbers
    """How many of them have no score."""
    highest: Numbers
    """The highest epoch of each; 0 where it has no result."""
    total: int
    """All results of the run, those of other cases included."""
    failed: int
    """Those of them without a score."""
    strangers: frozenset[str] = field(default=frozenset())
    """Ids of other cases that have a result without score."""


def answers_of(
    results: Sequence[Result], cases: Cases, wanted: Sequence[int] | None = None, *, stands_alone: bool = False
) -> Answers:
    """The scores of these cases. Results are sorted by case and epoch. wanted: 1 for each that counts; None: all.

    Answers from our cache are those of other calls, each epoch its own: within one run they are samples like any.
    stands_alone: the run is not pooled with others, so that nothing in it can be counted twice.
    """
    found, hashes = _gathered(results, cases, wanted, frozenset(), stands_alone)
    repeated = _repeated_places(results, hashes)
    return _gathered(results, cases, wanted, repeated, stands_alone)[0] if repeated else found


def _gathered(
    results: Sequence[Result],
    cases: Cases,
    wanted: Sequence[int] | None,
    repeated: Collection[int],
    stands_alone: bool,
) -> tuple[Answers, Sequence[int]]:
    """The answers without those at the places in `repeated`, and the hashes of all response ids."""
    size, find, same_scores, same_epochs = len(cases), cases.finder(), Shared(), Shared()
    scores: list[tuple[float, ...]] = [()] * size
    epochs: list[tuple[int, ...]] = [()] * size
    counts, unscored, highest = (array("I", bytes(4 * size)) for _ in range(3))
    copies: dict[int, list[tuple[int, float]]] = {}
    strangers: set[str] = set()
    hashes = array("q")
    failed = 0
    for place, result in enumerate(results):
        number, is_scored, output = find(result.case_id), type(result) is Scored, result.output
        failed += not is_scored
        if output is not None and output.response_id is not None:
            hashes.append(hash(output.response_id))
        if number < 0:
            if not is_scored:
                strangers.add(result.case_id)
            continue
        counts[number] += 1
        highest[number] = max(highest[number], result.epoch)
        if type(result) is not Scored:
            unscored[number] += 1
        elif place in repeated or (wanted is not None and not wanted[number]):
            continue
        elif result.output.cached and not stands_alone:
            copies.setdefault(number, []).append((result.epoch, result.score))
        else:
            scores[number] = same_scores((*scores[number], result.score))
            epochs[number] = same_epochs((*epochs[number], result.epoch))
    bare = frozenset(number for number in copies if not scores[number])
    for number in bare:
        epochs[number], scores[number] = zip(*copies[number], strict=True)
    return Answers(
        scores=scores,
        epochs=epochs,
        copies=bare,
        counts=counts,
        unscored=unscored,
        highest=highest,
        total=len(results),
        failed=failed,
        strangers=frozenset(strangers),
    ), hashes


def _repeated_places(results: Sequence[Result], hashes: Sequence[int]) -> set[int]:
    """Places of results whose answer the provider had given to the same case before. hashes: of all response ids.

    A server that gives different cases the same response id does not number its responses; there ids say nothing.
    """
    ordered = np.sort(np.array(hashes, dtype=np.int64))
    twice = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    first: dict[str, tuple[str, int]] = {}
    repeated: set[int] = set()
    for place, result in enumerate(results) if twice else ():
        response = None if result.output is None else result.output.response_id
        if response is None or hash(response) not in twice:
            continue
        case_id, epoch = first.setdefault(response, (result.case_id, result.epoch))
        if case_id != result.case_id:
            return set()
        if epoch != result.epoch:
            repeated.add(place)
    return repeated
