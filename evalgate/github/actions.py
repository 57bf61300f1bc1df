"""The surface of a GitHub Actions job: its log, its outputs, its summary, its annotations.

The log is a command channel: the runner executes what looks like a workflow command in any line that a step prints.
So text from models and contributors passes `log_safe`, and outputs carry names, numbers and paths only.
"""

from __future__ import annotations

import re
import traceback
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from evalgate.errors import EvalgateError, Fault, InputError
from evalgate.harmless import log_safe

SUMMARY_BYTES = 1_048_576
"""What GitHub accepts as one step's summary; it drops a larger one whole."""
MAX_ANNOTATIONS = 10
"""What GitHub shows of one level for one step."""

_OUTPUT_NAME = re.compile(r"[a-z][a-z0-9-]*")


# ---- outputs ----------------------------------------------------------------------------------------------


def write_outputs(file: Path, outputs: Mapping[str, str]) -> None:
    """Appends a step's outputs to the file that GITHUB_OUTPUT names.

    Values are enums, numbers and paths, on one line. Raises InputError for a value with a line end, a control
    character or half a character: that can only be a path somebody chose.
    """
    lines: list[str] = []
    for name, value in outputs.items():
        if not _OUTPUT_NAME.fullmatch(name):
            raise ValueError(f"not the name of an output: {name!r}")
        if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in value):
            raise InputError(
                Fault(where=name, what=f"{value!r} has a line end or control character", hint="Rename it.")
            )
        end = f"evalgate-{uuid.uuid4().hex}"
        lines += [f"{name}<<{end}", value, end]
    with file.open("a", encoding="utf-8") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


# ---- summary ----------------------------------------------------------------------------------------------


def write_summary(file: Path, markdown: str, *, short: str) -> bool:
    """Appends a report to the step's summary; True where it was `short`, because the whole would be dropped.

    markdown: escaped by whoever wrote it. file: what GITHUB_STEP_SUMMARY names; its content counts towards the limit.
    """
    used = file.stat().st_size if file.exists() else 0
    is_short = used + len(markdown.encode("utf-8")) + 1 > SUMMARY_BYTES
    with file.open("a", encoding="utf-8") as stream:
        stream.write((short if is_short else markdown) + "\n")
    return is_short


# ---- annotations ------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotation:
    """A message that GitHub shows beside the diff, or above the log where it has no file."""

    level: Literal["error", "warning", "notice"]
    title: str
    message: str
    file: str | None = None
    """Relative to the repository's root."""
    line: int | None = None


def annotation_commands(annotations: Iterable[Annotation]) -> list[str]:
    """The workflow commands of the first ten annotations, one a line, ready to print.

    Titles and messages may be anything: what has a meaning to the runner is escaped.
    """
    return [_command(annotation) for annotation in list(annotations)[:MAX_ANNOTATIONS]]


def _command(annotation: Annotation) -> str:
    place = {"file": annotation.file, "line": annotation.line, "title": annotation.title}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in place.items() if value is not None)
    return f"::{annotation.level} {properties}::{_data(annotation.message)}"


def _data(text: str) -> str:
    safe = log_safe(text)
    return safe.replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# ---- the end of a step ------------------------------------------------------------------------------------


def tell_faults(title: str, step: Callable[[], int], log: TextIO) -> int:
    """The step's exit code, with what it raises told in the log. Never 1 unless the step says so itself."""
    try:
        return step()
    except EvalgateError as fault:
        note = Annotation(level="error", title=title, message=str(fault))
        print(annotation_commands([note])[0], file=log, flush=True)
        return fault.exit_code
    except Exception:  # noqa: BLE001 - left to Python, it would end in 1, which says that the gate failed
        print(log_safe(traceback.format_exc()), file=log, flush=True)
        return 70
