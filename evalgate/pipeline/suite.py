"""`evalgate run`, whole: load, run, record, judge. And `evalgate gate`: judge again from the history alone."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate import gate
from evalgate.errors import EvalgateError, StoreError
from evalgate.gate import OFF, Rules, When
from evalgate.pipeline.judge import Judged, Place, compared_with, judge, unrecorded
from evalgate.pipeline.load import DEFAULT_CONFIG, Suite, load_config, load_suite, with_epochs
from evalgate.pipeline.selection import Selection
from evalgate.pipeline.sensitivity import seen_from, with_detectable
from evalgate.records import Exceptions, Missing, Run, Verdict, VerdictName

if TYPE_CHECKING:
    from evalgate.config import Config
    from evalgate.gate.explain import Explanation
    from evalgate.history.store import History
    from evalgate.pipeline.session import AskAgain
    from evalgate.pipeline.staged import Against
    from evalgate.runner.progress import Progress


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
        return shlex.join([*words, *more])

    def decide_again(self, run_id: str, baseline: Sequence[str]) -> str:
        """`evalgate gate` on a run of this, against the same runs where they were named and by the same rules."""
        words = ["evalgate", "gate", run_id]
        if self.config != DEFAULT_CONFIG:
            words += ["--config", str(self.config)]
        if self.store and "@" not in self.store:
            words += ["--store", self.store]
        if self.baseline and baseline:
            words += ["--baseline", ",".join(baseline)]
        return shlex.join(words)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a command: the verdict with its runs, and where they are kept."""

    judged: Judged
    store: str | None
    """Where the run is kept; None: it is not."""
    show_outputs: bool = False
    explained: tuple[Explanation, ...] = ()
    """How each finding came about, where that was asked for."""
    note: str | None = None
    """What whoever asked may not have meant."""
    unfinished: str | None = None
    """What `--resume` goes on with: the id that the run began with, whatever it is kept as."""

    @property
    def verdict(self) -> Verdict:
        return self.judged.verdict


def run_suite(options: RunOptions, *, progress: Progress | None = None, now: datetime | None = None) -> Done:
    """Runs a suite, records it, judges it.

    Raises InputError before the first call, Interrupted after Ctrl-C. A history or journal that cannot be used gives
    the verdict `error`; where that shows only when the run is to be written, the journal keeps the run.
    """
    from evalgate.pipeline.execute import preflight
    from evalgate.runner.progress import Silent

    now = now or datetime.now(UTC)
    suite = with_epochs(load_suite(options.config, options.environ, options.selection), options.epochs)
    config = suite.config
    rules = config.rules if options.gated else _ungated(config.rules)
    store = options.store or config.history_store
    lacking = config.endpoint.missing_credentials(options.environ)
    if lacking is not None:
        return _nothing(VerdictName.NOT_EVALUATED, lacking, rules, config.suite, now)
    place = Place.of(config.base_dir, options.environ)
    # What a user's own code prints is talk: stdout is the report's.
    with contextlib.redirect_stdout(sys.stderr):
        preflight(suite, options.environ)
        try:
            with open_history(store) as history:
                history.check_writable()
                _check_baseline(history, options.baseline)
                done = _run_and_judge(suite, rules, history, place, options, progress or Silent(), now)
        except StoreError as error:
            return _nothing(VerdictName.ERROR, str(error), rules, config.suite, now)
    return replace(done, store=store if done.store else None, show_outputs=config.comment_outputs)


def run_here(file: Path, config: str, *, gated: bool = True) -> Done:
    """Writes a configuration and runs it as if on nobody's pull request: the newest good run there is the baseline."""
    file.write_text(config, encoding="utf-8")
    here = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return run_suite(RunOptions(config=file, gated=gated, environ=here))


def _ungated(rules: Rules) -> Rules:
    """No rule but the allowed error rate: the run is recorded, nothing is judged."""
    return replace(rules, overall=OFF, each_category=OFF, categories={}, limits=(), when=When())


def _nothing(name: VerdictName, reason: str, rules: Rules, suite: str | None, now: datetime) -> Done:
    """What is reported where nothing could be run or read."""
    nothing = Run(id="", suite=suite or "", created=now, cases=(), results=())
    verdict = gate.without_results(name, reason, rules, suite=suite)
    return Done(judged=Judged(verdict=verdict, run=nothing, baseline_runs=()), store=None)


