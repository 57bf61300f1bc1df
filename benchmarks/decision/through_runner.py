"""The simulated endpoint behind the real runner: the verdicts must be those of the simulation, byte by byte."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from benchmarks.decision.cells import CELLS
from benchmarks.decision.drive import Pull, as_bytes, escalated, pull_of
from benchmarks.decision.generator import Array
from evalgate import gate
from evalgate.pipeline.staged import Against, staged
from evalgate.records import Case, Confirmation, Output, Request, Result, Run, Score, Verdict
from evalgate.runner.journal import Journal
from evalgate.runner.plan import Plan
from evalgate.runner.progress import Silent
from evalgate.runner.run import run as run_plan
from evalgate.runner.settings import Limits


def compare(cells: Iterable[str], *, prs: int, seed: int) -> int:
    """Says of each cell how many of its pull requests got the same verdict both ways; 1 unless all did."""
    differing = 0
    for name in cells:
        same = [asyncio.run(is_same(name, seed, number)) for number in range(prs)]
        differing += same.count(False)
        print(f"{name}: {same.count(True)} of {prs} verdicts are the same through the runner, byte by byte")
    if differing:
        print(f"{differing} verdicts differ", file=sys.stderr)
    return 1 if differing else 0


async def is_same(name: str, seed: int, number: int) -> bool:
    """Whether the runner and the simulation come to the same bytes for this pull request."""
    pull = pull_of(CELLS[name], seed, number)
    simulated, _, _ = await escalated(pull)
    return as_bytes(simulated) == as_bytes(await through_runner(pull))


async def through_runner(pull: Pull) -> Verdict:
    """The verdict on a run whose every call went through the runner."""
    calls = RunnerCalls(pull)
    first = await calls.ask(pull.simulated.candidate, [ref.id for ref in pull.cast.cases], after=0, count=1)
    run = replace(pull.first, results=first)
    run = await staged(run, Against(baseline=pull.baseline, rules=pull.rules), calls)
    return gate.decide(run, pull.baseline, pull.rules)


class RunnerCalls:
    """Asks the simulated endpoint through `evalgate.runner`."""

    def __init__(self, pull: Pull) -> None:
        self._answers, self._places = pull.simulated, pull.cast.index
        self._cases = {ref.id: Case(id=ref.id, categories=ref.categories, input=ref.id) for ref in pull.cast.cases}

    async def more(self, run: Run, more: gate.More) -> Run:
        have = Counter(result.case_id for result in run.results)
        by_count: dict[int, list[str]] = {}
        for case_id in more.case_ids:
            by_count.setdefault(have[case_id], []).append(case_id)
        results = list(run.results)
        for after, case_ids in by_count.items():
            results += await self.ask(self._answers.candidate, case_ids, after=after, count=more.epochs - after)
        return replace(run, results=tuple(sorted(results, key=lambda result: (result.case_id, result.epoch))))

    async def confirm(self, run: Run, doubt: gate.Doubt) -> Confirmation:
        return Confirmation(
            categories=tuple(doubt.categories),
            epochs=doubt.epochs,
            after=await self.ask(self._answers.fresh_candidate, doubt.case_ids, after=0, count=doubt.epochs),
            before=await self.ask(self._answers.fresh_baseline, doubt.case_ids, after=0, count=doubt.epochs),
            how="the simulated baseline was asked again",
        )

    def room(self) -> None:
        """No bound but the rules' own."""

    async def ask(self, table: Array, case_ids: Sequence[str], *, after: int, count: int) -> tuple[Result, ...]:
        """Results of the `count` epochs after epoch `after` of these cases, from this table."""
        outcome = await run_plan(
            Plan(cases=tuple(self._cases[case_id] for case_id in case_ids), epochs=count),
            endpoint=TableEndpoint(table, self._places),
            # The plan counts the epochs of this call from 1; the endpoint those of the case.
            render=lambda case, epoch: Request(
                case=case, epoch=after + epoch, prompt=case.id, messages=({"role": "user", "content": case.id},)
            ),
            scorers=lambda case: (ReadScore(),),
            limits=Limits(),
            journal=Journal.null(),
            progress=Silent(),
        )
        if outcome.stopped is not None:
            raise RuntimeError(outcome.stopped)
        return tuple(replace(result, epoch=after + result.epoch) for result in outcome.results)


class TableEndpoint:
    """Answers with the score that stands in a table, (cases, epochs)."""

    def __init__(self, table: Array, places: Mapping[str, int]) -> None:
        self._table = table
        self._places = places

    async def call(self, request: Request) -> Output:
        return Output(text=str(float(self._table[self._places[request.case.id], request.epoch - 1])))


class ReadScore:
    """Takes the answer for the score."""

    name = "read"
    version = "read/1"
    weight = 1.0
    is_async = False
    is_beside = False

    def score_now(self, case: Case, output: Output) -> Score:
        return Score(scorer=self.name, value=float(output.text or "nan"), reason="as simulated", version=self.version)

    async def score(self, case: Case, output: Output) -> Score:
        return self.score_now(case, output)
