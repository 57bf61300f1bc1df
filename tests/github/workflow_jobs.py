"""A GitHub for whole workflows: a server with git repositories, a fake API, and a runner that runs their jobs.

The jobs' steps are those of the workflow files as users get them. `uses:` of evalgate's own actions run for real (see
`composite`); checkout, artifacts and caches are played. A job may do what its `permissions:` allow and nothing else:
whoever writes without the right, to the API or to the repository, fails as on GitHub.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import stat
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from composite import Ended, github_context, run_action, run_step
from expressions import filled, holds
from fake_github import REPOSITORY, FakeGitHub, Request
from github_events import FORK, environment, merge_group, pull_request, push, schedule, workflow_run

ROOT = Path(__file__).parents[2]
BASH = {"shell": "bash"}
OURS = re.compile(r"acme/evalgate(?P<path>(?:/[\w./-]+)?)@[0-9a-f]{40}")
WHO = {f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "GIT_"))}
CLEAN |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

NEEDED = (
    ("POST|PATCH|DELETE", r"/issues/(\d+/)?comments.*", "pull-requests"),
    ("POST|PATCH", r"/issues(/\d+)?", "issues"),
    ("POST|PATCH", r"/check-runs.*", "checks"),
)
"""(methods, path, what has to be `write` for it)."""

INPUTS = {
    "actions/checkout": {"ref", "fetch-depth", "persist-credentials"},
    "actions/upload-artifact": {"name", "path", "if-no-files-found"},
    "actions/download-artifact": {"name", "path"},
    "actions/cache/restore": {"path", "key", "restore-keys"},
    "actions/cache/save": {"path", "key"},
}
"""Of what is played, as far as the workflows use them: of a misspelt one GitHub only warns."""


@dataclass
class Job:
    """A job that has ended."""

    name: str
    result: str
    """`success`, `failure` or `skipped`."""
    log: str = ""
    summary: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Ran:
    """A run of a workflow that has ended."""

    id: int
    event: str
    jobs: dict[str, Job]

    @property
    def conclusion(self) -> str:
        return "failure" if any(job.result == "failure" for job in self.jobs.values()) else "success"

    @property
    def log(self) -> str:
        return "".join(f"---- {job.name}: {job.result}\n{job.log}" for job in self.jobs.values())


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, env=CLEAN | WHO, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"git {arguments[0]}: {done.stderr}"
    return done.stdout.strip()


class World:
    """A repository on GitHub with the workflows that `evalgate init --github` writes, and a clone to push from."""

    def __init__(self, folder: Path, github: FakeGitHub) -> None:
        self.folder, self.github = folder, github
        self.server, self.clone = folder / "server", folder / "clone"
        self.bare = self.server / REPOSITORY
        self.run_id = 100
        for bare in (self.bare, self.server / FORK):
            bare.mkdir(parents=True)
            git(bare, "init", "--quiet", "--bare", "--initial-branch=main")
            for setting in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
                git(bare, "config", setting, "true")
        self._guard()
        git(folder, "clone", "--quiet", f"file://{self.bare}", str(self.clone))
        self._programs()

    def _guard(self) -> None:
        """Only who has been let in may push."""
        hook = self.bare / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        denied = "Permission to acme/support-bot denied to github-actions[bot]. error: 403"
        hook.write_text(f'#!/bin/sh\ntest -e "{self.bare}/let-in" || {{ echo "{denied}" >&2; exit 1; }}\n', "utf-8")
        hook.chmod(0o755)
        self.may_push(True)

    def may_push(self, is_allowed: bool) -> None:
        file = self.bare / "let-in"
        file.touch() if is_allowed else file.unlink(missing_ok=True)

    def _programs(self) -> None:
        """The environment into which the actions would install evalgate: this one."""
        start = "from evalgate.cli import main; main()"
        for name, command in (("python", ""), ("evalgate", f"-P -c {shlex.quote(start)}")):
            file = self.folder / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {command} "$@"\n', "utf-8")
            file.chmod(file.stat().st_mode | stat.S_IXUSR)

    # ---- what people do -----------------------------------------------------------------------------------

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            file = self.clone / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")

    def commit(self, files: Mapping[str, str], message: str) -> str:
        self.write(files)
        git(self.clone, "add", ".")
        git(self.clone, "commit", "--quiet", "--allow-empty", "--message", message)
        return git(self.clone, "rev-parse", "HEAD")

    def push(self, files: Mapping[str, str], message: str) -> Ran:
        """A commit on the default branch, pushed; the workflow runs on it."""
        if git(self.clone, "branch", "--list", "main"):
            git(self.clone, "checkout", "--quiet", "main")
        sha = self.commit(files, message)
        self._send("HEAD:refs/heads/main")
        return self.ran("evalgate.yml", "push", push(head=sha), sha, "refs/heads/main")

    def propose(self, number: int, files: Mapping[str, str], message: str, *, repository: str = REPOSITORY) -> Ran:
        """A push to a pull request's branch, of this repository or a fork; its test merge is evaluated."""
        branch = f"proposal-{number}"
        known = git(self.clone, "branch", "--list", branch)
        git(self.clone, "checkout", "--quiet", *([branch] if known else ["-b", branch, "main"]))
        head = self.commit(files, message)
        git(self.clone, "checkout", "--quiet", "--detach", "main")
        git(self.clone, "merge", "--quiet", "--no-ff", "--no-edit", branch)
        merge = git(self.clone, "rev-parse", "HEAD")
        self._send(f"+{head}:refs/pull/{number}/head", f"+{merge}:refs/pull/{number}/merge")
        base = git(self.clone, "rev-parse", "main")
        self.github.add_pull(number, head, repository=repository, branch=branch)
        self.github.commits |= {merge: [base, head], head: [base]}
        self.github.merge_bases["main", head] = git(self.clone, "merge-base", "main", head)
        payload = pull_request(head=head, title=message, branch=branch, head_repository=repository)
        payload |= {"number": number, "pull_request": {**payload["pull_request"], "number": number}}
        payload["pull_request"]["base"]["sha"] = base
        actor = "someone" if repository == REPOSITORY else "stranger"
        return self.ran("evalgate.yml", "pull_request", payload, merge, f"refs/pull/{number}/merge", actor=actor)

    def queue(self, number: int) -> Ran:
        """The merge queue tries a pull request on top of the default branch."""
        base, tried = git(self.clone, "rev-parse", "main"), f"refs/heads/gh-readonly-queue/main/pr-{number}"
        git(self.clone, "checkout", "--quiet", "--detach", "main")
        git(self.clone, "merge", "--quiet", "--no-ff", "--no-edit", f"proposal-{number}")
        head = git(self.clone, "rev-parse", "HEAD")
        self._send(f"+{head}:{tried}-{base}")
        return self.ran("evalgate.yml", "merge_group", merge_group(head=head, base=base), head, f"{tried}-{base}")

    def after(self, ran: Ran, number: int, *, repository: str = FORK) -> Ran:
        """What GitHub starts once a run for a pull request has ended: the second stage, on the default branch."""
        payload = workflow_run(
            head=self.github.heads[number],
            head_repository=repository,
            id=ran.id,
            conclusion=ran.conclusion,
            head_branch=f"proposal-{number}",
        )
        sha = git(self.clone, "rev-parse", "main")
        return self.ran("evalgate-fork-comment.yml", "workflow_run", payload, sha, "refs/heads/main")

    def monday(self) -> Ran:
        """The weekly workflow."""
        sha = git(self.clone, "rev-parse", "main")
        return self.ran("evalgate-weekly.yml", "schedule", schedule(), sha, "refs/heads/main")

    def _send(self, *refs: str) -> None:
        git(self.clone, "push", "--quiet", "origin", *refs)

    # ---- what the runner does -----------------------------------------------------------------------------

    def ran(self, workflow: str, event: str, payload: Any, sha: str, ref: str, *, actor: str = "someone") -> Ran:
        """Runs a workflow of the default branch for this event."""
        self.run_id += 1
        text = git(self.bare, "show", f"main:.github/workflows/{workflow}")
        content = yaml.safe_load(text)
        folder = self.folder / "runs" / str(self.run_id)
        environ = CLEAN | environment(
            folder,
            event,
            payload,
            GITHUB_SHA=sha,
            GITHUB_REF=ref,
            GITHUB_REF_NAME=ref.removeprefix("refs/heads/").removeprefix("refs/pull/"),
            GITHUB_RUN_ID=str(self.run_id),
            GITHUB_WORKFLOW=content["name"],
            GITHUB_WORKFLOW_REF=f"{REPOSITORY}/.github/workflows/{workflow}@{ref}",
            GITHUB_ACTOR=actor,
            GITHUB_API_URL=self.github.api_url,
            GITHUB_SERVER_URL=f"file://{self.server}",
        )
        environ |= {
            "EVALGATE_ACTION_PYTHON": str(self.folder / "bin" / "python"),
            "HOME": str(self.folder / "home"),
            "PYTHONPATH": str(ROOT),
        }
        contexts = {"github": {**github_context(environ, ""), "workflow": content["name"]}}
        assert is_started(content[True], contexts["github"]), f"{event} does not start {workflow}"
        assert filled(content["concurrency"]["group"], contexts)
        ran = Ran(id=self.run_id, event=event, jobs={})
        for name, row in content["jobs"].items():
            ran.jobs[name] = _Running(self, ran, name, row, environ, folder / name).job()
        return ran


