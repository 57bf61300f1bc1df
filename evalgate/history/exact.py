"""Values as the history's columns hold them, and back, exactly: texts, JSON, moments.

Pure. None is NULL and never comes here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from evalgate.records import Json

MARK = "\x01"
"""Begins a text that is kept in other words; no other kept text begins with it."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _plain(value: Any) -> Json:
    return dict(value) if isinstance(value, Mapping) else str(value)


# Made once: `json.dumps` with options builds an encoder at each call.
_AS_WRITTEN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_plain)
_ASCII = json.JSONEncoder(separators=(",", ":"), default=_plain)

# What was written is compact, so no white space has to be looked for, as `json.loads` does.
_from_json = json.JSONDecoder().raw_decode


def to_json(value: Json) -> str:
    """Compact JSON that every database can hold, the order of keys kept (PostgreSQL's jsonb would not); what is no
    JSON is kept as its `str`."""
    text = _AS_WRITTEN.encode(value)
    return text if text.isascii() or _UNSTORABLE.search(text) is None else _ASCII.encode(value)


def of_json(text: str) -> Json:
    """The value that `to_json` wrote."""
    return _from_json(text)[0]


def to_text(value: str) -> str:
    """Any Python text. Lone surrogates (no UTF-8) and NUL (refused by PostgreSQL) are kept as marked JSON."""
    if not value or (value.isascii() and "\x00" not in value and value[0] != MARK):
        return value
    return MARK + _ASCII.encode(value) if value[0] == MARK or _UNSTORABLE.search(value) else value


def of_text(text: str) -> str:
    """The text that `to_text` was given."""
    return str(json.loads(text[1:])) if text and text[0] == MARK else text


def to_moment(value: datetime) -> str:
    """A time in UTC to the microsecond, as ISO text of fixed width: sorts as it reads, in every database."""
    if value.tzinfo is None:
        raise ValueError("a time without time zone cannot be stored")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


of_moment = datetime.fromisoformat
"""The time that `to_moment` wrote."""
