"""`evalgate run`, whole: load, run, record, judge. And `evalgate gate`: judge again from the history alone."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evalgate import gate
from evalgate.config.key_hosts import NAME as KEY_HOSTS
from evalgate.errors import EvalgateError, Fault, InputError, StoreError
from evalgate.gate import OFF, Rules, When
from evalgate.pipeline.committed import read_evalset
from evalgate.pipeline.judge import Judged, compared_with, judge, unrecorded
from evalgate.pipeline.load import DEFAULT_CONFIG, Suite, load_config, load_suite, with_epochs
from evalgate.pipeline.place import Place
from evalgate.pipeline.ruling import Base, Ruling
from evalgate.pipeline.selection import Selection
from evalgate.pipeline.sensitivity import seen_from, with_detectable
from evalgate.records import CommentWhen, Exceptions, Missing, Run, Usage, Verdict, VerdictName

if TYPE_CHECKING:
    from evalgate.config import Config
    from evalgate.gate.explain import Explanation
    from evalgate.history.store import History
    from evalgate.pipeline.caching import Cache
    from evalgate.pipeline.execute import Engine
    from evalgate.pipeline.session import AskAgain
    from evalgate.pipeline.staged import Against
    from evalgate.report.model import Job, Report
    from evalgate.runner.journal import Journal
    from evalgate.runner.journal_lines import Header
    from evalgate.runner.ports import Scorer
    from evalgate.runner.progress import Progress


LIMITS = {"budget": "run.budget_usd", "call limit": "run.max_calls", "deadline": "run.deadline_s"}
"""What ended a run, as its sentence begins → the key to raise."""


class Interrupted(EvalgateError):
    """Somebody ended the run; what was finished is in the journal."""

    exit_code = 130


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What `evalgate run` can be told."""

    config: Path = DEFAULT_CONFIG
    store: str | None = None
    selection: Selection = Selection()
    epochs: int | None = None
    resume: str | None = None
    """An unfinished run's id or a prefix; "" is the newest."""
    gated: bool = True
    baseline: tuple[str, ...] = ()
    engine: str | None = None
    """`ray`; None: this process makes the calls."""
    workers: int | None = None
    """How many of the engine's work at the same time; None: as many as it has processors."""
    fresh: bool = False
    """Makes every call anew, whatever was answered before."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def again(self, *more: str) -> str:
        """The same `evalgate run` for a shell, with whatever was asked of it; never with a store's password."""
        words = ["evalgate", "run"]
        if self.config != DEFAULT_CONFIG:
            words += ["--config", str(self.config)]
        if self.store and "@" not in self.store:
            words += ["--store", self.store]
        if self.baseline:
            words += ["--baseline", ",".join(self.baseline)]
        words += self.selection.words()
        if self.epochs is not None:
            words += ["--epochs", str(self.epochs)]
        if not self.gated:
            words.append("--no-gate")
        if self.engine is not None:
            words += ["--engine", self.engine]
        if self.workers is not None:
            words += ["--workers", str(self.workers)]
        if self.fresh:
            words.append("--fresh")
        return shlex.join([*words, *more])

    def decide_again(self, run_id: str, baseline: Sequence[str]) -> str:
        """`evalgate gate` on a run of this, against the same runs where they were named and by the same rules."""
        words = ["evalgate", "gate", run_id]
        if self.config != DEFAULT_CONFIG:
            words += ["--config", str(self.config)]
        if self.store and "@" not in self.store:
            words += ["--store", self.store]
        if (self.baseline or self.selection.changed_only) and baseline:
            words += ["--baseline", ",".join(baseline)]
        return shlex.join(words)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a command: the verdict with its runs, and where they are kept."""

    judged: Judged
    store: str | None
    """Where the run is kept; None: it is not."""
    show_outputs: bool = False
    comment: CommentWhen = "always"
    outputs: Literal["hashes", "full"] = "hashes"
    """What the history's branch takes of texts."""
    job: Job | None = None
    explained: tuple[Explanation, ...] = ()
    """How each finding came about, where that was asked for."""
    note: str | None = None
    """What whoever asked may not have meant."""
    unfinished: str | None = None
    """What `--resume` goes on with: the id that the run began with, whatever it is kept as."""
    next_step: str | None = None
    """What to do now, in a sentence, where that is known better than by the verdict."""

    @property
    def verdict(self) -> Verdict:
        return self.judged.verdict

    def told(self, config: Config | None, place: Place) -> Done:
        """The same, with what the configuration and the job say of how it is published."""
        if config is None:
            return replace(self, job=place.job)
        return replace(
            self,
            show_outputs=config.comment_outputs,
            comment=config.comment_when,
            outputs=config.history_outputs,
            job=place.job,
        )

    def ruled(self, ruling: Ruling | None) -> Done:
        """The same, with what is told of the rules."""
        if ruling is None:
            return self
        return replace(self, judged=replace(self.judged, verdict=ruling.told(self.verdict)))

    def report(self, *, reproduce: Sequence[str] = (), next_step: str | None = None) -> Report:
        """What every format shows of it. next_step: instead of `self.next_step`."""
        return self.judged.report(
            reproduce=reproduce,
            next_step=next_step or self.next_step,
            store=self.store,
            show_outputs=self.show_outputs,
            comment=self.comment,
            job=self.job,
        )


