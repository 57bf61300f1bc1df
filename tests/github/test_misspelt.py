"""An input that the action does not have ends the step, although GitHub hands it to nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalgate.errors import InputError
from evalgate.github.misspelt import misspelt
from evalgate.github.step import read_inputs

SHA = "a" * 40
WORKFLOW = f"""\
jobs:
  evaluate:
    steps:
      - uses: actions/checkout@{SHA}
        with:
          fetch: 2
      - name: Gate
        with: # its inputs
          config: evalgate.yaml
          categroy: |
            refunds: yes
            other: no
          # comment: more

          tag: x
        uses: acme/evalgate@{SHA} # v1
        env:
          token: y
      - uses: acme/evalgate/.github/actions/comment@{SHA}
        with: {{verdict: x}}
      - uses: acme/evalgate@{"b" * 40}
        with:
          newer: x
  other:
    steps:
    - uses: "acme/evalgate@{SHA}"
      with:
        limt: 3
"""


def found(folder: Path, text: str = WORKFLOW, action: str = f"/runner/_actions/acme/evalgate/{SHA}") -> list[str]:
    file = folder / ".github" / "workflows" / "gate.yml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    environ = {
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_WORKFLOW_REF": "acme/bot/.github/workflows/gate.yml@refs/heads/main",
        "GITHUB_ACTION_PATH": action,
    }
    return [f"{fault.where} {fault.what}" for fault in misspelt(environ, {"config", "category", "tag", "limit"})]


def test_every_step_that_uses_this_commit_of_the_action_is_looked_at(tmp_path: Path) -> None:
    """By line; other actions, other commits, and what only looks like a key are left alone."""
    assert found(tmp_path) == [
        ".github/workflows/gate.yml:10 the action has no input categroy",
        ".github/workflows/gate.yml:28 the action has no input limt",
    ]


def test_the_repositorys_own_action_is_known_by_its_path(tmp_path: Path) -> None:
    """`uses: ./`."""
    text = "jobs:\n  a:\n    steps:\n      - uses: ./\n        with:\n          confg: x\n"
    assert found(tmp_path, text, str(tmp_path)) == [".github/workflows/gate.yml:6 the action has no input confg"]


@pytest.mark.parametrize(
    "text", ["", "\x00", "jobs: {a: {steps: [{uses: ./, with: {confg: x}}]}}", "- uses: ./\n", "with:\n  a: b"]
)
def test_what_cannot_be_read_line_by_line_is_let_through(tmp_path: Path, text: str) -> None:
    """GitHub's own warning remains."""
    assert found(tmp_path, text, str(tmp_path)) == []


def test_a_job_without_the_workflows_file_is_let_through(tmp_path: Path) -> None:
    """Nothing is checked out, or another repository's workflow calls this one."""
    assert misspelt({"GITHUB_WORKSPACE": str(tmp_path), "GITHUB_ACTION_PATH": str(tmp_path)}, ()) == []


def test_the_step_ends_before_anything_runs(tmp_path: Path) -> None:
    """With the line, and what there is."""
    found(tmp_path, "jobs:\n  a:\n    steps:\n      - uses: ./\n        with:\n          confg: x\n")
    environ = {
        "GITHUB_WORKSPACE": str(tmp_path),
        "GITHUB_ACTION_PATH": str(tmp_path),
        "GITHUB_WORKFLOW_REF": "acme/bot/.github/workflows/gate.yml@refs/heads/main",
    }
    with pytest.raises(InputError, match=r"gate\.yml:6.* no input confg.*working-directory"):
        read_inputs(environ)
