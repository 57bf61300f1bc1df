"""`evalgate trend`."""

from __future__ import annotations

from typing import Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import (
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    StoreOption,
    WriteOption,
    since_option,
)


def trend(
    since: Annotated[str, typer.Option(metavar="AGE", help="How far to look back: 90d, 12w.")] = "90d",
    suite: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this suite. Repeatable.")] = None,
    branch: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this branch.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: WriteOption = None,
) -> int:
    """The weekly report: the course of every category, what is moving down, latency, cost, age of the baseline."""
    import os
    import sys
    from datetime import UTC, datetime

    from evalgate.pipeline.suite import default_store
    from evalgate.pipeline.trends import trends
    from evalgate.report import trend as drawing

    now = datetime.now(UTC)
    start = since_option(since, now)
    found = trends(store or default_store(config, os.environ), suites=suite or (), branch=branch, since=start, now=now)
    pen = console.pen(sys.stdout)
    console.deliver_page(
        lambda kind: drawing.render(found, since=start, now=now, format=kind, pen=pen), format, output, write
    )
    return 0
