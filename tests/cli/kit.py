"""A scratch project and the command line on it, as a user has them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evalgate.cli import call


@dataclass
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Project:
    """A folder with a configuration, eval sets and a history of its own."""

    folder: Path
    capture: pytest.CaptureFixture[str] = field(repr=False)

    def write(self, name: str, text: str) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def rows(self, name: str, rows: list[dict[str, Any]]) -> Path:
        return self.write(name, "".join(json.dumps(row) + "\n" for row in rows))

    def evalgate(self, *arguments: str | Path) -> Said:
        """Runs a command in this process; the current directory is the project's."""
        self.capture.readouterr()
        code = call([str(argument) for argument in arguments])
        out, err = self.capture.readouterr()
        return Said(code=code, out=out, err=err)


APP = '''
"""Answers from a table beside it: the eval's questions are its keys."""
import json, pathlib

TABLE = pathlib.Path(__file__).with_name("answers.json")

def answer(request):
    reply = json.loads(TABLE.read_text())[request.case.id]
    if reply == "boom":
        raise RuntimeError("the index is gone")
    return {"text": reply, "tokens_in": 10, "tokens_out": 2, "cost_usd": 0.001, "model": "table-1"}
'''

CONFIG = """\
version: 1
suite: tables
evalsets: [evalsets/*.yaml]
endpoint: {{kind: python, callable: "app:answer", version: "{version}"}}
run: {{concurrency: 4, max_retries: 0}}
gate: {gate}
"""


def build(project: Project, *, categories: dict[str, int], gate: str = "{}", version: str = "1") -> None:
    """A suite whose every case asks for its own id, answered by a table; all right at first."""
    lines = ["name: tables", "scorers: [exact]", "cases:"]
    for category, size in categories.items():
        for number in range(size):
            case = f"{category}-{number}"
            lines.append(f"  - {{id: {case}, category: {category}, input: {case}, expected: {case}}}")
    project.write("evalsets/tables.yaml", "\n".join(lines) + "\n")
    project.write("app.py", APP)
    project.write("evalgate.yaml", CONFIG.format(gate=gate, version=version))
    answers(project, {f"{category}-{number}": None for category, size in categories.items() for number in range(size)})


def answers(project: Project, wrong: dict[str, str | None]) -> None:
    """What the endpoint answers: None is right, anything else stands as it is."""
    file = project.folder / "answers.json"
    table = json.loads(file.read_text()) if file.exists() else {}
    table.update({case: case if reply is None else reply for case, reply in wrong.items()})
    file.write_text(json.dumps(table))
