"""What the headers of an answer say is left of a provider's limits. Pure.

Read are OpenAI's spelling (also Azure's and that of most gateways), Anthropic's, and the drafts of the IETF with and
without `X-`. What cannot be read is not there: a limit that is made up would slow a run down for nothing.
Sources: platform.openai.com/docs/guides/rate-limits, docs.anthropic.com/en/api/rate-limits,
draft-ietf-httpapi-ratelimit-headers (03: three headers; 07: one with parameters; 10: a structured list).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from evalgate.records import Remaining

_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_SPAN = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|d|h|m|s))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d.*", re.ASCII)
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LIST_ITEM = re.compile(r'"[^"]{0,100}"((?:\s*;\s*[a-z]+\s*=\s*[^;,"]{1,40})+)')
_PARAMETER = re.compile(r"([a-z]+)\s*=\s*([^;,\"]+)")
_EPOCH: Final = 1e9
"""Seconds that are more than this are a moment, not a span."""

_FAMILIES: Final[tuple[tuple[str, Literal["requests", "tokens"], bool], ...]] = (
    ("x-ratelimit-{}-requests", "requests", True),
    ("x-ratelimit-{}-tokens", "tokens", True),
    ("anthropic-ratelimit-requests-{}", "requests", True),
    ("anthropic-ratelimit-tokens-{}", "tokens", True),
    ("ratelimit-{}", "requests", False),
    ("x-ratelimit-{}", "requests", False),
)


def quotas_of(headers: Mapping[str, str], now: datetime | None = None) -> tuple[Remaining, ...]:
    """Each limit of which the headers tell both what is left and when it is whole again.

    headers: with lower-case names. now: the moment that a date is counted from; None: the answer's own `Date`.
    """
    if not any("ratelimit" in name for name in headers):
        return ()
    found = []
    for name, unit, refills in _FAMILIES:
        left = _number(headers.get(name.format("remaining"), ""))
        reset_s = _span_s(headers.get(name.format("reset"), ""), headers, now)
        if left is not None and reset_s is not None:
            limit = _number(headers.get(name.format("limit"), ""))
            found.append(Remaining(unit=unit, left=left, reset_s=reset_s, limit=limit, refills=refills))
    found.extend(_structured(headers.get("ratelimit", "")))
    return tuple(found)


def _structured(value: str) -> Iterator[Remaining]:
    """`"burst";r=5;t=10, "daily";r=90;t=3600`, or `limit=100, remaining=5, reset=10`."""
    value = value[:1000].lower()
    for parameters in [item[1] for item in _LIST_ITEM.finditer(value)] or [value]:
        given: dict[str, str] = dict(_PARAMETER.findall(parameters or ""))
        left = _number(given.get("r", given.get("remaining", "")))
        reset_s = _number(given.get("t", given.get("reset", "")))
        if left is not None and reset_s is not None:
            yield Remaining(unit="requests", left=left, reset_s=reset_s, limit=_number(given.get("limit", "")))


def _number(text: str) -> float | None:
    """A number from 0; None for anything else: NaN, -1, 1e9, a hundred digits."""
    text = text.strip() if len(text) < 64 else ""
    return float(text) if _NUMBER.fullmatch(text) else None


def _span_s(text: str, headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Seconds from now, of `20ms`, `6m0s`, `30`, a moment since 1970 in seconds or milliseconds, or an ISO date."""
    text = text.strip() if len(text) < 64 else ""
    if _SPAN.fullmatch(text):
        return math.fsum(float(count) * _UNIT_S[unit] for count, unit in _PART.findall(text))
    seconds = _number(text)
    if seconds is not None and seconds < _EPOCH:
        return seconds
    try:
        if seconds is not None:
            moment = datetime.fromtimestamp(seconds / 1000 if seconds >= 1000 * _EPOCH else seconds, UTC)
        elif _DATE.fullmatch(text):
            moment = datetime.fromisoformat(text)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or _date_of(headers))).total_seconds())


def _date_of(headers: Mapping[str, str]) -> datetime:
    """The server's own time, since its clock and ours need not agree; else ours."""
    from email.utils import parsedate_to_datetime  # half of what loading this package would cost

    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
