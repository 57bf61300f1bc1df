"""The kind `replay`: outputs that were recorded earlier, by case id and epoch. Calls nothing."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from evalgate.endpoints.answers import (
    NotJson,
    amount_of,
    as_text,
    contexts_of,
    count_of,
    parse_json,
    text_of,
    tool_calls_of,
)
from evalgate.endpoints.interface import Endpoint, Opening, Settings
from evalgate.errors import CallError, CallFault, Fault, InputError
from evalgate.masking import excerpt
from evalgate.records import Json, Output, Request

MAX_FAULTS = 20
"""So many faults of a file are told; further ones are only counted."""

_Key = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Replay(Settings):
    """Recorded outputs: JSONL rows with `id`, `epoch` (from 1; absent: 1) and `output`, `tool_calls` or `error`."""

    kind: ClassVar[str] = "replay"

    file: str
    """The JSONL file, relative to the configuration file."""

    def problems(self) -> list[tuple[str, str, str]]:
        if self.file.strip():
            return []
        return [("file", "it is empty", "Write the path of a JSONL file with recorded outputs")]

    def identity(self, base_dir: Path) -> dict[str, Json]:
        identity = super().identity(base_dir) | {"file": self.file}
        if self.version:
            return identity
        try:
            with (base_dir / self.file).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return identity | {"sha256": None}  # opening it will tell
        return identity | {"sha256": digest}

    @asynccontextmanager
    async def open(self, opening: Opening) -> AsyncIterator[Endpoint]:
        yield _Recorded(self.file, load_outputs(opening.base_dir / self.file, self.file))


class _Recorded:
    """The opened endpoint."""

    def __init__(self, file: str, outputs: Mapping[_Key, Output | str]) -> None:
        self._file = file
        self._outputs = outputs

    async def call(self, request: Request) -> Output:
        found = self._outputs.get((request.case.id, request.epoch))
        if found is None:
            what = f"no recorded output for case {request.case.id}, epoch {request.epoch} in {self._file}"
            raise CallError(CallFault.REFUSED_REQUEST, what)
        if isinstance(found, str):
            raise CallError(CallFault.REFUSED_REQUEST, f"recorded as an error: {found}")
        return found


def load_outputs(path: Path, name: str) -> dict[_Key, Output | str]:
    """Every row's output, or its error as text. Raises InputError with all faults: file, line, what to write."""
    outputs: dict[_Key, Output | str] = {}
    lines: dict[_Key, int] = {}
    faults: list[Fault] = []
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.strip():
                    continue
                try:
                    key, output = _row(line)
                    if key in lines:
                        raise ValueError(f"case {key[0]}, epoch {key[1]} stands in line {lines[key]} already")
                except (CallError, ValueError) as error:
                    faults.append(Fault(where=f"{name}:{number}", what=str(error)))
                    continue
                outputs[key] = output
                lines[key] = number
    except OSError as error:
        hint = "Check endpoint.file: it is relative to the configuration file"
        raise InputError(Fault(where=name, what=f"cannot be read: {error.strerror}", hint=hint)) from None
    if len(faults) > MAX_FAULTS:
        rest = len(faults) - MAX_FAULTS
        faults = [*faults[:MAX_FAULTS], Fault(where=name, what=f"{rest} further rows are wrong")]
    if not outputs and not faults:
        faults = [Fault(where=name, what="there is no row in it", hint='Write rows like {"id": "a", "output": "…"}')]
    if faults:
        raise InputError(faults)
    return outputs


def _row(line: bytes) -> tuple[_Key, Output | str]:
    """One row. Raises ValueError (NotJson is one) or CallError with what is wrong."""
    row = parse_json(line)
    if not isinstance(row, dict):
        raise NotJson("not a JSON object")
    identifier, epoch = row.get("id"), row.get("epoch", 1)
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    if not isinstance(identifier, str) or not identifier:
        raise ValueError('it has no "id"')
    if isinstance(epoch, bool) or not isinstance(epoch, int) or epoch < 1:
        raise ValueError(f'"epoch" has to be a whole number from 1, but is {excerpt(repr(epoch), 40)}')
    error, answer, calls = row.get("error"), row.get("output"), tool_calls_of(row.get("tool_calls"))
    if error is not None:
        if answer is not None:
            raise ValueError('it has "output" and "error": keep one of them')
        return (identifier, epoch), excerpt(error if isinstance(error, str) else as_text(error), 300)
    if answer is None and not calls:
        raise ValueError('it has neither "output" nor "error"')
    is_structure = answer is not None and not isinstance(answer, str)
    return (identifier, epoch), Output(
        text=as_text(answer) if is_structure else answer,
        data=answer if is_structure else None,
        tool_calls=calls,
        contexts=contexts_of(row.get("contexts")),
        latency_s=amount_of(row.get("latency_s"), "latency_s"),
        tokens_in=count_of(row.get("tokens_in"), "tokens_in"),
        tokens_out=count_of(row.get("tokens_out"), "tokens_out"),
        cost_usd=amount_of(row.get("cost_usd"), "cost_usd"),
        model=text_of(row.get("model"), "model"),
    )
