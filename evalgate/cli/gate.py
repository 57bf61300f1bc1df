"""`evalgate gate`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import (
    BaselineOption,
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    StoreOption,
    Target,
    WriteOption,
    check_places,
    runs,
    targets,
)

if TYPE_CHECKING:
    from evalgate.pipeline.suite import Done
    from evalgate.report.model import Report
    from evalgate.report.pages import Format as PageFormat


def gate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, a unique prefix of it, or `latest`.")],
    baseline: BaselineOption = None,
    config: ConfigOption = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell how each finding came about, from case to p.")
    ] = False,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: WriteOption = None,
) -> int:
    """Decide again from the history. Calls no model; needs neither an endpoint nor a configuration file."""
    from evalgate.pipeline.suite import GateOptions, gate_again

    also = targets(write)
    check_places([output, *(item.file for item in also)])
    done = gate_again(GateOptions(run=run, config=config, store=store, baseline=runs(baseline), explain=explain))
    if done.note is not None:
        console.say(done.note)
    again = ["evalgate", "gate", done.judged.run.id]
    again += ["--config", shlex.quote(str(config))] if config is not None else []
    if done.verdict.baseline.ids and baseline:
        again += ["--baseline", ",".join(done.verdict.baseline.ids)]
    report = done.report(reproduce=[" ".join(again)])
    if explain:
        _deliver_explained(report, done, format, output, also)
    else:
        console.deliver(report, done.judged.run, format, output, also, outputs=done.outputs)
    return done.verdict.exit_code


def _deliver_explained(report: Report, done: Done, format: Format, output: Path | None, also: Sequence[Target]) -> None:
    """As `console.deliver`, with the derivations in every format that has room for them: JUnit has none."""
    from evalgate.report import explanation

    def drawn(kind: str) -> str:
        pages: Mapping[str, PageFormat] = {"text": "text", "json": "json", "markdown": "markdown"}
        if kind not in pages:
            return console.render(report, done.judged.run, kind, sys.stdout)
        return explanation.render(report, done.explained, format=pages[kind], pen=console.pen(sys.stdout))

    console.write_also(also, report, done.judged.run, drawn, outputs=done.outputs)
    console.put(drawn(format.value), output)
    if output is not None or format is not Format.TEXT:
        console.say(f"{done.verdict.verdict.value}: {done.verdict.reason}")
