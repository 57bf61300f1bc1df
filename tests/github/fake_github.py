"""A GitHub on localhost that keeps state: comments, pull requests, artifacts, and troubles on order.

Where EVALGATE_GITHUB_OPENAPI names GitHub's published description (the file `api.github.com.json` of the npm package
@octokit/openapi), every request is also held against it; a request that does not fit is answered 400 and kept in
`violations`, which closing the server turns into a failure.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from github_openapi import Description, published_description

BOT = "github-actions[bot]"
REPOSITORY = "acme/support-bot"
MAX_BODY = 65_536
MAX_SUMMARY = 65_535
MAX_CHECK_ANNOTATIONS = 50


@dataclass
class Trouble:
    """The next request that matches is answered like this instead."""

    method: str
    path: str
    """Regular expression on the path below the repository."""
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"message": "trouble"}'
    is_done_anyway: bool = False
    """The request takes effect although its answer says otherwise: a gateway that gave up too early."""
    delay_s: float = 0.0
    """How long it takes to be answered."""


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


class FakeGitHub:
    """`with FakeGitHub() as github:`; `github.api_url` is what GITHUB_API_URL would be."""

    def __init__(self, *, login: str = BOT) -> None:
        self.login = login
        self.comments: dict[int, dict[str, Any]] = {}
        self.heads: dict[int, str] = {}
        """Head commit by pull request: enough for who asks no more of it."""
        self.pulls: dict[int, dict[str, Any]] = {}
        """What else is known of a pull request (`add_pull`)."""
        self.commits: dict[str, list[str]] = {}
        """Parents by commit."""
        self.merge_bases: dict[tuple[str, str], str] = {}
        self.checks: dict[int, dict[str, Any]] = {}
        """Check runs, with all their annotations under `annotations`."""
        self.issues: dict[int, dict[str, Any]] = {}
        """Pull requests too, as GitHub counts them."""
        self.about: dict[str, Any] = {
            "full_name": REPOSITORY, "default_branch": "main", "private": False, "archived": False, "has_issues": True,
            "permissions": {"admin": False, "push": True, "pull": True},
        }  # fmt: skip
        self.rate: dict[str, Any] = {"limit": 5000, "remaining": 4990, "reset": 1_900_000_000, "used": 10}
        self.artifacts: list[dict[str, Any]] = []
        self.stored: dict[int, bytes] = {}
        """Zip by artifact; what is not in it has expired."""
        self.fetched: list[Request] = []
        """What was asked of the storage, which is another host."""
        self.troubles: list[Trouble] = []
        self.requests: list[Request] = []
        self.violations: list[str] = []
        self.after: dict[str, Callable[[], None]] = {}
        """By method: called once, after the next request of this method took effect."""
        self._description: Description | None = published_description()
        self._next_id = 1
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.answer))
        self._storage = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.hand_out))
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            for server in (self._server, self._storage)
        ]

    def __enter__(self) -> FakeGitHub:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server, thread in zip((self._server, self._storage), self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()
        if kind is None:
            assert self.violations == []

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/api/v3"

    def add_comment(self, pull: int, body: str, login: str | None = BOT) -> int:
        """A comment that was there before; `login` None: its author's account is gone."""
        number, self._next_id = self._next_id, self._next_id + 1
        user = None if login is None else {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
        self.comments[number] = {"id": number, "user": user, "body": body, "pull": pull}
        return number

    def add_pull(self, number: int, head: str, **known: Any) -> None:
        """An open pull request; known: `repository` of its head (None: gone), `branch`, `base`, `state`."""
        self.heads[number] = head
        self.pulls[number] = {"repository": REPOSITORY, "branch": "topic", "base": "main", "state": "open", **known}

    def add_artifact(self, name: str, content: bytes, run_id: int, **known: Any) -> int:
        """Something that a workflow run has left; known: fields that are other than they would be."""
        number, self._next_id = self._next_id, self._next_id + 1
        self.stored[number] = content
        run = {"id": run_id, "repository_id": 1, "head_repository_id": 666, "head_branch": "topic"}
        row = {"id": number, "name": name, "size_in_bytes": len(content), "expired": False, "workflow_run": run}
        row |= {
            "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "created_at": f"2026-11-01T00:00:{number:02}Z",
        }
        self.artifacts.append({**row, **known})
        return number

    def add_issue(self, title: str, body: str, login: str | None = BOT, **known: Any) -> int:
        """An issue that was there before; known: `state`, `locked`, `labels`, or `pull_request` for what is one."""
        number, self._next_id = self._next_id, self._next_id + 1
        user = None if login is None else {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}
        row = {"number": number, "user": user, "title": title, "body": body, "state": "open", "locked": False}
        row["html_url"] = f"https://github.example/{REPOSITORY}/issues/{number}"
        self.issues[number] = {**row, "labels": [], **known}
        return number

    def bodies(self, pull: int) -> list[str]:
        return [comment["body"] for comment in self.comments.values() if comment["pull"] == pull]

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    # ---- answering ------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> tuple[int, dict[str, str], str]:
        with self._lock:
            self.requests.append(request)
            if self._description is not None and (faults := self._description.faults(request)):
                self.violations += faults
                return 400, {}, json.dumps({"message": "; ".join(faults)})
            prefix = f"/api/v3/repos/{REPOSITORY}"
            path = request.path.removeprefix(prefix)
            trouble = next(
                (t for t in self.troubles if t.method == request.method and re.fullmatch(t.path, path)), None
            )
            if trouble is not None:
                self.troubles.remove(trouble)
                if trouble.delay_s:
                    time.sleep(trouble.delay_s)
                if not trouble.is_done_anyway:
                    return trouble.status, trouble.headers, trouble.body
            status, headers, body = self._act_on_issues(request, path) or self._act(request, path)
            if request.method in self.after:
                self.after.pop(request.method)()
            if trouble is not None:
                return trouble.status, trouble.headers, trouble.body
            return status, headers, "" if body is None else json.dumps(body)

    def _act(self, request: Request, path: str) -> tuple[int, dict[str, str], Any]:
        if found := re.fullmatch(r"/pulls/(\d+)", path):
            number = int(found[1])
            if number in self.heads:
                return 200, {}, self._pull(number)
        elif path == "/pulls":
            state, head = request.query.get("state", "open"), request.query.get("head")
            rows = [self._pull(number) for number in self.pulls]
            return self._page(request, [r for r in rows if r["state"] == state and r["head"]["label"] == head], None)
        elif found := re.fullmatch(r"/commits/(\w+)/pulls", path):
            if found[1] not in self.commits:
                return 422, {}, {"message": f"No commit found for SHA: {found[1]}"}
            pulls = [number for number, head in self.heads.items() if head == found[1]]
            return self._page(request, [self._pull(number) for number in pulls], None)
        elif found := re.fullmatch(r"/git/commits/(\w+)", path):
            if found[1] in self.commits:
                return 200, {}, {"sha": found[1], "parents": [{"sha": parent} for parent in self.commits[found[1]]]}
        elif found := re.fullmatch(r"/compare/(.+)\.\.\.(.+)", path):
            base = self.merge_bases.get((unquote(found[1]), unquote(found[2])))
            if base is not None:
                return 200, {}, {"merge_base_commit": {"sha": base}}
        elif found := re.fullmatch(r"/issues/(\d+)/comments", path):
            if request.method == "POST":
                return self._create(int(found[1]), request.body["body"])
            rows = [row for row in self.comments.values() if row["pull"] == int(found[1])]
            return self._page(request, rows, None)
        elif found := re.fullmatch(r"/issues/comments/(\d+)", path):
            number = int(found[1])
            if number in self.comments and request.method == "DELETE":
                del self.comments[number]
                return 204, {}, None
            if number in self.comments and len(request.body["body"]) > MAX_BODY:
                return 422, {}, _too_long()
            if number in self.comments:
                self.comments[number]["body"] = request.body["body"]
                return 200, {}, self.comments[number]
        elif found := re.fullmatch(r"/check-runs(?:/(\d+))?", path):
            return self._check(request, int(found[1]) if found[1] else None)
        elif found := re.fullmatch(r"/actions/runs/(\d+)/artifacts", path):
            rows = [row for row in self.artifacts if row["workflow_run"]["id"] == int(found[1])]
            return self._page(request, rows, "artifacts")
        elif found := re.fullmatch(r"/actions/artifacts/(\d+)/zip", path):
            if int(found[1]) not in self.stored:
                return 410, {}, {"message": "Artifact has expired"}
            port = self._storage.server_address[1]
            return 302, {"Location": f"http://127.0.0.1:{port}/blob/{found[1]}?sig=secret-signature"}, None
        return 404, {}, {"message": "Not Found"}

    def _act_on_issues(self, request: Request, path: str) -> tuple[int, dict[str, str], Any] | None:
        """Issues, the repository and the token; None for everything else."""
        if path == "":
            return 200, {}, self.about
        if path == "/api/v3/rate_limit":
            return 200, {}, {"resources": {"core": self.rate}, "rate": self.rate}
        found = re.fullmatch(r"/issues(?:/(\d+))?", path)
        if found is None:
            return None
        if not self.about["has_issues"]:
            return 410, {}, {"message": "Issues has been disabled in this repository."}
        if request.method != "GET" and len(request.body.get("body", "")) > MAX_BODY:
            return 422, {}, _too_long()
        if request.method == "POST":
            labels = [{"name": name} for name in request.body.get("labels", [])]
            number = self.add_issue(request.body["title"], request.body["body"], self.login, labels=labels)
            return 201, {}, self.issues[number]
        if found[1]:
            if int(found[1]) not in self.issues:
                return 404, {}, {"message": "Not Found"}
            self.issues[int(found[1])].update(request.body or {})
            return 200, {}, self.issues[int(found[1])]
        creator, state = request.query.get("creator"), request.query.get("state", "open")
        rows = [row for row in self.issues.values() if state in ("all", row["state"])]
        if creator is not None:
            rows = [row for row in rows if row["user"] is not None and row["user"]["login"] == creator]
        return self._page(request, rows, None)

    def hand_out(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """What GitHub's storage answers: another host, which must not learn the token."""
        self.fetched.append(request)
        if "authorization" in request.headers:
            self.violations.append("the token was sent to the storage")
            return 400, {}, b""
        trouble = next((t for t in self.troubles if t.method == "STORAGE"), None)
        if trouble is not None:
            self.troubles.remove(trouble)
            return trouble.status, trouble.headers, trouble.body.encode()
        return 200, {"Content-Type": "application/zip"}, self.stored[int(request.path.rpartition("/")[2])]

    def _pull(self, number: int) -> dict[str, Any]:
        known = self.pulls.get(number, {"repository": None, "branch": "topic", "base": "main", "state": "open"})
        repository = known["repository"]
        head = {"sha": self.heads[number], "ref": known["branch"], "repo": repository and {"full_name": repository}}
        head["label"] = f"{(repository or 'ghost/gone').partition('/')[0]}:{known['branch']}"
        return {"number": number, "state": known["state"], "head": head, "base": {"ref": known["base"]}}

    def _check(self, request: Request, number: int | None) -> tuple[int, dict[str, str], Any]:
        output = request.body.get("output", {})
        notes = output.get("annotations", [])
        if len(notes) > MAX_CHECK_ANNOTATIONS or len(output.get("summary", "")) > MAX_SUMMARY:
            return 422, {}, {"message": "Invalid request."}
        if number is None:
            number, self._next_id = self._next_id, self._next_id + 1
            self.checks[number] = {**request.body, "id": number, "annotations": notes}
            return 201, {}, self.checks[number]
        if number not in self.checks:
            return 404, {}, {"message": "Not Found"}
        self.checks[number]["annotations"] += notes
        return 200, {}, self.checks[number]

    def _create(self, pull: int, body: str) -> tuple[int, dict[str, str], Any]:
        if len(body) > MAX_BODY:
            return 422, {}, _too_long()
        return 201, {}, self.comments[self.add_comment(pull, body, self.login)]

    def _page(self, request: Request, rows: list[Any], key: str | None) -> tuple[int, dict[str, str], Any]:
        size, page = int(request.query.get("per_page", "30")), int(request.query.get("page", "1"))
        part = rows[(page - 1) * size : page * size]
        headers = {}
        if page * size < len(rows):
            # The next page's address is another host's on purpose: a client that follows it blindly loses its token.
            headers["Link"] = f'<http://elsewhere.invalid/next?page={page + 1}>; rel="next"'
        return 200, headers, part if key is None else {"total_count": len(rows), key: part}


def _too_long() -> dict[str, Any]:
    fault = {
        "resource": "IssueComment",
        "code": "unprocessable",
        "message": "Body is too long (maximum is 65536 characters)",
    }
    return {"message": "Validation Failed", "errors": [fault]}


def _handler(
    answer: Callable[[Request], tuple[int, dict[str, str], str | bytes]],
) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(
                method=self.command,
                path=parts.path,
                query={name: values[0] for name, values in parse_qs(parts.query).items()},
                headers={name.lower(): value for name, value in self.headers.items()},
                body=json.loads(content) if content else None,
            )
            status, headers, body = answer(request)
            body = body.encode() if isinstance(body, str) else body
            self.send_response(status)
            told = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            for name, value in {**told, **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the tests read `requests`."""

    return Handler
