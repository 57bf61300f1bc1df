"""How far a run has come, told while it goes on. Knows no result's content: model text never reaches the terminal."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol, TextIO

from evalgate.errors import CallFault
from evalgate.records import Failed, Result
from evalgate.runner.meter import Meter


class Progress(Protocol):
    """Who wants to know how a run goes."""

    def start(self, total: int, done: int = 0, *, used: Meter | None = None, budget_usd: float | None = None) -> None:
        """A run of `total` results begins, `done` of which an earlier session made. used: what it has used so far,
        counted on by others; None: to be counted by the results. budget_usd: what it may cost; None: no bound."""

    def advance(self, result: Result) -> None:
        """One more result."""

    def retry(self, fault: CallFault, wait_s: float) -> None:
        """A call failed and is made again in `wait_s` seconds."""

    def stop(self) -> None:
        """The run is over, complete or not."""


class Silent:
    """Tells nothing."""

    def start(
        self, total: int, done: int = 0, *, used: Meter | None = None, budget_usd: float | None = None
    ) -> None: ...
    def advance(self, result: Result) -> None: ...
    def retry(self, fault: CallFault, wait_s: float) -> None: ...
    def stop(self) -> None: ...


class _Counting:
    """What `Bar` and `Lines` share: the counts, and a stream that may go away."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream: TextIO | None = stream
        self._clock = clock
        self._total = 0
        self._done = 0
        self._new = 0
        self._failed = 0
        self._counts_itself = True
        self._used = Meter()
        self._budget_usd: float | None = None
        self._retries: Counter[str] = Counter()
        self._began_at = 0.0

    def start(self, total: int, done: int = 0, *, used: Meter | None = None, budget_usd: float | None = None) -> None:
        self._counts_itself = used is None
        self._used, self._budget_usd = used or Meter(), budget_usd
        self._total = total
        self._done = done
        self._began_at = self._clock()

    def advance(self, result: Result) -> None:
        self._done += 1
        self._new += 1
        if isinstance(result, Failed):
            self._failed += 1
        if self._counts_itself:
            self._used.count(result)

    def retry(self, fault: CallFault, wait_s: float) -> None:
        self._retries[fault.value.replace("_", " ")] += 1

    @property
    def _share(self) -> float:
        return self._done / self._total if self._total else 1.0

    def _figures(self, now: float) -> str:
        """`2 failed, 3 retries (rate limited), 40 from the cache, 45.2/s, $0.12 of $2, 11 s left`: telling first."""
        parts = []
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._retries:
            count = sum(self._retries.values())
            parts.append(f"{count} {'retry' if count == 1 else 'retries'} ({self._retries.most_common(1)[0][0]})")
        if self._used.calls_saved:
            parts.append(f"{self._used.calls_saved:,} from the cache")
        elapsed_s = now - self._began_at
        if self._new and elapsed_s > 0:
            rate = self._new / elapsed_s
            parts.append(f"{rate:.1f}/s" if rate < 100 else f"{rate:.0f}/s")
        if self._used.requests > self._done:
            parts.append(f"{self._used.requests:,} calls")
        parts += [cost] if (cost := self._cost()) else []
        if self._done >= self._total:
            parts.append(f"{_duration(elapsed_s)}")
        elif self._new and elapsed_s > 0:
            parts.append(f"{_duration((self._total - self._done) * elapsed_s / self._new)} left")
        return ", ".join(parts)

    def _cost(self) -> str:
        """`$0.12 of $2.00`, `$0.12`, `cost unknown`; nothing where no price is known and nothing watches it."""
        used, budget = self._used, self._budget_usd
        if not used.known_usd and budget is None:
            return ""
        if not used.is_priced:
            return "cost unknown"  # a sum of some would look like the cost
        return _dollars(used.known_usd) + ("" if budget is None else f" of {_dollars(budget)}")

    def _write(self, text: str) -> None:
        """Progress that cannot be told (a closed pipe) is no reason to end a run."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


class Bar(_Counting):
    """One line on a terminal, redrawn at most ten times a second."""

    _WIDTH = 24

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream, clock)
        self._drawn_at: float | None = None
        encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
        self._full, self._empty = ("━", "─") if encoding.startswith("utf") else ("#", ".")

    def start(self, total: int, done: int = 0, *, used: Meter | None = None, budget_usd: float | None = None) -> None:
        super().start(total, done, used=used, budget_usd=budget_usd)
        self._draw()

    def advance(self, result: Result) -> None:
        super().advance(result)
        self._draw()

    def retry(self, fault: CallFault, wait_s: float) -> None:
        super().retry(fault, wait_s)
        self._draw()

    def stop(self) -> None:
        self._drawn_at = None
        self._draw()
        self._write("\n")

    def _draw(self) -> None:
        now = self._clock()
        if self._drawn_at is not None and now - self._drawn_at < 0.1:
            return
        self._drawn_at = now
        full = int(self._WIDTH * self._share)
        bar = self._full * full + self._empty * (self._WIDTH - full)
        line = f"{bar} {self._done}/{self._total}  {self._figures(now)}"
        columns = shutil.get_terminal_size().columns
        self._write("\r\x1b[K" + line[: columns - 1].rstrip())


class Lines(_Counting):
    """A plain line at each tenth of the way and at least every 30 seconds, for logs."""

    _EVERY_S = 30.0

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream, clock)
        self._told_at = 0.0
        self._told_tenth = 0

    def start(self, total: int, done: int = 0, *, used: Meter | None = None, budget_usd: float | None = None) -> None:
        super().start(total, done, used=used, budget_usd=budget_usd)
        self._told_at = self._began_at
        self._told_tenth = int(self._share * 10)
        self._write(f"{done}/{total} done already\n" if done else f"0/{total}\n")

    def advance(self, result: Result) -> None:
        super().advance(result)
        self._tell()

    def retry(self, fault: CallFault, wait_s: float) -> None:
        super().retry(fault, wait_s)
        self._tell()

    def stop(self) -> None:
        if self._done < self._total:
            self._tell(is_due=True)

    def _tell(self, *, is_due: bool = False) -> None:
        now = self._clock()
        tenth = self._done * 10 // self._total if self._total else 10
        if not is_due and tenth == self._told_tenth and now - self._told_at < self._EVERY_S:
            return
        self._told_at, self._told_tenth = now, tenth
        self._write(f"{self._done}/{self._total} ({self._share:.0%})  {self._figures(now)}".rstrip() + "\n")


def _dollars(usd: float) -> str:
    return f"${usd:.2f}" if usd >= 0.01 or not usd else f"${usd:.4f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
