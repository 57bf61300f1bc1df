"""What a change alters about how it is judged, as part of a report. Decides nothing; escapes everything.

However little room there is, that something weakens the rules, and how much, stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evalgate.records import Effect, Json, RuleChange, Verdict, short
from evalgate.report import markup
from evalgate.report.escape import cell, code, plain
from evalgate.report.numbers import UNKNOWN, count
from evalgate.report.pen import Pen

OPEN = 8
"""More rows than this are folded."""

TEXT_ROWS = 10
IDS_SHOWN = 5
NAME_LIMIT = 120
SENTENCE_LIMIT = 300

_EFFECTS = {Effect.WEAKENS: "⚠ weakens", Effect.STRENGTHENS: "strengthens", Effect.NEITHER: "other"}


def heading(verdict: Verdict) -> str:
    """How many changes there are of each kind, as text without a full stop; empty where there is none."""
    if not verdict.changes:
        return ""
    numbers = {effect: sum(change.effect is effect for change in verdict.changes) for effect in Effect}
    facts = [
        f"⚠ {count(numbers[Effect.WEAKENS], 'change weakens', 'changes weaken')} it" if numbers[Effect.WEAKENS] else "",
        f"{numbers[Effect.STRENGTHENS]:,} strengthen{'s' * (numbers[Effect.STRENGTHENS] == 1)} it"
        if numbers[Effect.STRENGTHENS]
        else "",
        count(numbers[Effect.NEITHER], "other") if numbers[Effect.NEITHER] else "",
    ]
    return f"This change also alters how it is judged: {', '.join(fact for fact in facts if fact)}"


def _decided_by(verdict: Verdict, escaped: Callable[[str], str]) -> str:
    """Whose rules decided, where they are not the change's own."""
    if verdict.rules_commit is None:
        return ""
    commit = escaped(short(verdict.rules_commit))
    return f"The rules and exceptions of the base (commit {commit}) decided, not those of this change."


def as_markdown(verdict: Verdict, rows: int, ids: int) -> str:
    """The part as Markdown with at most so many rows, and so many ids of cases in each."""
    head, by = cell(heading(verdict)), _decided_by(verdict, lambda commit: code(commit, limit=NAME_LIMIT))
    if not head:
        return by
    shown = verdict.changes[:rows]
    rest = len(verdict.changes) - len(shown)
    more = f"… {count(rest, 'more change')} in the JSON report." if rest else ""
    body = markup.table(("", "what", "before", "after"), (_row(change, ids) for change in shown)) if shown else ""
    if len(shown) > OPEN:
        body = markup.fold("The changes", body)
    return "\n\n".join(part for part in (f"**{head}**.", by, body, more) if part)


def _row(change: RuleChange, ids: int) -> tuple[str, ...]:
    named = ", ".join(code(case_id, limit=NAME_LIMIT) for case_id in change.cases[:ids])
    rest = len(change.cases) - ids
    if named:
        named = f": {named}" + (f" and {rest:,} more" if rest > 0 else "")
    what = cell(change.sentence, limit=SENTENCE_LIMIT) + named
    effect = _EFFECTS[change.effect].replace(" ", "\N{NO-BREAK SPACE}")
    return effect, what, _value(change.before), _value(change.after)


def _value(value: Json) -> str:
    return UNKNOWN if value is None else code(_as_text(value), limit=NAME_LIMIT)


def _as_text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def as_lines(verdict: Verdict, pen: Pen) -> list[str]:
    """The part as lines for a terminal or a log."""
    head, by = heading(verdict), _decided_by(verdict, lambda commit: plain(commit, limit=NAME_LIMIT))
    lines = ["", *pen.paragraph(head)] if head else []
    for change in verdict.changes[:TEXT_ROWS]:
        lines += pen.paragraph(_told(change), indent=" " * 4, first="  ")
    rest = len(verdict.changes) - TEXT_ROWS
    if rest > 0:
        lines.append(pen.text(f"… and {count(rest, 'more change')}: the JSON report lists them all"))
    return [*lines, *([""] if by and not head else []), *(pen.paragraph(by, indent="  ") if by else [])]


def _told(change: RuleChange) -> str:
    text = f"{_EFFECTS[change.effect]}: {plain(change.sentence, limit=SENTENCE_LIMIT)}"
    if change.before is not None or change.after is not None:
        text += f" ({_plain(change.before)} → {_plain(change.after)})"
    return text + (f": {_ids(change.cases)}" if change.cases else "")


def _plain(value: Json) -> str:
    return "none" if value is None else plain(_as_text(value), limit=NAME_LIMIT)


def _ids(cases: Sequence[str]) -> str:
    named = ", ".join(plain(case_id, limit=NAME_LIMIT) for case_id in cases[:IDS_SHOWN])
    return named if len(cases) <= IDS_SHOWN else f"{named} and {len(cases) - IDS_SHOWN:,} more"
