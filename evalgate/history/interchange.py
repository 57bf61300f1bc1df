"""A run with all that the store keeps beside it, out of a store and into another."""

from __future__ import annotations

from evalgate.history.listing import Beside
from evalgate.history.run_file import RunFile
from evalgate.history.store import History


def beside(history: History, run_id: str, suite: str) -> Beside:
    """What the store keeps beside a run of this suite: for its file."""
    return Beside(
        verdicts=tuple(history.verdicts(run_id)),
        drifts=tuple(event for event in history.drifts(suite=suite) if event.run_id == run_id),
        detectable=history.detectable(run_id),
    )


def keep(history: History, read: RunFile) -> None:
    """Writes a file's run with all that stands beside it, in one transaction. Raises StoreError where the store has
    the run already."""
    with history.together():
        history.write_run(read.run, detectable=read.beside.detectable)
        for row in read.beside.verdicts:
            history.write_decision(row)
        if read.beside.drifts:
            history.write_drift(read.beside.drifts)
