"""The workflows that users are given, from event to event: real git, the real `evalgate`, a GitHub on localhost.

Every job begins on an empty machine, with a checkout as shallow as the workflow asks for, so that nothing is handed on
but by artifacts, comments and the history's branch.
"""

from __future__ import annotations

import io
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fake_github import REPOSITORY, FakeGitHub
from github_events import FORK, environment, merge_group, pull_request, push, schedule, workflow_run
from workflow_runner import Job, Runner

from evalgate.github.workflows import user_workflows

ROOT = Path(__file__).parents[2]
CONFIG = """
version: 1
suite: support-bot
evalsets: [evalsets/*.yaml]
endpoint: {kind: python, callable: "bot:answer"}
gate: {alpha: 0.05}
"""
GOOD = "def answer(request):\n    return '30 days'\n"
BAD = "def answer(request):\n    return 'no idea' if 'refund' in request.prompt else '30 days'\n"
BROKEN = "def answer(request:\n"
HISTORY = "evalgate-history"


@dataclass
class Repository:
    """A user's repository on GitHub, with the workflows that `evalgate init --github` writes."""

    folder: Path
    github: FakeGitHub
    run_id: int = 100
    workflows: dict[str, str] = field(default_factory=user_workflows)

    def __post_init__(self) -> None:
        self.runner = Runner(root=ROOT, bare=self.folder / "hub" / REPOSITORY, folder=self.folder / "machines")
        (self.folder / "bin").mkdir()
        start = f"{shlex.quote(sys.executable)} -P -c 'from evalgate.cli import main; main()'"
        for name, command in (("python", shlex.quote(sys.executable)), ("evalgate", start)):
            file = self.folder / "bin" / name
            file.write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
            file.chmod(0o755)

    def begun(self) -> Repository:
        """Before the first push."""
        for folder in (self.runner.bare, self.clone / "evalsets"):
            folder.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.runner.bare))
        for name in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            self.git(f"--git-dir={self.runner.bare}", "config", name, "true")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", f"file://{self.runner.bare}")
        (self.clone / "evalgate.yaml").write_text(CONFIG, "utf-8")
        for category in ("refunds", "delivery"):
            cases = "".join(
                f'  - {{id: {category}-{number}, input: "{category} {number}?", expected: 30 days}}\n'
                for number in range(20)
            )
            text = f"name: {category}\ncategory: {category}\nscorers: [contains]\ncases:\n{cases}"
            (self.clone / "evalsets" / f"{category}.yaml").write_text(text, "utf-8")
        return self

    @property
    def clone(self) -> Path:
        return self.folder / "clone"

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.invalid", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.clone, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    def commit(self, bot: str, message: str = "main moves on") -> str:
        (self.clone / "bot.py").write_text(f"{bot}# {self.run_id}\n", "utf-8")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def happens(self, event: str, payload: Any, sha: str, **variables: str) -> dict[str, Job]:
        """The jobs that an event starts, over all workflows: `workflow file's stem/job`."""
        self.run_id += 1
        environ = environment(self.folder, event, payload, GITHUB_SHA=sha, GITHUB_RUN_ID=str(self.run_id), **variables)
        environ |= {
            "GITHUB_API_URL": self.github.api_url,
            "GITHUB_SERVER_URL": f"file://{self.folder}/hub",
            "EVALGATE_ACTION_PYTHON": str(self.folder / "bin" / "python"),
            "EVALGATE_CACHE_DIR": str(self.folder / "cache"),
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return {
            f"{Path(file).stem.removeprefix('evalgate').lstrip('-') or 'main'}/{name}": job
            for file, text in self.workflows.items()
            for name, job in self.runner.run(text, environ).items()
        }

    def push(self, bot: str = GOOD) -> dict[str, Job]:
        self.git("checkout", "--quiet", "-B", "main")
        sha = self.commit(bot)
        self.git("push", "--quiet", "origin", "main")
        return self.happens("push", push(head=sha), sha)

    def propose(self, bot: str, *, fork: bool = False) -> tuple[dict[str, Job], str, str]:
        """A push to a pull request's branch, whose test merge is evaluated; with the commits of head and merge."""
        self.git("checkout", "--quiet", "-B", "kinder", "main")
        head = self.commit(bot, "try this")
        self.git("checkout", "--quiet", "--detach", "main")
        self.git("merge", "--quiet", "--no-ff", "--no-edit", "kinder")
        merge = self.git("rev-parse", "HEAD")
        self.git("push", "--quiet", "--force", "origin", f"{merge}:refs/pull/7/merge")
        where = FORK if fork else REPOSITORY
        self.github.add_pull(7, head, repository=where, branch="kinder")
        main = self.git("rev-parse", "main")
        self.github.commits |= {merge: [main, head], head: [main]}
        self.github.merge_bases["main", head] = main
        jobs = self.happens("pull_request", pull_request(head=head, head_repository=where), merge)
        self.git("checkout", "--quiet", "main")
        return jobs, head, merge

    def recorded(self) -> int:
        """How many runs the history's branch holds."""
        if not self.git("ls-remote", "origin", HISTORY):
            return 0
        self.git("fetch", "--quiet", "origin", f"+{HISTORY}:{HISTORY}")
        return sum(name.endswith(".evalrun") for name in self.git("ls-tree", "-r", "--name-only", HISTORY).split())

    def writers(self) -> set[str]:
        """The tokens that have written something by GitHub's API."""
        asked = [request for request in self.github.requests if request.method != "GET"]
        return {request.headers["authorization"].split()[-1] for request in asked}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Job]]:
    """A repository after its first push, and what the jobs of that push came to. Made once: it takes seconds."""
    folder = tmp_path_factory.mktemp("template")
    with FakeGitHub() as github:
        return folder, Repository(folder, github).begun().push()


