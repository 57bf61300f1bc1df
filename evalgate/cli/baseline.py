"""`evalgate baseline`: which runs would be compared with and why, filling the history, blessing a run."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from evalgate.cli import console
from evalgate.cli.options import (
    ConfigOption,
    Format,
    FormatOption,
    OutputOption,
    PageWriteOption,
    StoreOption,
    check_places,
    expiry_option,
)

if TYPE_CHECKING:
    from evalgate.history.listing import Blessing
    from evalgate.pipeline.baselines import Blessed, Outlook
    from evalgate.records import Json
    from evalgate.report.pages import Part
    from evalgate.runner.progress import Progress

MOST_RUNS = 50
"""How many runs one command records: the price of more was hardly meant."""

MOST_PASSED_OVER = 20
"""How many of the runs that were not chosen are shown, the newest first."""

baseline = typer.Typer(
    help="What runs are compared with: which and why; fill the history; bless a run.",
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@baseline.command("list")
def list_baselines(
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
    write: PageWriteOption = None,
) -> int:
    """Which runs a run made here and now would be compared with, why those, and why not the others."""
    from evalgate.pipeline.baselines import outlook
    from evalgate.pipeline.load import DEFAULT_CONFIG

    found = outlook(config or DEFAULT_CONFIG, store, os.environ, now=datetime.now(UTC))
    console.deliver_page(
        lambda kind: console.drawn(kind, _listed(found), _listed_as_json(found)), format, output, write
    )
    return 0


@baseline.command("record")
def record_runs(
    runs: Annotated[int, typer.Option("--runs", metavar="N", min=1, max=MOST_RUNS, help="How many runs to record.")],
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
) -> int:
    """Run the whole suite N times without judging it, so that a young history knows the noise; prints the runs' ids."""
    from evalgate.pipeline.baselines import record
    from evalgate.pipeline.load import DEFAULT_CONFIG
    from evalgate.pipeline.suite import RunOptions

    check_places([output])
    options = RunOptions(config=config or DEFAULT_CONFIG, store=store, gated=False)
    done = record(options, runs, progress=_progress, tell=console.say)
    if format is Format.JSON:
        rows = [{"id": run.id, "cases": len(run.cases), "results": len(run.results)} for run in done.runs]
        console.put_json({"runs": rows}, output)
    elif done.runs:
        console.put("\n".join(run.id for run in done.runs), output)
    if done.fault is not None:
        console.say(done.fault)
    return 0 if done.fault is None else 3


@baseline.command("bless")
def bless_run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, a unique prefix of it, or `latest`.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it may serve; kept with it for good.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="What `gate.anchor` may call it.")] = None,
    author: Annotated[str | None, typer.Option(metavar="WHO", help="Default: git's user.name, or your login.")] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="DAY", help="The last day on which it holds: 2026-12-31, 90d. Default: for good."),
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    format: FormatOption = Format.TEXT,
    output: OutputOption = None,
) -> int:
    """Put on record, for good, that a run may serve as baseline and as anchor."""
    from evalgate.pipeline.baselines import BlessOptions, bless

    check_places([output])
    now = datetime.now(UTC)
    options = BlessOptions(
        run=run,
        reason=reason,
        name=name,
        author=author,
        expires=expiry_option(expires, now.date()),
        config=config,
        store=store,
        environ=os.environ,
    )
    done = bless(options, now=now)
    document = {"suite": done.suite, **_blessing(done.blessing, now), "changed_cases": done.changed}
    console.put(console.drawn(format.value, _blessed(done), document), output)
    return 0


def _progress() -> Progress:
    from evalgate.runner.progress import Bar, Lines

    return Bar(sys.stderr) if sys.stderr.isatty() else Lines(sys.stderr)


# ---- pages ------------------------------------------------------------------------------------------------


def _listed(found: Outlook) -> list[Part]:
    from evalgate.records import Missing
    from evalgate.report.pages import Sentence

    parts: list[Part] = [Sentence(text=_question(found), is_heading=True)]
    if isinstance(found.baseline, Missing):
        parts.append(Sentence(text=f"nothing: {found.baseline.reason}"))
    else:
        parts += [Sentence(text=found.baseline.why), _chosen(found)]
        if found.is_stale:
            stale = f"It is stale: allowed are {found.max_age_days:g} days. What passes against it is not a pass."
            parts.append(Sentence(text=stale))
    if found.anchor is not None:
        parts.append(Sentence(text="Every drop would also be held against", is_heading=True))
        if isinstance(found.anchor, Missing):
            parts.append(Sentence(text=f"nothing: {found.anchor.reason}"))
        else:
            parts.append(Sentence(text=f"run {found.anchor.runs[0].id}, {found.anchor.why}"))
    return [*parts, *_blessings(found), *_passed_over(found)]


def _question(found: Outlook) -> str:
    from evalgate.records import short

    where = f" at commit {short(found.commit)}" if found.commit else ""
    job = f", in this job of event {found.event}," if found.event else ""
    start = f", searched from {short(found.start)} back" if found.start else ""
    return f"A run of suite {found.suite}{where}{job} would be compared with{start}"


