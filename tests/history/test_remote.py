"""A repository's remote, reached from a clone of depth 1 without touching it. All on real git."""

import base64
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from remote_kit import Hosted, state
from repositories import ENVIRON, git

from evalgate.errors import InputError, RemoteError, RemoteFault
from evalgate.history.remote import Remote
from evalgate.history.remote_faults import explained
from evalgate.history.remote_settings import access

# ---- reading ----------------------------------------------------------------------------------------------


def test_files_of_any_commit_are_read_from_a_clone_of_depth_1(hosted: Hosted) -> None:
    """What the clone lacks is fetched; what is no file there is None."""
    remote, old = hosted.remote, hosted.ids()[3]
    assert remote.read(old, "a.txt") == b"1\n"
    assert remote.files(old, "sets") == ["sets/0.yaml", "sets/1.yaml"]
    assert remote.read_all(old, ["sets/0.yaml", "sets", "none"]) == {"sets/0.yaml": b"name: set0\n"}
    assert remote.read(old, "sets/4.yaml") is None


def test_first_parents_are_fetched_as_deep_as_asked_and_without_files(hosted: Hosted) -> None:
    """Commits alone cross the wire; a second question that goes no deeper asks nobody."""
    ids = hosted.ids()
    remote = hosted.remote
    assert remote.first_parents(ids[0], 2) == ids[:2]
    assert remote.first_parents(ids[0], 50) == ids
    kinds = git(hosted.clone / ".evalgate" / "remote.git", "cat-file", "--batch-all-objects", "--batch-check")
    assert {line.split()[1] for line in kinds.splitlines()} == {"commit"}
    hosted.bare.rename(hosted.bare.with_name("away"))
    assert remote.first_parents(ids[0], 50) == ids
    assert remote.first_parents(ids[2], 2) == ids[2:4]


def test_a_server_without_filters_serves_all_the_same(hosted: Hosted) -> None:
    """It gives more than was asked for, and nothing is missing."""
    git(hosted.bare, "config", "uploadpack.allowFilter", "false")
    ids = hosted.ids()
    assert hosted.remote.first_parents(ids[0], 50) == ids
    assert hosted.remote.read(ids[4], "a.txt") == b"0\n"
    assert hosted.remote.fetch("refs/heads/main", depth=1) == ids[0]


def test_the_tip_the_default_branch_and_what_is_not_there(hosted: Hosted) -> None:
    """A missing branch is None; a missing commit is an error that says so."""
    remote, ids = hosted.remote, hosted.ids()
    assert (remote.tip("refs/heads/main"), remote.default_branch()) == (ids[0], "main")
    assert remote.tip("refs/heads/none") is None
    assert remote.fetch("refs/heads/none") is None
    with pytest.raises(RemoteError, match="does not have what was asked for") as raised:
        remote.first_parents("1" * 40, 5)
    assert raised.value.fault is RemoteFault.UNKNOWN_COMMIT


def test_a_branch_that_is_made_during_the_fetch_is_there(hosted: Hosted) -> None:
    """Two that begin a branch at once: who was slower looks again, and is not told that there is none."""

    class Late(Remote):
        tries = 0

        def _fetch(self, *arguments: Any, **options: Any) -> None:
            self.tries += 1
            if self.tries == 1:
                git(hosted.bare, "branch", "late", "main")
                raise RemoteError(RemoteFault.UNKNOWN_COMMIT, "couldn't find remote ref")
            super()._fetch(*arguments, **options)

    remote = Late.of(hosted.clone, ENVIRON)
    assert remote.fetch("refs/heads/late", depth=1) == hosted.ids()[0]


def test_many_files_are_fetched_in_one_request(hosted: Hosted, tmp_path: Path) -> None:
    """One pack for all of them, not one a file."""
    remote = hosted.remote
    tip = remote.fetch("refs/heads/main", depth=1)
    assert tip is not None
    ids = [entry.id for entry in remote.entries(tip)]
    packs = hosted.clone / ".evalgate" / "remote.git" / "objects" / "pack"
    before = len(list(packs.glob("*.pack")))
    assert len(dict(remote.blobs(ids))) == 6
    assert len(list(packs.glob("*.pack"))) == before + 1
    assert remote.lacking(ids) == []
    assert set(remote.sizes(ids).values()) == {2, 11}


