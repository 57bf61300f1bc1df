"""Which commands there are. One file each; this is their only list, and a command loads its own file only."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

import typer

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "init:init",
        "validate": "validate:validate",
        "run": "run:run",
        "merge": "merge:merge",
        "gate": "gate:gate",
        "import": "imports:import_results",
        "compare": "compare:compare",
        "calibrate": "calibrate:calibrate",
        "history": "history:history",
        "show": "show:show",
        "trend": "trend:trend",
        "comment": "comment:comment",
        "doctor": "doctor:doctor",
        "schema": "schema:schema",
        "baseline": "baseline:baseline",
        "sync": "sync:sync",
        "demo": "demo:demo",
    }
)
"""Name → file and function, or group of commands, in the order in which `--help` lists them."""


def register(app: typer.Typer, only: str | None = None) -> None:
    """Adds every command, or only one, so that it does not pay for the others."""
    app.callback()(_whatever_follows)
    for name in COMMANDS if only is None else (only,):
        module, _, attribute = COMMANDS[name].partition(":")
        command = getattr(import_module(f"evalgate.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)


def _whatever_follows() -> None:
    # With a callback typer keeps asking for the command's name also where there is a single one.
    pass
