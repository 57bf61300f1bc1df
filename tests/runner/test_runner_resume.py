"""A run that did not end goes on, and nothing is paid for twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from builders import make_failed, make_output, make_scored
from runner_fakes import HEADER, FakeEndpoint, FakeScorer, Watcher, go, resumed

from evalgate.errors import CallError, CallFault, StoreError
from evalgate.records import Case, Failed, Output, Request, Result, Scored, Stage
from evalgate.runner.interrupts import ended_politely
from evalgate.runner.journal import Journal


def journal_with(path: Path, *results: Result) -> Journal:
    """The reopened journal of an earlier session that came to these results."""
    with Journal.create(path, HEADER) as journal:
        for result in results:
            journal.write(result)
    return Journal.resume(path, HEADER)


def test_what_is_scored_is_not_asked_again(tmp_path: Path) -> None:
    """And the outcome holds both sessions' results and usage."""
    endpoint, watcher = FakeEndpoint(), Watcher()
    earlier = [make_scored(f"case-000{n}", output=make_output(cost_usd=0.01)) for n in (0, 2)]
    with journal_with(tmp_path / "j.jsonl", *earlier) as journal:
        outcome = asyncio.run(go(4, endpoint=endpoint, journal=journal, progress=watcher))
    assert endpoint.asked == [("case-0001", 1), ("case-0003", 1)]
    assert [result.case_id for result in outcome.results] == [f"case-000{n}" for n in range(4)]
    assert (outcome.usage.calls, outcome.usage.cost_usd) == (4, pytest.approx(0.04))
    assert watcher.started == [(4, 2)]


def test_a_failed_call_deserves_another_try(tmp_path: Path) -> None:
    """What failed yesterday may work today; the new result replaces the old one, in the journal too."""
    path = tmp_path / "j.jsonl"
    with journal_with(path, make_failed("case-0000", attempts=6)) as journal:
        outcome = asyncio.run(go(1, journal=journal))
    assert isinstance(outcome.results[0], Scored)
    assert outcome.usage.calls == 7
    journal, (result,) = resumed(path)
    journal.close()
    assert isinstance(result, Scored)


def test_an_answer_that_could_not_be_judged_is_judged_again_without_a_call(tmp_path: Path) -> None:
    """The call is paid for; the scorer was mended meanwhile."""
    endpoint = FakeEndpoint()
    unjudged = make_failed("case-0000", stage=Stage.SCORER, output=make_output(cost_usd=0.5), attempts=2)
    path = tmp_path / "j.jsonl"
    with journal_with(path, unjudged) as journal:
        outcome = asyncio.run(go(1, endpoint=endpoint, journal=journal))
    (result,) = outcome.results
    assert isinstance(result, Scored)
    assert (endpoint.asked, result.attempts, outcome.usage.cost_usd) == ([], 2, 0.5)
    journal, _ = resumed(path)
    journal.close()
    assert journal.used.usage(None).cost_usd == 0.5


def test_another_version_of_a_scorer_judges_the_kept_answers_again(tmp_path: Path) -> None:
    """One run never mixes two versions of a scorer."""
    endpoint = FakeEndpoint()
    kept = make_scored("case-0000", 0.0, output=make_output("4"))
    with journal_with(tmp_path / "j.jsonl", kept) as journal:
        outcome = asyncio.run(go(1, endpoint=endpoint, journal=journal, scorers=[FakeScorer(version="exact/2")]))
    (result,) = outcome.results
    assert isinstance(result, Scored)
    assert (result.score, result.scores[0].version, endpoint.asked) == (1.0, "exact/2", [])


def test_results_outside_the_plan_stay_outside(tmp_path: Path) -> None:
    """Resumed with fewer cases or epochs, a run has only what is planned now."""
    earlier = (make_scored("case-0000", epoch=2), make_scored("case-0009"), make_scored("case-0000"))
    with journal_with(tmp_path / "j.jsonl", *earlier) as journal:
        outcome = asyncio.run(go(1, journal=journal))
    assert [(result.case_id, result.epoch) for result in outcome.results] == [("case-0000", 1)]


