"""`evalgate sync pull`: what the history's branch holds into the store, as far as it lacks it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from evalgate.errors import Fault, InputError, RemoteError, RemoteFault, StoreError
from evalgate.history import branch_events as events
from evalgate.history import branch_names as names
from evalgate.history import run_file
from evalgate.history.branch import Branch
from evalgate.history.branch_names import By, Name
from evalgate.history.branch_sight import Sight
from evalgate.history.interchange import keep
from evalgate.history.listing import Blessing
from evalgate.history.run_file import RunFile
from evalgate.pipeline.suite import open_history
from evalgate.pipeline.syncing import Sync, SyncOptions

if TYPE_CHECKING:
    from evalgate.history.store import History

AGAIN = "Take it off the branch, and push the run again from a store that has it."
"""What to do about a damaged file, where a branch keeps it."""


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What came of a pull."""

    place: str
    commit: str | None
    """The branch's tip; None: there is no such branch yet."""
    runs: tuple[str, ...]
    """Ids of the runs that the store has now and had not before."""
    events: int
    known: int
    """Runs of the branch that the store had already."""
    older: int
    """Runs that were left where they are, since they are older than was asked for."""
    skipped: tuple[Fault, ...]
    """Files that are damaged, foreign or of a newer schema."""
    warnings: tuple[str, ...] = ()


def pull(options: SyncOptions, *, since: datetime | None = None) -> Pulled:
    """Takes the branch's runs, blessings and later verdicts into the store: those that the configuration names.

    As `take`.
    """
    sync = Sync(options)
    return take(sync.branch, sync.store, since=since)


def take(branch: Branch, store: str, *, since: datetime | None = None) -> Pulled:
    """Takes a branch's runs, blessings and later verdicts into a store, as far as it lacks them.

    since: leaves out the months before, but for blessed runs. Every file is checked before any of it is written, each
    run in a transaction of its own. Raises RemoteError where the branch cannot be read, and where it was seen before
    and is gone.
    """
    sight = branch.look()
    if sight is None:
        for gone in branch.gone():
            what = f"{gone}; if it was deleted, `evalgate sync push` writes again what this store has"
            raise RemoteError(RemoteFault.NOT_FOUND, what)
        return Pulled(place=branch.place, commit=None, runs=(), events=0, known=0, older=0, skipped=())
    with open_history(store) as history:
        have = {row.id for row in history.list_runs()}
        lacking = sight.run_ids - have
        wanted = {run_id for run_id in lacking if since is None or _is_wanted(run_id, sight, names.month_of(since))}
        branch.prefetch(sight, wanted)
        faults = list(sight.faults)
        new = _take_runs(history, branch, sight, wanted, faults)
        said = _take_events(history, branch, sight, have | set(new), faults)
    return Pulled(
        place=branch.place,
        commit=sight.commit,
        runs=tuple(new),
        events=said,
        known=len(sight.run_ids & have),
        older=len(lacking) - len(wanted),
        skipped=tuple(faults),
        warnings=sight.warnings,
    )


def _is_wanted(run_id: str, sight: Sight, month: str) -> bool:
    blessed = f"/{events.BLESSING}-{run_id}-"
    return names.of(sight.path_of(run_id)).month >= month or any(blessed in path for path in sight.events)


def _take_runs(history: History, branch: Branch, sight: Sight, wanted: set[str], faults: list[Fault]) -> list[str]:
    new = []
    for name, content in branch.contents(sight, wanted):
        try:
            if isinstance(content, Fault):
                raise InputError(content)
            read = _checked(name, content)
            keep(history, read)
            new.append(read.run.id)
        except InputError as error:
            faults += (replace(fault, hint=AGAIN) if fault.hint == run_file.AGAIN else fault for fault in error.faults)
        except StoreError:
            # Another process may have pulled the same run just now.
            if not history.has_run(name.run_id):
                raise
    return new


def _checked(name: Name, content: bytes) -> RunFile:
    """The run in a file of the branch. Raises InputError where it is not the one that the file's name says."""
    read = run_file.parse(name.path, content)
    run = read.run
    if read.shard is not None:
        raise InputError(Fault(where=name.path, what=f"this is part {read.shard} of a run, no run"))
    path = names.of(names.run_path(run.id, created=run.created, commit=run.commit, by=By()))
    if (path.run_id, path.commit, path.month) != (name.run_id, name.commit, name.month):
        raise InputError(Fault(where=name.path, what=f"it holds run {run.id}, which is another than its name says"))
    return read


def _take_events(history: History, branch: Branch, sight: Sight, have: set[str], faults: list[Fault]) -> int:
    """Writes down what the branch says of the store's runs and the store does not know; how much that was."""
    found: list[events.Event] = []
    for name, content in branch.events(sight, sight.events, events.MOST_BYTES):
        try:
            if isinstance(content, Fault):
                raise InputError(content)
            found.append(events.read(name, content))
        except InputError as error:
            faults += (replace(fault, hint=AGAIN) if fault.hint == run_file.AGAIN else fault for fault in error.faults)
    given = history.blessings()
    new = 0
    for item in sorted(found, key=_moment):
        if item.run_id not in have:
            continue
        try:
            if isinstance(item, Blessing):
                if item not in given:
                    _bless(history, item)
                    new += 1
            elif all(
                (row.decided, row.verdict) != (item.decided, item.verdict) for row in history.verdicts(item.run_id)
            ):
                history.write_decision(item)
                new += 1
        except InputError as error:
            faults += (replace(fault, hint=AGAIN) if fault.hint == run_file.AGAIN else fault for fault in error.faults)
    return new


def _moment(item: events.Event) -> datetime:
    return item.created if isinstance(item, Blessing) else item.decided


def _bless(history: History, item: Blessing) -> None:
    history.write_blessing(
        item.run_id,
        reason=item.reason,
        author=item.author,
        created=item.created,
        name=item.name,
        expires=item.expires,
    )
