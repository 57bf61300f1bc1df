"""Runs a suite: endpoint, scorers and runner put together; results become a `Run`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TypeAlias

from evalgate import config as configuration
from evalgate import endpoints
from evalgate.endpoints import Endpoint, Opening, Settings
from evalgate.errors import InputError
from evalgate.pipeline.caching import Cache, unheeded
from evalgate.pipeline.journals import begun_elsewhere
from evalgate.pipeline.judging import JudgeDesk
from evalgate.pipeline.load import Suite
from evalgate.pipeline.pacing import Paces
from evalgate.pipeline.rationing import Charged, Rationed
from evalgate.pipeline.session import AskAgain, Session, discreet
from evalgate.pipeline.staged import Against, staged
from evalgate.records import Case, CaseRef, Json, Result, Run, Scored, fingerprint
from evalgate.runner.allowance import Allowance
from evalgate.runner.journal import Journal
from evalgate.runner.journal_lines import Header
from evalgate.runner.paced import Paced
from evalgate.runner.plan import Plan
from evalgate.runner.ports import Scorer
from evalgate.runner.progress import Progress
from evalgate.runner.spread import Workers
from evalgate.scorers.beside import Processes, beside
from evalgate.scorers.build import build
from evalgate.spool import gathered

Compare: TypeAlias = Callable[[Run], tuple[Against, AskAgain]]
"""From a run's first results to what it is judged by, and how its baseline can be asked again."""

