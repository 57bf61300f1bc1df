"""`evalgate calibrate`: runs of one version, put through the gate as if they were pull requests that change nothing.

Real ones first, each run judged against the others; then simulated ones, through the very driver that a run goes
through, with an endpoint that draws its answers from the history.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random

from evalgate import gate
from evalgate.config import Config
from evalgate.errors import Fault, InputError
from evalgate.gate import Doubt, More, Rules, reach
from evalgate.gate.rules import Proof
from evalgate.gate.sides import Sides, take_sides
from evalgate.pipeline.baselines import Outlook, outlook
from evalgate.pipeline.load import DEFAULT_CONFIG, load_config
from evalgate.pipeline.staged import Against, staged
from evalgate.practices import calibration as practice
from evalgate.practices.calibration import CaseScores, Offer, Unchanged
from evalgate.records import (
    EVERY_CASE,
    Confirmation,
    Missing,
    Pinned,
    Result,
    Run,
    Scored,
    Status,
    Verdict,
    VerdictName,
)
from evalgate.report.calibration import (
    NOW,
    REPEATS,
    RUNS,
    TWICE,
    Advice,
    Calibration,
    CaseFigures,
    CategoryFigures,
    Culprit,
    LeftOut,
    Simulated,
)
from evalgate.stats.detect import detectable_drop

SEED = 20260101
MOST_WAVERING = 10
HISTORIES = (5, 10)
"""Runs of history for which the detectable drops are shown."""
RUNS_TO_KNOW = 5
"""Runs with which a history is said to know its noise."""
FIXED_REPEATS = 3


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """What `evalgate calibrate` can be told."""

    config: Path = DEFAULT_CONFIG
    store: str | None = None
    simulations: int = 200
    """Pull requests that are simulated; 0: none."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def calibrate(options: CalibrateOptions, *, now: datetime | None = None) -> Calibration:
    """How noisy this gate is, from the runs that a run made here and now would be compared with. Calls no model.

    Raises InputError for a bad configuration and where there is no such run, StoreError.
    """
    now = now or datetime.now(UTC)
    config = load_config(options.config, options.environ, needs_endpoint=False)
    found = outlook(options.config, options.store, options.environ, now=now)
    if isinstance(found.baseline, Missing):
        hint = "Record some: `evalgate calibrate --runs 5`; that makes five runs of the whole suite."
        raise InputError(Fault(where=found.store, what=f"no run to calibrate with: {found.baseline.reason}", hint=hint))
    bench = _Bench.of(config, found, today=now.astimezone(UTC).date())
    return _calibrated(bench, found, options.simulations)


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """The runs and the gate that is tried with them."""

    config: Config
    rules: Rules
    runs: tuple[Run, ...]
    """The newest first, cases without any score left out."""
    against: Against
    sides: Sides
    cases: tuple[CaseScores, ...]
    """Those that have a score, sorted by id."""

    @staticmethod
    def of(config: Config, found: Outlook, *, today: date) -> _Bench:
        assert not isinstance(found.baseline, Missing)
        rules: Rules = config.rules
        first, *rest = found.baseline.runs
        pool = Pinned(runs=tuple(rest), why="pooled") if rest else Missing(reason="alone")
        sides = take_sides(first, pool, rules)
        by_run = (sides.after, *sides.runs_before)
        cases = tuple(
            CaseScores(id=sides.cases.ids[i], categories=categories, by_run=tuple(run[i] for run in by_run))
            for i, categories in enumerate(sides.cases.categories)
            if any(run[i] for run in by_run)
        )
        runs = tuple(found.baseline.runs)
        against = Against(
            baseline=Pinned(runs=runs, why="the runs of the calibration"),
            rules=rules,
            anchor=found.anchor,
            exempt=config.exceptions,
            today=today,
        )
        return _Bench(config=config, rules=rules, runs=runs, against=against, sides=sides, cases=cases)

    @property
    def knows_noise(self) -> bool:
        """Whether most cases were answered twice: by another run, or by a repeat."""
        return 2 * sum(len(case.scores) > 1 for case in self.cases) >= len(self.cases)

    @property
    def fixed_epochs(self) -> int | None:
        """Repeats of a pull request's run where they are fixed; None: step by step."""
        if self.config.run.epochs != 1:
            return self.config.run.epochs
        repeats = self.rules.max_epochs > 1 and self.rules.extra_calls(len(self.cases)) > 0
        return None if repeats else 1


