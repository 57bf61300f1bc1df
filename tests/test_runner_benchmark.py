"""The runner's benchmark says what was measured: goals beside figures, broken as broken, missing as missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

# The benchmarks are not installed; at the end of the path, so that the package under test stays the installed one.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks.runner import goals, rig
from benchmarks.runner.__main__ import main
from benchmarks.runner.profile import phase_of, profile_of, table
from benchmarks.runner.rig import FLOOR, OURS, Timed


def timed(wall_s: float = 1.0, cpu_s: float = 1.0, peak_mb: float = 80, requests: int = 0, fault: str = "") -> Timed:
    return Timed(wall_s=wall_s, cpu_s=cpu_s, peak_mb=peak_mb, requests=requests, fault=fault)


@pytest.mark.parametrize(
    ("lines", "reached"),
    [
        (goals.start({OURS: [timed(0.7), timed(9), timed(0.8)], FLOOR: [timed(0.4)]}), [True, True]),
        (goals.start({OURS: [timed(0.81)], FLOOR: [timed(0.4)]}), [False, False]),
        (goals.start({OURS: [timed(0.5)]}), [True]),
        (goals.small({OURS: [timed(1.44)]}), [True]),
        (goals.small({OURS: [timed(1.45)]}), [False]),
        (goals.large({OURS: [timed(5.0, cpu_s=5.1)]}), [True, False]),
        (goals.fast({OURS: [timed(10.0)]}), [True]),
        (goals.fast({OURS: [timed(10.1)]}), [False]),
        (goals.memory([timed(peak_mb=100)], [timed(peak_mb=121)]), [True, False]),
        (goals.cached({OURS: [timed(0.9), timed(0.9, requests=1)]}), [True, False]),
    ],
)
def test_a_goal_is_reached_by_the_median_and_no_further(lines: list[goals.Line], reached: list[bool]) -> None:
    """Each bound belongs to its good side."""
    assert reached == [line.is_reached for line in lines]


def test_a_run_with_a_wrong_result_reaches_no_goal() -> None:
    """However fast it was, and although its median hides it."""
    (line,) = goals.small({OURS: [timed(0.9), timed(0.1, fault="3 results missing"), timed(0.9)]})
    assert (line.is_reached, "3 results missing" in line.measured) == (False, True)
    assert "MISSED" in goals.table([line])


def test_what_the_rig_could_not_run_is_no_fast_run() -> None:
    """No line, a wrong exit code or a missing result is told as that."""
    good = {"wall_s": 1, "cpu_s": 1, "peak_mb": 1, "requests": 5, "errors": 0, "rc": 0}
    assert rig.timed(json.dumps(good)).fault == ""
    assert "exit 1" in rig.timed(json.dumps(good | {"rc": 1})).fault
    assert "2 results" in rig.timed(json.dumps(good | {"errors": 2})).fault
    assert "it broke" in rig.timed("", "Traceback: it broke").fault


def test_without_a_rig_there_is_one_clear_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the way to what can be measured without."""
    assert main(["--rig", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert (out, "EVALGATE_BENCH" in err, "benchmarks.runner.kill" in err) == ("", True, True)


def test_a_peer_that_is_not_installed_is_named(tmp_path: Path) -> None:
    """By the environment that its own file asks for."""
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "slow.py").write_text('VENV = "slow-env"\n')
    (tmp_path / "there").mkdir()
    found = rig.missing(tmp_path, tmp_path, ["slow", "there", OURS])
    assert found == {"slow": str(tmp_path / "slow-env")}


def test_a_sample_counts_for_the_innermost_part_of_evalgate() -> None:
    """Encoding counts for who encodes; what nobody called is the loop's, and an import is an import wherever."""
    journal = ("/x/evalgate/runner/journal.py", "_append")
    worker = ("/x/evalgate/runner/run.py", "_worker")
    loop = ("/lib/asyncio/events.py", "_run")
    encoder = ("/lib/json/encoder.py", "encode")
    assert phase_of([encoder, journal, worker, loop]) == "journal"
    assert phase_of([worker, loop]) == "pace and worker"
    assert phase_of([loop]) == "event loop"
    assert phase_of([encoder, ("<frozen importlib._bootstrap>", "_find_and_load"), worker]) == "import"
    assert phase_of([("/lib/random.py", "x")]) == "other"
    profile = profile_of(1.0, 5.0, [([encoder, journal], 3), ([loop], 1)])
    assert profile.phases == {"interpreter": 1.0, "journal": 3.0, "event loop": 1.0}
    assert "| all | 5.00 | 100% | 0.500 |" in table([profile], 10_000, 5)
