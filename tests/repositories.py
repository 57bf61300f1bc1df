"""Real repositories, small ones: git with nobody's settings, commits, and a suite to put in them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

CONFIG = """\
version: 1
suite: support-bot
evalsets: [evalsets/*.yaml]
endpoint: {kind: openai, base_url: "${NOT_SET_ANYWHERE}", api_key_env: MODEL_KEY, model: m-1}
history: {store: "${NOT_SET_EITHER}"}
gate:
  each_category: {max_drop: 0.05}
  categories:
    safety: {min: 0.98, critical: true}
"""
EVALSET = """\
name: bot
category: safety
scorers: [exact]
cases:
  - {id: s-1, input: one, expected: "1"}
  - {id: s-2, input: two, expected: "2"}
"""
SUITE = {"evalgate.yaml": CONFIG, "evalsets/bot.yaml": EVALSET}


NOBODY = {
    **{f"GIT_{role}_{what}": "somebody" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}
"""What git is told, so that nothing depends on who runs the tests."""
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "GITHUB_"))} | NOBODY
"""This process's environment with that, and without the job and the hook that the tests may run in."""


def git_bytes(folder: Path, *arguments: str, content: bytes = b"") -> bytes:
    """What git answers in this folder, to the byte. content: its stdin."""
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=ENVIRON, check=True, capture_output=True, input=content).stdout


def git(folder: Path, *arguments: str, content: bytes = b"") -> str:
    """What git answers in this folder."""
    return git_bytes(folder, *arguments, content=content).decode().strip()


def commit(folder: Path, message: str) -> str:
    """A new commit of what is in the index, or of nothing; its id."""
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def repository(folder: Path) -> Path:
    """An empty repository on branch `main`."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    return folder


def written(folder: Path, files: Mapping[str, str | None]) -> None:
    """These files on disk; None takes one away."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            file.unlink()
        else:
            file.write_text(text, encoding="utf-8")


def committed(folder: Path, files: Mapping[str, str | None]) -> str:
    """The commit of these files and of whatever else differs."""
    written(folder, files)
    git(folder, "add", "--all")
    return commit(folder, "work")
