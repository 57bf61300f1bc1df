"""`evalgate validate`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.cli import console
from evalgate.cli.options import ConfigOption, Format, FormatOption, OutputOption, check_places
from evalgate.errors import Fault, InputError

if TYPE_CHECKING:
    from evalgate.pipeline.selection import Selection


def validate(config: ConfigOption = None, format: FormatOption = Format.TEXT, output: OutputOption = None) -> int:
    """Check configuration and eval sets and estimate calls and cost. Calls no model."""
    from evalgate.pipeline.load import DEFAULT_CONFIG
    from evalgate.pipeline.selection import Selection

    return estimate(config or DEFAULT_CONFIG, Selection(), None, format=format, output=output)


def estimate(config: Path, selection: Selection, epochs: int | None, *, format: Format, output: Path | None) -> int:
    """Prints what a run would be; raises InputError where it could not begin."""
    from evalgate.pipeline.estimate import outlook
    from evalgate.pipeline.execute import preflight
    from evalgate.pipeline.load import load_suite, with_epochs

    if format is Format.MARKDOWN:
        raise InputError(Fault(where="--format", what="there is no estimate in markdown", hint="Write text or json."))
    check_places([output])
    suite = with_epochs(load_suite(config, os.environ, selection), epochs)
    if suite.config.endpoint.missing_credentials(os.environ) is None:
        with contextlib.redirect_stdout(sys.stderr):
            preflight(suite, os.environ)
    found = outlook(suite, os.environ, now=datetime.now(UTC))
    if format is Format.JSON:
        console.put(json.dumps(found.to_dict(), indent=2, ensure_ascii=False), output)
        return 0
    lines = list(found.lines)
    if selection.changed_only:
        lines.insert(-1, "note: which cases have changed is found out when the run begins: this is all of them")
    console.put("\n".join("  " * line.startswith("  ") + console.plain(line) for line in lines), output)
    return 0