def run_suite(options: RunOptions, *, progress: Progress | None = None, now: datetime | None = None) -> Done:
    """Runs a suite, records it, judges it.

    Raises InputError before the first call, Interrupted after Ctrl-C. A history or journal that cannot be used gives
    the verdict `error`; where that shows only when the run is to be written, the journal keeps the run.
    """
    from evalgate.pipeline.caching import cache_of
    from evalgate.pipeline.execute import preflight
    from evalgate.runner.progress import Silent

    now = now or datetime.now(UTC)
    suite = with_epochs(load_suite(options.config, options.environ, options.selection), options.epochs)
    config = suite.config
    store = options.store or config.history_store
    place = Place.of(config.base_dir, options.environ)
    place.check_store(store)
    base = Base(config=config, place=place, evalset=lambda: suite.evalset)
    is_known = place.start is not None or place.repository is None
    ruling = base.ruling(place.start) if options.gated and is_known else None
    rules = config.rules if options.gated else ungated(config.rules)
    rules = rules if ruling is None else ruling.rules
    refused = _refused(config, options, ruling, rules, now)
    if refused is not None:  # told before the first call is paid for
        return refused.told(config, place)
    engine_of(options)
    # A run that is only recorded is to say something new to a baseline: copies would not.
    cache = cache_of(config, place, options.environ, is_fresh=options.fresh or not options.gated)
    # What a user's own code prints is talk: stdout is the report's.
    with contextlib.redirect_stdout(sys.stderr):
        built = preflight(suite, options.environ)
        try:
            with open_history(store) as history:
                history.check_writable()
                _check_baseline(history, options.baseline)
                task = _Task(
                    suite=suite,
                    rules=rules,
                    history=history,
                    place=place,
                    base=base,
                    options=options,
                    cache=cache,
                    now=now,
                )
                if options.selection.changed_only:
                    task = _only_changed(task, built)
                done = _run_and_judge(task, progress or Silent()) if task.suite.selected else _nothing_changed(task)
        except StoreError as error:
            return nothing_done(VerdictName.ERROR, str(error), rules, config.suite, now).told(config, place)
    note = done.note or _unbound(config, place, options.environ)
    return replace(done, store=store if done.store else None, note=note).told(config, place)


def _refused(config: Config, options: RunOptions, ruling: Ruling | None, rules: Rules, now: datetime) -> Done | None:
    """What is reported where nothing may be decided, or nobody be asked; None: the run may begin."""
    if ruling is not None and ruling.fault is not None:
        name, why = VerdictName.ERROR, ruling.fault
    elif lacking := config.endpoint.missing_credentials(options.environ):
        name, why = VerdictName.NOT_EVALUATED, lacking
    else:
        return None
    return nothing_done(name, why, rules, config.suite, now).ruled(ruling)


def _unbound(config: Config, place: Place, environ: Mapping[str, str]) -> str | None:
    """What a pull request could do with the key that it is judged with; None: it is bound, or there is none."""
    is_pull = place.situation is not None and place.situation.pull is not None
    if not is_pull or environ.get(KEY_HOSTS, "").strip() or config.endpoint.kind not in ("openai", "http"):
        return None
    if not config.endpoint.secrets(environ):
        return None
    return f"note: a pull request that changes the endpoint's host gets its key; set {KEY_HOSTS} to bind it"


