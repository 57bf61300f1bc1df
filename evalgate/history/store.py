"""The history store: runs are written once and never changed; verdicts and blessings are added to them.

`History.open` is the only door. Must not know the gate, nor how a run came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from types import TracebackType
from typing import Any

from evalgate.errors import InputError, StoreError
from evalgate.history import bulk, packing, shape
from evalgate.history.connection import check_room, connect, explained
from evalgate.history.database import ROWS_AT_ONCE, Connection, Database
from evalgate.history.figures import Tally
from evalgate.history.listing import BLESSED, Blessing, CaseMark, VerdictRow
from evalgate.history.place import Place
from evalgate.history.shape import listed
from evalgate.records import CONFIG, CaseRef, DriftEvent, Json, Run, RunRow, SummaryRow, Verdict
from evalgate.spool import gathered

SHORTEST_PREFIX = 4
LATEST = "latest"

_NUMBER = "SELECT number FROM runs WHERE id = ?"

_RESULTS = f"SELECT {listed(shape.results)} FROM results WHERE run = ? ORDER BY position"

_SCORES = f"SELECT {listed(shape.scores)} FROM scores WHERE run = ? ORDER BY result, position"

_CASES = """
SELECT case_id, categories, content, scorers, critical, cluster, tags, source_file, source_line,
    input, expected, metadata
FROM cases JOIN case_texts ON case_texts.key = cases.texts WHERE cases.plan = ? ORDER BY cases.position
"""

_MARKS = "SELECT case_id, content, scorers FROM cases WHERE plan = ? ORDER BY position"

_RUNS = """
SELECT runs.id, runs.suite, runs.created, runs.commit_sha, runs.branch, versions.id, runs.selection, runs.stopped,
    runs.origin, plans.n_cases, runs.n_results, runs.n_unscored, runs.score, runs.cost_usd, verdicts.verdict,
    verdicts.exit_code, blessings.number IS NOT NULL, runs.plan, runs.calls_saved, blessings.expires
FROM runs
JOIN versions ON versions.key = runs.version
JOIN plans ON plans.key = runs.plan
LEFT JOIN verdicts ON verdicts.run = runs.number AND NOT EXISTS (
    SELECT 1 FROM verdicts AS later WHERE later.run = runs.number
    AND (later.decided, later.number) > (verdicts.decided, verdicts.number)
)
LEFT JOIN blessings ON blessings.run = runs.number AND NOT EXISTS (
    SELECT 1 FROM blessings AS later WHERE later.run = runs.number
    AND (later.created, later.number) > (blessings.created, blessings.number)
)
"""
"""In the order of `RunRow`'s fields. The newest word counts, not the one written last: some come from the branch."""

_SUMMARIES = """
SELECT runs.id, runs.created, runs.commit_sha, runs.branch, category, metric, value, n
FROM runs JOIN summaries ON summaries.run = runs.number
"""
"""In the order of `SummaryRow`'s fields."""

_DETECTABLE = """
SELECT category, value FROM runs JOIN summaries ON summaries.run = runs.number
WHERE runs.id = ? AND metric = ? ORDER BY position
"""

_VERDICTS = """
SELECT decided, verdict, exit_code, body FROM runs JOIN verdicts ON verdicts.run = runs.number
WHERE runs.id = ? ORDER BY decided, verdicts.number
"""

_BLESSINGS = """
SELECT runs.id, blessings.created, author, reason, name, expires FROM blessings JOIN runs ON runs.number = blessings.run
"""
"""In the order of `Blessing`'s fields."""

_DRIFTS = """
SELECT runs.id, drifts.created, category, before, after, p, sentence FROM drifts JOIN runs ON runs.number = drifts.run
"""
"""In the order of `DriftEvent`'s fields."""

_ANY_REQUEST = "SELECT position FROM requests WHERE version = ? AND plan = ? LIMIT 1"

