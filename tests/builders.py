"""Small real values for tests: say what matters to the test, the rest is filled in."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from evalgate.records import Case, CaseRef, DriftEvent, Failed, Output, Result, Run, Score, Scored, Stage, Version

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def make_case(id: str = "case-1", **changes: Any) -> Case:
    """A case of category `facts` that asks for 4."""
    return Case(**{"id": id, "categories": ("facts",), "input": "2 + 2?", "expected": "4", **changes})


def make_output(text: str | None = "4", **changes: Any) -> Output:
    return Output(text=text, **changes)


def make_scored(case_id: str, score: float = 1.0, epoch: int = 1, **changes: Any) -> Scored:
    scores = changes.pop("scores", (Score(scorer="exact", value=score, reason="as expected", version="exact/1"),))
    return Scored(case_id=case_id, epoch=epoch, score=score, scores=scores, **changes)


def make_failed(case_id: str, cause: str = "the endpoint answered 500", epoch: int = 1, **changes: Any) -> Failed:
    return Failed(case_id=case_id, epoch=epoch, stage=changes.pop("stage", Stage.ENDPOINT), cause=cause, **changes)


def make_drift(run_id: str = "run-1", **changes: Any) -> DriftEvent:
    values = {"created": NOON, "category": "facts", "before": 0.9, "after": 0.7, "p": 0.01, "sentence": "facts drifted"}
    return DriftEvent(run_id=run_id, **{**values, **changes})


def make_run(
    id: str = "run-1",
    *,
    minutes: float = 0,
    results: Iterable[Result] = (),
    categories: Mapping[str, Sequence[str]] | None = None,
    version: str | None = "v1",
    **scores: Sequence[float | None],
) -> Run:
    """A run whose keyword arguments are categories: `make_run(billing=[1, 1, 0, None])`.

    The cases of a category are named `billing-0`, `billing-1`, …; None is a failed result. `results` and `categories`
    (case id -> categories) say the same at length. `minutes` moves `created` away from noon.
    """
    refs: dict[str, tuple[str, ...]] = {}
    found: list[Result] = list(results)
    for category, values in scores.items():
        for number, value in enumerate(values):
            case_id = f"{category}-{number}"
            refs[case_id] = (category,)
            found.append(make_failed(case_id) if value is None else make_scored(case_id, value))
    for case_id, names in (categories or {}).items():
        refs[case_id] = tuple(names)
    changes: dict[str, Any] = {}
    return Run(
        id=id,
        suite="suite",
        created=NOON + timedelta(minutes=minutes),
        cases=tuple(CaseRef(id=case_id, categories=names) for case_id, names in sorted(refs.items())),
        results=tuple(sorted(found, key=lambda result: (result.case_id, result.epoch))),
        version=Version(id=version),
        **changes,
    )


class Made(Sequence[Any]):
    """A sequence whose values are made when they are asked for and kept nowhere: who holds them all, pays for it."""

    def __init__(self, size: int, make: Callable[[int], Any]) -> None:
        self._size, self._make = size, make

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(self._size))]
        if not 0 <= place < self._size:
            raise IndexError(place)
        return self._make(place)


@contextmanager
def peak_bytes() -> Iterator[list[int]]:
    """How many bytes of Python's were held at most within the block, in a list that is filled at its end."""
    peak: list[int] = []
    tracemalloc.start()
    try:
        yield peak
        peak.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()
