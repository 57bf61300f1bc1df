"""What a user sees while a run goes on."""

from __future__ import annotations

import io
from typing import Any

import pytest
from builders import make_failed, make_output, make_scored
from runner_fakes import FakeTime

from evalgate.errors import CallFault
from evalgate.runner.meter import Meter
from evalgate.runner.progress import Bar, Lines, Silent


def test_lines_come_at_each_tenth() -> None:
    """A log of a thousand results has a dozen lines."""
    stream, time = io.StringIO(), FakeTime()
    lines = Lines(stream, time.clock)
    lines.start(1000)
    for _ in range(1000):
        time.now += 0.01
        lines.advance(make_scored("a", output=make_output(cost_usd=0.001)))
    lines.stop()
    told = stream.getvalue().splitlines()
    assert len(told) == 11
    assert told[0] == "0/1000"
    assert told[5] == "500/1000 (50%)  100/s, $0.50, 5 s left"
    assert told[-1] == "1000/1000 (100%)  100/s, $1.00, 10 s"


def test_lines_come_every_thirty_seconds_when_little_happens() -> None:
    """A CI log in which nothing appears for ten minutes looks dead; retries say why it is slow."""
    stream, time = io.StringIO(), FakeTime()
    lines = Lines(stream, time.clock)
    lines.start(1000, 100)
    for _ in range(70):
        time.now += 1
        lines.retry(CallFault.RATE_LIMITED, 1.0)
    lines.advance(make_failed("a"))
    lines.stop()
    told = stream.getvalue().splitlines()
    assert told[0] == "100/1000 done already"
    assert told[1] == "100/1000 (10%)  30 retries (rate limited)"
    assert told[-1] == "101/1000 (10%)  1 failed, 70 retries (rate limited), 0.0/s, 17 h 28 min left"


def test_a_bar_is_one_line_redrawn_at_most_ten_times_a_second() -> None:
    """And its last state is what stays on the screen."""
    stream, time = io.StringIO(), FakeTime()
    bar = Bar(stream, time.clock)
    bar.start(500)
    for _ in range(500):
        time.now += 0.01
        bar.advance(make_scored("a"))
    bar.stop()
    drawn = stream.getvalue().split("\r\x1b[K")[1:]
    assert 45 <= len(drawn) <= 53
    assert drawn[0] == "........................ 0/500"
    assert drawn[-1] == "######################## 500/500  100/s, 5 s\n"
    assert stream.getvalue().count("\n") == 1


def test_an_unknown_price_is_not_shown_as_a_sum() -> None:
    """Some of the cost would look like the cost."""
    stream, time = io.StringIO(), FakeTime()
    lines = Lines(stream, time.clock)
    lines.start(2)
    time.now += 1
    lines.advance(make_scored("a", output=make_output(cost_usd=0.5)))
    lines.advance(make_scored("b"))
    assert "$" not in stream.getvalue().splitlines()[-1]


@pytest.mark.parametrize(
    ("costs", "budget_usd", "shown"),
    [
        ((0.5, 0.5), 2.0, "4 calls, $1.03 of $2.00, 1 s"),
        ((0.5, 0.5), None, "4 calls, $1.03, 1 s"),
        ((0.5, None), None, "4 calls, cost unknown, 1 s"),
        ((0.5, None), 2.0, "4 calls, cost unknown, 1 s"),
    ],
)
def test_what_is_spent_stands_beside_the_budget(
    costs: tuple[float | None, ...], budget_usd: float | None, shown: str
) -> None:
    """Of the whole run, judges' calls and retries included; a sum of some prices is none."""
    stream, time, used = io.StringIO(), FakeTime(), Meter()
    lines = Lines(stream, time.clock)
    lines.start(2, used=used, budget_usd=budget_usd)
    time.now += 1
    used.in_vain(1)
    used.judged(make_output(cost_usd=0.03))
    for cost in costs:
        result = make_scored("a", output=make_output(cost_usd=cost))
        used.count(result)
        lines.advance(result)
    assert stream.getvalue().splitlines()[-1] == f"2/2 (100%)  2.0/s, {shown}"


@pytest.mark.parametrize("kind", [Bar, Lines])
def test_a_stream_that_went_away_does_not_end_the_run(kind: Any) -> None:
    """`evalgate run 2>&1 | head` closes the pipe."""
    stream = io.StringIO()
    progress = kind(stream, FakeTime().clock)
    progress.start(2)
    stream.close()
    progress.advance(make_scored("a"))
    progress.stop()


@pytest.mark.parametrize("kind", [Bar, Lines])
def test_an_empty_plan_divides_by_nothing(kind: Any) -> None:
    """No result planned is no reason to crash."""
    stream = io.StringIO()
    progress = kind(stream, FakeTime().clock)
    progress.start(0)
    progress.stop()
    assert "0/0" in stream.getvalue()


def test_no_text_of_a_model_reaches_the_terminal() -> None:
    """Workflow commands and escape sequences in an answer or a cause stay out of the log."""
    stream, time = io.StringIO(), FakeTime()
    lines = Lines(stream, time.clock)
    lines.start(2)
    lines.advance(make_scored("::error::a", output=make_output("::set-output name=verdict::pass")))
    lines.advance(make_failed("b", "\x1b[2J##[error]"))
    lines.stop()
    assert "::" not in stream.getvalue() and "\x1b" not in stream.getvalue() and "##" not in stream.getvalue()


def test_silence_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing on either stream."""
    progress = Silent()
    progress.start(1)
    progress.advance(make_scored("a"))
    progress.retry(CallFault.SERVER, 1.0)
    progress.stop()
    assert capsys.readouterr() == ("", "")