# ---- writing ----------------------------------------------------------------------------------------------


def test_a_push_is_a_compare_and_swap(hosted: Hosted) -> None:
    """Whoever built on an older tip is told that it moved, also where both create the branch."""
    ref = "refs/heads/kept"
    one, two = Remote.of(hosted.clone, ENVIRON), Remote.of(hosted.another("two"), ENVIRON)
    assert one.fetch(ref, depth=1) is None
    (file,) = one.add([b"hello"])
    one.push(one.commit(None, {"v1/one": file}, "first"), ref)
    two.add([b"hello"])
    commit = two.commit(None, {"v1/two": file}, "first")
    with pytest.raises(RemoteError) as raised:
        two.push(commit, ref)
    assert raised.value.fault is RemoteFault.MOVED
    tip = two.fetch(ref, depth=1)
    two.push(two.commit(tip, {"v1/two": file}, "second"), ref)
    assert git(hosted.bare, "ls-tree", "-r", "--name-only", "kept").split() == ["v1/one", "v1/two"]
    assert git(hosted.bare, "rev-list", "--count", "kept") == "2"


def test_nothing_of_the_clone_changes(hosted: Hosted) -> None:
    """Work tree, index, references, objects and settings stay byte for byte as they were."""
    (hosted.clone / "a.txt").write_text("changed, not committed")
    before = state(hosted.clone)
    remote = hosted.remote
    remote.first_parents(hosted.ids()[0], 50)
    tip = remote.fetch("refs/heads/main")
    (file,) = remote.add([b"x"])
    remote.push(remote.commit(tip, {"new": file, "a.txt": None}, "more"), "refs/heads/main")
    remote.remember("refs/heads/main", hosted.ids()[0])
    assert state(hosted.clone) == before
    assert git(hosted.clone, "status", "--porcelain") == "M a.txt"
    assert remote.remembered("refs/heads/main") == hosted.ids()[0]


def test_hooks_of_the_user_are_not_run(hosted: Hosted, tmp_path: Path) -> None:
    """A hook may ask, lint or push elsewhere: it is for what the user does."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-push").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-push").chmod(0o755)
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[core]\n\thooksPath = {hooks}\n")
    remote = Remote.of(hosted.clone, {**ENVIRON, "GIT_CONFIG_GLOBAL": str(settings)})
    tip = remote.fetch("refs/heads/main")
    remote.push(remote.commit(tip, {}, "empty"), "refs/heads/main")
    assert git(hosted.bare, "log", "-1", "--format=%an %s", "main") == "evalgate empty"


def test_several_processes_may_use_one_scratch_repository(hosted: Hosted) -> None:
    """Each waits for the other; none meets a lock of git's."""
    ids = hosted.ids()

    def ask(number: int) -> list[str]:
        return Remote.of(hosted.clone, ENVIRON).first_parents(ids[0], number + 1)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(5))) == [ids[: number + 1] for number in range(5)]


def test_what_a_killed_process_left_keeps_nobody_out(hosted: Hosted) -> None:
    """A lock of git's whose process is gone is taken away."""
    hosted.remote.fetch("refs/heads/main", depth=1)
    (hosted.clone / ".evalgate" / "remote.git" / "shallow.lock").touch()
    assert hosted.remote.first_parents(hosted.ids()[0], 50) == hosted.ids()


