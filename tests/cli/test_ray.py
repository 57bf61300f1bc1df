"""`evalgate run --engine ray`: two local workers, one of them killed. Skipped without the extra `ray`."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from kit import Project, build

from evalgate.cli.commands import COMMANDS
from evalgate.errors import InputError
from evalgate.runner.on_ray import check_address

DOCUMENT = (Path(__file__).parents[2] / "docs" / "scale.md").read_text("utf-8")
CASES = 160

APP = '''
"""Answers each case with its id, slowly, and notes who was asked for what."""
import asyncio, os, pathlib

CALLS = pathlib.Path(__file__).with_name("calls")

async def answer(request):
    with CALLS.open("a") as file:
        file.write(f"{os.getpid()} {request.case.id}\\n")
    print("hello from a worker")
    await asyncio.sleep(0.05)
    return {"text": request.case.id, "cost_usd": 0.001}
'''


def calls(project: Project) -> list[tuple[int, str]]:
    file = project.folder / "calls"
    if not file.exists():
        return []
    rows = [line.split() for line in file.read_text().splitlines()]
    return [(int(row[0]), row[1]) for row in rows if len(row) == 2]


def documented() -> str:
    """The command of the document's part on Ray."""
    part = DOCUMENT.partition("## Ray")[2].partition("\n## ")[0]
    found = re.search(r"^\$ (evalgate run --engine ray.*)$", part, re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed")
def test_a_killed_worker_loses_nothing(project: Project) -> None:
    """As docs/scale.md has it: every case has one result, few calls are made twice, the report is the usual one."""
    build(project, categories={"facts": CASES})
    project.write("app.py", APP)
    words = shlex.split(documented())
    assert words[1] in COMMANDS
    command = [sys.executable, "-c", "from evalgate.cli import main; main()", *words[1:]]
    environ = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command += ["--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, text=True) as process:
        while process.poll() is None and len(calls(project)) < CASES // 3:
            time.sleep(0.02)
        workers = {pid for pid, _ in calls(project)}
        os.kill(calls(project)[-1][0], signal.SIGKILL)
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    verdict = project.evalgate("gate", "latest", "--format", "json").json
    assert out.startswith("{") and f'"id": "{verdict["run"]["id"]}"' in out
    assert verdict["categories"]["facts"]["n"] == CASES == verdict["categories"]["facts"]["passed"]
    asked = Counter(case for _, case in calls(project))
    assert len(asked) == CASES and asked.total() - CASES <= 8 and max(asked.values()) <= 2
    assert len(workers) == 2 and os.getpid() not in workers
    assert "hello from a worker" not in out
    assert not list((project.folder / ".evalgate" / "journal").glob("*.jsonl"))


def test_without_the_extra_the_engine_is_refused_before_anything_is_run(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to install is said; other engines, and workers without one, are no words of ours."""
    monkeypatch.setitem(sys.modules, "ray", None)
    build(project, categories={"facts": 2})
    said = project.evalgate("run", "--engine", "ray")
    assert said.code == 2 and "pip install '.[ray]' in a clone" in said.err
    assert project.evalgate("run", "--engine", "spark").code == 2
    assert project.evalgate("run", "--workers", "2").code == 2
    assert not (project.folder / ".evalgate").exists()


@pytest.mark.parametrize(
    ("address", "told"), [("127.0.0.1:1", "nobody answers"), ("ray://head:10001", "ray job submit")]
)
def test_a_cluster_that_is_not_there_is_told_at_once(address: str, told: str) -> None:
    """Ray itself would look for it for minutes."""
    with pytest.raises(InputError, match=told):
        check_address(address)
