"""Commits that a clone lacks: asked of the remote, once, and never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub import Hub, Store

from evalgate.errors import InputError, RemoteError, RemoteFault
from evalgate.history.ancestry import Deepened, Distant
from evalgate.history.baseline import choose
from evalgate.history.git import Repository
from evalgate.history.remote import Remote
from evalgate.records import Nearest

A, B, C, D = (letter * 40 for letter in "abcd")


class Scripted:
    """A remote of the line A ← B ← C, with D beside it; counts what it is asked."""

    def __init__(self, fault: RemoteFault | None = None) -> None:
        self.fault = fault
        self.asked = 0

    def first_parents(self, commit: str, limit: int) -> list[str]:
        self.asked += 1
        line = {A: [A], B: [B, A], C: [C, B, A], D: [D]}.get(commit)
        if self.fault is not None or line is None:
            raise RemoteError(self.fault or RemoteFault.UNKNOWN_COMMIT, f"no {commit[:4]}")
        return line[:limit]

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        return ancestor in self.first_parents(descendant, 9)

    def tip(self, ref: str) -> str | None:
        self.asked += 1
        return {"refs/heads/main": C}.get(ref)


def test_a_remote_tells_where_a_commit_comes_from() -> None:
    """By whole ids; the head is whatever one is told."""
    distant = Distant(Scripted, head=B)
    assert (distant.head(), distant.resolve("HEAD"), distant.resolve("main")) == (B, B, None)
    assert distant.first_parents("HEAD", 9) == [B, A]
    assert distant.parents(C) == [B]
    assert distant.distance(A, C) == 2
    assert (distant.merge_base(B, C), distant.merge_base(C, B), distant.merge_base(D, C)) == (B, B, None)
    assert (distant.tip("main"), distant.tip("gone")) == (C, None)
    assert (distant.exists(A), distant.exists("f" * 40), distant.unseen(A)) == (True, False, None)


def test_a_commit_that_the_remote_does_not_have_is_itself_alone() -> None:
    """What is not known of it is said, and others can still be asked for."""
    distant = Distant(Scripted)
    assert distant.first_parents("f" * 40, 9) == ["f" * 40]
    assert distant.unseen("f" * 40) == "no ffff"
    assert distant.first_parents(B, 9) == [B, A]


@pytest.mark.parametrize("fault", [RemoteFault.UNREACHABLE, RemoteFault.CREDENTIALS])
def test_a_remote_that_does_not_answer_is_asked_once(fault: RemoteFault) -> None:
    """Every further question would only wait as long."""
    remote = Scripted(fault)
    distant = Distant(lambda: remote)
    assert distant.first_parents(B, 9) == [B]
    assert distant.first_parents(C, 9) == [C]
    assert distant.merge_base(B, C) is None and distant.tip("main") is None
    assert (remote.asked, distant.unseen(C), distant.trouble) == (1, "no bbbb", "no bbbb")


def test_a_repository_without_a_remote_says_so() -> None:
    """To open the remote may fail as well as to ask it."""

    def opened() -> Scripted:
        raise InputError("the repository has no remote origin")

    distant = Distant(opened)
    assert distant.first_parents(B, 9) == [B]
    assert distant.unseen(B) == "the repository has no remote origin"


def test_a_baseline_is_chosen_without_a_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a commit of a fork: nothing of it is checked out."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    hub = Hub.made(tmp_path / "origin.git")
    head = hub.line("fork", 2, on="m4")
    hub.pull(head, "m6")
    elsewhere = hub.checkout("m1", 1)
    remote = Remote.of(elsewhere, hub.job("workflow_run", "m6"))
    distant = Distant(lambda: remote, head=hub.ids[head])
    start = distant.merge_base(hub.ids[head], str(distant.tip("main")))
    assert start == hub.ids["m4"]
    with Store.of(hub) as store:
        store.record("m2", "m3", "m6")
        candidate = store.history.read_run("m6")
        found = choose(store.history, candidate, git=distant, start=start, in_ci=True)
    assert isinstance(found, Nearest)
    assert ([run.id for run in found.runs], found.behind) == (["m3", "m2"], 1)


def test_a_clone_answers_what_it_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote is asked where the clone ends, and not before."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    hub = Hub.made(tmp_path / "origin.git")
    remote = Scripted(RemoteFault.UNREACHABLE)
    shallow = Deepened(Repository(hub.checkout("m6", 3)), lambda: remote)
    assert shallow.first_parents("HEAD", 3) == [hub.ids[name] for name in ("m6", "m5", "m4")]
    assert shallow.first_parents("nowhere", 3) == []
    assert remote.asked == 0
    assert shallow.first_parents("HEAD", 9) == [hub.ids[name] for name in ("m6", "m5", "m4")]
    assert "older commits could not be fetched. no " in str(shallow.unseen(hub.ids["m4"]))
    whole = Deepened(Repository(hub.checkout("m6", None, folder="whole")), lambda: remote)
    assert len(whole.first_parents("HEAD", 9)) == 6
    assert (whole.unseen(hub.ids["m1"]), whole.is_whole(hub.ids["m1"])) == (None, True)
    assert (whole.merge_base("HEAD", hub.ids["m4"]), whole.tip("main")) == (hub.ids["m4"], hub.ids["m6"])
    assert remote.asked == 1
