"""A small endpoint that speaks chat completions and writes down each call: its case, when it came and was answered.

    python -m benchmarks.runner.counting [--port 0] [--latency-ms 100]

Prints its port in the first line. `POST /forget` gives what was written down since the last time, by model and case, as
`[[came, answered], ...]` on the monotonic clock that all processes of the machine share. A case is `case 000123: ...
add 17 25` in the last message, and is answered with the sum; where its id ends in 7, with a wrong one, and by the model
`worse` also where it ends in 3 or 5.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ASKED = re.compile(r"case (\d+): .*add (\d+) (\d+)")
ROOT = Path(__file__).parents[2]


def question(number: int) -> tuple[str, str, str]:
    """The id of a case, what is asked and what is right."""
    a, b = number * 7919 % 1000, number * 104729 % 1000
    asked = f"case {number:06d}: answer with one number and nothing else: add {a} {b}"
    return f"c{number:06d}", asked, str(a + b)


def is_answered_rightly(case_id: str, model: str) -> bool:
    return case_id[-1] not in ("357" if model == "worse" else "7")


class Counting(asyncio.Protocol):
    """One connection, kept alive; one request at a time on it."""

    def __init__(self, calls: dict[str, list[list[float | None]]], latency_s: float) -> None:
        self._calls, self._latency_s = calls, latency_s
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, gap, body = self._read.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: *(\d+)", head)
        if not gap or (found is not None and len(body) < int(found[1])):
            return
        self._read = b""
        if head.startswith(b"POST /forget"):
            self._answer(dict(self._calls))
            self._calls.clear()
            return
        asked = json.loads(body)
        number, a, b = ASKED.search(asked["messages"][-1]["content"]).groups()  # type: ignore[union-attr]
        case_id = f"c{number}"
        call: list[float | None] = [time.monotonic(), None]
        self._calls.setdefault(f"{asked['model']}/{case_id}", []).append(call)
        reply = str(int(a) + int(b) + (not is_answered_rightly(case_id, asked["model"])))
        asyncio.get_running_loop().call_later(self._latency_s, self._complete, call, reply)

    def _complete(self, call: list[float | None], reply: str) -> None:
        call[1] = time.monotonic()
        message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
        usage = {"prompt_tokens": 20, "completion_tokens": 1, "total_tokens": 21}
        self._answer({"id": "x", "object": "chat.completion", "choices": [message], "usage": usage})

    def _answer(self, value: Any) -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def serve(port: int, latency_s: float) -> None:
    calls: dict[str, list[list[float | None]]] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Counting(calls, latency_s), "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def endpoint(latency_s: float) -> Iterator[str]:
    """The base URL of such an endpoint in a process of its own, which ends with the context."""
    command = [sys.executable, "-m", "benchmarks.runner.counting", "--latency-ms", str(latency_s * 1000)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def forget(base_url: str) -> dict[str, list[tuple[float, float | None]]]:
    """The calls that an endpoint has seen since the last time, by `model/case`."""
    request = urllib.request.Request(base_url.replace("/v1", "/forget"), data=b"{}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return {asked: [(came, gone) for came, gone in calls] for asked, calls in json.load(answer).items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.runner.counting", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=100)
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(given.port, given.latency_ms / 1000))
