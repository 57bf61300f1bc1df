"""`evalgate sync`: the store and the history's branch of the repository."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import (
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    StoreOption,
    check_places,
    since_option,
)

if TYPE_CHECKING:
    from evalgate.errors import Fault
    from evalgate.history.compaction import Compacted
    from evalgate.pipeline.pulling import Pulled
    from evalgate.pipeline.pushing import Pushed
    from evalgate.records import Json
    from evalgate.report.pages import Part

sync = typer.Typer(
    help="The history on a branch of the repository: push runs to it, pull those of others, pack old ones.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@sync.command("push")
def push_runs(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN|FILE]…", help="Runs of the store, or run files."),
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
) -> int:
    """Put runs on the branch: without arguments those of the store that were made on an unmodified tree at a commit of
    the default branch. Blessings go along. Never forces; what the branch does not take is kept for the next push."""
    from evalgate.pipeline.pushing import push
    from evalgate.pipeline.syncing import SyncOptions

    check_places([output])
    done = push(what or (), SyncOptions(config=config, store=store, environ=os.environ))
    for warning in done.warnings:
        console.say(f"warning: {warning}")
    console.put(console.drawn(format.value, _pushed(done), _pushed_as_json(done)), output)
    return 0


@sync.command("pull")
def pull_runs(
    since: Annotated[
        str | None, typer.Option(metavar="AGE", help="Only months since then (30d, 12w), and blessed runs.")
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
) -> int:
    """Take into the store what the branch has and it lacks: runs, their verdicts, blessings. Every file is checked; a
    damaged or foreign one is told and left out."""
    from datetime import UTC, datetime

    from evalgate.pipeline.pulling import pull
    from evalgate.pipeline.syncing import SyncOptions

    start = since_option(since, datetime.now(UTC))
    check_places([output])
    done = pull(SyncOptions(config=config, store=store, environ=os.environ), since=start)
    for warning in done.warnings:
        console.say(f"warning: {warning}")
    _tell_skipped(done.skipped)
    console.put(console.drawn(format.value, _pulled(done), _pulled_as_json(done)), output)
    return 0


@sync.command("compact")
def compact_runs(
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
) -> int:
    """Pack the run files of past months, a file a month. Loses nothing: what is packed is compared byte for byte."""
    from evalgate.pipeline.syncing import SyncOptions, compact

    check_places([output])
    place, done = compact(SyncOptions(config=config, store=store, environ=os.environ))
    _tell_skipped(done.left)
    console.put(console.drawn(format.value, _compacted(place, done), _compacted_as_json(done)), output)
    return 0


def _tell_skipped(faults: Sequence[Fault]) -> None:
    for fault in faults:
        console.say(f"warning: skipped {fault}")


# ---- pages ------------------------------------------------------------------------------------------------


def _pushed(done: Pushed) -> list[Part]:
    from evalgate.report.numbers import count
    from evalgate.report.pages import Sentence

    new = [count(len(done.runs), "run")] if done.runs else []
    new += [_said_later(done.events)] if done.events else []
    said = f"Pushed {' and '.join(new)} to {done.place}" if new else f"Nothing new for {done.place}"
    said += f"; {count(done.present, 'run')} had been there before" if done.present else ""
    parts: list[Part] = [Sentence(text=f"{said}.")]
    for why, ids in sorted(done.left.items()):
        shown = ", ".join(ids[-3:]) + (" …" if len(ids) > 3 else "")
        told = f"Not pushed: {count(len(ids), 'run')} {why} ({shown}). To push one all the same, name it."
        parts.append(Sentence(text=told))
    return parts


def _said_later(events: int) -> str:
    return "1 blessing or verdict" if events == 1 else f"{events:,} blessings and verdicts"


def _pushed_as_json(done: Pushed) -> Json:
    return {
        "branch": done.place,
        "commit": done.commit or None,
        "runs": list(done.runs),
        "events": done.events,
        "present": done.present,
        "left": {why: list(ids) for why, ids in sorted(done.left.items())},
        "tries": done.tries,
        "warnings": list(done.warnings),
    }


def _pulled(done: Pulled) -> list[Part]:
    from evalgate.report.numbers import count
    from evalgate.report.pages import Sentence

    if done.commit is None:
        how = "`evalgate sync push` begins it; until then there is nothing to compare with but what this store has"
        return [Sentence(text=f"There is no {done.place} yet: nothing was pulled. {how}.")]
    said = f"Pulled {count(len(done.runs), 'run')} from {done.place}"
    said += f" and {_said_later(done.events)}" if done.events else ""
    said += f"; {count(done.known, 'run')} had been there before" if done.known else ""
    said += f"; {count(done.older, 'older run')} left out" if done.older else ""
    said += f"; {count(len(done.skipped), 'file')} skipped" if done.skipped else ""
    return [Sentence(text=f"{said}.")]


def _pulled_as_json(done: Pulled) -> Json:
    return {
        "branch": done.place,
        "commit": done.commit,
        "runs": list(done.runs),
        "events": done.events,
        "known": done.known,
        "older": done.older,
        "skipped": [{"file": fault.where, "why": fault.what} for fault in done.skipped],
        "warnings": list(done.warnings),
    }


def _compacted(place: str, done: Compacted) -> list[Part]:
    from evalgate.report.numbers import count
    from evalgate.report.pages import Sentence

    if not done.packs:
        return [Sentence(text=f"Nothing to pack on {place}: no past month has more than one run file of its own.")]
    runs, made = sum(done.packs.values()), count(len(done.packs), "pack")
    return [Sentence(text=f"Packed {count(runs, 'run file')} of {place} into {made}.")]


def _compacted_as_json(done: Compacted) -> Json:
    return {
        "packs": dict(sorted(done.packs.items())),
        "left": [{"file": fault.where, "why": fault.what} for fault in done.left],
        "tries": done.tries,
    }
