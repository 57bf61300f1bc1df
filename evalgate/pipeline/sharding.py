"""`evalgate run --shard I/N`: one part of a run, to a file. It decides nothing: `merge` does, when all are there."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalgate.history import run_file
from evalgate.history.run_file_rows import Shard
from evalgate.pipeline.load import Suite, load_suite, with_epochs
from evalgate.pipeline.place import Place
from evalgate.pipeline.shard_commands import go_on
from evalgate.pipeline.shard_parts import Part
from evalgate.pipeline.suite import Interrupted, RunOptions, engine_of, ungated
from evalgate.records import Case, CaseRef, Failed, Run, fingerprint, fingerprint_of

if TYPE_CHECKING:
    from evalgate.pipeline.execute import Execution
    from evalgate.runner.progress import Progress


@dataclass(frozen=True, kw_only=True)
class ShardDone:
    """What came of one part."""

    part: Part
    suite: str
    run: Run | None
    """None: nothing was run."""
    file: Path | None
    """Where it is; None: nowhere."""
    why: str | None
    """Why it is not complete; None: it is."""

    def to_dict(self) -> dict[str, Any]:
        """As `--format json` prints it."""
        run = self.run
        return {
            "schema": "evalgate.shard/1",
            "suite": self.suite,
            "shard": str(self.part),
            "complete": self.why is None,
            "reason": self.why,
            "file": None if self.file is None else str(self.file),
            "run": None if run is None else {"id": run.id, "version": run.version.id, "commit": run.commit},
            "cases": 0 if run is None else len(run.cases),
            "results": 0 if run is None else len(run.results),
            "unscored": 0 if run is None else sum(isinstance(result, Failed) for result in run.results),
            "calls": 0 if run is None else run.usage.calls,
            "cost_usd": None if run is None else run.usage.cost_usd,
        }


def plan_of(cases: Iterable[Case | CaseRef]) -> str:
    """Fingerprint of a list of cases, whatever their order: equal for the shards' common plan and what they hold."""
    rows = (
        [
            case.id,
            sorted(case.categories),
            case.content() if isinstance(case, Case) else case.content,
            case.critical,
            case.cluster,
        ]
        for case in cases
    )
    return fingerprint_of(sorted(fingerprint(row) for row in rows))


def run_shard(
    options: RunOptions, part: Part, file: Path, *, progress: Progress | None = None, now: datetime | None = None
) -> ShardDone:
    """Runs one part of a suite's cases and writes it to a file. Nothing goes into the history: a part is no run.

    It may spend its share of `run.budget_usd` and `run.max_calls`: N parts together spend no more than the run. Raises
    InputError before the first call, Interrupted after Ctrl-C, StoreError where journal or file cannot be written; the
    journal keeps what was called until the file is there and complete.
    """
    from evalgate.pipeline.caching import cache_of
    from evalgate.pipeline.execute import Origin, execute, preflight
    from evalgate.pipeline.journals import clear, open_journal
    from evalgate.runner.interrupts import ended_politely
    from evalgate.runner.progress import Silent

    whole = with_epochs(load_suite(options.config, options.environ, options.selection), options.epochs)
    suite = part_of(whole, part)
    config = suite.config
    engine_of(options)
    lacking = config.endpoint.missing_credentials(options.environ)
    if lacking is not None:
        return ShardDone(part=part, suite=config.suite, run=None, file=None, why=lacking)
    now = now or datetime.now(UTC)
    place = Place.of(config.base_dir, options.environ)
    cache = cache_of(config, place, options.environ, is_fresh=options.fresh or not options.gated)
    # What a user's own code prints is talk: stdout is the report's.
    with contextlib.redirect_stdout(sys.stderr):
        preflight(suite, options.environ)
        journal, header = open_journal(suite, now, options.resume)
        again = go_on(options, part, file, header.run_id)
        with journal, ended_politely():
            try:
                done = _finished(
                    execute(
                        suite,
                        journal,
                        header,
                        origin=Origin(
                            created=now,
                            commit=place.commit,
                            branch=place.branch,
                            is_modified=place.is_modified,
                            told=place.told(config.path),
                        ),
                        environ=options.environ,
                        progress=progress or Silent(),
                        cache=cache,
                        engine=engine_of(options),
                    )
                )
                shard = _shard(part, whole.selected, done.scorers)
                run_file.write(file, done.run, shard=shard)
            except KeyboardInterrupt:
                raise Interrupted(f"interrupted; every finished call is kept. Go on with: {again}") from None
            if done.run.stopped is None:
                clear(journal)
    return ShardDone(part=part, suite=config.suite, run=done.run, file=file, why=done.run.stopped)


def _finished(done: Execution) -> Execution:
    """The calls of a part. Raises KeyboardInterrupt where somebody has ended them."""
    if done.interrupted:
        raise KeyboardInterrupt
    return done


def _shard(part: Part, planned: Sequence[Case], scorers: str) -> Shard:
    return Shard(index=part.index, count=part.count, plan=plan_of(planned), cases=len(planned), scorers=scorers)


def planned(suite: Suite, part: Part) -> Suite:
    """A part as it will run: without rules, so with no repeat and no fresh call."""
    mine = part_of(suite, part)
    rules = replace(ungated(mine.config.rules), max_epochs=1, confirm=False)
    return replace(
        mine,
        config=replace(mine.config, rules=rules),
        notes=(f"shard {part} alone, which is not judged: what the gate could hold is told without --shard",),
    )


def part_of(suite: Suite, part: Part) -> Suite:
    """The suite with the cases of a part, and with its share of what may be spent."""
    asked = suite.config.run
    calls = None if asked.max_calls is None else (asked.max_calls + part.count - part.index) // part.count
    run = replace(
        asked,
        budget_usd=None if asked.budget_usd is None else asked.budget_usd / part.count,
        max_calls=calls,
        requests_per_minute=_minute(asked.requests_per_minute, part.count),
        tokens_per_minute=_minute(asked.tokens_per_minute, part.count),
    )
    return replace(suite, config=replace(suite.config, run=run), selected=part.of(suite.selected))


def _minute(bound: float | None, count: int) -> float | None:
    """A part's share of what all may do in a minute."""
    return None if bound is None else max(1.0, bound / count)
