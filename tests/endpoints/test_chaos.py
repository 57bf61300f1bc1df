"""Many calls at once of a server that does whatever a server can do wrong."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import Any

import pytest
from endpoint_servers import read_request, serving

from evalgate.endpoints.transport import open_transport
from evalgate.errors import CallError


class Moody:
    """Answers with the request's own number, or with part of it, with nonsense, late, twice, or not at all."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rng = self.rng
        while True:
            _, request = await read_request(reader)
            body = json.dumps({"id": json.loads(request)["id"], "pad": "x" * rng.choice([0, 10, 50_000])}).encode()
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            if rng.random() < 0.3:
                answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
                    len(body),
                    body,
                )
            cut = rng.randrange(len(answer))
            match rng.choice(
                ["whole"] * 8 + ["late", "in two", "close", "cut", "hang", "reset", "whole, close", "two", "no"]
            ):
                case "whole":
                    writer.write(answer)
                case "late":
                    await asyncio.sleep(0.02)
                    writer.write(answer)
                case "in two":
                    writer.write(answer[:cut])
                    await asyncio.sleep(0.002)
                    writer.write(answer[cut:])
                case "close":
                    return
                case "cut":
                    writer.write(answer[:cut])
                    return
                case "hang":
                    writer.write(answer[:cut])
                    await reader.read()
                    return
                case "reset":
                    writer.transport.abort()
                    return
                case "whole, close":
                    writer.write(answer)
                    return
                case "two":
                    writer.write(answer + b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n")
                case "no":
                    writer.write(rng.randbytes(30))
            await writer.drain()


@pytest.mark.parametrize("seed", range(2))
def test_no_call_gets_the_answer_of_another(seed: int) -> None:
    """Each ends with its own answer, whole, or with an error; also beside calls that are cancelled at any moment."""
    rng = random.Random(seed)
    ends: Counter[str] = Counter()
    complaints: list[Any] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        async with serving(Moody(rng)) as port:
            url = f"http://127.0.0.1:{port}/"
            todo = iter(range(300))
            async with open_transport(url, concurrency=16, timeout_s=0.4, environ={}, secrets=()) as transport:

                async def worker() -> None:
                    for number in todo:
                        call = asyncio.ensure_future(transport.send("POST", url, {}, b'{"id": %d}' % number))
                        if rng.random() < 0.2:
                            await asyncio.sleep(rng.random() * 0.01)
                            call.cancel()
                        try:
                            reply = await call
                        except (CallError, asyncio.CancelledError) as error:
                            ends[type(error).__name__] += 1
                        else:
                            assert json.loads(reply.body)["id"] == number
                            ends["answered"] += 1

                await asyncio.gather(*(worker() for _ in range(16)))

    asyncio.run(run())
    assert ends.total() == 300
    assert ends["answered"] > 50 and ends["CallError"] > 10 and ends["CancelledError"] > 5
    assert complaints == []
