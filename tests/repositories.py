"""Small real repositories with a suite in them."""

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


def git(folder: Path, *arguments: str) -> str:
    """What git says in this folder, with nobody's settings."""
    who = {f"GIT_{role}_{what}": "a" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environ, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


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
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "work")
    return git(folder, "rev-parse", "HEAD")
