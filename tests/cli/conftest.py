"""The scratch project of the command-line tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from remote_kit import hosted, template

__all__ = ["hosted", "template"]

sys.path.insert(0, str(Path(__file__).parent))

from kit import Project


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """An empty folder as the current directory, outside any repository and outside GitHub Actions."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    yield Project(folder=tmp_path, capture=capsys)
    # Each test has an `app` of its own.
    sys.modules.pop("app", None)