def run_here(file: Path, config: str, *, gated: bool = True) -> Done:
    """Writes a configuration and runs it as if on nobody's pull request: the newest good run there is the baseline."""
    file.write_text(config, encoding="utf-8")
    here = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return run_suite(RunOptions(config=file, gated=gated, environ=here))


def limit_behind(stopped: str | None) -> str | None:
    """The key to raise before a run that was ended for this reason can go on; None: no limit ended it."""
    return next((key for begin, key in LIMITS.items() if str(stopped).startswith(begin)), None)


def ungated(rules: Rules) -> Rules:
    """No rule but the allowed error rate: the run is recorded, nothing is judged."""
    return replace(rules, overall=OFF, each_category=OFF, categories={}, limits=(), when=When())


def nothing_done(name: VerdictName, reason: str, rules: Rules, suite: str | None, now: datetime) -> Done:
    """What is reported where nothing could be run or read."""
    nothing = Run(id="", suite=suite or "", created=now, cases=(), results=())
    verdict = gate.without_results(name, reason, rules, suite=suite)
    return Done(judged=Judged(verdict=verdict, run=nothing, baseline_runs=()), store=None)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """A run that is asked for: what it is made of, and what it is judged and kept by."""

    suite: Suite
    rules: Rules
    history: History
    place: Place
    base: Base
    options: RunOptions
    cache: Cache
    now: datetime
    chosen: Against | None = None
    """What it is judged by, where that had to be known beforehand."""

    def against(self, run: Run) -> Against:
        return self.chosen or compared_with(
            run,
            self.rules,
            history=self.history,
            place=self.place,
            pinned=self.options.baseline,
            exempt=self.suite.config.exceptions,
            now=self.now,
            base=self.base if self.options.gated else None,
        )

    def compare(self, run: Run) -> tuple[Against, AskAgain]:
        from evalgate.pipeline.asking import asking_again

        against = self.against(run)
        return against, asking_again(self.suite.config, against.baseline, self.history, self.place)

    def judge(self, run: Run, against: Against | None = None) -> tuple[Judged, Mapping[str, float]]:
        """The verdict on a run, and what would be seen from it as a baseline."""
        if not self.options.gated:
            return recorded(run, self.rules, self.now), {}
        against = with_detectable(run, against or self.against(run))
        epochs = self.suite.config.run.epochs
        detectable = seen_from(run, against, epochs=epochs if epochs != 1 else None)
        return judge(run, against, now=self.now), detectable

    def record(self, run: Run, against: Against | None) -> Judged:
        """The verdict on a run. Both are kept together, so that no run is ever there without its verdict."""
        from evalgate.pipeline.asking import requests_of

        judged, detectable = self.judge(run, against)
        with self.history.together():
            self.history.write_run(run, requests=requests_of(self.suite), detectable=detectable)
            self.history.write_verdict(run.id, judged.verdict, decided=self.now)
            if judged.verdict.drift:
                self.history.write_drift(judged.verdict.drift)
        return judged

    def unrecorded(self, run: Run, error: StoreError) -> Judged:
        """What is reported where the history could not be used."""
        verdict = gate.decide(run, Missing(reason="the history could not be used"), self.rules, now=self.now)
        why = f"{str(error).rstrip('.')}. The results are kept in the journal"
        return unrecorded(Judged(verdict=verdict, run=run, baseline_runs=()), why)


def _only_changed(task: _Task, built: Mapping[str, Scorer]) -> _Task:
    """The task with the cases that have changed since its baseline, and judged by that."""
    from evalgate.pipeline.changed import changes, only_changed
    from evalgate.pipeline.execute import refs_of

    suite = task.suite
    refs = refs_of(replace(suite, selected=suite.evalset.cases), built)
    planned = Run(
        id="",
        suite=suite.config.suite,
        created=task.now,
        cases=refs,
        results=(),
        commit=task.place.commit,
        branch=task.place.branch,
        version=suite.version(),
        evalset=suite.evalset.content(),
        metadata=task.place.told(suite.config.path),
    )
    against = task.against(planned)
    found = changes(
        suite, refs, against.baseline, task.history, task.place, may_vanish=against.rules.removed_categories
    )
    return replace(task, suite=only_changed(suite, task.options.selection, found), chosen=against)