def _chosen(found: Outlook) -> Part:
    from evalgate.records import short
    from evalgate.report.numbers import UNKNOWN, age, percent
    from evalgate.report.pages import Grid

    headers = ("run", "created (UTC)", "age", "commit", "cases", "score", "verdict")
    grid = [
        (
            row.id,
            f"{row.created:%Y-%m-%d %H:%M}",
            age(found.age_s(row)),
            short(row.commit) if row.commit else UNKNOWN,
            f"{row.n_cases:,}",
            percent(row.score),
            f"{row.verdict or 'not decided'}{', blessed' if row.is_blessed(found.now.date()) else ''}",
        )
        for row in found.chosen
    ]
    return Grid(headers=headers, rows=tuple(grid), keeps_names=True)


def _blessings(found: Outlook) -> list[Part]:
    from evalgate.report.numbers import UNKNOWN
    from evalgate.report.pages import Grid, Sentence

    if not found.blessings:
        return []
    rows = [
        (
            given.run_id,
            given.name or UNKNOWN,
            given.author,
            f"{given.created:%Y-%m-%d}",
            _until(given, found),
            given.reason,
        )
        for given in found.blessings
    ]
    headers = ("run", "name", "by", "on", "holds", "reason")
    return [Sentence(text="Blessed", is_heading=True), Grid(headers=headers, rows=tuple(rows), keeps_names=True)]


def _until(given: Blessing, found: Outlook) -> str:
    if given.expires is None:
        return "for good"
    return f"until {given.expires}" if given.holds(found.now.date()) else f"expired on {given.expires}"


def _passed_over(found: Outlook) -> list[Part]:
    from evalgate.report.pages import Grid, Sentence

    if not found.passed_over:
        return []
    rows = [
        (passed.row.id, f"{passed.row.created:%Y-%m-%d %H:%M}", passed.why)
        for passed in found.passed_over[:MOST_PASSED_OVER]
    ]
    headers = ("run", "created (UTC)", "why")
    more = len(found.passed_over) - len(rows)
    return [
        Sentence(text="Passed over", is_heading=True),
        Grid(headers=headers, rows=tuple(rows), keeps_names=True),
        *([Sentence(text=f"… and {more:,} more")] if more else []),
    ]


def _listed_as_json(found: Outlook) -> Json:
    from evalgate.records import Missing, utc

    chosen, anchor = found.baseline, found.anchor
    is_missing = isinstance(chosen, Missing)
    return {
        "suite": found.suite,
        "commit": found.commit,
        "event": found.event,
        "start": found.start,
        "baseline": {
            "kind": "missing" if is_missing else "nearest",
            "ids": [row.id for row in found.chosen],
            "commit": found.chosen[0].commit if found.chosen else None,
            "behind": getattr(chosen, "behind", None),
            "age_s": found.age_s(found.chosen[0]) if found.chosen else None,
            "is_stale": found.is_stale,
            "why": chosen.reason if isinstance(chosen, Missing) else chosen.why,
            "detectable": {} if isinstance(chosen, Missing) else dict(chosen.detectable),
        },
        "anchor": None
        if anchor is None
        else {
            "name": found.anchor_name,
            "id": None if isinstance(anchor, Missing) else anchor.runs[0].id,
            "why": anchor.reason if isinstance(anchor, Missing) else anchor.why,
        },
        "blessed": [_blessing(given, found.now) for given in found.blessings],
        "passed_over": [
            {"run": passed.row.id, "created": utc(passed.row.created), "why": passed.why}
            for passed in found.passed_over[:MOST_PASSED_OVER]
        ],
        "passed_over_in_all": len(found.passed_over),
    }


def _blessed(done: Blessed) -> list[Part]:
    from evalgate.report.pages import Sentence

    given = done.blessing
    named = f" as {given.name}" if given.name else ""
    parts: list[Part] = [
        Sentence(text=f"Blessed run {given.run_id} of suite {done.suite}{named}, by {given.author}: {given.reason}")
    ]
    if done.before is not None:
        parts.append(Sentence(text=f"Until now {given.name} was run {done.before}; its blessing stays on record."))
    if given.expires is not None:
        parts.append(Sentence(text=f"It holds until the end of {given.expires} (UTC)."))
    if done.changed:
        text = f"{done.changed:,} of its cases have changed since: later runs are not compared with it there."
        parts.append(Sentence(text=text))
    how = f"anchor: {given.name or given.run_id}"
    parts.append(Sentence(text=f"To hold every later drop against it, write under gate in evalgate.yaml: {how}"))
    parts.append(Sentence(text="It is known to this store alone until the next `evalgate sync push`."))
    return parts


def _blessing(given: Blessing, now: datetime) -> dict[str, Json]:
    from evalgate.records import utc

    return {
        "run": given.run_id,
        "name": given.name,
        "author": given.author,
        "reason": given.reason,
        "created": utc(given.created),
        "expires": None if given.expires is None else given.expires.isoformat(),
        "expired": not given.holds(now.date()),
    }
