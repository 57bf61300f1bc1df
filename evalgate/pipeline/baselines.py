"""`evalgate baseline`: what would be compared with now and why, filling a young history, blessing a run."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from evalgate.config import Config
from evalgate.errors import Fault, InputError
from evalgate.gate import is_stale
from evalgate.history.anchor import anchored
from evalgate.history.baseline import PassedOver, survey, why_incomplete
from evalgate.history.git import Repository
from evalgate.history.listing import Blessing
from evalgate.pipeline.load import DEFAULT_CONFIG, load_config, load_evalset
from evalgate.pipeline.place import Place
from evalgate.pipeline.suite import Done, Interrupted, RunOptions, default_store, open_history, run_suite
from evalgate.records import Baseline, CaseRef, Missing, Pinned, Run, RunRow, VerdictName, fingerprint, may_agree
from evalgate.runner.progress import Progress
from evalgate.scorers.build import Scorer, build

# ---- which would be chosen --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a run of the suite, made here and now, would be compared with."""

    suite: str
    store: str
    """Without a password."""
    now: datetime
    commit: str | None
    """The commit that is checked out; None outside a repository."""
    event: str | None
    """The event that started this job of GitHub Actions; None elsewhere, where other rules choose."""
    start: str | None
    """The commit at which the search begins in GitHub Actions; None: at the one that is checked out."""
    max_age_days: float | None
    """`gate.max_baseline_age_days`."""
    baseline: Baseline
    chosen: tuple[RunRow, ...]
    """The baseline's runs as light rows, in its order."""
    anchor_name: str | None
    """`gate.anchor`; None: the configuration names none."""
    anchor: Pinned | Missing | None
    blessings: tuple[Blessing, ...]
    """Of the suite, the newest first."""
    passed_over: tuple[PassedOver, ...]
    """Every other run of the suite, the newest first."""

    def age_s(self, row: RunRow) -> float:
        """How old a run is, in seconds; negative where it is dated in the future."""
        return (self.now - row.created).total_seconds()

    @property
    def is_stale(self) -> bool:
        """Whether the gate would call the nearest run too old to prove anything by."""
        return bool(self.chosen) and is_stale(self.age_s(self.chosen[0]), self.max_age_days)


def outlook(config_file: Path, store: str | None, environ: Mapping[str, str], *, now: datetime) -> Outlook:
    """What would be compared with now, and what would not. Reads only; the endpoint may be unknown.

    Raises InputError for a bad configuration or eval set and where there is no history, StoreError.
    """
    config = load_config(config_file, environ, needs_endpoint=False)
    place = Place.of(config.base_dir, environ)
    today, start = now.astimezone(UTC).date(), place.start
    candidate = Run(
        id="",
        suite=config.suite,
        created=now,
        cases=_planned(config),
        results=(),
        commit=place.commit,
        metadata=place.told(config.path),
    )
    with open_history(store or config.history_store, create=False) as history:
        found = survey(
            history,
            candidate,
            git=place.git,
            start=start,
            in_ci=place.situation is not None,
            pool=config.rules.baseline_runs,
            pool_days=config.rules.max_baseline_age_days,
            today=today,
        )
        name = config.rules.anchor
        rows = {row.id: row for row in history.list_runs(suite=config.suite)}
        return Outlook(
            suite=config.suite,
            store=history.place,
            now=now,
            commit=place.commit,
            event=place.situation.event if place.situation is not None else None,
            start=start if isinstance(start, str) else None,
            max_age_days=config.rules.max_baseline_age_days,
            baseline=found.baseline,
            chosen=() if isinstance(found.baseline, Missing) else tuple(rows[run.id] for run in found.baseline.runs),
            anchor_name=name,
            anchor=None if name is None else anchored(history, name, candidate, today=today),
            blessings=tuple(reversed(history.blessings(suite=config.suite))),
            passed_over=found.passed_over,
        )


def _planned(config: Config) -> tuple[CaseRef, ...]:
    """The cases of a run, as far as they decide with what it can be compared."""
    evalset = load_evalset(config)
    # A judge's version holds its endpoint, which is not read here: unknown, it agrees with any.
    built = {key: build(spec) for key, spec in evalset.scorers.items() if spec.name != "judge"}
    refs = [
        CaseRef(
            id=case.id,
            categories=tuple(sorted(case.categories)),
            content=case.content(),
            scorers=_judged_by([built.get(key) for key in case.scorers]),
        )
        for case in evalset.cases
    ]
    return tuple(sorted(refs, key=lambda ref: ref.id))


def _judged_by(scorers: list[Scorer | None]) -> str | None:
    """The fingerprint that a run keeps of a case's scorers (`execute` makes it; a test holds the two together)."""
    known = [[scorer.name, scorer.version, scorer.weight] for scorer in scorers if scorer is not None]
    return fingerprint(sorted(known)) if len(known) == len(scorers) else None


# ---- filling the history ----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """The runs that a history has gained, and why there are no more of them."""

    runs: tuple[Run, ...]
    fault: str | None
    """What ended it early; None: nothing did."""