def _nothing_changed(task: _Task) -> Done:
    """What is reported where no case has changed: nothing was shown, so it is no pass."""
    assert task.chosen is not None
    reason = f"{task.suite.notes[-1].removesuffix('.')}: nothing was called"
    done = nothing_done(VerdictName.INCONCLUSIVE, reason, task.chosen.rules, task.suite.config.suite, task.now)
    verdict = replace(
        done.verdict,
        baseline=gate.summary_of(task.chosen.baseline, task.now),
        usage=Usage(tokens_in=0, tokens_out=0, cost_usd=0.0),
        selection=str(task.options.selection),
    )
    return replace(done, judged=replace(done.judged, verdict=verdict)).ruled(task.chosen.ruling)


def _run_and_judge(task: _Task, progress: Progress) -> Done:
    from evalgate.pipeline.journals import open_journal
    from evalgate.runner.interrupts import ended_politely

    options = task.options
    journal, header = open_journal(task.suite, task.now, options.resume, commit=task.place.commit)
    # Open until the run is in the history: nobody else is to go on with it meanwhile.
    with journal, ended_politely():
        how = f"Go on with: {options.again('--resume', header.run_id)}"
        try:
            return _run_from(journal, header, task, progress, how)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; every finished call is kept. {how}") from None


def _run_from(journal: Journal, header: Header, task: _Task, progress: Progress, how: str) -> Done:
    """What comes of a run that is begun, or gone on with."""
    from evalgate.pipeline.execute import Origin, execute
    from evalgate.pipeline.journals import clear, kept_as

    history, place, run_id = task.history, task.place, header.run_id
    if task.options.resume is not None:
        run_id, finished = kept_as(history, header.run_id)
        if finished is not None:
            # Somebody was killed after recording it and before its journal was gone.
            clear(journal)
            note = f"note: the run was recorded already, as {run_id}; no call was made"
            return Done(judged=task.judge(finished)[0], store=history.place, note=note)
    done = execute(
        task.suite,
        journal,
        header,
        origin=Origin(
            created=task.now,
            commit=place.commit,
            branch=place.branch,
            is_modified=place.is_modified,
            told=place.told(task.suite.config.path),
        ),
        environ=task.options.environ,
        progress=progress,
        cache=task.cache,
        compare=task.compare if task.options.gated else None,
        engine=engine_of(task.options),
    )
    if done.interrupted:
        results = f"{len(done.run.results):,} results of {len(task.suite.selected):,} cases"
        raise Interrupted(f"interrupted after {results}; they are kept. {how}")
    run = replace(done.run, id=run_id)
    try:
        judged = task.record(run, done.against)
    except StoreError as error:
        return Done(judged=task.unrecorded(run, error), store=None, unfinished=header.run_id)
    if run.stopped is not None:
        return Done(judged=judged, store=history.place, unfinished=header.run_id)
    clear(journal)
    return Done(judged=judged, store=history.place)


def engine_of(options: RunOptions) -> Engine | None:
    """Who makes the calls, where somebody asked for it. Raises InputError for what there is not."""
    from evalgate.pipeline.remote import on_ray

    if options.engine is None:
        if options.workers is not None:
            raise InputError(Fault(where="--workers", what="says nothing without --engine", hint="Write --engine ray."))
        return None
    if options.engine != "ray":
        raise InputError(Fault(where="--engine", what=f"{options.engine!r} is unknown", hint="There is: ray."))
    if options.workers is not None and options.workers < 1:
        raise InputError(Fault(where="--workers", what=f"{options.workers} is no number of workers from 1"))
    return on_ray(options.workers, options.environ)


def recorded(run: Run, rules: Rules, now: datetime) -> Judged:
    """A run that is not compared with anything: the start of a new baseline, say."""
    why = "recorded without judging it (--no-gate)"
    verdict = gate.decide(run, Missing(reason=why), rules, now=now)
    if verdict.exit_code == 0:
        verdict = replace(verdict, reason=why)
    return Judged(verdict=verdict, run=run, baseline_runs=())


