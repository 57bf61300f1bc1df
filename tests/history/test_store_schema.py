"""The schema: made or migrated once, whoever comes first, and never guessed at."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import make_run
from history_builders import database
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.pool import NullPool

from evalgate.errors import InputError, StoreError
from evalgate.history import shape
from evalgate.history.connection import migrate, migrating
from evalgate.history.store import History
from evalgate.records import (
    CaseRef,
    Failed,
    Output,
    Run,
    Score,
    Scored,
    Source,
    Stage,
    Step,
    Usage,
    Version,
)

TRIGGERS = """
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = to_regclass(:name)
"""


def described(url: str) -> object:
    """The schema as the database tells it: tables, columns, keys, indexes, triggers."""
    if url.startswith("sqlite"):
        with database(url) as found, found.reading() as connection:
            rows = connection.rows("SELECT type AS sort, name AS called, sql FROM sqlite_master ORDER BY type, name")
            return [(kind, name, normal(name, sql)) for kind, name, sql in rows]
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=NullPool)
    with engine.connect() as connection:
        look = inspect(connection)
        return [
            (
                name,
                [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in look.get_columns(name)],
                look.get_pk_constraint(name)["constrained_columns"],
                [
                    (k["constrained_columns"], k["referred_table"], k["referred_columns"])
                    for k in look.get_foreign_keys(name)
                ],
                sorted((str(i["name"]), i["column_names"], i["unique"]) for i in look.get_indexes(name)),
                connection.scalars(text(TRIGGERS), {"name": name}).unique().all(),
            )
            for name in sorted(set(look.get_table_names()) - {shape.VERSION_TABLE})
        ]


def normal(name: str, sql: str | None) -> str | None:
    # alembic makes its own table with a named key: the same table in other words.
    return None if sql is None or name == shape.VERSION_TABLE else " ".join(sql.split())


def by_migrations(url: str, *revisions: str) -> None:
    """A database made the long way, from the first schema on; to the newest one where no revisions are named."""
    for revision in revisions or shape.REVISIONS:
        with database(url) as found, migrating(found) as connection:
            migrate(connection, revision)


def test_creating_and_migrating_give_the_same_schema(store_url: str) -> None:
    """The short way for new databases does not drift from the migrations."""
    by_migrations(store_url)
    migrated = described(store_url)
    with database(store_url) as found, found.writing() as connection:
        for table in reversed(shape.TABLES):
            connection.run(f"DROP TABLE {table.name}")
    with History.open(store_url):
        pass
    assert migrated == described(store_url)
    assert len(str(migrated)) > 5000


def test_a_migrated_database_works(store_url: str) -> None:
    """Runs are written and read in a database that came from the first schema."""
    by_migrations(store_url)
    written = make_run(facts=[1, 0, None])
    with History.open(store_url) as history:
        history.write_run(written)
        assert written == history.read_run("run-1")


OLD_ROWS = (
    "INSERT INTO versions VALUES ('v', 'v1', '{\"model\":\"m\"}')",
    "INSERT INTO plans VALUES ('p', 2)",
    "INSERT INTO case_texts VALUES ('t', '\"2 + 2?\"', '\"4\"', '{}')",
    "INSERT INTO cases VALUES ('p', 0, 'a', '[\"facts\"]', 'c', 's', false, NULL, '[]', 't', 'a.yaml', 3)",
    "INSERT INTO cases VALUES ('p', 1, 'b', '[\"facts\"]', 'c', 's', true, NULL, '[]', 't', NULL, NULL)",
    "INSERT INTO runs VALUES (7, 'old-run', 'suite', '2026-01-02T03:04:05.000006Z', 1, 'abc', 'main', 'v', 'e', NULL,"
    " NULL, 'run', 'p', 2, 1, 0.5, 2, 0, 10, 5, 0.25, 1.5, '{}')",
    "INSERT INTO results VALUES (7, 0, 'a', 1, 0.5, NULL, NULL, 1, true, 0.1, 10, 5, 0.25, false, 'm', NULL, NULL,"
    " 'stop', '4', NULL, NULL, NULL)",
    "INSERT INTO results VALUES (7, 1, 'b', 1, NULL, 'endpoint', '500', 3, false, NULL, NULL, NULL, NULL, false, NULL,"
    " NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "INSERT INTO scores VALUES (7, 0, 0, 'exact', 0.5, 1, 'exact/1', 'nearly')",
    "INSERT INTO summaries VALUES (7, 0, '*', 'score', 0.5, 1)",
    "INSERT INTO verdicts VALUES (7, 7, '2026-01-02T03:04:06.000000Z', 'pass', 0, '{}')",
    "INSERT INTO blessings VALUES (7, 7, '2026-01-02T03:04:07.000000Z', 'ann', 'the first one')",
)
"""What the first evalgate wrote, in its own words."""


def test_what_the_first_schema_kept_is_read_as_it_was(store_url: str) -> None:
    """An old history keeps every run, verdict and blessing; what it could not know is empty, and it takes new runs."""
    by_migrations(store_url, "0001")
    with database(store_url) as found, found.writing() as connection:
        for statement in OLD_ROWS:
            connection.run(statement)
    case = CaseRef(id="a", categories=("facts",), content="c", scorers="s", input="2 + 2?", expected="4")
    expected = Run(
        id="old-run",
        suite="suite",
        created=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        cases=(replace(case, source=Source(file="a.yaml", line=3)), replace(case, id="b", critical=True)),
        results=(
            Scored(
                case_id="a",
                epoch=1,
                score=0.5,
                scores=(Score(scorer="exact", value=0.5, reason="nearly", version="exact/1"),),
                output=Output(
                    text="4",
                    latency_s=0.1,
                    tokens_in=10,
                    tokens_out=5,
                    cost_usd=0.25,
                    model="m",
                    finish_reason="stop",
                ),
            ),
            Failed(case_id="b", epoch=1, stage=Stage.ENDPOINT, cause="500", attempts=3),
        ),
        commit="abc",
        branch="main",
        version=Version(id="v1", parts={"model": "m"}),
        evalset="e",
        usage=Usage(calls=2, tokens_in=10, tokens_out=5, cost_usd=0.25, wall_s=1.5),
    )
    with History.open(store_url, create=False) as history:
        assert expected == history.read_run("old-run")
        assert [row.verdict for row in history.verdicts("old-run")] == ["pass"]
        assert [(b.reason, b.name, b.expires) for b in history.blessings()] == [("the first one", None, None)]
        assert [(row.blessed, row.blessed_until) for row in history.list_runs()] == [(True, None)]
        assert [row.value for row in history.summaries(suite="suite")] == [0.5]
        assert (history.requests("old-run"), history.detectable("old-run"), history.drifts()) == ({}, {}, [])
        again = replace(expected, id="new-run", steps=(Step(epochs=2, categories=("facts",)),), against=("old-run",))
        history.write_run(again, requests={"a": {"model": "m"}}.items(), detectable={"*": 0.5})
        assert again == history.read_run("new-run")


def test_an_interrupted_migration_leaves_nothing(store_url: str) -> None:
    """The steps and their mark share one transaction."""
    with database(store_url) as found:
        with pytest.raises(RuntimeError), migrating(found) as connection:
            migrate(connection)
            raise RuntimeError
        with found.reading() as reader:
            assert reader.rows(found.driver.tables) == []


def test_every_migration_is_known_by_name() -> None:
    """The list that decides without alembic names the files that alembic finds."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(shape.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert list(reversed(shape.REVISIONS)) == found


