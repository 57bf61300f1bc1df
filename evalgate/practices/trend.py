"""Where things are moving: per suite, the course of each category's score, of latency and of cost.

A single run against its baseline is the gate's business; a slow fall passes every such comparison. Here the order of
many runs is tested. Knows no store: it is given light rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from evalgate.records import EVERY_CASE, Course, Look, RunRow, SuiteTrend, SummaryRow, VerdictName
from evalgate.stats import trend as statistics

LEVEL = 0.05
"""Chance to call anything moving where nothing does, per suite."""

STALE_DAYS = 90
"""A baseline older than this says little of what is normal now; `gate.max_baseline_age_days` is so by default."""

UNPROVEN = frozenset({VerdictName.ERROR.value, VerdictName.NOT_COMPARABLE.value, VerdictName.NOT_EVALUATED.value})
"""Verdicts that say nothing of quality though there should be something to say. A suite's first run has no baseline."""

SHOWN = {"score": False, "latency_p95_s": True, "cost_per_call_usd": True, "tokens_per_call": True, "error_rate": True}
"""Metrics in the order shown, and whether more is worse."""


def suite_trend(
    runs: Iterable[RunRow], summaries: Iterable[SummaryRow], *, now: datetime, pool: int = 10
) -> SuiteTrend | None:
    """The trend of one suite; None where it has no complete run.

    runs: of one suite, in any order; partial and unfinished ones are left out. pool: how many runs a baseline pools.
    """
    complete = sorted((row for row in runs if row.selection is None and row.stopped is None), key=lambda r: r.created)
    if not complete:
        return None
    serving = [row for row in complete if row.exit_code == 0 or row.is_blessed(now.astimezone(UTC).date())]
    newest = serving[-1] if serving else None
    pooled = [row for row in serving if newest is not None and newest.version in (None, row.version)][-pool:]
    trend = SuiteTrend(
        suite=complete[0].suite,
        runs=len(complete),
        first=complete[0].created,
        last=complete[-1].created,
        versions=len({row.version for row in complete}),
        last_verdict=complete[-1].verdict,
        courses=_courses(complete, summaries),
        baseline_id=newest.id if newest else None,
        baseline_age_s=(now - newest.created).total_seconds() if newest else None,
        oldest_pooled_age_s=(now - pooled[0].created).total_seconds() if pooled else None,
    )
    return replace(trend, looks=_looks(trend))


def _looks(trend: SuiteTrend) -> tuple[Look, ...]:
    age_s = trend.baseline_age_s
    reasons = {
        Look.FAILED: trend.last_verdict == VerdictName.FAIL.value,
        Look.UNPROVEN: trend.last_verdict in UNPROVEN,
        Look.MOVING: any(course.is_moving for course in trend.courses),
        Look.STALE: age_s is None or age_s > STALE_DAYS * 86_400,
    }
    return tuple(look for look, applies in reasons.items() if applies)


def _courses(complete: Sequence[RunRow], summaries: Iterable[SummaryRow]) -> tuple[Course, ...]:
    import pandas as pd  # 0.7 s: only a trend pays for it

    table = pd.DataFrame(
        [(row.run_id, row.category, row.metric, row.value) for row in summaries],
        columns=["run", "category", "metric", "value"],
    )
    order = [row.id for row in complete]
    series = []
    for (category, metric), group in table.groupby(["category", "metric"], sort=True):
        if metric not in SHOWN or (metric != "score" and category != EVERY_CASE):
            continue
        values = group.set_index("run")["value"].reindex(order).dropna().tolist()
        if values:
            series.append((str(category), str(metric), [float(value) for value in values]))
    series.sort(key=lambda item: (list(SHOWN).index(item[1]), item[0] != EVERY_CASE, item[0]))
    chances = [
        statistics.falling_p([-value for value in values] if SHOWN[metric] else values) for _, metric, values in series
    ]
    moving = statistics.holm(chances, LEVEL)
    return tuple(
        Course(
            category=category,
            metric=metric,
            values=tuple(values),
            early=statistics.ends(values)[0],
            late=statistics.ends(values)[1],
            p_worse=chance,
            is_moving=is_moving,
        )
        for (category, metric, values), chance, is_moving in zip(series, chances, moving, strict=True)
    )
