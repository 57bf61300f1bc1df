"""A repository as GitHub hosts it, the checkouts that its jobs get, and what a run there is compared with.

Commits are made by plumbing, with fixed people and dates: the same history every time, in a few milliseconds.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from builders import NOON, make_run
from history_builders import verdict
from repositories import NOBODY, git

from evalgate.gate import Rules
from evalgate.history.store import History
from evalgate.pipeline.judge import compared_with
from evalgate.pipeline.place import Place
from evalgate.records import Baseline, Exceptions, Missing, Nearest, Run, VerdictName

NAME = "acme/support-bot"


@dataclass
class Hub:
    """The bare repository. `main` has the commits m1 … m6 in a line; commits are known by their messages."""

    bare: Path
    ids: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def made(folder: Path) -> Hub:
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "--template=")
        # As GitHub does; older protocols need it for commits that no branch names.
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
        git(folder, "config", "uploadpack.allowFilter", "true")
        hub = Hub(folder)
        parents: tuple[str, ...] = ()
        for number in range(1, 7):
            parents = (hub.commit(f"m{number}", *parents),)
        hub.branch("main", "m6")
        return hub

    def copy(self, folder: Path) -> Hub:
        shutil.copytree(self.bare, folder)
        return Hub(folder, dict(self.ids))

    def commit(self, name: str, *parents: str) -> str:
        """A commit on top of these, by name; its name."""
        tree = git(self.bare, "mktree") if "tree" not in self.ids else self.ids["tree"]
        self.ids["tree"] = tree
        on = [word for parent in parents for word in ("-p", self.ids[parent])]
        self.ids[name] = git(self.bare, "commit-tree", tree, *on, "-m", name)
        return name

    def line(self, name: str, count: int, on: str) -> str:
        """`count` commits name1 … on top of a commit; the last one's name."""
        for number in range(1, count + 1):
            on = self.commit(f"{name}{number}", on)
        return on

    def branch(self, name: str, commit: str) -> None:
        """Moves a branch, by force where it has to be."""
        git(self.bare, "update-ref", f"refs/heads/{name}", self.ids[commit])

    def pull(self, head: str, base: str, *, number: int = 7) -> str:
        """What GitHub makes of a pull request: its head's reference and the test merge; the merge's name."""
        name = self.commit(f"test-merge-of-{head}", base, head)
        git(self.bare, "update-ref", f"refs/pull/{number}/head", self.ids[head])
        git(self.bare, "update-ref", f"refs/pull/{number}/merge", self.ids[name])
        return name

    def checkout(self, commit: str, depth: int | None, *, folder: str = "checkout") -> Path:
        """As `actions/checkout` does it: a detached HEAD; with `fetch-depth: 0` (None) all branches and tags too."""
        clone = self.bare.parent / folder
        clone.mkdir()
        git(clone, "init", "--quiet", "--template=")
        git(clone, "remote", "add", "origin", f"file://{self.bare}")
        # The order keeps "none" to commits that a branch names, as there.
        wanted = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"] if depth is None else []
        deep = [] if depth is None else [f"--depth={depth}"]
        git(clone, "fetch", "--quiet", "--no-tags", *deep, "origin", *wanted, self.ids[commit])
        git(clone, "checkout", "--quiet", "--detach", self.ids[commit])
        return clone

    def gone(self) -> None:
        """Nobody answers any more."""
        self.bare.rename(self.bare.with_name("gone.git"))

    # ---- jobs ---------------------------------------------------------------------------------------------

    def job(self, event: str, commit: str, payload: dict[str, Any] | None = None, **changes: str) -> dict[str, str]:
        """The variables of a job of this event, whose GITHUB_SHA is this commit."""
        file = self.bare.parent / f"event-{len(list(self.bare.parent.glob('event-*')))}.json"
        repository = {"full_name": NAME, "default_branch": "main"}
        file.write_text(json.dumps({"repository": repository, **(payload or {})}), "utf-8")
        given = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "EVALGATE_"))}
        return {
            **given,
            **NOBODY,
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_EVENT_PATH": str(file),
            "GITHUB_REPOSITORY": NAME,
            "GITHUB_RUN_ID": "100",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_SHA": self.ids[commit],
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_NAME": "main",
            "GITHUB_REF_TYPE": "branch",
            **changes,
        }

    def pull_job(
        self,
        head: str,
        *,
        base: str,
        branch: str = "main",
        owner: str = NAME,
        event: str = "pull_request",
        **changes: str,
    ) -> dict[str, str]:
        """The variables of a pull request's job. base: the commit that the payload names as the base's."""
        pull = {
            "number": 7,
            "head": {"ref": "feature", "sha": self.ids[head], "repo": {"full_name": owner}},
            "base": {"ref": branch, "sha": self.ids[base], "repo": {"full_name": NAME}},
        }
        ref = {"GITHUB_REF": "refs/pull/7/merge", "GITHUB_REF_NAME": "7/merge"}
        return self.job(event, f"test-merge-of-{head}", {"pull_request": pull}, **{**ref, **changes})


@dataclass
class Told:
    """What a run would be compared with."""

    baseline: Baseline

    @property
    def ids(self) -> list[str]:
        assert isinstance(self.baseline, Nearest), self.baseline
        return [run.id for run in self.baseline.runs]

    @property
    def first(self) -> tuple[str, int | None]:
        """The nearest run, and how far behind it is."""
        assert isinstance(self.baseline, Nearest), self.baseline
        return self.baseline.runs[0].id, self.baseline.behind

    @property
    def why(self) -> str:
        return self.baseline.reason if isinstance(self.baseline, Missing) else self.baseline.why

    @property
    def is_missing(self) -> bool:
        return isinstance(self.baseline, Missing)


@dataclass
class Store:
    """A history in memory, filled by commits' names."""

    history: History
    hub: Hub

    @staticmethod
    @contextmanager
    def of(hub: Hub) -> Iterator[Store]:
        with History.open("sqlite://") as history:
            yield Store(history, hub)

    def record(self, *commits: str, **changes: Any) -> None:
        """A run of each commit, named for it, one minute after the other; with `exit_code`, one that did not pass."""
        exit_code = changes.pop("exit_code", 0)
        name = VerdictName.FAIL if exit_code else VerdictName.PASS
        for commit in commits:
            minutes = len(self.history.list_runs())
            made = make_run(changes.get("id", commit), minutes=minutes, facts=[1, 0])
            run = replace(made, **{"commit": self.hub.ids[commit], "branch": "main", **changes})
            self.history.write_run(run)
            self.history.write_verdict(run.id, verdict(name, exit_code), decided=run.created)

    def compared(self, folder: Path, environ: dict[str, str], *, run: Run | None = None) -> Told:
        """What a run of the commit that is checked out is compared with, decided as `evalgate run` does it."""
        place = Place.of(folder, environ)
        candidate = run or replace(make_run("candidate", minutes=1000, facts=[1, 1]), commit=place.commit)
        against = compared_with(
            candidate,
            Rules(),
            history=self.history,
            place=place,
            pinned=(),
            exempt=Exceptions(),
            now=NOON + timedelta(days=1),
        )
        return Told(against.baseline)
