"""`evalgate demo drift`: the provider gets worse between the baseline and a harmless change, which is not blamed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from evalgate import demo
from evalgate.demo.damage import WORSE
from evalgate.demo.serve import DemoServer, make_server
from evalgate.pipeline.suite import Done, open_history, run_here
from evalgate.records import DriftEvent, Run, VerdictName
from evalgate.report.model import Report

CONFIG = """\
version: 1
suite: handbook
evalsets: ["{evalsets}/handbook-*.yaml"]
endpoint:
  kind: openai
  base_url: {url}
  model: handbook-1
  contexts: "choices[0].message.context.citations"
  params: {params}
run: {{concurrency: 16}}
history: {{store: "sqlite:///history.db"}}
"""

BASELINE_RUNS = 3
HARMLESS = "{max_tokens: 500}"
"""What the pull request changes: no answer is that long."""


def take_drift_tour(folder: Path | None, *, tell: Callable[[str], None], show: Callable[[Report, Run], None]) -> int:
    """Records a baseline, lets the provider get worse, and gates a harmless change. Returns 0 where the gate named
    the drift, blocked nothing and kept the event."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="evalgate-drift-") as name:
            return _steps(Path(name), tell, show)
    folder.mkdir(parents=True, exist_ok=True)
    return _steps(folder, tell, show)


def _steps(folder: Path, tell: Callable[[str], None], show: Callable[[Report, Run], None]) -> int:
    with _provider() as server:
        tell(f"1 of 3: {BASELINE_RUNS} runs against a provider on {server.base_url} are the baseline.")
        for _ in range(BASELINE_RUNS):
            _run(folder, server, "{}", gated=False)
        tell(f"2 of 3: the provider gets worse, unannounced ({dict(WORSE)}).")
        server.params = dict(WORSE)
        tell(f"3 of 3: a pull request changes something harmless ({HARMLESS}). This is what it is told:")
        done = _run(folder, server, HARMLESS, gated=True)
    show(done.judged.report(store=done.store), done.judged.run)
    events = _events(folder)
    for event in events:
        tell(f"kept in the history: {event.category} {event.before:.3f} -> {event.after:.3f}, p {event.p:.2g}")
    blames_nobody = done.verdict.verdict is not VerdictName.FAIL and "UPSTREAM DRIFT" in done.verdict.reason
    return 0 if blames_nobody and events else 1


@contextmanager
def _provider() -> Iterator[DemoServer]:
    """The bundled assistant behind a port, serving from a thread."""
    with make_server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _run(folder: Path, server: DemoServer, params: str, *, gated: bool) -> Done:
    text = CONFIG.format(evalsets=demo.evalsets_dir().as_posix(), url=server.base_url, params=params)
    return run_here(folder / "evalgate.yaml", text, gated=gated)


def _events(folder: Path) -> list[DriftEvent]:
    with open_history(f"sqlite:///{(folder / 'history.db').absolute().as_posix()}") as history:
        return history.drifts(suite="handbook")
