"""The calibration page: whole, as people get it, and what it says where little is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evalgate.report.calibration import (
    Advice,
    Calibration,
    CaseFigures,
    CategoryFigures,
    Culprit,
    LeftOut,
    Simulated,
    render,
)
from evalgate.report.pages import Format
from evalgate.report.pen import Pen, display_width

GOLDEN = Path(__file__).with_name("calibration.txt")


def figures(name: str, cases: int, blocked: int | None, changed: int | None, *drops: float | None) -> CategoryFigures:
    kinds = ("now", "three_repeats", "twice_the_cases", "runs_of_history_5", "runs_of_history_10")
    return CategoryFigures(
        name=name,
        cases=cases,
        blocked=blocked,
        doubted=blocked,
        repeated=0 if changed is None else cases,
        changed=changed,
        within_sd=None if changed is None else 0.21,
        mean_sd=None if changed is None else 0.034,
        detectable=dict(zip(kinds, drops, strict=False)),
    )


FOUND = Calibration(
    suite="support-bot",
    runs=("run-3", "run-2", "run-1"),
    why="newest",
    cases=46,
    alpha=0.05,
    left_out=LeftOut(judged=3, blocked=("run-2",), unevaluated=0),
    simulated=Simulated(
        pulls=200,
        blocked=4,
        standard_error=0.0116,
        doubted=7,
        calls_per_case=1.361,
        confirms=True,
        is_baseline_called=True,
    ),
    categories=(
        figures("*", 46, 0, 7, 0.081, 0.09, 0.055, 0.075, 0.07),
        figures("refunds", 40, 1, 6, 0.124, 0.15, 0.083, 0.12, 0.11),
        figures("tone", 6, 3, 1, None, None, 0.41, 0.52, 0.33),
    ),
    wavering=(CaseFigures(id="refund-07", category="refunds", passed=2, answers=3),),
    wavering_in_all=7,
    useful=0.2,
    coarse=("tone",),
    culprits=(),
    advice=Advice(
        name="runs_of_history_10",
        calls_once=322,
        calls_per_pull=0.0,
        worst_before=None,
        worst_after=0.33,
        coarse_after=("tone",),
        new_cases=0,
        new_runs=7,
    ),
    cost_per_call_usd=0.0021,
    runs_to_know=0,
    calls_to_know=0,
)

UNKNOWN = replace(
    FOUND,
    runs=("run-1",),
    left_out=None,
    simulated=None,
    categories=(figures("*", 46, None, None, 0.14), figures("refunds", 40, None, None, 0.2)),
    wavering=(),
    coarse=(),
    advice=None,
    cost_per_call_usd=None,
    runs_to_know=4,
    calls_to_know=184,
)


def test_the_page_reads_as_it_was_approved() -> None:
    """It is read by people who know no statistics: each change of it is looked at."""
    assert render(FOUND, pen=Pen(width=100)) == GOLDEN.read_text("utf-8")


@pytest.mark.parametrize("found", [FOUND, UNKNOWN], ids=["known", "unknown"])
@pytest.mark.parametrize("width", [80, 100])
def test_the_page_fits_its_width(found: Calibration, width: int) -> None:
    """Tables too."""
    lines = render(found, pen=Pen(width=width)).splitlines()
    assert [line for line in lines if display_width(line) > width] == []


def test_one_run_says_what_cannot_be_told_and_what_to_do() -> None:
    """Nothing is made up, and an unknown price is not nothing."""
    text = " ".join(render(UNKNOWN).split())
    assert "cannot be told yet" in text
    assert (
        "evalgate calibrate --runs 4. Price: 184 calls (their price is unknown, since no run tells it), once." in text
    )
    assert "How noisy it is" not in text


def test_none_of_so_many_is_not_never() -> None:
    """Three in as many is what 95 % of luck allows."""
    assert FOUND.simulated is not None
    none = replace(FOUND, simulated=replace(FOUND.simulated, blocked=0, doubted=0))
    assert "would block at most 2 of 100 pull requests" in render(none)
    rare = replace(FOUND, simulated=replace(FOUND.simulated, blocked=1))
    assert "would block 1 of 200 pull requests" in render(rare)


def culprit(**changes: object) -> Culprit:
    values = {"category": "tone", "rule": "max_drop", "blocked": 150, "mean": 0.9, "floor": None}
    return Culprit(**{**values, "is_critical": False, "is_literal": False, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rule": "min", "floor": 0.95}, "score 90.0 %, which is below it"),
        ({"rule": "min", "floor": 0.85, "is_critical": True}, "too little to be proven: it takes more cases"),
        ({"is_literal": True}, "compares two numbers without regard to noise"),
        ({"rule": "critical"}, "marked critical and waver"),
        ({"rule": "anchor"}, "its drop from the anchor"),
        ({}, "record more runs"),
    ],
)
def test_a_rule_that_blocks_what_did_not_change_is_named_with_what_to_do(changes: dict[str, object], said: str) -> None:
    """Before anything is bought."""
    text = " ".join(render(replace(FOUND, culprits=(culprit(**changes),))).split())
    assert "tone alone blocks 150 of 200 unchanged pull requests" in text
    assert said in text


@pytest.mark.parametrize(
    ("advice", "said"),
    [
        ({"name": "three_repeats", "calls_once": 0, "calls_per_pull": 75.4, "new_runs": 0},
         "Repeat every case three times (run: {epochs: 3} in evalgate.yaml). Price: 75 calls (about 0.16 USD) more"),
        ({"name": "twice_the_cases", "calls_once": 0, "calls_per_pull": 8.2, "new_runs": 0, "new_cases": 6},
         "Write as many cases again for these categories (6 cases). Price: 8 calls (about 0.017 USD) more"),
    ],
)  # fmt: skip
def test_what_each_pull_request_pays_is_told_as_such(advice: dict[str, object], said: str) -> None:
    """Calls and dollars."""
    assert FOUND.advice is not None
    changed = replace(FOUND.advice, **advice)  # type: ignore[arg-type]
    assert said in " ".join(render(replace(FOUND, advice=changed)).split())


def test_where_nothing_helps_a_larger_category_is_advised() -> None:
    """And nothing is sold."""
    text = render(replace(FOUND, advice=None))
    assert "second category" in " ".join(text.split()) and "Price" not in text


@pytest.mark.parametrize("format", ["json", "markdown"])
def test_every_format_has_the_figures(format: Format) -> None:
    """JSON under the name of its schema, unknown as null."""
    text = render(FOUND, format=format)
    if format == "markdown":
        assert "| `refunds`" in text and "12.4 (5)" in text
        return
    told = json.loads(text)
    assert told["schema"] == "evalgate.calibration/1"
    assert told["categories"]["tone"]["detectable"]["now"] is None
    assert (told["advice"]["usd_once"], told["advice"]["worst_before"]) == (0.6762, None)
    unknown = json.loads(render(UNKNOWN, format=format))
    assert (unknown["simulated"], unknown["left_out"], unknown["cost_per_call_usd"]) == (None, None, None)
