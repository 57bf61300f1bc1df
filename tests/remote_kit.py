"""Bare repositories on the disk in the part of a remote, and clones of them; made once, copied for each test."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from repositories import ENVIRON, git

from evalgate.history.remote import Remote


@dataclass(frozen=True, kw_only=True)
class Hosted:
    """A remote on the disk with a clone of it."""

    bare: Path
    clone: Path

    @property
    def remote(self) -> Remote:
        return Remote.of(self.clone, ENVIRON)

    def another(self, name: str, depth: int | None = 1) -> Path:
        """One more clone: another machine."""
        return cloned(self.bare, self.bare.parent / name, depth=depth)

    def hook(self, name: str, script: str) -> None:
        """What the remote does when it is pushed to."""
        file = self.bare / "hooks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def ids(self, ref: str = "main") -> list[str]:
        return git(self.bare, "rev-list", "--first-parent", ref).split()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: a remote with five commits on main, and a clone of depth 1."""
    folder = tmp_path_factory.mktemp("hosted")
    made(folder)
    return folder


@pytest.fixture
def hosted(template: Path, tmp_path: Path) -> Hosted:
    """A remote and a clone of it, for one test."""
    return copied(template, tmp_path)


def made(folder: Path) -> Hosted:
    """main has five commits, each of which writes `a.txt` and a file in `sets/`."""
    bare, first = folder / "remote.git", folder / "first"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(bare)], check=True, env=ENVIRON)
    git(bare, "config", "uploadpack.allowFilter", "true")
    subprocess.run(["git", "clone", "--quiet", str(bare), str(first)], check=True, env=ENVIRON, capture_output=True)
    (first / "sets").mkdir()
    for number in range(5):
        (first / "a.txt").write_text(f"{number}\n")
        (first / "sets" / f"{number}.yaml").write_text(f"name: set{number}\n")
        git(first, "add", ".")
        git(first, "commit", "--quiet", "-m", str(number))
    git(first, "push", "--quiet", "origin", "HEAD:main")
    return Hosted(bare=bare, clone=cloned(bare, folder / "clone"))


def copied(template: Path, folder: Path) -> Hosted:
    """A template of `made` in a folder of its own."""
    shutil.copytree(template, folder / "host", symlinks=True)
    hosted = Hosted(bare=folder / "host" / "remote.git", clone=folder / "host" / "clone")
    git(hosted.clone, "remote", "set-url", "origin", f"file://{hosted.bare}")
    return hosted


def cloned(bare: Path, clone: Path, depth: int | None = 1) -> Path:
    deep = [] if depth is None else [f"--depth={depth}"]
    subprocess.run(["git", "clone", "--quiet", *deep, f"file://{bare}", str(clone)], check=True, env=ENVIRON)
    return clone


def state(folder: Path) -> dict[str, bytes]:
    """Every file of a clone, its `.git` included, without what is ours."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and ".evalgate" not in file.parts
    }
