"""Answers that are not asked for twice: what a user sees, and on which occasions."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kit import Project
from repositories import commit, git, repository

from evalgate.endpoints import Settings
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.http_template import Http
from evalgate.endpoints.python_callable import PythonCallable
from evalgate.endpoints.recorded import Replay
from evalgate.endpoints.shell_command import Command
from evalgate.errors import InputError
from evalgate.pipeline.caching import Occasion, Reuse, folder_of, most_bytes, reuse_of

CONFIG = """\
version: 1
suite: cached
evalsets: [set.yaml]
endpoint: {{kind: openai, base_url: "{url}", model: small, price: {{input_per_mtok_usd: 1, output_per_mtok_usd: 1}}}}
judge: {{kind: openai, base_url: "{url}", model: wise}}
run: {{concurrency: 4, max_retries: 0, cache: {cache}}}
gate: {gate}
"""
SET = """\
name: s
category: facts
scorers: {scorers}
cases:
"""
JUDGED = "[{judge: {rubric: It says hi., samples: 2}}]"


class Model(BaseHTTPRequestHandler):
    """Chat completions: `wise` judges, `small` answers; what was asked is kept."""

    asked: list[dict[str, Any]]
    said: Callable[[dict[str, Any]], str]

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(question)
        text = '{"reason": "so", "score": "pass"}' if question["model"] == "wise" else type(self).said(question)
        usage = {"prompt_tokens": 5, "completion_tokens": 1}
        answer = {"choices": [{"message": {"content": text}}], "usage": usage, "id": f"r{len(self.asked)}"}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextlib.contextmanager
def model(said: Callable[[dict[str, Any]], str] = lambda question: "hi") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Model", (Model,), {"asked": asked, "said": said}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def build(project: Project, url: str, *, cache: str = "true", gate: str = "{}", scorers: str = "[exact]") -> None:
    cases = "".join(f"  - {{id: c{number}, input: hello {number}, expected: hi}}\n" for number in range(10))
    project.write("set.yaml", SET.format(scorers=scorers) + cases)
    project.write("evalgate.yaml", CONFIG.format(url=url, cache=cache, gate=gate))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of these tests."""
    monkeypatch.setenv("EVALGATE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_same_run_again_calls_nothing_and_says_so(project: Project) -> None:
    """Every answer is known; the report says how many calls were saved, and they cost nothing."""
    with model() as (url, asked):
        build(project, url)
        first = project.evalgate("run", "--format", "json")
        again = project.evalgate("run", "--format", "json")
        assert len(asked) == 10
        assert (first.json["verdict"], again.json["verdict"]) == ("no_baseline", "pass")
        usage = again.json["usage"]
        assert (usage["calls"], usage["calls_saved"], usage["cost_usd"]) == (0, 10, 0)
        assert "10 from the cache" in again.err
        for form in ("text", "markdown"):
            assert "0 calls (10 saved" in project.evalgate("run", "--format", form).out
        assert len(asked) == 10


def test_what_the_cache_saved_is_no_price(project: Project) -> None:
    """Where the only earlier run called nothing, the estimate goes by the prompts, never by its 0 dollars."""
    with model() as (url, _):
        build(project, url)
        project.evalgate("run", "--no-gate")
        (project.folder / ".evalgate" / "history.db").unlink()
        project.evalgate("run")
    found = project.evalgate("validate", "--format", "json").json
    assert (found["cost_basis"], found["cost_usd"]) == (None, None) and found["cost_usd_min"] > 0
    assert "by earlier runs" not in project.evalgate("validate").out


@pytest.mark.parametrize("version", ["", ', version: "1"'])
def test_a_cache_that_has_no_effect_is_told(project: Project, version: str) -> None:
    """Before the first call and in the report: whoever wrote `cache: true` counts on it."""
    project.write("app.py", 'def answer(request):\n    return {"text": "hi"}\n')
    project.write("set.yaml", SET.format(scorers="[exact]") + "  - {id: c, input: hello, expected: hi}\n")
    endpoint = f'endpoint: {{kind: python, callable: "app:answer"{version}}}\nrun: {{cache: true}}\n'
    project.write("evalgate.yaml", f"version: 1\nsuite: cached\nevalsets: [set.yaml]\n{endpoint}")
    needed = "run.cache needs endpoint.version for python: "
    for said in (project.evalgate("validate"), project.evalgate("run", "--dry-run"), project.evalgate("run")):
        assert (needed in " ".join(said.out.split())) == (not version)


def test_fresh_calls_everything_anew(project: Project) -> None:
    """The option stands in the command that does it again, too."""
    with model() as (url, asked):
        build(project, url)
        project.evalgate("run")
        said = project.evalgate("run", "--fresh", "--format", "markdown")
        assert len(asked) == 20
        assert "evalgate run --fresh" in said.out


def test_changed_scorers_and_expectations_call_nothing(project: Project) -> None:
    """They judge what was answered before; a changed prompt, model or parameter is asked."""
    with model() as (url, asked):
        build(project, url)
        project.evalgate("run")
        build(project, url, scorers="[contains, {exact: {ignore_case: true}}]")
        project.evalgate("run")
        assert len(asked) == 10
        for before, after in (("model: small", "model: large"), ("model: large", "model: large, params: {seed: 1}")):
            text = (project.folder / "evalgate.yaml").read_text()
            project.write("evalgate.yaml", text.replace(before, after))
            project.evalgate("run")
        assert len(asked) == 30


def test_a_judge_is_not_asked_twice_about_the_same_answer(project: Project) -> None:
    """Ten cases and two samples of each: twenty judgements in the first run, none in the second."""
    with model() as (url, asked):
        build(project, url, scorers=JUDGED)
        project.evalgate("run")
        assert [question["model"] for question in asked].count("wise") == 20
        assert project.evalgate("run", "--format", "json").json["categories"]["*"]["score"] == 1.0
        assert len(asked) == 30


def test_repeats_are_calls_of_their_own(project: Project) -> None:
    """A second epoch is no copy of the first; the third run adds only what it repeats more often."""
    with model() as (url, asked):
        build(project, url)
        for epochs, calls in (("1", 10), ("2", 20), ("2", 20), ("3", 30)):
            project.evalgate("run", "--epochs", epochs)
            assert len(asked) == calls


def test_a_block_is_confirmed_by_calls_made_anew(project: Project) -> None:
    """The run is known by heart and still would block: what decides is asked now, and no slot of a repeat is filled."""
    with model(lambda question: "no" if question["model"] == "worse" else "hi") as (url, asked):
        build(project, url)
        project.evalgate("run")
        build(project, url, gate="{overall: {max_drop: 0}}")
        text = (project.folder / "evalgate.yaml").read_text()
        project.write("evalgate.yaml", text.replace("model: small", "model: worse"))
        first = project.evalgate("run", "--format", "json")
        assert first.code == 1, first.out
        before = len(asked)
        again = project.evalgate("run", "--format", "json")
        assert again.json["verdict"] == "fail"
        fresh = again.json["usage"]["calls"]
        assert len(asked) - before == fresh > 0
        assert again.json["usage"]["calls_saved"] == first.json["usage"]["calls"] - fresh


def test_recording_a_baseline_calls_anew(project: Project) -> None:
    """Runs that are copies of one another would be one run."""
    with model() as (url, asked):
        build(project, url)
        project.evalgate("run")
        project.evalgate("baseline", "record", "--runs", "2")
        project.evalgate("run", "--no-gate")
        assert len(asked) == 40


def test_a_cache_that_cannot_be_used_is_said_and_changes_nothing(project: Project, folder: Path) -> None:
    """The same verdict and exit code, and one sentence in the report."""
    with model() as (url, asked):
        build(project, url)
        good = project.evalgate("run", "--format", "json")
        folder.joinpath("calls.db").write_bytes(b"no database" * 1000)
        said = project.evalgate("run", "--format", "json")
        assert (said.json["verdict"], len(asked)) == ("pass", 20)
        assert good.json["notes"] == []
        assert [note for note in said.json["notes"] if "cache of calls" in note]


def test_a_bound_that_is_no_number_is_told_before_the_first_call(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2, with what to write."""
    monkeypatch.setenv("EVALGATE_CACHE_MAX_MB", "1 GB")
    with model() as (url, asked):
        build(project, url)
        said = project.evalgate("run")
        assert (said.code, asked) == (2, [])
        assert "EVALGATE_CACHE_MAX_MB" in said.err and "1024" in said.err


# ---- on which occasions ------------------------------------------------------------------------------------------

FAR = OpenAI(base_url="https://api.example.com/v1", model="m")
NEAR = OpenAI(base_url="http://127.0.0.1:8000/v1", model="m")
CODE = PythonCallable(callable="app:answer")
NAMED = PythonCallable(callable="app:answer", version="2026-11")
PUSH = {"is_pull": False, "is_ci": True}
PULL = {"is_pull": True, "is_ci": True}
LOCAL = {"is_pull": False, "is_ci": False}


def _occasion(
    where: dict[str, bool], wanted: bool | None = None, commit: str | None = "c1", fresh: bool = False
) -> Any:
    return Occasion(wanted=wanted, is_fresh=fresh, commit=lambda: commit, **where)


@pytest.mark.parametrize(
    ("settings", "occasion", "expected"),
    [
        (FAR, _occasion(PULL), Reuse(reads=True)),
        (FAR, _occasion(PULL, fresh=True), Reuse(reads=False)),
        (FAR, _occasion(PUSH), Reuse(reads=False)),
        (FAR, _occasion(LOCAL), None),
        (FAR, _occasion(LOCAL, True), Reuse(reads=True)),
        (FAR, _occasion(PUSH, True), Reuse(reads=True)),
        (FAR, _occasion(PULL, False), None),
        (NEAR, _occasion(PULL), Reuse(reads=True, commit="c1")),
        (NEAR, _occasion(PULL, commit=None), None),
        (NEAR, _occasion(PUSH), None),
        (NEAR, _occasion(LOCAL, True), Reuse(reads=True)),
        (CODE, _occasion(PULL), None),
        (CODE, _occasion(PULL, True), None),
        (NAMED, _occasion(PULL), Reuse(reads=True)),
        (NAMED, _occasion(LOCAL), None),
        (Http(url="https://api.example.com/ask", body="x"), _occasion(PULL, True), None),
        (Command(command="ask"), _occasion(PULL, True), None),
        (Command(command="ask", version="1"), _occasion(PUSH), Reuse(reads=False)),
        (Replay(file="a.jsonl", version="1"), _occasion(PULL, True), None),
    ],
)
def test_answers_are_reused_where_the_same_thing_answers_and_nothing_becomes_a_baseline(
    settings: Settings, occasion: Occasion, expected: Reuse | None
) -> None:
    """By default in pull requests alone; pushes keep theirs for them. Code without a version is always asked, and a
    server that a job may have started from the change itself unless the commit is the same."""
    assert reuse_of(settings, occasion) == expected


@pytest.mark.parametrize(
    ("event", "pull", "is_pull"),
    [("pull_request", 7, True), ("merge_group", None, True), ("push", None, False), ("schedule", None, False)],
)
def test_the_event_says_what_a_run_is_for(event: str, pull: int | None, is_pull: bool) -> None:
    """A merge group is judged like a pull request; a tree with changes has no commit."""
    place: Any = SimpleNamespace(situation=SimpleNamespace(event=event, pull=pull), is_modified=True, commit="c")
    occasion = Occasion.of(None, place, is_fresh=False)
    assert (occasion.is_pull, occasion.is_ci, occasion.commit()) == (is_pull, True, None)


@pytest.mark.parametrize(
    ("url", "is_known"),
    [
        ("http://localhost:11434/v1", False),
        ("http://assistant:8000/v1", False),
        ("http://10.0.0.7/v1", False),
        ("http://[::1]/v1", False),
        ("http://bot.internal/v1", False),
        ("https://api.example.com/v1", True),
        ("https://8.8.8.8/v1", True),
    ],
)
def test_only_what_a_public_name_stands_for_is_taken_to_be_the_same_for_every_commit(url: str, is_known: bool) -> None:
    """What answers on this machine or in a private network may be the change under test."""
    reuse = reuse_of(OpenAI(base_url=url, model="m"), _occasion(PULL))
    assert reuse is not None
    assert (reuse.commit is None) == is_known
    named = reuse_of(OpenAI(base_url=url, model="m", version="1"), _occasion(PULL))
    assert named is not None and named.commit is None


def test_where_the_cache_is(tmp_path: Path) -> None:
    """The variable, else the user's folder for caches."""
    assert folder_of({"EVALGATE_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}) == Path("/a")
    assert folder_of({"XDG_CACHE_HOME": "/b", "HOME": "/c"}) == Path("/b/evalgate")
    assert folder_of({"HOME": "/c"}) == Path("/c/.cache/evalgate")


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "٣"])
def test_a_bound_is_a_whole_number_of_megabytes(text: str) -> None:
    """Nothing is read into what is none."""
    with pytest.raises(InputError):
        most_bytes({"EVALGATE_CACHE_MAX_MB": text})
    assert most_bytes({"EVALGATE_CACHE_MAX_MB": " 2 "}) == 2 << 20
    assert most_bytes({}) is None


# ---- in a job of GitHub Actions ----------------------------------------------------------------------------------


def _job(project: Project, monkeypatch: pytest.MonkeyPatch, event: str, payload: dict[str, Any]) -> None:
    """The next run is a job for this event, on what is checked out."""
    head = git(project.folder, "rev-parse", "HEAD")
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(project.write("event.json", json.dumps(payload))),
        "GITHUB_REPOSITORY": "acme/bot",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SHA": head,
        "GITHUB_REF": "refs/pull/7/merge" if event == "pull_request" else "refs/heads/main",
        "GITHUB_REF_NAME": "7/merge" if event == "pull_request" else "main",
        "GITHUB_REF_TYPE": "branch",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def _commit(project: Project, message: str) -> str:
    git(project.folder, "add", "evalgate.yaml", "set.yaml")
    return commit(project.folder, message)


def test_a_pull_request_asks_once_a_commit_where_the_server_may_be_its_own(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job run again calls nothing and comes to the same verdict; the next commit may be another server."""
    with model() as (url, asked):
        build(project, url, cache="null")
        repository(project.folder)
        base = _commit(project, "main")
        _job(project, monkeypatch, "push", {"repository": {"default_branch": "main"}})
        project.evalgate("run")
        project.evalgate("run")
        assert len(asked) == 20, "a push is a baseline: its calls are its own"
        head = _commit(project, "change")
        pull = {"head": {"sha": head, "ref": "x", "repo": {"full_name": "acme/bot"}}, "base": {"sha": base}}
        _job(project, monkeypatch, "pull_request", {"pull_request": {"number": 7, **pull}})
        first, again = (project.evalgate("run", "--format", "json") for _ in range(2))
        assert len(asked) == 30
        assert (first.json["verdict"], again.json["verdict"]) == ("pass", "pass")
        assert again.json["usage"]["calls_saved"] == 10
        _commit(project, "another change")
        _job(project, monkeypatch, "pull_request", {"pull_request": {"number": 7, **pull}})
        project.evalgate("run")
        assert len(asked) == 40


def test_a_pull_request_takes_from_the_push_what_it_has_not_changed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version says that the same thing answers: only the changed case is asked."""
    with model() as (url, asked):
        build(project, url, cache="null")
        text = (project.folder / "evalgate.yaml").read_text()
        project.write("evalgate.yaml", text.replace("model: small,", 'model: small, version: "1",'))
        repository(project.folder)
        base = _commit(project, "main")
        _job(project, monkeypatch, "push", {"repository": {"default_branch": "main"}})
        project.evalgate("run")
        project.write("set.yaml", (project.folder / "set.yaml").read_text().replace("hello 3", "hello three"))
        head = _commit(project, "change")
        pull = {"head": {"sha": head, "ref": "x", "repo": {"full_name": "acme/bot"}}, "base": {"sha": base}}
        _job(project, monkeypatch, "pull_request", {"pull_request": {"number": 7, **pull}})
        said = project.evalgate("run", "--format", "json")
        assert [question["messages"][-1]["content"] for question in asked[10:]] == ["hello three"]
        assert (said.json["verdict"], said.json["usage"]["calls_saved"]) == ("pass", 9)


def test_parts_of_a_run_take_their_answers_from_the_cache(project: Project) -> None:
    """What a part saved is told by the merged run."""
    with model() as (url, asked):
        build(project, url)
        project.evalgate("run")
        for part in ("1/2", "2/2"):
            assert project.evalgate("run", "--shard", part).code == 0
        merged = project.evalgate("merge", ".", "--format", "json")
        assert len(asked) == 10
        assert (merged.json["verdict"], merged.json["usage"]["calls_saved"]) == ("pass", 10)
