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
    """Write evalgate.yaml, an example eval set and their schemas (and the workflows). Never overwrites a file."""
    import os

    from evalgate.pipeline.scaffold import scaffold

    for file, written in scaffold(folder, github=github, action=action, environ=os.environ):
        console.put(f"{'wrote' if written else 'kept '} {file}", None)
    console.put("next: edit evalgate.yaml, then `evalgate validate` and `evalgate run`", None)
    return 0
