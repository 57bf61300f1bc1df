"""`evalgate trend`: the history's light rows, suite by suite, through the trend practice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from evalgate.pipeline.suite import open_history
from evalgate.practices.trend import suite_trend
from evalgate.records import SuiteTrend


def trends(
    store: str, *, suites: Sequence[str], branch: str | None, since: datetime | None, now: datetime
) -> list[SuiteTrend]:
    """The trend of each suite that has a complete run since then; all suites where none is named."""
    with open_history(store, create=False) as history:
        rows = history.list_runs(since=since, branch=branch)
        names = sorted({row.suite for row in rows}) if not suites else list(suites)
        found = []
        for name in names:
            mine = [row for row in rows if row.suite == name]
            ids = {row.id for row in mine}
            summaries = [row for row in history.summaries(suite=name, since=since) if row.run_id in ids]
            trend = suite_trend(mine, summaries, now=now)
            if trend is not None:
                found.append(trend)
    return found
