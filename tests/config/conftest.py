"""Makes `config_kit` importable, and every path in a message relative to the test's folder."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, which is the current one."""
    with contextlib.chdir(tmp_path):
        yield Path()
