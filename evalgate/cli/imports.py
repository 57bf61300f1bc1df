"""`evalgate import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import ConfigOption, Format, FormatOption, OutputOption, StoreOption


def import_results(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="JSONL files of recorded results.")],
    suite: Annotated[str, typer.Option(metavar="NAME", help="The suite that the runs belong to.")],
    source: Annotated[str, typer.Option("--from", metavar="KIND", help="How the files are written: jsonl.")] = "jsonl",
    commit: Annotated[str | None, typer.Option(metavar="SHA", help="The commit that was tested.")] = None,
    branch: Annotated[str | None, typer.Option(metavar="NAME", help="The branch that was tested.")] = None,
    created: Annotated[str | None, typer.Option(metavar="TIME", help="When it was run. Default: now.")] = None,
    evalset: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The eval set: gives categories, and tells missing cases.")
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
) -> int:
    """Turn recorded results of any harness into runs; prints one run id a line."""
    import os

    from evalgate.pipeline.recorded import ImportOptions, import_results, parse_time
    from evalgate.pipeline.suite import default_store

    imported = import_results(
        ImportOptions(
            files=tuple(files),
            suite=suite,
            store=store or default_store(config, os.environ),
            format=source,
            commit=commit,
            branch=branch,
            created=parse_time(created),
            evalset=evalset,
        )
    )
    rows = [item.to_dict() for item in imported]
    if format is Format.JSON:
        console.put_json({"runs": rows}, output)
    else:
        console.put("\n".join(str(row["id"]) for row in rows), output)
    return 0
