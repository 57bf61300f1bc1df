"""`evalgate run --shard I/N`: no command of its own, but a page of its own: a part has no verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.cli import console
from evalgate.cli.options import Format, Target, check_places
from evalgate.errors import Fault, InputError

if TYPE_CHECKING:
    from evalgate.pipeline.shard_parts import Part
    from evalgate.pipeline.sharding import ShardDone
    from evalgate.pipeline.suite import RunOptions
    from evalgate.runner.progress import Progress


def run_part(
    options: RunOptions,
    asked: str,
    progress: Progress,
    *,
    format: Format,
    output: Path | None,
    also: Sequence[Target],
) -> int:
    """Runs one part and says where it is. 0: every result is there; 3: not."""
    from evalgate.pipeline.sharding import run_shard

    part, file = asked_for(options, asked, also)
    done = run_shard(options, part, file, progress=progress)
    if format is Format.JSON:
        console.put_json(done.to_dict(), output)
    else:
        console.put(_told(done), output)
    if done.file is not None:
        console.say(_next(options, done, file))
    return 0 if done.why is None else 3


def asked_for(options: RunOptions, asked: str, also: Sequence[Target]) -> tuple[Part, Path]:
    """The part, and its file. Raises InputError for what a part cannot be asked."""
    from evalgate.pipeline.shard_commands import default_file
    from evalgate.pipeline.shard_parts import parse_part

    part = parse_part(asked, options.environ)
    file = _file(also) or default_file(part)
    check_places([file])
    _check(options)
    return part, file


def _file(also: Sequence[Target]) -> Path | None:
    if any(item.format != "run" for item in also) or len(also) > 1:
        hint = "Write run=FILE; `evalgate merge` writes the rest."
        raise InputError(Fault(where="--write", what="a shard has one run file and no report", hint=hint))
    return also[0].file if also else None


def _check(options: RunOptions) -> None:
    """What would be decided here is decided by `merge`."""
    if options.baseline:
        hint = "Give it to `evalgate merge`."
        raise InputError(Fault(where="--baseline", what="a shard is compared with nothing", hint=hint))
    if options.selection.changed_only:
        what = "a shard is compared with nothing, so nobody knows what has changed"
        raise InputError(Fault(where="--changed-only", what=what, hint="Run it without --shard: it makes few calls."))


def _told(done: ShardDone) -> str:
    run = done.run
    if run is None:
        return f"shard {done.part} of {done.suite}: not run: {done.why}"
    planned = len(run.cases) * run.epochs
    unscored = done.to_dict()["unscored"]
    line = f"shard {done.part} of {done.suite}: {len(run.results):,} of {planned:,} results"
    line += f", {unscored:,} without a score" if unscored else ""
    return console.plain(f"{line}; written to {done.file}" + (f". Not complete: {done.why}" if done.why else ""))


def _next(options: RunOptions, done: ShardDone, file: Path) -> str:
    from evalgate.pipeline.shard_commands import go_on, merge_all
    from evalgate.pipeline.suite import limit_behind

    if done.why is not None:
        limit = limit_behind(done.why)
        begin = "Go on" if limit is None else f"Raise `{limit}`, then go on"
        return f"{begin} without repeating a call: {go_on(options, done.part, file)}"
    begin = "To have it judged" if done.part.count == 1 else f"When all {done.part.count} parts are there"
    return f"{begin}: {merge_all(options, done.part, file)}"
