"""The history's branch: an orphan branch of the repository that holds immutable files, one a run.

What is on it is only ever added to, by a commit on top of the tip and a push that is never forced: whoever was slower
looks again and tries again. Of what it holds nothing is taken on trust. Must not know the store.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from evalgate.errors import Fault, InputError, RemoteError, RemoteFault
from evalgate.history import branch_names as names
from evalgate.history import branch_packs as packs
from evalgate.history.branch_names import Name
from evalgate.history.branch_packs import Member
from evalgate.history.branch_sight import Found, Packed, Sight
from evalgate.history.git import Entry
from evalgate.history.remote import MOST_BYTES, Remote
from evalgate.records import short

DEFAULT = "evalgate-history"

DEADLINE_S = 300.0
"""How long a push is tried again: not a number of tries, since of those that push at once one always gets through."""

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 15.0

README = """\
# The history of evalgate

This branch is written by `evalgate sync push` and read by `evalgate sync pull`. It shares no commit with the code, and
nothing on it is ever changed: a file is added for each run.

- `v1/runs/YYYY/MM/`: a file a run (scores, usage and hashes; texts of prompts, cases and answers only where the
  configuration says `history.outputs: full`).
- `v1/events/`: blessings and later verdicts. `v1/packs/`: the run files of past months, a tar a month.

Do not edit it by hand, and do not merge it. Deleting the branch deletes the history.
"""

_NAME = re.compile(r"(?!-)(?!.*(?:\.\.|//|/\.|\.lock(?:/|$)))[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}(?<![./])")


@dataclass(frozen=True, kw_only=True, slots=True)
class NewFile:
    """A file for the branch."""

    path: str
    content: bytes = field(repr=False)
    run_id: str | None = None
    """Of a run's own file: a second file of the same run is not written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One commit."""

    add: Sequence[NewFile]
    remove: Collection[str] = ()
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What came of a change."""

    commit: str
    """The branch's tip, with it or because it was there already."""
    added: tuple[NewFile, ...]
    """Empty: everything was there already."""
    tries: int
    """Pushes."""


Plan: TypeAlias = Callable[[Sight | None], Change | None]
"""From what is there to what is to be done; None: nothing."""


