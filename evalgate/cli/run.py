"""`evalgate run`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import (
    NEWEST,
    BaselineOption,
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    StoreOption,
    WriteOption,
    check_places,
    runs,
    targets,
)
from evalgate.harmless import in_actions
from evalgate.records import VerdictName

if TYPE_CHECKING:
    from evalgate.pipeline.suite import Done, RunOptions
    from evalgate.runner.progress import Progress


def run(
    config: ConfigOption = None,
    category: Annotated[list[str] | None, typer.Option(help="Only cases of this category. Repeatable.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only cases with this tag. Repeatable.")] = None,
    changed_only: Annotated[
        bool, typer.Option("--changed-only", help="Only cases that are new or changed since the baseline, or all.")
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only N of the selected cases, each category in proportion: a partial run."),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", help="Which sample of that size. Default: 0.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first N of the selected cases.")] = None,
    epochs: Annotated[int | None, typer.Option(help="How often each case is run.")] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="[RUN]", help="Go on with an interrupted run: its id; alone, the newest.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N", help="Only the I-th of N parts, to a file for `merge`; `auto`: as the scheduler says."
        ),
    ] = None,
    engine: Annotated[str | None, typer.Option(metavar="NAME", help="Make the calls on several machines: ray.")] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="How many of the engine's workers. Default: one a processor.")
    ] = None,
    gate: Annotated[bool, typer.Option("--gate/--no-gate", help="Judge the run, or only record it.")] = True,
    baseline: BaselineOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make every call anew; what is answered is kept.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, estimate, call no model.")] = False,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: WriteOption = None,
) -> int:
    """Run the suite, record it, decide: exit 0 passed, 1 failed, 3 could not be evaluated."""
    from evalgate.pipeline.load import DEFAULT_CONFIG
    from evalgate.pipeline.selection import selected
    from evalgate.pipeline.suite import RunOptions, run_suite

    options = RunOptions(
        config=config or DEFAULT_CONFIG,
        store=store,
        selection=selected(
            categories=category or (),
            tags=tag or (),
            changed_only=changed_only,
            sample=sample,
            seed=seed,
            limit=limit,
        ),
        epochs=epochs,
        resume="" if resume == NEWEST else resume,
        gated=gate,
        baseline=runs(baseline),
        engine=engine,
        workers=workers,
        fresh=fresh,
    )
    also = targets(write)
    check_places([output, *(item.file for item in also)])
    if dry_run:
        from evalgate.cli.shard import asked_for
        from evalgate.cli.validate import estimate

        part = None if shard is None else asked_for(options, shard, also)[0]
        return estimate(options, part, format=format, output=output)
    if shard is not None:
        from evalgate.cli.shard import run_part

        return run_part(options, shard, progress(), format=format, output=output, also=also)
    done = run_suite(options, progress=progress())
    if done.note is not None:
        console.say(done.note)
    report = done.report(reproduce=_reproduce(options, done), next_step=_next_step(done, options))
    console.deliver(report, done.judged.run, format, output, also, outputs=done.outputs)
    return done.verdict.exit_code


def _next_step(done: Done, options: RunOptions) -> str | None:
    """What to do now where the run itself knows better than the verdict; None: what the verdict asks for."""
    from evalgate.pipeline.suite import limit_behind

    verdict, run = done.verdict, done.judged.run
    again = options.again("--resume", done.unfinished) if done.unfinished else ""
    if again and done.store is None:
        return f"Mend the history, then record what was run without repeating a call: {again}"
    limit = limit_behind(run.stopped)
    if again and limit is not None:
        return f"Raise `{limit}`, then go on without repeating a call: {again}"
    if verdict.verdict is VerdictName.INCONCLUSIVE and options.selection.changed_only:
        return "To have every case judged, run it without --changed-only."
    if verdict.verdict is VerdictName.NOT_COMPARABLE:
        return "If the change is meant, begin a new baseline: record a run of it with `evalgate run --no-gate`."
    is_first = verdict.verdict is VerdictName.NO_BASELINE and verdict.baseline.kind == "missing"
    if is_first and verdict.exit_code == 0 and run.selection is None and not in_actions(os.environ):
        return "This run is recorded; the next one is compared with it. Change something and run again."
    return None


def progress() -> Progress:
    from evalgate.runner.progress import Bar, Lines

    return Bar(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr)


def _reproduce(options: RunOptions, done: Done) -> list[str]:
    """The commands that do it again, and that decide it again from the history."""
    commands = [options.again()]
    if done.store:
        commands.append(options.decide_again(done.judged.run.id, done.verdict.baseline.ids))
    return commands