class _Running:
    """One job of a run."""

    def __init__(self, world: World, ran: Ran, name: str, row: Any, environ: Mapping[str, str], folder: Path) -> None:
        self.world, self.ran, self.name, self.row, self.environ = world, ran, name, row, dict(environ)
        self.workspace, self.temp = folder / "workspace", folder / "temp"
        self.permissions: dict[str, str] = row["permissions"]
        is_foreign = environ["GITHUB_ACTOR"] == "stranger"
        if is_foreign:  # a fork's run never gets more than to read
            self.permissions = dict.fromkeys(self.permissions, "read")
        needs = [row["needs"]] if isinstance(row.get("needs"), str) else row.get("needs", [])
        self.needs = {need: ran.jobs[need] for need in needs}
        self.contexts: dict[str, Any] = {
            "github": {**github_context(environ, "token-1"), "workflow": environ["GITHUB_WORKFLOW"]},
            "runner": {"temp": str(self.temp), "os": "Linux"},
            "steps": {},
            "needs": {need: {"result": job.result, "outputs": job.outputs} for need, job in self.needs.items()},
        }

    def job(self) -> Job:
        is_fine = all(job.result == "success" for job in self.needs.values())
        if not holds(str(self.row.get("if", "success()")), self.contexts, is_fine):
            return Job(name=self.name, result="skipped")
        for folder in (self.workspace, self.temp):
            folder.mkdir(parents=True)
        ended = Ended(exit_code=0, log="", summary="", outputs={})
        asked = len(self.world.github.requests)
        self.world.may_push(self.permissions.get("contents") == "write")
        for number, step in enumerate(self.row["steps"]):
            if holds(str(step.get("if", "success()")), self.contexts, ended.exit_code == 0):
                self._step(step, ended, self.temp / f"step-{number}")
        self.world.may_push(True)
        for request in self.world.github.requests[asked:]:
            self._check(request)
        outputs = {name: filled(str(value), self.contexts) for name, value in self.row.get("outputs", {}).items()}
        result = "success" if ended.exit_code == 0 else "failure"
        return Job(name=self.name, result=result, log=ended.log, summary=ended.summary, outputs=outputs)

    def _check(self, request: Request) -> None:
        path = request.path.partition(REPOSITORY)[2]
        for methods, pattern, right in NEEDED:
            if re.fullmatch(methods, request.method) and re.fullmatch(pattern, path):
                assert self.permissions.get(right) == "write", f"{self.name}: {request.method} {path} needs {right}"
                return
        assert request.method == "GET", f"{self.name}: {request.method} {path} was not foreseen"

    def _step(self, step: Any, ended: Ended, files: Path) -> None:
        is_fine = ended.exit_code == 0
        variables, given = (
            {name: filled(_text(value), self.contexts, is_fine) for name, value in step.get(key, {}).items()}
            for key in ("env", "with")
        )
        done = Ended(exit_code=0, log="", summary="", outputs={})
        if "run" in step:
            base = {"RUNNER_TEMP": str(self.temp), "GITHUB_WORKSPACE": str(self.workspace)}
            run_step(done, step | BASH, {**base, **self.environ, **variables}, self.workspace, files, self.contexts)
        elif found := OURS.fullmatch(step["uses"]):
            action = ROOT / found["path"].lstrip("/")
            done = run_action(
                action, given, {**self.environ, **variables}, workspace=self.workspace, temp=self.temp, token="token-1"
            )
        else:
            done.exit_code, done.log = self._played(step["uses"].partition("@")[0], given)
        if "id" in step and "uses" in step:
            self.contexts["steps"][step["id"]] = {"outputs": done.outputs}
        ended.log += done.log
        ended.summary += done.summary
        if not step.get("continue-on-error"):
            ended.exit_code = ended.exit_code or done.exit_code

    def _played(self, action: str, given: Mapping[str, str]) -> tuple[int, str]:
        assert given.keys() <= INPUTS[action], f"{action} has no input {given.keys() - INPUTS[action]}"
        if action in ("actions/cache/restore", "actions/cache/save"):
            return 0, ""
        if action == "actions/checkout":
            return 0, self._check_out(given)
        if action == "actions/upload-artifact":
            return self._upload(given)
        return self._download(given)

    def _check_out(self, given: Mapping[str, str]) -> str:
        what = given.get("ref") or self.environ["GITHUB_SHA"]
        what = what if re.fullmatch(r"[0-9a-f]{40}", what) else f"refs/heads/{what}"
        depth = given.get("fetch-depth", "1")
        git(self.workspace, "init", "--quiet", "--initial-branch=main")
        git(self.workspace, "remote", "add", "origin", f"{self.environ['GITHUB_SERVER_URL']}/{REPOSITORY}")
        options = [] if depth == "0" else [f"--depth={depth}"]
        git(self.workspace, "fetch", "--quiet", "--no-tags", *options, "origin", what)
        git(self.workspace, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        return ""

    def _upload(self, given: Mapping[str, str]) -> tuple[int, str]:
        path = Path(given["path"])
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        files = [file for file in files if file.exists()]
        if not files:
            is_fault = given.get("if-no-files-found") == "error"
            return int(is_fault), "No files were found with the provided path\n"
        names = {row["name"] for row in self.world.github.artifacts if row["workflow_run"]["id"] == self.ran.id}
        if given["name"] in names:
            return 1, "409 Conflict: an artifact with this name already exists on the workflow run\n"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.relative_to(path).as_posix() if path.is_dir() else file.name)
        self.world.github.add_artifact(given["name"], buffer.getvalue(), self.ran.id)
        return 0, ""

    def _download(self, given: Mapping[str, str]) -> tuple[int, str]:
        rows = [row for row in self.world.github.artifacts if row["workflow_run"]["id"] == self.ran.id]
        row = next((row for row in rows if row["name"] == given["name"]), None)
        if row is None:
            return 1, f"Unable to download artifact(s): Artifact not found for name: {given['name']}\n"
        with zipfile.ZipFile(io.BytesIO(self.world.github.stored[row["id"]])) as archive:
            archive.extractall(given["path"])
        return 0, ""


def _text(value: object) -> str:
    """What GitHub makes of a value in a workflow."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_started(on: Any, github: Mapping[str, Any]) -> bool:
    """Whether the event starts a workflow with this under `on:`."""
    event, name = github["event"], github["event_name"]
    if name not in on:
        return False
    if name == "push":
        return event["ref"].removeprefix("refs/heads/") in on[name]["branches"]
    if name == "workflow_run":
        return event["workflow_run"]["name"] in on[name]["workflows"] and event["action"] in on[name]["types"]
    return True
