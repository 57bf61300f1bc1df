"""The kind `command`: a program, one process a call, JSON in on stdin and JSON out on stdout."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from evalgate.endpoints.answers import NotJson, bad_answer, output_from, parse_json
from evalgate.endpoints.interface import Endpoint, Opening, Settings
from evalgate.errors import CallError, CallFault, Fault, InputError
from evalgate.masking import MASK, excerpt, is_secret_name
from evalgate.records import Json, Output, Request

MAX_STDOUT_BYTES = 16 * 1024 * 1024
SHOWN = 300


@dataclass(frozen=True, kw_only=True)
class Command(Settings):
    """A program that reads a case as JSON on stdin and writes its answer as JSON on stdout; a new process each time."""

    kind: ClassVar[str] = "command"

    command: str | Sequence[str] = field(repr=False)
    """The program and its arguments: a list, or a text split as a shell does (no shell runs it)."""

    def problems(self) -> list[tuple[str, str, str]]:
        try:
            argv = self.argv()
        except ValueError as error:
            return [("command", f"it cannot be split into arguments: {error}", "Write a list: [python, ask.py]")]
        if not argv or not argv[0] or any("\0" in part for part in argv):
            return [("command", "it names no program", "Write the program and its arguments: [python, ask.py]")]
        return []

    def argv(self) -> list[str]:
        """Program and arguments. Raises ValueError where a text has an open quotation."""
        return shlex.split(self.command) if isinstance(self.command, str) else list(self.command)

    def secrets(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(value for value in _secret_arguments(self.argv()).values() if value)

    def identity(self, base_dir: Path) -> dict[str, Json]:
        argv, hidden = self.argv(), _secret_arguments(self.argv())
        shown = [part.replace(hidden[place], MASK) if hidden.get(place) else part for place, part in enumerate(argv)]
        return super().identity(base_dir) | {"command": shown}

    @asynccontextmanager
    async def open(self, opening: Opening) -> AsyncIterator[Endpoint]:
        import shutil

        argv = self.argv()
        program = argv[0] if os.sep not in argv[0] else str(opening.base_dir / argv[0])
        if shutil.which(program, path=opening.environ.get("PATH")) is None:
            hint = "Check the name, that it is executable, and PATH"
            raise InputError(Fault(where="endpoint.command", what=f"there is no program {argv[0]}", hint=hint))
        yield _Command(self, opening)


class _Command:
    """The opened endpoint."""

    def __init__(self, settings: Command, opening: Opening) -> None:
        self._argv = settings.argv()
        self._name = Path(self._argv[0]).name
        self._params = settings.params
        self._base_dir = opening.base_dir
        self._environ = dict(opening.environ)
        self._secrets = settings.secrets(opening.environ)

    async def call(self, request: Request) -> Output:
        from evalgate.endpoints.processes import converse

        begin = time.perf_counter()
        question = json.dumps(self._question(request), ensure_ascii=False, default=str).encode("utf-8", "replace")
        try:
            ended = await converse(self._argv, question, self._base_dir, self._environ, MAX_STDOUT_BYTES)
        except (OSError, ValueError) as error:
            raise CallError(CallFault.CODE, f"{self._name} could not be started: {error}") from None
        if ended is None:
            raise bad_answer(f"{self._name} wrote more than {MAX_STDOUT_BYTES >> 20} MiB to stdout and was stopped")
        return self._output(ended.code, ended.stdout, ended.stderr, time.perf_counter() - begin)

    def _question(self, request: Request) -> dict[str, Json]:
        case = request.case
        return {
            "id": case.id,
            "epoch": request.epoch,
            "prompt": request.prompt,
            "messages": [dict(message) for message in request.messages],
            "input": case.input,
            "context": case.context,
            "metadata": dict(case.metadata),
            "params": {**self._params, **request.params},
        }

    def _output(self, code: int, stdout: bytes, stderr: bytes, latency_s: float) -> Output:
        complaint = excerpt(_ending(stderr.decode("utf-8", "replace")), SHOWN, self._secrets)
        heard = f": {complaint}" if complaint else ", and said nothing on stderr"
        if code:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise CallError(CallFault.CODE, f"{self._name} {how}{heard}")
        said = stdout[: 1 << 14].decode("utf-8", "replace")
        try:
            answer = parse_json(stdout)
        except NotJson as error:
            what = f"{self._name} has to write one JSON value (a text or a mapping) to stdout, but it is {error}"
            raise bad_answer(what, self._secrets, said) from None
        return output_from(answer, latency_s, self._name)


def _ending(text: str) -> str:
    """The last characters, from the start of a word."""
    return text if len(text) <= SHOWN else "… " + text[-SHOWN + 2 :].partition(" ")[2]


def _secret_arguments(argv: Sequence[str]) -> dict[int, str]:
    """Place in `argv` -> the secret there: after `--token`, or in `--token=…` and `TOKEN=…`."""
    found = {}
    before = ""
    for place, part in enumerate(argv):
        name, equals, value = part.partition("=")
        if equals and is_secret_name(name.lstrip("-")):
            found[place] = value
        elif before.startswith("-") and "=" not in before and is_secret_name(before.lstrip("-")):
            found[place] = part
        before = part
    return found
