"""A run in figures: one row per category and metric, so that trends never read results.

Pure: a run in, numbers out. Knows no database.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from evalgate.records import EVERY_CASE, Output, Result, Run, Scored
from evalgate.stats.interval import percentile


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One metric of one category."""

    category: str
    metric: str
    value: float
    n: int
    """How many values it is made of."""


def figures(run: Run) -> Iterator[Figure]:
    """Every figure of every category and of `"*"`. What is unknown has no figure: never a 0."""
    categories = {case.id: case.categories for case in run.cases}
    by_category: dict[str, list[Result]] = defaultdict(list)
    for result in run.results:
        by_category[EVERY_CASE].append(result)
        for category in categories.get(result.case_id, ()):
            if category != EVERY_CASE:
                by_category[category].append(result)
    for category in sorted(by_category):
        for metric, value, n in _metrics(by_category[category]):
            yield Figure(category=category, metric=metric, value=value, n=n)


def mean_score(results: Iterable[Result]) -> tuple[float, int] | None:
    """Mean over the cases with a score, per case first, and how many those are; None where no case has one."""
    by_case: dict[str, list[float]] = defaultdict(list)
    for result in results:
        if isinstance(result, Scored):
            by_case[result.case_id].append(result.score)
    if not by_case:
        return None
    return _mean([_mean(epochs) for epochs in by_case.values()]), len(by_case)


def _metrics(results: Sequence[Result]) -> Iterator[tuple[str, float, int]]:
    score = mean_score(results)
    if score is not None:
        yield "score", *score
    unscored = sum(not isinstance(result, Scored) for result in results)
    yield "error_rate", unscored / len(results), len(results)
    # An answer from the cache took no time and cost nothing: it says nothing about the endpoint's speed or price.
    calls = [result.output for result in results if result.output is not None and not result.output.cached]
    latencies = [output.latency_s for output in calls if output.latency_s is not None]
    for metric, percent in (("latency_p50_s", 50.0), ("latency_p95_s", 95.0)):
        value = percentile(latencies, percent)
        if value is not None:
            yield metric, value, len(latencies)
    costs = [output.cost_usd for output in calls if output.cost_usd is not None]
    if costs:
        yield "cost_per_call_usd", _mean(costs), len(costs)
    tokens = [number for number in map(_tokens, calls) if number is not None]
    if tokens:
        yield "tokens_per_call", _mean(tokens), len(tokens)


def _tokens(output: Output) -> int | None:
    if output.tokens_in is None or output.tokens_out is None:
        return None
    return output.tokens_in + output.tokens_out


def _mean(values: Sequence[float]) -> float:
    # fsum: the mean must not depend on the order of the results.
    return math.fsum(values) / len(values)
