"""One process: a question in, what it wrote until it ended out. Knows nothing of endpoints.

Not asyncio.create_subprocess_exec: its `wait()` also waits for the pipes, for ever where a grandchild that left the
group keeps one open, or where nobody reads the rest of a full one; here whoever gives up closes them.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

STDERR_TAIL = 2000
"""Bytes of stderr that are kept; its end is where programs say what went wrong."""

_STDIN, _STDOUT, _STDERR = range(3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A process that has ended."""

    code: int
    """Its exit code, or -N where signal N ended it."""
    stdout: bytes
    stderr: bytes
    """The last `STDERR_TAIL` bytes."""


async def converse(
    argv: Sequence[str], question: bytes, folder: Path, environ: Mapping[str, str], max_stdout: int
) -> Ended | None:
    """What the program wrote, after it and whoever holds its pipes have ended; None: more than `max_stdout` bytes.

    Raises OSError or ValueError where it cannot be started. Cancelled, or with too much written, the program is killed
    with all it has started: it leads a session of its own, so that its process group is its family.
    """
    loop = asyncio.get_running_loop()
    transport, conversation = await loop.subprocess_exec(
        lambda: _Conversation(loop, max_stdout),
        *argv,
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=folder,
        env=dict(environ),
        start_new_session=True,
    )
    try:
        # A program may end, or answer, without reading what it is asked: the transport takes a broken pipe in silence.
        stdin = cast(asyncio.WriteTransport, transport.get_pipe_transport(_STDIN))
        stdin.write(question)
        stdin.close()
        if await conversation.finished:
            code = transport.get_returncode()
            assert code is not None
            return Ended(code=code, stdout=bytes(conversation.stdout), stderr=conversation.stderr)
        await _kill(transport, conversation)
        return None
    except BaseException:
        await _kill(transport, conversation)
        raise
    finally:
        transport.close()


class _Conversation(asyncio.SubprocessProtocol):
    """Collects what a process writes until it has ended and closed its pipes, or written too much."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_stdout: int) -> None:
        self.stdout = bytearray()
        self.stderr = b""
        self.exited = asyncio.Event()
        self.finished: asyncio.Future[bool] = loop.create_future()
        """True: it has ended; False: it wrote more than it may."""
        self._max_stdout = max_stdout
        self._open = {_STDOUT, _STDERR}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self.stderr = (self.stderr + data)[-STDERR_TAIL:]
        elif len(self.stdout) + len(data) <= self._max_stdout:
            self.stdout += data
        else:
            self._finish(False)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        self._finish_when_ended()

    def process_exited(self) -> None:
        self.exited.set()
        self._finish_when_ended()

    def _finish_when_ended(self) -> None:
        if self.exited.is_set() and not self._open:
            self._finish(True)

    def _finish(self, ended: bool) -> None:
        if not self.finished.done():
            self.finished.set_result(ended)


async def _kill(transport: asyncio.SubprocessTransport, conversation: _Conversation) -> None:
    # The group outlives its leader as long as it has members, so that its number cannot have passed to another.
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        else:
            transport.kill()
    await conversation.exited.wait()
