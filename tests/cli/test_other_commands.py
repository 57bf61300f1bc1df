"""The commands around `run`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit import Project, build

from evalgate.cli.commands import COMMANDS

ROWS = [{"id": f"a-{n}", "category": "alpha", "score": 1.0, "output": "yes", "model": "m-1"} for n in range(20)]
WORSE = [{**row, "score": 0.0 if number < 12 else 1.0, "output": "no"} for number, row in enumerate(ROWS)]


def test_import_prints_one_id_a_line_and_gate_decides(project: Project) -> None:
    """Any harness becomes gateable, without a configuration file."""
    first, second = project.rows("a.jsonl", ROWS), project.rows("b.jsonl", WORSE)
    said = project.evalgate("import", first, second, "--suite", "other")
    before, after = said.out.split()
    assert said.code == 0
    gated = project.evalgate("gate", after[:6], "--baseline", before, "--format", "json")
    assert (gated.code, gated.json["verdict"], gated.json["suite"]) == (1, "fail", "other")
    assert project.evalgate("gate", "latest", "--baseline", f"{before},{before}").code == 1


def test_gate_says_when_it_decides_by_the_built_in_rules(project: Project) -> None:
    """No configuration here, or one of another suite: neither is silent. One that was named is meant."""
    file = project.rows("a.jsonl", ROWS)
    before, after = project.evalgate("import", file, file, "--suite", "other").out.split()
    gate = ["gate", after, "--baseline", before]
    assert "note: there is no evalgate.yaml here, so the built-in rules decide" in project.evalgate(*gate).err
    build(project, categories={"alpha": 5})
    store = ["--store", f"sqlite:///{project.folder}/.evalgate/history.db"]
    assert "evalgate.yaml here is of suite tables" in project.evalgate(*gate, *store).err
    assert "built-in rules" not in project.evalgate(*gate, *store, "--config", "evalgate.yaml").err


def test_import_as_json_says_what_became_of_each_file(project: Project) -> None:
    """Ids with files, cases and results; the same content again is a new run."""
    file = project.rows("a.jsonl", [*ROWS, {**ROWS[0], "epoch": 2}])
    runs = project.evalgate("import", file, "--suite", "other", "--format", "json").json["runs"]
    assert [(row["file"], row["cases"], row["results"]) for row in runs] == [(str(file), 20, 21)]
    assert (
        project.evalgate("import", file, "--suite", "other", "--format", "json").json["runs"][0]["id"] != runs[0]["id"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no row"),
        ('{"id": "a", "category": "x", "score": 1}\n{"id": "a", "category": "x", "score": 0}\n', "stands twice"),
        ('{"id": "a", "category": "x", "score": 1.5}\n', "no number in [0, 1]"),
        ('{"id": "a", "category": "x", "score": NaN}\n', "NaN"),
        ('{"id": "a", "score": 1}\n', "category"),
        ('{"id": "a", "category": "x"}\n', "neither `score` nor `error`"),
        ("\n\nnot json\n", "x.jsonl:3"),
        ("[1]\n", "a row is a mapping"),
    ],
)
def test_bad_rows_are_exit_2_and_nothing_is_imported(project: Project, text: str, message: str) -> None:
    """The file and the line are named; a good file beside a bad one is not imported either."""
    good = project.rows("good.jsonl", ROWS)
    said = project.evalgate("import", good, project.write("x.jsonl", text), "--suite", "s")
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert not (project.folder / ".evalgate" / "history.db").exists()


def test_an_eval_set_tells_missing_cases_from_removed_ones(project: Project) -> None:
    """Missing rows are an error; a case that the eval set dropped is shown as removed."""
    items = project.rows("items.jsonl", [{"id": f"a-{n}", "category": "alpha", "input": "?"} for n in range(20)])
    whole = project.rows("whole.jsonl", [{"id": f"a-{n}", "score": 1.0} for n in range(20)])
    part = project.rows("part.jsonl", [{"id": f"a-{n}", "score": 1.0} for n in range(15)])
    ids = project.evalgate("import", whole, part, "--suite", "s", "--evalset", items).out.split()
    verdict = project.evalgate("gate", ids[1], "--baseline", ids[0], "--format", "json")
    assert (verdict.code, verdict.json["verdict"], len(verdict.json["cases"]["missing"])) == (3, "error", 5)
    fewer = project.rows("fewer.jsonl", [{"id": f"a-{n}", "category": "alpha", "input": "?"} for n in range(15)])
    again = project.evalgate("import", part, "--suite", "s", "--evalset", fewer).out.strip()
    verdict = project.evalgate("gate", again, "--baseline", ids[0], "--format", "json")
    assert (verdict.code, verdict.json["verdict"], len(verdict.json["cases"]["removed"])) == (0, "pass", 5)


def test_compare_show_and_history_read_what_was_kept(project: Project) -> None:
    """Both answers of a flip side by side; a run with its lowest cases; the list, newest first."""
    first, second = project.rows("a.jsonl", ROWS), project.rows("b.jsonl", WORSE)
    a, b = project.evalgate("import", first, second, "--suite", "s").out.split()
    compared = project.evalgate("compare", a, b)
    assert compared.code == 0 and "yes" in compared.out and "no" in compared.out
    assert "alpha" in project.evalgate("show", b, "--write", "json=show.json", "--write", "markdown=show.md").out
    assert json.loads((project.folder / "show.json").read_text())["id"] == b
    assert project.evalgate("show", b, "--write", "junit=x.xml").code == 2
    runs = project.evalgate("history", "--format", "json", "--since", "1d").json["runs"]
    assert [run["id"] for run in runs] == [b, a]
    assert project.evalgate("history", "--since", "soon").code == 2


def test_trend_says_what_is_moving_down(project: Project) -> None:
    """Twelve runs, each a little worse: named; with three runs nothing is claimed."""
    for number in range(12):
        rows = [{"id": f"a-{n}", "category": "alpha", "score": float(n >= number)} for n in range(20)]
        rows += [{"id": f"b-{n}", "category": "beta", "score": float(n % 2)} for n in range(20)]
        project.rows("r.jsonl", rows)
        project.evalgate("import", "r.jsonl", "--suite", "s")
        if number == 2:
            assert "Too few runs" in project.evalgate("trend").out
    said = project.evalgate("trend", "--since", "90d", "--format", "markdown")
    assert said.code == 0 and "Steadily worse" in said.out and "alpha" in said.out
    moving = {
        row["category"]
        for row in project.evalgate("trend", "--format", "json").json["suites"][0]["courses"]
        if row["moving"]
    }
    assert moving == {"alpha", "*"}


def test_a_trend_of_nothing_says_so(project: Project) -> None:
    """An empty window is neither good nor bad."""
    project.evalgate("import", project.rows("a.jsonl", ROWS), "--suite", "s", "--created", "2020-01-01T00:00:00Z")
    assert "nothing is known" in project.evalgate("trend").out


def test_init_writes_what_validate_accepts_and_overwrites_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newcomer's first two commands."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert project.evalgate("init", "--github").code == 0
    said = project.evalgate("validate")
    assert said.code == 0 and said.out.endswith("valid\n")
    assert (project.folder / ".github" / "workflows" / "evalgate.yml").exists()
    mine = project.write("evalgate.yaml", "mine")
    again = project.evalgate("init", "--github")
    assert again.code == 0 and "wrote" not in again.out and mine.read_text() == "mine"


def test_init_names_the_commit_in_workflows_that_lack_it_and_changes_nothing_else_of_them(project: Project) -> None:
    """The command that the first call, the files and the doctor tell of does what they say, as it stands there."""
    first = project.evalgate("init", "services/bot", "--github")
    assert "`evalgate init services/bot --github --action owner/repository@<" in first.out
    assert "`evalgate validate --config services/bot/evalgate.yaml`" in first.out
    found = next(project.folder.rglob("*.yml"))
    found.write_text(found.read_text() + "# mine\n")
    again = project.evalgate("init", "services/bot", "--github", "--action", f"acme/gate@{'a' * 40}")
    assert again.code == 0 and again.out.count("filled in") == 3 and "wrote" not in again.out
    assert "OWNER/" not in found.read_text() and found.read_text().endswith("# mine\n")
    assert "filled in" not in project.evalgate("init", "services/bot", "--github", "--action", f"b/c@{'b' * 40}").out


@pytest.mark.parametrize("document", ["config", "evalset", "verdict"])
def test_schemas_are_json_schemas(project: Project, document: str) -> None:
    """Whole documents that a validator accepts as schemas."""
    import jsonschema

    jsonschema.Draft7Validator.check_schema(project.evalgate("schema", document).json)


def test_the_examples_that_init_writes_fit_the_schemas_that_it_writes(project: Project) -> None:
    """The editor line of a fresh file shows no red."""
    import jsonschema
    import yaml

    project.evalgate("init")
    for file, schema in (("evalgate.yaml", "config"), ("evalsets/example.yaml", "evalset")):
        written = yaml.safe_load((project.folder / file).read_text())
        jsonschema.validate(written, json.loads((project.folder / f".evalgate/{schema}.schema.json").read_text()))


def test_the_tour_passes_what_did_not_change_and_blocks_what_did(project: Project) -> None:
    """Exit 0 because the gate was right, with the report of the blocked change on stdout."""
    said = project.evalgate("demo", "tour", "--folder", "kept")
    assert said.code == 0
    assert said.out.startswith("FAIL")
    assert (project.folder / "kept" / "history.db").exists()


@pytest.mark.parametrize("words", [("baseline", "bless"), ("sync", "push"), ("trend",)])
def test_a_wrong_option_names_the_help_of_its_own_command(project: Project, words: tuple[str, ...]) -> None:
    """Where it can be looked up, as it is to be typed."""
    said = project.evalgate(*words, "--nope")
    assert said.code == 2 and said.err.endswith(f"See: evalgate {' '.join(words)} --help\n")


def test_comment_outside_github_says_what_it_needs(project: Project) -> None:
    """Exit 2, one message."""
    build(project, categories={"facts": 3})
    project.evalgate("run", "--write", "json=v.json")
    said = project.evalgate("comment", "v.json")
    assert (said.code, said.out) == (2, "") and "GitHub Actions" in said.err


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself_and_stands_in_the_readme(project: Project, command: str) -> None:
    """`--help` is text on stdout and exit 0, and the README names the command."""
    said = project.evalgate(command, "--help")
    assert said.code == 0 and "Usage: evalgate" in said.out
    readme = Path(__file__).resolve().parents[2] / "README.md"
    assert f"evalgate {command}" in readme.read_text("utf-8")


def test_help_loads_nothing_heavy(project: Project) -> None:
    """What a command does not need, it does not pay for."""
    program = (
        "import sys\nfrom evalgate.cli import call\ncall(['--help'])\n"
        "heavy = {'numpy', 'pandas', 'sqlalchemy', 'pydantic', 'jinja2', 'yaml', 'github3', 'scipy', 'tabulate'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    path = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **path}, capture_output=True, text=True)
    assert done.stderr.strip() == "[]"


def test_commands_on_a_history_do_not_load_what_migrates_one(project: Project) -> None:
    """A gate is paid for at every push: neither SQLAlchemy nor alembic, where the schema is the newest."""
    build(project, categories={"facts": 3})
    program = (
        "import sys\nfrom evalgate.cli import call\n"
        "codes = [call([*command.split()]) for command in ('run', 'run', 'gate latest', 'history', 'show latest')]\n"
        "found = sorted({'sqlalchemy', 'alembic', 'psycopg', 'pandas'} & set(sys.modules))\n"
        "print('last:', codes, found, file=sys.stderr)\n"
    )
    path = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, **path}, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "last: [0, 0, 0, 0, 0] []"


def test_every_line_that_is_no_json_is_told(project: Project) -> None:
    """With the faults of the rows that could be read, all at once; a key that stands twice is one of them."""
    file = project.write("x.jsonl", 'nope\n{"id": "a", "score": 1}\n{"id": "b", "score": 1, "score": 0}\n{\n')
    said = project.evalgate("import", file, "--suite", "s")
    assert said.code == 2
    assert all(f"x.jsonl:{line}" in said.err for line in (1, 2, 3, 4))


def test_rows_of_other_questions_or_other_scorers_are_not_compared(project: Project) -> None:
    """The fields that both sides have are compared, whatever the ids say."""
    rows = [{**row, "input": f"q {row['id']}"} for row in ROWS]
    other = [{**row, "input": f"another {row['id']}"} for row in ROWS]
    ids = project.evalgate(
        "import", project.rows("a.jsonl", rows), project.rows("b.jsonl", other), "--suite", "s"
    ).out.split()
    assert (
        project.evalgate("gate", ids[1], "--baseline", ids[0], "--format", "json").json["verdict"] == "not_comparable"
    )
    exact = [{"id": row["id"], "category": "alpha", "scores": {"exact": 1}} for row in ROWS]
    judge = [{"id": row["id"], "category": "alpha", "scores": {"judge": 1}} for row in ROWS]
    ids = project.evalgate(
        "import", project.rows("c.jsonl", exact), project.rows("d.jsonl", judge), "--suite", "s"
    ).out.split()
    assert (
        project.evalgate("gate", ids[1], "--baseline", ids[0], "--format", "json").json["verdict"] == "not_comparable"
    )


def test_the_same_file_twice_is_two_runs(project: Project) -> None:
    """Importing the same content again makes a new run."""
    file = project.rows("a.jsonl", ROWS)
    assert len(set(project.evalgate("import", file, file, "--suite", "s").out.split())) == 2


def test_a_port_in_use_is_one_line(project: Project) -> None:
    """No traceback: name another."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = project.evalgate("demo", "serve", "--port", str(taken.getsockname()[1]))
    assert said.code == 2 and "--port" in said.err and "Traceback" not in said.err


def test_the_version_is_told(project: Project) -> None:
    """For bug reports."""
    assert project.evalgate("--version").out.startswith("evalgate 0.")


def test_a_missing_extra_says_how_it_is_installed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a clone: no package index has evalgate under this name."""
    monkeypatch.setitem(sys.modules, "duckdb", None)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    build(project, categories={"facts": 2})
    for extra, words in (
        ("postgres", ["run", "--store", "postgresql://u@127.0.0.1:1/d"]),
        ("parquet", ["validate"]),
    ):
        if extra == "parquet":
            project.write("evalsets/rows.parquet", "")
            project.write("evalsets/more.yaml", "name: more\nscorers: [exact]\ncases_from: rows.parquet\n")
        said = project.evalgate(*words)
        assert (said.code, f"pip install '.[{extra}]' in a clone" in said.err) == (2, True), said.err
