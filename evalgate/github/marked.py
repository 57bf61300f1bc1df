"""What a comment or an issue of ours begins with, by which it is found again: the marker, and who writes.

A marker is a line that readers do not see; no text that is put below one can hold another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

BOT = "github-actions[bot]"
"""Login under which a job's own token writes. GitHub lets no token ask for it, and no person can take it."""

_FORGED = re.compile(r"<!--(\s*)evalgate:", re.IGNORECASE)


def login_of(environ: Mapping[str, str]) -> str:
    """Who this job writes as."""
    return environ.get("EVALGATE_COMMENT_LOGIN") or BOT


def quoted(text: str) -> str:
    """A text as a marker has it; `urllib.parse.unquote` gives it back."""
    # `--` would end the comment in the eyes of strict HTML parsers.
    return quote(text, safe="").replace("-", "%2D")


def marked(marker: object, text: str) -> str:
    """The text below its marker."""
    return f"{marker}\n" + _FORGED.sub(r"<!--\1not evalgate:", text)


def newer(ages: Iterable[tuple[int, int]], age: tuple[int, int]) -> str:
    """Why a report of this run and attempt may not be written over those of other ages; empty where it may."""
    newest = max(ages, default=age)
    return f"run {newest[0]} (attempt {newest[1]}) is newer and has already reported" if newest > age else ""
