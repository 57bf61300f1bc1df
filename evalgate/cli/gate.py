"""`evalgate gate`."""

from __future__ import annotations

from typing import Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import (
    BaselineOption,
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    StoreOption,
    WriteOption,
    check_places,
    runs,
    targets,
)


def gate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, a unique prefix of it, or `latest`.")],
    baseline: BaselineOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: WriteOption = None,
) -> int:
    """Decide again from the history. Calls no model; needs neither an endpoint nor a configuration file."""
    from evalgate.pipeline.suite import GateOptions, gate_again

    also = targets(write)
    check_places([output, *(item.file for item in also)])
    done = gate_again(GateOptions(run=run, config=config, store=store, baseline=runs(baseline)))
    again = ["evalgate", "gate", done.judged.run.id]
    if done.verdict.baseline.ids and baseline:
        again += ["--baseline", ",".join(done.verdict.baseline.ids)]
    report = done.judged.report(reproduce=[" ".join(again)], store=done.store)
    console.deliver(report, done.judged.run, format, output, also)
    return done.verdict.exit_code
