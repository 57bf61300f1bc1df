"""One open connection, and one exchange on it at a time. Knows no pool, no proxy and how none of it was opened."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import cast

from evalgate.endpoints.wire.parsing import Answer, Malformed, Show, TooLong
from evalgate.endpoints.wire.tls import Cipher, failure
from evalgate.errors import CallError, CallFault


class Stale(CallError):
    """The server closed a connection that had been used before, and sent no byte: the request can go out again."""


class Connection(asyncio.BufferedProtocol):
    """A protocol of asyncio that writes a request and gives the answer."""

    def __init__(self, place: str, show: Show, buffer: memoryview, when_lost: Callable[[Connection], object]) -> None:
        """place: the server's name in messages. buffer: what is received stands there for a moment; it can be shared
        by all connections of one loop. when_lost: called when the socket is closed."""
        self._place = place
        self._show = show
        self._buffer = buffer
        self._when_lost = when_lost
        self._transport: asyncio.Transport | None = None
        self._answer: Answer | None = None
        self._waiter: asyncio.Future[float] | None = None
        self._ciphers: list[Cipher] = []
        """From the socket to the server: one with TLS, two where the proxy is spoken to in TLS as well."""
        self._handshake: asyncio.Future[None] | None = None
        self._uses = 0
        self._heard = 0
        """Bytes that came in this exchange."""
        self._began_at = 0.0
        self.idle_since = 0.0
        """When the last exchange ended, on `time.monotonic`; for the pool."""

    @property
    def is_open(self) -> bool:
        """Whether it can be written to."""
        return self._transport is not None

    @property
    def is_settled(self) -> bool:
        """Whether another request can be sent: it is open, and nothing of an earlier one waits to be sent."""
        return self._transport is not None and not self._transport.get_write_buffer_size()

    @property
    def address(self) -> str | None:
        """The address of the other side; None where it takes more to go there than a text (an interface's number)."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer and not any(peer[3:]) else None

    async def exchange(self, request: bytes, answer: Answer, ends_at: float) -> float:
        """Fills `answer` with what the server says to `request`; gives the seconds from sending to its last byte.

        ends_at: on the loop's clock; then it is a time-out. Closes the connection unless the answer came whole. Raises
        Stale, or CallError: CONNECTION, TIMEOUT, BAD_ANSWER.
        """
        self._heard = 0
        if self._transport is None:
            raise self._lost()
        loop = asyncio.get_running_loop()
        self._answer = answer
        self._waiter = loop.create_future()
        alarm = loop.call_at(ends_at, self._time_out)
        self._began_at = began_at = time.perf_counter()
        self._send(request, len(self._ciphers))
        try:
            ended_at = await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            alarm.cancel()
            self._answer = self._waiter = None
        self._uses += 1
        return ended_at - began_at

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Goes on in TLS, with the name verified. Raises ssl.SSLError, or ConnectionError for an end in the middle."""
        self._handshake = asyncio.get_running_loop().create_future()
        cipher = Cipher(context, host)
        self._ciphers.append(cipher)
        try:
            if self._transport is None:
                raise ConnectionResetError
            self._send(cipher.outgoing(), len(self._ciphers) - 1)
            await self._handshake
        except BaseException:
            self.close()
            raise
        finally:
            self._handshake = None
        self._uses = 0

    def close(self) -> None:
        """Closes at once. What was not sent is not sent any more."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # ---- called by the loop ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = bytes(self._buffer[:nbytes])
        if not self._ciphers:
            self._hear(data)
            return
        try:
            data = self._decrypt(data)
        except ssl.SSLError as error:
            self._end(error)
            self.close()
            return
        if data:
            self._hear(data)
        if self._ciphers[-1].is_ended:
            self.eof_received()

    def _hear(self, data: bytes) -> None:
        if self._answer is None or self._waiter is None or self._waiter.done():
            self.close()  # nobody asked: a farewell (408), or the rest of an answer that was given up
            return
        self._heard += len(data)
        try:
            if self._answer.feed(data):
                self._waiter.set_result(time.perf_counter())
        except Malformed as error:
            self._fail(
                CallFault.BAD_ANSWER,
                f"{self._place} sent {error.told(self._show)}",
                "Check scheme, host and port of the URL",
            )
        except TooLong as error:
            self._fail(CallFault.BAD_ANSWER, f"the answer of {self._place} {error}")

    def eof_received(self) -> None:
        self._end(None)
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end(exc)
        self._when_lost(self)

    def _decrypt(self, data: bytes) -> bytes:
        for depth, cipher in enumerate(self._ciphers):
            try:
                data = cipher.decrypt(data)
            finally:
                self._send(cipher.outgoing(), depth)  # its part of a handshake, or an alert that says why not
            if not data:
                break
        if self._handshake is not None and not self._handshake.done() and self._ciphers[-1].is_ready:
            self._handshake.set_result(None)
        return data

    def _send(self, data: bytes, depth: int) -> None:
        """Through the innermost `depth` ciphers to the socket."""
        for cipher in reversed(self._ciphers[:depth]):
            data = cipher.encrypt(data) if data else b""
        if data and self._transport is not None:
            self._transport.write(data)

    def _end(self, exc: Exception | None) -> None:
        if self._handshake is not None and not self._handshake.done():
            self._handshake.set_exception(exc or ConnectionResetError())
        if self._answer is not None and self._waiter is not None and not self._waiter.done():
            if exc is None and self._answer.end():
                self._waiter.set_result(time.perf_counter())
            else:
                self._waiter.set_exception(failure(exc, self._place) if isinstance(exc, ssl.SSLError) else self._lost())

    def _time_out(self) -> None:
        if self._answer is None:
            return
        how_far = f"after {self._so_far()}" if self._heard else "not a byte came"
        waited_s = round(time.perf_counter() - self._began_at, 1)  # equal causes are counted together
        self._fail(
            CallFault.TIMEOUT,
            f"no answer of {self._place} within {waited_s:g} s ({how_far})",
            "Is it overloaded, or is run.timeout_s too short?",
        )

    def _fail(self, fault: CallFault, what: str, check: str = "") -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(CallError(fault, f"{what}. {check}" if check else what))

    def _lost(self) -> CallError:
        if not self._heard:
            kind = Stale if self._uses else CallError
            return kind(
                CallFault.CONNECTION,
                f"{self._place} closed the connection without an answer. Check the server's log; a server that speaks "
                "HTTPS does this to http://",
            )
        return CallError(
            CallFault.CONNECTION,
            f"{self._place} closed the connection in the middle of its answer, after {self._so_far()}. Check the "
            "server's log",
        )

    def _so_far(self) -> str:
        assert self._answer is not None
        if not self._answer.status:
            return f"{self._heard} bytes, the headers not complete"
        promised = "" if self._answer.promised is None else f" of {self._answer.promised}"
        return f"{len(self._answer.body)}{promised} bytes of the body"
