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
    PageWriteOption,
    StoreOption,
    since_option,
)


def trend(
    since: Annotated[str, typer.Option(metavar="AGE", help="How far to look back: 90d, 12w.")] = "90d",
    suite: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this suite. Repeatable.")] = None,
    branch: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this branch.")] = None,
    issue: Annotated[
        bool, typer.Option("--issue", help="In a job of GitHub Actions: keep it in one issue of the repository, too.")
    ] = False,
    issue_label: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A label for that issue when it is made. Repeatable.")
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: PageWriteOption = None,
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
    if issue:
        from evalgate.pipeline.weekly import keep_issue

        kept = keep_issue(
            found,
            suites=suite or (),
            config=config,
            since=start,
            now=now,
            environ=os.environ,
            labels=issue_label or (),
        )
        console.say(f"issue {kept.done.value}: {kept.url}" + (f" ({kept.why})" if kept.why else ""))
    return 0
