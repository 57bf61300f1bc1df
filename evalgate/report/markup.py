"""The shapes of GitHub's Markdown that every rendering shares. Cells and texts given here are escaped already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """A table; the columns in `right` hold numbers and stand to the right. Readable as it is written, too."""
    from tabulate import tabulate  # 0.1 s: only Markdown pays for it

    to_the_right = frozenset(right)
    sides = ["right" if column in to_the_right else "left" for column in range(len(headers))]
    found = [list(row) for row in rows]
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
