"""Endpoints that answer as none should: each becomes one error that says what happened and what to check."""

from __future__ import annotations

import asyncio
import gzip
import resource
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from endpoint_servers import Canned, Handler, ask_server, make_opening, make_request, read_request, saying, serving

from evalgate.endpoints import Settings
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.http_template import Http
from evalgate.endpoints.wire.parsing import MAX_BODY_BYTES
from evalgate.errors import CallError, CallFault

KEY = "sk-verysecret-0123456789"
PLAIN_KEY = "Quetzalcoatlus northropi"
"""A key that only looks like one to who knows it."""
OK = b"HTTP/1.1 200 OK\r\n"
COMPLETION = b'{"choices": [{"message": {"content": "4"}, "finish_reason": "stop"}]}'
PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def openai(url: str) -> Settings:
    return OpenAI(base_url=f"{url}/v1", model="m", api_key_env="KEY")


def http(url: str) -> Settings:
    return Http(url=f"{url}/ask", body={"q": "{{ prompt }}"}, output="a", api_key_env="KEY")


KINDS = pytest.mark.parametrize("make", [openai, http])


def failure(server: Handler, make: Callable[[str], Settings], timeout_s: float = 5.0, key: str = KEY) -> CallError:
    (error,) = ask_server(server, make, environ={"KEY": key}, timeout_s=timeout_s)
    assert isinstance(error, CallError)
    assert key not in str(error)
    assert "\n" not in str(error) and len(str(error)) < 600
    return error


def sized(body: bytes, length: int | None = None, more: bytes = b"") -> bytes:
    return OK + b"Content-Length: %d\r\n%b\r\n" % (len(body) if length is None else length, more) + body


@KINDS
@pytest.mark.parametrize(
    ("answer", "fault", "said"),
    [
        (b"", CallFault.CONNECTION, "closed the connection without an answer. Check the server's log"),
        (b"HTTP/1.1 200 OK\r\nContent-T", CallFault.CONNECTION, "the headers not complete"),
        (sized(COMPLETION, 200), CallFault.CONNECTION, f"after {len(COMPLETION)} of 200 bytes"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", CallFault.CONNECTION, "after 2 bytes of the body"),
        (sized(COMPLETION, len(COMPLETION) - 9), CallFault.BAD_ANSWER, "more than the length of its answer"),
        (sized(b"{}", -2), CallFault.BAD_ANSWER, "a Content-Length that is no number of bytes: '-2'"),
        (sized(b"{}", 2, b"Content-Length: 3\r\n"), CallFault.BAD_ANSWER, "two lengths of one answer"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nnope\r\n", CallFault.BAD_ANSWER, "a chunk without its size"),
        (OK + b"X: y\r\n" * 100_000, CallFault.BAD_ANSWER, "more than 128 KiB of headers"),
        (b"220 mail.example ESMTP\r\n", CallFault.BAD_ANSWER, "no HTTP: '220 mail.example ESMTP"),
        (b"\0" * 64, CallFault.BAD_ANSWER, "no HTTP"),
        (sized(b"nope", more=b"Content-Encoding: gzip\r\n"), CallFault.BAD_ANSWER, "badly compressed"),
        (sized(b"nope", more=b"Content-Encoding: br\r\n"), CallFault.BAD_ANSWER, "not asked for: 'br'"),
        (
            sized(gzip.compress(b"{}", mtime=0)[:-3], more=b"Content-Encoding: gzip\r\n"),
            CallFault.BAD_ANSWER,
            "cut off",
        ),
        (sized(PAGE), CallFault.BAD_ANSWER, "not JSON"),
        (sized(b'{"a": "\xff"}'), CallFault.BAD_ANSWER, "not UTF-8 at byte 7"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n" + PAGE, CallFault.SERVER, "answered 502: <html>"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", CallFault.SERVER, "answered 502. Check"),
    ],
)
def test_a_broken_answer_is_an_error_with_its_cause(
    make: Callable[[str], Settings], answer: bytes, fault: CallFault, said: str
) -> None:
    """What was cut off may be asked for again; what is wrong would be wrong again. No key is shown."""
    error = failure(saying(answer), make)
    assert error.fault is fault
    assert said in str(error)


@KINDS
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"", "s (not a byte came)"),
        (b"HTTP/1.1 200", "(after 12 bytes, the headers not complete)"),
        (sized(b"{}", 200), "(after 2 of 200 bytes"),
        (OK + b"\r\n{}", "(after 2 bytes of the body)"),
    ],
)
def test_a_server_that_stops_is_a_timeout_that_says_how_far_it_came(
    make: Callable[[str], Settings], sent: bytes, said: str
) -> None:
    """A promise of more bytes than come is one of these."""
    error = failure(saying(sent, stays=True), make, timeout_s=0.1)
    assert error.fault is CallFault.TIMEOUT
    assert said in str(error)


