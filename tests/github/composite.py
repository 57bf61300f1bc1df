"""A small runner of composite actions: evaluates the expressions, runs the bash steps, stubs the `uses:` steps.

It does what the real runner does with the parts that evalgate's actions use, and refuses what it does not know.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from expressions import filled, holds

SUMMARY_BYTES = 1_048_576


@dataclass
class Ended:
    """What an action left behind."""

    exit_code: int
    log: str
    summary: str
    outputs: dict[str, str]
    used: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """The `uses:` steps that were reached, with their evaluated inputs."""


def run_action(
    folder: Path, inputs: Mapping[str, str], environ: Mapping[str, str], *, workspace: Path, temp: Path, token: str = ""
) -> Ended:
    """Runs the action in `folder` as one step of a job whose variables are `environ`.

    Unknown inputs fail: GitHub would only warn. The job's own variables replace those of this process.
    """
    action = yaml.safe_load((folder / "action.yml").read_text("utf-8"))
    declared = action.get("inputs", {})
    assert inputs.keys() <= declared.keys(), f"unknown inputs: {inputs.keys() - declared.keys()}"
    required = {name for name, row in declared.items() if row.get("required") and "default" not in row}
    assert required <= inputs.keys(), f"missing inputs: {required - inputs.keys()}"
    temp.mkdir(parents=True, exist_ok=True)
    contexts: dict[str, Any] = {
        "github": {**github_context(environ, token), "action_path": str(folder)},
        "runner": {"temp": str(temp), "os": "Linux"},
        "steps": {},
    }
    contexts["inputs"] = {
        name: inputs.get(name, filled(str(row.get("default", "")), contexts)) for name, row in declared.items()
    }
    own = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX") if name in os.environ}
    base = {**own, "RUNNER_TEMP": str(temp), "GITHUB_WORKSPACE": str(workspace)}
    job = {**base, **environ, "GITHUB_ACTION_PATH": str(folder)}
    ended = Ended(exit_code=0, log="", summary="", outputs={})
    for number, step in enumerate(action["runs"]["steps"]):
        is_fine = ended.exit_code == 0
        if "id" in step:
            assert step["id"] not in contexts["steps"], f"the id {step['id']} is used twice"
            contexts["steps"][step["id"]] = {"outputs": {}}
        if not holds(step.get("if", "success()"), contexts, is_fine):
            continue
        if "uses" in step:
            with_ = {name: filled(str(value), contexts, is_fine) for name, value in step.get("with", {}).items()}
            ended.used.append((step["uses"], with_))
            continue
        variables = {name: filled(str(value), contexts, is_fine) for name, value in step.get("env", {}).items()}
        directory = workspace / filled(step.get("working-directory", "."), contexts, is_fine)
        run_step(ended, step, {**job, **variables}, directory, temp / f"step-{number}", contexts)
    for name, row in action.get("outputs", {}).items():
        ended.outputs[name] = filled(row["value"], contexts, ended.exit_code == 0)
    return ended


def github_context(environ: Mapping[str, str], token: str) -> dict[str, Any]:
    """The context `github` of a job with these variables."""
    names = ("actor", "event_name", "ref", "repository", "run_attempt", "run_id", "sha")
    values = {name: environ.get(f"GITHUB_{name.upper()}", "") for name in names}
    event = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text("utf-8"))
    return {**values, "token": token, "event": event}


def run_step(
    ended: Ended, step: Any, job: Mapping[str, str], directory: Path, files: Path, contexts: dict[str, Any]
) -> None:
    """Runs one bash step as the runner does, and adds what it left to `ended` and to the context `steps`."""
    assert step["shell"] == "bash"
    files.mkdir(exist_ok=True, parents=True)
    for_runner = {name: files / name.lower() for name in ("OUTPUT", "STEP_SUMMARY", "ENV", "PATH", "STATE")}
    for file in for_runner.values():
        file.write_text("", "utf-8")
    variables = {**job, **{f"GITHUB_{name}": str(file) for name, file in for_runner.items()}}
    script = filled(step["run"], contexts, ended.exit_code == 0)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(
        command,
        cwd=directory,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    ended.log += done.stdout.decode("utf-8")
    text = for_runner["STEP_SUMMARY"].read_text("utf-8")
    ended.summary += text if len(text.encode()) <= SUMMARY_BYTES else ""
    left = [name for name in ("ENV", "PATH", "STATE") if for_runner[name].read_text("utf-8")]
    assert not left, f"the step changes the job of its caller: {left}"
    if "id" in step:
        contexts["steps"][step["id"]] = {"outputs": _outputs(for_runner["OUTPUT"].read_text("utf-8"))}
    ended.exit_code = ended.exit_code or done.returncode


def _outputs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, mark, rest = line.partition("<<")
        if mark and "=" not in name:
            found[name] = "\n".join(iter(lambda: next(lines), rest))
        else:
            name, _, found[name] = line.partition("=")
    return found
