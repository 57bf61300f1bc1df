"""`evalgate compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import ConfigOption, Format, FormatOption, OutputOption, PageWriteOption, StoreOption


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="The run before: id, unique prefix, or `latest`.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The run after.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: PageWriteOption = None,
) -> int:
    """Two runs side by side: categories, and what flipped with both answers. Decides nothing."""
    import os
    import sys

    from evalgate.pipeline.suite import default_store, open_history
    from evalgate.report import sides

    with open_history(store or default_store(config, os.environ), create=False) as history:
        before, after = history.read_run(a), history.read_run(b)
    pen = console.pen(sys.stdout)
    console.deliver_page(lambda kind: sides.compare(before, after, format=kind, pen=pen), format, output, write)
    return 0
