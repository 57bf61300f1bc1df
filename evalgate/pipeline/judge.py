"""From a run to its verdict: the store, the choice of the baseline, the gate, and what a report needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate import gate
from evalgate.gate import Rules
from evalgate.gate.exceptions import suggestion
from evalgate.github import event
from evalgate.github.event import Situation
from evalgate.history import baseline as baselines
from evalgate.history.ancestry import Deepened
from evalgate.history.anchor import anchored
from evalgate.history.baseline import Lost
from evalgate.history.git import Files, Repository
from evalgate.pipeline.ruling import Base
from evalgate.pipeline.staged import Against
from evalgate.pipeline.start import start
from evalgate.records import (
    CONFIG,
    EVERY_CASE,
    Baseline,
    CommentWhen,
    Exceptions,
    Json,
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


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in the project's course a run stands: its repository, and what GitHub says of the job."""

    repository: Repository | None
    situation: Situation | None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(folder: Path, environ: Mapping[str, str]) -> Place:
        """The place of a configuration's folder. Raises InputError for a garbled GitHub event."""
        repository = Repository(folder)
        is_one = repository.head() is not None
        # A container that is told of GitHub Actions but of no event is somewhere else.
        situation = event.read(environ) if environ.get("GITHUB_EVENT_NAME") else None
        return Place(repository=repository if is_one else None, situation=situation, environ=environ)

    @property
    def commit(self) -> str | None:
        return self.repository.head() if self.repository else None

    @property
    def is_modified(self) -> bool:
        return self.repository is not None and self.repository.is_dirty()

    @property
    def branch(self) -> str | None:
        if self.situation is not None and self.situation.branch:
            return self.situation.branch
        return self.repository.branch() if self.repository else None

    @property
    def job(self) -> model.Job | None:
        """The job that reports on a pull request; None elsewhere, where nobody asks for the way back to it."""
        situation = self.situation
        if situation is None or situation.pull is None:
            return None
        return model.Job(url=situation.run_url, head=situation.head_sha)

    def told(self, config: Path) -> dict[str, Json]:
        """What a run says of where its configuration is: two of a monorepo may have named their suites alike."""
        return {} if self.repository is None else {CONFIG: f"{self.repository.prefix}{config.name}"}

    @cached_property
    def git(self) -> Repository | None:
        """The repository; in CI with the commits that a shallow clone lacks, fetched as they are asked for."""
        if self.repository is None or self.situation is None:
            return self.repository
        return self._deepened

    @cached_property
    def start(self) -> str | Lost | None:
        """The commit at which the search for a baseline begins in CI; None: at the run's own."""
        return None if self.repository is None or self.situation is None else start(self._deepened, self.situation)

    @cached_property
    def _deepened(self) -> Deepened:
        from evalgate.history.remote import Remote

        repository = self.repository or Repository(Path())
        return Deepened(repository, lambda: Remote.of(repository.path, self.environ))

    def files(self, commit: str) -> Files:
        """Whoever has the commit: the clone, or in CI, where clones are shallow, its remote. Of a place that has a
        repository."""
        repository = self.repository
        assert repository is not None
        if self.situation is None or repository.exists(commit):
            return repository
        from evalgate.history.remote import Remote

        return Remote.of(repository.path, self.environ)

    def start_of(self, run: Run) -> str | Lost | None:
        """As `start`; None for a run of another commit than this job's: its search begins at its own."""
        repository, situation = self.repository, self.situation
        if repository is None or situation is None or run.commit is None:
            return None
        is_of_job = run.commit in (self.commit, situation.evaluated_sha, situation.head_sha)
        return self.start if is_of_job or not repository.exists(run.commit) else None


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