class Branch:
    """The history's branch on a repository's remote. Every method raises RemoteError where the remote cannot be asked,
    and InputError where the branch holds something else."""

    def __init__(self, remote: Remote, name: str = DEFAULT) -> None:
        if not _NAME.fullmatch(name):
            hint = f"Write one such as {DEFAULT}."
            raise InputError(Fault(where="history.branch", what=f"{name[:80]!r} is no name of a branch", hint=hint))
        self._remote = remote
        self._ref = f"refs/heads/{name}"
        self.name = name

    @property
    def place(self) -> str:
        """The branch for messages."""
        return f"branch {self.name} of {self._remote.place}"

    def was_seen(self) -> str | None:
        """The tip that was last seen from here; None: none ever was, as far as is known here."""
        return self._remote.remembered(self._ref)

    def gone(self) -> tuple[str, ...]:
        """Where the branch is not there: what has to be said, if it was."""
        before = self.was_seen()
        if before is None:
            return ()
        how = "If it was renamed, name it under history.branch"
        return (f"{self.place} is gone: it was at {short(before)} when it was last seen from here. {how}",)

    # ---- reading ------------------------------------------------------------------------------------------

    def look(self) -> Sight | None:
        """What is there now, by names alone; None: there is no such branch. Keeps in mind what it has seen."""
        before = self.was_seen()
        sight = self._look(before)
        if sight is None or sight.commit == before:
            return sight
        warnings = self._changed(before, sight) if before is not None else ()
        self._remote.remember(self._ref, sight.commit)
        return Sight(**{**vars(sight), "warnings": warnings})

    def contents(self, sight: Sight, run_ids: Collection[str]) -> Iterator[tuple[Name, bytes | Fault]]:
        """The files of these runs, or why one cannot be had; all that is lacking here is fetched in two requests."""
        loose = {run_id: sight.runs[run_id] for run_id in run_ids if run_id in sight.runs}
        packed = {run_id: sight.packed[run_id] for run_id in run_ids if run_id not in sight.runs}
        yield from self._files(sorted(loose.values(), key=lambda entry: entry.path), MOST_BYTES)
        by_pack: dict[Entry, dict[str, Member]] = {}
        for place in packed.values():
            by_pack.setdefault(place.pack, {})[place.member.path] = place.member
        self._remote.fetch_objects(entry.id for entry in by_pack)
        for entry, members in sorted(by_pack.items(), key=lambda item: item[0].path):
            for _, content in self._files([entry], MOST_BYTES):
                if isinstance(content, Fault):
                    yield names.of(entry.path), content
                else:
                    yield from _unpacked(entry.path, content, members)

    def events(self, sight: Sight, paths: Iterable[str], most_bytes: int) -> Iterator[tuple[Name, bytes | Fault]]:
        """The files of these events, or why one cannot be had."""
        return self._files([sight.events[path] for path in sorted(paths)], most_bytes)

    def prefetch(self, sight: Sight, run_ids: Iterable[str]) -> None:
        """Fetches the files of these runs and all events in one request."""
        entries = [sight.runs[run_id] for run_id in run_ids if run_id in sight.runs]
        self._remote.fetch_objects(entry.id for entry in [*entries, *sight.events.values()])

    def _files(self, entries: Sequence[Entry], most_bytes: int) -> Iterator[tuple[Name, bytes | Fault]]:
        sizes = self._remote.sizes(entry.id for entry in entries)
        fit = [entry.id for entry in entries if sizes.get(entry.id, most_bytes + 1) <= most_bytes]
        by_id: dict[str, list[Entry]] = {}
        for entry in entries:
            by_id.setdefault(entry.id, []).append(entry)
            if entry.id not in fit:
                what = f"it holds more than {most_bytes:,} bytes"
                yield names.of(entry.path), Fault(where=names.told(entry.path), what=what)
        for id, content in self._remote.blobs(fit):
            for entry in by_id[id]:
                yield names.of(entry.path), content

    def _look(self, before: str | None) -> Sight | None:
        # With nothing to build on the tip alone is enough; later, what lies between shows whether it was rewritten.
        commit = self._remote.fetch(self._ref, depth=1 if before is None else None)
        if commit is None:
            return None
        found = Found(self._remote.entries(commit))
        if not found.is_ours:
            hint = "Name a branch under history.branch that is not there yet, or that holds a history and nothing else."
            what = f"it holds something else than a history ({found.first})"
            raise InputError(Fault(where=self.place, what=what, hint=hint))
        packed = self._packed(found)
        return Sight(
            commit=commit, runs=found.runs, packed=packed, events=found.events, faults=tuple(found.all_faults())
        )

    def _packed(self, found: Found) -> dict[str, Packed]:
        packed: dict[str, Packed] = {}
        for name, content in self._files(list(found.lists.values()), packs.MOST_LIST_BYTES):
            pack = found.packs.get(name.path.removesuffix(".json") + ".tar")
            try:
                if isinstance(content, Fault):
                    raise InputError(content)
                if pack is None:
                    raise InputError(Fault(where=name.path, what="the pack that it lists is not there"))
                for member in packs.read_list(name.path, content):
                    packed.setdefault(names.of(member.path).run_id, Packed(pack=pack, member=member))
            except InputError as error:
                found.faults += error.faults
        listed = {path.removesuffix(".json") + ".tar" for path in found.lists}
        found.faults += [Fault(where=path, what="this pack has no list") for path in found.packs.keys() - listed]
        return packed

    def _changed(self, before: str, sight: Sight) -> tuple[str, ...]:
        """What is not as it was left, in a sentence each."""
        warnings = []
        if not self._remote.is_ancestor(before, sight.commit):
            warnings.append(
                f"{self.place} has been rewritten: it was at {short(before)} and is now at {short(sight.commit)}, "
                "which does not come after it. What this store has stays as it is; `evalgate sync push` writes again "
                "what is gone there"
            )
        old = Found(self._remote.entries(before))
        gone = sorted(run_id for run_id in old.runs if not sight.has(run_id))
        kept = [run_id for run_id in old.runs if run_id in sight.runs]
        other = sorted(run_id for run_id in kept if old.runs[run_id].id != sight.runs[run_id].id)
        for some, how in ((gone, "gone from"), (other, "another file on")):
            if some:
                runs = f"{len(some)} run file{'s' if len(some) > 1 else ''} (of {_few(some)})"
                are = "are" if len(some) > 1 else "is"
                warnings.append(f"{runs} {are} {how} {self.place}, where nothing ever changes. What was pulled is kept")
        return tuple(warnings)

    # ---- writing ------------------------------------------------------------------------------------------

    def append(self, files: Sequence[NewFile], message: str, *, deadline_s: float = DEADLINE_S) -> Written:
        """Adds those of these files that are not there yet, in one commit."""

        def plan(sight: Sight | None) -> Change | None:
            lacking = [file for file in files if sight is None or not _is_there(file, sight)]
            return Change(add=lacking, message=message) if lacking else None

        return self.change(plan, deadline_s=deadline_s)

    def change(self, plan: Plan, *, deadline_s: float = DEADLINE_S) -> Written:
        """One commit on top of the tip, planned anew each time that somebody else was faster.

        Where an answer was lost, the next look finds what it wrote. Raises RemoteError where the remote refuses, or
        where the deadline passes.
        """
        end = time.monotonic() + deadline_s
        ids: dict[str, str] = {}
        tries = 0
        base = self.was_seen()
        while True:
            began = time.monotonic()
            try:
                sight = self._look(base)
                base = sight.commit if sight is not None else None
                change = plan(sight)
                if change is None:
                    return Written(commit=sight.commit if sight else "", added=(), tries=tries)
                tries += 1
                commit = self._commit(sight, change, ids)
                self._remote.push(commit, self._ref)
                if sight is None:  # what began here anew is nobody's rewriting
                    self._remote.remember(self._ref, commit)
                return Written(commit=commit, added=tuple(change.add), tries=tries)
            except RemoteError as error:
                if not error.is_passing or time.monotonic() > end:
                    raise
                time.sleep(_wait_s(error, tries, took_s=time.monotonic() - began))

    def _commit(self, sight: Sight | None, change: Change, ids: dict[str, str]) -> str:
        new = [file for file in change.add if file.path not in ids]
        ids |= dict(zip([file.path for file in new], self._remote.add([file.content for file in new]), strict=True))
        changes: dict[str, str | None] = dict.fromkeys(change.remove)
        changes |= {file.path: ids[file.path] for file in change.add}
        if sight is None:
            (readme,) = self._remote.add([README.encode("utf-8")])
            changes[names.README] = readme
        # The branch starts no workflow, whoever pushes it.
        message = f"{change.message} [skip ci]\n"
        return self._remote.commit(sight.commit if sight else None, changes, message)


def _wait_s(error: RemoteError, tries: int, *, took_s: float) -> float:
    """How long to wait before the next try. By chance: those that wait equally long meet again.

    Who was only slower waits in terms of how long a try takes, and less the more often that has happened: those that
    have just been faster would otherwise be so again.
    """
    bound = took_s * 8 / max(tries, 1) if error.fault is RemoteFault.MOVED else FIRST_WAIT_S * 2 ** min(tries, 10)
    return random.uniform(0, min(LONGEST_WAIT_S, max(FIRST_WAIT_S, bound)))


def _is_there(file: NewFile, sight: Sight) -> bool:
    return sight.has(file.run_id) if file.run_id is not None else file.path in sight.events


def _unpacked(path: str, content: bytes, members: Mapping[str, Member]) -> Iterator[tuple[Name, bytes | Fault]]:
    try:
        for member, held in packs.unpack(path, content, members):
            damaged = Fault(where=member, what=f"damaged in the pack {path}")
            yield names.of(member), held or damaged
    except InputError as error:
        yield names.of(path), error.faults[0]


def _few(items: Sequence[str], most: int = 5) -> str:
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