@KINDS
def test_the_timeout_is_for_the_whole_answer(make: Callable[[str], Settings]) -> None:
    """A byte now and then does not keep a call alive."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in sized(COMPLETION + b" " * 10_000):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    assert failure(drip, make, timeout_s=0.15).fault is CallFault.TIMEOUT


@pytest.mark.parametrize("how", ["promised", "chunks", "until closed", "gzip"])
def test_a_hundred_megabytes_are_refused_within_bounded_memory(how: str) -> None:
    """The memory is that of the longest answer that may be, not of what a server cares to send."""
    size = 100 * 1024 * 1024

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        head = {"promised": b"Content-Length: %d\r\n" % size, "chunks": b"Transfer-Encoding: chunked\r\n"}
        writer.write(OK + head.get(how, b"") + b"\r\n")
        piece = b"x" * (1 << 20)
        for _ in range(size >> 20):
            writer.write(b"100000\r\n" + piece + b"\r\n" if how == "chunks" else piece)
            await writer.drain()

    packed = Canned(body=gzip.compress(b"x" * size, 1), headers={"Content-Encoding": "gzip"})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = failure(packed if how == "gzip" else flood, openai)
    assert error.fault is CallFault.BAD_ANSWER
    assert "is longer than 32 MiB" in str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 3 * MAX_BODY_BYTES


@KINDS
def test_a_redirect_is_told_and_not_followed(make: Callable[[str], Settings]) -> None:
    """To another scheme, to another host: a person has to write the new address."""
    answer = b"HTTP/1.1 301 Moved\r\nLocation: https://other.example/v1\r\nContent-Length: 0\r\n\r\n"
    error = failure(saying(answer), make)
    assert error.fault is CallFault.REFUSED_REQUEST
    assert "points to https://other.example/v1; redirects are not followed" in str(error)


@KINDS
def test_an_error_that_repeats_the_key_does_not_show_it(make: Callable[[str], Settings]) -> None:
    """Neither as text in another protocol nor in a header that cannot be read, nor half of it where a text is cut."""
    key = PLAIN_KEY.encode()
    for answer in (
        b"ERR unknown key, and that is all: " + key + b"\r\n",
        OK + b"Content-Length: " + key + b"\r\n\r\n",
        OK + b"no header but " + key + b"\r\n\r\n",
        sized(b"x", more=b"Content-Encoding: a coding called " + key + b"\r\n"),
    ):
        message = str(failure(saying(answer), make, key=PLAIN_KEY))
        assert PLAIN_KEY[:4] not in message


def ask(server: Handler, *requests: Any) -> list[Any]:
    return ask_server(server, openai, *(requests or (make_request(),)), environ={"KEY": KEY})


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + sized(COMPLETION),
        OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(COMPLETION), COMPLETION),
        OK + b"Connection: close\r\n\r\n" + COMPLETION,
        sized(COMPLETION) + b"\r\n",
        sized(gzip.compress(COMPLETION, mtime=0), more=b"Content-Encoding: gzip\r\n"),
        sized(
            gzip.compress(COMPLETION[:9], mtime=0) + gzip.compress(COMPLETION[9:], mtime=0),
            more=b"Content-Encoding: x-gzip\r\n",
        ),
        sized(zlib.compress(COMPLETION), more=b"Content-Encoding: deflate\r\n"),
        sized(zlib.compress(COMPLETION)[2:-4], more=b"Content-Encoding: deflate\r\n"),
    ],
    ids=["interim", "chunks", "until closed", "line break after", "gzip", "two members", "deflate", "bare deflate"],
)
def test_unusual_but_right_answers_are_read(answer: bytes) -> None:
    """What the standard allows is no fault."""
    (output,) = ask(saying(answer))
    assert output.text == "4"


def test_a_connection_closed_between_calls_costs_nothing() -> None:
    """A server that closes after each answer, told or untold, is asked again on a new connection; nobody sees it."""
    connections = 0

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(sized(COMPLETION))
        await writer.drain()
        if connections % 2:  # stays open just long enough to be chosen again
            await read_request(reader)

    outputs = ask(once, *(make_request() for _ in range(6)))
    assert [getattr(output, "text", output) for output in outputs] == ["4"] * 6
    assert connections == 6


def test_a_request_that_was_half_answered_is_not_sent_again() -> None:
    """On a used connection as on a new one: it may have been paid for."""
    heads: list[bytes] = []

    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await read_request(reader))[0])
        writer.write(sized(COMPLETION))
        heads.append((await read_request(reader))[0])
        writer.write(b"HTTP/1.1 2")
        await writer.drain()

    first, second = ask(half, make_request(), make_request())
    assert first.text == "4"
    assert second.fault is CallFault.CONNECTION
    assert len(heads) == 2


def test_what_a_server_says_unasked_is_no_answer_to_the_next_request() -> None:
    """A farewell on an idle connection, or the late rest of an answer: that connection is not used again."""
    connections = 0

    async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(sized(COMPLETION))
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def run() -> list[str]:
        texts = []
        async with serving(chatty) as port:
            opening = make_opening(environ={"KEY": KEY})
            async with openai(f"http://127.0.0.1:{port}").open(opening) as endpoint:
                for _ in range(3):
                    texts.append((await endpoint.call(make_request())).text or "")
                    await asyncio.sleep(0.02)
        return texts

    assert asyncio.run(run()) == ["4", "4", "4"]
    assert connections == 3


def test_an_answer_before_the_request_was_read_counts() -> None:
    """Too large a body is refused by its head: the refusal is told, and the connection not used for the rest."""
    connections = 0

    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        while await reader.read(1 << 16):
            pass

    errors = ask(refusing, *(make_request("x" * 8_000_000) for _ in range(2)))
    assert [error.fault for error in errors] == [CallFault.REFUSED_REQUEST] * 2
    assert "413" in str(errors[0])
    assert connections == 2


def test_a_gzip_of_many_empty_members_ends_soon() -> None:
    """A body that unpacks to nothing can cost as much as one that unpacks to everything."""
    body = gzip.compress(b"", mtime=0) * 50_000
    began_at = time.process_time()
    (error,) = ask(saying(sized(body, more=b"Content-Encoding: gzip\r\n")))
    assert "too many pieces" in str(error)
    assert time.process_time() - began_at < 5
