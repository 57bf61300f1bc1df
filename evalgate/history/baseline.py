"""Which runs a candidate is compared with, and why those: `choose` for everybody, `pinned` for who names them.

Reads light rows first, whole runs only of what is chosen. Must not know the gate; git is passed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import TYPE_CHECKING

from evalgate.errors import Fault, InputError
from evalgate.history.git import SHALLOW
from evalgate.history.listing import CaseMark
from evalgate.records import (
    CONFIG,
    Baseline,
    CaseRef,
    Missing,
    Nearest,
    Pinned,
    Run,
    RunRow,
    VerdictName,
    may_agree,
    short,
)

if TYPE_CHECKING:
    from evalgate.history.git import Git
    from evalgate.history.store import History

FARTHEST_FIRST_PARENT = 200
"""How many commits of the base branch are looked at in CI."""

FARTHEST_ANCESTOR = 2000
"""How many commits before this one are looked at locally."""

NOT_EVALUATED = frozenset({VerdictName.ERROR.value, VerdictName.NOT_EVALUATED.value})
"""Last verdicts that say: this run measured nothing to compare with."""

INCOMPARABLE = "shares no comparable case with this run"


@dataclass(frozen=True, kw_only=True, slots=True)
class PassedOver:
    """A run of the suite that is not compared with, and why not."""

    row: RunRow
    why: str
    """What kept it out, without the run's id and a full stop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """The choice of a baseline with what it was chosen from."""

    baseline: Baseline
    passed_over: tuple[PassedOver, ...]
    """Every other run of the suite, newest first."""


