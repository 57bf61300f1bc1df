"""`evalgate sync push`: the store's runs, and run files, onto the history's branch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.errors import Fault, InputError, RemoteError, StoreError
from evalgate.history import branch_events as events
from evalgate.history import branch_names as names
from evalgate.history import run_file
from evalgate.history.branch import NewFile
from evalgate.history.branch_sight import Sight
from evalgate.history.git import Repository
from evalgate.history.interchange import beside
from evalgate.history.remote import MOST_BYTES
from evalgate.history.run_file import SUFFIX, RunFile
from evalgate.history.run_file_rows import Outputs
from evalgate.pipeline.shard_files import files_of
from evalgate.pipeline.suite import open_history
from evalgate.pipeline.syncing import Sync, SyncOptions, refuse_elsewhere
from evalgate.records import Run, RunRow

if TYPE_CHECKING:
    from evalgate.history.store import History

PENDING = Path(".evalgate") / "pending"
"""Run files that a branch did not take; the next push does."""

MOST_FILES_AT_ONCE, MOST_BYTES_AT_ONCE = 500, 64 * 2**20
"""Of one commit."""

FARTHEST = 100_000
"""How many commits before the default branch's newest are looked through."""


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """What came of a push."""

    place: str
    commit: str
    """The branch's tip; empty: nothing is there and nothing was to be written."""
    runs: tuple[str, ...]
    """Ids of the runs that are now on it and were not before."""
    events: int
    """Blessings and verdicts that are now on it and were not before."""
    present: int
    """Runs that were on it already."""
    left: Mapping[str, tuple[str, ...]]
    """By reason, ids of the store's runs that were not pushed."""
    tries: int
    warnings: tuple[str, ...] = ()


def push(what: Sequence[str], options: SyncOptions) -> Pushed:
    """Puts runs on the branch: these files and runs, or those of the store that belong there and are not there yet.

    Runs that an earlier push could not write are taken along. Raises InputError where something named cannot be
    pushed and where a job of GitHub Actions must not write the history; RemoteError where the branch does not take
    it, and then what was named is kept for the next push.
    """
    sync = Sync(options)
    refuse_elsewhere(sync)
    named = _named(what, sync)
    waiting = _waiting(sync)
    sight = sync.branch.look()
    batches = _Batches(sync, sight)
    with _opened(sync, needed=not what and not waiting) as history:
        try:
            for read in [*named, *waiting]:
                batches.add(read)
            if history is not None:
                for row in [] if what else _belonging(history, sync, sight, batches.left):
                    batches.add_stored(history, row)
                batches.add_events(history, [read.run.id for read in named])
            batches.flush()
        except RemoteError as error:
            raise _kept(error, named, sync) from error
    for read in waiting:
        _pending_file(sync, read).unlink(missing_ok=True)
    return batches.done(sight)


class _Batches:
    """Files for the branch, written whenever there are many."""

    def __init__(self, sync: Sync, sight: Sight | None) -> None:
        self._sync, self._sight = sync, sight
        self._files: dict[str, NewFile] = {}
        self._size = 0
        self._written: list[NewFile] = []
        self._seen: set[str] = set()
        self._present: set[str] = set()
        self._commit = sight.commit if sight is not None else ""
        self._tries = 0
        self.left: dict[str, list[str]] = {}

    def add(self, read: RunFile) -> None:
        """A run with what stands beside it; nothing where it is there already."""
        run = read.run
        if self._sight is not None and self._sight.has(run.id):
            self._present.add(run.id)
            return
        outputs: Outputs = "hashes" if "hashes" in (read.outputs, self._sync.outputs) else "full"
        content = _content(read, outputs)
        if len(content) > MOST_BYTES:
            hint = "" if outputs == "hashes" else "Leave texts out with history.outputs: hashes."
            what = f"its file has {len(content):,} bytes; a branch takes {MOST_BYTES:,}"
            raise InputError(Fault(where=f"run {run.id}", what=what, hint=hint))
        path = names.run_path(run.id, created=run.created, commit=run.commit, by=self._sync.by())
        self._seen.add(run.id)
        self._put(NewFile(path=path, content=content, run_id=run.id))

    def add_stored(self, history: History, row: RunRow) -> None:
        """A run of the store, unless it was made on a modified tree."""
        run = history.read_run(row.id)
        if run.metadata.get("modified") is True:
            self.left.setdefault("made on a modified tree", []).append(row.id)
            return
        self.add(_stored(history, run))

    def add_events(self, history: History, named: Sequence[str]) -> None:
        """The blessings of runs that are on the branch, and later verdicts on the runs that were named."""
        there = self._seen | (self._sight.run_ids if self._sight is not None else set())
        given = [blessing for blessing in history.blessings(suite=self._sync.suite) if blessing.run_id in there]
        decided = [
            row
            for run_id in named
            if run_id in self._present
            for row in history.verdicts(run_id)[1:]  # the first one is in the run's own file
        ]
        said: list[events.Event] = [*given, *decided]
        for path, content in (events.written(item, self._sync.outputs) for item in said):
            if self._sight is None or path not in self._sight.events:
                self._put(NewFile(path=path, content=content))

    def flush(self) -> None:
        if not self._files:
            return
        runs = sum(1 for file in self._files.values() if file.run_id is not None)
        of = f" of {self._sync.suite}" if self._sync.suite is not None else ""
        said = [f"{runs} run{'' if runs == 1 else 's'}{of}"] if runs else []
        said += [f"{count} event{'' if count == 1 else 's'}"] if (count := len(self._files) - runs) else []
        done = self._sync.branch.append(list(self._files.values()), f"evalgate: {', '.join(said)}")
        self._written += done.added
        self._commit, self._tries = done.commit, self._tries + done.tries
        self._files, self._size = {}, 0

    def done(self, sight: Sight | None) -> Pushed:
        runs = tuple(sorted(file.run_id for file in self._written if file.run_id is not None))
        return Pushed(
            place=self._sync.branch.place,
            commit=self._commit,
            runs=runs,
            events=len(self._written) - len(runs),
            present=len(self._present | (self._seen - set(runs))),
            left={why: tuple(ids) for why, ids in self.left.items()},
            tries=self._tries,
            warnings=self._sync.branch.gone() if sight is None else sight.warnings,
        )

    def _put(self, file: NewFile) -> None:
        self._files[file.path] = file
        self._size += len(file.content)
        if len(self._files) >= MOST_FILES_AT_ONCE or self._size >= MOST_BYTES_AT_ONCE:
            self.flush()


