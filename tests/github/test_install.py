"""What the actions install: what is pinned, from the cache where that holds it, and nothing of the caller's."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / ".github" / "actions" / "install.sh"

STAND_IN = f"""#!/bin/sh
# A Python whose pip notes what it is asked for, and refuses wheels that are not the pinned ones.
case "$*" in
  "-P -c import pip"*) exit "${{PIP_IS_OLD:-0}}" ;;
  "-P -m venv"*) for last; do :; done; mkdir -p "$last/bin" && cp "$0" "$last/bin/python" ;;
  "-P -m pip"*)
    echo "$@" >> "$PIP_LOG"
    wheels=$RUNNER_TEMP/evalgate-wheels
    case "$*" in
      *" download "*) [ -z "$REGISTRY_IS_DOWN" ] && mkdir "$wheels" && echo pinned > "$wheels/a.whl" ;;
      *" -r "*) grep -q pinned "$wheels/a.whl" ;;
    esac ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


@dataclass
class Runner:
    """A runner with one Python."""

    folder: Path
    pip_is_old: bool = False

    def __post_init__(self) -> None:
        program = self.folder / "bin" / "python3"
        program.parent.mkdir(parents=True)
        program.write_text(STAND_IN, "utf-8")
        program.chmod(0o755)
        self.wheels.parent.mkdir()

    @property
    def wheels(self) -> Path:
        return self.folder / "temp" / "evalgate-wheels"

    def install(self, step: str = "install", root: Path = ROOT, **changes: str) -> str:
        """What the step wrote as its outputs. Raises CalledProcessError where it failed."""
        output = self.folder / "output"
        output.write_text("")
        environ = {
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.wheels.parent),
            "GITHUB_OUTPUT": str(output),
            "PIP_LOG": str(self.folder / "pip.log"),
            "PIP_IS_OLD": str(int(self.pip_is_old)),
            **changes,
        }
        subprocess.run(["bash", str(INSTALL), step, str(root)], env=environ, check=True, capture_output=True)
        return output.read_text()

    def asked(self) -> list[str]:
        """What pip was asked to do: `download`, or what was installed."""
        lines = (self.folder / "pip.log").read_text().splitlines()
        for line in lines:
            assert "--require-hashes" in line or line.endswith(f"--no-index --no-deps --no-build-isolation {ROOT}")
            assert "--no-index" in line or " download " in line
            assert f"--python {self.folder}/temp/evalgate-venv/bin/python" in line or self.pip_is_old
        return ["download" if " download " in line else line.rsplit("/", 1)[-1] for line in lines]


def test_without_a_cache_the_pinned_packages_are_fetched_once(tmp_path: Path) -> None:
    """By their hashes; a second step of the same job finds everything done."""
    runner = Runner(tmp_path)
    runner.install()
    assert runner.asked() == ["download", "run.txt", ROOT.name]
    runner.install()
    assert len(runner.asked()) == 3
    assert runner.install("find") == f"python={tmp_path}/temp/evalgate-venv/bin/python\nwheels=\n"


def test_with_a_cache_nothing_is_fetched(tmp_path: Path) -> None:
    """No registry is asked."""
    runner = Runner(tmp_path)
    runner.wheels.mkdir()
    (runner.wheels / "a.whl").write_text("pinned")
    runner.install()
    assert runner.asked() == ["run.txt", ROOT.name]


def test_a_cache_that_somebody_else_has_filled_is_thrown_away(tmp_path: Path) -> None:
    """Every wheel is held against its hash, so a poisoned cache costs time and nothing else."""
    runner = Runner(tmp_path)
    runner.wheels.mkdir()
    (runner.wheels / "a.whl").write_text("evil")
    runner.install()
    assert runner.asked() == ["run.txt", "download", "run.txt", ROOT.name]
    assert (runner.wheels / "a.whl").read_text() == "pinned\n"


def test_an_old_pip_installs_through_one_of_the_environments_own(tmp_path: Path) -> None:
    """Before pip 22.3 there was no way to install elsewhere."""
    runner = Runner(tmp_path, pip_is_old=True)
    runner.install()
    assert runner.asked() == ["download", "run.txt", ROOT.name]


def test_the_caches_name_holds_what_the_packages_depend_on(tmp_path: Path) -> None:
    """System, Python, and the pinned requirements."""
    runner = Runner(tmp_path / "runner")
    name = runner.install("find").partition("wheels=")[2].strip()
    assert sys.implementation.cache_tag in name and name.startswith("evalgate-wheels-")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "run.txt").write_text("other==1\n")
    assert runner.install("find", tmp_path) != runner.install("find")


def test_an_environment_that_is_there_already_is_used(tmp_path: Path) -> None:
    """Nothing to install, nothing to cache."""
    runner = Runner(tmp_path)
    assert runner.install("find", EVALGATE_ACTION_PYTHON="/opt/python") == "python=/opt/python\nwheels=\n"
    assert runner.install("install", EVALGATE_ACTION_PYTHON="/opt/python") == ""


def test_a_registry_that_does_not_answer_is_no_failed_gate(tmp_path: Path) -> None:
    """Exit 3, never 1."""
    runner = Runner(tmp_path)
    with pytest.raises(subprocess.CalledProcessError) as ended:
        runner.install(REGISTRY_IS_DOWN="1")
    assert ended.value.returncode == 3
