"""`evalgate run --shard I/N`: no command of its own, but a page of its own: a part has no verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.cli import console
from evalgate.cli.options import Format, Target, check_places
from evalgate.errors import Fault, InputError

if TYPE_CHECKING:
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
    from evalgate.pipeline.shard_parts import parse_part
    from evalgate.pipeline.sharding import default_file, run_shard

    part = parse_part(asked, options.environ)
    file = _file(also) or default_file(part)
    check_places([file])
    _check(options)
    done = run_shard(options, part, file, progress=progress)
    text = json.dumps(done.to_dict(), indent=2, ensure_ascii=False) if format is Format.JSON else _told(done)
    console.put(text, output)
    if done.file is not None:
        again = options.again("--shard", str(part), "--resume") if done.why is not None else None
        console.say(f"Go on without repeating a call: {again}" if again else _next(done))
    return 0 if done.why is None else 3


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
    return console.plain(f"{line}; written to {done.file}" + (f"\nnot complete: {done.why}" if done.why else ""))


def _next(done: ShardDone) -> str:
    return f"When all {done.part.count} are there: evalgate merge 'shard-*-of-{done.part.count}.evalrun'"