# ---- faults -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("remote: Permission to o/r.git denied to x.\nfatal: URL returned error: 403", "permission"),
        ("remote: Write access to repository not granted.\nfatal: error: 403", "permission"),
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", "credentials"),
        ("git@github.com: Permission denied (publickey).\nfatal: Could not read.", "credentials"),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", "unreachable"),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", "not_found"),
        (
            "remote: error: GH013: Repository rule violations found for refs/heads/x.\n"
            " ! [remote rejected] x -> x (push declined due to repository rule violations)",
            "rules",
        ),
        (
            "remote: error: GH013: Repository rule violations found.\nremote: - GITHUB PUSH PROTECTION\n"
            "remote: - Push cannot contain secrets",
            "secret",
        ),
        ("remote: error: GH006: Protected branch update failed.\n ! (protected branch hook declined)", "rules"),
        (" ! [remote rejected] a -> b (pre-receive hook declined)", "rules"),
        ("!\ta:b\t[rejected] (fetch first)", "moved"),
        (
            "!\ta:b\t[remote rejected] (cannot lock ref 'refs/heads/x': is at 1 but expected 2)",
            "moved",
        ),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 502", "busy"),
        ("fatal: something new", "other"),
    ],
)  # fmt: skip
def test_what_git_says_becomes_one_line_that_says_what_to_do(said: str, fault: str) -> None:
    """Never more than a line, and never a password."""
    error = explained("https://github.com/o/r", said)
    assert (error.fault, error.exit_code) == (RemoteFault(fault), 3)
    assert "\n" not in str(error)
    assert str(error).startswith("https://github.com/o/r")


def test_a_refusal_names_the_rule_and_repeats_the_servers_own_reason() -> None:
    """What has to be changed there stands in the server's lines, not in git's."""
    rules = (
        "remote: error: GH013: Repository rule violations found for refs/heads/x.\nremote: Review all repository rules "
        "at https://github.com/o/r/rules\nremote: \nremote: - Changes must be made through a pull request.\n"
        "remote: - Commits must have verified signatures.\n ! [remote rejected] x -> x (push declined)"
    )
    named = "covers this branch: Changes must be made through a pull request; Commits must have verified signatures. "
    assert named in str(explained("here", rules))
    hook = "remote: error: Only the release team pushes here. Ask tok-tok.\n ! [remote rejected] x -> x (hook declined)"
    said = str(explained("here", hook, ["tok-tok"]))
    assert said.startswith("here refused the push: Only the release team pushes here; Ask ***. Ask whoever keeps")


def test_no_message_holds_a_password_or_a_token(hosted: Hosted) -> None:
    """Not from the URL, not from the environment."""
    git(hosted.clone, "remote", "set-url", "origin", "https://me:hunter2@127.0.0.1:1/o/r.git?x=hunter2")
    remote = Remote.of(hosted.clone, ENVIRON)
    assert remote.place == "https://127.0.0.1:1/o/r.git"
    with pytest.raises(RemoteError) as raised:
        remote.tip("HEAD")
    assert raised.value.fault is RemoteFault.UNREACHABLE
    assert "hunter2" not in str(raised.value)
    assert not any(b"hunter2" in content for content in state(hosted.clone / ".evalgate").values())
    said = explained("here", "fatal: cannot reach https://a:tok@h/ with tok-tok", ["tok-tok"])
    assert "tok" not in str(said)


