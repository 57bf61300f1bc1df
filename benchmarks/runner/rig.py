"""The measuring rig: a mock endpoint, and each tool's whole process timed on the same work, one line of JSON a run.

The rig is a folder of its own beside the repository (`--rig`, `EVALGATE_BENCH`, or `../shared/bench`): `mock.sh` starts
the mock, `run.py TOOL N C LATENCY_MS` times a tool, `peers/TOOL.py` knows how a tool is run. `PEERS_DIR` has the peers'
environments; evalgate is the one of this Python.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = "evalgate"
FLOOR = "floor,client=aiohttp"
"""Not a peer: the bare loop with a library's HTTP client."""


class NoRig(Exception):
    """There is nothing to measure with."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What every tool does."""

    cases: int
    in_flight: int
    latency_ms: float

    @property
    def limit_s(self) -> float:
        """What no client can be faster than."""
        return -(-self.cases // self.in_flight) * self.latency_ms / 1000


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One run of one tool, start to end."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    requests: int
    fault: str = ""
    """Why it does not count; empty: every result was right."""


@dataclass(frozen=True)
class Rig:
    """The rig in a folder, its mock running."""

    folder: Path
    port: int
    environ: Mapping[str, str] = field(repr=False)

    def time(self, tool: str, work: Work) -> Timed:
        """One run. tool: a peer's name, with `,key=value` for what it can be told."""
        name, *arguments = tool.split(",")
        command = [sys.executable, str(self.folder / "run.py"), name, str(work.cases), str(work.in_flight)]
        command += [f"{work.latency_ms:g}", "--port", str(self.port), "--timeout", "1200"]
        command += [word for argument in arguments for word in ("--tool-arg", argument)]
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)
        return timed(done.stdout, done.stderr)


def timed(line: str, said: str = "") -> Timed:
    """What a line of the rig says."""
    try:
        row = json.loads(line)
    except ValueError:
        return Timed(wall_s=0, cpu_s=0, peak_mb=0, requests=0, fault=(said.strip() or "no result")[-200:])
    fault = ""
    if row["errors"] or row["rc"]:
        fault = row.get("note") or f"exit {row['rc']}, {row['errors']} results missing or wrong"
    names = ("wall_s", "cpu_s", "peak_mb", "requests")
    return Timed(**{name: row[name] for name in names}, fault=fault)


def find(given: Path | None) -> Path:
    """The rig's folder. Raises NoRig, with what to do."""
    named = given or (Path(os.environ["EVALGATE_BENCH"]) if "EVALGATE_BENCH" in os.environ else None)
    folder = named or ROOT.parent / "shared" / "bench"
    if not (folder / "run.py").exists() or not (folder / "mock.sh").exists():
        raise NoRig(
            f"{folder} has no run.py and mock.sh: say where the rig is with --rig DIR or EVALGATE_BENCH. "
            "The kill test needs none: python -m benchmarks.runner.kill"
        )
    return folder.resolve()


@contextlib.contextmanager
def running(folder: Path, peers: Path | None) -> Iterator[Rig]:
    """The rig with a mock of its own on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as scratch:
        environ = {**os.environ, "MOCK_RUN_DIR": scratch, "EVALGATE_VENV": sys.prefix}
        if peers is not None:
            environ["PEERS_DIR"] = str(peers.resolve())
        mock = ["bash", str(folder / "mock.sh")]
        started = subprocess.run(
            [*mock, "start", "--port", str(port)], env=environ, capture_output=True, text=True, check=False
        )
        if started.returncode:
            raise NoRig(f"the mock did not start: {started.stderr.strip()}")
        try:
            yield Rig(folder, port, environ)
        finally:
            subprocess.run([*mock, "stop", "--port", str(port)], env=environ, check=False)


def missing(folder: Path, peers: Path | None, tools: Sequence[str]) -> dict[str, str]:
    """Of these tools, those that are not installed, each with where it was looked for."""
    at = peers or Path(os.environ.get("PEERS_DIR", folder / ".peers"))
    found = {}
    for tool in tools:
        if tool == OURS:
            continue
        place = at / _environment(folder / "peers", tool.split(",")[0])
        if not place.exists():
            found[tool] = str(place)
    return found


def _environment(folder: Path, name: str) -> str:
    """The name of a peer's environment, as its file in the rig has it."""
    spec = importlib.util.spec_from_file_location(f"rig_peer_{name}", folder / f"{name}.py")
    if spec is None or spec.loader is None or not (folder / f"{name}.py").exists():
        return name
    sys.path.insert(0, str(folder))
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return str(getattr(module, "VENV", name))
