"""The shapes of GitHub's Markdown that every rendering shares. Cells and texts given here are escaped already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_MOST_BLANK = 2.0
"""Characters of a padded table for one of its cells', at most."""


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """A table; the columns in `right` hold numbers and stand to the right.

    Readable as it is written, too, unless that would fill a budget with blanks: a single long name pads every row.
    """
    to_the_right = frozenset(right)
    found = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *found, strict=True)]
    written = sum(len(cell) for row in found for cell in row)
    if sum(widths) * len(found) > _MOST_BLANK * written:
        rules = ["--:" if column in to_the_right else ":--" for column in range(len(headers))]
        return "\n".join(f"| {' | '.join(row)} |" for row in (headers, rules, *found))
    from tabulate import tabulate  # 0.1 s: only Markdown pays for it

    sides = ["right" if column in to_the_right else "left" for column in range(len(headers))]
    # Cells are texts: a case named 1e3 must not become 1000.
    return tabulate(found, headers, tablefmt="pipe", colalign=sides if found else None, disable_numparse=True)


def fold(summary: str, body: str) -> str:
    """A part that is closed until it is asked for. The blank lines make its body Markdown again."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def page(parts: Iterable[str]) -> str:
    """The parts that say something, a blank line between them."""
    return "\n\n".join(part for part in parts if part) + "\n"
