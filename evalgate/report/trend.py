"""The weekly report: where each suite is moving. Draws what the trend practice found; decides nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from evalgate.records import EVERY_CASE, Course, Json, SuiteTrend
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
        return json.dumps({"now": _moment(now), "suites": [_suite(trend) for trend in trends]}, indent=2) + "\n"
    span = f"since {since:%Y-%m-%d}" if since is not None else "since the first run"
    parts: list[Part] = [Sentence(text=f"Evals {span}, as of {now:%Y-%m-%d %H:%M} UTC", is_heading=True)]
    if not trends:
        parts.append(Sentence(text="No complete run was recorded in this time: nothing is known, good or bad."))
    for trend in trends:
        parts += _parts(trend)
    if trends:
        parts.append(Sentence(text="Early and late are the means over the first and the last third of the runs."))
    return as_markdown(parts) if format == "markdown" else as_text(parts, pen or Pen())


def _parts(trend: SuiteTrend) -> list[Part]:
    moving = [course for course in trend.courses if course.is_moving]
    parts: list[Part] = [
        Sentence(text=f"Suite {trend.suite}", is_heading=True),
        Sentence(text=_moving(moving, trend)),
        Sentence(
            text=f"{count(trend.runs, 'complete run')} of {count(trend.versions, 'version')}, "
            f"{trend.first:%Y-%m-%d} to {trend.last:%Y-%m-%d}. {_baseline(trend)}"
        ),
    ]
    if trend.last_verdict is not None and trend.last_verdict != "pass":
        parts.insert(2, Sentence(text=f"The latest run's verdict was {trend.last_verdict.replace('_', ' ')}."))
    scores = [course for course in trend.courses if course.metric == "score"]
    others = [course for course in trend.courses if course.metric != "score"]
    if scores:
        headers = ("category", "course", "early", "late", "change", "moving")
        parts.append(Grid(headers=headers, rows=tuple(_score_row(course) for course in scores)))
    if others:
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
        "first": _moment(trend.first),
        "last": _moment(trend.last),
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


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