class _Sieve:
    """Keeps what may serve, and remembers of every other run why it may not."""

    def __init__(self) -> None:
        self._why: dict[str, PassedOver] = {}

    def keep(self, rows: Sequence[RunRow], why_not: Callable[[RunRow], str | None]) -> list[RunRow]:
        """The rows of which nothing is said, in their order."""
        return [row for row in rows if self.lets_pass(row, why_not(row))]

    def lets_pass(self, row: RunRow, why_not: str | None) -> bool:
        if why_not is not None:
            self._why.setdefault(row.id, PassedOver(row=row, why=why_not))
        return why_not is None

    def passed_over(self, rows: Sequence[RunRow]) -> tuple[PassedOver, ...]:
        """What was not kept of these rows, in their order."""
        return tuple(self._why[row.id] for row in rows if row.id in self._why)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lost:
    """The commit at which to begin is not known, though there is one."""

    why: str
    """Without a full stop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Search:
    """What a baseline is searched for, and from where."""

    history: History
    candidate: Run
    git: Git | None
    start: str | Lost | None
    in_ci: bool
    pool: int
    pool_days: float | None
    today: date


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    """The runs that may serve, newest first or nearest first, and how to speak of them."""

    rows: Sequence[RunRow]
    why: Callable[[RunRow], str]
    behind: Callable[[RunRow], int | None]
    unseen: str = ""
    """What is to be said of commits that could not be looked at."""


def choose(
    history: History,
    candidate: Run,
    *,
    git: Git | None,
    start: str | Lost | None,
    in_ci: bool,
    pool: int = 10,
    pool_days: float | None = None,
    today: date | None = None,
) -> Baseline:
    """The nearest run that the candidate can be compared with, and up to `pool - 1` earlier ones of its version.

    start: the commit to begin at: in CI the base (the first parent of the merge commit), which need not be in the
    clone; locally None, the candidate's own; `Lost`: there is no baseline, for this reason. In CI the nearest
    first-parent ancestor with a complete run counts, whatever its exit code; locally the newest complete run on an
    ancestor, made before the candidate, that exited 0 or was blessed; without a repository the newest such run of the
    suite. A run is complete where it ran the whole eval set to its end and its last verdict is not `error` or
    `not_evaluated`.

    pool_days: runs made so many days before the nearest one are not pooled with it. today: in UTC, for blessings that
    have expired; None: the candidate's day.

    Where no run shares a comparable case, the nearest is given all the same: that the two cannot be compared is for
    the gate to say. Where there is none at all: `Missing`, with the reason in words.
    """
    found = survey(history, candidate, git=git, start=start, in_ci=in_ci, pool=pool, pool_days=pool_days, today=today)
    return found.baseline


def survey(
    history: History,
    candidate: Run,
    *,
    git: Git | None,
    start: str | Lost | None,
    in_ci: bool,
    pool: int = 10,
    pool_days: float | None = None,
    today: date | None = None,
) -> Survey:
    """What `choose` gives, and of every other run of the suite why it is not part of it."""
    search = _Search(
        history=history,
        candidate=candidate,
        git=git,
        start=start,
        in_ci=in_ci,
        pool=pool,
        pool_days=pool_days,
        today=today or candidate.created.astimezone(UTC).date(),
    )
    others = [row for row in history.list_runs(suite=candidate.suite) if row.id != candidate.id]
    sieve = _Sieve()
    baseline = _chosen(search, others, sieve)
    chosen = set() if isinstance(baseline, Missing) else {run.id for run in baseline.runs}
    return Survey(baseline=baseline, passed_over=sieve.passed_over([row for row in others if row.id not in chosen]))


def _chosen(search: _Search, others: Sequence[RunRow], sieve: _Sieve) -> Baseline:
    suite = f'suite "{search.candidate.suite}" in {search.history.place}'
    if not others:
        return Missing(reason=f"no run of {suite} before this one: it is the first")
    complete = sieve.keep(others, why_incomplete)
    if not complete:
        return Missing(reason=f"{_runs(len(others))} of {suite}, none complete ({_told(others)})")
    own = sieve.keep(complete, _why_foreign(search))
    if not own:
        why = "all of another configuration that has given its suite the same name. Give each its own name"
        return Missing(reason=f"{_runs(len(complete), 'complete ')} of {suite}, {why}")
    found = _field(search, own, sieve)
    if isinstance(found, str):
        return Missing(reason=f"{_runs(len(own), 'complete ')} of {suite}, {found}")
    return _nearest(search, found, sieve)


def pinned(history: History, refs: Sequence[str], candidate: Run) -> Pinned:
    """The runs that somebody named, in that order, each once. Raises InputError where one is unknown.

    `latest` is the latest of the candidate's suite; ids may be of any.
    """
    runs: dict[str, Run] = {}
    for ref in refs:
        run = history.read_run(ref, suite=candidate.suite if ref == "latest" else None)
        if run.id == candidate.id:
            hint = "Name an earlier run: `evalgate history` lists them."
            raise InputError(Fault(where="--baseline", what=f"{ref} is the run itself", hint=hint))
        runs.setdefault(run.id, run)
    first = next(iter(runs), None)
    detectable = {} if first is None else history.detectable(first)
    return Pinned(runs=tuple(runs.values()), why="named: " + ", ".join(runs), detectable=detectable)


# ---- which may serve --------------------------------------------------------------------------------------


def why_incomplete(row: RunRow) -> str | None:
    """What keeps a run from serving anybody as baseline; None: nothing does."""
    if row.selection is not None:
        return "of a part of the eval set"
    if row.stopped is not None:
        return "stopped early"
    if row.verdict in NOT_EVALUATED:
        return "that could not be evaluated"
    if row.n_results == row.n_unscored:
        return "without any score"
    return None


def _why_foreign(search: _Search) -> Callable[[RunRow], str | None]:
    """What keeps out the runs of another configuration of the repository whose suite has the same name.

    A configuration that is not where it was has been moved: its runs are this one's.
    """
    git, mine = search.git, search.candidate.metadata.get(CONFIG)
    if git is None or not isinstance(mine, str):
        return lambda _row: None
    configs = search.history.configs(search.candidate.suite)
    others = {config for config in configs.values() if config != mine and git.has_file(config)}

    def why(row: RunRow) -> str | None:
        config = configs.get(row.id)
        return f"of {config}, another suite of the same name" if config in others else None

    return why


def _field(search: _Search, complete: Sequence[RunRow], sieve: _Sieve) -> _Field | str:
    """The runs that the place and the commit allow; or why there is none."""
    git, candidate, start = search.git, search.candidate, search.start
    if isinstance(start, Lost):
        return f"but {start.why}"
    if git is not None and search.in_ci:
        begin = start or candidate.commit or git.head()
        if begin is not None:
            # Without a base to begin at, the candidate's own commit is no ancestor: an earlier attempt at the very
            # change would hide what the change did.
            beyond = begin if start is None else None
            return _first_parents(complete, sieve, git, begin, beyond)
    earlier = sieve.keep(complete, lambda row: None if row.created <= candidate.created else "newer than this one")
    if not earlier:
        return f"all of them newer than this one; the newest is {complete[0].id}: name one with --baseline"
    if git is not None:
        named = start or candidate.commit
        begin = git.resolve(named) if named else None
        if begin is not None:
            return _ancestors(earlier, sieve, git, begin, search.today)
    return _newest(earlier, sieve, search.today)


def _first_parents(rows: Sequence[RunRow], sieve: _Sieve, git: Git, begin: str, beyond: str | None) -> _Field | str:
    commits = git.first_parents(begin, FARTHEST_FIRST_PARENT)
    place = {commit: number for number, commit in enumerate(commits) if commit != beyond}
    on_line = sieve.keep(rows, lambda row: _why_elsewhere(row, place, begin))
    unseen = git.unseen(commits[-1] if commits else begin)
    if not commits:
        return f"but {short(begin)} is no commit of this repository{_cut(begin, unseen)}"
    near = sorted(on_line, key=lambda row: place[str(row.commit)])
    if not near:
        return _none_on(rows, begin, commits, unseen)

    def behind(row: RunRow) -> int:
        return place[str(row.commit)]

    return _Field(
        rows=near,
        behind=behind,
        why=lambda row: f"nearest ancestor with a complete run: {_distance(behind(row), short(begin))}{_fate(row)}",
        unseen=_cut(commits[-1], unseen),
    )


def _ancestors(rows: Sequence[RunRow], sieve: _Sieve, git: Git, begin: str, today: date) -> _Field | str:
    commits = git.ancestors(begin, FARTHEST_ANCESTOR)
    known = set(commits)
    before = sieve.keep(rows, lambda row: _why_elsewhere(row, known, begin))
    if not before:
        is_cut = len(commits) < FARTHEST_ANCESTOR and git.is_shallow()
        return _none_on(rows, begin, commits, SHALLOW if is_cut else None)
    passed = sieve.keep(before, lambda row: _why_unserving(row, today))
    if not passed:
        return f"{len(before)} of them on this commit or an ancestor, {_none_passed(before[0])}"

    def behind(row: RunRow) -> int | None:
        return git.distance(str(row.commit), begin)

    def why(row: RunRow) -> str:
        return f"newest complete run on an ancestor that {_merit(row)}: {_distance(behind(row), short(begin))}"

    return _Field(rows=passed, behind=behind, why=why)


def _newest(rows: Sequence[RunRow], sieve: _Sieve, today: date) -> _Field | str:
    passed = sieve.keep(rows, lambda row: _why_unserving(row, today))
    if not passed:
        return _none_passed(rows[0])
    return _Field(
        rows=passed,
        behind=lambda _row: None,
        why=lambda row: f"newest complete run of the suite that {_merit(row)} (no repository to ask)",
    )


def _why_elsewhere(row: RunRow, line: Container[str], name: str) -> str | None:
    if row.commit is None:
        return "carries no commit"
    if row.commit in line:
        return None
    return f"on {short(row.commit)}, none of the commits looked at from {short(name)} back"


def _why_unserving(row: RunRow, today: date) -> str | None:
    if row.exit_code == 0 or row.is_blessed(today):
        return None
    did = "never judged" if row.exit_code is None else f"exited {row.exit_code}"
    return f"{did}, and its blessing expired on {row.blessed_until}" if row.blessed else f"{did} and not blessed"


# ---- which of them ----------------------------------------------------------------------------------------


def _nearest(search: _Search, found: _Field, sieve: _Sieve) -> Nearest:
    history, pool = search.history, search.pool
    compares = _Comparable(history, search.candidate)
    first = next((row for row in found.rows if sieve.lets_pass(row, compares.why_not(row))), None)
    if first is None:
        first = found.rows[0]
        return _read(history, [first], found, f"; it {INCOMPARABLE}")
    others = [row for row in found.rows if row.id != first.id]
    rest = sieve.keep(others, lambda row: _why_apart(row, first, search.pool_days))
    rows = [first]
    for row in sorted(rest, key=lambda row: row.created, reverse=True):
        full = f"the baseline has its {_runs(pool)} without it" if len(rows) >= pool else None
        if sieve.lets_pass(row, full or compares.why_not(row)):
            rows.append(row)
    pooled = f", pooled with {_runs(len(rows) - 1, 'earlier ')} of the same version" if len(rows) > 1 else ""
    # Not left out: it stands beside runs from before the drift, so that it cannot lower the bar alone.
    drifted = {event.run_id for event in history.drifts(suite=search.candidate.suite)}
    drift = (
        "; it met drift, so that it may stand lower than what this repository has done" if first.id in drifted else ""
    )
    return _read(history, rows, found, f"{pooled}{drift}{found.unseen if len(rows) < pool else ''}")


def _read(history: History, rows: Sequence[RunRow], found: _Field, remark: str) -> Nearest:
    first = rows[0]
    return Nearest(
        runs=tuple(history.read_run(row.id) for row in rows),
        why=f"{found.why(first)}{remark}",
        behind=found.behind(first),
        detectable=history.detectable(first.id),
    )


def _why_apart(row: RunRow, first: RunRow, pool_days: float | None) -> str | None:
    """What keeps a run from being pooled with the first one of the baseline."""
    if row.version is None or row.version != first.version:
        return f"{'of an unknown' if row.version is None else 'of another'} version than {first.id}"
    if 0 < row.n_results <= row.calls_saved:
        return "all its answers are copies of earlier ones, from the cache of calls"
    if row.created > first.created:
        return f"newer than {first.id}, which is nearer"
    if pool_days is not None and first.created - row.created > timedelta(days=pool_days):
        return f"more than {pool_days:g} days older than {first.id}"
    return None


class _Comparable:
    """Whether a run shares a case with the candidate, content and scorers agreeing. Asks the store once a plan."""

    def __init__(self, history: History, candidate: Run) -> None:
        self._history = history
        self._cases = candidate.cases
        self._by_plan: dict[str, bool] = {}

    def why_not(self, row: RunRow) -> str | None:
        if row.plan not in self._by_plan:
            self._by_plan[row.plan] = _share_a_case(self._history.case_marks(row.plan), self._cases)
        return None if self._by_plan[row.plan] else INCOMPARABLE


def _share_a_case(marks: Iterable[CaseMark], cases: Iterable[CaseRef]) -> bool:
    """Both come sorted by id."""
    mine = iter(cases)
    case = next(mine, None)
    for mark in marks:
        while case is not None and case.id < mark.id:
            case = next(mine, None)
        if case is None:
            return False
        is_same = case.id == mark.id and may_agree(mark.content, case.content)
        if is_same and may_agree(mark.scorers, case.scorers):
            return True
    return False


# ---- in words ---------------------------------------------------------------------------------------------


def _none_on(rows: Sequence[RunRow], name: str, commits: Sequence[str], unseen: str | None) -> str:
    newest = rows[0]
    if newest.commit is None:
        where = "carries no commit"
    else:
        where = f"is on {short(newest.commit)}" + (f" on branch {newest.branch}" if newest.branch else "")
    looked = f"{len(commits)} commit{'' if len(commits) == 1 else 's'} looked at"
    cut = _cut(commits[-1], unseen)
    return f"none on {short(name)} or an ancestor of it ({looked}); the newest, {newest.id}, {where}{cut}"


def _cut(commit: str, unseen: str | None) -> str:
    """That nobody could look beyond this commit, and why."""
    return "" if unseen is None else f"; could not look further back than {short(commit)}: {unseen}"


def _none_passed(newest: RunRow) -> str:
    return f"none of which exited 0 or was blessed; if the newest may serve, name it: --baseline {newest.id}"


def _told(rows: Sequence[RunRow]) -> str:
    causes = Counter(why_incomplete(row) for row in rows)
    return ", ".join(f"{count} {cause}" for cause, count in causes.items())


def _fate(row: RunRow) -> str:
    """That the baseline's own verdict was a bad one: what is no worse than it may still be bad."""
    return f", whose own verdict was {row.verdict}" if row.verdict == VerdictName.FAIL.value else ""


def _merit(row: RunRow) -> str:
    return "exited 0" if row.exit_code == 0 else "was blessed"


def _runs(count: int, kind: str = "") -> str:
    return f"{count} {kind}run" if count == 1 else f"{count} {kind}runs"


def _distance(commits: int | None, name: str) -> str:
    if commits is None:
        return f"before {name}"
    if commits == 0:
        return f"on {name} itself"
    return f"{commits} commit{'' if commits == 1 else 's'} behind {name}"
