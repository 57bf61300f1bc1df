"""The calls of one run, in one session with its endpoint: the plan, repeats, and fresh calls of both sides."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalgate.endpoints import Endpoint, Opening, Settings
from evalgate.errors import InputError
from evalgate.gate import Doubt, More
from evalgate.masking import Masker
from evalgate.pipeline.caching import Cache
from evalgate.pipeline.journals import fresh_path
from evalgate.pipeline.load import Suite
from evalgate.pipeline.pacing import Paces
from evalgate.pipeline.rationing import Rationed
from evalgate.records import Case, Confirmation, Json, Output, Request, Result, Run, Usage, fingerprint
from evalgate.runner.allowance import Allowance
from evalgate.runner.journal import Journal
from evalgate.runner.journal_lines import Header
from evalgate.runner.paced import Paced
from evalgate.runner.plan import Plan
from evalgate.runner.ports import Scorer
from evalgate.runner.progress import Progress
from evalgate.runner.run import Outcome
from evalgate.runner.run import run as run_plan
from evalgate.runner.settings import Limits
from evalgate.runner.spread import Workers, spread
from evalgate.spool import gathered

AGAIN = "\x00baseline"
"""Ends the id of a case that is put to the baseline: no id of an eval set can hold it."""


@dataclass(frozen=True, kw_only=True)
class AskAgain:
    """How the baseline can be asked again, or why it cannot."""

    settings: Settings | None
    """Of its endpoint; None: it cannot be called."""
    how: str
    """In a sentence without a full stop."""
    requests: Mapping[str, Json] | None = None
    """The messages of each case as they were sent then; None: this change's prompts are put to it."""
    read: Callable[[Collection[str]], AskAgain] | None = None
    """Gives all of this, once cases of these ids are to be asked: mostly none is, and requests are many or far away."""


