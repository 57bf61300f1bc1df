"""`evalgate doctor` on real folders, repositories and servers: every trouble has its line and its advice."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from kit import Project, Said, build
from repositories import ENVIRON, git

from evalgate.github.workflows import user_workflows

ACTION = f"acme/evalgate@{'a' * 40}"

Break = Callable[[Project], object]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a remote, a suite and the workflows, to be copied: `work` and `remote.git`."""
    folder = tmp_path_factory.mktemp("pristine")
    work = folder / "work"
    build(Project(folder=work, capture=None), categories={"facts": 30})  # type: ignore[arg-type]
    for path, text in {**user_workflows(ACTION), ".gitignore": "answers.json\n__pycache__/\ncalls\n"}.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text, "utf-8")
    git(work, "init", "--quiet", "--initial-branch=main")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "--message", "first")
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(work, "remote", "add", "origin", (folder / "remote.git").as_uri())
    git(work, "push", "--quiet", "origin", "main")
    git(work, "remote", "set-head", "origin", "--auto")
    return folder


def lines(said: Said, *states: str) -> list[tuple[str, str, str]]:
    """(name, found, advice) of each check in one of these states."""
    checks = said.json["checks"]
    return [(c["name"], c["found"], c["advice"] or "") for c in checks if c["state"] in states]


def examined(project: Project, *options: str) -> Said:
    return project.evalgate("doctor", "--format", "json", *options)


@pytest.fixture
def healthy(project: Project, pristine: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A set-up that works, in a job of nobody's."""
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "GH_"))]:
        monkeypatch.delenv(name)
    beside = project.folder.parent
    monkeypatch.setenv("EVALGATE_CACHE_DIR", str(beside / f"{project.folder.name}-cache"))
    shutil.copytree(pristine / "work", project.folder, dirs_exist_ok=True)
    shutil.copytree(pristine / "remote.git", beside / f"{project.folder.name}.git")
    git(project.folder, "remote", "set-url", "origin", (beside / f"{project.folder.name}.git").as_uri())
    return project


def test_of_a_set_up_that_works_nothing_is_said_against(healthy: Project) -> None:
    """Exit 0, every line ok or skipped; and nothing is left behind that was not there."""
    healthy.evalgate("run", "--no-gate")
    healthy.evalgate("run")
    assert healthy.evalgate("sync", "push").code == 0
    before = git(healthy.folder, "status", "--porcelain")
    found = examined(healthy)
    assert lines(found, "warn", "fail") == []
    assert found.code == 0 and found.json["schema"] == "evalgate.doctor/1"
    names = {check["name"] for check in found.json["checks"] if check["state"] == "ok"}
    assert {"python", "eval sets", "price of a run", "remote", "store", "runs", "baseline", "history branch"} <= names
    assert git(healthy.folder, "status", "--porcelain") == before
    assert "All is well." in healthy.evalgate("doctor").out


def text(name: str, old: str, new: str) -> Break:
    def change(project: Project) -> None:
        file = project.folder / name
        assert old in file.read_text("utf-8")
        file.write_text(file.read_text("utf-8").replace(old, new), "utf-8")

    return change


def removed(name: str) -> Break:
    return lambda project: (project.folder / name).unlink()


def tracked_history(project: Project) -> None:
    project.evalgate("run")
    git(project.folder, "add", "--force", ".evalgate/history.db")


def damaged_history(project: Project) -> None:
    project.write(".evalgate/history.db", "this is no database" * 100)


def remote_gone(project: Project) -> None:
    git(project.folder, "remote", "set-url", "origin", (project.folder.parent / "nowhere.git").as_uri())


def quiet(project: Project) -> None:
    """The newest commit is of a year ago."""
    old = {**ENVIRON, "GIT_COMMITTER_DATE": "2025-11-01T00:00:00Z"}
    command = "git commit --quiet --amend --no-edit --allow-empty"
    subprocess.run(command.split(), cwd=project.folder, env=old, check=True, timeout=30)


def unfinished(project: Project) -> None:
    config = project.folder / "evalgate.yaml"
    config.write_text(config.read_text("utf-8").replace("run: {", "run: {max_calls: 3, "), "utf-8")
    assert project.evalgate("run").code == 3


def branch_gone(project: Project) -> None:
    """It was seen from here, and somebody has deleted it."""
    project.evalgate("run")
    assert project.evalgate("sync", "push").code == project.evalgate("sync", "pull").code == 0
    git(project.folder, "push", "--quiet", "origin", ":evalgate-history")


