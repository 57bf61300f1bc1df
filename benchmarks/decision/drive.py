"""One simulated pull request through every rule: the obvious ones, the limit, and evalgate's own code.

evalgate is asked as its users ask it: recorded results go to `gate.decide` (and, for some pull requests, as rows
through `evalgate.decide`, which must say the same); a run of one repeat goes to `staged`, which asks the simulated
endpoint for more where it wants more, and for a confirmation before it blocks. Nothing of the gate is built anew here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import evalgate
from benchmarks.decision import limit, naive
from benchmarks.decision.cells import Cell
from benchmarks.decision.generator import (
    CLUSTER,
    MOST_EPOCHS,
    Array,
    Effect,
    Layout,
    Past,
    Simulated,
    broken_at,
    past_of,
    simulate,
)
from evalgate import gate
from evalgate.gate import Rules, reach
from evalgate.pipeline.staged import Against, staged
from evalgate.records import (
    EVERY_CASE,
    Baseline,
    CaseRef,
    Confirmation,
    Missing,
    Pinned,
    Run,
    Scored,
    Status,
    Verdict,
)

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
FELL = 1e-4
"""A mean that moves less has not fallen: nothing here lowers one by so little."""

RECORDED_EVERY = 4
"""Every so many pull requests are also judged as recorded results, where the cell asks for it."""

DOOR_EVERY = 100
"""Every so many pull requests also go through the door for rows, in two other orders: ten times as slow."""

DEFAULTS = "{}"
"""What stands under `gate:` of the configuration, as JSON."""


@dataclass(frozen=True)
class Cast:
    """The cases of a layout and every result that they can have, made once."""

    layout: Layout
    levels: int
    """Different scores: 2, or 11 graded ones."""
    are_contexts_told: bool

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The categories, sorted."""
        return tuple(f"c{number:02}-of-{size}" for number, size in enumerate(self.layout.sizes))

    @cached_property
    def cases(self) -> tuple[CaseRef, ...]:
        """In the order of the generator, which is that of their ids."""
        return tuple(
            CaseRef(
                id=f"{name}-{place:03}",
                categories=(name,),
                cluster=f"{name}-{place // CLUSTER}" if self.are_contexts_told else None,
            )
            for name, size in zip(self.names, self.layout.sizes, strict=True)
            for place in range(size)
        )

    @cached_property
    def index(self) -> Mapping[str, int]:
        return {ref.id: number for number, ref in enumerate(self.cases)}

    @cached_property
    def _every_result(self) -> NDArray[Any]:
        found = np.empty((len(self.cases), MOST_EPOCHS, self.levels), dtype=object)
        for number, ref in enumerate(self.cases):
            for epoch in range(MOST_EPOCHS):
                for level in range(self.levels):
                    score = level / (self.levels - 1)
                    found[number, epoch, level] = Scored(case_id=ref.id, epoch=epoch + 1, score=score)
        return found

    def results(self, scores: Array, have: NDArray[np.int64]) -> tuple[Scored, ...]:
        """The first `have[i]` scores of each case i, (cases, epochs), as results sorted by case and epoch."""
        cases, epochs = np.nonzero(np.arange(scores.shape[1]) < have[:, None])
        levels = np.rint(scores[cases, epochs] * (self.levels - 1)).astype(np.int64)
        return tuple(self._every_result[cases, epochs, levels].tolist())

    def run(self, id: str, scores: Array) -> Run:
        """A run with all of these scores, (cases, epochs)."""
        epochs = scores.shape[1]
        results = self.results(scores, np.full(len(scores), epochs))
        return Run(id=id, suite="simulated", created=NO_TIME, cases=self.cases, results=results, epochs=epochs)


@lru_cache(maxsize=4)
def cast_of(layout: Layout, levels: int, are_contexts_told: bool) -> Cast:
    return Cast(layout, levels, are_contexts_told)


@dataclass(frozen=True, kw_only=True)
class Pull:
    """A simulated pull request, ready for the gate."""

    simulated: Simulated
    cast: Cast
    baseline: Baseline
    rules: Rules
    target: str | None
    """The category that falls by what is printed; None: the cell's effect says what falls."""

    @property
    def first(self) -> Run:
        """The candidate's run with one repeat."""
        return self.cast.run("candidate", self.simulated.candidate[:, :1])

    @cached_property
    def fallen(self) -> frozenset[str]:
        """The categories whose true mean fell, and the suite with them."""
        drops = self.simulated.past.rates - self.simulated.rates
        places = zip(self.cast.names, self.cast.layout.slices, strict=True)
        names = {name for name, place in places if drops[place].mean() > FELL}
        return frozenset(names | {EVERY_CASE} if names else names)


