"""The history store: runs are written once and never changed; verdicts and blessings are added to them.

`History.open` is the only door. Must not know the gate, nor how a run came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select
from sqlalchemy.exc import IntegrityError

from evalgate.errors import InputError, StoreError
from evalgate.history import bulk, packing, shape
from evalgate.history.connection import Place, check_room, connect, explained, writing
from evalgate.history.figures import Tally
from evalgate.history.listing import BLESSED, Blessing, CaseMark, VerdictRow
from evalgate.records import CaseRef, DriftEvent, Json, Run, RunRow, SummaryRow, Verdict
from evalgate.spool import gathered

SHORTEST_PREFIX = 4
LATEST = "latest"

STREAMED = {"yield_per": 1000}
"""For queries of a row a case or result: no driver holds them all."""


class History:
    """Runs, their verdicts and their blessings, in SQLite or PostgreSQL. A context manager.

    Every method raises StoreError where the database is locked, read-only, damaged, full or out of reach, with a
    message that says which and what to do.
    """

    def __init__(self, engine: Engine, place: Place) -> None:
        self._engine = engine
        self._place = place
        self._last_plan: dict[str, Sequence[CaseRef]] = {}
        self._together: Connection | None = None

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> History:
        """The history at this URL, its schema brought up to date.

        url: `sqlite:///relative/or//absolute.db` (relative to the current directory), `sqlite://` (in memory, for one
        process), or `postgresql://user:password@host/database` (extra `postgres`).
        create: begin a history where there is none; otherwise that raises InputError. A bad URL is an InputError too.
        """
        place = Place(url)
        return cls(connect(place, create=create), place)

    @property
    def place(self) -> str:
        """The store's URL for messages, without password."""
        return self._place.name

    def close(self) -> None:
        """Let go of the database. The object is of no use afterwards."""
        self._engine.dispose()

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- writing ------------------------------------------------------------------------------------------

    def check_writable(self) -> None:
        """Raises StoreError where a run could not be written now. Changes nothing; asked before calls are paid for."""
        with explained(self._place):
            check_room(self._place)
            with self._engine.connect().execution_options(writes=True) as connection:
                # Only a real insert meets a read-only file or role; closing the connection takes it back.
                connection.execute(shape.plans.insert().values(key="writable?", n_cases=0))

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
        with explained(self._place), writing(self._engine) as connection:
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
            connection.execute(self._new(shape.versions), version)
            self._share_plan(connection, plan)
            row = packing.run_row(run, tally, plan=plan.key, version=version["key"])
            try:
                number = int(connection.execute(shape.runs.insert().returning(shape.runs.c.number), row).scalar_one())
            except IntegrityError as error:
                raise StoreError(f"{self._place} has a run {run.id} already, and runs never change") from error
            self._write_results(connection, run, number)
            figures = packing.summary_rows(run, tally, detectable or {}, number=number)
            bulk.insert(connection, shape.summaries, figures)
            if requests is not None:
                self._keep_requests(connection, requests, version=version["key"], plan=plan.key)

    def _write_results(self, connection: Connection, run: Run, number: int) -> None:
        for some in bulk.chunks(enumerate(packing.every_result(run)), bulk.ROWS_AT_ONCE):
            rows = [packing.result_row(r, run=number, position=place, phase=phase) for place, (r, phase) in some]
            bulk.insert(connection, shape.results, rows)
            scores = (row for place, (r, _) in some for row in packing.score_rows(r, run=number, position=place))
            bulk.insert(connection, shape.scores, scores)

    def has_run(self, run_id: str) -> bool:
        """Whether a run of this very id is kept."""
        with explained(self._place), self._engine.connect() as connection:
            return connection.execute(select(shape.runs.c.id).where(shape.runs.c.id == run_id)).first() is not None

    def write_verdict(self, run_id: str, verdict: Verdict, *, decided: datetime) -> None:
        """Add a decision about a run. Earlier ones stay; the last one counts.

        Raises InputError where there is no run of this id.
        """
        with self._writing() as connection:
            row = {
                "run": self._number(connection, run_id),
                "decided": decided,
                "verdict": verdict.verdict.value,
                "exit_code": verdict.exit_code,
                "body": verdict.to_dict(),
            }
            connection.execute(shape.verdicts.insert(), row)

    def write_blessing(
        self, run_id: str, *, reason: str, author: str, created: datetime, name: str | None = None
    ) -> None:
        """Add somebody's word that this run may serve as baseline.

        name: what `gate.anchor` may call it; where it is given again, the newest blessing has it.
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
            connection.execute(shape.blessings.insert(), row)

    def write_drift(self, events: Sequence[DriftEvent]) -> None:
        """Add events of drift, all of them or none. Raises InputError where there is no run of an event's id."""
        with self._writing() as connection:
            rows = [
                {
                    "run": self._number(connection, event.run_id),
                    **{name: getattr(event, name) for name in DriftEvent.__slots__ if name != "run_id"},
                }
                for event in events
            ]
            if rows:
                connection.execute(shape.drifts.insert(), rows)

    def _keep_requests(
        self, connection: Connection, bodies: Iterable[tuple[str, Json]], *, version: str, plan: str
    ) -> None:
        kept = shape.requests.c
        there = select(kept.position).where(kept.version == version, kept.plan == plan).limit(1)
        if connection.execute(there).first() is None:
            # Another process may write the same set just now: then its rows, equal to these, are left.
            rows = packing.request_rows(bodies, version=version, plan=plan)
            bulk.insert(connection, shape.requests, rows, leaves_present=True)

    def _share_plan(self, connection: Connection, plan: packing.Plan) -> None:
        row = {"key": plan.key, "n_cases": len(plan)}
        # Where another process writes the same plan just now, this waits for it, and then finds it there.
        is_new = connection.execute(self._new(shape.plans).returning(shape.plans.c.key), row).first() is not None
        if is_new:
            bulk.insert(connection, shape.case_texts, plan.texts(), leaves_present=True)
            bulk.insert(connection, shape.cases, plan.cases())

    def _new(self, table: Table) -> Any:
        """An INSERT that leaves what is there already."""
        if self._place.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert as insert_sqlite

            return insert_sqlite(table).on_conflict_do_nothing()
        from sqlalchemy.dialects.postgresql import insert as insert_postgres

        return insert_postgres(table).on_conflict_do_nothing()

    # ---- reading ------------------------------------------------------------------------------------------

    def read_run(self, ref: str, *, suite: str | None = None) -> Run:
        """The run of this id, of this unique prefix of an id (four characters or more), or the `latest`.

        suite: look among its runs only. Raises InputError where nothing, or more than one run, is meant.
        """
        with explained(self._place), self._engine.connect() as connection:
            number = self._find(connection, ref, suite)
            run = _one(connection, shape.runs, shape.runs.c.number == number)
            version = _one(connection, shape.versions, shape.versions.c.key == run["version"])
            cases = self._cases(connection, run["plan"])
            results = connection.execute(
                select(shape.results).where(shape.results.c.run == number).order_by(shape.results.c.position),
                execution_options=STREAMED,
            )
            scores = connection.execute(
                select(shape.scores)
                .where(shape.scores.c.run == number)
                .order_by(shape.scores.c.result, shape.scores.c.position),
                execution_options=STREAMED,
            )
            return packing.run_from(run, version=version, cases=cases, results=results, scores=scores)

    def _cases(self, connection: Connection, plan: str) -> Sequence[CaseRef]:
        # The runs of a baseline mostly share their plan, and plans never change: the last one is kept at hand.
        if plan not in self._last_plan:
            rows = connection.execute(
                select(shape.cases, shape.case_texts.c.input, shape.case_texts.c.expected, shape.case_texts.c.metadata)
                .join(shape.case_texts, shape.cases.c.texts == shape.case_texts.c.key)
                .where(shape.cases.c.plan == plan)
                .order_by(shape.cases.c.position),
                execution_options=STREAMED,
            )
            self._last_plan = {plan: gathered(map(packing.case_from, rows.mappings()))}
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
        runs = shape.runs.c
        last = select(shape.verdicts.c.run, func.max(shape.verdicts.c.number).label("number"))
        last_number = last.group_by(shape.verdicts.c.run).subquery()
        verdicts = shape.verdicts.c
        blessed = select(shape.blessings.c.run).where(shape.blessings.c.run == runs.number).exists()
        query = (
            select(
                *(runs.id, runs.suite, runs.created, runs.commit_sha, runs.branch, shape.versions.c.id),
                *(runs.selection, runs.stopped, runs.origin, shape.plans.c.n_cases, runs.n_results, runs.n_unscored),
                *(runs.score, runs.cost_usd, verdicts.verdict, verdicts.exit_code, blessed, runs.plan),
                runs.calls_saved,
            )
            .select_from(shape.runs)
            .join(shape.versions, shape.versions.c.key == runs.version)
            .join(shape.plans, shape.plans.c.key == runs.plan)
            .outerjoin(last_number, last_number.c.run == runs.number)
            .outerjoin(shape.verdicts, verdicts.number == last_number.c.number)
            .order_by(runs.created.desc(), runs.number.desc())
            .limit(limit)
        )
        for column, value in ((runs.suite, suite), (runs.branch, branch)):
            if value is not None:
                query = query.where(column == value)
        if since is not None:
            query = query.where(runs.created >= since)
        names = RunRow.__slots__
        with explained(self._place), self._engine.connect() as connection:
            return [RunRow(**dict(zip(names, row, strict=True))) for row in connection.execute(query)]

    def summaries(self, *, suite: str, since: datetime | None = None) -> list[SummaryRow]:
        """Every figure of the suite's runs, oldest run first, then by category and metric."""
        runs, figures = shape.runs.c, shape.summaries.c
        query = (
            select(
                *(runs.id, runs.created, runs.commit_sha, runs.branch),
                *(figures.category, figures.metric, figures.value, figures.n),
            )
            .join_from(shape.runs, shape.summaries, figures.run == runs.number)
            .where(runs.suite == suite)
            .order_by(runs.created, runs.number)
        )
        if since is not None:
            query = query.where(runs.created >= since)
        names = SummaryRow.__slots__
        with explained(self._place), self._engine.connect() as connection:
            rows = [SummaryRow(**dict(zip(names, row, strict=True))) for row in connection.execute(query)]
        # Sorted here: databases differ in how they collate names.
        order = {run_id: place for place, run_id in enumerate(dict.fromkeys(row.run_id for row in rows))}
        return sorted(rows, key=lambda row: (order[row.run_id], row.category, row.metric))

    def verdicts(self, run_id: str) -> list[VerdictRow]:
        """Every decision about this run, in the order in which they were written."""
        query = (
            select(*(shape.verdicts.c[name] for name in ("decided", "verdict", "exit_code", "body")))
            .join(shape.runs, shape.runs.c.number == shape.verdicts.c.run)
            .where(shape.runs.c.id == run_id)
            .order_by(shape.verdicts.c.number)
        )
        with explained(self._place), self._engine.connect() as connection:
            return [VerdictRow(run_id=run_id, **row) for row in connection.execute(query).mappings()]

    def blessings(self, *, suite: str | None = None) -> list[Blessing]:
        """Every blessing, in the order in which they were given."""
        with explained(self._place), self._engine.connect() as connection:
            return [
                Blessing(**row) for row in connection.execute(_of_runs(shape.blessings, Blessing, suite)).mappings()
            ]

    def drifts(self, suite: str | None = None, since: datetime | None = None) -> list[DriftEvent]:
        """Every event of drift, in the order in which they were written. since: seen then or later."""
        query = _of_runs(shape.drifts, DriftEvent, suite)
        if since is not None:
            query = query.where(shape.drifts.c.created >= since)
        with explained(self._place), self._engine.connect() as connection:
            return [DriftEvent(**row) for row in connection.execute(query).mappings()]

    def requests(self, run_id: str) -> dict[str, Json]:
        """By case id, what was sent to the endpoint in runs of this version and these cases; {} where none is kept.

        They are what the first such run sent. What the endpoint answers to them now is another matter.
        """
        runs, kept = shape.runs.c, shape.requests.c
        query = (
            select(kept.case_id, kept.body)
            .join_from(shape.runs, shape.requests, (kept.version == runs.version) & (kept.plan == runs.plan))
            .where(runs.id == run_id)
            .order_by(kept.position)
        )
        with explained(self._place), self._engine.connect() as connection:
            return {row.case_id: row.body for row in connection.execute(query)}

    def has_requests(self, run_id: str) -> bool:
        """Whether `requests` gives any."""
        runs, kept = shape.runs.c, shape.requests.c
        query = (
            select(kept.position)
            .join_from(shape.runs, shape.requests, (kept.version == runs.version) & (kept.plan == runs.plan))
            .where(runs.id == run_id)
            .limit(1)
        )
        with explained(self._place), self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def detectable(self, run_id: str) -> dict[str, float]:
        """By category, the drop that would be seen four times out of five with this run as baseline, as it was worked
        out when the run was recorded; {} where it was not."""
        runs, figures = shape.runs.c, shape.summaries.c
        query = (
            select(figures.category, figures.value)
            .join_from(shape.runs, shape.summaries, figures.run == runs.number)
            .where(runs.id == run_id, figures.metric == packing.DETECTABLE)
            .order_by(figures.position)
        )
        with explained(self._place), self._engine.connect() as connection:
            return {row.category: row.value for row in connection.execute(query)}

    def case_marks(self, plan: str) -> Iterator[CaseMark]:
        """What has to agree for results of these cases to be compared, sorted by id. plan: `RunRow.plan`."""
        cases = shape.cases.c
        query = select(cases.case_id, cases.content, cases.scorers).where(cases.plan == plan).order_by(cases.position)
        with explained(self._place), self._engine.connect() as connection:
            for case_id, content, scorers in connection.execute(query, execution_options=STREAMED):
                yield CaseMark(id=case_id, content=content, scorers=scorers)

    # ---- finding ------------------------------------------------------------------------------------------

    def _number(self, connection: Connection, run_id: str) -> int:
        number = connection.scalar(select(shape.runs.c.number).where(shape.runs.c.id == run_id))
        if number is None:
            raise InputError(self._unknown(connection, run_id, None))
        return int(number)

    def _find(self, connection: Connection, ref: str, suite: str | None) -> int:
        runs = shape.runs.c
        newest_first = select(runs.number, runs.id, runs.suite).order_by(runs.created.desc(), runs.number.desc())
        if suite is not None:
            newest_first = newest_first.where(runs.suite == suite)
        if ref == LATEST:
            query = newest_first.limit(1)
        else:
            # substr, not LIKE: an id may hold % and _, and collations make ranges of text uncertain.
            prefix = func.substr(runs.id, 1, len(ref), type_=shape.ExactText())
            query = newest_first.where((runs.id == ref) | (prefix == ref))
        found = connection.execute(query).all()
        exact = [row for row in found if row.id == ref]
        if exact or (len(found) == 1 and (ref == LATEST or len(ref) >= SHORTEST_PREFIX)):
            return int((exact or found)[0].number)
        if not found:
            raise InputError(self._unknown(connection, ref, suite))
        if len(ref) < SHORTEST_PREFIX:
            raise InputError(f'"{ref}" is too short for a run: give its id, {SHORTEST_PREFIX} characters of it or more')
        some = ", ".join(row.id for row in found[:10])
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        raise InputError(f'"{ref}" may mean {len(found)} runs: {some}{more}. Give more of the id')

    def _unknown(self, connection: Connection, ref: str, suite: str | None) -> str:
        from difflib import get_close_matches

        of = "" if suite is None else f' of suite "{suite}"'
        if ref == LATEST:
            return f"{self._place} has no run{of} yet"
        newest = select(shape.runs.c.id, shape.runs.c.suite).order_by(shape.runs.c.number.desc()).limit(1000)
        suites = {row.id: row.suite for row in connection.execute(newest)}
        if ref in suites:
            return f'run {ref} is of suite "{suites[ref]}", not "{suite}"'
        near = get_close_matches(ref, [id for id in suites if suite in (None, suites[id])], n=3, cutoff=0.5)
        hint = f". Did you mean {' or '.join(near)}?" if near else '. "evalgate history" lists the runs'
        return f'{self._place} has no run "{ref}"{of}{hint}'


def _can_name(name: str) -> bool:
    return bool(name) and name.isprintable() and name == name.strip() and name not in (BLESSED, LATEST)


def _of_runs(table: Table, values: type, suite: str | None) -> Any:
    """A query for what was added to runs, as fields of `values`, in the order in which it was written."""
    fields = [table.c[name] for name in values.__slots__ if name != "run_id"]  # type: ignore[attr-defined]
    query = (
        select(shape.runs.c.id.label("run_id"), *fields)
        .join_from(table, shape.runs, shape.runs.c.number == table.c.run)
        .order_by(table.c.number)
    )
    return query if suite is None else query.where(shape.runs.c.suite == suite)


def _one(connection: Connection, table: Table, condition: Any) -> Any:
    return connection.execute(select(table).where(condition)).mappings().one()
