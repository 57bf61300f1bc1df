"""The results of a run while they come: on disk where they are many, and sorted in the end."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from evalgate.records import Result
from evalgate.spool import Names, Spool


class Collected:
    """Results, each case and epoch at most once."""

    def __init__(self, expected: int) -> None:
        """expected: how many results will come."""
        self._results: Spool[Result] = Spool(expected=expected)
        self._ids = Names()
        self._epochs = array("I")

    def add(self, result: Result) -> None:
        self._results.append(result)
        self._ids.append(result.case_id)
        self._epochs.append(result.epoch)

    def __len__(self) -> int:
        return len(self._ids)

    def keys(self) -> frozenset[tuple[str, int]]:
        """Case and epoch of each."""
        return frozenset(zip(self._ids, self._epochs, strict=True))

    def in_order(self) -> Sequence[Result]:
        """All of them, sorted by case and epoch. They are handed over: nothing is left here."""
        by_epoch = sorted(range(len(self)), key=self._epochs.__getitem__) if len(set(self._epochs)) > 1 else None
        ids = self._ids if by_epoch is None else Names(self._ids[place] for place in by_epoch)
        order = ids.order()
        results = self._results.in_order(order if by_epoch is None else [by_epoch[place] for place in order])
        self._results, self._ids, self._epochs = Spool(), Names(), array("I")
        return results