def pull_of(cell: Cell, seed: int, number: int, rules: str = DEFAULTS) -> Pull:
    """A pull request of this cell, to be judged by these rules."""
    setting = cell.setting
    cast = cast_of(setting.layout, 11 if setting.is_graded else 2, cell.are_contexts_told)
    past = past_of(seed, cell.name, number, setting)
    baseline, effect, target = _baseline(cast, past), cell.effect, None
    if cell.is_as_printed:
        target, effect = _as_printed(cast, past, number, rules)
    simulated = simulate(seed, cell.name, number, setting, past, effect)
    given = _rules(rules)
    if cell.is_ample:
        given = replace(given, max_extra_calls=(given.max_epochs - 1) * len(cast.cases))
    return Pull(simulated=simulated, cast=cast, baseline=baseline, rules=given, target=target)


@lru_cache(maxsize=2)
def _rules(text: str) -> Rules:
    return gate.parse_rules(json.loads(text))


def _baseline(cast: Cast, past: Past) -> Baseline:
    if not past.history:
        return Missing(reason="the simulation has none")
    runs = tuple(cast.run(f"base-{age}", scores) for age, scores in enumerate(past.history))
    return Pinned(runs=runs, why="simulated")


def _as_printed(cast: Cast, past: Past, number: int, rules: str) -> tuple[str, Effect]:
    """The category of this number, and its fall by what evalgate prints for this history."""
    index = number % len(cast.names)
    target, place = cast.names[index], cast.layout.slices[index]
    # A category of which nothing would be seen is not in there: it falls altogether, and counts as not seen.
    drop = _printed(cast, tuple(scores.tobytes() for scores in past.history), rules).get(target, 1.0)
    return target, lambda rng, layout, rates: broken_at(rng, rates, place, drop)


@lru_cache(maxsize=2)
def _printed(cast: Cast, history: tuple[bytes, ...], rules: str) -> Mapping[str, float]:
    """The drops that evalgate prints as detectable; asked once for the pull requests that share a history."""
    scores = tuple(np.frombuffer(run).reshape(len(cast.cases), -1) for run in history)
    runs = [cast.run(f"base-{age}", run) for age, run in enumerate(scores)]
    return reach.detectable(runs, _rules(rules), epochs=None)


class SimulatedCalls:
    """The endpoint of one pull request: answers from its table, whoever asks and in whatever order."""

    def __init__(self, pull: Pull) -> None:
        self._cast, self._answers = pull.cast, pull.simulated
        self._have = np.ones(len(pull.cast.cases), dtype=np.int64)
        self.calls = len(pull.cast.cases)
        """Of the candidate, for the run; its first repeat is paid for already."""
        self.confirmation_calls = 0
        """Of both sides."""
        self.doubted: tuple[str, ...] = ()
        """The categories that would have blocked."""

    async def more(self, run: Run, more: gate.More) -> Run:
        """The run, with as many results of the wanted cases as are wanted."""
        self._have[self._places(more.case_ids)] = more.epochs
        self.calls = int(self._have.sum())
        return replace(run, results=self._cast.results(self._answers.candidate, self._have))

    async def confirm(self, run: Run, doubt: gate.Doubt) -> Confirmation:
        """Fresh answers of both sides, of the same day."""
        asked = np.zeros_like(self._have)
        asked[self._places(doubt.case_ids)] = doubt.epochs
        self.confirmation_calls = 2 * int(asked.sum())
        self.doubted = tuple(doubt.categories)
        return Confirmation(
            categories=tuple(doubt.categories),
            epochs=doubt.epochs,
            after=self._cast.results(self._answers.fresh_candidate, asked),
            before=self._cast.results(self._answers.fresh_baseline, asked),
            how="the simulated baseline was asked again",
        )

    def room(self) -> None:
        """No bound but the rules' own."""

    def _places(self, case_ids: Sequence[str]) -> list[int]:
        return [self._cast.index[case_id] for case_id in case_ids]


# ---- one pull request -------------------------------------------------------------------------------------


Measured = dict[str, float]
"""What was measured of one pull request: 1 or 0 for what blocks or happens, and numbers of calls per case."""


