"""`evalgate history`."""

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


def history(
    since: Annotated[str | None, typer.Option(metavar="AGE", help="Only runs younger than this: 30d, 12h, 8w.")] = None,
    suite: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this suite.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="At most the newest N.")] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: PageWriteOption = None,
) -> int:
    """What ran, when, on which commit, with which verdict; newest first."""
    import os
    import sys
    from datetime import UTC, datetime

    from evalgate.pipeline.suite import default_store, open_history
    from evalgate.report import sides

    start = since_option(since, datetime.now(UTC))
    with open_history(store or default_store(config, os.environ), create=False) as found:
        rows = found.list_runs(suite=suite, since=start, limit=limit)
        drifts = found.drifts(suite=suite, since=start)
    pen = console.pen(sys.stdout)
    console.deliver_page(lambda kind: sides.history(rows, drifts, format=kind, pen=pen), format, output, write)
    return 0