@pytest.fixture
def repository(template: tuple[Path, dict[str, Job]], tmp_path: Path) -> Iterator[Repository]:
    """With one recorded run."""
    shutil.copytree(template[0] / "hub", tmp_path / "hub")
    shutil.copytree(template[0] / "clone", tmp_path / "clone")
    with FakeGitHub() as github:
        found = Repository(tmp_path, github, run_id=101)
        found.git("remote", "set-url", "origin", f"file://{found.runner.bare}")
        yield found


def results(jobs: dict[str, Job]) -> dict[str, str]:
    return {name: job.result for name, job in jobs.items()}


def test_the_first_push_has_nothing_to_compare_with_and_begins_the_history(
    template: tuple[Path, dict[str, Job]], repository: Repository
) -> None:
    """Both are said; the run is on the branch."""
    first = template[1]
    assert results(first) == {"main/evaluate": "success", "main/comment": "skipped", "main/record": "success"}
    assert "There is no " in first["main/evaluate"].ended.log and "NO BASELINE" in first["main/evaluate"].ended.log
    assert repository.recorded() == 1


def test_from_a_bad_pull_request_to_the_merge_queue(repository: Repository) -> None:
    """A bad pull request fails and is told so, a broken one is told that it was not evaluated; the merge queue decides
    and says nothing; neither leaves a trace in the history."""
    bad, head, _ = repository.propose(BAD)
    assert results(bad) == {"main/evaluate": "failure", "main/comment": "success", "main/record": "skipped"}
    assert bad["main/evaluate"].outputs["exit-code"] == "1"
    (body,) = repository.github.bodies(7)
    assert f"head={head}" in body and "refunds" in body and "FAIL" in body

    broken, head, _ = repository.propose(BROKEN)
    assert broken["main/evaluate"].result == "failure" and broken["main/comment"].result == "success"
    (body,) = repository.github.bodies(7)
    assert f"head={head}" in body and "NOT EVALUATED" in body

    base = repository.git("rev-parse", "main")
    sha = repository.commit(GOOD, "Merge pull request #7")
    queue = f"gh-readonly-queue/main/pr-7-{base}"
    repository.git("push", "--quiet", "origin", f"{sha}:refs/heads/{queue}")
    named = {"GITHUB_REF": f"refs/heads/{queue}", "GITHUB_REF_NAME": queue}
    merged = repository.happens("merge_group", merge_group(head=sha, base=base), sha, **named)
    assert results(merged) == {"main/evaluate": "success", "main/comment": "skipped", "main/record": "skipped"}
    assert "NO BASELINE" not in merged["main/evaluate"].ended.log
    assert repository.github.bodies(7) == [body] and repository.recorded() == 1
    assert repository.writers() == {"token-comment"}


def test_a_fork_is_commented_on_by_the_second_workflow(repository: Repository) -> None:
    """Its own run leaves one file and nothing else; who comments has nothing checked out."""
    jobs, head, merge = repository.propose(BAD, fork=True)
    assert results(jobs) == {"main/evaluate": "failure", "main/comment": "skipped", "main/record": "skipped"}
    assert repository.github.bodies(7) == []
    run = repository.run_id
    ((name, content),) = repository.runner.artifacts[str(run), "evalgate-result-1"].items()
    assert name == "result.json"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, content)
    repository.github.add_artifact("evalgate-result-1", buffer.getvalue(), run)

    payload = workflow_run(head=head, id=run, conclusion="failure")
    done = repository.happens("workflow_run", payload, repository.git("rev-parse", "main"))
    assert results(done) == {"fork-comment/comment": "success"}, done["fork-comment/comment"].ended.log
    (body,) = repository.github.bodies(7)
    assert f"head={head}" in body and "refunds" in body and "fork" in body
    assert repository.recorded() == 1 and repository.writers() == {"token-comment"}
    own = workflow_run(head=head, head_repository=REPOSITORY)
    assert results(repository.happens("workflow_run", own, merge)) == {"fork-comment/comment": "skipped"}


def test_the_week_ends_with_one_issue(repository: Repository) -> None:
    """From the history's branch; packing writes nothing while there is nothing to pack."""
    done = repository.happens("schedule", schedule(), repository.git("rev-parse", "main"))
    assert results(done) == {"weekly/trend": "success", "weekly/compact": "success"}, done
    assert "refunds" in done["weekly/trend"].ended.summary
    assert len(repository.github.issues) == 1
    assert repository.writers() == {"token-trend"} and repository.recorded() == 1


def test_a_history_that_cannot_be_read_is_no_first_run(repository: Repository) -> None:
    """A branch of that name that holds something else: the job says so and ends without a verdict."""
    repository.git("push", "--quiet", "--force", "origin", f"main:{HISTORY}")
    jobs = repository.push()
    assert results(jobs) == {"main/evaluate": "failure", "main/comment": "skipped", "main/record": "skipped"}
    evaluate = jobs["main/evaluate"]
    assert evaluate.outputs["exit-code"] in ("2", "3") and "could not be fetched" in evaluate.ended.log
    assert "NO BASELINE" not in evaluate.ended.log
