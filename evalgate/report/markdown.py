"""A report as GitHub Markdown, for the comment on a pull request and the job summary. Decides nothing.

It fits a budget by leaving out rows and parts in a fixed order (`room.LEVELS`), and says how many: text is never cut
inside a table. The verdict, its reason, and the way to the job stay. What others wrote passes through `escape`; what a
model wrote is left out unless the report asks for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html import escape

from evalgate.records import EVERY_CASE, Finding, Status, VerdictName, short
from evalgate.report import alterations, markup
from evalgate.report.changed import has_changed
from evalgate.report.escape import cell, code, fence, prose
from evalgate.report.model import (
    CategoryRow,
    CauseGroup,
    Flip,
    Report,
    category_rows,
    cause_groups,
    gating_status,
    grave_sentences,
    natural,
    told_limits,
)
from evalgate.report.numbers import count, interval, measure, metric_name, money, percent, points
from evalgate.report.pages import Passage, passage
from evalgate.report.phrases import (
    CASE_LISTS,
    EVERY_CASE_NAME,
    NOTHING_CHANGED,
    STATUS_WORDS,
    UNDECIDED,
    baseline_facts,
    baseline_line,
    run_line,
    says_nothing_on_quality,
    title,
    usage_line,
)
from evalgate.report.room import BUDGET, LEVELS, SUMMARY_BUDGET, SUMMARY_LEVELS, Room

NAME_LIMIT = 120
SENTENCE_LIMIT = 800
CAUSE_LIMIT = 300
COMMAND_LIMIT = 500
"""A longer command is left out: half a command is none."""

_SIGNS: dict[Status | None, str] = {
    Status.PASS: "✅",
    Status.BREACH: "❌",
    Status.MISSING: "❌",
    Status.DRIFT: "🔶",
    Status.INCONCLUSIVE: "⚪",
    Status.INFO: "▫️",
    None: "▫️",
}


def render(report: Report, *, budget: int = BUDGET) -> str:
    """The report as Markdown of at most `budget` bytes in UTF-8, the verdict first; one line where nothing has changed.

    A budget below what the verdict itself needs (some 3,000 bytes, more for hostile names) is exceeded by that much.
    """
    if has_changed(report.verdict):
        return _fitting(report, LEVELS, budget)
    line = _one_line(report)
    rooms = (replace(room, open=room.passing) for room in LEVELS)
    folded = (markup.fold(line, "\n\n".join(_details(report, room))) + "\n" for room in rooms)
    return next((text for text in folded if len(text.encode()) <= budget), f"{line}\n")


def render_summary(report: Report, *, budget: int = SUMMARY_BUDGET) -> str:
    """The same for a job's summary: as many rows as fit its larger budget, and open even where nothing has changed."""
    return _fitting(report, (*SUMMARY_LEVELS, *LEVELS), budget)


def _fitting(report: Report, levels: Sequence[Room], budget: int) -> str:
    text = ""
    for room in levels:
        text = markup.page([_alert(report), *_details(report, room)])
        if len(text.encode()) <= budget:
            return text
    shortest = markup.page([_alert(report), alterations.as_markdown(report.verdict, 0, 0), _job(report)])
    return shortest if len(shortest.encode()) < len(text.encode()) else text


def _details(report: Report, room: Room) -> list[str]:
    """Everything below the verdict that has something to say."""
    parts = (
        _baseline(report),
        _categories(report, room),
        _sentences(report, room),
        _limits(report, room),
        alterations.as_markdown(report.verdict, room.altered, room.listed),
        _flips(report, room),
        _failures(report, room),
        _case_lists(report, room),
        _notes(report, room),
        _reproduce(report, room),
        _footer(report),
    )
    return [part for part in parts if part]


def _alert(report: Report) -> str:
    verdict = report.verdict
    is_good = verdict.verdict is VerdictName.PASS and not any(change.weakens for change in verdict.changes)
    kind = "CAUTION" if verdict.verdict is VerdictName.FAIL else "TIP" if is_good else "WARNING"
    suite = f" · {cell(verdict.suite, limit=NAME_LIMIT)}" if verdict.suite else ""
    lines = [f"[!{kind}]", f"**{cell(title(verdict))}**{suite}: {prose(verdict.reason, limit=SENTENCE_LIMIT)}"]
    if report.next_step:
        lines += ["", f"**Next:** {prose(report.next_step, limit=SENTENCE_LIMIT)}"]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _one_line(report: Report) -> str:
    """What there is to say where nothing has changed, as HTML: Markdown is not read inside a summary."""
    verdict = report.verdict
    suite = f" · {cell(verdict.suite, limit=NAME_LIMIT)}" if verdict.suite else ""
    notes = count(len(verdict.notes), "note") if verdict.notes else ""
    cost = f"cost {money(verdict.usage.cost_usd)}"
    facts = (NOTHING_CHANGED, baseline_facts(verdict), cost, notes)
    told = [prose(verdict.reason, limit=SENTENCE_LIMIT), *(cell(fact, limit=SENTENCE_LIMIT) for fact in facts if fact)]
    return f"✅ <b>{cell(title(verdict))}</b>{suite}: {' · '.join([*told, *([_job(report)] if report.job else [])])}"


