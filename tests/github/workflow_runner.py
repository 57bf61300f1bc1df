"""A small runner of workflows: which jobs an event starts, in which order, with what they hand to each other.

Each job gets a machine of its own, an empty workspace and temporary folder. Checkouts are made by git, from a bare
repository on the disk; artifacts are kept; caches are not; evalgate's own actions are run by `composite`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from composite import Ended, github_context, run_action
from expressions import filled, holds

OURS = re.compile(r"OWNER/evalgate(?P<path>/\S+)?@0{40}")


@dataclass
class Job:
    """What came of a job."""

    result: str
    """In GitHub's words: success, failure, skipped."""
    permissions: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    ended: Ended = field(default_factory=lambda: Ended(exit_code=0, log="", summary="", outputs={}))
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Runner:
    """Runs the workflows of one repository."""

    root: Path
    """Where evalgate's actions are."""
    bare: Path
    folder: Path
    """Every job gets a folder in it."""
    artifacts: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    """Files by name, by the run's id and the artifact's name."""

    def run(self, text: str, environ: Mapping[str, str]) -> dict[str, Job]:
        """The jobs of a workflow for the event that these variables tell of; empty where it does not start."""
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        github = github_context(environ, "")
        if not is_started(workflow[True], github):
            return {}
        contexts = {"github": {**github, "workflow": workflow["name"]}, "secrets": {}}
        assert filled(workflow["concurrency"]["group"], contexts)
        done: dict[str, Job] = {}
        for name, job in workflow["jobs"].items():
            needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
            contexts["needs"] = {need: {"result": done[need].result, "outputs": done[need].outputs} for need in needs}
            is_fine = all(done[need].result == "success" for need in needs)
            if not holds(str(job.get("if", "success()")), contexts, is_fine):
                done[name] = Job(result="skipped")
                continue
            token = f"token-{name}"
            with_token = {**contexts, "github": {**contexts["github"], "token": token}}
            done[name] = self._job(name, job, with_token, environ, token)
        return done

    def _job(self, name: str, job: Any, contexts: dict[str, Any], environ: Mapping[str, str], token: str) -> Job:
        machine = self.folder / f"{environ['GITHUB_RUN_ID']}-{environ['GITHUB_RUN_ATTEMPT']}-{name}"
        workspace, temp = machine / "workspace", machine / "temp"
        for folder in (workspace, temp):
            folder.mkdir(parents=True)
        contexts |= {"runner": {"temp": str(temp), "os": "Linux"}, "steps": {}}
        done = Job(result="success", permissions=job["permissions"], token=token)
        for step in job["steps"]:
            is_fine = done.result == "success"
            if "id" in step:
                contexts["steps"][step["id"]] = {"outputs": {}}
            if not holds(str(step.get("if", "success()")), contexts, is_fine):
                continue
            given = {key: _text(value, contexts, is_fine) for key, value in step.get("with", {}).items()}
            variables = {key: _text(value, contexts, is_fine) for key, value in step.get("env", {}).items()}
            found = OURS.fullmatch(step["uses"])
            if found:
                action = self.root / (found["path"] or "").lstrip("/")
                ended = run_action(action, given, {**environ, **variables}, workspace=workspace, temp=temp, token=token)
                done.ended.log += ended.log
                done.ended.summary += ended.summary
                done.ended.exit_code = done.ended.exit_code or ended.exit_code
                is_done = ended.exit_code == 0
                if "id" in step:
                    contexts["steps"][step["id"]] = {"outputs": ended.outputs}
            else:
                is_done = self._foreign(step["uses"], given, environ, workspace)
            if not is_done and not step.get("continue-on-error", False):
                done.result = "failure"
        done.outputs = {key: filled(str(value), contexts) for key, value in job.get("outputs", {}).items()}
        return done

    def _foreign(self, uses: str, given: dict[str, str], environ: Mapping[str, str], workspace: Path) -> bool:
        """Does what that action does, and says whether it succeeded. Fails on an input that is not known here."""
        action, run = uses.partition("@")[0], environ["GITHUB_RUN_ID"]
        assert given.keys() <= INPUTS[action], (action, given.keys() - INPUTS[action])
        if action == "actions/checkout":
            self._checkout(given.get("ref") or environ["GITHUB_SHA"], given.get("fetch-depth", "1"), workspace)
        elif action == "actions/upload-artifact":
            return self._upload(run, given)
        elif action == "actions/download-artifact":
            files = self.artifacts.get((run, given["name"]))
            for name, content in (files or {}).items():
                file = Path(given["path"]) / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            return files is not None
        return True

    def _checkout(self, ref: str, depth: str, workspace: Path) -> None:
        for command in (
            ["init", "--quiet"],
            ["remote", "add", "origin", f"file://{self.bare}"],
            ["fetch", "--quiet", *([] if depth == "0" else [f"--depth={depth}"]), "origin", ref],
            ["checkout", "--quiet", "--detach", "FETCH_HEAD"],
        ):
            subprocess.run(["git", *command], cwd=workspace, check=True, capture_output=True)

    def _upload(self, run: str, given: dict[str, str]) -> bool:
        path = Path(given["path"])
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        if not files:
            return given.get("if-no-files-found") != "error"
        assert (run, given["name"]) not in self.artifacts or given.get("overwrite") == "true", (
            "409: it is there already"
        )
        top = path.parent if path.is_file() else path
        self.artifacts[run, given["name"]] = {str(file.relative_to(top)): file.read_bytes() for file in files}
        return True


INPUTS = {
    "actions/checkout": {"ref", "fetch-depth", "persist-credentials", "path", "repository"},
    "actions/upload-artifact": {"name", "path", "if-no-files-found", "overwrite", "retention-days"},
    "actions/download-artifact": {"name", "path", "pattern", "merge-multiple"},
    "actions/cache/restore": {"path", "key", "restore-keys"},
    "actions/cache/save": {"path", "key"},
    "actions/setup-python": {"python-version"},
}
"""As the actions of the pinned versions document them: what is misspelt is ignored by GitHub but for a warning."""


def is_started(on: Any, github: Mapping[str, Any]) -> bool:
    """Whether the event starts a workflow with this under `on:`."""
    event, name = github["event"], github["event_name"]
    if name not in on:
        return False
    wanted = on[name] or {}
    if name == "push":
        return event["ref"].removeprefix("refs/heads/") in wanted["branches"]
    if name == "workflow_run":
        return event["workflow_run"]["name"] in wanted["workflows"] and event["action"] in wanted["types"]
    return True


def _text(value: Any, contexts: Mapping[str, Any], is_fine: bool) -> str:
    return filled(str(value).lower() if isinstance(value, bool) else str(value), contexts, is_fine)
