"""Which runs a candidate is compared with, and why those: `choose` for everybody, `pinned` for who names them.

Reads light rows first, whole runs only of what is chosen. Must not know the gate; git is passed in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from evalgate.history.listing import CaseMark
from evalgate.records import Baseline, CaseRef, Missing, Nearest, Pinned, Run, RunRow, VerdictName, may_agree

if TYPE_CHECKING:
    from evalgate.history.git import Git
    from evalgate.history.store import History

FARTHEST_FIRST_PARENT = 200
"""How many commits of the base branch are looked at in CI."""

FARTHEST_ANCESTOR = 2000
"""How many commits before this one are looked at locally."""

NOT_EVALUATED = frozenset({VerdictName.ERROR.value, VerdictName.NOT_EVALUATED.value})
"""Last verdicts that say: this run measured nothing to compare with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    """The runs that may serve, newest first or nearest first, and how to speak of them."""

    rows: Sequence[RunRow]
    why: Callable[[RunRow], str]
    behind: Callable[[RunRow], int | None]


def choose(
    history: History,
    candidate: Run,
    *,
    git: Git | None,
    start: str | None,
    in_ci: bool,
    pool: int = 10,
) -> Baseline:
    """The nearest run that the candidate can be compared with, and up to `pool - 1` earlier ones of its version.

    start: the commit to begin at: in CI the base (the first parent of the merge commit), locally None, the
    candidate's own. In CI the nearest first-parent ancestor with a complete run counts, whatever its exit code; locally
    the newest complete run on an ancestor, made before the candidate, that exited 0 or was blessed; without a
    repository the newest such run of the suite. A run is complete where it ran the whole eval set to its end and its
    last verdict is not `error` or `not_evaluated`.

    Where no run shares a comparable case, the nearest is given all the same: that the two cannot be compared is for
    the gate to say. Where there is none at all: `Missing`, with the reason in words.
    """
    others = [row for row in history.list_runs(suite=candidate.suite) if row.id != candidate.id]
    suite = f'suite "{candidate.suite}" in {history.place}'
    if not others:
        return Missing(reason=f"no run of {suite} before this one: it is the first")
    complete = [row for row in others if _why_incomplete(row) is None]
    if not complete:
        return Missing(reason=f"{_runs(len(others))} of {suite}, none complete ({_told(others)})")
    found = _field(complete, candidate, git, start, in_ci)
    if isinstance(found, str):
        return Missing(reason=f"{_runs(len(complete), 'complete ')} of {suite}, {found}")
    return _nearest(history, candidate, found, pool)


def pinned(history: History, refs: Sequence[str], candidate: Run) -> Pinned:
    """The runs that somebody named, in that order, each once. Raises InputError where one is unknown.

    `latest` is the latest of the candidate's suite; ids may be of any.
    """
    runs: dict[str, Run] = {}
    for ref in refs:
        run = history.read_run(ref, suite=candidate.suite if ref == "latest" else None)
        runs.setdefault(run.id, run)
    return Pinned(runs=tuple(runs.values()), why="named: " + ", ".join(runs))


# ---- which may serve --------------------------------------------------------------------------------------


def _why_incomplete(row: RunRow) -> str | None:
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


def _field(complete: Sequence[RunRow], candidate: Run, git: Git | None, start: str | None, in_ci: bool) -> _Field | str:
    """The runs that the place and the commit allow; or why there is none."""
    if git is not None and in_ci:
        begin = start or git.head()
        if begin is not None:
            # Without a base to begin at, the candidate's own commit is no ancestor: an earlier attempt at the very
            # change would hide what the change did.
            beyond = candidate.commit if start is None else None
            return _first_parents(complete, git, begin, start or "HEAD", beyond)
    earlier = [row for row in complete if row.created <= candidate.created]
    if not earlier:
        return f"all of them newer than this one; the newest is {complete[0].id}: name one with --baseline"
    if git is not None:
        named = start or candidate.commit
        begin = git.resolve(named) if named else None
        if begin is not None:
            return _ancestors(earlier, git, begin)
    return _newest(earlier)


def _first_parents(rows: Sequence[RunRow], git: Git, begin: str, name: str, beyond: str | None) -> _Field | str:
    commits = git.first_parents(begin, FARTHEST_FIRST_PARENT)
    if not commits:
        return f"but {name} is no commit of this repository{_shallow(git)}"
    place = {commit: number for number, commit in enumerate(commits) if commit != beyond}
    near = sorted((row for row in rows if row.commit in place), key=lambda row: place[str(row.commit)])
    if not near:
        return _none_on(rows, name, commits, git)

    def behind(row: RunRow) -> int:
        return place[str(row.commit)]

    return _Field(
        rows=near,
        behind=behind,
        why=lambda row: f"nearest ancestor with a complete run: {_distance(behind(row), _short(name))}",
    )


