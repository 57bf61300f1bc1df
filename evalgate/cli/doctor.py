"""`evalgate doctor`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import ConfigOption, Format, FormatOption, OutputOption, PageWriteOption, StoreOption

if TYPE_CHECKING:
    from evalgate.pipeline.doctor import Check, Examination, State
    from evalgate.records import Json
    from evalgate.report.pages import Item, Part
    from evalgate.report.pen import Style


def doctor(
    call: Annotated[
        bool, typer.Option("--call", help="Also make one real call of the first case; it costs what a call costs.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out whatever needs the network.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: PageWriteOption = None,
) -> int:
    """Is this set-up going to work: machine, configuration, endpoint, repository, history, GitHub, workflows."""
    import os
    import sys
    from datetime import UTC, datetime

    from evalgate import __version__
    from evalgate.pipeline.doctor import Asked, examine
    from evalgate.pipeline.load import DEFAULT_CONFIG

    asked = Asked(
        config=config or DEFAULT_CONFIG,
        store=store,
        now=datetime.now(UTC),
        version=__version__,
        calls=call,
        is_offline=offline,
        environ=os.environ,
    )
    found = examine(asked, tell=_telling(sys.stderr.isatty()))
    console.deliver_page(lambda kind: console.drawn(kind, _parts(found), _as_json(found)), format, output, write)
    return found.exit_code


def _telling(is_terminal: bool) -> Callable[[str], None]:
    """Says on a terminal what is looked at, since a look over the network may take ten seconds."""
    return (lambda subject: console.say(f"looking at {subject} …")) if is_terminal else (lambda _: None)


def _parts(found: Examination) -> list[Part]:
    from evalgate.report.pages import Listing, Sentence

    listings = [
        Listing(name=section.subject, items=tuple(_item(check) for check in section.checks))
        for section in found.sections
        if section.checks
    ]
    return [*listings, Sentence(text=_summary(found), is_heading=True)]


def _item(check: Check) -> Item:
    from evalgate.pipeline.doctor import State
    from evalgate.report.pages import Item

    styles: Mapping[State, Style] = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red", State.SKIPPED: "dim"}
    mark = check.state.value.upper() if check.state is State.FAIL else check.state.value
    return Item(mark=mark, text=f"{check.name}: {check.found}", advice=check.advice, style=styles[check.state])


def _summary(found: Examination) -> str:
    from evalgate.pipeline.doctor import State

    failed, warned = found.count(State.FAIL), found.count(State.WARN)
    if failed:
        return f"{failed} failed, {warned} to look at: mend what failed first."
    return f"Nothing failed, {warned} to look at." if warned else "All is well."


def _as_json(found: Examination) -> Json:
    return {
        "schema": "evalgate.doctor/1",
        "exit_code": found.exit_code,
        "checks": [
            {
                "subject": section.subject,
                "name": check.name,
                "state": check.state.value,
                "found": check.found,
                "advice": check.advice or None,
            }
            for section in found.sections
            for check in section.checks
        ],
    }
