"""A private repository: whoever asks without the token gets nothing, and the run's own process has no token."""

from __future__ import annotations

import base64
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from composite import run_action
from fake_github import REPOSITORY
from github_events import environment, pull_request
from workflow_jobs import CLEAN, ROOT, git

TOKEN = "token-1"
CONFIG = """
version: 1
suite: support-bot
evalsets: [set.yaml]
endpoint: {kind: python, callable: "bot:answer"}
"""
CASES = "".join(f'  - {{id: a{number}, input: "{number}?", expected: 30 days}}\n' for number in range(8))
FILES = {
    "evalgate.yaml": CONFIG,
    "set.yaml": f"name: set\ncategory: facts\nscorers: [contains]\ncases:\n{CASES}",
    "bot.py": "import os\ndef answer(request):\n    assert 'GITHUB_TOKEN' not in os.environ\n    return '30 days'\n",
}


@dataclass
class Server:
    """Serves the repositories of a folder by HTTP, as git does, to whoever has the token."""

    folder: Path
    refused: int = 0
    _server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(there: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Basic ").removeprefix("basic ")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if not base64.b64decode(given).decode().endswith(f":{TOKEN}"):
                there.refused += 1
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="GitHub"')
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            cgi = {
                "GIT_PROJECT_ROOT": str(there.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            }
            done = subprocess.run(["git", "http-backend"], env=CLEAN | cgi, input=body, capture_output=True, check=True)
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            rows = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(rows.pop("Status", "200").split()[0]))
            for name, value in {**rows, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return Handler


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """With `acme/support-bot`, still empty."""
    bare = tmp_path / "server" / REPOSITORY
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(bare, "config", setting, "true")
    there = Server(tmp_path / "server")
    yield there
    there.close()


def test_the_baseline_is_found_beyond_a_shallow_checkout(server: Server, tmp_path: Path) -> None:
    """Its commit is five before the test merge; the token fetches history and commits, and the run does without."""
    bare, clone = server.folder / REPOSITORY, tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    for name, text in FILES.items():
        (clone / name).write_text(text, "utf-8")
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "-m", "begin")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    git(clone, "fetch", "--quiet")
    git(clone, "remote", "set-head", "origin", "main")
    start = f"{shlex.quote(sys.executable)} -P -c 'from evalgate.cli import main; main()'"
    for command in (["run"], ["sync", "push"]):
        subprocess.run(
            f"{start} {shlex.join(command)}", shell=True, cwd=clone, env=CLEAN | {"PYTHONPATH": str(ROOT)}, check=True
        )
    for number in range(4):
        git(clone, "commit", "--quiet", "--allow-empty", "-m", f"unrecorded {number}")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    base = git(clone, "rev-parse", "HEAD")
    git(clone, "checkout", "--quiet", "-b", "kinder")
    git(clone, "commit", "--quiet", "--allow-empty", "-m", "try this")
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "checkout", "--quiet", "--detach", base)
    git(clone, "merge", "--quiet", "--no-ff", "--no-edit", "kinder")
    merge = git(clone, "rev-parse", "HEAD")
    git(clone, "push", "--quiet", "origin", f"{merge}:refs/pull/7/merge")

    workspace = tmp_path / "workspace"
    workspace.mkdir()
    git(workspace, "init", "--quiet")
    git(workspace, "remote", "add", "origin", f"{server.url}/{REPOSITORY}")
    secret = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    asks = ["-c", f"http.extraHeader=Authorization: Basic {secret}"]
    git(workspace, *asks, "fetch", "--quiet", "--depth=2", "origin", merge)
    git(workspace, "checkout", "--quiet", "--detach", "FETCH_HEAD")

    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in (("python", shlex.quote(sys.executable)), ("evalgate", start)):
        (programs / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
        (programs / name).chmod(0o755)
    environ = CLEAN | environment(tmp_path, "pull_request", pull_request(head=head), GITHUB_SHA=merge)
    environ |= {
        "GITHUB_SERVER_URL": server.url,
        "EVALGATE_ACTION_PYTHON": str(programs / "python"),
        "HOME": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "GIT_TERMINAL_PROMPT": "0",
    }
    ended = run_action(ROOT, {}, environ, workspace=workspace, temp=tmp_path / "temp", token=TOKEN)
    assert "NO BASELINE" not in ended.log and ended.exit_code == 0, ended.log
    left = [file for file in tmp_path.rglob("*") if file.is_file() and TOKEN.encode() in file.read_bytes()]
    assert left == [] and server.refused == 0
    without = run_action(ROOT, {}, environ, workspace=workspace, temp=tmp_path / "temp", token="")
    assert without.exit_code == 3 and "could not be fetched" in without.log
