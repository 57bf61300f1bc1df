"""`evalgate validate`."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.cli import console
from evalgate.cli.options import ConfigOption, Format, FormatOption, OutputOption, check_places
from evalgate.errors import Fault, InputError

if TYPE_CHECKING:
    from evalgate.pipeline.estimate import Outlook
    from evalgate.pipeline.load import Suite
    from evalgate.pipeline.shard_parts import Part
    from evalgate.pipeline.suite import RunOptions


def validate(config: ConfigOption = None, format: FormatOption = Format.TEXT, output: OutputOption = None) -> int:
    """Check configuration and eval sets and estimate calls and cost. Calls no model."""
    from evalgate.pipeline.load import DEFAULT_CONFIG
    from evalgate.pipeline.suite import RunOptions

    return estimate(RunOptions(config=config or DEFAULT_CONFIG), None, format=format, output=output)


def estimate(options: RunOptions, part: Part | None, *, format: Format, output: Path | None) -> int:
    """Prints what a run, or a part of one, would be; raises InputError where it could not begin."""
    from evalgate.pipeline.execute import preflight
    from evalgate.pipeline.load import load_suite, with_epochs
    from evalgate.pipeline.sharding import planned
    from evalgate.pipeline.suite import engine_of

    if format is Format.MARKDOWN:
        raise InputError(Fault(where="--format", what="there is no estimate in markdown", hint="Write text or json."))
    check_places([output])
    engine_of(options)
    suite = with_epochs(load_suite(options.config, options.environ, options.selection), options.epochs)
    suite = suite if part is None else planned(suite, part)
    if suite.config.endpoint.missing_credentials(os.environ) is None:
        with contextlib.redirect_stdout(sys.stderr):
            preflight(suite, os.environ)
    found = _outlook(suite, options)
    if format is Format.JSON:
        console.put_json(found.to_dict(), output)
        return 0
    lines = list(found.lines)
    if options.selection.changed_only:
        lines.insert(-1, "note: which cases have changed is found out when the run begins: this is all of them")
    console.put("\n".join("  " * line.startswith("  ") + console.plain(line) for line in lines), output)
    return 0


def _outlook(suite: Suite, options: RunOptions) -> Outlook:
    from evalgate.pipeline.estimate import outlook
    from evalgate.pipeline.journals import reopen

    now = datetime.now(UTC)
    if options.resume is None:
        return outlook(suite, options.environ, now=now)
    with reopen(suite, now, options.resume) as journal:
        return outlook(suite, options.environ, now=now, kept=journal.kept)
