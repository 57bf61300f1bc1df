"""A run at a faulty endpoint beside the same run at a sound one: nothing may be lost, and little time.

    python -m benchmarks.runner.faults [-n 3] [--cases 1000] [--mock PROGRAM]

One case in ten is refused (429, `Retry-After: 1`), one in twenty meets a 500, one in fifty a reset connection and one
in a hundred an answer that never comes: each at its first attempt, chosen by a hash of its id. The endpoint is a small
one of this file, or with --mock (or EVALGATE_MOCK) any program that knows --port, --latency-ms, --p429, --p500,
--preset, --phang and --retry-after, all of them with a value. Exit code 1 where a goal is missed.

What was asked to be waited for is one `Retry-After`: calls that are refused at the same time wait at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.runner.counting import ASKED, ROOT, Counting, is_answered_rightly, question
from evalgate.history.store import History
from evalgate.records import Scored

SHARES = {"p429": 0.10, "p500": 0.05, "preset": 0.02, "phang": 0.01}
NOTHING = dict.fromkeys(SHARES, 0.0)
RETRY_AFTER_S = 1

CONFIG = """\
version: 1
suite: faults
evalsets: [set.yaml]
endpoint: {{kind: openai, base_url: "{url}", model: faulty}}
run: {{concurrency: {concurrency}, timeout_s: {timeout_s}, cache: false}}
history: {{store: "sqlite:///history.db"}}
"""

SET = """\
name: faults
category: sums
prompt: "{{ input }}"
scorers: [exact]
cases_from: cases.jsonl
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is run."""

    cases: int
    concurrency: int
    latency_ms: float
    timeout_s: float
    mock: str | None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a run came to."""

    wall_s: float
    right: int
    lost: int
    attempts: int
    fault: str = ""


class Faulty(Counting):
    """An endpoint whose cases fail at their first attempt, some of them."""

    def __init__(self, seen: set[str], latency_s: float, shares: Mapping[str, float]) -> None:
        super().__init__({}, latency_s)
        self._seen, self._shares = seen, shares

    def data_received(self, data: bytes) -> None:
        found = ASKED.search((self._read + data).decode("utf-8", "replace"))
        if found is None or (fault := self._fault(found[1])) is None:
            super().data_received(data)
            return
        self._read = b""
        if fault != "phang":
            asyncio.get_running_loop().call_later(self._latency_s, self._fail, fault)

    def _fault(self, case_id: str) -> str | None:
        if case_id in self._seen:
            return None
        self._seen.add(case_id)
        drawn = random.Random(case_id).random()
        for fault, share in self._shares.items():
            if drawn < share:
                return fault
            drawn -= share
        return None

    def _fail(self, fault: str) -> None:
        if fault == "preset":
            self._transport.abort()
            return
        status = f"429 Too Many Requests\r\nretry-after: {RETRY_AFTER_S}" if fault == "p429" else "500 Server Error"
        self._transport.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}".encode())


async def serve(latency_s: float, shares: Mapping[str, float]) -> None:
    seen: set[str] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Faulty(seen, latency_s, shares), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def endpoint(job: Job, shares: Mapping[str, float]) -> Iterator[str]:
    """The base URL of an endpoint with these faults, in a process of its own."""
    options = [word for name, share in shares.items() for word in (f"--{name}", f"{share:g}")]
    options += ["--latency-ms", f"{job.latency_ms:g}"]
    if job.mock is None:
        command = [sys.executable, "-m", "benchmarks.runner.faults", "--serve", *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    else:
        port = _free_port()
        command = [job.mock, "--port", str(port), "--retry-after", str(RETRY_AFTER_S), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            if job.mock is None:
                port = int(process.stdout.readline())
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def measure(job: Job, shares: Mapping[str, float]) -> Found:
    """One run of `evalgate run`, start to end."""
    with tempfile.TemporaryDirectory() as name, endpoint(job, shares) as url:
        folder = Path(name)
        text = CONFIG.format(url=url, concurrency=job.concurrency, timeout_s=job.timeout_s)
        (folder / "evalgate.yaml").write_text(text)
        (folder / "set.yaml").write_text(SET)
        rows = (dict(zip(("id", "input", "expected"), question(number), strict=True)) for number in range(job.cases))
        (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        code = f"import sys; sys.path[:0] = {sys.path!r}; from evalgate.cli import main; main()"
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code, "run", "--epochs", "1"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        wall_s = time.monotonic() - began
        if done.returncode:
            said = (done.stdout + done.stderr)[-300:]
            return Found(wall_s=wall_s, right=0, lost=job.cases, attempts=0, fault=f"exit {done.returncode}: {said}")
        with History.open(f"sqlite:///{folder / 'history.db'}") as history:
            results = history.read_run("latest").results
    scored = [result for result in results if isinstance(result, Scored)]
    right = sum(result.score == float(is_answered_rightly(result.case_id, "faulty")) for result in scored)
    attempts = sum(result.attempts for result in results)
    return Found(wall_s=wall_s, right=right, lost=job.cases - len(scored), attempts=attempts)


def table(job: Job, sound: list[Found], faulty: list[Found]) -> tuple[str, bool]:
    """Figures beside goals, and whether all are reached."""
    free_s = statistics.median(found.wall_s for found in sound)
    took_s = statistics.median(found.wall_s for found in faulty)
    allowed_s = 1.5 * free_s + RETRY_AFTER_S + job.timeout_s
    right, lost = min(found.right for found in faulty), max(found.lost for found in faulty)
    rows = [
        ("results right", f"{right:,}", f"{job.cases:,}", right == job.cases),
        ("results lost", f"{lost:,}", "0", not lost),
        ("time", f"{took_s:.2f} s", f"≤ {allowed_s:.2f} s", took_s <= allowed_s),
    ]
    extra = statistics.median(found.attempts for found in faulty) - job.cases
    lines = [
        f"{job.cases:,} cases, {job.concurrency} in flight, {job.latency_ms:g} ms, time-out {job.timeout_s:g} s, "
        f"medians of {len(faulty)}: without faults {free_s:.2f} s; with them {extra:.0f} attempts more. Allowed: 1.5 × "
        f"that time, {RETRY_AFTER_S} s that refused calls were told to wait, and one time-out.",
        "",
        "| | measured | goal | |",
        "| --- | --- | --- | --- |",
        *(f"| {name} | {value} | {goal} | {'reached' if good else 'MISSED'} |" for name, value, goal, good in rows),
        *(f"- {found.fault}" for found in (*sound, *faulty) if found.fault),
    ]
    return "\n".join(lines), all(good for *_, good in rows)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.runner.faults", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("-n", type=int, default=3, dest="repeats", help="runs of each kind, in turns")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--timeout-s", type=float, default=5)
    parser.add_argument("--mock", default=os.environ.get("EVALGATE_MOCK"), metavar="PROGRAM")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    for name in SHARES:
        parser.add_argument(f"--{name}", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    given = parse(argv)
    if given.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(given.latency_ms / 1000, {name: getattr(given, name) for name in SHARES}))
        return 0
    job = Job(
        cases=given.cases,
        concurrency=given.concurrency,
        latency_ms=given.latency_ms,
        timeout_s=given.timeout_s,
        mock=given.mock,
    )
    sound: list[Found] = []
    faulty: list[Found] = []
    for _ in range(given.repeats):
        sound.append(measure(job, NOTHING))
        faulty.append(measure(job, SHARES))
    text, is_good = table(job, sound, faulty)
    print(text)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