def _calibrated(bench: _Bench, found: Outlook, pulls: int) -> Calibration:
    trial = _tried(bench, pulls) if bench.knows_noise and pulls else None
    names = (EVERY_CASE, *bench.sides.categories)
    reached = _reached(bench, names)
    now = reached.get(NOW, {})
    per_pull = trial.calls_per_case if trial is not None else float(bench.fixed_epochs or 1)
    waver = practice.wavering(bench.cases, bench.rules.pass_mark) if bench.knows_noise else []
    lacking = 0 if bench.knows_noise else max(1, RUNS_TO_KNOW - len(bench.runs))
    return Calibration(
        suite=found.suite,
        runs=tuple(run.id for run in bench.runs),
        why=getattr(found.baseline, "why", ""),
        cases=len(bench.cases),
        alpha=bench.rules.alpha,
        left_out=_left_out(bench),
        simulated=None if trial is None else trial.figures(bench),
        categories=tuple(_category(bench, name, trial, reached) for name in names),
        wavering=tuple(
            CaseFigures(id=case.id, category=", ".join(case.categories), passed=case.passed, answers=case.answers)
            for case in waver[:MOST_WAVERING]
        ),
        wavering_in_all=len(waver),
        useful=practice.USEFUL,
        coarse=tuple(practice.too_coarse(now)),
        culprits=() if trial is None else tuple(_culprits(bench, trial)),
        advice=_advice(bench, reached, per_pull) if bench.knows_noise else None,
        cost_per_call_usd=practice.cost_per_call(bench.runs),
        runs_to_know=lacking,
        calls_to_know=lacking * _calls_of_a_run(bench),
        notes=tuple(_notes(bench, found)),
    )


def _category(
    bench: _Bench, name: str, trial: _Trial | None, reached: Mapping[str, Mapping[str, float | None]]
) -> CategoryFigures:
    members = practice.in_category(bench.cases, name)
    noise = practice.noise(members, bench.rules.pass_mark)
    return CategoryFigures(
        name=name,
        cases=len(members),
        blocked=None if trial is None else trial.blocked_in.get(name, 0),
        doubted=None if trial is None else trial.doubted_in.get(name, 0),
        repeated=noise.repeated,
        changed=noise.changed if noise.repeated else None,
        within_sd=noise.within_sd,
        mean_sd=noise.mean_sd,
        detectable={kind: drops[name] for kind, drops in reached.items() if name in drops},
    )


def _culprits(bench: _Bench, trial: _Trial) -> list[Culprit]:
    """Rules that alone block more than alpha, beyond what so few pull requests may show by chance."""
    most = bench.rules.alpha + 2 * math.sqrt(bench.rules.alpha / trial.pulls)
    found = []
    for (category, name), blocked in sorted(trial.blocked_by.items(), key=lambda item: (-item[1], item[0])):
        rule = bench.rules.of(category)
        members = practice.in_category(bench.cases, category)
        if blocked > most * trial.pulls and members:
            culprit = Culprit(
                category=category,
                rule=name,
                blocked=blocked,
                mean=math.fsum(math.fsum(case.scores) / len(case.scores) for case in members) / len(members),
                floor=rule.min if name == "min" else None,
                is_critical=rule.critical,
                is_literal=rule.proof is Proof.LITERAL,
            )
            found.append(culprit)
    return found


def _notes(bench: _Bench, found: Outlook) -> list[str]:
    notes = []
    version = bench.runs[0].version.id
    blocked = [other.row.id for other in found.passed_over if other.row.version == version and other.row.exit_code == 1]
    if version is not None and blocked:
        runs = "1 further run" if len(blocked) == 1 else f"{len(blocked)} further runs"
        notes.append(f"{runs} of this version did not pass and can be no baseline; left out here, too.")
    if bench.sides.clusters:
        notes.append("Cases of one cluster were drawn one by one: real runs may vary more than the simulated ones.")
    if bench.rules.limits:
        notes.append("Limits on time, tokens and cost were not simulated.")
    return notes


def _calls_of_a_run(bench: _Bench) -> int:
    return len(bench.runs[0].cases) * bench.config.run.epochs


# ---- real runs --------------------------------------------------------------------------------------------


def _left_out(bench: _Bench) -> LeftOut | None:
    """Each run judged against the others, by the same rules; its own steps and confirmation had other runs to face."""
    if len(bench.runs) < 2:
        return None
    verdicts = [
        _decided(run, replace(bench.against, baseline=Pinned(runs=others, why="the other runs")))
        for run in bench.runs
        for others in [tuple(other for other in bench.runs if other.id != run.id)]
    ]
    unevaluated = (VerdictName.ERROR, VerdictName.NOT_COMPARABLE, VerdictName.NOT_EVALUATED)
    return LeftOut(
        judged=len(verdicts),
        blocked=tuple(
            run.id for run, told in zip(bench.runs, verdicts, strict=True) if told.verdict is VerdictName.FAIL
        ),
        unevaluated=sum(told.verdict in unevaluated for told in verdicts),
    )


def _decided(run: Run, against: Against) -> Verdict:
    return gate.decide(run, against.baseline, against.rules, anchor=against.anchor, exempt=against.exempt)


