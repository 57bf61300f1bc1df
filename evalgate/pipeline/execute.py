"""Runs a suite: endpoint, scorers and runner put together; results become a `Run`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from evalgate import config as configuration
from evalgate import endpoints
from evalgate.endpoints import Endpoint, Opening, Settings
from evalgate.errors import Fault, InputError, StoreError
from evalgate.pipeline.judging import JudgeDesk
from evalgate.pipeline.load import Suite
from evalgate.pipeline.session import AskAgain, Session, discreet
from evalgate.pipeline.staged import Against, staged
from evalgate.records import Case, CaseRef, Json, Result, Run, Scored, Version, fingerprint
from evalgate.runner.journal import Header, Journal
from evalgate.runner.plan import Plan
from evalgate.runner.progress import Progress
from evalgate.scorers.build import Scorer, build

Compare: TypeAlias = Callable[[Run], tuple[Against, AskAgain]]
"""From a run's first results to what it is judged by, and how its baseline can be asked again."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where and when a run is made."""

    created: datetime
    commit: str | None = None
    branch: str | None = None
    is_modified: bool = False
    """Tracked files differ from the commit."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """A finished or interrupted run, and the journals that still hold it."""

    run: Run
    journals: tuple[Path, ...]
    """The files that hold what was called, to be removed once the run is stored."""
    interrupted: bool
    against: Against | None = None
    """What the repeats were planned by, and the run is to be judged by; None: nothing was planned."""


def new_run_id() -> str:
    """12 hex digits that no other run has."""
    return uuid.uuid4().hex[:12]


def journal_folder(suite: Suite) -> Path:
    """Where unfinished runs of a configuration are kept."""
    return suite.config.base_dir / ".evalgate" / "journal"


IGNORED = """\
# Written by evalgate: the local history and the journals of runs are not for the repository.
*
!*.schema.json
!.gitignore
"""


def keep_out_of_git(folder: Path) -> None:
    """Makes `.evalgate` a folder whose contents git leaves alone: it holds inputs and outputs."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text(IGNORED, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}. Make it writable") from error


def open_journal(suite: Suite, version: Version, created: datetime, resume: str | None) -> tuple[Journal, Header]:
    """A new journal, or an unfinished run's: `resume` is its id, a prefix of it, or "" for the newest.

    Raises InputError where there is none to resume or it belongs to another suite, version or eval set.
    """
    header = Header(
        run_id=new_run_id(),
        suite=suite.config.suite,
        version=version.id,
        evalset=fingerprint(sorted(case.content() for case in suite.selected)),
        epochs=suite.config.run.epochs,
        created=created,
    )
    folder = journal_folder(suite)
    keep_out_of_git(folder.parent)
    if resume is None:
        return Journal.create(folder / f"{header.run_id}.jsonl", header), header
    unfinished = Journal.find(folder, header.suite)
    found = [item for item in unfinished if item.header.run_id.startswith(resume)]
    if not found:
        names = ", ".join(item.header.run_id for item in unfinished)
        hint = f"Unfinished runs: {names}." if unfinished else "Start a new run without --resume."
        what = f"no unfinished run {resume!r}" if resume else f"no unfinished run of suite {header.suite!r}"
        raise InputError(Fault(where="--resume", what=f"{what} in {folder}", hint=hint))
    journal, _ = Journal.resume(found[0].path, header)
    return journal, found[0].header


def execute(
    suite: Suite,
    *,
    origin: Origin,
    environ: Mapping[str, str],
    progress: Progress,
    resume: str | None = None,
    compare: Compare | None = None,
) -> Execution:
    """Makes every call of the suite, or as many as its limits and the user allow.

    compare: asked once every planned case has its result; then what stays undecided is repeated (unless the suite
    fixes its epochs) and what would block is called anew. None: neither.
    The journal keeps each result as it comes and stays until `Execution.journals` are removed by whoever stored the
    run. Raises InputError for what only opening the endpoint can find, StoreError where the journal cannot be written.
    """
    version = suite.version()
    journal, header = open_journal(suite, version, origin.created, resume)
    done: list[Execution] = []

    async def keep() -> None:
        # Not as the coroutine's result: asyncio describes that in full, all results of the run, for no one to read.
        done.append(await _execute(suite, origin, environ, progress, journal, header, compare))

    with journal:
        asyncio.run(keep())
    return done[0]