def test_a_newer_history_is_left_alone(store_url: str) -> None:
    """An old evalgate never writes what it does not understand."""
    with History.open(store_url):
        pass
    with database(store_url) as found, found.writing() as connection:
        connection.run(f"UPDATE {shape.VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"written by a newer evalgate \(schema 9999.*Update your clone of evalgate"):
        History.open(store_url)


def test_another_programs_tables_are_left_alone(store_url: str) -> None:
    """A database with a table of the same name belongs to somebody."""
    with database(store_url) as found, found.writing() as connection:
        connection.run("CREATE TABLE runs (id INTEGER)")
    with pytest.raises(StoreError, match=r"holds tables of something else \(runs\)"):
        History.open(store_url)


def test_reading_does_not_begin_a_history(store_url: str, tmp_path: Path) -> None:
    """A slip in a path is a message, not an empty history, and nothing is written."""
    with pytest.raises(InputError, match="there is no history at"):
        History.open(store_url, create=False)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_new_history_is_made(tmp_path: Path) -> None:
    """The default place needs no preparation."""
    with History.open(f"sqlite:///{tmp_path / 'a' / 'b' / 'history.db'}") as history:
        history.write_run(make_run())
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["history.db"]


def test_neither_sqlalchemy_nor_alembic_nor_the_other_driver_is_imported(tmp_path: Path) -> None:
    """Start-up is part of the product: a history that needs no migration does not pay for one."""
    program = (
        "import sys\n"
        "from evalgate.errors import InputError\n"
        "from evalgate.history.store import History\n"
        "for _ in range(2):\n    with History.open(sys.argv[1]) as history: history.list_runs()\n"
        "print([name for name in ('sqlalchemy', 'alembic', 'psycopg', 'numpy', 'pandas') if name in sys.modules])\n"
        "sys.modules['psycopg'] = None\n"
        "try:\n    History.open('postgresql://u:hunter2@h/d')\n"
        "except InputError as error:\n    print(error)\n"
    )
    url = f"sqlite:///{tmp_path / 'history.db'}"
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=False)
    missing = "postgresql://u:***@h/d needs a driver that is not installed. "
    missing += "Install evalgate with its extra `postgres`: pip install '.[postgres]' in a clone of it"
    assert (done.stderr, done.stdout) == ("", f"[]\n{missing}\n")


WRITER = """
import sys
url, number, sys.path[:0] = sys.argv[1], sys.argv[2], sys.argv[3:]
from builders import make_run
from evalgate.history.store import History
with History.open(url) as history:
    for turn in range(3):
        run = make_run(f"run-{number}-{turn}", facts=[1, 0])
        history.write_run(run, requests={"facts-0": {"model": "m"}}.items())
"""


@pytest.mark.parametrize("is_old", [False, True])
def test_processes_that_begin_at_once_lose_nothing(store_url: str, is_old: bool) -> None:
    """Whoever is first makes the schema or migrates it; all write, and share the cases they have in common."""
    if is_old:
        by_migrations(store_url, "0001")
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, store_url, str(number), *filter(None, sys.path)])
        for number in range(4)
    ]
    codes = [process.wait(60) for process in processes]
    with History.open(store_url) as history:
        found = sorted(row.id for row in history.list_runs())
        cases = {len(history.read_run(run_id).cases) for run_id in found}
        assert all(history.requests(run_id) == {"facts-0": {"model": "m"}} for run_id in found)
    assert ([0] * 4, [f"run-{n}-{t}" for n in range(4) for t in range(3)], {2}) == (
        codes,
        found,
        cases,
    )