_OF_RUN = """
FROM runs JOIN requests ON requests.version = runs.version AND requests.plan = runs.plan WHERE runs.id = ?
"""

_REQUESTS = f"SELECT case_id, body {_OF_RUN} ORDER BY position"


class History:
    """Runs, their verdicts and their blessings, in SQLite or PostgreSQL. A context manager.

    Every method raises StoreError where the database is locked, read-only, damaged, full or out of reach, with a
    message that says which and what to do.
    """

    def __init__(self, database: Database) -> None:
        """database: one whose schema is the newest."""
        self._database = database
        self._place = database.place
        self._last_plan: dict[str, Sequence[CaseRef]] = {}
        self._together: Connection | None = None

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> History:
        """The history at this URL, its schema brought up to date.

        url: `sqlite:///relative/or//absolute.db` (relative to the current directory), `sqlite://` (in memory, for one
        process), or `postgresql://user:password@host/database` (extra `postgres`).
        create: begin a history where there is none; otherwise that raises InputError. A bad URL is an InputError too.
        """
        return cls(connect(Place(url), create=create))

    @property
    def place(self) -> str:
        """The store's URL for messages, without password."""
        return self._place.name

    def close(self) -> None:
        """Let go of the database. The object is of no use afterwards."""
        self._database.close()

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- writing ------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Raises StoreError where a run could not be written now. Changes nothing; asked before calls are paid for."""
        check_room(self._place)
        with explained(self._database), self._database.trying() as connection:
            # Only a real insert meets a read-only file or role.
            bulk.insert_one(connection, shape.plans, {"key": "writable?", "n_cases": 0})

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is written inside is kept in one transaction: a run is never there without its verdict, whatever ends
        the process in between."""
        with self._writing() as connection:
            self._together = connection
            try:
                yield
            finally:
                self._together = None

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._together is not None:
            yield self._together
            return
        with explained(self._database), self._database.writing() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with explained(self._database), self._database.reading() as connection:
            yield connection

    def write_run(
        self,
        run: Run,
        *,
        requests: Iterable[tuple[str, Json]] | None = None,
        detectable: Mapping[str, float] | None = None,
    ) -> None:
        """Keep a run with everything in it, in one transaction: all of it or nothing.

        requests: each case's id, sorted, with what was sent to the endpoint, so that it can be sent again. Kept once
        for each version and list of cases: where there are some already, these are not looked at.
        detectable: by category, the drop that would be seen four times out of five with this run as baseline.
        Raises StoreError where a run of this id is there already: runs never change.
        """
        plan, tally = packing.Plan(run.cases), Tally(run)
        version = packing.version_row(run.version)
        with self._writing() as connection:
            bulk.insert_one(connection, shape.versions, version, leaves_present=True)
            self._share_plan(connection, plan)
            row = packing.run_row(run, tally, plan=plan.key, version=version["key"])
            if not bulk.insert_one(connection, shape.runs, row, leaves_present=True):
                raise StoreError(f"{self._place} has a run {run.id} already, and runs never change")
            number = int(connection.value(_NUMBER, run.id))
            self._write_results(connection, run, number)
            figures = packing.summary_rows(run, tally, detectable or {}, number=number)
            bulk.insert(connection, shape.summaries, figures)
            if requests is not None:
                self._keep_requests(connection, requests, version=version["key"], plan=plan.key)

    def _write_results(self, connection: Connection, run: Run, number: int) -> None:
        for some in bulk.chunks(enumerate(packing.every_result(run)), ROWS_AT_ONCE):
            rows = [packing.result_row(r, run=number, position=place, phase=phase) for place, (r, phase) in some]
            bulk.insert(connection, shape.results, rows)
            scores = (row for place, (r, _) in some for row in packing.score_rows(r, run=number, position=place))
            bulk.insert(connection, shape.scores, scores)

    def has_run(self, run_id: str) -> bool:
        """Whether a run of this very id is kept."""
        with self._reading() as connection:
            return connection.value(_NUMBER, run_id) is not None

    def write_verdict(self, run_id: str, verdict: Verdict, *, decided: datetime) -> None:
        """Add a decision about a run. Earlier ones stay; the newest one counts.

        Raises InputError where there is no run of this id.
        """
        row = VerdictRow(
            run_id=run_id,
            decided=decided,
            verdict=verdict.verdict.value,
            exit_code=verdict.exit_code,
            body=verdict.to_dict(),
        )
        self.write_decision(row)

    def write_decision(self, row: VerdictRow) -> None:
        """Add a decision as it was written down elsewhere. Raises InputError where there is no run of its id."""
        fields = {name: getattr(row, name) for name in VerdictRow.__slots__ if name != "run_id"}
        with self._writing() as connection:
            bulk.insert_one(connection, shape.verdicts, {"run": self._number(connection, row.run_id), **fields})

    def write_blessing(
        self,
        run_id: str,
        *,
        reason: str,
        author: str,
        created: datetime,
        name: str | None = None,
        expires: date | None = None,
    ) -> None:
        """Add somebody's word that this run may serve as baseline. Earlier ones stay; of a run, the newest counts.

        name: what `gate.anchor` may call it; where it is given again, the newest blessing has it.
        expires: the last day on which it holds, UTC; None: it holds for good.
        Raises InputError where there is no run of this id, no reason, or a name that means something else already.
        """
        if not reason.strip():
            raise InputError("a blessing needs a reason: say why this run may serve as baseline")
        if name is not None and not _can_name(name):
            raise InputError(
                f"{name!r} cannot name a blessing: give one line of text that is neither {BLESSED!r} nor {LATEST!r}"
            )
        with self._writing() as connection:
            number = self._number(connection, run_id)
            row = {"run": number, "created": created, "author": author, "reason": reason, "name": name}
            row["expires"] = expires
            bulk.insert_one(connection, shape.blessings, row)

    def write_drift(self, events: Sequence[DriftEvent]) -> None:
        """Add events of drift, all of them or none. Raises InputError where there is no run of an event's id."""
        with self._writing() as connection:
            numbers = [self._number(connection, event.run_id) for event in events]
            for number, event in zip(numbers, events, strict=True):
                fields = {name: getattr(event, name) for name in DriftEvent.__slots__ if name != "run_id"}
                bulk.insert_one(connection, shape.drifts, {"run": number, **fields})

    def _keep_requests(
        self, connection: Connection, bodies: Iterable[tuple[str, Json]], *, version: str, plan: str
    ) -> None:
        if connection.value(_ANY_REQUEST, version, plan) is None:
            # Another process may write the same set just now: then its rows, equal to these, are left.
            rows = packing.request_rows(bodies, version=version, plan=plan)
            bulk.insert(connection, shape.requests, rows, leaves_present=True)

    def _share_plan(self, connection: Connection, plan: packing.Plan) -> None:
        row = {"key": plan.key, "n_cases": len(plan)}
        # Where another process writes the same plan just now, this waits for it, and then finds it there.
        if bulk.insert_one(connection, shape.plans, row, leaves_present=True):
            bulk.insert(connection, shape.case_texts, plan.texts(), leaves_present=True)
            bulk.insert(connection, shape.cases, plan.cases())

    # ---- reading ------------------------------------------------------------------------------------------

    def read_run(self, ref: str, *, suite: str | None = None) -> Run:
        """The run of this id, of this unique prefix of an id (four characters or more), or the `latest`.

        suite: look among its runs only. Raises InputError where nothing, or more than one run, is meant.
        """
        with self._reading() as connection:
            number = self._find(connection, ref, suite)
            (run,) = connection.named("SELECT * FROM runs WHERE number = ?", number)
            (version,) = connection.named("SELECT * FROM versions WHERE key = ?", run["version"])
            return packing.run_from(
                run,
                version=version,
                cases=self._cases(connection, run["plan"]),
                results=connection.stream(_RESULTS, number),
                scores=connection.stream(_SCORES, number),
            )

    def _cases(self, connection: Connection, plan: str) -> Sequence[CaseRef]:
        # The runs of a baseline mostly share their plan, and plans never change: the last one is kept at hand.
        if plan not in self._last_plan:
            self._last_plan = {plan: gathered(map(packing.case_from, connection.stream(_CASES, plan)))}
        return self._last_plan[plan]

    def list_runs(
        self,
        *,
        suite: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        branch: str | None = None,
    ) -> list[RunRow]:
        """The runs, newest first, without cases and results. since: created then or later."""
        where, values = _where({"runs.suite = ?": suite, "runs.branch = ?": branch, "runs.created >= ?": since})
        statement = f"{_RUNS} {where} ORDER BY runs.created DESC, runs.number DESC"
        if limit is not None:
            statement, values = f"{statement} LIMIT ?", (*values, limit)
        with self._reading() as connection:
            return [_run_row(row) for row in connection.rows(statement, *values)]

    def summaries(self, *, suite: str, since: datetime | None = None) -> list[SummaryRow]:
        """Every figure of the suite's runs, oldest run first, then by category and metric."""
        where, values = _where({"runs.suite = ?": suite, "runs.created >= ?": since})
        statement = f"{_SUMMARIES} {where} ORDER BY runs.created, runs.number"
        names = SummaryRow.__slots__
        with self._reading() as connection:
            rows = [SummaryRow(**dict(zip(names, row, strict=True))) for row in connection.rows(statement, *values)]
        # Sorted here: databases differ in how they collate names.
        order = {run_id: place for place, run_id in enumerate(dict.fromkeys(row.run_id for row in rows))}
        return sorted(rows, key=lambda row: (order[row.run_id], row.category, row.metric))

    def configs(self, suite: str) -> dict[str, str]:
        """By run id, the configuration's file from the repository's top, of those of the suite's runs that tell it."""
        statement = "SELECT id AS run_id, metadata FROM runs WHERE suite = ? AND metadata LIKE ?"
        with self._reading() as connection:
            rows = connection.rows(statement, suite, f'%"{CONFIG}":"%')
            told = ((run_id, metadata.get(CONFIG)) for run_id, metadata in rows)
            return {run_id: config for run_id, config in told if isinstance(config, str)}

    def verdicts(self, run_id: str) -> list[VerdictRow]:
        """Every decision about this run, oldest first."""
        with self._reading() as connection:
            return [VerdictRow(run_id=run_id, **row) for row in connection.named(_VERDICTS, run_id)]

    def blessings(self, *, suite: str | None = None) -> list[Blessing]:
        """Every blessing, oldest first."""
        where, values = _where({"runs.suite = ?": suite})
        with self._reading() as connection:
            rows = connection.rows(f"{_BLESSINGS} {where} ORDER BY blessings.created, blessings.number", *values)
            return [Blessing(**dict(zip(Blessing.__slots__, row, strict=True))) for row in rows]

    def drifts(self, suite: str | None = None, since: datetime | None = None) -> list[DriftEvent]:
        """Every event of drift, in the order in which they were written. since: seen then or later."""
        where, values = _where({"runs.suite = ?": suite, "drifts.created >= ?": since})
        with self._reading() as connection:
            rows = connection.rows(f"{_DRIFTS} {where} ORDER BY drifts.number", *values)
            return [DriftEvent(**dict(zip(DriftEvent.__slots__, row, strict=True))) for row in rows]

    def requests(self, run_id: str) -> dict[str, Json]:
        """By case id, what was sent to the endpoint in runs of this version and these cases; {} where none is kept.

        They are what the first such run sent. What the endpoint answers to them now is another matter.
        """
        with self._reading() as connection:
            return dict(connection.stream(_REQUESTS, run_id))

    def has_requests(self, run_id: str) -> bool:
        """Whether `requests` gives any."""
        with self._reading() as connection:
            return connection.value(f"SELECT position {_OF_RUN} LIMIT 1", run_id) is not None

    def detectable(self, run_id: str) -> dict[str, float]:
        """By category, the drop that would be seen four times out of five with this run as baseline, as it was worked
        out when the run was recorded; {} where it was not."""
        with self._reading() as connection:
            return dict(connection.rows(_DETECTABLE, run_id, packing.DETECTABLE))

    def case_marks(self, plan: str) -> Iterator[CaseMark]:
        """What has to agree for results of these cases to be compared, sorted by id. plan: `RunRow.plan`."""
        with self._reading() as connection:
            for case_id, content, scorers in connection.stream(_MARKS, plan):
                yield CaseMark(id=case_id, content=content, scorers=scorers)

    # ---- finding ------------------------------------------------------------------------------------------

    def _number(self, connection: Connection, run_id: str) -> int:
        number = connection.value(_NUMBER, run_id)
        if number is None:
            raise InputError(self._unknown(connection, run_id, None))
        return int(number)

    def _find(self, connection: Connection, ref: str, suite: str | None) -> int:
        is_latest = ref == LATEST
        # substr, not LIKE: an id may hold % and _, and collations make ranges of text uncertain.
        meant, values = ("true", ()) if is_latest else ("id = ? OR substr(id, 1, ?) = ?", (ref, len(ref), ref))
        of_suite, suites = ("", ()) if suite is None else (" AND suite = ?", (suite,))
        order = "ORDER BY created DESC, number DESC" + " LIMIT 1" * is_latest
        found = connection.rows(f"SELECT number, id FROM runs WHERE ({meant}){of_suite} {order}", *values, *suites)
        exact = [number for number, run_id in found if run_id == ref]
        if exact or (len(found) == 1 and (is_latest or len(ref) >= SHORTEST_PREFIX)):
            return int(exact[0] if exact else found[0][0])
        if not found:
            raise InputError(self._unknown(connection, ref, suite))
        if len(ref) < SHORTEST_PREFIX:
            raise InputError(f'"{ref}" is too short for a run: give its id, {SHORTEST_PREFIX} characters of it or more')
        some = ", ".join(run_id for _, run_id in found[:10])
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        raise InputError(f'"{ref}" may mean {len(found)} runs: {some}{more}. Give more of the id')

    def _unknown(self, connection: Connection, ref: str, suite: str | None) -> str:
        from difflib import get_close_matches

        of = "" if suite is None else f' of suite "{suite}"'
        if ref == LATEST:
            return f"{self._place} has no run{of} yet"
        suites: dict[str, str] = dict(connection.rows("SELECT id, suite FROM runs ORDER BY number DESC LIMIT 1000"))
        if ref in suites:
            return f'run {ref} is of suite "{suites[ref]}", not "{suite}"'
        near = get_close_matches(ref, [id for id in suites if suite in (None, suites[id])], n=3, cutoff=0.5)
        hint = f". Did you mean {' or '.join(near)}?" if near else '. "evalgate history" lists the runs'
        return f'{self._place} has no run "{ref}"{of}{hint}'


def _can_name(name: str) -> bool:
    return bool(name) and name.isprintable() and name == name.strip() and name not in (BLESSED, LATEST)


def _where(conditions: Mapping[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Those of the conditions whose value is known, as SQL, and their values."""
    known = {condition: value for condition, value in conditions.items() if value is not None}
    return (f"WHERE {' AND '.join(known)}" if known else ""), tuple(known.values())


def _run_row(row: Sequence[Any]) -> RunRow:
    fields = dict(zip(RunRow.__slots__, row, strict=True))
    fields["blessed"] = bool(fields["blessed"])  # SQLite says 1
    return RunRow(**fields)
