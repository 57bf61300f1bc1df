"""Many pull requests on several processes, kept chunk by chunk: what was measured once is not measured again.

A chunk is a line of JSON in the file that is kept. It says of which code it is: chunks of another state of the gate, or
of the simulation, are passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.decision.cells import CELLS

CHUNK = 24
"""Pull requests that one process is given at once, and that an interruption may lose. A multiple of the twelve that
share a history."""

ROOT = Path(__file__).parents[2]
DECIDING = ("evalgate/gate", "evalgate/stats", "evalgate/pipeline/staged.py", "evalgate/records.py", "evalgate/rows.py")
SIMULATING = tuple(f"benchmarks/decision/{name}.py" for name in ("generator", "naive", "limit", "cells", "drive"))

Columns = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Neighbouring pull requests of one cell."""

    cell: str
    seed: int
    first: int
    count: int
    rules: str
    """What stands under `gate:`, as JSON."""


def measured(
    names: Sequence[str],
    *,
    prs: int,
    seed: int,
    jobs: int,
    keep: Path | None,
    tell: Callable[[str], object],
    rules: str = "{}",
) -> dict[str, Columns]:
    """What was measured in each of these cells, `prs` pull requests each, in their order.

    jobs: processes. keep: where chunks are kept, and looked for; None: nowhere. The result depends on neither.
    """
    chunks = [
        Chunk(cell=name, seed=seed, first=first, count=min(CHUNK, prs - first), rules=rules)
        for name in names
        for first in range(0, prs, CHUNK)
    ]
    code = code_fingerprint()
    done = {chunk: columns for chunk, columns in _kept(keep, code) if chunk in set(chunks)}
    todo = [chunk for chunk in chunks if chunk not in done]
    if done:
        tell(f"{len(done)} of {len(chunks)} chunks are kept from before\n")
    begin, busy_s = time.monotonic(), 0.0
    for number, (chunk, columns, cpu_s) in enumerate(_work(todo, jobs), start=1):
        done[chunk] = columns
        busy_s += cpu_s
        if keep is not None:
            _append(keep, {"code": code, **asdict(chunk), "columns": columns})
        left = (time.monotonic() - begin) / number * (len(todo) - number)
        tell(f"\r{number}/{len(todo)} chunks, {chunk.cell}, about {left / 60:.0f} min to go \x1b[K")
    if todo:
        each_ms = 1000 * busy_s / sum(chunk.count for chunk in todo)
        tell(f"\r{each_ms:.0f} ms of processor time for each pull request\x1b[K\n")
    found: dict[str, Columns] = {name: {} for name in names}
    for chunk in chunks:
        for column, values in done[chunk].items():
            found[chunk.cell].setdefault(column, []).extend(values)
    return found


def code_fingerprint() -> str:
    """Names the state of everything that a figure depends on."""
    digest = hashlib.sha256()
    for part in (*DECIDING, *SIMULATING):
        path = ROOT / part
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _work(todo: Sequence[Chunk], jobs: int) -> Iterator[tuple[Chunk, Columns, float]]:
    """Each chunk, its columns and the processor time they took, as they are finished."""
    if jobs == 1:
        yield from ((chunk, *measure_chunk(chunk)) for chunk in todo)
        return
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # the processes are the parallelism
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(measure_chunk, chunk): chunk for chunk in todo}
        try:
            for future in as_completed(futures):
                yield futures.pop(future), *future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def measure_chunk(chunk: Chunk) -> tuple[Columns, float]:
    """What was measured of a chunk's pull requests, by name, and the seconds of processor time it took."""
    from benchmarks.decision.drive import measure_many

    begin = time.process_time()
    columns = measure_many(CELLS[chunk.cell], chunk.seed, chunk.first, chunk.count, chunk.rules)
    return columns, time.process_time() - begin


def _kept(path: Path | None, code: str) -> Iterator[tuple[Chunk, Columns]]:
    if path is None or not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            kept: dict[str, Any] = json.loads(line)
        except json.JSONDecodeError:
            continue  # torn by what ended the process that wrote it
        columns = kept.pop("columns")
        if kept.pop("code") == code:
            yield Chunk(**kept), columns


def _append(path: Path, line: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        # The line break comes first, so that a torn line before it costs nothing but itself.
        file.write("\n" + json.dumps(line, separators=(",", ":")))
