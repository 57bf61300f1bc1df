"""`evalgate merge`: the parts of a run, each from a machine of its own, become one run: recorded, judged, reported."""

from __future__ import annotations

import glob
import heapq
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from evalgate.errors import Fault, InputError, StoreError
from evalgate.gate import Rules
from evalgate.history import run_file
from evalgate.history.run_file import SUFFIX, RunFile
from evalgate.history.run_file_rows import Shard
from evalgate.pipeline.judge import Judged, Place, compared_with, judge
from evalgate.pipeline.load import DEFAULT_CONFIG, load_suite
from evalgate.pipeline.sensitivity import seen_from, with_detectable
from evalgate.pipeline.sharding import plan_of
from evalgate.pipeline.suite import (
    Done,
    config_here,
    nothing_done,
    open_history,
    recorded,
    store_of,
    ungated,
    without_its_rules,
)
from evalgate.records import Exceptions, Json, Run, Usage, VerdictName
from evalgate.spool import gathered

if TYPE_CHECKING:
    from evalgate.config import Config
    from evalgate.history.store import History

NAMED = 5
"""Cases or parts that a message names before it counts the rest."""


@dataclass(frozen=True, kw_only=True)
class MergeOptions:
    """What `evalgate merge` can be told."""

    shards: tuple[str, ...]
    """Files, folders and globs."""
    config: Path | None = None
    store: str | None = None
    gated: bool = True
    baseline: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A shard's file, read."""

    file: Path
    run: Run
    shard: Shard
    checksum: str

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


def merge_shards(options: MergeOptions, *, now: datetime | None = None) -> Done:
    """One run of all its parts, recorded and judged. Calls no model.

    The same parts always make the same run: merged again, it is judged again and not recorded twice. Raises InputError
    where parts are missing, do not belong together, are damaged or are of another suite than the configuration; a
    history that cannot be used gives `error`.
    """
    now = now or datetime.now(UTC)
    merged = merge(files_of(options.shards))
    run = merged.run
    config = config_here(options.config, options.environ)
    _check_suite(run, config)
    rules: Rules = config.rules if config is not None else Rules()
    rules = rules if options.gated else ungated(rules)
    store = options.store or store_of(config)
    notes = [*merged.notes, *([without_its_rules(run, config)] if config is None else [])]
    try:
        with open_history(store) as history:
            judged, more = _recorded_and_judged(run, rules, config, history, options, now)
    except StoreError as error:
        return nothing_done(VerdictName.ERROR, str(error), rules, run.suite, now)
    return Done(
        judged=judged,
        store=store,
        show_outputs=config is not None and config.comment_outputs,
        note="\n".join([*notes, *more]) or None,
    )


def _check_suite(run: Run, config: Config | None) -> None:
    """Another suite's rules know nothing of these categories: by them anything may pass."""
    if config is not None and config.suite != run.suite:
        what = f"these shards are of suite {run.suite}, {config.path} is of suite {config.suite}"
        hint = f"Name the configuration of suite {run.suite} with --config."
        raise InputError(Fault(where="merge", what=what, hint=hint))


def _recorded_and_judged(
    run: Run, rules: Rules, config: Config | None, history: History, options: MergeOptions, now: datetime
) -> tuple[Judged, list[str]]:
    place = Place.of((options.config or DEFAULT_CONFIG).absolute().parent, options.environ)
    is_there = history.has_run(run.id)
    detectable: Mapping[str, float] = {}
    if options.gated:
        exempt = config.exceptions if config is not None else Exceptions()
        against = compared_with(
            run, rules, history=history, place=place, pinned=options.baseline, exempt=exempt, now=now
        )
        against = with_detectable(run, against)
        judged = judge(run, against, now=now)
        detectable = {} if is_there else seen_from(run, against, epochs=run.epochs if run.epochs != 1 else None)
    else:
        judged = recorded(run, rules, now)
    if is_there:
        return judged, [
            f"these shards are run {run.id} of the history already: it was judged again, not recorded again"
        ]
    with history.together():
        history.write_run(run, requests=_requests(run, config, options.environ), detectable=detectable)
        history.write_verdict(run.id, judged.verdict, decided=now)
    return judged, []


def _requests(run: Run, config: Config | None, environ: Mapping[str, str]) -> Iterable[tuple[str, Json]] | None:
    """What was sent, rendered anew from the files beside the configuration where they are those of the run."""
    from evalgate.pipeline.asking import requests_of

    if config is None:
        return None
    try:
        suite = load_suite(config.path, environ)
    except InputError:  # a key's variable, say, that only the shards had: then the baseline is not called again
        return None
    if suite.version().id != run.version.id or suite.evalset.content() != run.evalset:
        return None
    ids = {case.id for case in run.cases}
    return requests_of(replace(suite, selected=gathered(case for case in suite.evalset.cases if case.id in ids)))


# ---- the parts ---------------------------------------------------------------------------------------------


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


def merge(files: Sequence[Path]) -> Merged:
    """The run of these shards. Raises InputError with everything that keeps them from being one."""
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
    faults = [*_missing(chosen), *_shared(chosen)] or _not_the_plan(chosen)
    if faults:
        raise InputError(faults)
    return Merged(run=_together(chosen), notes=tuple(notes))


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


def _missing(chosen: Sequence[_Part]) -> list[Fault]:
    count = chosen[0].shard.count
    there = {part.shard.index for part in chosen}
    # Counted, not listed: a file may claim to be one of a hundred million.
    lacking = count - len(there)
    if not lacking:
        return []
    names = []
    for index in range(1, count + 1):
        if index not in there:
            names.append(f"{index}/{count}")
        if len(names) == min(lacking, NAMED):
            break
    rest = f" and {lacking - len(names):,} more" if lacking > len(names) else ""
    verb = "is" if lacking == 1 else "are"
    what = f"shard {', '.join(names)}{rest} of {chosen[0].run.suite} {verb} missing"
    return [Fault(where="merge", what=what, hint=f"Fetch the file, or run it: evalgate run --shard {names[0]}")]


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