Engine: TypeAlias = Callable[[AsyncExitStack, Suite, str], Workers]
"""Brings workers up, until the stack is left, that find this suite and scorers of this fingerprint."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where and when a run is made."""

    created: datetime
    commit: str | None = None
    branch: str | None = None
    is_modified: bool = False
    """Tracked files differ from the commit."""
    told: Mapping[str, Json] = field(default_factory=dict)
    """What the run says of its configuration's place, as `Place.told` gives it."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """A finished or interrupted run."""

    run: Run
    interrupted: bool
    scorers: str
    """Fingerprint of every scorer of the eval set, whether a case of this run asks for it or not."""
    against: Against | None = None
    """What the repeats were planned by, and the run is to be judged by; None: nothing was planned."""


def execute(
    suite: Suite,
    journal: Journal,
    header: Header,
    *,
    origin: Origin,
    environ: Mapping[str, str],
    progress: Progress,
    cache: Cache,
    compare: Compare | None = None,
    engine: Engine | None = None,
) -> Execution:
    """Makes every call of the suite that the journal does not hold, or as many as its limits and the user allow.

    cache: what was answered before, opened and closed here.
    compare: asked once every planned case has its result; then what stays undecided is repeated (unless the suite
    fixes its epochs) and what would block is called anew. None: neither.
    engine: who makes the calls; None: this process. Fresh calls are always its own.
    The journal keeps each result as it comes, and stays until whoever stores the run removes it. Raises InputError for
    what only opening the endpoint can find, StoreError where the journal cannot be written.
    """
    done: list[Execution] = []

    async def keep() -> None:
        # Not as the coroutine's result: asyncio describes that in full, all results of the run, for no one to read.
        done.append(await _execute(suite, origin, environ, progress, cache, journal, header, compare, engine))

    with cache:
        asyncio.run(keep())
    return done[0]


async def _execute(
    suite: Suite,
    origin: Origin,
    environ: Mapping[str, str],
    progress: Progress,
    cache: Cache,
    journal: Journal,
    header: Header,
    compare: Compare | None,
    engine: Engine | None,
) -> Execution:
    async with AsyncExitStack() as stack:
        allowance = Allowance(suite.config.run.max_calls, used=journal.used.requests)
        paces = Paces(suite.config.run, environ)
        endpoint, built, opening = await open_suite(stack, suite, environ, allowance, journal, paces, cache)
        workers = None if engine is None else engine(stack, suite, judges_of(built.values()))
        session = Session(
            suite, endpoint, built, journal, progress, header, stack, opening, allowance, paces, cache, workers
        )
        if journal.kept and (remark := begun_elsewhere(suite, header, origin.commit)):
            session.notes.append(remark)
        outcome = await session.call(Plan(cases=suite.selected, epochs=suite.config.run.epochs))
        run = Run(
            id=header.run_id,
            suite=suite.config.suite,
            created=header.created,
            cases=refs_of(suite, built),
            results=outcome.results,
            epochs=suite.config.run.epochs,
            commit=origin.commit,
            branch=origin.branch,
            version=suite.version(),
            evalset=suite.content(),
            selection=suite.selection,
            stopped=outcome.stopped,
            usage=outcome.usage,
            metadata=origin.told,
        )
        judged_by = None
        if compare is not None and outcome.stopped is None:
            judged_by, session.ask_again = compare(run)
            run = await staged(run, judged_by, session, escalates=not suite.has_fixed_epochs)
    cache.close()
    usage = session.usage()
    notes = [*session.notes, *cache.troubles, *(f"{remark}." for remark in unheeded(suite.config))]
    run = replace(run, usage=usage, metadata=_remarks(run.results, suite, notes, origin))
    return Execution(run=run, interrupted=session.interrupted, scorers=judges_of(built.values()), against=judged_by)


async def open_suite(
    stack: AsyncExitStack,
    suite: Suite,
    environ: Mapping[str, str],
    allowance: Allowance,
    journal: Journal,
    paces: Paces,
    cache: Cache | None = None,
) -> tuple[Endpoint, Mapping[str, Scorer], Opening]:
    """The endpoint and every scorer, ready; what judges say is kept in the cache, if there is one.

    Raises InputError for what only opening them can find.
    """
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
        charged=lambda opened: Charged(opened, allowance, journal),
        paces=paces,
        remember=None if cache is None else lambda given, opened: cache.around(given, opened, suite.discreetly),
    )
    try:
        processes = await stack.enter_async_context(Processes(config.run.timeout_s))
        built = {
            key: beside(build(spec, open_judge=desk.open), spec, processes)
            for key, spec in suite.evalset.scorers.items()
        }
        pace = paces.of(config.endpoint)
        endpoint = await stack.enter_async_context(config.endpoint.open(replace(opening, told=pace.told)))
    except InputError as error:
        raise InputError([replace(fault, where=_placed(config.path, fault.where)) for fault in error.faults]) from error
    paced = Paced(Rationed(endpoint, allowance), pace)
    return discreet(paced, config.endpoint.secrets(environ)), built, opening


def _placed(path: Path, where: str) -> str:
    return f"{path}: {where}" if where else str(path)


def preflight(suite: Suite, environ: Mapping[str, str]) -> Mapping[str, Scorer]:
    """The scorers, of which name and version can be told. Opens the endpoint, calls nothing, closes all: what could not
    begin is told before anything is written. Raises InputError."""

    async def open_and_close() -> Mapping[str, Scorer]:
        async with AsyncExitStack() as stack:
            paces = Paces(suite.config.run, environ)
            _, built, opening = await open_suite(stack, suite, environ, Allowance(None), Journal.null(), paces)
            again = suite.config.baseline_endpoint
            if again is not None and again.missing_credentials(environ) is None:
                await _open_as("baseline_endpoint", again, suite, stack, opening)
            return built

    return asyncio.run(open_and_close())


async def _open_as(key: str, settings: Settings, suite: Suite, stack: AsyncExitStack, opening: Opening) -> None:
    """Opens an endpoint that stands under another key than `endpoint`; its faults name that key."""
    try:
        await stack.enter_async_context(settings.open(opening))
    except InputError as error:
        places = [fault.where.replace("endpoint", key, 1) for fault in error.faults]
        faults = [replace(f, where=_placed(suite.config.path, w)) for f, w in zip(error.faults, places, strict=True)]
        raise InputError(faults) from error


def refs_of(suite: Suite, built: Mapping[str, Scorer]) -> Sequence[CaseRef]:
    """What the run remembers of its cases, sorted by id."""

    @cache
    def judged_by(keys: tuple[str, ...]) -> str:
        return judges_of([built[key] for key in keys])

    pairs = ((suite.selected[place], suite.contents[place]) for place in suite.order)
    refs = (_ref(case, content, judged_by(case.scorers)) for case, content in pairs)
    return gathered(refs, expected=len(suite.selected))


def _ref(case: Case, content: str, scorers: str) -> CaseRef:
    return CaseRef(
        id=case.id,
        categories=tuple(sorted(case.categories)),
        content=content,
        scorers=scorers,
        critical=case.critical,
        cluster=case.cluster,
        tags=case.tags,
        input=case.input if case.input is not None else list(case.messages) or None,
        expected=case.expected,
        metadata=case.metadata,
        source=case.source,
    )


def judges_of(scorers: Iterable[Scorer]) -> str:
    """Fingerprint of scorers: equal for those that judge equally, whatever their order."""
    return fingerprint(sorted([scorer.name, scorer.version, scorer.weight] for scorer in scorers))


def _remarks(results: Sequence[Result], suite: Suite, notes: Sequence[str], origin: Origin) -> dict[str, Json]:
    """Which models answered, as the endpoint itself says (what was asked for is in the version), and notes."""
    said = {(r.output.model, r.output.system_fingerprint) for r in results if isinstance(r, Scored)}
    models = sorted({model for model, _ in said if model})
    prints = sorted({name for _, name in said if name})
    found = {"models": models, "system_fingerprints": prints, "notes": [*suite.notes, *notes]}
    remarks: dict[str, Json] = {name: values for name, values in found.items() if values}
    remarks |= {"changed_since": suite.changed_since} if suite.changed_since else {}
    remarks |= origin.told
    return remarks | ({"modified": True} if origin.is_modified else {})