def _check_baseline(history: History, refs: tuple[str, ...]) -> None:
    """A baseline that does not exist is told before the first call is paid for."""
    for ref in refs:
        history.read_run(ref)


def open_history(url: str, *, create: bool = True) -> History:
    """The store at this URL."""
    from evalgate.history.store import History

    return History.open(url, create=create)


# ---- again, from the history ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class GateOptions:
    """What `evalgate gate` can be told."""

    run: str
    config: Path | None = None
    store: str | None = None
    baseline: tuple[str, ...] = ()
    explain: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)


def gate_again(options: GateOptions, *, now: datetime | None = None) -> Done:
    """The verdict on a stored run. Calls no model, and needs no configuration file.

    Without `config`, `evalgate.yaml` in the current directory gives the rules if its suite is the run's; else the
    defaults do. A run that was never judged before (an imported one) keeps this verdict in the history.
    """
    now = now or datetime.now(UTC)
    config = config_here(options.config, options.environ)
    store = options.store or store_of(config)
    place = Place.of((options.config or DEFAULT_CONFIG).absolute().parent, options.environ)
    place.check_store(store)
    try:
        return _gate_again(store, config, place, options, now)
    except StoreError as error:
        return nothing_done(VerdictName.ERROR, str(error), Rules(), None, now)


def _gate_again(store: str, config: Config | None, place: Place, options: GateOptions, now: datetime) -> Done:
    with open_history(store, create=False) as history:
        # Of several suites in one store, the configuration's own is meant.
        suite = config.suite if config is not None and options.run == "latest" else None
        run = history.read_run(options.run, suite=suite)
        is_meant = config is not None and (options.config is not None or config.suite == run.suite)
        rules: Rules = config.rules if config is not None and is_meant else Rules()
        exempt = config.exceptions if config is not None and is_meant else Exceptions()
        base = base_of(config, run, place) if is_meant else None
        against = compared_with(
            run, rules, history=history, place=place, pinned=options.baseline, exempt=exempt, now=now, base=base
        )
        against = with_detectable(run, against)
        judged = judge(run, against, now=now)
        if not history.verdicts(run.id):
            history.write_verdict(run.id, judged.verdict, decided=now)
    done = Done(
        judged=judged,
        store=store,
        explained=_explained(run, against, now) if options.explain else (),
        note=None if is_meant else without_its_rules(run, config),
    )
    return done.told(config if is_meant else None, place)


def base_of(config: Config | None, run: Run, place: Place) -> Base | None:
    """Where the rules before the change are looked up for a run of the history. Its eval set is that on disk as long as
    the commit is the same."""
    if config is None:
        return None
    is_here = run.origin == "run" and run.commit is not None and run.commit == place.commit
    evalset = partial(read_evalset, config, config.base_dir) if is_here else None
    return Base(config=config, place=place, evalset=evalset)


def without_its_rules(run: Run, config: Config | None) -> str:
    why = (
        f"there is no {DEFAULT_CONFIG} here" if config is None else f"{DEFAULT_CONFIG} here is of suite {config.suite}"
    )
    return f"note: {why}, so the built-in rules decide on this run of {run.suite}; --config names its own"


def _explained(run: Run, against: Against, now: datetime) -> tuple[Explanation, ...]:
    from evalgate.gate.explain import explain

    baseline, rules = against.baseline, against.rules
    return tuple(explain(run, baseline, rules, anchor=against.anchor, exempt=against.exempt, now=now))


def default_store(path: Path | None, environ: Mapping[str, str]) -> str:
    """The store that a configuration names; without one, `.evalgate/history.db` in the current directory.

    The endpoint is left unread: one whose variables are not set must not keep anyone from reading the history.
    """
    return store_of(config_here(path, environ))


def config_here(path: Path | None, environ: Mapping[str, str]) -> Config | None:
    if path is None and not DEFAULT_CONFIG.exists():
        return None
    return load_config(path or DEFAULT_CONFIG, environ, needs_endpoint=False)


def store_of(config: Config | None) -> str:
    if config is None:
        return f"sqlite:///{(Path.cwd() / '.evalgate' / 'history.db').as_posix()}"
    return config.history_store
