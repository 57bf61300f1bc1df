"""What a user sees when the endpoint or the store is not as it should be."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from kit import Project, build

from evalgate.demo import evalsets_dir
from evalgate.demo.serve import make_server

OPENAI = """\
version: 1
suite: remote
evalsets: [set.yaml]
endpoint: {{kind: openai, base_url: "{url}", api_key_env: OPENAI_API_KEY, model: small-chat-1}}
run: {{concurrency: 4, max_retries: 1, timeout_s: 5}}
"""
SET = "name: s\nscorers: [exact]\ncases:\n" + "".join(
    f"  - {{id: c{number}, category: facts, input: hello, expected: hi}}\n" for number in range(20)
)
SECRET = "sk-very-secret-0123456789"


class Handler(BaseHTTPRequestHandler):
    """Answers every request with what the test wants."""

    reply: ClassVar[tuple[int, bytes]] = (200, b"")
    calls: ClassVar[int] = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).calls += 1
        status, body = self.reply
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@contextlib.contextmanager
def serving(reply: tuple[int, bytes]) -> Iterator[tuple[str, type[Handler]]]:
    handler = type("Handler", (Handler,), {"reply": reply, "calls": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def remote(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    project.write("set.yaml", SET)
    return project


def error(code: str, message: str) -> bytes:
    return json.dumps({"error": {"message": message, "code": code}}).encode()


@pytest.mark.parametrize(
    ("reply", "said", "most_calls"),
    [
        ((401, error("invalid_api_key", f"Incorrect API key provided: {SECRET}.")), "Incorrect API key", 5),
        ((404, error("model_not_found", "The model `small-chat-1` does not exist")), "does not exist", 5),
        ((200, b"<html>Welcome to the portal</html>"), "Welcome to the portal", 20),
        ((200, b'{"choices": []}'), "choices", 20),
        ((500, error("oops", "the server is on fire")), "the server is on fire", 40),
    ],
)
def test_an_endpoint_that_does_not_serve_is_exit_3_with_what_it_said(
    remote: Project, reply: tuple[int, bytes], said: str, most_calls: int
) -> None:
    """Its own words, the key masked, what to check; a hopeless answer is not asked for twenty times."""
    with serving(reply) as (url, handler):
        remote.write("evalgate.yaml", OPENAI.format(url=url))
        result = remote.evalgate("run")
        assert handler.calls <= most_calls
    assert result.code == 3
    assert result.out.startswith("ERROR")
    assert said in " ".join(result.out.split())
    assert "heck" in result.out
    assert SECRET not in result.out + result.err
    assert not any(SECRET in file.read_text("latin-1") for file in remote.folder.rglob("*") if file.is_file())


def test_an_endpoint_that_is_down_is_exit_3(remote: Project) -> None:
    """Connection refused, after the retries; the address is named."""
    remote.write("evalgate.yaml", OPENAI.format(url="http://127.0.0.1:9/v1"))
    result = remote.evalgate("run", "--limit", "2")
    assert result.code == 3
    assert "127.0.0.1:9" in result.out


def test_without_a_key_nothing_is_evaluated_and_nothing_is_claimed(project: Project) -> None:
    """No credentials is a verdict of its own, exit 0 by default, and leaves no run behind."""
    project.write("set.yaml", SET)
    project.write("evalgate.yaml", OPENAI.format(url="http://127.0.0.1:9/v1"))
    result = project.evalgate("run", "--format", "json", "--write", "junit=j.xml")
    assert (result.code, result.json["verdict"]) == (0, "not_evaluated")
    assert "OPENAI_API_KEY" in result.json["reason"]
    assert not (project.folder / ".evalgate").exists()


def test_the_bundled_suite_scores_alike_in_process_and_over_http(project: Project) -> None:
    """The same assistant behind chat completions: the same scores, case by case."""
    pattern = f"{evalsets_dir().as_posix()}/handbook-*.yaml"
    head = f'version: 1\nsuite: handbook\nevalsets: ["{pattern}"]\n'
    store = "sqlite:///" + (project.folder / "h.db").as_posix()
    project.write("in.yaml", head + 'endpoint: {kind: python, callable: "evalgate.demo:answer"}\n')
    with make_server(0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        endpoint = (
            f'endpoint: {{kind: openai, base_url: "{server.base_url}", model: handbook-1, '
            'contexts: "choices[0].message.context.citations"}\n'
        )
        project.write("http.yaml", head + endpoint)
        ids = [
            project.evalgate("run", "--config", config, "--store", store, "--format", "json").json["run"]["id"]
            for config in ("in.yaml", "http.yaml")
        ]
        server.shutdown()
        thread.join()
    compared = project.evalgate("compare", *ids, "--store", store, "--format", "json").json
    assert compared["flips"] == []
    assert all(row["before"] == row["after"] for row in compared["categories"].values())


def corrupt(folder: Path) -> None:
    (folder / ".evalgate").mkdir()
    (folder / ".evalgate" / "history.db").write_bytes(b"this is no database" * 100)


@pytest.mark.parametrize("spoil", [corrupt])
def test_a_history_that_cannot_be_used_is_told_before_the_first_call(project: Project, spoil: Any) -> None:
    """Nothing is paid for that could not be kept."""
    build(project, categories={"facts": 5})
    spoil(project.folder)
    (project.folder / "answers.json").unlink()
    result = project.evalgate("run", "--format", "json")
    assert (result.code, result.json["verdict"]) == (3, "error")
    assert "history.db" in result.json["reason"] and "Traceback" not in result.err
    assert (project.folder / ".evalgate" / "history.db").read_bytes().startswith(b"this is no database")
    assert project.evalgate("gate", "latest", "--format", "json").json["verdict"] == "error"


def test_a_history_that_is_locked_when_the_run_ends_keeps_the_results(project: Project) -> None:
    """Exit 3, the journal keeps them, and the message says how to go on; then it does."""
    build(project, categories={"facts": 5})
    config = project.folder / "evalgate.yaml"
    config.write_text(config.read_text().replace("concurrency: 4", "concurrency: 1"))
    project.evalgate("run")
    app = project.folder / "app.py"
    # The endpoint itself takes the lock: the check before the first call has passed by then.
    app.write_text(
        app.read_text()
        + "\nimport sqlite3\nLOCK = None\nplain = answer\n"
        + "def answer(request):\n    global LOCK\n    if LOCK is None:\n"
        + "        LOCK = sqlite3.connect(pathlib.Path(__file__).parent / '.evalgate/history.db', "
        + "check_same_thread=False, isolation_level=None)\n        LOCK.execute('BEGIN EXCLUSIVE')\n"
        + "    return plain(request)\n"
    )
    sys.modules.pop("app", None)
    result = project.evalgate("run", "--format", "json")
    assert (result.code, result.json["verdict"]) == (3, "error")
    assert "locked" in result.json["reason"] and "kept in the journal" in result.json["reason"]
    sys.modules["app"].LOCK.close()
    again = project.evalgate("run", "--format", "json", "--resume")
    assert (again.code, again.json["usage"]["calls"]) == (0, 5)


def test_ctrl_c_leaves_a_run_that_goes_on_where_it_was(project: Project) -> None:
    """Exit 130, nothing on stdout, and `--resume` repeats no finished call."""
    build(project, categories={"facts": 60})
    app = project.folder / "app.py"
    slow = "\nimport time\nplain = answer\ndef answer(request):\n    with open('calls', 'a') as log: log.write('x')\n"
    app.write_text(app.read_text() + slow + "    time.sleep(0.3)\n    return plain(request)\n")
    child = subprocess.Popen(
        [sys.executable, "-c", "from evalgate.cli import main; main()", "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    calls = project.folder / "calls"
    while child.poll() is None and (not calls.exists() or calls.stat().st_size < 5):
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (130, "")
    assert "evalgate run --resume" in err
    result = project.evalgate("run", "--resume", "--format", "json")
    assert result.code == 0
    # At most the four calls in flight were made twice.
    assert 60 <= calls.stat().st_size <= 64
    with sqlite3.connect(project.folder / ".evalgate" / "history.db") as history:
        assert history.execute("SELECT COUNT(*) FROM results").fetchone() == (60,)
    history.close()


def test_a_second_ctrl_c_ends_a_run_whose_scorer_never_ends(project: Project) -> None:
    """A loop in a user's scorer keeps evalgate from its turn, not the user from ending it."""
    build(project, categories={"facts": 5})
    project.write(
        "evalsets/hang.py", "def hang(case, output):\n    open('reached', 'w').close()\n    while True: pass\n"
    )
    evalset = project.folder / "evalsets" / "tables.yaml"
    evalset.write_text(evalset.read_text().replace("[exact]", '["hang.py:hang"]'))
    child = subprocess.Popen(
        [sys.executable, "-c", "from evalgate.cli import main; main()", "run"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        while child.poll() is None and not (project.folder / "reached").exists():
            time.sleep(0.01)
        deadline = time.monotonic() + 30
        while child.poll() is None and time.monotonic() < deadline:
            child.send_signal(signal.SIGINT)
            time.sleep(0.1)
        assert child.wait(timeout=5) == -signal.SIGINT
    finally:
        child.kill()
        child.communicate()


def test_a_journal_that_cannot_be_written_gives_a_verdict_too(project: Project) -> None:
    """Exit 3 never goes without one."""
    build(project, categories={"facts": 5})
    project.write(".evalgate", "a file stands where the folder belongs")
    store = "sqlite:///" + (project.folder / "elsewhere.db").as_posix()
    result = project.evalgate("run", "--store", store, "--format", "json")
    assert (result.code, result.json["verdict"]) == (3, "error")
    assert ".evalgate" in result.json["reason"]
