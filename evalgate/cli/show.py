"""`evalgate show`."""

from __future__ import annotations

from typing import Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import ConfigOption, Format, FormatOption, OutputOption, PageWriteOption, StoreOption


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, a unique prefix of it, or `latest`.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: PageWriteOption = None,
) -> int:
    """One run: what it was, its categories, what has no score and why, its lowest cases."""
    import os
    import sys

    from evalgate.pipeline.suite import default_store, open_history
    from evalgate.report import sides

    with open_history(store or default_store(config, os.environ), create=False) as history:
        found = history.read_run(run)
    pen = console.pen(sys.stdout)
    console.deliver_page(lambda kind: sides.show(found, format=kind, pen=pen), format, output, write)
    return 0