def record(
    options: RunOptions, runs: int, *, progress: Callable[[], Progress], tell: Callable[[str], None]
) -> Recorded:
    """So many runs of the whole suite, each unjudged, one after the other; ends at the first that measured nothing.

    options: `gated` is to be False. progress: makes one for each run. tell: one line for each run.
    Raises InputError before the first call; Interrupted after Ctrl-C, with the runs that are kept.
    """
    kept: list[Run] = []
    for number in range(1, runs + 1):
        try:
            done = run_suite(options, progress=progress())
        except Interrupted as error:
            again = f"call the same command again for the other {runs - len(kept)}"
            raise Interrupted(f"interrupted in run {number} of {runs}. {_kept(kept)}; {again}") from error
        fault = _fault(done)
        if fault is not None:
            return Recorded(runs=tuple(kept), fault=f"run {number} of {runs}: {fault}. {_kept(kept)}")
        run = done.judged.run
        kept.append(run)
        tell(f"{number} of {runs}: run {run.id}, {len(run.results):,} results, {_mean(done)}")
    return Recorded(runs=tuple(kept), fault=None)


def _fault(done: Done) -> str | None:
    if done.store is None or done.verdict.verdict in (VerdictName.ERROR, VerdictName.NOT_EVALUATED):
        return done.verdict.reason.rstrip(".")
    return None


def _kept(runs: list[Run]) -> str:
    if not runs:
        return "No run was recorded that can serve as baseline"
    return f"Recorded before and kept: {', '.join(run.id for run in runs)}"


def _mean(done: Done) -> str:
    every = done.verdict.categories.get("*")
    return "no score" if every is None or every.score is None else f"mean score {100 * every.score:.1f} %"


# ---- blessing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class BlessOptions:
    """What `evalgate baseline bless` can be told."""

    run: str
    reason: str
    name: str | None = None
    author: str | None = None
    """None: git's `user.name`, else who is logged in."""
    expires: date | None = None
    """The last day on which it holds, UTC; None: for good."""
    config: Path | None = None
    store: str | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Blessed:
    """What was written down."""

    blessing: Blessing
    suite: str
    before: str | None
    """The run that had the name until now; None: none had."""
    changed: int
    """How many of the eval set's cases have changed since, in content or scorers: they are not compared with it."""


def bless(options: BlessOptions, *, now: datetime | None = None) -> Blessed:
    """Adds somebody's word that a run may serve as baseline and as anchor.

    Raises InputError where there is no such run, where the run is partial, was not evaluated or did not pass, where its
    eval set or its scorers are not those of the configuration any more, and where reason, name or author cannot be
    taken.
    """
    now = now or datetime.now(UTC)
    author = _author(options.author)
    is_there = options.config is not None or DEFAULT_CONFIG.exists()
    path = options.config or DEFAULT_CONFIG
    config = load_config(path, options.environ, needs_endpoint=False) if is_there else None
    # Of several suites in one store, the configuration's own is meant.
    suite = config.suite if config is not None and options.run == "latest" else None
    with open_history(options.store or default_store(options.config, options.environ), create=False) as history:
        run = history.read_run(options.run, suite=suite)
        row = next(row for row in history.list_runs(suite=run.suite) if row.id == run.id)
        _refuse_unfit(row)
        changed = _refuse_outdated(run, config)
        named = [given for given in history.blessings(suite=run.suite) if options.name and given.name == options.name]
        blessing = Blessing(
            run_id=run.id,
            created=now,
            author=author,
            reason=options.reason,
            name=options.name,
            expires=options.expires,
        )
        history.write_blessing(
            run.id, reason=options.reason, author=author, created=now, name=options.name, expires=options.expires
        )
    before = named[-1].run_id if named and named[-1].run_id != run.id else None
    return Blessed(blessing=blessing, suite=run.suite, before=before, changed=changed)


def _refuse_unfit(row: RunRow) -> None:
    unfit = why_incomplete(row)
    if unfit is not None:
        hint = "Bless a complete one; `evalgate baseline list` shows which there are."
        raise InputError(Fault(where=f"run {row.id}", what=f"this is a run {unfit}", hint=hint))
    if row.verdict == VerdictName.FAIL.value:
        hint = "If the drop is meant, accept it with a waiver, run again and bless that run."
        raise InputError(Fault(where=f"run {row.id}", what="its last verdict is fail", hint=hint))


MOST_OUTDATED = 0.2
"""Share of the shared cases that may differ: beyond it, the gate would call the run a partial baseline."""


def _refuse_outdated(run: Run, config: Config | None) -> int:
    """How many cases cannot be compared with this run any more. Raises InputError where that is more than a fifth."""
    if config is None or config.suite != run.suite:
        return 0
    then = {case.id: case for case in run.cases}
    shared = [(then[now.id], now) for now in _planned(config) if now.id in then]
    other_text = sum(not may_agree(old.content, new.content) for old, new in shared)
    other_scorers = sum(
        may_agree(old.content, new.content) and not may_agree(old.scorers, new.scorers) for old, new in shared
    )
    if shared and other_text + other_scorers <= MOST_OUTDATED * len(shared):
        return other_text + other_scorers
    what = f"it shares no case with {config.path.name}"
    if shared:
        differs = f"{other_scorers:,} were judged by other scorers, {other_text:,} have another content"
        what = f"it is outdated: of the {len(shared):,} cases that it shares with {config.path.name}, {differs}"
    hint = "Nothing could be compared with it. Run the suite as it is now and bless that run."
    raise InputError(Fault(where=f"run {run.id}", what=what, hint=hint))


def _author(given: str | None) -> str:
    who = given if given is not None else Repository(Path.cwd()).user() or _logged_in()
    if who is None or not who.strip():
        raise InputError(Fault(where="--author", what="nobody is named", hint="Say who blesses: --author NAME."))
    return who.strip()


def _logged_in() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return None