def _run_and_judge(
    suite: Suite,
    rules: Rules,
    history: History,
    place: Place,
    options: RunOptions,
    progress: Progress,
    now: datetime,
) -> Done:
    from evalgate.pipeline.asking import asking_again, requests_of
    from evalgate.pipeline.execute import Origin, execute, new_run_id

    def compare(run: Run) -> tuple[Against, AskAgain]:
        against = compared_with(
            run,
            rules,
            history=history,
            place=place,
            pinned=options.baseline,
            exempt=suite.config.exceptions,
            now=now,
        )
        return against, asking_again(suite.config, against.baseline, history)

    config = suite.config
    origin = Origin(created=now, commit=place.commit, branch=place.branch, is_modified=place.is_modified)
    done = execute(
        suite,
        origin=origin,
        environ=options.environ,
        progress=progress,
        resume=options.resume,
        compare=compare if options.gated else None,
    )
    if done.interrupted:
        finished = len(done.run.results)
        raise Interrupted(
            f"interrupted after {finished:,} results of {len(suite.selected):,} cases; they are kept. "
            f"Go on with: {options.again('--resume', done.run.id)}"
        )
    run, unfinished = done.run, done.run.id
    try:
        if history.has_run(run.id):
            # A run that stopped early was recorded as it was, and stays so: what has become of it is another run.
            run = replace(run, id=new_run_id())
        detectable: Mapping[str, float] = {}
        if not options.gated:
            judged = _recorded(run, rules, now)
        else:
            against = with_detectable(run, done.against or compare(run)[0])
            judged = judge(run, against, now=now)
            detectable = seen_from(run, against, epochs=config.run.epochs if config.run.epochs != 1 else None)
        history.write_run(run, requests=requests_of(suite), detectable=detectable)
        history.write_verdict(run.id, judged.verdict, decided=now)
        if judged.verdict.drift:
            history.write_drift(judged.verdict.drift)
    except StoreError as error:
        nothing = Missing(reason="the history could not be used")
        verdict = gate.decide(done.run, nothing, rules, now=now)
        why = f"{str(error).rstrip('.')}. The results are kept in the journal"
        judged = unrecorded(Judged(verdict=verdict, run=done.run, baseline_runs=()), why)
        return Done(judged=judged, store=None, unfinished=unfinished)
    if run.stopped is not None:
        return Done(judged=judged, store=history.place, unfinished=unfinished)
    for journal in done.journals:
        journal.unlink(missing_ok=True)
    return Done(judged=judged, store=history.place)


def _recorded(run: Run, rules: Rules, now: datetime) -> Judged:
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
    """The store at this URL. Imports SQLAlchemy."""
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
    config = _config(options.config, options.environ)
    store = options.store or _store(config)
    try:
        return _gate_again(store, config, options, now)
    except StoreError as error:
        return _nothing(VerdictName.ERROR, str(error), Rules(), None, now)


def _gate_again(store: str, config: Config | None, options: GateOptions, now: datetime) -> Done:
    with open_history(store, create=False) as history:
        # Of several suites in one store, the configuration's own is meant.
        suite = config.suite if config is not None and options.run == "latest" else None
        run = history.read_run(options.run, suite=suite)
        is_meant = config is not None and (options.config is not None or config.suite == run.suite)
        rules: Rules = config.rules if config is not None and is_meant else Rules()
        place = Place.of((options.config or DEFAULT_CONFIG).absolute().parent, options.environ)
        exempt = config.exceptions if config is not None and is_meant else Exceptions()
        against = compared_with(
            run, rules, history=history, place=place, pinned=options.baseline, exempt=exempt, now=now
        )
        against = with_detectable(run, against)
        judged = judge(run, against, now=now)
        if not history.verdicts(run.id):
            history.write_verdict(run.id, judged.verdict, decided=now)
    return Done(
        judged=judged,
        store=store,
        explained=_explained(run, against, now) if options.explain else (),
        note=None if is_meant else _without_its_rules(run, config),
    )


def _without_its_rules(run: Run, config: Config | None) -> str:
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
    return _store(_config(path, environ))


def _config(path: Path | None, environ: Mapping[str, str]) -> Config | None:
    if path is None and not DEFAULT_CONFIG.exists():
        return None
    return load_config(path or DEFAULT_CONFIG, environ, needs_endpoint=False)


def _store(config: Config | None) -> str:
    if config is None:
        return f"sqlite:///{(Path.cwd() / '.evalgate' / 'history.db').as_posix()}"
    return config.history_store
