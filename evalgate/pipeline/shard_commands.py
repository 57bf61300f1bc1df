"""The commands that lead on from a part of a run: to its rest, to the parts that are missing, to the merge."""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from evalgate.history.run_file import SUFFIX
from evalgate.pipeline.load import DEFAULT_CONFIG
from evalgate.pipeline.shard_parts import Part
from evalgate.pipeline.suite import RunOptions
from evalgate.records import Run


def default_file(part: Part) -> Path:
    """Where a part is written unless somebody says where."""
    return Path(f"shard-{part.index}-of-{part.count}{SUFFIX}")


def go_on(options: RunOptions, part: Part, file: Path, *resumed: str) -> str:
    """`evalgate run` for the rest of a part, into the same file; resumed: the run's id, or nothing for the newest."""
    return options.again("--shard", str(part), "--resume", *resumed, *_written(part, file))


def merge_all(options: RunOptions, part: Part, file: Path) -> str:
    """`evalgate merge` of all parts, where this one is in this file."""
    words = ["evalgate", "merge", _all_files(part, file)]
    words += ["--config", str(options.config)] if options.config != DEFAULT_CONFIG else []
    words += ["--store", options.store] if options.store and "@" not in options.store else []
    words += [] if options.gated else ["--no-gate"]
    return shlex.join(words)


def run_missing(config: Path | None, run: Run, part: Part, there: Part, file: Path) -> str:
    """`evalgate run` of a part that is missing, as the one that is there in this file was run."""
    place = _sibling(there, file, str(part.index)) or default_file(part)
    return _as_run(config, run).again(*_selection(run), "--shard", str(part), *_written(part, place))


def run_rest(config: Path | None, run: Run, part: Part, file: Path) -> str:
    """`evalgate run` for the rest of a part that is in this file."""
    return _as_run(config, run).again(*_selection(run), "--shard", str(part), "--resume", *_written(part, file))


def _as_run(config: Path | None, run: Run) -> RunOptions:
    return RunOptions(config=config or DEFAULT_CONFIG, epochs=run.epochs if run.epochs != 1 else None)


def _selection(run: Run) -> Sequence[str]:
    return (run.selection or "").split()


def _written(part: Part, file: Path) -> Sequence[str]:
    return () if file == default_file(part) else ("--write", f"run={file}")


def _number(part: Part, file: Path) -> re.Match[str] | None:
    """Where a file's name has its part's number: the last place, but for the N of `I-of-N`."""
    found = list(re.finditer(rf"(?<!\d)(?<!of)(?<!of[-_])0*{part.index}(?!\d)", file.name))
    return found[-1] if found else None


def _sibling(part: Part, file: Path, index: str) -> Path | None:
    """Another part's file, as this one's name tells; None: it does not."""
    found = _number(part, file)
    if found is None:
        return None
    return file.with_name(file.name[: found.start()] + index.zfill(len(found[0])) + file.name[found.end() :])


def _all_files(part: Part, file: Path) -> str:
    """What names the files of all parts, as far as this one's name tells: a glob, or their folder."""
    found = _number(part, file)
    if part.count == 1 or (found is None and file.suffix != SUFFIX):
        return str(file)
    if found is None:
        return str(file.parent)
    name = glob.escape(file.name[: found.start()]) + "*" + glob.escape(file.name[found.end() :])
    return str(Path(glob.escape(str(file.parent))) / name)
