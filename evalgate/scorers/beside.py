"""Scorers that need much processor time, in processes beside the run: one slow judgement must not hold up all calls.

Which scorers those are, a run finds out by itself: each judges where it is, until it has taken long. Knows no endpoint
and no run.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sys
import time
from contextlib import suppress
from types import TracebackType

from evalgate.errors import ScorerError
from evalgate.records import Case, Output, Score, ScorerSpec
from evalgate.scorers.build import Scorer
from evalgate.scorers.worker import LENGTH, framed

SLOW_S = 0.003
"""A judgement that takes this long on average is worth another process: sending it there costs a tenth."""

PATIENCE_S = 0.1
"""What a slow scorer may take altogether before it is moved: about what it takes to start a process."""

GONE_S = 1.0
"""How long a process whose pipe has ended may take to end itself."""

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from evalgate.scorers.worker import main; main(float(sys.argv[2]))"
)


class Processes:
    """As many processes as there are processors, each started when it is first needed. An async context manager."""

    def __init__(self, timeout_s: float, most: int | None = None) -> None:
        """timeout_s: longest that one judgement may take. most: how many processes; None: one a processor."""
        self.timeout_s = timeout_s
        self._idle: list[asyncio.subprocess.Process] = []
        self._started: set[asyncio.subprocess.Process] = set()
        self._ready: set[asyncio.subprocess.Process] = set()
        self._places = asyncio.Semaphore(most or os.cpu_count() or 1)

    async def __aenter__(self) -> Processes:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in list(self._started):
            await self._end(process)

    async def judge(self, spec: ScorerSpec, case: Case, output: Output) -> Score:
        """The scorer's judgement. Raises ScorerError, also where it takes too long or its process dies of it."""
        async with self._places:
            process = self._idle.pop() if self._idle else await self._start()
            try:
                if process not in self._ready:
                    await _said(process)  # that it has started: its time is not the scorer's
                    self._ready.add(process)
                async with asyncio.timeout(self.timeout_s):
                    answer = await _asked(process, framed((spec, case, output)))
            except TimeoutError:
                await self._end(process)
                raise ScorerError(f"scorer {spec.name}: no judgement within {self.timeout_s:g} s") from None
            except (EOFError, OSError):
                # Killing asks for its state, and whoever asks first gets its exit code: it is mostly gone by itself.
                with suppress(TimeoutError):
                    async with asyncio.timeout(GONE_S):
                        await process.wait()
                code = await self._end(process)
                raise ScorerError(f"scorer {spec.name}: it ended its process ({_told(code)})") from None
            except BaseException:
                await self._end(process)  # cancelled: whatever it would still say is of no use to the next
                raise
            self._idle.append(process)
        if isinstance(answer, str):
            raise ScorerError(answer)
        return answer

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _START, json.dumps(sys.path), f"{self.timeout_s + 5:g}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._started.add(process)
        return process

    async def _end(self, process: asyncio.subprocess.Process) -> int:
        self._started.discard(process)
        self._ready.discard(process)
        with suppress(ValueError):
            self._idle.remove(process)
        with suppress(ProcessLookupError):
            process.kill()
        return await process.wait()


async def _asked(process: asyncio.subprocess.Process, request: bytes) -> Score | str:
    assert process.stdin is not None
    process.stdin.write(request)
    await process.stdin.drain()
    return await _said(process)


async def _said(process: asyncio.subprocess.Process) -> Score | str:
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(LENGTH), "big")
    answer: Score | str = pickle.loads(await process.stdout.readexactly(length))
    return answer


def _told(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class Beside:
    """A scorer that waits for nothing, moved to other processes once it has shown that it is slow.

    Judges the same in either place: what it keeps in global variables, each process has for itself.
    """

    def __init__(
        self,
        scorer: Scorer,
        spec: ScorerSpec,
        processes: Processes,
        *,
        slow_s: float = SLOW_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.name, self.version, self.weight = scorer.name, scorer.version, scorer.weight
        self.is_async = False
        self.is_beside = False
        """Whether it has been moved: then `score` is to be called, else `score_now`."""
        self._scorer, self._spec, self._processes = scorer, spec, processes
        self._slow_s, self._patience_s = slow_s, patience_s
        self._spent_s, self._times = 0.0, 0

    def score_now(self, case: Case, output: Output) -> Score:
        begin = time.perf_counter()
        try:
            return self._scorer.score_now(case, output)
        finally:
            self._times += 1
            self._spent_s += time.perf_counter() - begin
            self.is_beside = self._spent_s > self._patience_s and self._spent_s > self._slow_s * self._times

    async def score(self, case: Case, output: Output) -> Score:
        return await self._processes.judge(self._spec, case, output)


def beside(scorer: Scorer, spec: ScorerSpec, processes: Processes) -> Scorer | Beside:
    """The scorer, to be moved if it is slow; itself where it waits for others anyway."""
    return scorer if scorer.is_async else Beside(scorer, spec, processes)