def _job(report: Report) -> str:
    """The way back to the job, and to the commit that it was about; empty outside CI."""
    if report.job is None:
        return ""
    head = cell(short(report.job.head), limit=NAME_LIMIT)
    return f'<a href="{escape(report.job.url)}">whole report</a> for {head}'


def _baseline(report: Report) -> str:
    line = baseline_line(report.verdict)
    return prose(line, limit=SENTENCE_LIMIT) if line else ""


def _categories(report: Report, room: Room) -> str:
    rows = category_rows(report.verdict)
    if not rows:
        return ""
    named = [row for row in rows if row.name != EVERY_CASE]
    loud = [row for row in named if _is_loud(row)]
    quiet = [row for row in named if not _is_loud(row)]
    told = loud[: min(room.loud, room.failing)]
    silent = [*loud[len(told) : room.failing], *quiet[: room.passing]]
    left_out = len(named) - len(told) - len(silent)
    is_short = len(silent) <= room.open
    shown = [*told, *(silent if is_short else ()), *rows[len(named) :]]
    undecided = UNDECIDED if says_nothing_on_quality(report.verdict) else ""
    rest = _rest(left_out, "category", "categories") if left_out > 0 else ""
    fold = "" if is_short else markup.fold(_folded_heading([*loud[len(told) :], *quiet]), _category_table(silent))
    return "\n\n".join(part for part in (undecided, _category_table(shown) if shown else "", fold, rest) if part)


def _is_loud(row: CategoryRow) -> bool:
    return row.fails or row.status is Status.DRIFT


def _category_table(rows: Sequence[CategoryRow]) -> str:
    headers = ("category", "status", "before", "after", "Δ points", "95 % interval", "cases")
    return markup.table([_solid(header) for header in headers], map(_category, rows), right=(2, 3, 4, 5, 6))


def _folded_heading(rows: Sequence[CategoryRow]) -> str:
    """`8 categories: 7 pass, 1 inconclusive`."""
    by_status = Counter(STATUS_WORDS[row.status] for row in rows)
    told = ", ".join(f"{number:,} {word}" for word, number in by_status.most_common())
    return f"{count(len(rows), 'category', 'categories')}: {told}"


def _category(row: CategoryRow) -> tuple[str, ...]:
    name = cell(EVERY_CASE_NAME) if row.name == EVERY_CASE else code(row.name, limit=NAME_LIMIT)
    numbers = (percent(row.before), percent(row.after), points(row.delta), interval(row.ci), f"{row.cases:,}")
    first, *others = (_strong(text) if row.fails else text for text in (name, *map(_solid, numbers)))
    return first, _status(row.status), *others


def _strong(text: str) -> str:
    return f"**{text}**"


