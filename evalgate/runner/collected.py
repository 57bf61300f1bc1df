"""The results of a run while they come: on disk where they are many, and sorted in the end."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from evalgate.records import Result
from evalgate.spool import Spool


class Collected:
    """Results, each case and epoch at most once."""

    def __init__(self) -> None:
        self._results: Spool[Result] = Spool()
        self._ids: list[str] = []
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
        """All of them, sorted by case and epoch."""
        order = sorted(range(len(self)), key=self._epochs.__getitem__)
        order.sort(key=self._ids.__getitem__)
        return self._results.in_order(order)
