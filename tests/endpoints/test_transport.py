"""The HTTP client's promises, each against a real server on localhost."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import resource
import subprocess
import sys

import pytest
from endpoint_servers import Canned, Handler, read_request, saying, serving

from evalgate.endpoints.transport import Reply, open_transport
from evalgate.endpoints.wire.parsing import MAX_BODY_BYTES
from evalgate.errors import CallError, CallFault

KEY = "sk-verysecret-0123456789"


async def send(url: str, timeout_s: float = 5.0) -> Reply:
    opened = open_transport(url, concurrency=4, timeout_s=timeout_s, environ={}, secrets=(KEY,))
    async with opened as transport:
        return await transport.send("POST", url, {"authorization": f"Bearer {KEY}"}, b"{}")


def failure(handler: Handler) -> CallError:
    async def run() -> CallError:
        async with serving(handler) as port:
            with pytest.raises(CallError) as caught:
                await send(f"http://localhost:{port}/v1", 1.0)
            return caught.value

    return asyncio.run(run())


def test_connections_are_kept_open_between_calls() -> None:
    """Twenty calls, two at a time, need no more than two connections."""
    server = Canned(body=b'{"a": 1}')

    async def run() -> None:
        async with serving(server) as port:
            url = f"http://127.0.0.1:{port}/"
            opened = open_transport(url, concurrency=2, timeout_s=5, environ={}, secrets=())
            async with opened as transport:
                for _ in range(10):
                    await asyncio.gather(*(transport.send("POST", url, {}, b"{}") for _ in range(2)))

    asyncio.run(run())
    assert len(server.heads) == 20
    assert server.connections <= 2


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "within the answer"])
def test_a_cancelled_call_closes_its_connection(begun: bool) -> None:
    """A call that is given up is not left running: the server sees the connection close."""

    async def run() -> None:
        arrived, closed = asyncio.Event(), asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            if begun:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
                await writer.drain()
                await asyncio.sleep(0.05)
            arrived.set()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            closed.set()

        async with serving(hang) as port:
            url = f"http://127.0.0.1:{port}/"
            async with open_transport(url, concurrency=1, timeout_s=60, environ={}, secrets=()) as transport:
                call = asyncio.create_task(transport.send("POST", url, {}, b"{}"))
                await arrived.wait()
                call.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await call
                await asyncio.wait_for(closed.wait(), 5)

    asyncio.run(run())


def test_a_timed_out_call_leaves_the_transport_usable() -> None:
    """After time-outs the next call gets its answer, as if nothing had been."""

    async def run() -> int:
        answered = 0

        async def moody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head, _ = await read_request(reader)
                if b"/slow" in head:
                    await asyncio.sleep(60)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

        async with serving(moody) as port:
            url = f"http://127.0.0.1:{port}"
            async with open_transport(url, concurrency=2, timeout_s=60, environ={}, secrets=()) as transport:
                for _ in range(5):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.02):
                            await transport.send("POST", url + "/slow", {}, b"{}")
                    answered += (await transport.send("POST", url + "/fast", {}, b"{}")).status == 200
        return answered

    assert asyncio.run(run()) == 5


def test_an_endless_answer_ends_at_the_limit_and_in_bounded_memory() -> None:
    """More than 32 MiB is an error, also where no length is promised and where few bytes unpack to many."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"100000\r\n" + b"x" * 0x100000 + b"\r\n")
            await writer.drain()

    bomb = gzip.compress(b"x" * (MAX_BODY_BYTES * 4), 1)
    packed = Canned(body=bomb, headers={"Content-Encoding": "gzip"})
    for server in (endless, packed):
        error = failure(server)
        assert error.fault is CallFault.BAD_ANSWER
        assert "longer than 32 MiB" in str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert grown < 4 * (MAX_BODY_BYTES >> 20) + 64


def test_a_promised_length_above_the_limit_is_refused_unread() -> None:
    """Nothing of the body has to come for the error."""

    async def boast(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
        await reader.read()

    assert "longer than 32 MiB" in str(failure(boast))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed_and_say_where_they_point(status: int) -> None:
    """The key is sent to the configured address only; the query of the new address is not shown."""

    async def run() -> tuple[str, Canned]:
        elsewhere = Canned()
        async with serving(elsewhere) as other:
            location = f"http://127.0.0.1:{other}/v2?token=abcd"
            async with serving(Canned(status=status, headers={"Location": location})) as port:
                with pytest.raises(CallError) as caught:
                    await send(f"http://127.0.0.1:{port}/v1")
        assert caught.value.fault is CallFault.REFUSED_REQUEST
        assert f"127.0.0.1:{other}/v2" in str(caught.value)
        return str(caught.value), elsewhere

    message, elsewhere = asyncio.run(run())
    assert elsewhere.connections == 0
    assert "abcd" not in message


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"", CallFault.CONNECTION),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{}", CallFault.CONNECTION),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", CallFault.CONNECTION),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", CallFault.BAD_ANSWER),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope", CallFault.BAD_ANSWER),
    ],
    ids=["closed unanswered", "shorter than promised", "cut within chunks", "another protocol", "broken gzip"],
)
def test_a_broken_answer_is_never_half_an_answer(answer: bytes, fault: CallFault) -> None:
    """An answer that was cut off can be asked for again; one in another protocol cannot."""
    error = failure(saying(answer))
    assert (error.fault, error.is_retryable) == (fault, fault is CallFault.CONNECTION)
    assert "localhost:" in str(error)


def test_header_values_of_any_bytes_are_survived() -> None:
    """A header that is no text does not cost the answer."""

    async def run() -> Reply:
        async with serving(saying(b"HTTP/1.1 200 OK\r\nX-Raw: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}")) as port:
            return await send(f"http://127.0.0.1:{port}/")

    assert asyncio.run(run()).body == b"{}"


def test_an_unreachable_server_is_named_with_host_and_port() -> None:
    """Refused and unresolvable both say where, and what to check."""

    async def run(url: str) -> CallError:
        with pytest.raises(CallError) as caught:
            await send(url)
        return caught.value

    refused = asyncio.run(run("http://127.0.0.1:9/v1"))
    unknown = asyncio.run(run("http://no-such-host.invalid:81/v1"))
    assert refused.fault is unknown.fault is CallFault.CONNECTION
    assert "no connection to 127.0.0.1:9: connection refused. Check that the server runs there" in str(refused)
    assert "no-such-host.invalid:81" in str(unknown)
    assert "Check the host name" in str(unknown)


def test_the_kinds_load_without_an_http_client() -> None:
    """`import evalgate.endpoints` must not cost what only a run needs."""
    heavy = "{'asyncio', 'ssl', 'evalgate.endpoints.wire', 'jinja2', 'jmespath', 'genai_prices', 'pydantic'}"
    code = f"import sys, evalgate.endpoints; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
