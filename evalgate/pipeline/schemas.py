"""JSON Schemas of the files that users write, of the verdict and of the result file: each stage gives its part."""

from __future__ import annotations

from typing import Literal

from evalgate.records import Json


def schema_of(document: Literal["config", "evalset", "verdict", "result"] | str) -> dict[str, Json]:
    """The schema of a document. Raises KeyError for a document that has none."""
    if document == "verdict":
        from evalgate.report import machine

        return machine.verdict_schema()
    if document == "result":
        from evalgate.history import result_file_rows

        return result_file_rows.document_schema()
    from evalgate import config as configuration
    from evalgate import endpoints, gate, scorers

    if document == "config":
        return configuration.config_schema(endpoints.KINDS, gate.schema())
    return configuration.evalset_schema(scorers.KINDS, scorers.SHORTHAND)