def _named(what: Sequence[str], sync: Sync) -> list[RunFile]:
    """The runs of these files, and of these ids in the store."""
    is_file = [text.endswith(SUFFIX) or Path(text).exists() or any(c in text for c in "*?/") for text in what]
    files = [text for text, yes in zip(what, is_file, strict=True) if yes]
    refs = [text for text, yes in zip(what, is_file, strict=True) if not yes]
    found = [run_file.read(file) for file in files_of(files)] if files else []
    for read in found:
        if read.shard is not None:
            what_is = f"run {read.run.id} is part {read.shard} of a run"
            raise InputError(Fault(where="evalgate sync", what=what_is, hint="Merge its parts: `evalgate merge`."))
    if refs:
        with open_history(sync.store, create=False) as history:
            runs = [history.read_run(ref, suite=sync.suite if ref == "latest" else None) for ref in refs]
            found += [_stored(history, run) for run in runs]
    return list({read.run.id: read for read in found}.values())


def _stored(history: History, run: Run) -> RunFile:
    return RunFile(run=run, shard=None, outputs="full", checksum="", beside=beside(history, run.id, run.suite))


def _opened(sync: Sync, *, needed: bool) -> _Maybe:
    return _Maybe(sync.store, needed)


class _Maybe:
    """The store, if there is one: a job that pushes a file needs none."""

    def __init__(self, store: str, needed: bool) -> None:
        self._store, self._needed = store, needed
        self._history: History | None = None

    def __enter__(self) -> History | None:
        try:
            self._history = open_history(self._store, create=False)
        except (InputError, StoreError):
            if self._needed:
                raise
        return self._history

    def __exit__(self, *_: object) -> None:
        if self._history is not None:
            self._history.close()


def _belonging(history: History, sync: Sync, sight: Sight | None, left: dict[str, list[str]]) -> Iterator[RunRow]:
    """The store's runs at commits of the default branch that are not on the history's branch, oldest first."""
    repository = Repository(sync.folder)
    start = repository.resolve("refs/remotes/origin/HEAD") or repository.head()
    line = set(repository.ancestors(start, FARTHEST)) if start is not None else set()
    for row in reversed(history.list_runs(suite=sync.suite)):
        if sight is not None and sight.has(row.id):
            continue
        if row.commit in line:
            yield row
        else:
            why = "without a commit" if row.commit is None else "at a commit that is not on the default branch"
            left.setdefault(why, []).append(row.id)


def _content(read: RunFile, outputs: Outputs) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "run"
        run_file.write(file, read.run, outputs=outputs, beside=read.beside)
        return file.read_bytes()


# ---- what could not be pushed -----------------------------------------------------------------------------


def _waiting(sync: Sync) -> list[RunFile]:
    """What an earlier push has left. Raises InputError where a file there is damaged."""
    return [run_file.read(file) for file in sorted((sync.folder / PENDING).glob(f"*{SUFFIX}"))]


def _pending_file(sync: Sync, read: RunFile) -> Path:
    return sync.folder / PENDING / f"{read.run.id}{SUFFIX}"


def _kept(error: RemoteError, named: Sequence[RunFile], sync: Sync) -> RemoteError:
    """The same error, and the runs that were named kept for the next push; the store's own are there anyway."""
    if not named:
        return RemoteError(
            error.fault, f"{error}. The runs stay in the store: the next `evalgate sync push` tries again"
        )
    folder = sync.folder / PENDING
    folder.mkdir(exist_ok=True)
    for read in named:
        file = _pending_file(sync, read)
        run_file.write(file, read.run, outputs=read.outputs, beside=read.beside)
    kept = f"The run file is kept in {PENDING}" if len(named) == 1 else f"{len(named)} run files are kept in {PENDING}"
    return RemoteError(error.fault, f"{error}. {kept}: the next `evalgate sync push` there takes it along")
