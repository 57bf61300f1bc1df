"""Where something stands in a user's file, and the faults found there, gathered until all of a file are known.

Knows no format: a place is a file, a line and a column.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from evalgate.errors import Fault, InputError

MOST_SHOWN = 50
"""Faults told at once: a column with a wrong name has one in every row."""

MOST_KEPT = 5000
"""Faults kept for sorting; beyond them only their number is known."""


class Place(NamedTuple):
    """A position in a file; line and column from 1, 0 where unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file, *(str(number) for number in (self.line, self.column) if number)]
        return ":".join(parts)


@dataclass(frozen=True, kw_only=True)
class _Entry:
    place: Place
    what: str
    hint: str


class Faults:
    """Everything that is wrong, gathered to be raised together."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._uncounted = 0
        self._files: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._entries) + self._uncounted

    def add(self, place: Place, what: str, hint: str = "") -> None:
        """Remember one fault. `what` is a sentence without a full stop; `hint` says what to write instead."""
        if len(self._entries) >= MOST_KEPT:
            self._uncounted += 1
            return
        self._files.setdefault(place.file, len(self._files))
        self._entries.append(_Entry(place=place, what=what, hint=hint))

    def raise_if_any(self) -> None:
        """Raise all of them as one InputError, by file and position."""
        if self._entries:
            self._raise()

    def _raise(self) -> NoReturn:
        entries = sorted(
            dict.fromkeys(self._entries), key=lambda entry: (self._files[entry.place.file], *entry.place[1:])
        )
        faults = [Fault(where=str(entry.place), what=entry.what, hint=entry.hint) for entry in entries[:MOST_SHOWN]]
        unshown = len(entries) - len(faults) + self._uncounted
        if unshown:
            faults.append(Fault(where="", what=f"and {unshown} more"))
        raise InputError(faults)


def shown(path: Path) -> str:
    """The path as messages show it: relative to the current directory when it lies inside."""
    relative = Path(os.path.relpath(path))
    return (path if relative.parts[:1] == ("..",) else relative).as_posix()


def did_you_mean(word: str, known: Iterable[str], *, called: str = "Known") -> str:
    """A hint for a word that nobody knows: the nearest known one, else all of them (none where `called` is empty)."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {quoted(close[0])}?"
    return f"{called}: {', '.join(names)}." if names and called else ""


def quoted(text: str, most: int = 60) -> str:
    """A user's word inside a message: on one line, in backticks, cut where it is long."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "`" + "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut) + "`"
