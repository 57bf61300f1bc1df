"""A page of sentences, tables and answers, drawn as text or as Markdown. Escapes everything; knows nothing of runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalgate.report import markup
from evalgate.report.escape import cell, code, fence, plain, prose
from evalgate.report.pen import Pen, Style
from evalgate.report.phrases import EMPTY

Format: TypeAlias = Literal["text", "markdown", "json"]

NAME_LIMIT = 120
ANSWER_LIMIT = 800
INLINE_LIMIT = 200


@dataclass(frozen=True, kw_only=True)
class Sentence:
    text: str
    is_heading: bool = False


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table whose first column is a name."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    last_is_text: bool = True
    """False: the last column holds numbers like those before it."""
    keeps_names: bool = False
    """True: where the width is short, the last column gives way before the names do."""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A name with labelled texts of any length below it: a case and its answers."""

    name: str
    facts: str
    texts: tuple[tuple[str, str | None], ...]
    """(label, text); None is left out."""


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of a listing."""

    mark: str
    """A word that stands before it."""
    text: str
    advice: str = ""
    """Stands below it; may be empty."""
    style: Style | None = None
    """The mark's colour."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Lines that belong together, each behind a mark."""

    name: str
    items: tuple[Item, ...]


Part: TypeAlias = Sentence | Grid | Passage | Listing


def as_text(parts: Iterable[Part], pen: Pen) -> str:
    """The page for a terminal or a log."""
    lines: list[str] = []
    for part in parts:
        match part:
            case Sentence(text=text, is_heading=True):
                lines += pen.heading(text)
            case Sentence(text=text):
                lines += pen.paragraph(text, indent="  ", first="")
            case Grid():
                named = [(pen.text(row[0], NAME_LIMIT), *row[1:]) for row in part.rows]
                lines += [
                    "",
                    *pen.table(part.headers, named, last_is_text=part.last_is_text, keeps_names=part.keeps_names),
                ]
            case Listing():
                lines += pen.heading(part.name)
                for item in part.items:
                    lines += _listed(item, pen)
            case Passage():
                name, facts = plain(part.name, limit=NAME_LIMIT), plain(part.facts, limit=2 * NAME_LIMIT)
                lines += pen.headed(name, f"({facts})", "bold", indent=" " * 4)
                for label, said in part.texts:
                    if said is not None:
                        shown = pen.text(said, ANSWER_LIMIT) or EMPTY
                        lines += pen.paragraph(shown, indent=" " * 12, first=f"  {label:<10}")
    return "\n".join(lines) + "\n"


def as_markdown(parts: Iterable[Part]) -> str:
    """The page as GitHub Markdown."""
    return markup.page(_markdown(part) for part in parts)


def _markdown(part: Part) -> str:
    match part:
        case Sentence(text=text, is_heading=True):
            return f"### {cell(text)}"
        case Sentence(text=text):
            return prose(text)
        case Grid():
            rows = [
                (code(row[0], limit=NAME_LIMIT), *(cell(text, limit=NAME_LIMIT) for text in row[1:]))
                for row in part.rows
            ]
            return markup.table(
                [cell(header) for header in part.headers], rows, right=range(1, len(part.headers) - part.last_is_text)
            )
        case Listing():
            marked = [f"{_marked(item)}{prose(item.text)}{_advised(item)}" for item in part.items]
            return f"### {cell(part.name)}\n\n{markup.bullets(marked)}"
        case Passage():
            return passage(part)


def _marked(item: Item) -> str:
    return f"**{cell(item.mark)}** "


def _advised(item: Item) -> str:
    return f"<br>{prose(item.advice)}" if item.advice else ""


MARK_WIDTH = 8


def _listed(item: Item, pen: Pen) -> list[str]:
    indent = " " * (MARK_WIDTH + 2)
    first, *others = pen.paragraph(item.text, indent=indent, first=indent)
    mark = pen.paint(pen.text(item.mark, MARK_WIDTH), item.style)
    lines = [f"  {mark}{' ' * (MARK_WIDTH - len(item.mark))}{first[len(indent) :]}", *others]
    return [
        *lines,
        *(pen.paragraph(item.advice, indent=f"{indent}  ", first=f"{indent}{pen.text('→')} ") if item.advice else []),
    ]


def passage(part: Passage) -> str:
    """A passage as Markdown: short texts beside their labels, the others in fences."""
    facts = f" {cell(part.facts, limit=2 * NAME_LIMIT)}" if part.facts else ""
    lines, fences = [f"**{code(part.name, limit=NAME_LIMIT)}**{facts}"], []
    for label, text in part.texts:
        if text is None:
            continue
        if len(text) <= INLINE_LIMIT and "\n" not in text:
            lines.append(f"{cell(label)}: {cell(text) or EMPTY}")
        else:
            fences.append(f"{cell(label)}:\n\n{fence(text, limit=ANSWER_LIMIT)}")
    return "\n\n".join(["<br>".join(lines), *fences])


def few(names: Sequence[str], most: int = 5) -> str:
    """The first few names, the rest counted."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
