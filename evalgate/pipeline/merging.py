"""`evalgate merge`: the parts of a run, each from a machine of its own, become one run: recorded, judged, reported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.errors import Fault, InputError, StoreError
from evalgate.gate import Rules
from evalgate.pipeline.judge import Judged, compared_with, judge
from evalgate.pipeline.load import DEFAULT_CONFIG, load_suite
from evalgate.pipeline.place import Place
from evalgate.pipeline.sensitivity import seen_from, with_detectable
from evalgate.pipeline.shard_files import files_of, merge
from evalgate.pipeline.suite import (
    Done,
    base_of,
    config_here,
    nothing_done,
    open_history,
    recorded,
    store_of,
    ungated,
    without_its_rules,
)
from evalgate.records import Exceptions, Json, Run, VerdictName
from evalgate.spool import gathered

if TYPE_CHECKING:
    from evalgate.config import Config
    from evalgate.history.store import History


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


def merge_shards(options: MergeOptions, *, now: datetime | None = None) -> Done:
    """One run of all its parts, recorded and judged. Calls no model.

    The same parts always make the same run: merged again, it is judged again and not recorded twice. Raises InputError
    where parts are missing, do not belong together, are damaged or are of another suite than the configuration; a
    history that cannot be used gives `error`.
    """
    now = now or datetime.now(UTC)
    merged = merge(files_of(options.shards), options.config)
    run = merged.run
    config = config_here(options.config, options.environ)
    _check_suite(run, config)
    rules: Rules = config.rules if config is not None else Rules()
    rules = rules if options.gated else ungated(rules)
    store = options.store or store_of(config)
    notes = [*merged.notes, *([without_its_rules(run, config)] if config is None else [])]
    place = Place.of((options.config or DEFAULT_CONFIG).absolute().parent, options.environ)
    place.check_store(store)
    try:
        with open_history(store) as history:
            judged, more = _recorded_and_judged(run, rules, config, history, place, options, now)
    except StoreError as error:
        return nothing_done(VerdictName.ERROR, str(error), rules, run.suite, now).told(config, place)
    note = "\n".join([*notes, *more]) or None
    return Done(judged=judged, store=store, note=note, next_step=merged.next_step).told(config, place)


def _check_suite(run: Run, config: Config | None) -> None:
    """Another suite's rules know nothing of these categories: by them anything may pass."""
    if config is not None and config.suite != run.suite:
        what = f"these shards are of suite {run.suite}, {config.path} is of suite {config.suite}"
        hint = f"Name the configuration of suite {run.suite} with --config."
        raise InputError(Fault(where="merge", what=what, hint=hint))


def _recorded_and_judged(
    run: Run,
    rules: Rules,
    config: Config | None,
    history: History,
    place: Place,
    options: MergeOptions,
    now: datetime,
) -> tuple[Judged, list[str]]:
    is_there = history.has_run(run.id)
    detectable: Mapping[str, float] = {}
    if options.gated:
        exempt = config.exceptions if config is not None else Exceptions()
        base = base_of(config, run, place)
        against = compared_with(
            run, rules, history=history, place=place, pinned=options.baseline, exempt=exempt, now=now, base=base
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
