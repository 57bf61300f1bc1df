"""`evalgate init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalgate.cli import console


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where. Default: here.")] = Path(),
    github: Annotated[bool, typer.Option("--github", help="The GitHub workflows too.")] = False,
    action: Annotated[
        str | None,
        typer.Option(metavar="OWNER/REPO@SHA", help="The commit of evalgate that the workflows use."),
    ] = None,
) -> int:
    """Write evalgate.yaml, an example eval set and their schemas (and the workflows). Never overwrites a file.

    --action fills in the commit in workflows that were written without it, and changes nothing else of them.
    """
    import os

    from evalgate.pipeline.scaffold import Outcome, scaffold

    for file, outcome in scaffold(folder, github=github, action=action, environ=os.environ):
        console.put(f"{outcome:<{len(Outcome.WROTE)}} {file}", None)
    for step in _steps(folder, github=github, has_action=action is not None):
        console.put(f"next: {step}", None)
    return 0


def _steps(folder: Path, *, github: bool, has_action: bool) -> list[str]:
    """What to do next, as it is to be typed where this was called."""
    import shlex

    file = folder / "evalgate.yaml"
    named = "" if folder == Path() else f" --config {shlex.quote(str(file))}"
    steps = [f"edit {file}, then `evalgate validate{named}` and `evalgate run{named}`"]
    if github and not has_action:
        where = "" if folder == Path() else f" {shlex.quote(str(folder))}"
        fill = f"evalgate init{where} --github --action owner/repository@<40 hex digits of a commit>"
        steps.append(f"name the commit of evalgate that the workflows use: `{fill}`")
    if github:
        steps.append(f"pass the endpoint's key on in the workflow, then `evalgate doctor{named}`, commit, push")
    return steps
