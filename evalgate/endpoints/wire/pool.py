"""Connections to one server, kept open between requests. Knows nothing of what is asked."""

from __future__ import annotations

import asyncio
import time

from evalgate.endpoints.wire.connection import Connection, Stale
from evalgate.endpoints.wire.dialing import Dialer
from evalgate.endpoints.wire.parsing import Answer, Room, Show

LONGEST_IDLE_S = 50.0
"""Routers forget connections that are silent for a minute or more, and tell nobody: a request would hang."""


class Pool:
    """Takes the connection that was used last, or dials."""

    def __init__(self, dialer: Dialer, *, size: int, timeout_s: float, show: Show) -> None:
        """size: how many idle connections are kept. timeout_s: how long a request may take, with its connecting."""
        self._dialer = dialer
        self._timeout_s = timeout_s
        self._show = show
        self._size = size
        self._buffer = memoryview(bytearray(128 * 1024))
        self._room = Room()
        self._idle: list[Connection] = []
        self._all: set[Connection] = set()

    async def ask(self, request: bytes) -> tuple[Answer, float]:
        """The answer, and the seconds from sending to its last byte.

        Raises CallError. A request goes out twice in one case only: when a connection that had been kept proves to have
        been closed, without a byte of an answer.
        """
        ends_at = asyncio.get_running_loop().time() + self._timeout_s
        connection = self._kept()
        if connection is not None:
            try:
                return await self._exchange(connection, request, ends_at)
            except Stale:
                pass
        return await self._exchange(await self._dialer.dial(self._make), request, ends_at)

    async def close(self) -> None:
        """Closes all connections, and waits until their sockets are."""
        for connection in list(self._all):
            connection.close()
        for _ in range(10):  # turns of the loop: TLS takes three
            if not self._all:
                break
            await asyncio.sleep(0)

    def _make(self) -> Connection:
        connection = Connection(self._dialer.place, self._show, self._buffer, self._all.discard)
        self._all.add(connection)
        return connection

    def _kept(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and time.monotonic() - connection.idle_since < LONGEST_IDLE_S:
                return connection
            connection.close()
        return None

    async def _exchange(self, connection: Connection, request: bytes, ends_at: float) -> tuple[Answer, float]:
        answer = Answer(self._room)
        try:
            took_s = await connection.exchange(request, answer, ends_at)
        finally:
            self._room.give(answer.taken)
        # What of a request is still to be sent when its answer is there already, would be taken for the next one.
        if answer.is_reusable and connection.is_settled and len(self._idle) < self._size:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()
        return answer, took_s