def _solid(text: str) -> str:
    """A number with its unit in one piece: where a phone is narrow, tables are pushed sideways and not broken up."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _status(status: Status | None) -> str:
    """A status as sign and word; the word alone tells."""
    return _solid(f"{_SIGNS[status]} {STATUS_WORDS[status]}")


def _sentences(report: Report, room: Room) -> str:
    sentences = grave_sentences(report.verdict)
    shown = [prose(sentence, limit=SENTENCE_LIMIT) for sentence in sentences[: room.sentences]]
    made = _with_rest(markup.bullets(shown), len(sentences) - len(shown), "finding")
    return made if len(shown) <= room.told else markup.fold(count(len(sentences), "finding"), made)


def _limits(report: Report, room: Room) -> str:
    findings = told_limits(report.verdict)
    if not findings:
        return ""
    made = markup.table(
        ("limit", "status", "before", "now", "allowed"), map(_limit, findings[: room.limits]), right=(2, 3, 4)
    )
    return _with_rest(made, len(findings) - room.limits, "limit") if room.limits else _rest(len(findings), "limit")


def _limit(finding: Finding) -> tuple[str, ...]:
    of = "" if finding.category == EVERY_CASE else f" of {code(finding.category, limit=NAME_LIMIT)}"
    values = (measure(finding.rule, value) for value in (finding.before, finding.after, finding.limit))
    name = _solid(cell(metric_name(finding.rule), limit=NAME_LIMIT))
    return name + of, _status(gating_status(finding)), *map(_solid, values)


def _flips(report: Report, room: Room) -> str:
    if not report.flips:
        return ""
    regressed = [flip for flip in report.flips if flip.kind == "regressed"]
    improved = [flip for flip in report.flips if flip.kind == "improved"]
    heading = f"{count(len(report.flips), 'case')} flipped: {len(regressed):,} regressed, {len(improved):,} improved"
    shown = [*regressed[: room.regressed], *improved[: room.improved]]
    if not shown:
        return f"{heading}. {_rest(len(report.flips), 'flip')}"
    body = [_with_rest(_flip_table(shown), len(report.flips) - len(shown), "flip")]
    if report.show_outputs:
        told = shown[: room.answers]
        body += [_answers(flip) for flip in told]
        body += [_rest(len(shown) - len(told), "answer") if len(told) < len(shown) else ""]
    return markup.fold(heading, "\n\n".join(part for part in body if part))


def _flip_table(flips: Sequence[Flip]) -> str:
    return markup.table(("case", "change", "before", "after", "categories", "where"), map(_flip, flips), right=(2, 3))


def _flip(flip: Flip) -> tuple[str, ...]:
    place = code(str(flip.source), limit=NAME_LIMIT) if flip.source and flip.source.file else ""
    names = code(", ".join(flip.categories), limit=NAME_LIMIT) if flip.categories else ""
    sign = _solid("🔻 regressed" if flip.kind == "regressed" else "🔺 improved")
    before, after = _solid(percent(flip.before)), _solid(percent(flip.after))
    return code(flip.case_id, limit=NAME_LIMIT), sign, before, after, names, place


def _answers(flip: Flip) -> str:
    texts = (
        ("asked", flip.input),
        ("expected", flip.expected),
        ("before", flip.output_before),
        ("now", flip.output_after),
        ("because", flip.reason),
    )
    return passage(Passage(name=flip.case_id, facts="", texts=texts))


def _failures(report: Report, room: Room) -> str:
    groups = cause_groups(report.failures)
    if not groups:
        return ""
    total = sum(group.count for group in groups)
    heading = f"**{count(total, 'result')} without a score** (errors, not failures)"
    if not room.causes:
        return heading
    made = markup.table(("results", "stage", "cause", "cases"), map(_cause, groups[: room.causes]), right=(0,))
    return f"{heading}\n\n{_with_rest(made, len(groups) - room.causes, 'cause')}"


def _cause(group: CauseGroup) -> tuple[str, ...]:
    return f"{group.count:,}", cell(group.stage), cell(group.cause, limit=CAUSE_LIMIT), ids(group.case_ids, 3)


def _case_lists(report: Report, room: Room) -> str:
    lines: list[str] = []
    counts: list[str] = []
    for name, meaning in CASE_LISTS:
        listed: tuple[str, ...] = getattr(report.verdict.cases, name)
        if listed:
            counts.append(f"{len(listed):,} {name}")
            named = f": {ids(listed, room.listed)}" if room.listed else ""
            lines.append(f"**{count(len(listed), 'case')} {name}** ({meaning}){named}")
    if not lines:
        return ""
    return markup.fold(f"Cases: {', '.join(counts)}", markup.bullets(lines))


def _notes(report: Report, room: Room) -> str:
    notes = report.verdict.notes
    shown = [prose(note, limit=SENTENCE_LIMIT) for note in notes[: room.notes]]
    return _with_rest(markup.bullets(shown), len(notes) - len(shown), "note")


def _reproduce(report: Report, room: Room) -> str:
    commands = [line for line in report.reproduce[: room.commands] if len(line) <= COMMAND_LIMIT]
    return f"To see it again:\n\n{fence(chr(10).join(commands), language='sh')}" if commands else ""


def _footer(report: Report) -> str:
    verdict = report.verdict
    parts = [run_line(verdict), usage_line(verdict), f"alpha {verdict.alpha:g}"]
    told = cell(" · ".join(part for part in parts if part), limit=SENTENCE_LIMIT)
    return f"<sub>{' · '.join(part for part in (_job(report), told) if part)}</sub>"


def ids(case_ids: Sequence[str], shown: int) -> str:
    """The first ids as code, the rest counted."""
    text = ", ".join(code(case_id, limit=NAME_LIMIT) for case_id in sorted(case_ids, key=natural)[:shown])
    return text if len(case_ids) <= shown else f"{text} and {len(case_ids) - shown:,} more"


def _with_rest(text: str, left_out: int, noun: str, plural: str | None = None) -> str:
    return f"{text}\n\n{_rest(left_out, noun, plural)}".lstrip() if left_out > 0 else text


def _rest(left_out: int, noun: str, plural: str | None = None) -> str:
    return f"… {count(left_out, f'more {noun}', f'more {plural}' if plural else None)} in the JSON report."
