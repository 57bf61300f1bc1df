"""Slow scorers, judged in processes of their own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import make_case, make_output

from evalgate.errors import ScorerError
from evalgate.records import Output, Score, ScorerSpec
from evalgate.scorers.beside import Beside, Processes
from evalgate.scorers.build import build

SOURCE = """
import os, time

def judge(case, output):
    print("talk that must not stand between the messages")
    if output.text == "hang":
        time.sleep(60)
    if output.text == "die":
        os._exit(7)
    if output.text == "raise":
        raise ValueError("no such answer")
    return output.text == case.expected, f"judged by {os.getpid()}"
"""

Judge = Callable[..., tuple[list[Score | str], Beside]]


@pytest.fixture
def judged(tmp_path: Path) -> Judge:
    """Judges outputs one after the other as the runner does; a ScorerError becomes its text."""
    (tmp_path / "own.py").write_text(SOURCE, encoding="utf-8")
    spec = ScorerSpec(name="own.py:judge", base_dir=str(tmp_path))

    def judge(*texts: str, slow_s: float, timeout_s: float = 20.0) -> tuple[list[Score | str], Beside]:
        async def run() -> tuple[list[Score | str], Beside]:
            async with Processes(timeout_s, most=1) as processes:
                scorer = Beside(build(spec), spec, processes, slow_s=slow_s, patience_s=0.0)
                return [await _one(scorer, make_output(text)) for text in texts], scorer

        return asyncio.run(run())

    return judge


async def _one(scorer: Beside, output: Output) -> Score | str:
    try:
        if scorer.is_beside:
            return await scorer.score(make_case(expected="4"), output)
        return scorer.score_now(make_case(expected="4"), output)
    except ScorerError as error:
        return str(error)


def pid_of(score: Score | str) -> int:
    assert isinstance(score, Score)
    return int(score.reason.removeprefix("judged by "))


def test_a_slow_scorer_is_moved_and_judges_the_same(judged: Judge) -> None:
    """Value, version and weight do not tell where it was judged; one process serves them all."""
    scores, scorer = judged("4", "5", "4", slow_s=0.0)
    assert scorer.is_beside
    assert pid_of(scores[0]) == os.getpid() != pid_of(scores[1]) == pid_of(scores[2])
    assert [score.value for score in scores if isinstance(score, Score)] == [1.0, 0.0, 1.0]
    assert len({(score.scorer, score.version, score.weight) for score in scores if isinstance(score, Score)}) == 1


def test_a_quick_scorer_stays(judged: Judge) -> None:
    """Most scorers take microseconds: sending them away would cost more than they do."""
    scores, scorer = judged("4", "4", "4", slow_s=30.0)
    assert not scorer.is_beside
    assert {pid_of(score) for score in scores} == {os.getpid()}


def test_a_scorer_that_hangs_dies_or_raises_fails_its_own_results_only(judged: Judge) -> None:
    """The next output is judged by a new process; what an exception says is the same in either place."""
    scores, _ = judged("4", "hang", "die", "raise", "4", slow_s=0.0, timeout_s=1.0)
    assert scores[1] == "scorer own.py:judge: no judgement within 1 s"
    assert scores[2] == "scorer own.py:judge: it ended its process (exit code 7)"
    assert scores[3] == judged("raise", slow_s=30.0)[0][0]
    assert isinstance(scores[4], Score) and scores[4].value == 1.0


def test_processes_end_with_the_run(judged: Judge) -> None:
    """Nobody is left behind."""
    scores, _ = judged("4", "4", slow_s=0.0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid_of(scores[1]), 0)
