"""The results of a run while they come: on disk where they are many, and sorted in the end."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence

from evalgate.records import Case, Result, Scored
from evalgate.runner.ports import Scorer
from evalgate.spool import Names, Spool


class Collected:
    """Results, each case and epoch at most once."""

    def __init__(self, expected: int, as_kept: Callable[[Result], Result] = lambda result: result) -> None:
        """expected: how many results will come. as_kept: a result as it is kept and shown, with the same score."""
        self._as_kept = as_kept
        self._results: Spool[Result] = Spool(expected=expected)
        self._ids = Names()
        self._epochs = array("I")

    def add(self, result: Result) -> None:
        self._results.append(self._as_kept(result))
        self._ids.append(result.case_id)
        self._epochs.append(result.epoch)

    def take_over(
        self,
        kept: Mapping[tuple[str, int], Result],
        plan: Iterable[tuple[Case, int]],
        scorers: Callable[[Case], Sequence[Scorer]],
    ) -> None:
        """Adds what earlier sessions have kept of this plan and still says what would be found now."""
        if not kept:
            return
        for case, epoch in plan:
            found = kept.get((case.id, epoch))
            if isinstance(found, Scored) and _judged_by(found) == [
                (s.name, s.version, s.weight) for s in scorers(case)
            ]:
                self.add(found)

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


def _judged_by(result: Scored) -> list[tuple[str, str, float]]:
    return [(score.scorer, score.version, score.weight) for score in result.scores]