async def _execute(
    suite: Suite,
    origin: Origin,
    environ: Mapping[str, str],
    progress: Progress,
    journal: Journal,
    header: Header,
    compare: Compare | None,
) -> Execution:
    async with AsyncExitStack() as stack:
        endpoint, built, opening = await _open(stack, suite, environ)
        session = Session(suite, endpoint, built, journal, progress, header, stack, opening)
        outcome = await session.call(Plan(cases=suite.selected, epochs=suite.config.run.epochs))
        run = Run(
            id=header.run_id,
            suite=suite.config.suite,
            created=header.created,
            cases=tuple(sorted((_ref(case, built) for case in suite.selected), key=lambda ref: ref.id)),
            results=outcome.results,
            epochs=suite.config.run.epochs,
            commit=origin.commit,
            branch=origin.branch,
            version=suite.version(),
            evalset=suite.evalset.content(),
            selection=suite.selection,
            stopped=outcome.stopped,
            usage=outcome.usage,
        )
        judged_by = None
        if compare is not None and outcome.stopped is None:
            judged_by, session.ask_again = compare(run)
            run = await staged(run, judged_by, session, escalates=not suite.has_fixed_epochs)
    run = replace(run, usage=session.usage(), metadata=_remarks(run.results, session.notes, origin))
    journals = tuple(path for path in (journal.path, session.fresh_journal) if path is not None)
    return Execution(run=run, journals=journals, interrupted=session.interrupted, against=judged_by)


async def _open(
    stack: AsyncExitStack, suite: Suite, environ: Mapping[str, str]
) -> tuple[Endpoint, Mapping[str, Scorer], Opening]:
    """The endpoint and every scorer, ready. Raises InputError for what only opening them can find."""
    config = suite.config
    opening = Opening(
        base_dir=config.base_dir,
        environ=environ,
        concurrency=config.run.concurrency,
        timeout_s=config.run.timeout_s,
    )
    desk = JudgeDesk(
        stack,
        opening,
        default=config.judge,
        read=lambda given: configuration.read_endpoint(
            given, base_dir=config.base_dir, environ=environ, endpoint_kinds=endpoints.KINDS
        ),
    )
    try:
        built = {key: build(spec, open_judge=desk.open) for key, spec in suite.evalset.scorers.items()}
        endpoint = await stack.enter_async_context(config.endpoint.open(opening))
    except InputError as error:
        raise InputError([replace(fault, where=_placed(config.path, fault.where)) for fault in error.faults]) from error
    return discreet(endpoint, config.endpoint.secrets(environ)), built, opening


def _placed(path: Path, where: str) -> str:
    return f"{path}: {where}" if where else str(path)


def preflight(suite: Suite, environ: Mapping[str, str]) -> None:
    """Opens the endpoint and builds the scorers, calls nothing, closes all: what could not begin is told before
    anything is written. Raises InputError."""

    async def open_and_close() -> None:
        async with AsyncExitStack() as stack:
            _, _, opening = await _open(stack, suite, environ)
            again = suite.config.baseline_endpoint
            if again is not None and again.missing_credentials(environ) is None:
                await _open_as("baseline_endpoint", again, suite, stack, opening)

    asyncio.run(open_and_close())


async def _open_as(key: str, settings: Settings, suite: Suite, stack: AsyncExitStack, opening: Opening) -> None:
    """Opens an endpoint that stands under another key than `endpoint`; its faults name that key."""
    try:
        await stack.enter_async_context(settings.open(opening))
    except InputError as error:
        places = [fault.where.replace("endpoint", key, 1) for fault in error.faults]
        faults = [replace(f, where=_placed(suite.config.path, w)) for f, w in zip(error.faults, places, strict=True)]
        raise InputError(faults) from error


def _ref(case: Case, built: Mapping[str, Scorer]) -> CaseRef:
    judged_by: Sequence[Scorer] = [built[key] for key in case.scorers]
    return CaseRef(
        id=case.id,
        categories=tuple(sorted(case.categories)),
        content=case.content(),
        scorers=fingerprint(sorted([scorer.name, scorer.version, scorer.weight] for scorer in judged_by)),
        critical=case.critical,
        cluster=case.cluster,
        tags=case.tags,
        input=case.input if case.input is not None else list(case.messages) or None,
        expected=case.expected,
        metadata=case.metadata,
        source=case.source,
    )


def _remarks(results: Sequence[Result], notes: Sequence[str], origin: Origin) -> dict[str, Json]:
    """Which models answered, as the endpoint itself says (what was asked for is in the version), and notes."""
    outputs = [result.output for result in results if isinstance(result, Scored)]
    models = sorted({output.model for output in outputs if output.model})
    prints = sorted({output.system_fingerprint for output in outputs if output.system_fingerprint})
    found = {"models": models, "system_fingerprints": prints, "notes": list(notes)}
    remarks: dict[str, Json] = {name: values for name, values in found.items() if values}
    return remarks | ({"modified": True} if origin.is_modified else {})
