"""Where reports and talk go: stdout, stderr, files; and what the terminal can show."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TextIO

from evalgate.cli.options import Format, Target, check_places, targets
from evalgate.errors import Fault, InputError
from evalgate.harmless import in_actions, log_safe

if TYPE_CHECKING:
    from evalgate.records import Json, Run, Verdict
    from evalgate.report.model import Report
    from evalgate.report.pages import Format as PageFormat
    from evalgate.report.pages import Part
    from evalgate.report.pen import Pen


WIDTH = 100
"""Columns of a report that goes to a file, a pipe or a log."""


def plain(text: str) -> str:
    """A line for stderr: what users or models wrote in it cannot speak to the terminal, and no secret stands in it."""
    from evalgate.report.escape import plain as escape

    return escape(discreet(text))


def discreet(text: str) -> str:
    """The text without what the environment calls a secret, and without what looks like a token."""
    from evalgate.masking import Masker, secrets_in

    return Masker(secrets_in(os.environ))(text)


def pen(stream: TextIO) -> Pen:
    """How to draw on this stream: its width, colours only on a terminal that wants them, ASCII where it must be."""
    from evalgate.report.pen import Pen

    is_terminal = stream.isatty()
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return Pen(
        width=shutil.get_terminal_size((WIDTH, 24)).columns if is_terminal else WIDTH,
        color=is_terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb",
        unicode=encoding.startswith("utf"),
    )


def render(report: Report, run: Run, format: str, stream: TextIO) -> str:
    """The report in one format: text, json, markdown or junit."""
    if format == "text":
        from evalgate.report import terminal

        look = pen(stream)
        return terminal.render(report, width=look.width, color=look.color, unicode=look.unicode)
    if format == "json":
        from evalgate.report import machine

        return machine.render(report)
    if format in ("markdown", "summary"):
        from evalgate.report import markdown

        return markdown.render(report) if format == "markdown" else markdown.render_summary(report)
    from evalgate.report import junit

    return junit.render(report, run)


def deliver(
    report: Report,
    run: Run,
    format: Format,
    output: Path | None,
    also: Sequence[Target],
    *,
    outputs: Literal["hashes", "full"] = "hashes",
) -> None:
    """Prints the report or writes it to a file, and writes the other files that were asked for.

    outputs: what the history's branch takes of texts.
    """
    write_also(also, report, run, lambda kind: render(report, run, kind, sys.stdout), outputs=outputs)
    put(render(report, run, format.value, sys.stdout), output)
    if output is not None or format is not Format.TEXT:
        say(f"{report.verdict.verdict.value}: {report.verdict.reason}")


def deliver_page(
    draw: Callable[[PageFormat], str], format: Format, output: Path | None, written: Sequence[str] | None
) -> None:
    """Prints a page or writes it to a file, and writes it in the other formats that were asked for.

    draw: the page by format (text, json, markdown). Raises InputError for a format that the page does not have.
    """
    also = targets(written)
    check_places([output, *(item.file for item in also)])
    kinds: Mapping[str, PageFormat] = {"json": "json", "markdown": "markdown"}
    if any(item.format not in kinds for item in also):
        raise InputError(Fault(where="--write", what="this command has no such page", hint="Write json or markdown."))
    for item in also:
        write(item.file, draw(kinds[item.format]))
    put(draw(format.value), output)


def drawn(kind: PageFormat, parts: Sequence[Part], document: Json) -> str:
    """A page in this format: its parts as text or Markdown, or the document as JSON."""
    from evalgate.report.escape import json_document
    from evalgate.report.pages import as_markdown, as_text

    if kind == "json":
        return json_document(document)
    return as_markdown(parts) if kind == "markdown" else as_text(parts, pen(sys.stdout))


def write_also(
    also: Sequence[Target],
    report: Report,
    run: Run,
    draw: Callable[[str], str],
    *,
    outputs: Literal["hashes", "full"] = "hashes",
) -> None:
    """Writes the files that were asked for beside the report: the run itself for other jobs, or what `draw` gives."""
    for item in also:
        if item.format in ("run", "history"):
            write_run(item.file, run, report.store, outputs="full" if item.format == "run" else outputs)
        elif item.format == "result":
            write_result(item.file, report.verdict, run)
        else:
            write(item.file, draw(item.format))


def write_run(file: Path, run: Run, store: str | None, *, outputs: Literal["hashes", "full"]) -> None:
    """The run's own file, with its verdicts if it is kept in a store. Says so where nothing was run. Raises
    StoreError."""
    from evalgate.pipeline.syncing import write_file

    if run.id:
        write_file(file, run, store, outputs=outputs)
    else:
        say(f"{file} was not written: nothing was run")


def write_result(file: Path, verdict: Verdict, run: Run) -> None:
    """What the job that comments on a fork's pull request decides from, be there a run or not. Raises StoreError."""
    from evalgate.history import result_file
    from evalgate.records import VerdictName

    if run.id:
        result_file.write(file, run.suite, run)
        return
    why: dict[VerdictName, result_file.Unrun] = {
        VerdictName.NOT_EVALUATED: "no_credentials",
        VerdictName.INCONCLUSIVE: "nothing_changed",
    }
    result_file.write(file, run.suite, None, unrun=why.get(verdict.verdict, "error"))


def show(report: Report, run: Run) -> None:
    """The report as text on stdout."""
    deliver(report, run, Format.TEXT, None, ())


def put(text: str, output: Path | None) -> None:
    """Text to stdout, or to a file. In GitHub Actions a file, too, can be printed to the log without effect."""
    if output is not None:
        write(output, log_safe(text) if in_actions(os.environ) else text)
        return
    text = discreet(text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def put_json(value: Json, output: Path | None) -> None:
    """A value as a JSON document to stdout, or to a file."""
    from evalgate.report.escape import json_document

    put(json_document(value), output)


def write(file: Path, text: str) -> None:
    """A whole file or none: an interrupted write leaves what was there. Raises InputError."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(discreet(text), encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(Fault(where=str(file), what=f"cannot be written: {error.strerror}")) from error


def say(text: str) -> None:
    """One line of talk on stderr."""
    sys.stderr.write(plain(text) + "\n")
    sys.stderr.flush()
