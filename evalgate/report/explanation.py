"""A report with the derivation of its findings below it. Escapes everything; decides and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from evalgate.records import EVERY_CASE, Json, Status
from evalgate.report import markdown, markup, terminal
from evalgate.report.escape import cell, json_document, prose
from evalgate.report.machine import document
from evalgate.report.model import Report
from evalgate.report.pages import Format
from evalgate.report.pen import Pen
from evalgate.report.phrases import EVERY_CASE_NAME, STATUS_WORDS
from evalgate.report.room import BUDGET

NAME_LIMIT = 120
LINE_LIMIT = 500
TITLE = "How each finding came about"
TITLE_COLUMNS = 13
READING = (
    "Had nothing changed, a case's answers before and now would be of one kind, and which of them are the candidate's "
    "would be chance. p is how often chance alone gives as much or more; guards widen what chance may do and only ever "
    "raise p. alpha ({alpha:g} %) is how often this gate may block an unchanged system, over all its rules together: "
    "each rule has a part of it, and the adjusted p is scaled so that alpha itself is the limit."
)
"""What every derivation rests on, said once."""


class Step(Protocol):
    """One step of a derivation."""

    @property
    def title(self) -> str: ...
    @property
    def lines(self) -> Sequence[str]: ...


class Told(Protocol):
    """One finding's derivation, in the order in which it is to be read."""

    @property
    def category(self) -> str: ...
    @property
    def rule(self) -> str: ...
    @property
    def against(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def gating(self) -> bool: ...
    @property
    def p(self) -> float | None: ...
    @property
    def p_adjusted(self) -> float | None: ...
    @property
    def sentence(self) -> str: ...
    @property
    def parts(self) -> Sequence[Step]: ...


def render(report: Report, told: Sequence[Told], *, format: Format, pen: Pen | None = None) -> str:
    """The report in one format, and each finding's derivation: below it, or under the key `explanation` of the JSON.

    pen: for text. Markdown stays within what GitHub takes: derivations that do not fit are counted.
    """
    if format == "json":
        return json_document({**document(report), "explanation": [_document(one) for one in told]})
    if format == "markdown":
        return _markdown(report, told)
    pen = pen or Pen()
    head = terminal.render(report, width=pen.width, color=pen.color, unicode=pen.unicode)
    if not told:
        return head
    reading = pen.paragraph(_reading(report), indent="  ", first="  ")
    lines = [line for one in told for line in _text(one, pen)]
    return "\n".join([head, *pen.heading(TITLE)[1:], *reading, *lines]) + "\n"


def _reading(report: Report) -> str:
    return READING.format(alpha=report.verdict.alpha * 100)


def _text(one: Told, pen: Pen) -> list[str]:
    lines = pen.heading(_name(one, pen.text(one.category, NAME_LIMIT)))
    lines += pen.paragraph(one.sentence, indent="  ", first="  ")
    for part in one.parts:
        first = f"  {part.title:<{TITLE_COLUMNS}}"
        for line in part.lines:
            lines += pen.paragraph(pen.text(line, LINE_LIMIT), indent=" " * (TITLE_COLUMNS + 4), first=first)
            first = " " * (TITLE_COLUMNS + 2)
    return lines


def _name(one: Told, category: str) -> str:
    """`billing, max_drop against the anchor: breach`; the category is escaped already."""
    shown = EVERY_CASE_NAME if one.category == EVERY_CASE else category
    anchor = " against the anchor" if one.against == "anchor" else ""
    return f"{shown}, {one.rule}{anchor}: {_status(one)}"


def _status(one: Told) -> str:
    return STATUS_WORDS[one.status] + ("" if one.gating else " (not gating)")


def _markdown(report: Report, told: Sequence[Told]) -> str:
    page = markdown.render(report)
    if not told:
        return page
    page = markup.page([page.rstrip("\n"), f"### {TITLE}", cell(_reading(report))])
    for number, one in enumerate(told):
        longer = markup.page([page.rstrip("\n"), _folded(one)])
        if len(longer.encode()) > BUDGET:
            left = (
                f"{len(told) - number:,} more are left out here: `evalgate gate RUN --explain` in a terminal tells all."
            )
            return markup.page([page.rstrip("\n"), left])
        page = longer
    return page


def _folded(one: Told) -> str:
    category = EVERY_CASE_NAME if one.category == EVERY_CASE else one.category
    anchor = " against the anchor" if one.against == "anchor" else ""
    summary = f"{cell(category, limit=NAME_LIMIT)}, {cell(one.rule)}{anchor}: {_status(one)}"
    body = [prose(one.sentence, limit=2 * LINE_LIMIT)]
    body += [
        f"**{cell(part.title)}**\n\n{markup.bullets(cell(line, limit=LINE_LIMIT) for line in part.lines)}"
        for part in one.parts
    ]
    return markup.fold(summary, "\n\n".join(body))


def _document(one: Told) -> dict[str, Json]:
    return {
        "rule": one.rule,
        "category": one.category,
        "against": one.against,
        "status": one.status.value,
        "gating": one.gating,
        "p": _rounded(one.p),
        "p_adjusted": _rounded(one.p_adjusted),
        "sentence": one.sentence,
        "parts": [{"title": part.title, "lines": list(part.lines)} for part in one.parts],
    }


def _rounded(value: float | None) -> float | None:
    """As the verdict rounds its own."""
    return None if value is None else round(value, 6) + 0.0