def test_the_token_of_a_job_goes_to_github_alone(hosted: Hosted) -> None:
    """As a header for GitHub's host, in the environment; never to another host, nor where the checkout left its own."""
    job = {**ENVIRON, "GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "ghs_secret"}
    basic = basic_of("ghs_secret")

    def values(url: str, **more: str) -> str:
        git(hosted.clone, "remote", "set-url", "origin", url)
        found = access(hosted.clone, {**job, **more}, "origin")
        assert "ghs_secret" not in f"{found!r} {found.place}"
        return "\n".join(value for name, value in found.environ.items() if name.startswith("GIT_CONFIG_"))

    assert basic in values("https://github.com/o/r")
    assert basic in values("https://ghe.corp/o/r", GITHUB_SERVER_URL="https://ghe.corp")
    for url in (
        "https://evil.example/o/r",
        "http://github.com/o/r",
        "git@github.com:o/r",
        "https://github.com.evil.io/o/r",
    ):
        assert basic not in values(url)
    assert basic not in values("https://github.com/o/r", GITHUB_ACTIONS="false")
    git(hosted.clone, "config", "http.https://github.com/.extraheader", "AUTHORIZATION: basic other")
    found = values("https://github.com/o/r")
    assert basic not in found
    assert "AUTHORIZATION: basic other" in found


class Answering(BaseHTTPRequestHandler):
    """Answers every request in one way, and keeps what was asked."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.seen.append((self.path, self.headers.get("Authorization")))
        status, more = server.answers
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"<html>an answer</html>")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing."""


@contextmanager
def answering(status: int, **headers: str) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.answers, server.seen = (status, headers), []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_token_reaches_github_and_follows_no_redirect(hosted: Hosted) -> None:
    """git sends the header to the host that the job names, and asks no other host at all."""
    job = {**ENVIRON, "GITHUB_ACTIONS": "true", "GITHUB_TOKEN": "ghs_secret", "NO_PROXY": "*"}
    with (
        answering(200) as other,
        answering(302, Location=f"{other.url}/o/r/info/refs?service=git-upload-pack") as github,
    ):
        git(hosted.clone, "remote", "set-url", "origin", f"{github.url}/o/r")
        with pytest.raises(RemoteError) as raised:
            Remote.of(hosted.clone, {**job, "GITHUB_SERVER_URL": github.url}).tip("HEAD")
        assert "ghs_secret" not in str(raised.value)
        assert [about for _, about in github.seen] == [f"basic {basic_of('ghs_secret')}"]
        assert other.seen == []


@pytest.mark.parametrize(
    ("status", "fault"), [(200, "other"), (403, "permission"), (404, "not_found"), (429, "busy"), (503, "busy")]
)
def test_a_server_that_answers_something_else_is_explained(hosted: Hosted, status: int, fault: str) -> None:
    """HTML, refusals, an overloaded server: one line each, exit 3, and whether another try may help."""
    with answering(status) as server:
        git(hosted.clone, "remote", "set-url", "origin", f"{server.url}/o/r")
        with pytest.raises(RemoteError) as raised:
            Remote.of(hosted.clone, {**ENVIRON, "NO_PROXY": "*"}).tip("HEAD")
    assert (raised.value.fault.value, raised.value.exit_code) == (fault, 3)
    assert "\n" not in str(raised.value) and server.url in str(raised.value)


def basic_of(token: str) -> str:
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def test_the_users_settings_for_the_remote_are_kept(hosted: Hosted) -> None:
    """Proxies, certificates, rewritten URLs and SSH commands; nothing else of the repository."""
    for key, value in (
        ("http.proxy", "http://proxy:3128"),
        ("core.sshCommand", "ssh -i key"),
        ("url.ssh://a/.insteadOf", "b:"),
        ("core.hooksPath", "/tmp/evil"),
        ("alias.fetch", "!evil"),
    ):
        git(hosted.clone, "config", key, value)
    found = access(hosted.clone, ENVIRON, "origin").environ
    values = [value for name, value in found.items() if name.startswith("GIT_CONFIG_VALUE_")]
    assert {"http://proxy:3128", "ssh -i key", "b:"} <= set(values)
    assert not {"/tmp/evil", "!evil"} & set(values)


def test_a_job_without_a_checkout_asks_its_own_repository(tmp_path: Path) -> None:
    """What comments on a fork's work has none."""
    job = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "PATH": ENVIRON["PATH"]}
    assert Remote.of(tmp_path, job).place == "https://github.com/o/r"
    with pytest.raises(InputError, match="no git repository"):
        Remote.of(tmp_path, {"PATH": ENVIRON["PATH"]})


def test_a_repository_without_a_remote_is_told_how_to_add_one(hosted: Hosted) -> None:
    """One remote of another name is meant all the same."""
    git(hosted.clone, "remote", "rename", "origin", "upstream")
    assert Remote.of(hosted.clone, ENVIRON).place == f"file://{hosted.bare}"
    git(hosted.clone, "remote", "remove", "upstream")
    with pytest.raises(InputError, match="has no remote origin"):
        Remote.of(hosted.clone, ENVIRON)


def test_the_variables_of_a_hook_lead_nowhere(hosted: Hosted, tmp_path: Path) -> None:
    """git sets GIT_DIR for its hooks: the repository is the one that the folder lies in."""
    environ = {**ENVIRON, "GIT_DIR": str(tmp_path), "GIT_INDEX_FILE": str(tmp_path / "index"), "GIT_TRACE": "2"}
    assert Remote.of(hosted.clone, environ).tip("refs/heads/main") == hosted.ids()[0]


def test_importing_it_costs_little() -> None:
    """Commands that need no remote do not pay for one."""
    code = "import sys, evalgate.history.remote; assert 'sqlite3' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
