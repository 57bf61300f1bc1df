"""From a run to its verdict: the store, the choice of the baseline, the gate, and what a report needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evalgate import gate
from evalgate.gate import Rules
from evalgate.gate.exceptions import suggestion
from evalgate.history import baseline as baselines
from evalgate.history.anchor import anchored
from evalgate.pipeline.place import Place
from evalgate.pipeline.ruling import Base
from evalgate.pipeline.staged import Against
from evalgate.records import (
    EVERY_CASE,
    Baseline,
    CommentWhen,
    Exceptions,
    Missing,
    Run,
    Status,
    Verdict,
    VerdictName,
)
from evalgate.report import model

if TYPE_CHECKING:
    from evalgate.history.store import History


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict with the runs that it is about."""

    verdict: Verdict
    run: Run
    baseline_runs: tuple[Run, ...]

    def report(
        self,
        *,
        reproduce: Sequence[str] = (),
        next_step: str | None = None,
        store: str | None = None,
        show_outputs: bool = False,
        comment: CommentWhen = "always",
        job: model.Job | None = None,
    ) -> model.Report:
        """What every format shows of it."""
        return model.build(
            self.verdict,
            self.run,
            self.baseline_runs,
            reproduce=reproduce,
            next_step=next_step,
            waiver=_waiver(self.verdict),
            store=store,
            show_outputs=show_outputs,
            comment=comment,
            job=job,
        )


def _waiver(verdict: Verdict) -> str | None:
    """The line of a waiver for the largest drop that fails, if a single category fails: several are looked at first."""
    failing = [f for f in verdict.findings if f.gating and f.status is Status.BREACH and f.category != EVERY_CASE]
    return suggestion(failing[0]) if len({finding.category for finding in failing}) == 1 else None


def compared_with(
    run: Run,
    rules: Rules,
    *,
    history: History,
    place: Place,
    pinned: Sequence[str],
    exempt: Exceptions,
    now: datetime,
    base: Base | None = None,
) -> Against:
    """What a run is judged by: the runs named, or those that the history offers, and the anchor that the rules name.

    base: where the rules before the change are looked up, which may be those that decide; None: `rules` and `exempt` do
    and nothing is told of others. In CI the job says what the change is compared with, elsewhere the baseline is.
    """
    today = now.astimezone(UTC).date()

    def found(rules: Rules) -> Baseline:
        if pinned:
            return baselines.pinned(history, list(pinned), run)
        return baselines.choose(
            history,
            run,
            git=place.git if run.commit is not None else None,
            start=place.start_of(run),
            in_ci=place.situation is not None,
            pool=rules.baseline_runs,
            pool_days=rules.max_baseline_age_days,
            today=today,
        )

    baseline, ruling = None, None
    if base is not None:
        start = place.start
        if start is None:
            baseline = found(rules)
            start = None if isinstance(baseline, Missing) else baseline.runs[0].commit
        ruling = base.ruling(start)
    if ruling is not None:
        if ruling.commit is not None:
            baseline = None  # its rules also say how many runs are pooled, and how old they may be
        rules, exempt = ruling.rules, ruling.exempt
    baseline = baseline or found(rules)
    anchor = None if rules.anchor is None else anchored(history, rules.anchor, run, today=today)
    exempt = _checked(exempt, history, run.suite)
    return Against(baseline=baseline, rules=rules, anchor=anchor, exempt=exempt, today=today, ruling=ruling)


def _checked(exempt: Exceptions, history: History, suite: str) -> Exceptions:
    """The exceptions, each quarantine with the first of its runs that the history does not have."""
    if not exempt.quarantine:
        return exempt
    known = [row.id for row in history.list_runs(suite=suite)]
    checked = [
        replace(case, missing_run=next((r for r in case.judged_on if not any(i.startswith(r) for i in known)), None))
        for case in exempt.quarantine
    ]
    return replace(exempt, quarantine=tuple(checked))


def judge(run: Run, against: Against, *, now: datetime) -> Judged:
    """The verdict on a run."""
    baseline = against.baseline
    verdict = gate.decide(run, baseline, against.rules, anchor=against.anchor, exempt=against.exempt, now=now)
    if against.ruling is not None:
        verdict = against.ruling.told(verdict)
    runs = () if isinstance(baseline, Missing) else baseline.runs
    return Judged(verdict=verdict, run=run, baseline_runs=tuple(runs))


def unrecorded(judged: Judged, why: str) -> Judged:
    """The same run where its results could not be stored: an error, whatever the results say."""
    verdict = replace(judged.verdict, verdict=VerdictName.ERROR, exit_code=3, reason=why)
    return replace(judged, verdict=verdict)
