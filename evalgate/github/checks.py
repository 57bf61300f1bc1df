"""A verdict as a check run on the pull request's head, with its cases annotated at their lines. Optional.

It is for reading. What is to be required is the job: a check run that a job's own token makes is filed under whichever
workflow came first for that commit, and stays there when the job is run again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

from evalgate.errors import Fault, InputError
from evalgate.github.actions import Annotation
from evalgate.github.briefs import Ended, JobResult, short_report, unevaluated_report
from evalgate.github.client import GitHub
from evalgate.github.event import Situation
from evalgate.github.verdict_file import VerdictFile, read_text
from evalgate.harmless import visible
from evalgate.records import Json, VerdictName

SCHEMA = "evalgate.annotations/1"
MAX_ANNOTATIONS = 1_000
"""Of one check run: twenty requests."""
_A_REQUEST = 50
"""Annotations that GitHub takes at once."""
_MAX_SUMMARY = 65_535
"""GitHub's limit, counted in bytes."""
_MAX_MESSAGE = 4_000
_MAX_NAME = 100
_LEVELS = {"error": "failure", "warning": "warning", "notice": "notice"}


def write_annotations(file: Path, annotations: Sequence[Annotation]) -> None:
    """Leaves annotations for the job that may make a check run: their places can be found only beside the files."""
    placed = [asdict(note) for note in annotations if note.file is not None and note.line is not None]
    file.write_text(json.dumps({"schema": SCHEMA, "annotations": placed[:MAX_ANNOTATIONS]}), encoding="utf-8")


def read_annotations(file: Path) -> list[Annotation]:
    """The annotations in this file, which a job has written that runs the pull request's code. Raises InputError."""
    try:
        content = json.loads(read_text(file, max_bytes=10_000_000))
    except (ValueError, RecursionError) as fault:
        raise InputError(Fault(where=str(file), what="is not JSON")) from fault
    rows = content.get("annotations") if isinstance(content, dict) and content.get("schema") == SCHEMA else None
    if not isinstance(rows, list) or len(rows) > MAX_ANNOTATIONS:
        raise InputError(Fault(where=str(file), what=f"holds no annotations of schema {SCHEMA}"))
    found = [_annotation(row) for row in rows]
    if None in found:
        what = "holds an annotation without level, text, line, or a path inside the repository"
        raise InputError(Fault(where=str(file), what=what))
    return [note for note in found if note is not None]


def _annotation(row: Json) -> Annotation | None:
    if not isinstance(row, dict):
        return None
    level, line = row.get("level"), row.get("line")
    title, message, file = (str(row.get(name) or "") for name in ("title", "message", "file"))
    if level not in ("error", "warning", "notice") or type(line) is not int or not 0 < line < 10**7:
        return None
    if not all(0 < len(text) <= _MAX_MESSAGE for text in (title, message, file)):
        return None
    path = PurePosixPath(file)
    if path.is_absolute() or ".." in path.parts or not file.isprintable():
        return None
    return Annotation(level=level, title=title, message=message, file=str(path), line=line)


def conclusion(verdict: VerdictFile) -> str:
    """`success` for a pass, `neutral` for what was let through without being proven, else `failure`."""
    if verdict.exit_code:
        return "failure"
    return "success" if verdict.verdict is VerdictName.PASS else "neutral"


def check_verdict(
    github: GitHub,
    verdict: VerdictFile,
    report: str | None,
    *,
    situation: Situation,
    annotations: Sequence[Annotation] = (),
) -> int:
    """Makes the check run `evalgate: SUITE` on the pull request's head; its id.

    report: its Markdown; where it does not fit, the verdict and the link to the job. Raises GitHubError, which names
    the permission that the job needs.
    """
    fits = report is not None and len(report.encode()) <= _MAX_SUMMARY
    summary = report if report is not None and fits else short_report(verdict, situation)
    output = {"title": verdict.verdict.value.replace("_", " ").upper(), "summary": summary}
    name = f"evalgate: {_line(verdict.suite)[:_MAX_NAME]}"
    return _check(github, name, output, conclusion(verdict), situation, annotations)


def check_unevaluated(github: GitHub, ended: Ended, *, situation: Situation) -> int:
    """The same where there is no verdict: never green."""
    output = {"title": "NOT EVALUATED", "summary": unevaluated_report(ended, situation)}
    done = "cancelled" if ended.result is JobResult.CANCELLED else "failure"
    return _check(github, "evalgate", output, "skipped" if ended.result is JobResult.SKIPPED else done, situation, ())


def _check(
    github: GitHub,
    name: str,
    output: dict[str, str],
    conclusion: str,
    situation: Situation,
    annotations: Sequence[Annotation],
) -> int:
    rows = [_row(note) for note in annotations[:MAX_ANNOTATIONS] if note.file is not None and note.line is not None]
    first = {**output, "annotations": rows[:_A_REQUEST]} if rows else output
    check = github.create_check(name, situation.head_sha, first, conclusion=conclusion, url=situation.run_url)
    for start in range(_A_REQUEST, len(rows), _A_REQUEST):
        github.add_to_check(check, {**output, "annotations": rows[start : start + _A_REQUEST]})
    return check


def _row(note: Annotation) -> dict[str, Json]:
    return {
        "path": note.file,
        "start_line": note.line,
        "end_line": note.line,
        "annotation_level": _LEVELS[note.level],
        "title": _line(note.title)[:255],
        "message": _line(note.message)[:_MAX_MESSAGE],
    }


def _line(text: str) -> str:
    """A check run's texts are shown as they are, apart from its summary: only what cannot be seen has to go."""
    return " ".join(visible(text).split()) or "(empty)"
