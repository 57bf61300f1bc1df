"""What a worker on another process or machine does: opens the suite from the same files, and runs a batch.

The files have to be there, at the same path; keys come from the worker's own environment, and nothing that is sent to
it holds one. A worker whose files or variables make another version of the suite refuses to call anything.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.errors import CallFault, Fault, InputError
from evalgate.pipeline.load import Suite, load_config, secret_variables
from evalgate.pipeline.pacing import Paces, share_of
from evalgate.records import EvalSet, Output, Result
from evalgate.runner.allowance import Allowance
from evalgate.runner.journal import Journal
from evalgate.runner.meter import Meter
from evalgate.runner.run import run as run_plan
from evalgate.runner.spread import Answered, Batch, Ended, InVain, Judged, Made, Retried, Told, Workers

if TYPE_CHECKING:
    from evalgate.pipeline.execute import Engine


@dataclass(frozen=True, kw_only=True)
class Work:
    """A suite for workers: where it is, and what they must find there."""

    config: Path
    evalset: EvalSet
    """Without its cases: those come with the batches."""
    version: str | None
    scorers: str
    """Fingerprint of all scorers."""

    @staticmethod
    def of(suite: Suite, scorers: str) -> Work:
        return Work(
            config=suite.config.path.absolute(),
            evalset=replace(suite.evalset, cases=()),
            version=suite.version().id,
            scorers=scorers,
        )

    def run(self, batch: Batch, tell: Callable[[Told], object]) -> None:
        """See `on_ray.Job`."""
        asyncio.run(self._run(batch, tell))

    async def _run(self, batch: Batch, tell: Callable[[Told], object]) -> None:
        from evalgate.pipeline.execute import judges_of, open_suite

        suite = self._suite(batch)
        journal = _Telling(tell, batch)
        async with AsyncExitStack() as stack:
            endpoint, built, _ = await open_suite(
                stack,
                suite,
                os.environ,
                Allowance(batch.max_calls),
                journal,
                Paces(suite.config.run, os.environ),
            )
            if judges_of(built.values()) != self.scorers:
                raise self._another("scorers")
            outcome = await run_plan(
                batch,
                endpoint=endpoint,
                render=suite.renderer(),
                scorers=lambda case: tuple(built[key] for key in case.scorers),
                limits=batch.limits,
                journal=journal,
                progress=_Retries(tell),
            )
        stopped = outcome.stopped
        tell(Ended(stopped=None if stopped is None else stopped.rpartition(", after ")[0] or stopped))

    def _suite(self, batch: Batch) -> Suite:
        """The suite as this machine has it. Raises InputError where it is another."""
        config = load_config(self.config, os.environ)
        lacking = config.endpoint.missing_credentials(os.environ)
        if lacking is not None:
            raise InputError(Fault(where=f"worker on {_host()}", what=lacking, hint="Set it where workers run."))
        run = share_of(config.run, batch.limits.concurrency)
        suite = Suite(
            config=replace(config, run=run),
            evalset=self.evalset,
            selected=(),
            selection=None,
            secrets=secret_variables(config, os.environ),
        )
        if suite.version().id != self.version:
            raise self._another("version of the endpoint")
        return suite

    def _another(self, what: str) -> InputError:
        hint = "Workers need the same files at the same path, and the same variables."
        return InputError(Fault(where=f"worker on {_host()}", what=f"{self.config} makes another {what}", hint=hint))


def on_ray(count: int | None, environ: Mapping[str, str]) -> Engine:
    """Workers of Ray; count: how many at the same time, None: one for each of its processors. Raises InputError where
    Ray is not installed, and where there is no cluster at the address that the environment names."""
    from evalgate.runner.on_ray import ADDRESS, OnRay, check_address, check_installed

    check_installed()
    if environ.get(ADDRESS):
        check_address(environ[ADDRESS])

    def begin(stack: AsyncExitStack, suite: Suite, scorers: str) -> Workers:
        return stack.enter_context(OnRay(Work.of(suite, scorers), count=count, environ=environ))

    return begin


class _Telling(Journal):
    """Stands where a run's journal is: tells whoever collects instead of writing."""

    def __init__(self, tell: Callable[[Told], object], batch: Batch) -> None:
        super().__init__(None, None)
        self.kept = dict(batch.kept)
        self._tell = tell

    def write(self, result: Result, *, is_rejudged: bool = False) -> None:
        self._tell(Made(result=result, is_rejudged=is_rejudged))

    def write_unjudged(self, result: Result) -> None:
        self._tell(Answered(result=result))

    def write_in_vain(self, attempts: int) -> None:
        if attempts:
            self._tell(InVain(attempts=attempts))

    def write_judged(self, output: Output | None) -> None:
        self._tell(Judged(output=output))


class _Retries:
    """Progress of a batch: results are told by the journal."""

    def __init__(self, tell: Callable[[Told], object]) -> None:
        self._tell = tell

    def start(
        self, total: int, done: int = 0, *, used: Meter | None = None, budget_usd: float | None = None
    ) -> None: ...
    def advance(self, result: Result) -> None: ...
    def stop(self) -> None: ...

    def retry(self, fault: CallFault, wait_s: float) -> None:
        self._tell(Retried(fault=fault, wait_s=wait_s))


def _host() -> str:
    import platform

    return platform.node() or "another machine"