def test_the_budget_holds_over_all_sessions(tmp_path: Path) -> None:
    """Resuming is not a way to spend it twice."""
    endpoint = FakeEndpoint()
    with journal_with(tmp_path / "j.jsonl", make_scored("case-0000", output=make_output(cost_usd=2.0))) as journal:
        outcome = asyncio.run(go(5, endpoint=endpoint, journal=journal, budget_usd=2.0))
    assert endpoint.asked == []
    assert outcome.stopped == "budget of $2.00 spent, after 1 of 5 results"


def test_a_refused_key_ends_a_resumed_run_too(tmp_path: Path) -> None:
    """Answers of an earlier session say nothing about today's key."""

    def refuse(request: Request, attempt: int) -> Output:
        raise CallError(CallFault.CREDENTIALS, "the key was refused")

    with journal_with(tmp_path / "j.jsonl", make_scored("case-0000")) as journal:
        outcome = asyncio.run(go(50, endpoint=FakeEndpoint(refuse), journal=journal, concurrency=1))
    assert "the key was refused" in str(outcome.stopped)
    assert len(outcome.results) == 2


def test_an_answer_whose_judging_was_cut_short_is_kept_for_the_next_session(tmp_path: Path) -> None:
    """The deadline ends the judge's work, not what is already paid for."""
    path = tmp_path / "j.jsonl"
    with Journal.create(path, HEADER) as journal:
        slow = FakeScorer(is_async=True, takes_s=60)
        outcome = asyncio.run(go(1, journal=journal, scorers=[slow], deadline_s=0.1))
    assert outcome.results == ()
    endpoint = FakeEndpoint()
    journal, (kept,) = resumed(path)
    assert isinstance(kept, Failed)
    with journal:
        outcome = asyncio.run(go(1, endpoint=endpoint, journal=journal))
    assert (endpoint.asked, outcome.stopped, outcome.usage.calls) == ([], None, 1)


def test_an_answer_is_kept_before_a_judge_is_asked_about_it(tmp_path: Path) -> None:
    """A kill while the judge thinks costs the judge's call, not the one that is paid for; and it counts once."""
    path = tmp_path / "j.jsonl"
    seen: list[bytes] = []

    def judge(case: Case, output: Output) -> float:
        seen.append(path.read_bytes())
        return 1.0

    with Journal.create(path, HEADER) as journal:
        asyncio.run(go(1, journal=journal, scorers=[FakeScorer(judge, is_async=True)]))
    left = tmp_path / "left.jsonl"
    left.write_bytes(seen[0])
    endpoint = FakeEndpoint()
    journal, _ = resumed(left)
    with journal:
        outcome = asyncio.run(go(1, endpoint=endpoint, journal=journal))
    assert (endpoint.asked, outcome.stopped, outcome.usage.calls) == ([], None, 1)
    journal, (result,) = resumed(path)
    journal.close()
    assert isinstance(result, Scored)
    assert (journal.used.calls, journal.used.usage(None).cost_usd) == (1, 0.01)


def test_a_journal_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    """With its own error; calls in flight are cancelled, and what was written is kept."""

    class Full(Journal):
        def write(self, result: Result, *, is_rejudged: bool = False) -> None:
            if len(lines) == 3:
                raise StoreError("j.jsonl: no space left on device")
            lines.append(result)

    lines: list[Result] = []
    endpoint = FakeEndpoint(takes_s=0.001)
    with pytest.raises(StoreError, match="no space"):
        asyncio.run(go(100, endpoint=endpoint, journal=Full(None, None), concurrency=4))
    assert endpoint.active == 0
    assert len(endpoint.asked) <= 3 + 4


# ---- real processes and real signals ----

