"""The files of a run's parts, read and put together, or everything that keeps them from being one run."""

from __future__ import annotations

import glob
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from evalgate.errors import Fault, InputError
from evalgate.history import run_file
from evalgate.history.run_file import SUFFIX, RunFile
from evalgate.history.run_file_rows import Shard
from evalgate.pipeline.shard_commands import run_missing, run_rest
from evalgate.pipeline.shard_parts import Part
from evalgate.pipeline.sharding import plan_of
from evalgate.pipeline.suite import limit_behind
from evalgate.records import Json, Run, Usage
from evalgate.spool import gathered

NAMED = 5
"""Cases or parts that a message names before it counts the rest."""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A shard's file, read."""

    file: Path
    run: Run
    shard: Shard
    checksum: str

    @property
    def of(self) -> Part:
        return Part(index=self.shard.index, count=self.shard.count)

    @property
    def rank(self) -> tuple[datetime, bool, int, str]:
        """Greater for the attempt that counts: the newer one, and of one that was resumed what it came to."""
        return self.run.created, self.run.stopped is None, len(self.run.results), self.checksum


@dataclass(frozen=True, kw_only=True)
class Merged:
    """The run that the parts make."""

    run: Run
    notes: tuple[str, ...]
    """What whoever merges has to know, a sentence each."""
    next_step: str | None
    """How to go on with the parts that ended early; None: none did."""


def files_of(named: Sequence[str]) -> list[Path]:
    """The run files of these files, folders and globs, each once, sorted. Raises InputError for what names none."""
    found: dict[Path, Path] = {}
    faults = []
    for text in named:
        path = Path(text)
        files = [path]
        if path.is_dir():
            files = [file for file in path.rglob(f"*{SUFFIX}") if file.is_file()]
        elif not path.exists():
            # `Path.glob` takes no absolute patterns.
            files = [Path(name) for name in glob.glob(text, recursive=True) if Path(name).is_file()]  # noqa: PTH207
        if not files:
            what = f"there is no {SUFFIX} file in it" if path.is_dir() else "there is no such file"
            faults.append(Fault(where=text, what=what, hint="`evalgate run --shard I/N` writes one."))
        found |= {file.resolve(): file for file in files}
    if faults:
        raise InputError(faults)
    return sorted(found.values())


def merge(files: Sequence[Path], config: Path | None = None) -> Merged:
    """The run of these shards. Raises InputError with everything that keeps them from being one.

    config: for the commands that messages tell; None: the default."""
    parts: list[_Part] = []
    faults: list[Fault] = []
    for file in files:
        try:
            parts.append(_part(file, run_file.read(file)))
        except InputError as error:
            faults += error.faults
    if not faults:
        faults = _differences(parts)
    if faults:
        raise InputError(faults)
    chosen, notes = _newest(parts)
    faults = [*_missing(chosen, config), *_shared(chosen)] or _not_the_plan(chosen)
    if faults:
        raise InputError(faults)
    return Merged(run=_together(chosen), notes=tuple(notes), next_step=_next_step(chosen, config))


def _part(file: Path, read: RunFile) -> _Part:
    if read.shard is None:
        hint = "Shards come from `evalgate run --shard I/N`."
        raise InputError(Fault(where=str(file), what=f"is the whole run {read.run.id}, no shard", hint=hint))
    if read.outputs != "full":
        raise InputError(Fault(where=str(file), what="is without its texts", hint="Merge the file that the run wrote."))
    return _Part(file=file, run=read.run, shard=read.shard, checksum=read.checksum)


def _differences(parts: Sequence[_Part]) -> list[Fault]:
    """What has to be the same in all of them and is not."""
    first = parts[0]
    faults = []
    for part in parts[1:]:
        for what, mine, other in (
            ("suite", first.run.suite, part.run.suite),
            ("number of shards", first.shard.count, part.shard.count),
            ("version", first.run.version.id, part.run.version.id),
            ("eval set", first.run.evalset, part.run.evalset),
            ("selection of cases", first.run.selection, part.run.selection),
            ("list of cases", (first.shard.plan, first.shard.cases), (part.shard.plan, part.shard.cases)),
            ("scorers", first.shard.scorers, part.shard.scorers),
            ("number of epochs", first.run.epochs, part.run.epochs),
            ("commit", first.run.commit, part.run.commit),
        ):
            if mine != other:
                told = f": {other} and {mine}" if isinstance(other, (str, int)) and isinstance(mine, (str, int)) else ""
                hint = "Shards of one run come from one commit and one command; run the odd one again."
                faults.append(
                    Fault(where=str(part.file), what=f"has another {what} than {first.file}{told}", hint=hint)
                )
                break
    return faults


def _newest(parts: Sequence[_Part]) -> tuple[list[_Part], list[str]]:
    """One attempt of each shard, in order, and what is said of the others."""
    by_index: dict[int, _Part] = {}
    notes = []
    for part in sorted(parts, key=lambda part: part.rank):
        older = by_index.get(part.shard.index)
        by_index[part.shard.index] = part
        if older is not None and older.checksum != part.checksum:
            notes.append(
                f"shard {part.shard} was run twice: {part.file} is the newer and counts, {older.file} does not"
            )
    return [by_index[index] for index in sorted(by_index)], notes


