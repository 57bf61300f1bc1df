"""What a field of a file from elsewhere may hold: small questions, and what puts them together. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

Check: TypeAlias = Callable[[Any], bool]

MOST = 2**63
"""What a database's largest whole number column holds, and one more."""


def text(value: Any) -> bool:
    return isinstance(value, str)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST


def from_1(value: Any) -> bool:
    return count(value) and value >= 1


def number(value: Any) -> bool:
    if isinstance(value, int):
        # JSON knows whole numbers that are too large for any float.
        return not isinstance(value, bool) and abs(value) < MOST
    return isinstance(value, float) and math.isfinite(value)


def amount(value: Any) -> bool:
    return number(value) and value >= 0


def rate(value: Any) -> bool:
    return number(value) and 0 <= value <= 1


def anything(value: Any) -> bool:
    return True


def mapping(value: Any) -> bool:
    return isinstance(value, dict)


def maybe(check: Check) -> Check:
    return lambda value: value is None or check(value)


def each(check: Check, *, least: int = 0) -> Check:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(check, value))


def one_of(*values: str) -> Check:
    return lambda value: isinstance(value, str) and value in values


def moment(value: Any) -> bool:
    try:
        read = datetime.fromisoformat(value) if isinstance(value, str) else None
        return read is not None and read.utcoffset() is not None and bool(read.astimezone(UTC))
    except (ValueError, OverflowError):
        return False


def run_id(value: Any) -> bool:
    # An id is printed as a part of commands to copy.
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", value) is not None


def shape(needed: Mapping[str, Check], **optional: Check) -> Check:
    """A mapping with all of `needed`, any of `optional`, and nothing else."""
    known = {**needed, **optional}

    def check(value: Any) -> bool:
        if not isinstance(value, dict) or not needed.keys() <= value.keys():
            return False
        return all(name in known and known[name](item) for name, item in value.items())

    return check
