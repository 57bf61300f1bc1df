"""A report as text for a terminal or a log. Decides nothing; everything shown is made harmless by the pen.

The order is the reader's: what was decided and why, compared with what, where, which cases, what else went wrong, what
it cost, what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evalgate.records import EVERY_CASE, Finding, Status, VerdictName
from evalgate.report import alterations
from evalgate.report.escape import plain
from evalgate.report.model import (
    CategoryRow,
    Flip,
    Report,
    category_rows,
    cause_groups,
    gating_status,
    grave_sentences,
    let_through,
    natural,
    told_limits,
)
from evalgate.report.numbers import count, interval, measure, metric_name, percent, points
from evalgate.report.pen import Cell, Pen, Style
from evalgate.report.phrases import (
    CASE_LISTS,
    EMPTY,
    EVERY_CASE_NAME,
    STATUS_WORDS,
    UNDECIDED,
    baseline_line,
    run_line,
    says_nothing_on_quality,
    title,
    usage_line,
)

FLIPS_SHOWN = 10
CAUSES_SHOWN = 5
IDS_SHOWN = 5
ANSWER_LIMIT = 400
"""Characters of one answer."""
NAME_LIMIT = 200
SENTENCE_LIMIT = 1_000

_SIGNS: dict[Status | None, tuple[str, Style | None]] = {
    Status.PASS: ("✓", "green"),
    Status.BREACH: ("✗", "red"),
    Status.MISSING: ("✗", "red"),
    Status.DRIFT: ("~", "yellow"),
    Status.INCONCLUSIVE: ("?", "yellow"),
    Status.INFO: ("·", None),
    None: ("·", None),
}


def render(report: Report, *, width: int = 80, color: bool = False, unicode: bool = True) -> str:
    """The report as lines that end in a line feed, at most `width` columns where words allow.

    color: with ANSI colours; words and signs say the same without them. unicode: False gives pure ASCII.
    """
    pen = Pen(width=width, color=color, unicode=unicode)
    lines = [
        *_verdict(report, pen),
        *_categories(report, pen),
        *_limits(report, pen),
        *alterations.as_lines(report.verdict, pen),
        *_flips(report.flips, pen),
        *_failures(report, pen),
        *_case_lists(report, pen),
        *_notes(report, pen),
        *_closing(report, pen),
    ]
    return "\n".join(lines) + "\n"


def _verdict(report: Report, pen: Pen) -> list[str]:
    verdict = report.verdict
    style: Style = "green" if verdict.verdict is VerdictName.PASS else "yellow" if let_through(verdict) else "red"
    lines = pen.headed(f"{title(verdict)}:", _sentence(verdict.reason), style, indent="  ")
    compared = baseline_line(verdict)
    return [*lines, *pen.paragraph(_sentence(compared), indent="  ")] if compared else lines


def _categories(report: Report, pen: Pen) -> list[str]:
    rows = category_rows(report.verdict)
    if not rows:
        return []
    headers = ("category", "cases", "before", "after", "points", "95 % interval", "status")
    table = pen.table(headers, (_category(row) for row in rows))
    sentences = [
        line for text in grave_sentences(report.verdict) for line in pen.paragraph(_sentence(text), indent="  ")
    ]
    undecided = ["", *pen.paragraph(UNDECIDED)] if says_nothing_on_quality(report.verdict) else []
    return [*undecided, "", *table, *([""] if sentences else []), *sentences]


def _category(row: CategoryRow) -> list[Cell | str]:
    status = _status(row.status)
    return [
        Cell(
            text=EVERY_CASE_NAME if row.name == EVERY_CASE else plain(row.name, limit=NAME_LIMIT) or EMPTY,
            style=status.style if row.fails else None,
        ),
        f"{row.cases:,}",
        percent(row.before),
        percent(row.after),
        Cell(text=points(row.delta), style=status.style if row.fails else None),
        interval(row.ci),
        status,
    ]


def _status(status: Status | None) -> Cell:
    """A status as sign and word, coloured."""
    sign, style = _SIGNS[status]
    return Cell(text=f"{sign} {STATUS_WORDS[status]}", style=style)


def _limits(report: Report, pen: Pen) -> list[str]:
    findings = told_limits(report.verdict)
    if not findings:
        return []
    return ["", *pen.table(("limit", "before", "now", "allowed", "status"), (_limit(finding) for finding in findings))]


def _limit(finding: Finding) -> list[Cell | str]:
    return [
        metric_name(finding.rule)
        + ("" if finding.category == EVERY_CASE else f" of {plain(finding.category, limit=NAME_LIMIT)}"),
        measure(finding.rule, finding.before),
        measure(finding.rule, finding.after),
        measure(finding.rule, finding.limit),
        _status(gating_status(finding)),
    ]


def _flips(flips: Sequence[Flip], pen: Pen) -> list[str]:
    if not flips:
        return []
    regressed = sum(flip.kind == "regressed" for flip in flips)
    lines = pen.heading(
        f"{count(len(flips), 'case')} flipped: {regressed:,} regressed, {len(flips) - regressed:,} improved"
    )
    for flip in flips[:FLIPS_SHOWN]:
        lines += _flip(flip, pen)
    if all(flip.output_before is None and flip.output_after is None for flip in flips):
        lines.append("The answers were not recorded.")
    if len(flips) > FLIPS_SHOWN:
        lines.append(pen.text(f"… and {len(flips) - FLIPS_SHOWN:,} more: the JSON report lists them all"))
    return lines


def _flip(flip: Flip, pen: Pen) -> list[str]:
    """One flip with both answers."""
    style: Style = "red" if flip.kind == "regressed" else "green"
    sign = "✗" if flip.kind == "regressed" else "✓"
    facts = [", ".join(flip.categories), f"{percent(flip.before)} → {percent(flip.after)}"]
    if flip.source and flip.source.file:
        facts.append(str(flip.source))
    name = f"{sign} {plain(flip.case_id, limit=NAME_LIMIT) or EMPTY}"
    lines = pen.headed(
        name, f"({', '.join(plain(fact, limit=NAME_LIMIT) for fact in facts if fact)})", style, indent=" " * 4
    )
    for label, text in (
        ("asked", flip.input),
        ("expected", flip.expected),
        ("before", flip.output_before),
        ("now", flip.output_after),
        ("because", flip.reason),
    ):
        if text is not None:
            shown = pen.text(text, ANSWER_LIMIT) or EMPTY
            lines += pen.paragraph(shown, indent=" " * 12, first=f"  {label:<10}")
    return lines


def _failures(report: Report, pen: Pen) -> list[str]:
    groups = cause_groups(report.failures)
    if not groups:
        return []
    total = sum(group.count for group in groups)
    lines = pen.heading(f"{count(total, 'result')} without a score (errors, not failures)")
    for group in groups[:CAUSES_SHOWN]:
        text = f"{group.stage}: {plain(group.cause, limit=ANSWER_LIMIT)} ({ids(group.case_ids)})"
        lines += pen.paragraph(text, indent=" " * 8, first=f"{group.count:>6,}  ")
    if len(groups) > CAUSES_SHOWN:
        others = sum(group.count for group in groups[CAUSES_SHOWN:])
        lines.append(f"{others:>6,}  of {count(len(groups) - CAUSES_SHOWN, 'other cause')}")
    return lines


def _case_lists(report: Report, pen: Pen) -> list[str]:
    lines: list[str] = []
    for name, meaning in CASE_LISTS:
        listed: tuple[str, ...] = getattr(report.verdict.cases, name)
        if listed:
            lines += pen.paragraph(f"{count(len(listed), 'case')} {name} ({meaning}): {ids(listed)}", indent="  ")
    return ["", *lines] if lines else []


def _notes(report: Report, pen: Pen) -> list[str]:
    lines = [line for note in report.verdict.notes for line in pen.paragraph(_sentence(note), indent="  ", first="- ")]
    return ["", *lines] if lines else []


def _closing(report: Report, pen: Pen) -> list[str]:
    verdict = report.verdict
    judged = run_line(verdict)
    lines = [""]
    if judged:
        where = f", recorded in {report.store}" if report.store else ""
        lines += pen.paragraph(f"Judged: {judged}{where}", indent="  ")
    lines += pen.paragraph(f"Used: {usage_line(verdict)}", indent="  ")
    if report.next_step:
        lines += pen.paragraph(f"Next: {_sentence(report.next_step)}", indent="  ")
    # Commands are there to be copied: they are neither wrapped nor shortened.
    lines += [("Again: " if number == 0 else " " * 7) + pen.text(line) for number, line in enumerate(report.reproduce)]
    return lines


def _sentence(text: str) -> str:
    return plain(text, limit=SENTENCE_LIMIT)


def ids(case_ids: Iterable[str]) -> str:
    """The first few ids, the rest counted."""
    every = sorted(case_ids, key=natural)
    shown = ", ".join(plain(case_id, limit=NAME_LIMIT) or EMPTY for case_id in every[:IDS_SHOWN])
    return shown if len(every) <= IDS_SHOWN else f"{shown} and {len(every) - IDS_SHOWN:,} more"
