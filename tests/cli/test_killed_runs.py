"""The kill test of the benchmarks, small: the command line is killed wherever chance will have it, and resumed."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

# The benchmarks are not installed; at the end of the path, so that the package under test stays the installed one.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.runner import counting, kill


def test_whatever_moment_a_run_is_killed_at_it_comes_out_as_if_nobody_had(tmp_path: Path) -> None:
    """No result lost, doubled or wrong, no call repeated but those in flight, no journal left."""
    with counting.endpoint(0.02) as url:
        job = kill.Job(cases=60, concurrency=4, url=url)
        found = kill.measure(tmp_path, job=job, kills=3, number=signal.SIGKILL, seed=7)
    assert found.is_good, found.table()
    assert (found.kills, found.results) == (3, 60 * found.runs)


@pytest.mark.parametrize("broken", ["lost", "doubled", "wrong", "different", "repeated", "left"])
def test_anything_that_is_broken_makes_the_kill_test_fail(broken: str) -> None:
    """A test that could not fail would prove nothing."""
    assert kill.Found(repeated=3, in_flight=3).is_good
    found = kill.Found(**{broken: 1})
    assert not found.is_good
    assert found.table().count("MISSED") == 1