async def measure(cell: Cell, seed: int, number: int, rules: str) -> Measured:
    """Every rule of the cell on pull request `number`."""
    pull = pull_of(cell, seed, number, rules)
    answers, history, layout = pull.simulated.candidate, pull.simulated.past.history, pull.cast.layout
    found: Measured = {}
    if history:
        judged = naive.verdicts(history[0][:, 0], answers[:, 0], layout)
        found |= {name: float(blocks) for name, blocks in judged.items()}
    if cell.has_limit:
        rates, thrice = pull.simulated.past.rates, answers[:, : limit.REPEATS]
        found["limit"] = float(limit.blocks(rates, thrice, layout, is_everywhere=cell.is_everywhere))
        found["level"] = float(limit.holding_its_level(rates, thrice, layout))
    if cell.has_recorded and number % RECORDED_EVERY == 0:
        for name, repeats in (("once", 1), ("thrice", 3)):
            verdict = gate.decide(pull.cast.run("candidate", answers[:, :repeats]), pull.baseline, pull.rules)
            found |= _said(name, pull, _named(verdict), blocks=verdict.exit_code == 1)
    found |= await _escalate(pull)
    if number % DOOR_EVERY == 0 and history and not cell.are_contexts_told:  # rows do not tell contexts
        found["door"] = float(same_through_the_door(pull, np.random.default_rng([seed, number]), rules))
    return found


async def _escalate(pull: Pull) -> Measured:
    """The run that asks for more where it is in doubt, before and after its confirmation."""
    verdict, _, calls = await escalated(pull)
    named, cases = _named(verdict), len(pull.cast.cases)
    # What is to be confirmed would have blocked; the gate asks for a confirmation of nothing else.
    doubted = frozenset(calls.doubted) or named
    found = {
        **_said("found", pull, doubted, blocks=bool(calls.doubted) or verdict.exit_code == 1),
        **_said("blocked", pull, named, blocks=verdict.exit_code == 1),
        "drift": float(any(finding.status is Status.DRIFT for finding in verdict.findings)),
        "calls": calls.calls / cases,
        "confirmation": calls.confirmation_calls / cases,
    }
    if pull.target is not None:
        found["seen"] = float(pull.target in doubted)
        found["seen_confirmed"] = float(pull.target in named)
    return found


async def escalated(pull: Pull) -> tuple[Verdict, Run, SimulatedCalls]:
    """The verdict of an escalating run, the run, and what was asked for it."""
    calls = SimulatedCalls(pull)
    run = await staged(pull.first, Against(baseline=pull.baseline, rules=pull.rules), calls)
    return gate.decide(run, pull.baseline, pull.rules), run, calls


def _said(name: str, pull: Pull, named: frozenset[str], *, blocks: bool) -> Measured:
    """Whether it blocks, and whether it names a category (or the suite) that did not fall."""
    return {name: float(blocks), f"{name}_wrong": float(bool(named - pull.fallen))}


def _named(verdict: Verdict) -> frozenset[str]:
    """The categories that a rule blocks for."""
    return frozenset(
        finding.category for finding in verdict.findings if finding.gating and finding.status is Status.BREACH
    )


# ---- the same answer whatever the way ---------------------------------------------------------------------


def as_bytes(verdict: Verdict) -> str:
    """The verdict as its contract writes it."""
    return json.dumps(verdict.to_dict())


def same_through_the_door(pull: Pull, rng: np.random.Generator, rules: str = DEFAULTS) -> bool:
    """Whether rows in any order get the verdict of the run that they are of, byte by byte."""
    run = pull.cast.run("candidate", pull.simulated.candidate[:, :3])
    runs = () if isinstance(pull.baseline, Missing) else pull.baseline.runs
    rows = [_rows(each, rng) for each in (run, *runs)]
    given = json.loads(rules)
    first = evalgate.decide(rows[0], rows[1:], given)
    again = evalgate.decide(_shuffled(rows[0], rng), [_shuffled(each, rng) for each in _shuffled(rows[1:], rng)], given)
    inside = gate.decide(run, pull.baseline, pull.rules)
    same = replace(
        inside, suite=None, run_id=None, run_version=None, run_created=None, baseline=first.baseline, usage=first.usage
    )
    return as_bytes(first) == as_bytes(again) == as_bytes(same)


def _rows(run: Run, rng: np.random.Generator) -> list[dict[str, Any]]:
    category = {ref.id: ref.categories[0] for ref in run.cases}
    rows = [
        {"id": result.case_id, "category": category[result.case_id], "epoch": result.epoch, "score": result.score}
        for result in run.results
        if isinstance(result, Scored)
    ]
    return _shuffled(rows, rng)


def _shuffled(items: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    return [items[place] for place in rng.permutation(len(items)).tolist()]


def measure_many(cell: Cell, seed: int, first: int, count: int, rules: str) -> dict[str, list[float]]:
    """What was measured of so many pull requests, one after the other, by name."""

    async def one_after_the_other() -> list[Measured]:
        return [await measure(cell, seed, number, rules) for number in range(first, first + count)]

    columns: dict[str, list[float]] = {}
    for found in asyncio.run(one_after_the_other()):
        for name, value in found.items():
            columns.setdefault(name, []).append(value)
    return columns