class Session:
    """Makes the calls that the gate plans. What ends one call early ends the run, with its reason."""

    def __init__(
        self,
        suite: Suite,
        endpoint: Endpoint,
        built: Mapping[str, Scorer],
        journal: Journal,
        progress: Progress,
        header: Header,
        stack: AsyncExitStack,
        opening: Opening,
        allowance: Allowance,
        paces: Paces,
        cache: Cache,
        workers: Workers | None = None,
    ) -> None:
        """workers: who makes the calls of plans; None: this process."""
        self._suite, self._endpoint, self._journal, self._progress = suite, endpoint, journal, progress
        self._header, self._stack, self._opening = header, stack, opening
        self._allowance, self._paces = allowance, paces
        self._remembering = cache.around(suite.config.endpoint, endpoint, suite.discreetly)
        self._built, self._workers = built, workers
        self._masker = Masker(suite.known_secrets(opening.environ))
        self._began_at = time.monotonic()
        self.ask_again = AskAgain(settings=None, how="")
        self.interrupted = False
        self.notes: list[str] = []

    async def call(self, plan: Plan) -> Outcome:
        """The results of a plan at the endpoint under test, or what it answered to the same requests before."""
        if self._workers is not None:
            return self._noted(await self._spread(plan, self._workers))
        outcome = await run_plan(
            plan,
            endpoint=self._remembering or self._endpoint,
            recall=self._recall,
            as_kept=self._masker.result,
            render=self._suite.renderer(),
            scorers=self._scorers_of,
            limits=self._limits(),
            journal=self._journal,
            progress=self._progress,
        )
        return self._noted(outcome)

    async def _spread(self, plan: Plan, workers: Workers) -> Outcome:
        used = self._journal.used
        before = used.requests
        outcome = await spread(
            plan,
            workers,
            scorers=self._scorers_of,
            limits=self._limits(),
            max_calls=self._allowance.left,
            journal=self._journal,
            progress=self._progress,
            as_kept=self._masker.result,
            **self._memory(),
        )
        self._allowance.lower(used.requests - before)
        return outcome

    def _memory(self) -> Mapping[str, Any]:
        """What workers are spared, and what they answer, kept here: their machines share no cache."""
        remembering = self._remembering
        if remembering is None:
            return {}
        render = self._suite.renderer()

        def recall(case: Case, epoch: int) -> Output | None:
            try:
                return remembering.recall(render(case, epoch))
            except InputError:
                return None  # its result is a `Failed` that says so

        return {"recall": recall, "keep": lambda case, epoch, output: remembering.keep(render(case, epoch), output)}

    def _recall(self, request: Request) -> Output | None:
        return None if self._remembering is None else self._remembering.recall(request)

    async def more(self, run: Run, more: More) -> Run:
        cases = self._suite.by_id(more.case_ids)
        asked = frozenset(more.case_ids)
        # Results come sorted by epoch.
        done = {result.case_id: result.epoch for result in run.results if result.case_id in asked}
        outcome = await self.call(Plan(cases=cases, epochs=more.epochs, done=done))
        return replace(run, results=_together(run.results, outcome.results), stopped=outcome.stopped)

    async def confirm(self, run: Run, doubt: Doubt) -> Confirmation | None:
        """Both sides in turns in one plan, so that they meet the same minutes of the same day."""
        if not self._suite.can_be_called_again:
            return None
        cases = self._suite.by_id(doubt.case_ids)
        baseline, asked = await self._open_baseline(doubt.case_ids)
        fresh, turns = self._endpoint, cases
        if baseline is not None:
            fresh = _Both(self._endpoint, baseline)
            turns = gathered(_in_turns(cases, asked))
        outcome = await self._call_fresh(Plan(cases=turns, epochs=doubt.epochs), fresh, asked)
        if outcome.stopped is not None:
            self.notes.append(f"Fresh calls to confirm the block ended early: {outcome.stopped}.")
            if self.interrupted or not outcome.results:
                return None
        before = (replace(r, case_id=r.case_id.removesuffix(AGAIN)) for r in outcome.results if _is_twin(r.case_id))
        return Confirmation(
            categories=doubt.categories,
            epochs=doubt.epochs,
            after=tuple(result for result in outcome.results if not _is_twin(result.case_id)),
            before=tuple(sorted(before, key=lambda result: (result.case_id, result.epoch))),
            how=asked.how,
        )

    def _scorers_of(self, case: Case) -> Sequence[Scorer]:
        return [self._built[key] for key in case.scorers]

    async def _open_baseline(self, case_ids: Collection[str]) -> tuple[Endpoint | None, AskAgain]:
        """The baseline's endpoint, and how it is asked; None where it cannot be, with the reason."""
        asked = self.ask_again if self.ask_again.read is None else self.ask_again.read(case_ids)
        if asked.settings is None:
            return None, asked
        lacking = asked.settings.missing_credentials(self._opening.environ)
        if lacking is not None:
            return None, AskAgain(settings=None, how=f"the baseline cannot be called again: {lacking}")
        try:
            pace = self._paces.of(asked.settings)
            opening = replace(self._opening, told=pace.told)
            opened = await self._stack.enter_async_context(asked.settings.open(opening))
        except InputError as error:
            return None, AskAgain(settings=None, how=f"the baseline cannot be called again: {error}")
        paced = discreet(Paced(Rationed(opened, self._allowance), pace), asked.settings.secrets(self._opening.environ))
        return paced, asked

    async def _call_fresh(self, plan: Plan, endpoint: Endpoint, asked: AskAgain) -> Outcome:
        journal = self._open_fresh_journal(asked)
        render = self._suite.renderer()

        def rendered(case: Case, epoch: int) -> Request:
            case_id = case.id.removesuffix(AGAIN)
            if not _is_twin(case.id):
                return render(case, epoch)
            request = render(replace(case, id=case_id), epoch)
            messages = request.messages if asked.requests is None else tuple(asked.requests[case_id])
            params = asked.settings.params if asked.settings is not None else request.params
            return replace(request, case=case, messages=messages, params=params)

        with journal:
            outcome = await run_plan(  # without `recall`: fresh means asked now, by judges too
                plan,
                endpoint=endpoint,
                render=rendered,
                scorers=self._scorers_of,
                limits=self._limits(),
                journal=journal,
                progress=self._progress,
                as_kept=self._masker.result,
            )
        return self._noted(outcome)

    def _open_fresh_journal(self, asked: AskAgain) -> Journal:
        """Fresh calls have a journal of their own beside the run's: there a case has other answers.

        What an interrupted confirmation has kept holds, as long as the same baseline is asked: the sides took turns, so
        that both have met the same minutes, but for the few calls that were in flight.
        """
        path = fresh_path(self._journal)
        if path is None:
            return Journal.null()
        used = self._journal.used  # one budget over everything
        before = used.requests
        journal = self._resume_fresh(path) if path.exists() else None
        self._allowance.lower(used.requests - before)
        if journal is None:
            journal = Journal.create(path, self._header)
            journal.used = used
        baseline = None
        if asked.settings is not None:
            baseline = [asked.settings.identity(self._suite.config.base_dir), asked.requests]
        journal.keep_under(fingerprint(baseline))
        return journal

    def _resume_fresh(self, path: Path) -> Journal | None:
        """An interrupted confirmation's journal; None where it ended in its first line, before any call."""
        try:
            return Journal.resume(path, self._header, used=self._journal.used)
        except InputError:
            path.unlink()
            return None

    def room(self) -> int | None:
        budget, used, left = self._suite.config.run.budget_usd, self._journal.used, self._allowance.left
        bounds: list[float] = []
        if budget is not None and used.calls and used.known_usd:
            bounds.append((budget - used.known_usd) / (used.known_usd / used.calls))
        if left is not None:
            bounds.append(left * used.calls / used.requests if used.calls else left)  # each is judged as those so far
        return max(0, int(min(bounds))) if bounds else None

    def usage(self) -> Usage:
        """What all calls of the run have used, fresh ones and judges' included."""
        judged = self._journal.used.judge_calls
        if judged:
            self.notes.append(f"{judged:,} of its calls went to judges.")
        return self._journal.used.usage(time.monotonic() - self._began_at)

    def _limits(self) -> Limits:
        asked = self._suite.config.run
        deadline_s = asked.deadline_s
        if deadline_s is not None:
            deadline_s = max(0.001, deadline_s - (time.monotonic() - self._began_at))
        return Limits(
            concurrency=asked.concurrency,
            timeout_s=asked.timeout_s,
            deadline_s=deadline_s,
            whole_deadline_s=asked.deadline_s,
            max_retries=asked.max_retries,
            budget_usd=asked.budget_usd,
        )

    def _noted(self, outcome: Outcome) -> Outcome:
        self.interrupted = self.interrupted or outcome.interrupted
        self.notes.extend(note for note in outcome.notes if note not in self.notes)
        return outcome