def _ancestors(rows: Sequence[RunRow], git: Git, begin: str) -> _Field | str:
    commits = git.ancestors(begin, FARTHEST_ANCESTOR)
    known = set(commits)
    before = [row for row in rows if row.commit in known]
    if not before:
        return _none_on(rows, begin, commits, git)
    passed = [row for row in before if _served(row)]
    if not passed:
        return f"{len(before)} of them on this commit or an ancestor, {_none_passed(before[0])}"

    def behind(row: RunRow) -> int | None:
        return git.distance(str(row.commit), begin)

    def why(row: RunRow) -> str:
        return f"newest complete run on an ancestor that {_merit(row)}: {_distance(behind(row), _short(begin))}"

    return _Field(rows=passed, behind=behind, why=why)


def _newest(rows: Sequence[RunRow]) -> _Field | str:
    passed = [row for row in rows if _served(row)]
    if not passed:
        return _none_passed(rows[0])
    return _Field(
        rows=passed,
        behind=lambda _row: None,
        why=lambda row: f"newest complete run of the suite that {_merit(row)} (no repository to ask)",
    )


def _served(row: RunRow) -> bool:
    return row.blessed or row.exit_code == 0


# ---- which of them ----------------------------------------------------------------------------------------


def _nearest(history: History, candidate: Run, found: _Field, pool: int) -> Nearest:
    compares = _Comparable(history, candidate)
    first = next((row for row in found.rows if compares(row)), None)
    if first is None:
        first = found.rows[0]
        why = f"{found.why(first)}; it shares no comparable case with this run"
        return Nearest(runs=(history.read_run(first.id),), why=why, behind=found.behind(first))
    rest = sorted(
        (row for row in found.rows if _precedes(row, first) and _is_same_version(row, first)),
        key=lambda row: row.created,
        reverse=True,
    )
    rows = [first, *islice(filter(compares, rest), max(pool - 1, 0))]
    pooled = f", pooled with {_runs(len(rows) - 1, 'earlier ')} of the same version" if len(rows) > 1 else ""
    return Nearest(
        runs=tuple(history.read_run(row.id) for row in rows),
        why=f"{found.why(first)}{pooled}",
        behind=found.behind(first),
    )


def _precedes(row: RunRow, first: RunRow) -> bool:
    return row.id != first.id and row.created <= first.created


def _is_same_version(row: RunRow, first: RunRow) -> bool:
    return row.version is not None and row.version == first.version


class _Comparable:
    """Whether a run shares a case with the candidate, content and scorers agreeing. Asks the store once a plan."""

    def __init__(self, history: History, candidate: Run) -> None:
        self._history = history
        self._cases = {case.id: case for case in candidate.cases}
        self._by_plan: dict[str, bool] = {}

    def __call__(self, row: RunRow) -> bool:
        if row.plan not in self._by_plan:
            marks = self._history.case_marks(row.plan)
            self._by_plan[row.plan] = any(_agree(mark, self._cases) for mark in marks)
        return self._by_plan[row.plan]


def _agree(mark: CaseMark, cases: Mapping[str, CaseRef]) -> bool:
    other = cases.get(mark.id)
    return other is not None and may_agree(mark.content, other.content) and may_agree(mark.scorers, other.scorers)


# ---- in words ---------------------------------------------------------------------------------------------


def _none_on(rows: Sequence[RunRow], name: str, commits: Sequence[str], git: Git) -> str:
    newest = rows[0]
    if newest.commit is None:
        where = "carries no commit"
    else:
        where = f"is on {_short(newest.commit)}" + (f" on branch {newest.branch}" if newest.branch else "")
    looked = f"{len(commits)} commit{'' if len(commits) == 1 else 's'} looked at"
    return f"none on {_short(name)} or an ancestor of it ({looked}); the newest, {newest.id}, {where}{_shallow(git)}"


def _none_passed(newest: RunRow) -> str:
    return f"none of which exited 0 or was blessed; if the newest may serve, name it: --baseline {newest.id}"


def _shallow(git: Git) -> str:
    return ". This clone is shallow: fetch older commits (fetch-depth: 0)" if git.is_shallow() else ""


def _told(rows: Sequence[RunRow]) -> str:
    causes = Counter(_why_incomplete(row) for row in rows)
    return ", ".join(f"{count} {cause}" for cause, count in causes.items())


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


def _short(name: str) -> str:
    """A commit's id cut to 7 digits; other names as they are."""
    return name[:7] if len(name) >= 40 and all(char in "0123456789abcdef" for char in name) else name
