"""What every prompt shares: how a value is printed in it, and that it may be none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class BadTemplate(Exception):
    """A template cannot be read; the message says why, and in which of its lines."""


def printed(value: Any) -> str:
    """The text of `{{ value }}`: texts as they are, structures, true, false and null as JSON."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (bool, dict, list, tuple, Mapping)):
        return as_json(value)
    return str(value)


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON as a model reads it: nothing escaped that need not be."""
    return json.dumps(value, ensure_ascii=False, indent=indent, default=dict)
