"""The run files of past months on the history's branch become a pack a month: fewer files, and not one run less."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from evalgate.errors import Fault, InputError
from evalgate.history import branch_names as names
from evalgate.history import branch_packs as packs
from evalgate.history import run_file
from evalgate.history.branch import DEADLINE_S, Branch, Change, NewFile, Sight

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
    """Packs the run files of each month before this one, in one commit.

    What is packed is read back and compared byte for byte before anything is pushed. Whoever pushes a run meanwhile
    wins; then it is packed anew. Raises RemoteError as `Branch.change` does.
    """
    packed: dict[str, int] = {}
    left: list[Fault] = []

    def plan(sight: Sight | None) -> Change | None:
        packed.clear()
        left.clear()
        months = _months(sight, names.month_of(now)) if sight is not None else {}
        add: list[NewFile] = []
        remove: list[str] = []
        for month, run_ids in sorted(months.items()):
            assert sight is not None
            sound = _sound(branch, sight, run_ids, left)
            for some in _portions(sound) if len(sound) >= LEAST_FILES else ():
                files, members = packs.pack(month, some)
                _check(files, members, some)
                add += [NewFile(path=path, content=content) for path, content in files.items()]
                remove += some
                packed[next(path for path in files if path.endswith(".tar"))] = len(some)
        message = f"evalgate: {len(remove)} run files in {len(packed)} pack{'s' if len(packed) > 1 else ''}"
        return Change(add=add, remove=remove, message=message) if add else None

    done = branch.change(plan, deadline_s=deadline_s)
    return Compacted(packs=dict(packed), left=tuple(left), tries=done.tries)


def _months(sight: Sight, current: str) -> dict[str, list[str]]:
    """The runs with a file of their own, by past month."""
    found: dict[str, list[str]] = {}
    for run_id, entry in sight.runs.items():
        month = names.of(entry.path).month
        if month < current:
            found.setdefault(month, []).append(run_id)
    return found


def _sound(branch: Branch, sight: Sight, run_ids: list[str], left: list[Fault]) -> dict[str, bytes]:
    """The contents that can be read; a damaged file is not buried in a pack."""
    sound = {}
    for name, content in branch.contents(sight, run_ids):
        try:
            if isinstance(content, Fault):
                raise InputError(content)
            run_file.parse(name.path, content)
            sound[name.path] = content
        except InputError as error:
            left += error.faults
    return sound


def _portions(files: Mapping[str, bytes]) -> list[dict[str, bytes]]:
    """The files in packs that a server takes."""
    portions: list[dict[str, bytes]] = [{}]
    size = 0
    for path, content in sorted(files.items()):
        if portions[-1] and size + len(content) > packs.MOST_BYTES:
            portions.append({})
            size = 0
        portions[-1][path] = content
        size += len(content)
    return portions


def _check(files: Mapping[str, bytes], members: tuple[packs.Member, ...], original: Mapping[str, bytes]) -> None:
    """Raises AssertionError where what is about to be pushed is not what it replaces."""
    for path, content in files.items():
        if path.endswith(".json"):
            if packs.read_list(path, content) != members:
                raise AssertionError(f"{path} does not list what was packed")
        elif dict(packs.unpack(path, content, {member.path: member for member in members})) != dict(original):
            raise AssertionError(f"{path} does not hold what was packed")