PROGRAM = f"""
import asyncio, signal, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from runner_fakes import HEADER, FakeEndpoint, go
from builders import make_output
from evalgate.runner.journal import Journal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
folder, takes_s, stubborn = Path(sys.argv[1]), float(sys.argv[2]), len(sys.argv) > 3

class Told(FakeEndpoint):
    async def call(self, request):
        with (folder / "asked").open("a") as file:
            file.write(request.case.id + "\\n")
        try:
            return await super().call(request)
        except asyncio.CancelledError:
            if stubborn:
                print("stubborn", flush=True)
                await asyncio.sleep(60)
            raise

path = folder / "run-1.jsonl"
journal = Journal.resume(path, HEADER) if path.exists() else Journal.create(path, HEADER)
with journal:
    outcome = asyncio.run(go(200, endpoint=Told(takes_s=takes_s), journal=journal, concurrency=8))
print(len(outcome.results), outcome.interrupted, outcome.stopped)
"""


def start(folder: Path, takes_s: float, *more: str) -> subprocess.Popen[str]:
    """The program, once it has begun to write results (or, with more arguments, to make calls)."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), str(takes_s), *more], stdout=subprocess.PIPE, text=True
    )
    sign, least = (folder / "asked", 8) if more else (folder / "run-1.jsonl", 30)
    until = time.monotonic() + 30
    while not sign.exists() or sign.read_bytes().count(b"\n") < least:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.002)
    return process


def finish(folder: Path) -> str:
    """What the program says when it is started once more and left alone."""
    command = [sys.executable, "-c", PROGRAM, str(folder), "0"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_kill_minus_nine_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """After SIGKILL only the calls that were in flight are made again."""
    process = start(tmp_path, 0.01)
    process.kill()
    process.communicate()
    journal, kept = resumed(tmp_path / "run-1.jsonl")
    journal.close()
    assert 29 <= len(kept) < 200
    assert finish(tmp_path) == "200 False None"
    asked = Counter((tmp_path / "asked").read_text().split())
    assert len(asked) == 200
    repeated = {case for case, count in asked.items() if count > 1}
    assert len(repeated) <= 8
    assert not repeated & {result.case_id for result in kept}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_a_run_that_can_be_resumed(tmp_path: Path, number: signal.Signals) -> None:
    """The process ends by itself, says that it was interrupted, and every finished result is in the journal."""
    process = start(tmp_path, 0.01)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    count, interrupted, reason = said.strip().split(" ", 2)
    assert process.returncode == 0
    assert interrupted == "True"
    assert reason == f"interrupted by {number.name}, after {count} of 200 results"
    journal, kept = resumed(tmp_path / "run-1.jsonl")
    journal.close()
    assert len(kept) == int(count)
    assert finish(tmp_path) == "200 False None"
    assert len((tmp_path / "asked").read_text().split()) <= 200 + 8


def test_a_second_interrupt_ends_the_process_at_once(tmp_path: Path) -> None:
    """Whatever the endpoint does with its cancellation."""
    process = start(tmp_path, 60, "stubborn")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "stubborn\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT


def test_two_processes_do_not_run_one_run(tmp_path: Path) -> None:
    """The second is refused while the first is at it."""
    process = start(tmp_path, 60, "stubborn")
    second = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), "0"], capture_output=True, text=True, check=False
    )
    process.kill()
    process.communicate()
    assert "another process" in second.stderr


def test_handlers_of_signals_are_put_back() -> None:
    """A run inside a larger program leaves its Ctrl-C as it was."""
    before = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    asyncio.run(go(3))
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_outside_the_calls_sigterm_is_as_polite_as_ctrl_c() -> None:
    """Whoever is ended while it decides or stores can still say how to go on; afterwards all is as it was."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_politely():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    assert before == signal.getsignal(signal.SIGTERM)
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with ended_politely():
            os.kill(os.getpid(), signal.SIGTERM)  # somebody wants it ignored
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_interrupt_after_the_last_result_interrupts_nothing() -> None:
    """The plan is done."""

    def answer(request: Request, attempt: int) -> Output:
        os.kill(os.getpid(), signal.SIGTERM)
        return make_output()

    outcome = asyncio.run(go(1, endpoint=FakeEndpoint(answer)))
    assert (len(outcome.results), outcome.stopped, outcome.interrupted) == (1, None, False)