# ---- simulated pull requests ------------------------------------------------------------------------------


@dataclass
class _Trial:
    """What became of simulated pull requests."""

    pulls: int = 0
    blocked: int = 0
    doubted: int = 0
    calls: int = 0
    cases: int = 0
    is_baseline_called: bool = False
    blocked_in: dict[str, int] = field(default_factory=dict)
    doubted_in: dict[str, int] = field(default_factory=dict)
    blocked_by: dict[tuple[str, str], int] = field(default_factory=dict)
    """By category and rule."""

    @property
    def calls_per_case(self) -> float:
        return self.calls / self.cases

    def figures(self, bench: _Bench) -> Simulated:
        # Two of either kind are added, after Agresti and Coull: none in 200 is not sure to be none.
        share = (self.blocked + 2) / (self.pulls + 4)
        return Simulated(
            pulls=self.pulls,
            blocked=self.blocked,
            standard_error=math.sqrt(share * (1 - share) / (self.pulls + 4)),
            doubted=self.doubted,
            calls_per_case=self.calls_per_case,
            confirms=bench.rules.confirm,
            is_baseline_called=self.is_baseline_called,
        )


def _tried(bench: _Bench, pulls: int) -> _Trial:
    urn = Unchanged(bench.cases)
    asks_baseline = _can_ask_baseline(bench.config)
    trial = _Trial(is_baseline_called=asks_baseline)

    async def one_after_the_other() -> None:
        for number in range(pulls):
            await _try_one(bench, _UnchangedCalls(urn, Random(SEED + number), asks_baseline), trial)

    asyncio.run(one_after_the_other())
    return trial


async def _try_one(bench: _Bench, calls: _UnchangedCalls, trial: _Trial) -> None:
    epochs = bench.fixed_epochs
    run = await staged(calls.first(bench, epochs or 1), bench.against, calls, escalates=epochs is None)
    doubted, breaches, blocks = frozenset(calls.doubted), frozenset[tuple[str, str]](), False
    if calls.doubted or _may_block_at_once(bench):
        verdict = _decided(run, bench.against)
        blocks = verdict.verdict is VerdictName.FAIL
        found = [finding for finding in verdict.findings if finding.gating and finding.status is Status.BREACH]
        breaches = frozenset((f.category, f.rule if f.against == "baseline" else f.against) for f in found)
    named = frozenset(category for category, _ in breaches)
    trial.pulls += 1
    trial.blocked += blocks
    trial.doubted += blocks or bool(doubted)
    trial.calls += calls.calls
    trial.cases += len(bench.cases)
    for counts, names in ((trial.blocked_in, named), (trial.doubted_in, named | doubted)):
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    for key in breaches:
        trial.blocked_by[key] = trial.blocked_by.get(key, 0) + 1


def _may_block_at_once(bench: _Bench) -> bool:
    """Whether a block need not be announced by a doubt; else a run without one is not even decided, to save time."""
    rules = bench.rules
    judged = [rules.of(name) for name in (EVERY_CASE, *bench.sides.categories)]
    return (
        not rules.confirm
        or rules.anchor is not None
        or any(rule.critical or rule.proof is Proof.LITERAL for rule in judged)
        or any(ref.critical for ref in bench.runs[0].cases)
    )


def _can_ask_baseline(config: Config) -> bool:
    """Whether the baseline can be called again before a block, by the kinds of endpoints."""
    return bool(config.raw.get("baseline_endpoint")) or endpoint_kind(config) == "openai"


def endpoint_kind(config: Config) -> str | None:
    """The kind as written, for a configuration whose endpoint was left unread."""
    written = config.raw.get("endpoint")
    return written.get("kind") if isinstance(written, Mapping) else None


