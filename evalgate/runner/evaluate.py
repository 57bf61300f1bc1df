"""One case and epoch: render, call, judge. Knows no other case; whatever goes wrong here becomes a `Failed`."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalgate.errors import CallError, CallFault, EvalgateError
from evalgate.records import Case, Failed, Output, Request, Result, Score, Scored, Stage, weighted_mean
from evalgate.runner.calls import Caller, GaveUp, Halted, NotBegun
from evalgate.runner.judgement import judging
from evalgate.runner.meter import Meter
from evalgate.runner.ports import Endpoint, Scorer


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of one case and epoch."""

    result: Result
    fault: CallFault | None = None
    """Why the endpoint did not answer; None where it did, or was not asked."""
    is_rescued: bool = False
    """Whether its answer has been given to `rescue` already."""


class Evaluator:
    """Makes a result of a case."""

    def __init__(
        self,
        *,
        endpoint: Endpoint,
        render: Callable[[Case, int], Request],
        scorers: Callable[[Case], Sequence[Scorer]],
        caller: Caller,
        meter: Meter,
        rescue: Callable[[Result], object],
        in_vain: Callable[[int], object],
        recall: Callable[[Request], Output | None] | None = None,
    ) -> None:
        """rescue: is given the answered but unjudged result of a case whose judging takes time, or is cut short by the
        end of the run.
        in_vain: is told how many attempts a case has had that will have no result in this session.
        recall: the earlier answer to the same request, if there is one; None: nothing is reused, judgements neither."""
        self._endpoint = endpoint
        self._render = render
        self._scorers = scorers
        self._caller = caller
        self._meter = meter
        self._rescue = rescue
        self._in_vain = in_vain
        self._recall = recall

    async def evaluate(self, case: Case, epoch: int) -> Finished:
        """The result of asking and judging. Raises Halted if the run ends before it has one."""
        try:
            request = self._render(case, epoch)
        except Exception as error:  # noqa: BLE001 -- templates are users' code
            return Finished(
                Failed(case_id=case.id, epoch=epoch, stage=Stage.RENDER, cause=_told(error), attempts=0),
            )

        known = None if self._recall is None else self._recall(request)
        if known is not None:  # no call: it waits for no one, and teaches nothing of the endpoint's pace
            self._meter.saved()
            return await self._finish(case, epoch, known, 0)

        made = 0

        async def ask() -> Output:
            nonlocal made
            made += 1
            self._meter.called()
            try:
                return await self._endpoint.call(request)
            except (Halted, NotBegun):
                made -= 1
                self._meter.not_called()
                raise
            finally:
                self._meter.in_flight -= 1

        try:
            output, attempts = await self._caller.call(ask)
        except (asyncio.CancelledError, Halted):
            self._in_vain(made)
            raise
        except GaveUp as end:
            if isinstance(end.error, CallError):
                cause, fault = _cause(end), end.error.fault
            else:
                cause, fault = _place(end.error), CallFault.CODE
            return Finished(
                Failed(case_id=case.id, epoch=epoch, stage=Stage.ENDPOINT, cause=cause, attempts=end.attempts), fault
            )
        self._meter.answered(output)
        return await self._finish(case, epoch, output, attempts)

    async def _finish(self, case: Case, epoch: int, output: Output, attempts: int) -> Finished:
        unjudged = _unjudged(case, epoch, output, attempts, "the run ended before it was judged")
        is_rescued = attempts > 0 and any(scorer.is_async or scorer.is_beside for scorer in self._scorers(case))
        if is_rescued:
            # Whatever ends the process meanwhile: the answer is paid for.
            self._rescue(unjudged)
        try:
            return Finished(await self.judge(case, epoch, output, attempts), is_rescued=is_rescued)
        except (asyncio.CancelledError, Halted):
            if not is_rescued:
                self._rescue(unjudged)
            raise

    async def judge(self, case: Case, epoch: int, output: Output, attempts: int) -> Result:
        """The result of judging an answer. One scorer that fails is enough: a mean of the others would be another
        metric under the same name."""
        scores: list[Score] = []
        cause = ""
        for scorer in self._scorers(case):
            try:
                score = await self._ask(scorer, case, epoch, output)
            except GaveUp as end:
                prefix, cause = f"scorer {scorer.name}: ", _cause(end)
                cause = prefix + cause.removeprefix(prefix)  # many a scorer names itself
                break
            if not 0 <= score.value <= 1:  # NaN too
                cause = f"scorer {scorer.name} gave {score.value!r}, which is no score in [0, 1]"
                break
            scores.append(score)
        if not cause and not scores:
            cause = "no scorer judges this case"
        if cause:
            return _unjudged(case, epoch, output, attempts, cause)
        return Scored(
            case_id=case.id,
            epoch=epoch,
            score=weighted_mean(scores),
            scores=tuple(scores),
            output=output,
            attempts=attempts,
        )

    async def _ask(self, scorer: Scorer, case: Case, epoch: int, output: Output) -> Score:
        """One scorer's judgement. Raises GaveUp for whatever else it gives, Halted where no call is left."""

        async def ask() -> Score:
            if self._recall is None:
                return await scorer.score(case, output)
            with judging(case.id, epoch):
                return await scorer.score(case, output)

        try:
            if scorer.is_beside:
                return await scorer.score(case, output)
            if scorer.is_async:
                return await self._caller.judge(ask)
            return scorer.score_now(case, output)
        except (GaveUp, Halted):
            raise
        except Exception as error:  # scorers are users' code
            raise GaveUp(error, 1) from error


def _unjudged(case: Case, epoch: int, output: Output, attempts: int, cause: str) -> Failed:
    return Failed(case_id=case.id, epoch=epoch, stage=Stage.SCORER, cause=cause, output=output, attempts=attempts)


def _cause(end: GaveUp) -> str:
    cause = _told(end.error)
    if end.attempts > 1:
        cause += f" (after {end.attempts} attempts)"
    return f"{cause}; {end.note}" if end.note else cause


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, EvalgateError) else f"{type(error).__name__}: {error}".rstrip(": ")


def _place(error: Exception) -> str:
    """Where an endpoint raised what it should have turned into a CallError. Not what the exception says: only the
    endpoint knows how to mask its secrets, and here it did not get to it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"the endpoint's own code broke with {type(error).__name__}{where}"
