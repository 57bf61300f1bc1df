"""The run files of past months on the history's branch become a pack a month: fewer files, and not one run less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from evalgate.errors import Fault, InputError
from evalgate.history import branch_names as names
from evalgate.history import branch_packs as packs
from evalgate.history import run_file
from evalgate.history.branch import DEADLINE_S, Branch, Change, NewFile
from evalgate.history.branch_sight import Sight

MOST_BYTES_AT_ONCE = 256 * 2**20
"""Of one commit, and in memory."""

LEAST_FILES = 2
"""Fewer files of a month stay as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Compacted:
    """What became of the run files of past months."""

    packs: Mapping[str, int]
    """By the pack's path, how many run files went into it."""
    left: tuple[Fault, ...]
    """What stays as it is, since it is damaged."""
    tries: int


def compact(branch: Branch, *, now: datetime, deadline_s: float = DEADLINE_S) -> Compacted:
    """Packs the run files of each month before this one, in one commit if they are not very many.

    What is packed is read back and compared byte for byte before anything is pushed. Whoever pushes a run meanwhile
    wins; then it is packed anew. Raises RemoteError as `Branch.change` does.
    """
    packed: dict[str, int] = {}
    tries = 0
    while True:
        plan = _Plan(branch, names.month_of(now))
        tries += branch.change(plan, deadline_s=deadline_s).tries
        packed |= plan.packed
        if not plan.has_more:
            return Compacted(packs=packed, left=tuple(plan.left), tries=tries)


class _Plan:
    """What one commit packs, planned for what is there."""

    def __init__(self, branch: Branch, current: str) -> None:
        self._branch, self._current = branch, current
        self.packed: dict[str, int] = {}
        self.left: list[Fault] = []
        self.has_more = False

    def __call__(self, sight: Sight | None) -> Change | None:
        self.packed, self.left, self.has_more = {}, [], False
        add: list[NewFile] = []
        remove: list[str] = []
        for month, run_ids in sorted(_months(sight, self._current).items()):
            assert sight is not None
            for some in _portions(_sound(self._branch, sight, run_ids, self.left)):
                if sum(len(file.content) for file in add) > MOST_BYTES_AT_ONCE:
                    self.has_more = True
                    break
                files, members = packs.pack(month, some)
                _check(files, members, some)
                add += [NewFile(path=path, content=content) for path, content in files.items()]
                remove += some
                self.packed[next(path for path in files if path.endswith(".tar"))] = len(some)
        made = f"{len(self.packed)} pack{'s' if len(self.packed) > 1 else ''}"
        message = f"evalgate: {len(remove)} run files in {made}"
        return Change(add=add, remove=remove, message=message) if add else None


def _months(sight: Sight | None, current: str) -> dict[str, list[str]]:
    """The runs with a file of their own, by past month; months with a single one are left out."""
    found: dict[str, list[str]] = {}
    for run_id, entry in sight.runs.items() if sight is not None else ():
        month = names.of(entry.path).month
        if month < current:
            found.setdefault(month, []).append(run_id)
    return {month: run_ids for month, run_ids in found.items() if len(run_ids) >= LEAST_FILES}


def _sound(branch: Branch, sight: Sight, run_ids: list[str], left: list[Fault]) -> Iterator[tuple[str, bytes]]:
    """The files that can be read; a damaged one is not buried in a pack."""
    for name, content in branch.contents(sight, run_ids):
        try:
            if isinstance(content, Fault):
                raise InputError(content)
            run_file.parse(name.path, content)
            yield name.path, content
        except InputError as error:
            left += error.faults


def _portions(files: Iterator[tuple[str, bytes]]) -> Iterator[dict[str, bytes]]:
    """The files in portions that a server takes as one; none of a single file."""
    portion: dict[str, bytes] = {}
    size = 0
    for path, content in files:
        if len(portion) >= LEAST_FILES and size + len(content) > packs.MOST_BYTES:
            yield portion
            portion, size = {}, 0
        portion[path] = content
        size += len(content)
    if len(portion) >= LEAST_FILES:
        yield portion


def _check(files: Mapping[str, bytes], members: tuple[packs.Member, ...], original: Mapping[str, bytes]) -> None:
    """Raises AssertionError where what is about to be pushed is not what it replaces."""
    for path, content in files.items():
        if path.endswith(".json"):
            if packs.read_list(path, content) != members:
                raise AssertionError(f"{path} does not list what was packed")
        elif dict(packs.unpack(path, content, {member.path: member for member in members})) != dict(original):
            raise AssertionError(f"{path} does not hold what was packed")