def not_pulled(project: Project) -> None:
    project.evalgate("run")
    assert project.evalgate("sync", "push").code == 0
    (project.folder / ".evalgate" / "history.db").unlink()


def foreign_file(project: Project) -> None:
    not_pulled(project)
    git(project.folder, "fetch", "--quiet", "origin", "evalgate-history")
    git(project.folder, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    project.write("v1/notes.txt", "hello")
    git(project.folder, "add", "v1/notes.txt")
    git(project.folder, "commit", "--quiet", "--message", "notes")
    git(project.folder, "push", "--quiet", "origin", "HEAD:evalgate-history")
    git(project.folder, "checkout", "--quiet", "main")


WORKFLOW = ".github/workflows/evalgate.yml"
WEEKLY = ".github/workflows/evalgate-weekly.yml"
TROUBLES: list[tuple[str, Break, int, str, str, str, str]] = [
    # what is wrong, how it comes about, exit code, state, line, what is found, what to do
    ("no configuration", removed("evalgate.yaml"), 2, "fail", "configuration", "evalgate.yaml", "evalgate init"),
    ("bad YAML", text("evalgate.yaml", "suite: tables", "suit: tables"), 2, "fail", "configuration", "suit", "suite"),
    ("no cases", text("evalsets/tables.yaml", "[exact]", "[exakt]"), 2, "fail", "eval sets", "exakt", "exact"),
    ("no code", removed("app.py"), 2, "fail", "scorers and endpoint", "app", ""),
    ("remote gone", remote_gone, 2, "fail", "remote", "nowhere.git", "git remote -v"),
    ("history in git", tracked_history, 2, "fail", "local history", "history.db", "git rm --cached"),
    ("damaged history", damaged_history, 3, "fail", "store", "history.db", ""),
    ("nothing yet", lambda project: None, 0, "warn", "store", "no history", "evalgate run"),
    ("no branch yet", lambda project: None, 0, "warn", "history branch", "evalgate-history", "evalgate sync push"),
    ("branch gone", branch_gone, 2, "fail", "history branch", "is gone", "history.branch"),
    ("not pulled", not_pulled, 0, "warn", "not pulled", "the branch has 1 run", "evalgate sync pull"),
    ("foreign file", foreign_file, 0, "warn", "files on it", "v1/notes.txt", ""),
    ("waiting", lambda project: project.write(".evalgate/pending/x.evalrun", "x"), 0, "warn", "waiting run files",
     "1 run file", "evalgate sync push"),
    ("unfinished", unfinished, 0, "warn", "unfinished runs", "of suite tables", "evalgate run --resume"),
    ("placeholder", text(WORKFLOW, ACTION, f"OWNER/evalgate@{'0' * 40}"), 2, "fail", "evalgate.yml: actions",
     "placeholder", "evalgate init --github --action"),
    ("not pinned", text(WORKFLOW, ACTION, "acme/evalgate@v1"), 0, "warn", "evalgate.yml: actions",
     "acme/evalgate@v1", "40 hex digits"),
    ("other branch", text(WORKFLOW, "[main]", "[master]"), 2, "fail", "evalgate.yml: branches", "master", "[main]"),
    ("no permissions", text(WORKFLOW, "\npermissions: {}\n", "\n"), 0, "warn", "evalgate.yml: permissions", "none",
     "permissions: {}"),
    ("no right to comment", text(WORKFLOW, "pull-requests: write", "pull-requests: read"), 2, "fail",
     "evalgate.yml: permissions", "pull-requests: write", "permissions:"),
    ("no right to the issue", text(WEEKLY, "issues: write", "issues: read"), 2, "fail",
     "evalgate-weekly.yml: permissions", "issues: write", "permissions:"),
    ("no merge queue", text(WORKFLOW, "  merge_group:\n", ""), 0, "warn", "evalgate.yml: triggers", "merge queue",
     "merge_group:"),
    ("secrets for strangers", text(WORKFLOW, "  pull_request:\n", "  pull_request_target:\n"), 2, "fail",
     "evalgate.yml: triggers", "pull_request_target", "workflow_run"),
    ("no comments for forks", removed(".github/workflows/evalgate-fork-comment.yml"), 0, "warn",
     "comments for forks", "workflow_run", "evalgate init --github"),
    ("asleep", quiet, 0, "warn", "weekly report", "days old", "60 days"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "code", "state", "name", "found", "advice"), [row[1:] for row in TROUBLES], ids=[r[0] for r in TROUBLES]
)
def test_each_trouble_has_its_line_and_says_what_to_do(
    healthy: Project, damage: Break, code: int, state: str, name: str, found: str, advice: str
) -> None:
    """In words that name the file, the key or the command."""
    damage(healthy)
    said = examined(healthy)
    rows = [row for row in lines(said, state) if row[0] == name]
    assert any(found in row[1] and advice in row[2] for row in rows), said.out
    assert said.code == code


ENDPOINT = """\
version: 1
suite: tables
evalsets: [evalsets/*.yaml]
endpoint: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", model: m, api_key_env: SOME_KEY}}
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_key_that_is_not_set_and_a_server_that_is_not_there(
    healthy: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are told at once; what the user has to mend decides the exit code. Workflows have to pass the key on."""
    healthy.write("evalgate.yaml", ENDPOINT.format(port=free_port()))
    said = examined(healthy)
    assert said.code == 2
    failed = {name: (found, advice) for name, found, advice in lines(said, "fail")}
    assert "SOME_KEY" in failed["endpoint: key"][0] and "secrets.NAME" in failed["endpoint: key"][1]
    assert "connection refused" in failed["endpoint: server"][0]
    assert "SOME_KEY: ${{ secrets.SOME_KEY }}" in failed["key"][1]
    monkeypatch.setenv("SOME_KEY", "sk-very-secret")
    text(WORKFLOW, "# OPENAI_API_KEY: ${{ secrets.OPENAI_API_KEY }}", "SOME_KEY: ${{ secrets.SOME_KEY }}")(healthy)
    said = examined(healthy)
    assert said.code == 3  # only out of reach now
    assert [name for name, _, _ in lines(said, "fail")] == ["endpoint: server"]
    for kind in ("text", "markdown", "json"):
        assert "sk-very-secret" not in healthy.evalgate("doctor", "--format", kind).out


def test_a_server_that_is_there_is_told_and_nothing_is_sent(healthy: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look must not cost anything: the connection is opened and closed."""
    monkeypatch.setenv("SOME_KEY", " sk-very-secret\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        healthy.write("evalgate.yaml", ENDPOINT.format(port=port))
        said = examined(healthy)
        connection, _ = server.accept()
        with connection:
            connection.settimeout(10)
            assert connection.recv(100) == b""
    names = {name: found for name, found, _ in lines(said, "ok", "warn")}
    assert f"127.0.0.1:{port} takes connections" in names["endpoint: server"]
    assert "white space" in names["endpoint: key"]


def test_one_real_call_is_made_only_if_asked_for(healthy: Project) -> None:
    """With --call the first case is answered, and its price is told."""
    calls = healthy.folder / "calls"
    app = healthy.folder / "app.py"
    asked = "    pathlib.Path('calls').write_text(request.case.id)\n"
    app.write_text(app.read_text().replace("    reply =", f"{asked}    reply ="))
    examined(healthy)
    assert not calls.exists()
    said = examined(healthy, "--call")
    ((_, found, _),) = [row for row in lines(said, "ok") if row[0] == "endpoint: call"]
    assert "case facts-0 was answered in" in found and "10 tokens in, 2 out" in found and "0.0010 USD" in found
    assert calls.read_text() == "facts-0"


def test_offline_asks_nobody(healthy: Project) -> None:
    """What needs the network is left out, and said."""
    remote_gone(healthy)
    said = examined(healthy, "--offline")
    assert said.code == 0
    assert ("remote", "offline", "") in lines(said, "skipped")


def test_outside_a_repository_it_still_says_what_it_can(project: Project, tmp_path: Path) -> None:
    """A folder with a configuration is enough to begin with."""
    build(project, categories={"facts": 30})
    said = examined(project)
    assert said.code == 0
    assert "git repository" in [name for name, _, _ in lines(said, "warn")]


def test_text_and_markdown_hold_no_markup_of_others(healthy: Project) -> None:
    """A hostile name of a file, branch or suite is shown as text."""
    text("evalgate.yaml", "suite: tables", 'suite: "<img src=x> @everyone ::error::x"')(healthy)
    page = healthy.evalgate("doctor", "--format", "markdown").out
    assert "img src" in page
    assert "<img" not in page
    assert "@everyone" not in page
    assert "### Configuration" in page and "\n- **ok** " in page


def test_the_text_stays_within_its_width(healthy: Project) -> None:
    """Long advice is wrapped under its line, not cut."""
    removed("evalgate.yaml")(healthy)
    said = healthy.evalgate("doctor")
    assert max(map(len, said.out.splitlines())) <= 100
    assert "FAIL" in said.out and "→" in said.out
