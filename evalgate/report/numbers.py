"""How numbers are shown to people. Pure; knows nothing of reports.

Unknown (None) is a dash, or the word "unknown" where a dash could be read as nothing spent. The sign of a
negative number is U+2212, which terminals that cannot show it get as a hyphen (see `Pen`).
"""

from __future__ import annotations

UNKNOWN = "–"

_MINUS = "−"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 case`, `2 cases`, `1,234 cases`; `plural` for nouns that do not take an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(rate: float | None) -> str:
    """`82.9 %` for 0.829. All and nothing are said only when they are exact: 0.9999 is `>99.9 %`, not `100.0 %`."""
    if rate is None:
        return UNKNOWN
    if 0.9995 <= rate < 1:
        return ">99.9 %"
    if 0 < rate < 0.0005:
        return "<0.1 %"
    return f"{rate * 100:.1f} %"


def points(delta: float | None) -> str:
    """A difference of two rates in percentage points, always with its sign: `−8.1`, `+0.4`, `0.0`."""
    if delta is None:
        return UNKNOWN
    shown = f"{abs(delta) * 100:.1f}"
    if shown == "0.0":
        return shown
    return (_MINUS if delta < 0 else "+") + shown


def interval(ci: tuple[float, float] | None) -> str:
    """An interval of a difference in points: `−13.0 to −3.4`. One without width says nothing: no two cases differed."""
    return UNKNOWN if ci is None or ci[0] == ci[1] else f"{points(ci[0])} to {points(ci[1])}"


def money(usd: float | None) -> str:
    """`0.42 USD`; small amounts keep two digits that count (`0.00021 USD`). None is `unknown`, never 0.

    The code rather than the sign: a dollar sign starts a formula in GitHub's Markdown.
    """
    if usd is None:
        return "unknown"
    if usd == 0 or abs(usd) >= 0.1:
        return f"{usd:,.2f} USD"
    decimals = next(places for places in range(2, 12) if round(abs(usd), places) * 10**places >= 10 or places == 11)
    return f"{usd:.{decimals}f} USD"


def seconds(span: float | None) -> str:
    """A duration to the precision that a reader uses: `420 ms`, `3.2 s`, `4 min 12 s`, `2 h 5 min`."""
    if span is None:
        return UNKNOWN
    if round(span * 1000) < 1000:
        return f"{round(span * 1000)} ms"
    if round(span, 1) < 60:
        return f"{span:.1f} s"
    whole = round(span)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(span / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def age(span: float | None) -> str:
    """How long ago, in the largest unit that is full: `2 days`, `1 hour`, `less than a minute`."""
    if span is None:
        return "of unknown age"
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if span >= size:
            return count(int(span // size), noun)
    return "less than a minute"


def measure(metric: str, value: float | None) -> str:
    """A value in the unit that the metric's name says: `_s`, `_usd`, `tokens…`; everything else is a rate."""
    if value is None:
        return UNKNOWN
    if metric.endswith("_usd"):
        return money(value)
    if metric.endswith("_s"):
        return seconds(value)
    if metric.startswith("tokens"):
        return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
    return percent(value)


def metric_name(metric: str) -> str:
    """A metric's name in words, its unit left to the numbers: `latency p95`, `cost per call`, `error rate`."""
    return metric.removesuffix("_usd").removesuffix("_s").replace("_", " ")
