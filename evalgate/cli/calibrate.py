"""`evalgate calibrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import (
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    PageWriteOption,
    StoreOption,
    check_places,
    targets,
)

if TYPE_CHECKING:
    from evalgate.runner.progress import Progress

MOST_RUNS = 50
"""How many runs one command makes: the price of more was hardly meant."""


def calibrate(
    runs: Annotated[
        int, typer.Option("--runs", metavar="N", min=0, max=MOST_RUNS, help="First make N runs of the whole suite.")
    ] = 0,
    simulations: Annotated[
        int, typer.Option(metavar="N", min=0, max=10_000, help="Pull requests to simulate that change nothing.")
    ] = 200,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: PageWriteOption = None,
) -> int:
    """How noisy is this gate: false blocks, noise, the smallest drop it sees, and what seeing smaller ones costs."""
    import os
    import sys

    from evalgate.pipeline.calibration import CalibrateOptions
    from evalgate.pipeline.calibration import calibrate as calibrated
    from evalgate.pipeline.load import DEFAULT_CONFIG
    from evalgate.report import calibration as drawing

    check_places([output, *(item.file for item in targets(write))])
    file = config or DEFAULT_CONFIG
    if runs:
        from evalgate.pipeline.baselines import record
        from evalgate.pipeline.suite import RunOptions

        made = record(RunOptions(config=file, store=store, gated=False), runs, progress=_progress, tell=console.say)
        if made.fault is not None:
            console.say(made.fault)
            return 3
    found = calibrated(CalibrateOptions(config=file, store=store, simulations=simulations, environ=os.environ))
    pen = console.pen(sys.stdout)
    console.deliver_page(lambda kind: drawing.render(found, format=kind, pen=pen), format, output, write)
    return 0


def _progress() -> Progress:
    import sys

    from evalgate.runner.progress import Bar, Lines

    return Bar(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr)
