"""Runs a suite: endpoint, scorers and runner put together; results become a `Run`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from evalgate import config as configuration
from evalgate import endpoints
from evalgate.endpoints import Opening
from evalgate.errors import Fault, InputError
from evalgate.pipeline.judging import JudgeDesk
from evalgate.pipeline.load import Suite
from evalgate.records import Case, CaseRef, Run, Scored, Version, fingerprint
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
    if resume is None:
        return Journal.create(folder / f"{header.run_id}.jsonl", header), header
    found = [item for item in Journal.find(folder, header.suite) if item.header.run_id.startswith(resume)]
    if not found:
        unfinished = [item.header.run_id for item in Journal.find(folder, header.suite)]
        hint = f"Unfinished runs: {', '.join(unfinished)}." if unfinished else "Start a new run without --resume."
        raise InputError(Fault(where="--resume", what=f"no unfinished run {resume!r} in {folder}", hint=hint))
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
        metadata=_remarks(outcome),
    )
    return Execution(run=run, journal=journal.path, interrupted=outcome.interrupted)


async def _call_all(
    suite: Suite, *, environ: Mapping[str, str], progress: Progress, journal: Journal
) -> tuple[Outcome, Mapping[str, Scorer]]:
    config = suite.config
    opening = Opening(
        base_dir=config.base_dir,
        environ=environ,
        concurrency=config.run.concurrency,
        timeout_s=config.run.timeout_s,
    )
    async with AsyncExitStack() as stack:
        desk = JudgeDesk(
            stack,
            opening,
            default=config.judge,
            read=lambda given: configuration.read_endpoint(
                given, base_dir=config.base_dir, environ=environ, endpoint_kinds=endpoints.KINDS
            ),
        )
        built = {key: build(spec, open_judge=desk.open) for key, spec in suite.evalset.scorers.items()}
        by_case = {case.id: tuple(built[key] for key in case.scorers) for case in suite.selected}
        endpoint = await stack.enter_async_context(config.endpoint.open(opening))
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


def _remarks(outcome: Outcome) -> dict[str, list[str]]:
    """Which models answered, as the endpoint itself says (what was asked for is in the version), and notes."""
    outputs = [result.output for result in outcome.results if isinstance(result, Scored)]
    models = sorted({output.model for output in outputs if output.model})
    prints = sorted({output.system_fingerprint for output in outputs if output.system_fingerprint})
    found = {"models": models, "system_fingerprints": prints, "notes": list(outcome.notes)}
    return {name: values for name, values in found.items() if values}
