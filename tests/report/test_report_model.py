"""What a report says is looked up once, for every format."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import make_failed, make_output, make_run, make_scored
from report_situations import drop, limit, run, verdict

from evalgate.records import CaseLists, Output, Score, Status, ToolCall, VerdictName
from evalgate.report.model import (
    FailedCase,
    build,
    category_rows,
    cause_groups,
    grave_sentences,
    natural,
    output_text,
    told_limits,
)


def test_failing_categories_stand_first_and_every_case_last() -> None:
    """Then by name."""
    found = (
        drop("*", 0.9, 0.8, Status.BREACH),
        drop("b", 0.9, 0.9, Status.PASS),
        drop("a", 0.9, 0.9, Status.INCONCLUSIVE),
        drop("z", 0.9, 0.5, Status.BREACH),
        drop("y", None, 0.0, Status.MISSING),
    )
    rows = category_rows(verdict(VerdictName.FAIL, "it fell", found))
    assert [row.name for row in rows] == ["y", "z", "a", "b", "*"]


def test_a_category_has_the_gravest_status_of_its_rules() -> None:
    """A floor in breach is not hidden by a drop that passes, and its row keeps the difference."""
    floor = drop("a", None, 0.9, Status.BREACH, rule="min")
    (row,) = category_rows(verdict(VerdictName.FAIL, "it fell", (drop("a", 0.91, 0.9, Status.PASS), floor)))
    assert (row.status, row.delta) == (Status.BREACH, pytest.approx(-0.01))


def test_a_rule_that_does_not_gate_cannot_look_like_a_breach() -> None:
    """It is information, whatever it found."""
    (row,) = category_rows(verdict(VerdictName.PASS, "fine", (drop("a", 0.9, 0.5, Status.BREACH, gating=False),)))
    assert row.status is Status.INFO
    assert not row.fails


def test_the_reason_is_not_said_twice() -> None:
    """Only the findings that the first line leaves out follow it."""
    found = (
        drop("a", 0.9, 0.5, Status.BREACH, sentence="a fell"),
        drop("b", 0.9, 0.5, Status.BREACH, sentence="b fell"),
    )
    assert grave_sentences(verdict(VerdictName.FAIL, "a fell; also failing: b", found)) == ("b fell",)


def test_a_held_error_rate_alone_is_no_news() -> None:
    """Every gate has that limit; it is told when it is breached or other limits stand beside it."""
    held, broken = limit("error_rate", None, 0.0, 0.02), limit("error_rate", None, 0.3, 0.02, Status.BREACH)
    latency = limit("latency_p95_s", 1.0, 1.1, 3.0)
    assert told_limits(verdict(VerdictName.PASS, "fine", (held,))) == ()
    assert told_limits(verdict(VerdictName.ERROR, "errors", (broken,))) == (broken,)
    assert told_limits(verdict(VerdictName.PASS, "fine", (latency, held))) == (held, latency)


def test_flips_show_the_newest_baselines_answer_and_the_mean_of_all() -> None:
    """Whatever the order in which the runs are given."""
    old = run("b-1", {"a-1": (1.0, "old answer")}, minutes=0)
    new = replace(run("b-2", {"a-1": (0.5, "new answer")}), created=old.created.replace(hour=13))
    candidate = run("c-1", {"a-1": (0.0, "wrong")})
    made = verdict(VerdictName.FAIL, "it fell", (), cases=CaseLists(regressed=("a-1",)))
    for runs in ((old, new), (new, old)):
        (flip,) = build(made, candidate, runs).flips
        assert (flip.before, flip.after) == (0.75, 0.0)
        assert (flip.output_before, flip.output_after) == ("new answer", "wrong")
        assert (flip.expected, flip.reason) == ("30 days", "did not find '30 days'")


def judged(value: float, reason: str) -> Score:
    return Score(scorer="contains", value=value, reason=reason, version="1")


@pytest.mark.parametrize(("kind", "shown"), [("regressed", ("good", "bad")), ("improved", ("bad", "good"))])
def test_of_several_epochs_the_answers_that_differ_are_shown(kind: str, shown: tuple[str, str]) -> None:
    """A flip whose two answers look alike would explain nothing."""
    both = [
        make_scored("a-1", score, epoch, output=make_output(text), scores=(judged(score, text),))
        for epoch, (score, text) in enumerate(((1.0, "good"), (0.0, "bad")), start=1)
    ]
    runs = [make_run(id, results=both, categories={"a-1": ["a"]}) for id in ("b", "c")]
    made = verdict(VerdictName.FAIL, "it fell", (), cases=CaseLists(**{kind: ("a-1",)}))
    (flip,) = build(made, runs[1], runs[:1]).flips
    assert shown == (flip.output_before, flip.output_after)
    assert flip.reason == shown[1]


def test_flips_of_the_guilty_categories_stand_first() -> None:
    """Then the largest change, then the name as people count."""
    scores = {"a-1": (0.0, "x"), "a-2": (0.4, "x"), "a-10": (0.0, "x"), "z-1": (0.4, "x"), "b-1": (1.0, "x")}
    before = run("b", {case_id: (1.0 - score, "y") for case_id, (score, _) in scores.items()})
    made = verdict(
        VerdictName.FAIL, "it fell", (drop("z", 0.9, 0.5, Status.BREACH),),
        cases=CaseLists(regressed=("a-1", "a-10", "a-2", "z-1"), improved=("b-1",)),
    )  # fmt: skip
    flips = build(made, run("c", scores), (before,)).flips
    assert [flip.case_id for flip in flips] == ["z-1", "a-1", "a-10", "a-2", "b-1"]


def test_a_flip_without_any_record_is_still_listed() -> None:
    """The verdict names it; its answers are unknown, not invented."""
    made = verdict(VerdictName.FAIL, "it fell", (), cases=CaseLists(regressed=("gone",)))
    (flip,) = build(made, make_run("c"), ()).flips
    assert (flip.case_id, flip.before, flip.output_after, flip.categories) == ("gone", None, None, ())


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, None),
        (Output(), None),
        (Output(text=""), ""),
        (Output(data={"a": "ü"}), '{"a": "ü"}'),
        (Output(text="hi", tool_calls=(ToolCall(name="f", arguments={"x": 1}),)), 'hi\nf({"x": 1})'),
        (Output(tool_calls=(ToolCall(name="f"),)), "f()"),
    ],
)
def test_an_answer_is_text_structure_or_calls(output: Output | None, expected: str | None) -> None:
    """Nothing recorded is None; an empty answer is an empty text."""
    assert expected == output_text(output)


def test_failures_that_look_alike_are_told_once() -> None:
    """Request ids and times differ from call to call; status codes tell causes apart."""
    failures = [
        FailedCase(case_id=f"c-{number}", stage="endpoint", cause=cause, count=1)
        for number, cause in enumerate(
            ("503 (req_8812aa01)", "503 (req_9917bc42)", "429 (req_1b2c3d4e)", "none in 60.2 s", "none in 61.0 s")
        )
    ]
    assert [group.count for group in cause_groups(failures)] == [2, 2, 1]


def test_failures_are_counted_by_result() -> None:
    """Three epochs of a case that failed alike are one line with three results."""
    candidate = make_run("c", results=[make_failed("a", epoch=epoch) for epoch in (1, 2, 3)], categories={"a": ["x"]})
    (failure,) = build(verdict(VerdictName.ERROR, "errors", ()), candidate).failures
    assert (failure.case_id, failure.stage, failure.count) == ("a", "endpoint", 3)


@pytest.mark.parametrize("name", list(VerdictName))
def test_every_verdict_but_a_pass_says_what_to_do_next(name: VerdictName) -> None:
    """And what the caller knows better goes first."""
    made = verdict(name, "because", ())
    assert (build(made, make_run("c")).next_step is None) == (name is VerdictName.PASS)
    assert build(made, make_run("c"), next_step="Do this.").next_step == "Do this."


def test_names_are_sorted_as_people_count() -> None:
    """And digits too long for a number are no harm."""
    names = ["late-10", "late-2", "late-1", "early-3", "x" + "9" * 5000]
    assert sorted(names, key=natural) == ["early-3", "late-1", "late-2", "late-10", "x" + "9" * 5000]
