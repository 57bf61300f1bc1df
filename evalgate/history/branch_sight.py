"""What is on the history's branch, sorted by what it is: by the names of its files alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from evalgate.errors import Fault
from evalgate.history import branch_names as names
from evalgate.history.branch_names import Kind, Name
from evalgate.history.branch_packs import Member
from evalgate.history.git import Entry

MOST_TOLD = 10
"""Files of one kind that are named before the rest is counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """Where a run lies in a pack."""

    pack: Entry
    member: Member


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What is on the branch at one moment."""

    commit: str
    runs: Mapping[str, Entry]
    """By run id: files of their own."""
    packed: Mapping[str, Packed]
    """By run id: in a pack."""
    events: Mapping[str, Entry]
    """By path."""
    faults: tuple[Fault, ...]
    """What is there and is none of ours, or cannot be read."""
    warnings: tuple[str, ...] = ()
    """What has changed in a way in which this branch never changes."""

    def has(self, run_id: str) -> bool:
        return run_id in self.runs or run_id in self.packed

    @property
    def run_ids(self) -> set[str]:
        return {*self.runs, *self.packed}

    def path_of(self, run_id: str) -> str:
        return self.runs[run_id].path if run_id in self.runs else self.packed[run_id].member.path


class Found:
    """The files of a tree, sorted by what they are."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.runs: dict[str, Entry] = {}
        self.events: dict[str, Entry] = {}
        self.packs: dict[str, Entry] = {}
        self.lists: dict[str, Entry] = {}
        self.faults: list[Fault] = []
        self._strange: list[str] = []
        self._newer: list[str] = []
        self.is_ours = True
        self.first = ""
        every = sorted(entries, key=lambda entry: entry.path)
        for entry in every:
            self._sort(entry, names.of(entry.path))
        if every and not (self.runs or self.events or self.packs or self._newer):
            self.is_ours = [entry.path for entry in every] == [names.README] or any(
                entry.path.startswith(f"{names.VERSION}/") for entry in every
            )
            self.first = names.told(every[0].path)

    def _sort(self, entry: Entry, name: Name) -> None:
        if name.kind is Kind.README:
            return
        if name.kind is Kind.NEWER:
            self._newer.append(entry.path)
        elif name.kind is Kind.FOREIGN:
            self._strange.append(entry.path)
        elif not entry.is_file:
            what = "this is a link" if entry.mode == "120000" else "this is a submodule, no file"
            self.faults.append(Fault(where=names.told(entry.path), what=what))
        elif name.kind is Kind.RUN and name.run_id in self.runs:
            self.faults.append(Fault(where=entry.path, what=f"a second file of run {name.run_id}"))
        else:
            kinds = {Kind.RUN: self.runs, Kind.EVENT: self.events, Kind.PACK: self.packs, Kind.LIST: self.lists}
            kinds[name.kind][name.run_id if name.kind is Kind.RUN else entry.path] = entry

    def all_faults(self) -> Iterator[Fault]:
        yield from self.faults
        for paths, what, hint in (
            (self._strange, "no file of a history", "Take it off the branch."),
            (self._newer, "written by a newer evalgate", "Update this one to read it."),
        ):
            for path in paths[:MOST_TOLD]:
                yield Fault(where=names.told(path), what=what, hint=hint)
            if len(paths) > MOST_TOLD:
                yield Fault(where="", what=f"… and {len(paths) - MOST_TOLD:,} more files {what}")
