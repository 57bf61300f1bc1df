"""`evalgate validate`."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.cli import console
from evalgate.cli.options import ConfigOption

if TYPE_CHECKING:
    from evalgate.pipeline.selection import Selection


def validate(config: ConfigOption = None) -> int:
    """Check configuration and eval sets and estimate calls and cost. Calls no model."""
    from evalgate.pipeline.load import DEFAULT_CONFIG
    from evalgate.pipeline.selection import Selection

    return estimate(config or DEFAULT_CONFIG, Selection(), None)


def estimate(config: Path, selection: Selection, epochs: int | None) -> int:
    """Prints what a run would be; raises InputError where it could not begin."""
    from evalgate.pipeline.estimate import describe
    from evalgate.pipeline.execute import preflight
    from evalgate.pipeline.load import load_suite, with_epochs

    suite = with_epochs(load_suite(config, os.environ, selection), epochs)
    if suite.config.endpoint.missing_credentials(os.environ) is None:
        with contextlib.redirect_stdout(sys.stderr):
            preflight(suite, os.environ)
    indented = (
        "  " * line.startswith("  ") + console.plain(line)
        for line in describe(suite, os.environ, now=datetime.now(UTC))
    )
    console.put("\n".join(indented), None)
    return 0
