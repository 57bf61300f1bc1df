"""What a report is drawn with on a terminal: colour, columns, wrapped text. Knows nothing of what it draws.

The tables are made here because they must fit a width by shortening one column, count wide characters as two
columns, and cost no start-up time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalgate.report.escape import plain

Style: TypeAlias = Literal["red", "green", "yellow", "bold", "dim"]

_CODES: dict[Style, str] = {"red": "31;1", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
_ASCII = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "—": "-",
        "→": "->",
        "…": "...",
        "·": ".",
        "✓": "+",
        "✗": "x",
        "─": "-",
        "≤": "<=",
        "≥": ">=",
        "⚠": "!",
    }
)
_GAP = "  "
SHORTEST = 16
"""Columns that a text or a name keeps: below that its ends say nothing."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell of a table, and how it is coloured."""

    text: str
    style: Style | None = None


@dataclass(frozen=True, kw_only=True)
class Pen:
    """Draws for one terminal or log."""

    width: int = 80
    """Columns, at least 40 are used."""
    color: bool = False
    unicode: bool = True
    """False: the result is ASCII, whatever was put in."""

    def text(self, text: str, limit: int | None = None) -> str:
        """Anybody's text as one harmless line that this terminal can show."""
        line = plain(text, limit=limit)
        return line if self.unicode else line.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")

    def paint(self, text: str, style: Style | None) -> str:
        """The text in a colour, or as it is where there are none. The text must be harmless already."""
        return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if self.color and style and text else text

    def heading(self, text: str) -> list[str]:
        """A title above a part, with the empty line that parts it from what stands before."""
        return ["", self.paint(self.text(text), "bold")]

    def paragraph(self, text: str, *, indent: str = "", first: str | None = None) -> list[str]:
        """The text in lines that fit the width; the first begins with `first`, the others with `indent`."""
        lines: list[str] = []
        lead = indent if first is None else first
        line = ""
        for word in self.text(text).split():
            for part in _chunks(word, max(10, self._columns - display_width(lead))):
                room = self._columns - display_width(lead)
                if line and display_width(line) + 1 + display_width(part) > room:
                    lines.append(lead + line)
                    lead, line = indent, part
                else:
                    line = f"{line} {part}" if line else part
        return [*lines, lead + line]

    def headed(self, head: str, text: str, style: Style | None, *, indent: str) -> list[str]:
        """A paragraph that begins with a coloured head; a head that does not fit the first line stays uncoloured."""
        head = self.text(head)
        first, *others = self.paragraph(f"{head} {text}", indent=indent, first="")
        return [self.paint(head, style) + first[len(head) :] if first.startswith(head) else first, *others]

    def table(
        self,
        headers: Sequence[str],
        rows: Iterable[Sequence[Cell | str]],
        *,
        keeps_names: bool = False,
        last_is_text: bool = True,
    ) -> list[str]:
        """Rows under their headers, at most as wide as the terminal where the numbers allow.

        The first column, of names, and the last one, where it is text, are set to the left, the others to the right.
        These two are shortened until the table fits: the names first, or, with `keeps_names`, the text first.
        """
        head = [self.text(header) for header in headers]
        body = [[self._cell(cell) for cell in row] for row in rows]
        widths = [
            max(display_width(text) for text in column)
            for column in zip(head, *([cell.text for cell in row] for row in body), strict=True)
        ]
        spare = self._columns - sum(widths) - len(_GAP) * (len(widths) - 1)
        text_columns = [0, len(widths) - 1] if last_is_text else [0]
        for column in reversed(text_columns) if keeps_names else text_columns:
            shortened = max(SHORTEST, display_width(head[column]), widths[column] + min(spare, 0))
            if shortened < widths[column]:
                spare += widths[column] - shortened
                widths[column] = shortened

        def drawn(cells: Iterable[Cell]) -> str:
            padded: list[str] = []
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
                text = self._middle(cell.text, width)
                gap = " " * (width - display_width(text))
                shown = self.paint(text, cell.style)
                padded.append(shown + gap if column in text_columns else gap + shown)
            return _GAP.join(padded).rstrip()

        rule = self.text("─") * (sum(widths) + len(_GAP) * (len(widths) - 1))
        return [drawn(Cell(text=text, style="bold") for text in head), self.paint(rule, "dim"), *map(drawn, body)]

    @property
    def _columns(self) -> int:
        return max(40, self.width)

    def _cell(self, cell: Cell | str) -> Cell:
        if isinstance(cell, str):
            return Cell(text=self.text(cell))
        return Cell(text=self.text(cell.text), style=cell.style)

    def _middle(self, text: str, width: int) -> str:
        """The text without its middle where it is too long: both ends of a name tell it from others."""
        if display_width(text) <= width:
            return text
        mark = self.text("…")
        room = width - len(mark)
        head = _chunks(text, max(1, room - room // 2))[0]
        tail = _chunks(text[::-1], max(1, room // 2))[0][::-1]
        return head + mark + tail


def display_width(text: str) -> int:
    """Columns that the text takes on a terminal: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_columns_of(character) for character in text)


def _columns_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _chunks(text: str, width: int) -> list[str]:
    """The text in pieces of at most `width` columns (a wide character alone may take one more); at least one piece."""
    if display_width(text) <= width:
        return [text]
    pieces = [""]
    taken = 0
    for character in text:
        columns = _columns_of(character)
        if pieces[-1] and taken + columns > width:
            pieces.append("")
            taken = 0
        pieces[-1] += character
        taken += columns
    return pieces
