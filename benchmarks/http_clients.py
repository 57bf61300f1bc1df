#!/usr/bin/env python3
"""What a request costs with each HTTP client that could carry evalgate's endpoints, and what a cancelled one leaves.

    python benchmarks/http_clients.py [--url URL] [--requests 2000] [--concurrency 64] [--runs 3]

`evalgate` is the transport of this package. Every run is a fresh process with one client: the import beyond asyncio,
ssl and what every command loads (CPU), then `--requests` chat completions from `--concurrency` workers, JSON both ways;
CPU is the process's user and system time over all threads, per request. Then one request to a server that never answers
is cancelled, and the time until the server sees the connection close is taken. Each client is used as the transport has
to use it: answers are streamed, so that their size can be bounded.
Without `--url` a small server on localhost answers, in a process of its own. Clients that are not installed are left
out. The table shows medians and, in brackets, the range.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import json
import ssl  # noqa: F401 - every client needs it: its import is not a client's cost
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Post = Callable[[str, bytes], Awaitable[bytes]]

HEADERS = {"content-type": "application/json", "authorization": "Bearer none"}
CLOSE_WAIT_S = 2.0
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "model": "mock",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "42"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21},
    }
).encode()


@contextlib.asynccontextmanager
async def aiohttp_client(url: str, concurrency: int) -> AsyncIterator[Post]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:
        # trust_env would look for proxies at every request (0.7 ms): one would look once, and pass `proxy`.

        async def post(url: str, body: bytes) -> bytes:
            async with session.post(url, data=body, allow_redirects=False) as response:
                return b"".join([chunk async for chunk in response.content.iter_any()])

        yield post


@contextlib.asynccontextmanager
async def pyreqwest_client(url: str, concurrency: int) -> AsyncIterator[Post]:
    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder().pool_max_idle_per_host(concurrency).default_headers(HEADERS).follow_redirects(False)
    async with builder.build() as client:

        async def post(url: str, body: bytes) -> bytes:
            chunks = []
            async with client.post(url).body_bytes(body).build_streamed() as response:
                while (chunk := await response.body_reader.read_chunk()) is not None:
                    chunks.append(bytes(chunk))
            return b"".join(chunks)

        yield post


@contextlib.asynccontextmanager
async def pyqwest_client(url: str, concurrency: int) -> AsyncIterator[Post]:
    from pyqwest import Headers, HTTPTransport, HTTPVersion, Request

    transport = HTTPTransport(
        tls_include_system_certs=True,
        http_version=HTTPVersion.HTTP1,
        pool_max_idle_per_host=concurrency,
        use_system_dns=True,
        follow_redirects=False,
        enable_otel=False,
    )
    async with transport:

        async def post(url: str, body: bytes) -> bytes:
            response = await transport.execute(Request("POST", url, Headers(list(HEADERS.items())), body))
            try:
                chunks, size, promised = [], 0, int(response.headers.get("content-length", -1))
                async for chunk in response.content:
                    chunks.append(bytes(chunk))
                    size += len(chunk)
                    if size == promised:  # not waiting for the end that is known saves 0.2 ms
                        break
            except BaseException:
                await response.aclose()
                raise
            return b"".join(chunks)

        yield post


@contextlib.asynccontextmanager
async def evalgate_client(url: str, concurrency: int) -> AsyncIterator[Post]:
    from evalgate.endpoints.transport import open_transport

    opened = open_transport(url, concurrency=concurrency, timeout_s=60, environ={}, secrets=("none",))
    async with opened as transport:

        async def post(url: str, body: bytes) -> bytes:
            return (await transport.send("POST", url, HEADERS, body)).body

        yield post


CLIENTS = {
    "evalgate": evalgate_client,
    "aiohttp": aiohttp_client,
    "pyreqwest": pyreqwest_client,
    "pyqwest": pyqwest_client,
}
LOADED = {"pyreqwest": "pyreqwest.client", "evalgate": "evalgate.endpoints.wire.pool"}
"""What stands for a client's import, where it is not the package itself."""
GOALS = "| goal | <= 15 | <= 150 | | at once |"


