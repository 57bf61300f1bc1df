"""`evalgate sync`: the store's runs on the history's branch, and the branch's runs in the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from evalgate.config import Config
from evalgate.errors import Fault, InputError
from evalgate.github import event
from evalgate.history import run_file
from evalgate.history.branch import DEFAULT, Branch
from evalgate.history.branch_names import By
from evalgate.history.compaction import Compacted
from evalgate.history.compaction import compact as compact_branch
from evalgate.history.interchange import beside
from evalgate.history.listing import NOTHING
from evalgate.history.remote import Remote
from evalgate.history.run_file_rows import Outputs
from evalgate.pipeline.journals import keep_out_of_git
from evalgate.pipeline.suite import config_here, open_history, store_of
from evalgate.records import Run

ALLOWED = ("push", "schedule", "workflow_dispatch")
"""Events of GitHub Actions that may write the history, on the default branch: other commits may never land there."""


@dataclass(frozen=True, kw_only=True)
class SyncOptions:
    """What every `evalgate sync` can be told."""

    config: Path | None = None
    store: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


class Sync:
    """The branch and the store that a configuration names."""

    def __init__(self, options: SyncOptions) -> None:
        self.options = options
        self.config: Config | None = config_here(options.config, options.environ)
        self.folder = self.config.base_dir if self.config is not None else Path.cwd()
        self.store = options.store or store_of(self.config)
        name = self.config.history_branch if self.config is not None else None
        self.branch = Branch(Remote.of(self.folder, options.environ), name or DEFAULT)
        keep_out_of_git(self.folder / ".evalgate")

    @property
    def outputs(self) -> Outputs:
        return self.config.history_outputs if self.config is not None else "hashes"

    @property
    def suite(self) -> str | None:
        return self.config.suite if self.config is not None else None

    def by(self) -> By:
        number = self.options.environ.get("GITHUB_RUN_ID", "")
        attempt = self.options.environ.get("GITHUB_RUN_ATTEMPT", "")
        if self.options.environ.get("GITHUB_ACTIONS") != "true" or not number.isdecimal():
            return By()
        return By(ci_run=int(number), attempt=int(attempt) if attempt.isdecimal() else 1)


def write_file(file: Path, run: Run, store: str | None, *, outputs: Outputs = "full") -> None:
    """Writes a run's file, with what its store keeps beside it. Raises StoreError."""
    if store is None:
        run_file.write(file, run, outputs=outputs)
        return
    with open_history(store, create=False) as history:
        kept = beside(history, run.id, run.suite) if history.has_run(run.id) else NOTHING
    run_file.write(file, run, outputs=outputs, beside=kept)


def refuse_elsewhere(sync: Sync) -> None:
    """Of a pull request, a merge group or a side branch nobody knows whether its commit will land."""
    environ = sync.options.environ
    situation = event.of_job(environ)
    if situation is None:
        return
    branch = situation.default_branch
    if situation.event in ALLOWED and (
        situation.branch == branch or (branch is None and situation.event == "schedule")
    ):
        return
    where = f" on {situation.branch}" if situation.branch else ""
    what = f"this job was started by {situation.event}{where}, and only the default branch writes the history"
    hint = f"Push from a job that runs on {', '.join(ALLOWED)} of {branch or 'the default branch'}."
    raise InputError(Fault(where="evalgate sync", what=what, hint=hint))


def compact(options: SyncOptions, *, now: datetime | None = None) -> tuple[str, Compacted]:
    """Packs the run files of past months; the branch for messages, and what came of it."""
    sync = Sync(options)
    refuse_elsewhere(sync)
    return sync.branch.place, compact_branch(sync.branch, now=now or datetime.now(UTC))
