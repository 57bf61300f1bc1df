"""`evalgate schema`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import OutputOption


class Document(StrEnum):
    """What a schema describes."""

    CONFIG = "config"
    EVALSET = "evalset"
    VERDICT = "verdict"
    RESULT = "result"


def schema(
    document: Annotated[Document, typer.Argument(help="What the schema is of.")] = Document.CONFIG,
    output: OutputOption = None,
) -> int:
    """Print a JSON Schema: of the configuration, of an eval set, of a verdict, or of a result file."""
    from evalgate.pipeline.schemas import schema_of

    console.put_json(schema_of(document.value), output)
    return 0
