"""A baseline whose requests nobody has stored is asked again before a block: they are made again from its commit."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kit import Project, Said
from repositories import ENVIRON, git

from evalgate.cli import call
from evalgate.history.git import Repository
from evalgate.history.store import History
from evalgate.pipeline.asking import asking_again
from evalgate.pipeline.load import load_config
from evalgate.pipeline.place import Place
from evalgate.pipeline.session import AskAgain
from evalgate.records import Nearest, Run

CONFIG = """\
version: 1
suite: echo
evalsets: [sets/*.yaml]
endpoint:
  kind: openai
  base_url: "${MODEL_URL}"
  model: "${MODEL_NAME}"
  api_key_env: MODEL_KEY
  version: "1"
  system: {file: prompts/system.txt}
  params: {temperature: 0}
run: {concurrency: 8, max_retries: 0, cache: false}
gate: {overall: null, each_category: {max_drop: 0.05}}
"""
SET = """\
name: echo
category: facts
scorers: [exact]
prompt: "Repeat: {{ input }}"
cases:
"""
GOOD, BAD = "You repeat.", "You repeat sloppily."
MOST = {f"facts-{number:02d}" for number in range(8)}


class Model(BaseHTTPRequestHandler):
    """Repeats; most of the cases wrongly where the prompt is sloppy, or the model has got worse."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        system, user = (message["content"] for message in question["messages"])
        hub.asked.append((system, self.headers["Authorization"]))
        text = user.removeprefix("Repeat: ")
        if text in MOST and (hub.is_worse or system == BAD):
            text = "no"
        body = json.dumps({"choices": [{"message": {"content": text}}], "usage": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@dataclass
class Hub:
    """A remote with a suite in a folder of it, its history on a branch, and the model that the suite calls."""

    bare: Path
    url: str
    clone: Path = Path()
    """Where it was measured."""
    base: str = ""
    """The commit that was measured; `main` is one commit further."""
    is_worse: bool = False
    asked: list[tuple[str, str]] = field(default_factory=list)
    """The system prompt and the key of each call."""

    def sides(self) -> set[str]:
        """The system prompts of the calls so far; forgets them."""
        found = {system for system, _ in self.asked}
        self.asked.clear()
        return found


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """Made once: `main` was measured on another machine, and its runs were pushed."""
    folder = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patch, served() as hub:
        hub.bare = folder / "remote.git"
        in_environment(patch, hub)
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(hub.bare)], check=True)
        git(hub.bare, "config", "uploadpack.allowFilter", "true")
        clone = hub.clone = folder / "clone"
        git(folder, "clone", "--quiet", f"file://{hub.bare}", str(clone))
        suite = clone / "bot"
        for name, text in {
            "evalgate.yaml": CONFIG,
            "prompts/system.txt": GOOD,
            "sets/echo.yaml": SET + "".join(f"  - {{id: {i}, input: {i}, expected: {i}}}\n" for i in ids()),
            ".gitignore": ".evalgate\n",
        }.items():
            (suite / name).parent.mkdir(parents=True, exist_ok=True)
            (suite / name).write_text(text)
        hub.base = pushed(clone, "HEAD:main")
        patch.chdir(suite)
        for words in (["baseline", "record", "--runs", "2"], ["sync", "push"]):
            with contextlib.redirect_stdout(io.StringIO()):
                assert call(words) == 0
        (clone / "README.md").write_text("a bot")
        pushed(clone, "HEAD:main")
        yield hub


@pytest.fixture
def hub(measured: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    in_environment(monkeypatch, measured)
    measured.is_worse = False
    measured.asked.clear()
    return measured


def ids() -> list[str]:
    return [f"facts-{number:02d}" for number in range(12)]


@contextlib.contextmanager
def served() -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    hub = Hub(Path(), f"http://127.0.0.1:{server.server_address[1]}/v1")
    server.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def in_environment(patch: pytest.MonkeyPatch, hub: Hub) -> None:
    for name in [name for name in os.environ if name.startswith(("GIT_", "GITHUB_"))]:
        patch.delenv(name)
    for name in [name for name in ENVIRON if name.startswith("GIT_")]:
        patch.setenv(name, ENVIRON[name])
    for name, value in {"MODEL_URL": hub.url, "MODEL_NAME": "m-1", "MODEL_KEY": "sk-of-today"}.items():
        patch.setenv(name, value)


def pushed(clone: Path, what: str) -> str:
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", "work")
    git(clone, "push", "--quiet", "--force", "origin", what)
    return git(clone, "rev-parse", "HEAD")


@dataclass
class Job:
    """A pull request's job: a shallow checkout of the test merge, with the history pulled."""

    project: Project
    hub: Hub
    folder: Path

    def run(self, *arguments: str) -> Said:
        self.hub.asked.clear()
        return self.project.evalgate("run", *arguments)

    def has_read(self, path: str) -> bool:
        """Whether a file of the commit that was measured has come over the wire, whatever asked for it."""
        wanted = git(self.hub.bare, "rev-parse", f"{self.hub.base}:{path}")
        places = [self.folder.parent / ".git", *self.folder.rglob("remote.git")]
        return any(
            wanted in git(place, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)") for place in places
        )


@pytest.fixture
def job(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Job:
    """A pull request that makes the prompt sloppy, checked out with `fetch-depth: 1`."""
    return opened(hub, tmp_path, capsys, monkeypatch, {"prompts/system.txt": BAD})


def opened(
    hub: Hub,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    depth: int = 1,
) -> Job:
    author, number = tmp_path / "author", 7
    git(tmp_path, "clone", "--quiet", f"file://{hub.bare}", str(author))
    main = git(author, "rev-parse", "HEAD")
    git(author, "switch", "--quiet", "-c", "change")
    for name, text in change.items():
        (author / "bot" / name).write_text(text)
    head = pushed(author, f"HEAD:refs/pull/{number}/head")
    git(author, "switch", "--quiet", "--detach", main)
    git(author, "merge", "--quiet", "--no-ff", "-m", "merge", head)
    merge = git(author, "rev-parse", "HEAD")
    git(author, "push", "--quiet", "--force", "origin", f"HEAD:refs/pull/{number}/merge")
    shutil.rmtree(author)
    clone = tmp_path / "job"
    git(tmp_path, "init", "--quiet", str(clone))
    git(clone, "remote", "add", "origin", f"file://{hub.bare}")
    git(clone, "fetch", "--quiet", "--no-tags", f"--depth={depth}", "origin", merge)
    git(clone, "checkout", "--quiet", "--detach", merge)
    sides = {"head": ("change", head), "base": ("main", main)}
    pull = {side: {"ref": ref, "sha": sha, "repo": {"full_name": "a/b"}} for side, (ref, sha) in sides.items()}
    event = tmp_path / "event.json"
    repository = {"full_name": "a/b", "default_branch": "main"}
    event.write_text(json.dumps({"pull_request": {"number": number, **pull}, "repository": repository}))
    for name, value in {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "a/b",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SHA": merge,
        "GITHUB_REF": f"refs/pull/{number}/merge",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(clone / "bot")
    project = Project(folder=clone / "bot", capture=capsys)
    said = project.evalgate("sync", "pull")
    assert said.code == 0, said.err
    return Job(project, hub, clone / "bot")


def flat(said: Said) -> str:
    return " ".join(said.out.split())


def test_a_real_drop_is_blocked_once_both_sides_were_called(job: Job, hub: Hub) -> None:
    """The baseline's own prompt is sent again, with today's key, from a clone that has neither its commit nor texts."""
    assert not job.has_read("bot/prompts/system.txt")
    said = job.run()
    assert said.code == 1, said.out
    assert {key for _, key in hub.asked} == {"Bearer sk-of-today"}
    assert hub.sides() == {GOOD, BAD}
    how = f"the baseline's requests were made again from its commit {hub.base[:10]} and sent"
    assert f"this change and the baseline, in turns: {how}." in flat(said)
    assert "Confirmed by 8 fresh repeats of both sides" in flat(said)
    assert job.has_read("bot/prompts/system.txt")


def test_upstream_drift_is_not_blamed_on_the_change(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model gets worse for both sides after the history was made; the clone has the commit before the merge."""
    job = opened(hub, tmp_path, capsys, monkeypatch, {"prompts/system.txt": "You repeat, kindly."}, depth=2)
    hub.is_worse = True
    said = job.run()
    assert said.code == 0, said.out
    assert hub.sides() == {GOOD, "You repeat, kindly."}
    assert "UPSTREAM DRIFT, not this change" in flat(said)


def test_nothing_of_the_commit_is_read_where_nothing_is_doubted(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that harms nothing costs no look at an earlier commit's files."""
    job = opened(hub, tmp_path, capsys, monkeypatch, {"prompts/system.txt": "You repeat, kindly."})
    said = job.run()
    assert said.code == 0, said.out
    assert hub.sides() == {"You repeat, kindly."}
    assert not job.has_read("bot/prompts/system.txt")


def test_only_what_changed_is_run_against_a_baseline_from_the_branch(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent for each case is told by the commit: a template that says it otherwise changes nothing."""
    text = (hub.clone / "bot" / "sets" / "echo.yaml").read_text()
    text = text.replace("{{ input }}", "{{ input | trim }}") + "  - {id: new-1, input: new-1, expected: new-1}\n"
    text = text.replace("expected: facts-03}", "expected: 'facts-03 '}")
    job = opened(hub, tmp_path, capsys, monkeypatch, {"sets/echo.yaml": text})
    said = job.run("--changed-only", "--format", "json")
    assert said.json["notes"][0].startswith("2 of 13 cases changed since run ")
    assert said.json["notes"][0].endswith(" (1 new, 1 with other content).")
    assert len(hub.asked) == 2


def test_where_a_variable_makes_another_version_only_the_change_is_asked(
    job: Job, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent then is not known any more; the report says what differs."""
    monkeypatch.setenv("MODEL_NAME", "m-2")
    said = job.run()
    assert said.code == 1, said.out
    assert hub.sides() == {BAD}
    assert "this change alone: the baseline's requests are not in the history and cannot be made again" in flat(said)
    assert "makes another version here than it had (model)" in flat(said)


def test_a_key_goes_to_no_host_that_only_a_history_names(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model has moved to another server: the old one is not called with the new one's key."""
    hub = job.hub
    with served() as other:
        monkeypatch.setenv("MODEL_URL", other.url)
        said = job.run()
        assert (said.code, hub.asked, other.sides()) == (1, [], {BAD})
    assert "this change alone: the baseline was served by another host" in flat(said)


# ---- what is known beforehand, and what only the commit tells ------------------------------------------------


def asked_again(hub: Hub, run: Run, *, folder: Path | None = None) -> AskAgain:
    """How a run is to be asked again that a store without requests has, from a clone that has its commit."""
    suite = hub.clone / "bot"
    with History.open("sqlite://") as empty:
        place = Place(repository=Repository(folder or suite), situation=None, environ=os.environ)
        config = load_config(suite / "evalgate.yaml", os.environ)
        return asking_again(config, Nearest(runs=(run,), why="", behind=0), empty, place)


def recorded(hub: Hub) -> Run:
    with History.open(f"sqlite:///{hub.clone / 'bot' / '.evalgate' / 'history.db'}") as history:
        return history.read_run("latest")


def test_a_commit_that_cannot_be_read_leaves_the_change_alone(hub: Hub) -> None:
    """Looked for when it counts and not had: the reason is told, nothing is called, nothing ends."""
    asked = asked_again(hub, recorded(hub), folder=hub.clone / "gone")
    assert asked.read is not None
    found = asked.read(ids())
    assert (found.settings, found.requests) == (None, None)
    assert "cannot be made again: " in found.how
    assert "the files of this commit cannot be read" in found.how


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"metadata": {"modified": True}}, "it was made on a modified tree"),
        ({"commit": None}, "its commit is not known"),
        ({"commit": "--upload-pack=x"}, "its commit is not known"),
    ],
)
def test_what_no_commit_tells_is_not_asked(hub: Hub, change: dict[str, Any], why: str) -> None:
    """Known beforehand, without a look at anything."""
    asked = asked_again(hub, replace(recorded(hub), **change))
    assert (asked.settings, asked.read) == (None, None)
    assert f"cannot be made again: {why}; write a `baseline_endpoint`" in asked.how


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, None),
        ({"metadata": {"config": "../evalgate.yaml"}}, "leads out of the repository"),
        ({"metadata": {"config": "other.yaml"}}, "the commit has no such file"),
        ({"cases": "other"}, "the case 'facts-00' is not the one that the run had"),
    ],
)
def test_what_a_commit_tells_otherwise_is_not_used(hub: Hub, change: dict[str, Any], why: str | None) -> None:
    """A run file may say anything: what is sent again is what was sent then, or nothing."""
    first = recorded(hub)
    if "cases" in change:
        change = {"cases": tuple(replace(case, content="s1:0123456789abcdef") for case in first.cases)}
    asked = asked_again(hub, replace(first, **change))
    assert asked.read is not None
    found = asked.read(["facts-03", "new-1"])
    if why is None:
        assert found.requests == {"facts-03": [{"role": "user", "content": "Repeat: facts-03"}]}
    else:
        assert (found.settings, why in found.how) == (None, True)


def test_a_key_that_was_sent_encrypted_is_not_sent_in_the_open(hub: Hub) -> None:
    """The same host by another scheme is another server."""
    run = recorded(hub)
    parts = {**run.version.parts, "url": hub.url.replace("http:", "https:")}
    asked = asked_again(hub, replace(run, version=replace(run.version, parts=parts)))
    assert (asked.settings, asked.read) == (None, None)
    assert asked.how.startswith("the baseline was served by another host")


def test_cases_that_the_baseline_never_had_are_not_put_to_it(hub: Hub) -> None:
    """The report does not say that something was sent."""
    asked = asked_again(hub, recorded(hub))
    assert asked.read is not None
    assert asked.read(["new-1"]).how == "the baseline was asked none of these cases"
