"""What was written reaches the disk soon, and a disk that refuses is told."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from evalgate.runner.settling import Settling, to_disk


def test_what_is_written_is_forced_to_the_disk_soon(tmp_path: Path) -> None:
    """Without a further write, and again for what came later; nothing is forced where nothing is new."""
    forced: list[int] = []
    happened = threading.Semaphore(0)

    def force(number: int) -> None:
        forced.append(number)
        happened.release()

    with (tmp_path / "file").open("wb") as file:
        settling = Settling(file, soon_s=0.001, force=force)
        for _ in range(2):
            settling.written()
            assert happened.acquire(timeout=30)
        settling.stop()
        assert forced == [file.fileno()] * 2


def test_a_disk_that_refuses_is_told_at_the_next_write(tmp_path: Path) -> None:
    """What was written before may be lost: going on as if nothing were would lose the rest too."""
    tried = threading.Event()

    def refuse(number: int) -> None:
        tried.set()
        raise OSError("disk error")

    with (tmp_path / "file").open("wb") as file:
        settling = Settling(file, soon_s=0.001, force=refuse)
        settling.written()
        assert tried.wait(timeout=30)
        settling.stop()
        with pytest.raises(OSError, match="disk error"):
            settling.written()


def test_a_file_can_be_settled_for_real_and_without_any_write(tmp_path: Path) -> None:
    """The default forces to the disk; a file that nobody wrote to needs no thread."""
    with (tmp_path / "file").open("wb") as file:
        Settling(file).stop()
        settling = Settling(file, soon_s=0.0)
        settling.written()
        settling.stop()
        settling.written()


def test_a_file_system_that_cannot_force_ends_no_run() -> None:
    """A pipe cannot either; a file that is closed is a fault all the same."""
    reading, writing = os.pipe()
    to_disk(writing)
    os.close(reading)
    os.close(writing)
    with pytest.raises(OSError, match="descriptor"):
        to_disk(writing)
