"""Small real HTTP servers on localhost, and the values that tests of endpoints need again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from builders import make_case

from evalgate.endpoints import Opening, Settings
from evalgate.errors import CallError
from evalgate.records import Output, Remaining, Request

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def make_request(prompt: str = "2 + 2?", epoch: int = 1, **changes: Any) -> Request:
    params = changes.pop("params", {})
    messages = changes.pop("messages", ({"role": "user", "content": prompt},))
    case = make_case(**{"input": prompt, **changes})
    return Request(case=case, epoch=epoch, prompt=prompt, messages=messages, params=params)


def make_opening(base_dir: Path = Path(), environ: Mapping[str, str] | None = None, timeout_s: float = 5.0) -> Opening:
    return Opening(base_dir=base_dir, environ=dict(environ or {}), concurrency=4, timeout_s=timeout_s)


def ask(settings: Settings, *requests: Request, opening: Opening | None = None) -> list[Output | CallError]:
    """What each request is answered with, one after the other, through one opened endpoint."""

    async def run() -> list[Output | CallError]:
        answers: list[Output | CallError] = []
        async with settings.open(opening or make_opening()) as endpoint:
            for request in requests or (make_request(),):
                try:
                    answers.append(await endpoint.call(request))
                except CallError as error:
                    answers.append(error)
        return answers

    return asyncio.run(run())


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return head, await reader.readexactly(int(lengths[0])) if lengths else b""


def saying(answer: bytes, *, stays: bool = False, after: bytes = b"\r\n\r\n") -> Handler:
    """A server that says `answer` once it has read as far as `after`; it closes then, or stays and is silent."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if after == b"\r\n\r\n":
            await read_request(reader)
        else:
            await reader.readuntil(after) if after else await reader.read(1)
        writer.write(answer)
        await writer.drain()
        if stays:
            await reader.read()

    return handler


@contextlib.asynccontextmanager
async def serving(
    handler: Handler, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """A server on localhost; gives its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, ssl.SSLError):
            await handler(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, TimeoutError, ssl.SSLError):
            await asyncio.wait_for(writer.wait_closed(), 1)

    server = await asyncio.start_server(quiet, address, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A connection that is still closing when the loop ends counts as one that nobody closed.
        await asyncio.sleep(0)


@dataclass
class Canned:
    """A server that answers everything alike, and remembers what it was asked."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    heads: list[bytes] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    connections: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            head, body = await read_request(reader)
            self.heads.append(head)
            self.bodies.append(json.loads(body) if body[:1] in (b"{", b"[") else body)
            lines = [f"HTTP/1.1 {self.status} Some", f"Content-Length: {len(self.body)}"]
            lines += [f"{name}: {value}" for name, value in self.headers.items()]
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + self.body)
            await writer.drain()


def ask_server(
    server: Handler,
    make: Callable[[str], Settings],
    *requests: Request,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = 5.0,
    told: Callable[[Sequence[Remaining]], object] | None = None,
) -> list[Output | CallError]:
    """The same as `ask`, of an endpoint whose settings are made for the server's address."""

    async def run() -> list[Output | CallError]:
        answers: list[Output | CallError] = []
        async with (
            serving(server) as port,
            make(f"http://127.0.0.1:{port}").open(
                replace(make_opening(environ=environ, timeout_s=timeout_s), told=told)
            ) as endpoint,
        ):
            for request in requests or (make_request(),):
                try:
                    answers.append(await endpoint.call(request))
                except CallError as error:
                    answers.append(error)
        return answers

    return asyncio.run(run())
