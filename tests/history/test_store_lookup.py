"""Runs are found by id, prefix or `latest`, listed newest first, and added to but never changed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from builders import NOON, make_drift, make_run
from history_builders import database, verdict

from evalgate.errors import InputError, StoreError
from evalgate.history import shape
from evalgate.history.store import History
from evalgate.records import Usage, VerdictName


def test_a_run_is_found_by_id_prefix_and_latest(store_url: str) -> None:
    """An exact id wins over being the prefix of another."""
    with History.open(store_url) as history:
        for minutes, run_id in ((0, "abcd"), (9, "abcdef"), (5, "xyzw1")):
            history.write_run(make_run(run_id, minutes=minutes))
        found = [history.read_run(ref).id for ref in ("abcd", "abcde", "xyzw", "latest")]
    assert found == ["abcd", "abcdef", "xyzw1", "abcdef"]


def test_latest_is_of_the_suite(store_url: str) -> None:
    """Where a suite is named, another suite's newer run is not meant."""
    with History.open(store_url) as history:
        history.write_run(make_run("mine"))
        history.write_run(replace(make_run("other", minutes=1), suite="another"))
        found = history.read_run("latest", suite="suite").id
        with pytest.raises(InputError, match='run other is of suite "another", not "suite"'):
            history.read_run("other", suite="suite")
    assert found == "mine"


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("run-", r'"run-" may mean 12 runs: run-11, run-10, .* and 2 more\. Give more of the id'),
        ("run", r'"run" is too short for a run: give its id, 4 characters'),
        ("rnu-11", r'has no run "rnu-11"\. Did you mean run-11'),
        ("unlike", r'has no run "unlike"\. "evalgate history" lists the runs'),
        ("\ud800x", r"has no run"),
    ],
)
def test_a_run_that_is_not_clearly_meant_is_refused(store_url: str, ref: str, message: str) -> None:
    """The message says which runs may be meant."""
    with History.open(store_url) as history:
        for number in range(12):
            history.write_run(make_run(f"run-{number}", minutes=number))
        with pytest.raises(InputError, match=message):
            history.read_run(ref)


def test_latest_of_an_empty_history_is_refused(store_url: str) -> None:
    """Nothing is never a run."""
    with History.open(store_url) as history, pytest.raises(InputError, match='has no run of suite "suite" yet'):
        history.read_run("latest", suite="suite")


def test_runs_are_listed_newest_first_with_their_last_verdict(store_url: str) -> None:
    """Everything that a list shows is in the light rows."""
    with History.open(store_url) as history:
        history.write_run(make_run("old", facts=[1, 0, None]))
        history.write_run(replace(make_run("new", minutes=1), branch="main", commit="c1", usage=Usage(cost_usd=0.5)))
        history.write_verdict("old", verdict(VerdictName.FAIL, 1), decided=NOON)
        history.write_verdict("old", verdict(), decided=NOON)
        history.write_blessing("old", reason="accepted", author="ann", created=NOON)
        history.write_blessing("old", reason="again", author="ann", created=NOON)
        new, old = history.list_runs()
        chosen = [
            [row.id for row in history.list_runs(**filters)]
            for filters in (
                {"suite": "suite"},
                {"suite": "none"},
                {"since": NOON + timedelta(seconds=1)},
                {"limit": 1},
                {"branch": "main"},
            )
        ]
    assert chosen == [["new", "old"], [], ["new"], ["new"], ["new"]]
    assert (
        *(old.n_cases, old.n_results, old.n_unscored, old.score),
        *(old.verdict, old.exit_code, old.blessed),
    ) == (3, 3, 1, 0.5, "pass", 0, True)
    assert ("main", "c1", 0.5, None, None, None, False, NOON + timedelta(minutes=1)) == (
        *(new.branch, new.commit, new.cost_usd, new.score),
        *(new.verdict, new.exit_code, new.blessed, new.created),
    )


def test_a_run_never_changes(store_url: str) -> None:
    """A second run of the same id is refused whole, and the first stays as it was."""
    first = make_run(facts=[1])
    with History.open(store_url) as history:
        history.write_run(first)
        with pytest.raises(StoreError, match="has a run run-1 already, and runs never change"):
            history.write_run(make_run(facts=[0, 0], minutes=5))
        assert first == history.read_run("run-1")
        assert len(history.list_runs()) == 1


@pytest.mark.parametrize("table", shape.APPEND_ONLY, ids=lambda table: table.name)
@pytest.mark.parametrize("statement", ["DELETE FROM {table}", "UPDATE {table} SET {column} = {column}"])
def test_the_database_itself_refuses_changes(store_url: str, table: shape.Table, statement: str) -> None:
    """The history is evidence: not even SQL by hand changes it by mistake."""
    column = shape.quoted(table.columns[0].name)
    with History.open(store_url) as history:
        history.write_run(make_run(facts=[1]), requests={"facts-0": {}}.items())
        history.write_drift([make_drift()])
        history.write_verdict("run-1", verdict(), decided=NOON)
        history.write_blessing("run-1", reason="r", author="a", created=NOON)
    with database(store_url) as found, pytest.raises(found.errors, match="append only"), found.writing() as connection:
        connection.run(statement.format(table=table.name, column=column))


def test_verdicts_and_blessings_are_only_added(store_url: str) -> None:
    """Each decision stays, in order, with its whole JSON."""
    with History.open(store_url) as history:
        history.write_run(make_run())
        for number, name in enumerate((VerdictName.ERROR, VerdictName.PASS)):
            history.write_verdict("run-1", verdict(name, 3 - 3 * number), decided=NOON + timedelta(hours=number))
        history.write_blessing("run-1", reason="accepted drop in billing", author="ann", created=NOON)
        rows = history.verdicts("run-1")
        (blessing,) = history.blessings(suite="suite")
        elsewhere = history.blessings(suite="other")
    assert [("error", 3, NOON), ("pass", 0, NOON + timedelta(hours=1))] == [
        (row.verdict, row.exit_code, row.decided) for row in rows
    ]
    assert verdict().to_dict() == rows[1].body
    assert (
        *(blessing.run_id, blessing.reason, blessing.author),
        blessing.created,
    ) == ("run-1", "accepted drop in billing", "ann", NOON)
    assert elsewhere == []


def test_nothing_is_added_to_a_run_that_is_not_there(store_url: str) -> None:
    """A slip in an id does not bless the void."""
    with History.open(store_url) as history:
        with pytest.raises(InputError, match='has no run "run-1"'):
            history.write_verdict("run-1", verdict(), decided=NOON)
        with pytest.raises(InputError, match='has no run "run-1"'):
            history.write_blessing("run-1", reason="r", author="a", created=NOON)


def test_a_blessing_needs_a_reason(store_url: str) -> None:
    """Governance without a reason is none."""
    with History.open(store_url) as history:
        history.write_run(make_run())
        with pytest.raises(InputError, match="needs a reason"):
            history.write_blessing("run-1", reason=" ", author="a", created=NOON)


def test_asking_whether_a_run_could_be_written_changes_nothing(store_url: str) -> None:
    """It may be asked before every run."""
    with History.open(store_url) as history:
        history.check_writable()
        history.check_writable()
        history.write_run(make_run())
        history.check_writable()
        assert [row.id for row in history.list_runs()] == ["run-1"]


def test_a_store_in_memory_needs_no_file() -> None:
    """For tests and for whoever wants a verdict only."""
    with History.open("sqlite://") as history:
        history.write_run(make_run(facts=[1]))
        assert history.read_run("latest").id == "run-1"
        assert history.place == "the store in memory"