class _UnchangedCalls:
    """The endpoint of one pull request that changes nothing: candidate and baseline are one system."""

    def __init__(self, urn: Unchanged, rng: Random, asks_baseline: bool) -> None:
        self._urn, self._rng, self._asks_baseline = urn, rng, asks_baseline
        self._drawn: dict[str, list[float]] = {}
        self.calls = 0
        self.doubted: tuple[str, ...] = ()

    def first(self, bench: _Bench, epochs: int) -> Run:
        """The run with its first results; of the cases that have a history."""
        known = {case.id for case in bench.cases}
        newest = bench.runs[0]
        return Run(
            id="simulated",
            suite=newest.suite,
            created=newest.created,
            cases=tuple(ref for ref in newest.cases if ref.id in known),
            results=self._answers([case.id for case in bench.cases], epochs),
            epochs=epochs,
            version=newest.version,
            evalset=newest.evalset,
            # Nobody planned the cases that are left out.
            selection="the cases that have a history",
        )

    async def more(self, run: Run, more: More) -> Run:
        have = dict.fromkeys(more.case_ids, 0)
        for result in run.results:
            if result.case_id in have:
                have[result.case_id] = max(have[result.case_id], result.epoch)
        further = [
            result
            for case_id in more.case_ids
            for result in self._answers([case_id], more.epochs - have[case_id], after=have[case_id])
        ]
        results = sorted((*run.results, *further), key=lambda result: (result.case_id, result.epoch))
        return replace(run, results=tuple(results))

    async def confirm(self, run: Run, doubt: Doubt) -> Confirmation:
        self.doubted = doubt.categories
        return Confirmation(
            categories=doubt.categories,
            epochs=doubt.epochs,
            after=self._answers(doubt.case_ids, doubt.epochs),
            before=self._answers(doubt.case_ids, doubt.epochs) if self._asks_baseline else (),
            how="simulated",
        )

    def room(self) -> int | None:
        return None

    def _answers(self, case_ids: Sequence[str], epochs: int, *, after: int = 0) -> tuple[Result, ...]:
        found: list[Result] = []
        for case_id in case_ids:
            drawn = self._drawn.setdefault(case_id, [])
            scores = self._urn.draw(case_id, epochs, self._rng, drawn=drawn)
            drawn += scores
            self.calls += epochs
            found += [Scored(case_id=case_id, epoch=after + k, score=score) for k, score in enumerate(scores, start=1)]
        return tuple(found)


# ---- what can be seen -------------------------------------------------------------------------------------


def _reached(bench: _Bench, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Detectable drops by what they are worked out for, then by category; categories without such a rule are absent."""
    now = {name: [case.scores for case in practice.in_category(bench.cases, name)] for name in names}
    epochs = bench.fixed_epochs
    found = {NOW: _drops(bench, now, epochs)}
    if epochs is None or epochs < FIXED_REPEATS:
        found[REPEATS] = _drops(bench, now, FIXED_REPEATS)
    found[TWICE] = _drops(bench, {name: [*cases, *cases] for name, cases in now.items()}, epochs)
    if bench.knows_noise:
        urn = Unchanged(bench.cases)
        each = max(1, round(sum(len(case.scores) for case in bench.cases) / len(bench.cases) / len(bench.runs)))
        for runs in HISTORIES:
            if len(bench.runs) < runs <= bench.rules.baseline_runs:
                longer = {name: urn.history(name, runs * each, Random(SEED)) for name in names}
                found[f"{RUNS}_{runs}"] = _drops(bench, longer, epochs)
    return {kind: drops for kind, drops in found.items() if drops}


def _drops(
    bench: _Bench, histories: Mapping[str, Sequence[Sequence[float]]], epochs: int | None
) -> dict[str, float | None]:
    rules, part = bench.rules, 0.5 if bench.rules.anchor else 1.0
    found = {}
    for name, history in histories.items():
        margin = rules.of(name).max_drop
        if margin is not None and history:
            looks = reach.stages(rules, name, len(histories) - 1, epochs, part, cases=len(histories[name]))
            found[name] = detectable_drop(history, looks, max_drop=margin)
    return found


# ---- advice -----------------------------------------------------------------------------------------------


def _advice(bench: _Bench, reached: Mapping[str, Mapping[str, float | None]], per_pull: float) -> Advice | None:
    now = reached.get(NOW, {})
    coarse = practice.too_coarse(now)
    cases = len(bench.cases)
    more_cases = sum(any(name in case.categories for name in coarse) for case in bench.cases)
    offers = []
    for kind, drops in reached.items():
        if kind == REPEATS:
            offer = Offer(name=kind, calls_once=0, calls_per_pull=cases * (FIXED_REPEATS - per_pull), detectable=drops)
        elif kind == TWICE:
            fewer = {name: drops[name] if name in coarse else drop for name, drop in now.items()}
            offer = Offer(name=kind, calls_once=0, calls_per_pull=more_cases * per_pull, detectable=fewer)
        elif kind.startswith(RUNS):
            calls = _new_runs(bench, kind) * _calls_of_a_run(bench)
            offer = Offer(name=kind, calls_once=calls, calls_per_pull=0.0, detectable=drops)
        else:
            continue
        offers.append(offer)
    best = practice.cheapest(now, offers)
    if best is None:
        return None
    return Advice(
        name=best.name,
        calls_once=best.calls_once,
        calls_per_pull=max(0.0, best.calls_per_pull),
        worst_before=practice.coarsest([now[name] for name in coarse]),
        worst_after=practice.coarsest([best.detectable.get(name) for name in coarse]),
        coarse_after=tuple(practice.too_coarse(best.detectable)),
        new_cases=more_cases if best.name == TWICE else 0,
        new_runs=_new_runs(bench, best.name) if best.name.startswith(RUNS) else 0,
    )


def _new_runs(bench: _Bench, kind: str) -> int:
    return int(kind.rpartition("_")[2]) - len(bench.runs)
