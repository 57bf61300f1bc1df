"""A run in figures: one row per category and metric, so that trends never read results.

Pure: a run in, numbers out. Knows no database.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from evalgate.records import EVERY_CASE, Result, Run, Scored
from evalgate.stats.interval import percentile


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One metric of one category."""

    category: str
    metric: str
    value: float
    n: int
    """How many values it is made of."""


class Tally:
    """What a run comes to, counted in one pass over its cases and results. What is unknown has no figure: never a 0."""

    def __init__(self, run: Run) -> None:
        self._by_category: dict[str, _Sums] = defaultdict(_Sums)
        every = self._by_category[EVERY_CASE] = _Sums()
        for categories, results in _by_case(run):
            every.add(results)
            for category in categories:
                if category != EVERY_CASE:
                    self._by_category[category].add(results)
        self.results = every.results
        """How many results the run has."""
        self.unscored = every.unscored
        """How many of them have no score."""
        self.score = _mean(every.scores) if every.scores else None
        """Mean over the cases with a score, per case first; None where no case has one."""

    def figures(self) -> Iterator[Figure]:
        """Every figure of every category and of `"*"`."""
        for category in sorted(self._by_category) if self.results else ():
            for metric, value, n in self._by_category[category].metrics():
                yield Figure(category=category, metric=metric, value=value, n=n)


class _Sums:
    """The numbers of one category. An answer from the cache took no time and cost nothing: it says nothing about the
    endpoint's speed or price."""

    def __init__(self) -> None:
        self.results = 0
        self.unscored = 0
        self.scores = array("d")
        """One a case: the mean of its epochs."""
        self._latencies, self._costs, self._tokens = array("d"), array("d"), array("d")

    def add(self, results: Sequence[Result]) -> None:
        """All results of one case."""
        self.results += len(results)
        epochs = [result.score for result in results if isinstance(result, Scored)]
        self.unscored += len(results) - len(epochs)
        if epochs:
            self.scores.append(_mean(epochs))
        for result in results:
            output = result.output
            if output is None or output.cached:
                continue
            if output.latency_s is not None:
                self._latencies.append(output.latency_s)
            if output.cost_usd is not None:
                self._costs.append(output.cost_usd)
            if output.tokens_in is not None and output.tokens_out is not None:
                self._tokens.append(output.tokens_in + output.tokens_out)

    def metrics(self) -> Iterator[tuple[str, float, int]]:
        if self.scores:
            yield "score", _mean(self.scores), len(self.scores)
        yield "error_rate", self.unscored / self.results, self.results
        for metric, percent in (("latency_p50_s", 50.0), ("latency_p95_s", 95.0)):
            value = percentile(self._latencies, percent)
            if value is not None:
                yield metric, value, len(self._latencies)
        if self._costs:
            yield "cost_per_call_usd", _mean(self._costs), len(self._costs)
        if self._tokens:
            yield "tokens_per_call", _mean(self._tokens), len(self._tokens)


def _by_case(run: Run) -> Iterator[tuple[Sequence[str], list[Result]]]:
    """The results of each case that has any, with its categories. Both of the run's lists are sorted by case."""
    cases = iter(run.cases)
    case = next(cases, None)
    for case_id, results in groupby(run.results, key=attrgetter("case_id")):
        while case is not None and case.id < case_id:
            case = next(cases, None)
        yield case.categories if case is not None and case.id == case_id else (), list(results)


def _mean(values: Sequence[float]) -> float:
    # fsum: the mean must not depend on the order of the results.
    return math.fsum(values) / len(values)
