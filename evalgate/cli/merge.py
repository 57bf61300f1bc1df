"""`evalgate merge`."""

from __future__ import annotations

import shlex
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
    WriteOption,
    check_places,
    runs,
    targets,
)

if TYPE_CHECKING:
    from evalgate.pipeline.merging import MergeOptions


def merge(
    shards: Annotated[list[str], typer.Argument(metavar="SHARD…", help="Files of all shards, folders, or globs.")],
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="Judge the run, or only record it.")] = True,
    baseline: BaselineOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: WriteOption = None,
) -> int:
    """Make one run of its shards, record it, decide. Calls no model: nothing is repeated or confirmed."""
    from evalgate.pipeline.merging import MergeOptions, merge_shards

    also = targets(write)
    check_places([output, *(item.file for item in also)])
    options = MergeOptions(shards=tuple(shards), config=config, store=store, gated=gate, baseline=runs(baseline))
    done = merge_shards(options)
    for line in (done.note or "").splitlines():
        console.say(line)
    report = done.report(reproduce=_reproduce(options))
    console.deliver(report, done.judged.run, format, output, also, outputs=done.outputs)
    return done.verdict.exit_code


def _reproduce(options: MergeOptions) -> list[str]:
    words = ["evalgate", "merge", *options.shards]
    words += ["--config", str(options.config)] if options.config is not None else []
    words += ["--store", options.store] if options.store is not None and "@" not in options.store else []
    words += ["--baseline", ",".join(options.baseline)] if options.baseline else []
    words += [] if options.gated else ["--no-gate"]
    return [shlex.join(words)]
