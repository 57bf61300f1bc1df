"""`evalgate comment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evalgate.cli import console


def comment(
    verdict: Annotated[Path, typer.Argument(metavar="FILE", help="A verdict, as `--write json=FILE` wrote it.")],
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its report, as `--write markdown=FILE` wrote it.")
    ] = None,
) -> int:
    """Post a verdict on the pull request of this GitHub Actions job: one comment per suite, kept up to date."""
    import os

    from evalgate.github.publish import comment_from_files

    posted = comment_from_files(verdict, markdown, environ=os.environ)
    console.say(f"comment {posted.action.value}" + (f": {posted.why}" if posted.why else ""))
    return 0
