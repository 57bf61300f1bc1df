"""The cache of calls as a file: what it keeps, what it lets go, and that nothing wrong with it reaches a run."""

from __future__ import annotations

import random
import sqlite3
import stat
import string
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalgate.runner.cache_file import DAY_S, FILE, USUAL, Bounds, CacheFile

KEY, OTHER = b"k" * 32, b"o" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Opened:
    """Opens the cache of one folder again and again; what it says is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.said = folder, Clock(), list[str]()

    def __call__(self, bounds: Bounds = USUAL) -> CacheFile:
        return CacheFile.open(self.folder, tell=self.said.append, bounds=bounds, clock=self.clock)

    def rows(self) -> int:
        with sqlite3.connect(self.folder / FILE) as connection:
            return int(connection.execute("SELECT count(*) FROM answers").fetchone()[0])

    def change(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.folder / FILE) as connection:
            connection.execute(statement, values)


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    return Opened(tmp_path / "cache")


def _noise(length: int, seed: bytes) -> str:
    """A text that cannot be made much shorter."""
    return "".join(random.Random(seed).choices(string.printable, k=length))


@given(st.dictionaries(st.binary(min_size=32, max_size=32), st.text(max_size=2000), max_size=30))
@settings(max_examples=15)
def test_what_was_put_is_there_in_the_next_process(texts: dict[bytes, str]) -> None:
    """Word for word, whatever it is, and nothing else is."""
    with tempfile.TemporaryDirectory() as folder:
        opened = Opened(Path(folder))
        with opened() as file:
            for key, text in texts.items():
                file.put(key, text)
                assert file.get(key) == text
        with opened() as file:
            assert {key: file.get(key) for key in texts} == texts
            assert file.get(b"never put".ljust(32)) is None
        assert opened.said == []


def test_only_the_owner_reads_it(opened: Opened) -> None:
    """Answers may be confidential."""
    with opened() as file:
        file.put(KEY, "secret plans")
    assert stat.S_IMODE(opened.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in opened.folder.iterdir()} == {0o600}


def test_a_killed_process_loses_no_more_than_half_a_second(opened: Opened) -> None:
    """What was put before stands in the file, though nobody closed it."""
    file = opened()
    file.put(KEY, "first")
    opened.clock.now += 1
    file.put(OTHER, "second")
    with opened() as other:
        assert (other.get(KEY), other.get(OTHER)) == ("first", "second")
    file.close()


def test_an_old_answer_is_asked_anew(opened: Opened) -> None:
    """Providers change what stands behind a name; an answer from the future has no age to be trusted either."""
    with opened() as file:
        file.put(KEY, "4")
    for days, known in ((29, "4"), (31, None), (-3, None)):
        opened.clock.now = 1_800_000_000 + days * DAY_S
        with opened() as file:
            assert file.get(KEY) == known


def test_what_nobody_uses_goes_in_the_end(opened: Opened) -> None:
    """Use keeps an answer on file, not young."""
    with opened() as file:
        file.put(KEY, "used")
        file.put(OTHER, "unused")
    opened.clock.now += 20 * DAY_S
    with opened() as file:
        assert file.get(KEY) == "used"
    opened.clock.now += 15 * DAY_S
    with opened() as file:
        assert (file.get(KEY), file.get(OTHER)) == (None, None)
        file.put(b"n" * 32, "new")
    assert opened.rows() == 2


def test_a_full_cache_lets_go_of_what_was_used_longest_ago(opened: Opened) -> None:
    """It stays within its bound, and the newest are still there."""
    bounds = Bounds(bytes=1 << 20)
    keys = [number.to_bytes(32, "big") for number in range(200)]
    with opened(bounds) as file:
        for key in keys:
            opened.clock.now += 1
            file.put(key, _noise(15_000, key))
    assert (opened.folder / FILE).stat().st_size <= 1 << 20
    with opened(bounds) as file:
        known = [file.get(key) is not None for key in keys]
    assert known == sorted(known) and known[-1] and not known[0]


def test_an_answer_larger_than_a_tenth_of_the_cache_is_not_kept(opened: Opened) -> None:
    """It would drive out everything else."""
    with opened(Bounds(bytes=1 << 20)) as file:
        file.put(KEY, _noise(300_000, KEY))
        assert file.get(KEY) is None


@pytest.mark.parametrize("damage", ["UPDATE answers SET body = ?", "UPDATE answers SET key = ?"])
def test_a_damaged_or_misplaced_answer_is_none(opened: Opened, damage: str) -> None:
    """It is asked again: a wrong answer would be judged as the model's."""
    with opened() as file:
        file.put(KEY, "yes" * 200)
    opened.change(damage, OTHER)
    with opened() as file:
        assert (file.get(KEY), file.get(OTHER)) == (None, None)
    assert opened.said == []


def test_two_processes_at_once_keep_what_either_puts(opened: Opened) -> None:
    """Neither waits for the other to end."""
    with opened() as one, opened() as two:
        for number in range(250):
            (one, two)[number % 2].put(number.to_bytes(32, "big"), str(number))
    with opened() as file:
        assert [file.get(number.to_bytes(32, "big")) for number in range(250)] == [str(n) for n in range(250)]
    assert opened.said == []


# ---- what is wrong with it ------------------------------------------------------------------------------------


def _use(file: CacheFile) -> str | None:
    with file:
        for number in range(250):
            file.put(number.to_bytes(32, "big"), "x")
        return file.get(KEY)


def test_a_folder_that_cannot_be_made_is_told_once(opened: Opened) -> None:
    """The run goes on without a cache."""
    opened.folder.write_text("a file")
    assert _use(opened()) is None
    (said,) = opened.said
    assert str(opened.folder) in said and said.endswith("the run goes on without it.")


def test_a_damaged_file_is_told_once_and_left_alone(opened: Opened) -> None:
    """Whoever owns it may want to know what happened."""
    opened.folder.mkdir()
    (opened.folder / FILE).write_bytes(b"this is no database" * 500)
    assert _use(opened()) is None
    (said,) = opened.said
    assert "is damaged" in said and "Delete it" in said
    assert (opened.folder / FILE).read_bytes().startswith(b"this is no database")


def test_a_file_that_breaks_while_it_is_used_ends_nothing(opened: Opened) -> None:
    """Its pages are overwritten under a run."""
    with opened() as file:
        for number in range(250):
            file.put(number.to_bytes(32, "big"), "x" * 250)
    damaged = bytearray((opened.folder / FILE).read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    (opened.folder / FILE).write_bytes(damaged)
    _use(opened())
    assert len(opened.said) == 1


def test_the_cache_of_a_newer_evalgate_is_left_alone(opened: Opened) -> None:
    """It is neither read nor written."""
    with opened() as file:
        file.put(KEY, "4")
    opened.change("PRAGMA user_version = 99")
    assert _use(opened()) is None
    assert opened.rows() == 1
    assert "newer evalgate" in opened.said[0]


def test_a_cache_that_somebody_holds_is_told_at_the_end(opened: Opened) -> None:
    """Reading goes on; what was to be kept is lost, and no more than that."""
    with opened() as file:
        file.put(KEY, "4")
    holder = sqlite3.connect(opened.folder / FILE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with opened(Bounds(patience_s=0.01)) as file:
        file.put(OTHER, "5")
        assert file.get(KEY) == "4"
    holder.execute("ROLLBACK")
    holder.close()
    assert "no further answers are kept" in opened.said[0]
    assert opened.rows() == 1