class _Both:
    """The endpoint under test and the baseline's, told apart by the case's id."""

    def __init__(self, candidate: Endpoint, baseline: Endpoint) -> None:
        self._candidate, self._baseline = candidate, baseline

    async def call(self, request: Request) -> Output:
        if not _is_twin(request.case.id):
            return await self._candidate.call(request)
        case = replace(request.case, id=request.case.id.removesuffix(AGAIN))
        return await self._baseline.call(replace(request, case=case))


class Discreet:
    """An endpoint whose answers never hold its own key: a judge's server would be sent it, and the cache keeps it."""

    def __init__(self, endpoint: Endpoint, secrets: Sequence[str]) -> None:
        self._endpoint, self._masker = endpoint, Masker(secrets)

    async def call(self, request: Request) -> Output:
        return self._masker.output(await self._endpoint.call(request), is_known=True)


def discreet(endpoint: Endpoint, secrets: Sequence[str]) -> Endpoint:
    """The endpoint, keeping these secrets out of its answers; the endpoint itself where it has none."""
    return Discreet(endpoint, secrets) if secrets else endpoint


def _is_twin(case_id: str) -> bool:
    return case_id.endswith(AGAIN)


def _in_turns(cases: Sequence[Case], asked: AskAgain) -> Iterator[Case]:
    """Each case, and after it the same for the baseline where that was asked it before."""
    for case in cases:
        yield case
        if asked.requests is None or case.id in asked.requests:
            yield replace(case, id=case.id + AGAIN)


def _together(first: Sequence[Result], second: Sequence[Result]) -> Sequence[Result]:
    return gathered(heapq.merge(first, second, key=lambda result: (result.case_id, result.epoch)))
