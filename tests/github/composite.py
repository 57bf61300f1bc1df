"""A small runner of composite actions: evaluates the expressions, runs the bash steps, stubs the `uses:` steps.

It does what the real runner does with the parts that evalgate's actions use, and refuses what it does not know.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SUMMARY_BYTES = 1_048_576
_TOKEN = re.compile(
    r"\s*(?:(?P<op>\|\||&&|==|!=|!|\(|\))|'(?P<text>(?:[^']|'')*)'|(?P<number>\d+)|(?P<name>[A-Za-z_][\w.-]*))"
)


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
    temp.mkdir(parents=True, exist_ok=True)
    contexts: dict[str, Any] = {
        "github": {"action_path": str(folder), "token": token, "repository": environ["GITHUB_REPOSITORY"]},
        "runner": {"temp": str(temp), "os": "Linux"},
        "steps": {},
    }
    contexts["inputs"] = {
        name: inputs.get(name, _filled(str(row.get("default", "")), contexts, True)) for name, row in declared.items()
    }
    base = {"PATH": os.environ["PATH"], "RUNNER_TEMP": str(temp), "GITHUB_WORKSPACE": str(workspace)}
    job = {**base, **environ, "GITHUB_ACTION_PATH": str(folder)}
    ended = Ended(exit_code=0, log="", summary="", outputs={})
    for number, step in enumerate(action["runs"]["steps"]):
        is_fine = ended.exit_code == 0
        if not _truth(_evaluated(step.get("if", "success()"), contexts, is_fine)) or not (is_fine or "if" in step):
            continue
        if "uses" in step:
            with_ = {name: _filled(str(value), contexts, is_fine) for name, value in step.get("with", {}).items()}
            ended.used.append((step["uses"], with_))
            continue
        variables = {name: _filled(str(value), contexts, is_fine) for name, value in step.get("env", {}).items()}
        directory = workspace / _filled(step.get("working-directory", "."), contexts, is_fine)
        script = _filled(step["run"], contexts, is_fine)
        _run_step(ended, script, {**job, **variables}, directory, temp / f"step-{number}", step, contexts)
    for name, row in action.get("outputs", {}).items():
        ended.outputs[name] = _filled(row["value"], contexts, ended.exit_code == 0)
    return ended


def _run_step(
    ended: Ended, script: str, job: dict[str, str], directory: Path, files: Path, step: Any, contexts: dict[str, Any]
) -> None:
    assert step["shell"] == "bash"
    files.mkdir(exist_ok=True)
    output, summary = files / "output", files / "summary"
    for file in (output, summary):
        file.write_text("", "utf-8")
    job = {**job, "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=directory, env=job, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False
    )
    ended.log += done.stdout.decode("utf-8")
    text = summary.read_text("utf-8")
    ended.summary += text if len(text.encode()) <= SUMMARY_BYTES else ""
    if "id" in step:
        contexts["steps"][step["id"]] = {"outputs": _outputs(output.read_text("utf-8"))}
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


# ---- expressions --------------------------------------------------------------------------------------------


def _filled(text: str, contexts: Mapping[str, Any], is_fine: bool) -> str:
    return re.sub(r"\${{(.*?)}}", lambda found: _as_text(_evaluated(found[1], contexts, is_fine)), text)


def _evaluated(expression: str, contexts: Mapping[str, Any], is_fine: bool) -> Any:
    tokens: list[tuple[str, str]] = []
    rest = expression.strip()
    rest = rest[3:-2] if rest.startswith("${{") else rest
    while rest.strip():
        found = _TOKEN.match(rest)
        assert found and found.lastgroup, f"not understood: {rest}"
        tokens.append((found.lastgroup, found[found.lastgroup]))
        rest = rest[found.end() :]
    parser = _Parser(tokens, contexts, is_fine)
    value = parser.either()
    assert not parser.tokens, f"not understood: {expression}"
    return value


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]], contexts: Mapping[str, Any], is_fine: bool) -> None:
        self.tokens = tokens
        self.contexts = contexts
        self.is_fine = is_fine

    def either(self) -> Any:
        return self._chain(self._both, "||", lambda left, right: left if _truth(left) else right)

    def _both(self) -> Any:
        return self._chain(self._comparison, "&&", lambda left, right: right if _truth(left) else left)

    def _chain(self, part: Callable[[], Any], operator: str, join: Callable[[Any, Any], Any]) -> Any:
        value = part()
        while self._took(operator):
            value = join(value, part())
        return value

    def _comparison(self) -> Any:
        value = self._single()
        for operator in ("==", "!="):
            if self._took(operator):
                return (_as_text(value).lower() == _as_text(self._single()).lower()) == (operator == "==")
        return value

    def _single(self) -> Any:
        if self._took("!"):
            return not _truth(self._single())
        if self._took("("):
            value = self.either()
            assert self._took(")")
            return value
        kind, text = self.tokens.pop(0)
        if kind == "text":
            return text.replace("''", "'")
        if kind == "number" or text in ("true", "false"):
            return {"true": True, "false": False}.get(text, text)
        if self._took("("):
            assert self._took(")")
            return {"always": True, "success": self.is_fine, "failure": not self.is_fine}[text]
        value = self.contexts
        for name in text.split("."):
            value = value.get(name, "") if isinstance(value, Mapping) else ""
        return value

    def _took(self, operator: str) -> bool:
        if self.tokens and self.tokens[0] == ("op", operator):
            self.tokens.pop(0)
            return True
        return False


def _truth(value: Any) -> bool:
    return value not in (False, "", None, 0)


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
