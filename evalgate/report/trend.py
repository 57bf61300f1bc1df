"""The weekly report: where each suite is moving. Draws what the trend practice found; decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum

from evalgate.records import EVERY_CASE, Course, Json, Look, SuiteTrend, utc
from evalgate.report.escape import json_document
from evalgate.report.numbers import age, count, measure, metric_name, percent, points
from evalgate.report.pages import Format, Grid, Part, Sentence, as_markdown, as_text
from evalgate.report.pen import Pen

BARS = "▁▂▃▄▅▆▇█"
MOST_BARS = 24


def render(
    trends: Sequence[SuiteTrend],
    *,
    since: datetime | None,
    now: datetime,
    format: Format = "text",
    pen: Pen | None = None,
) -> str:
    """The report on these suites, as text, Markdown or JSON."""
    if format == "json":
        return json_document({"now": utc(now), "suites": [_suite(trend) for trend in trends]})
    parts = _page(trends, since=since, now=now, level=Level.ALL)
    return as_markdown(parts) if format == "markdown" else as_text(parts, pen or Pen())


def render_within(
    trends: Sequence[SuiteTrend], *, since: datetime | None, now: datetime, limit: int, note: str = ""
) -> str:
    """The report as Markdown of at most so many bytes: rows and tables are left out whole, in a fixed order, and said.

    note: what stands before everything else.
    """
    for level in Level:
        text = as_markdown(_page(trends, since=since, now=now, level=level, note=note))
        if len(text.encode("utf-8")) <= limit:
            break
    return text


class Level(IntEnum):
    """How much is left out: of suites at which nobody has to look first, and of what is moving last."""

    ALL = 0
    NO_OTHER_METRICS = 1
    """Latency, cost and tokens only where something is to be looked at."""
    NO_QUIET_TABLES = 2
    ONLY_MOVING = 3
    """Of the tables that are left only the rows that move."""
    NO_QUIET_SUITES = 4
    NO_TABLES = 5
    FIRST_LINES = 6
    """What to look at first, and how many suites there are."""


_LEFT_OUT = {
    Level.NO_OTHER_METRICS: "latency, cost and tokens of suites where nothing is to be looked at",
    Level.NO_QUIET_TABLES: "the tables of suites where nothing is to be looked at",
    Level.ONLY_MOVING: "those tables, and what is not moving in the others",
    Level.NO_QUIET_SUITES: "the suites where nothing is to be looked at, and what is not moving in the others",
    Level.NO_TABLES: "all tables",
    Level.FIRST_LINES: "everything else",
}

MOST_FIRST = 10
"""How many suites are named at the top."""


def _page(
    trends: Sequence[SuiteTrend], *, since: datetime | None, now: datetime, level: Level, note: str = ""
) -> list[Part]:
    span = f"since {since:%Y-%m-%d}" if since is not None else "since the first run"
    parts: list[Part] = [Sentence(text=f"Evals {span}, as of {now:%Y-%m-%d %H:%M} UTC", is_heading=True)]
    parts += [Sentence(text=note)] if note else []
    if not trends:
        return [*parts, Sentence(text="No complete run was recorded in this time: nothing is known, good or bad.")]
    parts += _first(trends)
    for trend in trends:
        is_quiet = not trend.looks
        if level is Level.FIRST_LINES or (is_quiet and level >= Level.NO_QUIET_SUITES):
            continue
        parts += [*_told(trend, now), *_tables(trend, level)]
    if level < Level.NO_TABLES:
        parts.append(Sentence(text="Early and late are the means over the first and the last third of the runs."))
    if level in _LEFT_OUT:
        what = f"Left out, so that it fits here: {_LEFT_OUT[level]}. `evalgate trend` shows everything."
        parts.append(Sentence(text=what))
    return parts


def _first(trends: Sequence[SuiteTrend]) -> list[Part]:
    """What to look at first; where it is nothing, that."""
    worth = sorted((trend for trend in trends if trend.looks), key=lambda trend: list(Look).index(trend.looks[0]))
    if not worth:
        every = "the one suite there is" if len(trends) == 1 else f"any of {len(trends)} suites"
        return [Sentence(text=f"Nothing needs a look in {every}.")]
    named = "; ".join(
        f"{trend.suite}: {', '.join(_REASONS[look] for look in trend.looks)}" for trend in worth[:MOST_FIRST]
    )
    more = f"; and {len(worth) - MOST_FIRST:,} more" if len(worth) > MOST_FIRST else ""
    return [Sentence(text=f"Look first at {named}{more}.")]


_REASONS = {
    Look.FAILED: "the newest run failed",
    Look.UNPROVEN: "the newest run says nothing of quality",
    Look.MOVING: "steadily worse",
    Look.STALE: "no baseline of the last 90 days",
}


def _told(trend: SuiteTrend, now: datetime) -> list[Part]:
    moving = [course for course in trend.courses if course.is_moving]
    parts: list[Part] = [
        Sentence(text=f"Suite {trend.suite}", is_heading=True),
        Sentence(text=_moving(moving, trend)),
        Sentence(
            text=f"{count(trend.runs, 'complete run')} of {count(trend.versions, 'version')}, {_days(trend, now)}. "
            f"{_baseline(trend)}"
        ),
    ]
    if trend.last_verdict is not None and trend.last_verdict != "pass":
        parts.insert(2, Sentence(text=f"The latest run's verdict was {trend.last_verdict.replace('_', ' ')}."))
    return parts


def _days(trend: SuiteTrend, now: datetime) -> str:
    old = age((now - trend.last).total_seconds())
    return f"{trend.first:%Y-%m-%d} to {trend.last:%Y-%m-%d}, the newest {old} old"


def _tables(trend: SuiteTrend, level: Level) -> list[Part]:
    is_quiet = not trend.looks
    if level >= Level.NO_TABLES or (is_quiet and level >= Level.NO_QUIET_TABLES):
        return []
    courses = [course for course in trend.courses if course.is_moving or level < Level.ONLY_MOVING]
    scores = [course for course in courses if course.metric == "score"]
    others = [course for course in courses if course.metric != "score"]
    parts: list[Part] = []
    if scores:
        headers = ("category", "course", "early", "late", "change", "moving")
        parts.append(Grid(headers=headers, rows=tuple(_score_row(course) for course in scores)))
    if others and not (is_quiet and level >= Level.NO_OTHER_METRICS):
        headers = ("metric", "course", "early", "late", "change", "moving")
        parts.append(Grid(headers=headers, rows=tuple(_metric_row(course) for course in others)))
    return parts


def _moving(moving: Sequence[Course], trend: SuiteTrend) -> str:
    if moving:
        return f"Steadily worse: {', '.join(_named(course) for course in moving)}."
    if all(course.p_worse is None for course in trend.courses):
        return "Too few runs to speak of a course: at least 4 are needed."
    return "Nothing is steadily getting worse."


def _named(course: Course) -> str:
    name = "all cases" if course.category == EVERY_CASE else course.category
    if course.metric == "score":
        return f"{name} ({points(course.change)} points)"
    return f"{metric_name(course.metric)} ({'+' if course.change > 0 else ''}{measure(course.metric, course.change)})"


def _baseline(trend: SuiteTrend) -> str:
    if trend.baseline_id is None:
        return "No run of this time can serve as a baseline."
    text = f"Newest baseline: run {trend.baseline_id}, {age(trend.baseline_age_s)} old"
    if trend.oldest_pooled_age_s is not None and trend.oldest_pooled_age_s != trend.baseline_age_s:
        text += f"; the oldest pooled with it is {age(trend.oldest_pooled_age_s)} old"
    return f"{text}."


def _score_row(course: Course) -> tuple[str, ...]:
    return (
        "all cases" if course.category == EVERY_CASE else course.category,
        sparkline(course.values, low=0.0, high=1.0),
        percent(course.early),
        percent(course.late),
        points(course.change),
        "down" if course.is_moving else "",
    )


def _metric_row(course: Course) -> tuple[str, ...]:
    change = measure(course.metric, course.change)
    return (
        metric_name(course.metric),
        sparkline(course.values),
        measure(course.metric, course.early),
        measure(course.metric, course.late),
        f"+{change}" if course.change > 0 else change,
        "up" if course.is_moving else "",
    )


def sparkline(values: Sequence[float], *, low: float | None = None, high: float | None = None) -> str:
    """The newest values as a row of bars, oldest left, at most 24.

    low, high: the ends of the scale where they are known. Scores use the narrower of [0, 1] and the values' own range
    widened to a tenth: a fall of two points should be seen, and noise of a thousandth should not look like one.
    """
    shown = list(values)[-MOST_BARS:]
    bottom, top = min(shown), max(shown)
    if low is not None and high is not None and top - bottom < 0.1:
        middle = (top + bottom) / 2
        bottom, top = max(low, middle - 0.05), min(high, middle + 0.05)
    if top <= bottom:
        return BARS[3] * len(shown)
    steps = len(BARS) - 1
    return "".join(BARS[min(steps, int((value - bottom) / (top - bottom) * steps + 0.5))] for value in shown)


def _suite(trend: SuiteTrend) -> dict[str, Json]:
    return {
        "suite": trend.suite,
        "runs": trend.runs,
        "versions": trend.versions,
        "last_verdict": trend.last_verdict,
        "look_at": [look.value for look in trend.looks],
        "first": utc(trend.first),
        "last": utc(trend.last),
        "baseline": trend.baseline_id,
        "baseline_age_s": trend.baseline_age_s,
        "oldest_pooled_age_s": trend.oldest_pooled_age_s,
        "courses": [
            {
                "category": course.category,
                "metric": course.metric,
                "values": [round(value, 6) for value in course.values],
                "early": round(course.early, 6),
                "late": round(course.late, 6),
                "change": round(course.change, 6),
                "p_worse": None if course.p_worse is None else round(course.p_worse, 6),
                "moving": course.is_moving,
            }
            for course in trend.courses
        ],
    }