def _next_step(chosen: Sequence[_Part], config: Path | None) -> str | None:
    unfinished = [part for part in chosen if part.run.stopped is not None]
    if not unfinished:
        return None
    commands = [run_rest(config, part.run, part.of, part.file) for part in unfinished[:NAMED]]
    rest = f", and {len(unfinished) - NAMED:,} more" if len(unfinished) > NAMED else ""
    limits = sorted({f"`{key}`" for part in unfinished if (key := limit_behind(part.run.stopped)) is not None})
    begin = f"Raise {' and '.join(limits)}, then go on" if limits else "Go on"
    where = "the part where it was run" if len(unfinished) == 1 else "the parts where they were run"
    return f"{begin} with {where}, and merge again: {'; '.join(commands)}{rest}"


def _missing(chosen: Sequence[_Part], config: Path | None) -> list[Fault]:
    count = chosen[0].shard.count
    there = {part.shard.index for part in chosen}
    # Counted, not listed: a file may claim to be one of a hundred million.
    lacking = count - len(there)
    if not lacking:
        return []
    names = []
    for index in range(1, count + 1):
        if index not in there:
            names.append(Part(index=index, count=count))
        if len(names) == min(lacking, NAMED):
            break
    rest = f" and {lacking - len(names):,} more" if lacking > len(names) else ""
    verb = "is" if lacking == 1 else "are"
    what = f"shard {', '.join(map(str, names))}{rest} of {chosen[0].run.suite} {verb} missing"
    command = run_missing(config, chosen[0].run, names[0], chosen[0].of, chosen[0].file)
    return [Fault(where="merge", what=what, hint=f"Fetch the file, or run it: {command}")]


def _shared(chosen: Sequence[_Part]) -> list[Fault]:
    """A case of two shards would count twice, or one of its results for nothing."""
    holders: dict[str, _Part] = {}
    shared: dict[tuple[str, str], list[str]] = {}
    for part in chosen:
        for case in part.run.cases:
            other = holders.setdefault(case.id, part)
            if other is not part:
                shared.setdefault((str(other.file), str(part.file)), []).append(case.id)
    hint = "Run both again with --shard I/N."
    return [
        Fault(where=two, what=f"holds cases that {one} holds too: {', '.join(ids[:NAMED])}", hint=hint)
        for (one, two), ids in shared.items()
    ]


def _not_the_plan(chosen: Sequence[_Part]) -> list[Fault]:
    """All shards are there: together they hold all cases, unless somebody has changed one."""
    count, shard = sum(len(part.run.cases) for part in chosen), chosen[0].shard
    if count == shard.cases and plan_of(case for part in chosen for case in part.run.cases) == shard.plan:
        return []
    what = f"the shards hold {count:,} cases, not the {shard.cases:,} that were to run"
    return [Fault(where="merge", what=what, hint="Run all shards again with one evalgate.")]


def _together(parts: Sequence[_Part]) -> Run:
    first, runs = parts[0].run, [part.run for part in parts]
    stopped = [f"shard {part.shard}: {part.run.stopped}" for part in parts if part.run.stopped is not None]
    branches = {run.branch for run in runs}
    return Run(
        id=sha256("\n".join(sorted(part.checksum for part in parts)).encode()).hexdigest()[:12],
        suite=first.suite,
        created=max(run.created for run in runs),
        cases=gathered(heapq.merge(*(run.cases for run in runs), key=lambda case: case.id)),
        results=gathered(heapq.merge(*(run.results for run in runs), key=lambda one: (one.case_id, one.epoch))),
        epochs=first.epochs,
        commit=first.commit,
        branch=first.branch if len(branches) == 1 else None,
        version=first.version,
        evalset=first.evalset,
        selection=first.selection,
        stopped="; ".join(stopped) or None,
        usage=_usage([run.usage for run in runs]),
        metadata=_remarks([run.metadata for run in runs]),
    )


def _usage(shares: Sequence[Usage]) -> Usage:
    """What all parts have used. They ran side by side: the longest took as long as all."""
    known = [usage.wall_s for usage in shares if usage.wall_s is not None]
    return Usage(
        calls=sum(usage.calls for usage in shares),
        calls_saved=sum(usage.calls_saved for usage in shares),
        tokens_in=_sum([usage.tokens_in for usage in shares]),
        tokens_out=_sum([usage.tokens_out for usage in shares]),
        cost_usd=_sum([usage.cost_usd for usage in shares]),
        wall_s=max(known, default=None),
    )


Amount = TypeVar("Amount", int, float)


def _sum(shares: Sequence[Amount | None]) -> Amount | None:
    """None where any share is unknown: a sum of some would look like a sum."""
    known = [share for share in shares if share is not None]
    return sum(known) if len(known) == len(shares) else None


def _remarks(kept: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """What the parts say of themselves: lists united, `modified` where one is."""
    found: dict[str, Json] = {}
    for remarks in kept:
        for name, value in remarks.items():
            if isinstance(value, list) and isinstance(found.get(name, []), list):
                found[name] = [*found.get(name, []), *(item for item in value if item not in found.get(name, []))]
            else:
                found[name] = found.get(name) or value
    return found
