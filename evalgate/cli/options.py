"""The options that every command shares, spelled once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evalgate.errors import Fault, InputError


class Format(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


NEWEST = "newest"
"""What a bare `--resume` stands for."""

WRITABLE = ("json", "junit", "markdown", "run", "history", "result", "summary")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", metavar="FILE", help="Configuration. Default: evalgate.yaml.")
]
StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="History store, e.g. sqlite:///path/history.db.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="How the report is printed.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the report there instead of stdout.")
]
WriteOption = Annotated[
    list[str] | None,
    typer.Option(
        "--write",
        metavar="FORMAT=FILE",
        help="Write it there too: json, junit, markdown, run, history, result, summary. Repeatable.",
    ),
]
PageWriteOption = Annotated[
    list[str] | None,
    typer.Option("--write", metavar="FORMAT=FILE", help="Write it there too: json, markdown. Repeatable."),
]
"""Of commands that draw a page of their own, not the report on a run."""
BaselineOption = Annotated[
    list[str] | None,
    typer.Option("--baseline", metavar="RUN[,RUN…]", help="Compare with these runs instead of the nearest."),
]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A file to write, and in which format."""

    format: str
    file: Path


def targets(written: Sequence[str] | None) -> tuple[Target, ...]:
    """The `--write` options, checked. Raises InputError before anything has run."""
    found, faults = [], []
    for text in written or ():
        name, sign, file = text.partition("=")
        if name == "html" and sign:
            faults.append(Fault(where="--write", what="html is not yet built", hint=f"There is {', '.join(WRITABLE)}."))
            continue
        if not sign or not file or name not in WRITABLE:
            hint = f"Write one of {', '.join(WRITABLE)}, an equals sign and a file: json=verdict.json."
            faults.append(Fault(where="--write", what=f"{text!r} is no FORMAT=FILE", hint=hint))
            continue
        found.append(Target(format=name, file=Path(file)))
    if faults:
        raise InputError(faults)
    return tuple(found)


def check_places(files: Sequence[Path | None]) -> None:
    """Raises InputError for a file that could not be written, before calls are paid for."""
    faults = []
    for file in files:
        if file is None:
            continue
        if file.is_dir():
            faults.append(Fault(where=str(file), what="is a folder", hint="Name a file."))
        elif not file.absolute().parent.is_dir():
            hint = "Create it first."
            faults.append(Fault(where=str(file), what=f"the folder {file.parent} does not exist", hint=hint))
    if faults:
        raise InputError(faults)


def runs(written: Sequence[str] | None) -> tuple[str, ...]:
    """The runs named by `--baseline`, repeated or separated by commas. Raises InputError where it names none."""
    found = tuple(ref.strip() for text in written or () for ref in text.split(",") if ref.strip())
    if written and not found:
        hint = "Name a run, or leave it out: then the nearest is chosen."
        raise InputError(Fault(where="--baseline", what="is empty", hint=hint))
    return found


def expiry_option(text: str | None, today: date) -> date | None:
    """The last day that is meant: `2026-12-31`, or `90d`, `12w` from today. Raises InputError, also for a past day."""
    if text is None:
        return None
    hint = "Write the last day on which it holds, 2026-12-31, or how long: 90d, 12w."
    found = re.fullmatch(r"(\d{1,5})([dw])", text.strip())
    try:
        day = today + timedelta(hours=int(found[1]) * _HOURS[found[2]]) if found else date.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise InputError(Fault(where="--expires", what=f"{text!r} is no day", hint=hint)) from error
    if day < today:
        raise InputError(Fault(where="--expires", what=f"{day} is over: today is {today} (UTC)", hint=hint))
    return day


_AGE = re.compile(r"(\d{1,5})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7}


def since_option(text: str | None, now: datetime) -> datetime | None:
    """The moment that lies this long before now: `30d`, `12h`, `8w`. Raises InputError."""
    if text is None:
        return None
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise InputError(Fault(where="--since", what=f"{text!r} is no age", hint="Write 30d, 12h or 8w."))
    return now - timedelta(hours=int(found[1]) * _HOURS[found[2]])
