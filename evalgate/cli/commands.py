"""Which commands there are. One file each; this is their only list."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from evalgate.cli.baseline import baseline
from evalgate.cli.calibrate import calibrate
from evalgate.cli.comment import comment
from evalgate.cli.compare import compare
from evalgate.cli.demo import demo
from evalgate.cli.gate import gate
from evalgate.cli.history import history
from evalgate.cli.imports import import_results
from evalgate.cli.init import init
from evalgate.cli.run import run
from evalgate.cli.schema import schema
from evalgate.cli.show import show
from evalgate.cli.trend import trend
from evalgate.cli.validate import validate

COMMANDS: Mapping[str, Callable[..., int]] = {
    "init": init,
    "validate": validate,
    "run": run,
    "gate": gate,
    "import": import_results,
    "compare": compare,
    "calibrate": calibrate,
    "history": history,
    "show": show,
    "trend": trend,
    "comment": comment,
    "schema": schema,
}
"""In the order in which `--help` lists them."""


def register(app: typer.Typer) -> None:
    """Adds every command."""
    for name, command in COMMANDS.items():
        app.command(name)(command)
    app.add_typer(baseline, name="baseline")
    app.add_typer(demo, name="demo")