async def throughput(client: str, url: str, requests: int, concurrency: int) -> tuple[float, float]:
    """Wall seconds and CPU seconds of `requests` calls; the first of each worker is not counted."""
    body = {"model": "mock", "messages": [{"role": "user", "content": "case 1: add 40 2"}], "temperature": 0}

    async with CLIENTS[client](url, concurrency) as post:

        async def worker(calls: int) -> None:
            for _ in range(calls):
                answer = json.loads(await post(url, json.dumps(body).encode()))
                if "choices" not in answer:
                    raise RuntimeError(f"not a chat completion: {answer}")

        await asyncio.gather(*(worker(1) for _ in range(concurrency)))
        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(worker(requests // concurrency) for _ in range(concurrency)))
        return time.perf_counter() - wall, time.process_time() - cpu


async def seconds_until_closed(client: str, concurrency: int) -> float | None:
    """How long after the cancellation of a waiting request its connection is open; None: longer than was waited."""
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while await reader.read(1 << 16):
                pass
            closed.set()
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        async with CLIENTS[client](url, concurrency) as post:
            call = asyncio.ensure_future(post(url, b"{}"))
            await arrived.wait()
            begin = time.perf_counter()
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
            try:
                await asyncio.wait_for(closed.wait(), CLOSE_WAIT_S)
            except TimeoutError:
                return None
            return time.perf_counter() - begin
    finally:
        server.close()


def measure(client: str, url: str, requests: int, concurrency: int) -> dict[str, Any]:
    import evalgate.endpoints  # noqa: F401 - loaded by every command

    begin = time.process_time()
    __import__(LOADED.get(client, client))
    imported = time.process_time() - begin
    wall, cpu = asyncio.run(throughput(client, url, requests, concurrency))
    done = requests // concurrency * concurrency
    return {
        "import_ms": imported * 1e3,
        "cpu_us": cpu / done * 1e6,
        "per_s": done / wall,
        "closed_s": asyncio.run(seconds_until_closed(client, concurrency)),
    }


async def serve() -> None:
    """Answers everything with one chat completion; prints its port first."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                request = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(request.split(b"content-length:")[1].split(b"\r\n")[0]))
                writer.write(head + ANSWER)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} [{min(values):,.{digits}f}-{max(values):,.{digits}f}]"


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        "| client | import, CPU ms | CPU us/request | requests/s | cancelled request closes after |",
        "|---|---|---|---|---|",
    ]
    for client, runs in rows.items():
        waits = [run["closed_s"] for run in runs]
        closes = f"not within {CLOSE_WAIT_S:g} s" if None in waits else f"{spread([w * 1e3 for w in waits], 1)} ms"
        figures = (spread([run[key] for run in runs]) for key in ("import_ms", "cpu_us", "per_s"))
        lines.append(f"| {client} | {' | '.join(figures)} | {closes} |")
    return "\n".join([*lines, GOALS])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a chat completions URL to ask instead of the small server")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=[*CLIENTS, "serve"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one == "serve":
        asyncio.run(serve())
        return
    if args.one:
        print(json.dumps(measure(args.one, args.url, args.requests, args.concurrency)))
        return

    me = [sys.executable, __file__, "--requests", str(args.requests), "--concurrency", str(args.concurrency)]
    with contextlib.ExitStack() as stack:
        url = args.url
        if not url:
            server = stack.enter_context(subprocess.Popen([*me, "--one", "serve"], stdout=subprocess.PIPE, text=True))
            stack.callback(server.terminate)
            assert server.stdout is not None
            url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1/chat/completions"
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in CLIENTS if importlib.util.find_spec(name)}
        for _ in range(args.runs):
            for client, runs in rows.items():
                output = subprocess.run(
                    [*me, "--one", client, "--url", url], check=True, capture_output=True, text=True
                )
                runs.append(json.loads(output.stdout))
        print(table(rows))


if __name__ == "__main__":
    main()
