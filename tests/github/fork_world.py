"""A repository on the disk with a suite and a history, a GitHub beside it, and a fork's pull request to it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from builders import NOON, make_scored
from fake_github import REPOSITORY, FakeGitHub
from github_events import FORK, HEAD, MERGE, environment, workflow_run
from repositories import ENVIRON, git

from evalgate.github.client import connect
from evalgate.history import result_file, run_file
from evalgate.history.branch import Branch
from evalgate.history.remote import Remote
from evalgate.pipeline.load import load_config, load_evalset
from evalgate.pipeline.pulling import take
from evalgate.pipeline.pushing import push
from evalgate.pipeline.second_stage import StageOptions, comment_on_fork
from evalgate.pipeline.syncing import SyncOptions
from evalgate.records import CaseRef, Run, Version, fingerprint

CONFIG = """\
version: 1
suite: support-bot
evalsets: [evalsets/*.yaml]
endpoint: {kind: openai, base_url: "${MODEL_URL}", api_key_env: MODEL_KEY, model: m-1}
history: {store: "${STORE_URL}"}
gate: {each_category: {max_drop: 0.05}, overall: {max_drop: 0.05}}
"""
SIZES = {"facts": 40, "safety": 30}
NOW = NOON + timedelta(days=1)


def evalset(sizes: Mapping[str, int] = SIZES) -> str:
    rows = [
        f"  - {{id: {name}-{number}, category: {name}, input: {name} {number}?, expected: so}}"
        for name, size in sizes.items()
        for number in range(size)
    ]
    return "\n".join(["name: bot", "scorers: [exact]", "cases:", *rows]) + "\n"


@dataclass(frozen=True)
class Repository:
    """`root/acme/support-bot`, bare, whose main has three commits, with a run of each on the history's branch."""

    root: Path
    clone: Path
    main: tuple[str, ...]
    """Oldest first."""
    cases: tuple[CaseRef, ...]

    @property
    def bare(self) -> Path:
        return self.root / REPOSITORY

    @property
    def store(self) -> str:
        """What the branch holds, in a store: most tests are not about fetching it."""
        return f"sqlite:///{self.root}/history.db"

    def run(
        self, id: str, commit: str | None, wrong: Callable[[str], bool] = lambda case: False, **changes: Any
    ) -> Run:
        """A run of the suite at this commit. wrong: the cases that score 0."""
        cases = changes.pop("cases", self.cases)
        run = Run(
            id=id,
            suite="support-bot",
            created=NOON,
            cases=cases,
            results=tuple(make_scored(case.id, 0.0 if wrong(case.id) else 1.0) for case in cases),
            commit=commit,
            version=Version.of({"model": "m-1"}),
            evalset=fingerprint("the set"),
        )
        return replace(run, **changes)


def made(root: Path, *, config: str = CONFIG, sizes: Mapping[str, int] = SIZES, folder: str = ".") -> Repository:
    """folder: where the suite lies in it."""
    bare, clone = root / REPOSITORY, root / "clone"
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
    git(bare, "config", "uploadpack.allowFilter", "true")
    git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(root, "clone", "--quiet", f"file://{bare}", str(clone))
    file = clone / folder / "evalgate.yaml"
    (file.parent / "evalsets").mkdir(parents=True)
    file.write_text(config)
    (file.parent / "evalsets" / "bot.yaml").write_text(evalset(sizes))
    commits = []
    for number in range(3):
        (clone / "app.py").write_text(f"version = {number}\n")
        git(clone, "add", ".")
        git(clone, "commit", "--quiet", "-m", str(number))
        commits.append(git(clone, "rev-parse", "HEAD"))
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    loaded = load_evalset(load_config(file, {}, needs_endpoint=False, needs_store=False))
    refs = [
        CaseRef(id=case.id, categories=case.categories, content=case.content(), scorers=fingerprint("exact"))
        for case in loaded.cases
    ]
    made = Repository(root=root, clone=clone, main=tuple(commits), cases=tuple(sorted(refs, key=lambda ref: ref.id)))
    files = []
    for number, commit in enumerate(commits):
        run = made.run(f"20261101-12000{number}-aaaa", commit, lambda case: case in ("facts-0", "safety-0"))
        files.append(root / f"{number}.evalrun")
        run_file.write(files[-1], replace(run, created=NOON + timedelta(minutes=number)))
    push(
        [str(file) for file in files],
        SyncOptions(config=file, environ=ENVIRON | {"STORE_URL": "sqlite://"}),
    )
    take(Branch(Remote.of(clone, ENVIRON)), made.store)
    return made


def zipped(content: bytes, name: str = "result.json") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@dataclass
class World:
    """A job of `workflow_run` in that repository, after the run of pull request 7, which comes from a fork."""

    repository: Repository
    github: FakeGitHub
    folder: Path
    """Where the job works: nothing is checked out there."""
    event: dict[str, Any] = field(default_factory=dict)
    """Fields of the run that has ended, where they are other than usual."""
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.github.add_pull(7, HEAD, repository=FORK, branch="kinder")
        self.github.commits |= {MERGE: [self.repository.main[-1], HEAD], HEAD: [self.repository.main[-1]]}
        self.github.merge_bases["main", HEAD] = self.repository.main[-1]

    def run(self, wrong: Callable[[str], bool] = lambda case: case in ("facts-0", "safety-0"), **changes: Any) -> Run:
        """What the fork's run found; by default as the baseline."""
        return self.repository.run("fork-run", changes.pop("commit", MERGE), wrong, **changes)

    def leave(self, run: Run | None, *, attempt: int = 1, suite: str = "support-bot", **options: Any) -> None:
        """The run's artifact."""
        file = self.folder / "left.json"
        result_file.write(file, suite, run, **options)
        self.leave_bytes(zipped(file.read_bytes()), attempt=attempt)
        file.unlink()

    def leave_bytes(self, content: bytes, *, attempt: int = 1, **known: Any) -> int:
        return self.github.add_artifact(f"evalgate-result-{attempt}", content, 100, **known)

    @property
    def environ(self) -> dict[str, str]:
        payload = workflow_run(**self.event)
        job = {
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_SERVER_URL": f"file://{self.repository.root}",
            "GITHUB_RUN_ID": "200",
            "GITHUB_SHA": self.repository.main[-1],
            "GITHUB_TOKEN": "token-1",
        }
        return ENVIRON | environment(self.folder / "event", "workflow_run", payload, **job)

    def comment(self, **options: Any) -> list[str]:
        """Does what the job does; the bodies of the pull request's comments without their markers.

        store: None takes the history from the branch.
        """
        options = {"store": self.repository.store, **options}
        github = connect(self.github.api_url, REPOSITORY, "token-1", retries=0)
        comment_on_fork(StageOptions(environ=self.environ, **options), self.said.append, github=github, now=NOW)
        return self.bodies()

    def bodies(self, pull: int = 7) -> list[str]:
        return [body.partition("\n")[2] for body in self.github.bodies(pull)]
