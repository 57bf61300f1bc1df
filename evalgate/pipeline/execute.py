"""Runs a suite: endpoint, scorers and runner put together; results become a `Run`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from evalgate import config as configuration
from evalgate import endpoints
from evalgate.endpoints import Endpoint, Opening
from evalgate.endpoints.masking import mask
from evalgate.errors import Fault, InputError, StoreError
from evalgate.pipeline.judging import JudgeDesk
from evalgate.pipeline.load import Suite
from evalgate.records import Case, CaseRef, Json, Output, Request, Run, Scored, Version, fingerprint
from evalgate.runner.journal import Header, Journal
from evalgate.runner.plan import Plan
from evalgate.runner.progress import Progress
from evalgate.runner.run import Outcome
from evalgate.runner.run import run as run_plan
from evalgate.runner.settings import Limits
from evalgate.scorers.build import Scorer, build


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
    """A finished or interrupted run, and the journal that still holds it."""

    run: Run
    journal: Path | None
    interrupted: bool


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
) -> Execution:
    """Makes every call of the suite, or as many as its limits and the user allow.

    The journal keeps each result as it comes and stays until `Execution.journal` is removed by whoever stored the run.
    Raises InputError for what only opening the endpoint can find, StoreError where the journal cannot be written.
    """
    version = suite.version()
    journal, header = open_journal(suite, version, origin.created, resume)
    with journal:
        outcome, built = asyncio.run(_call_all(suite, environ=environ, progress=progress, journal=journal))
    refs = tuple(sorted((_ref(case, built) for case in suite.selected), key=lambda ref: ref.id))
    run = Run(
        id=header.run_id,
        suite=suite.config.suite,
        created=header.created,
        cases=refs,
        results=outcome.results,
        epochs=suite.config.run.epochs,
        commit=origin.commit,
        branch=origin.branch,
        version=version,
        evalset=suite.evalset.content(),
        selection=suite.selection,
        stopped=outcome.stopped,
        usage=outcome.usage,
        metadata=_remarks(outcome, origin),
    )
    return Execution(run=run, journal=journal.path, interrupted=outcome.interrupted)


async def _call_all(
    suite: Suite, *, environ: Mapping[str, str], progress: Progress, journal: Journal
) -> tuple[Outcome, Mapping[str, Scorer]]:
    config = suite.config
    async with AsyncExitStack() as stack:
        endpoint, built = await _open(stack, suite, environ)
        by_case = {case.id: tuple(built[key] for key in case.scorers) for case in suite.selected}
        outcome = await run_plan(
            Plan(cases=suite.selected, epochs=config.run.epochs),
            endpoint=endpoint,
            render=suite.renderer(),
            scorers=lambda case: by_case[case.id],
            limits=_limits(suite),
            journal=journal,
            progress=progress,
        )
    return outcome, built


async def _open(
    stack: AsyncExitStack, suite: Suite, environ: Mapping[str, str]
) -> tuple[Endpoint, Mapping[str, Scorer]]:
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
    secrets = config.endpoint.secrets(environ)
    return (Discreet(endpoint, secrets) if secrets else endpoint), built


def _placed(path: Path, where: str) -> str:
    return f"{path}: {where}" if where else str(path)


class Discreet:
    """An endpoint whose answers never hold its own key: an answer that repeats it would be stored."""

    def __init__(self, endpoint: Endpoint, secrets: Sequence[str]) -> None:
        self._endpoint, self._secrets = endpoint, secrets

    async def call(self, request: Request) -> Output:
        output = await self._endpoint.call(request)
        if output.text is None or not any(secret in output.text for secret in self._secrets):
            return output
        return replace(output, text=mask(output.text, self._secrets))


def preflight(suite: Suite, environ: Mapping[str, str]) -> None:
    """Opens the endpoint and builds the scorers, calls nothing, closes all: what could not begin is told before
    anything is written. Raises InputError."""

    async def open_and_close() -> None:
        async with AsyncExitStack() as stack:
            await _open(stack, suite, environ)

    asyncio.run(open_and_close())


def _limits(suite: Suite) -> Limits:
    asked = suite.config.run
    return Limits(
        concurrency=asked.concurrency,
        timeout_s=asked.timeout_s,
        deadline_s=asked.deadline_s,
        max_retries=asked.max_retries,
        budget_usd=asked.budget_usd,
    )


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


def _remarks(outcome: Outcome, origin: Origin) -> dict[str, Json]:
    """Which models answered, as the endpoint itself says (what was asked for is in the version), and notes."""
    outputs = [result.output for result in outcome.results if isinstance(result, Scored)]
    models = sorted({output.model for output in outputs if output.model})
    prints = sorted({output.system_fingerprint for output in outputs if output.system_fingerprint})
    found = {"models": models, "system_fingerprints": prints, "notes": list(outcome.notes)}
    remarks: dict[str, Json] = {name: values for name, values in found.items() if values}
    return remarks | ({"modified": True} if origin.is_modified else {})
