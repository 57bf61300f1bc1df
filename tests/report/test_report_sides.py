"""Runs to read: two side by side, one alone, a history."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from builders import NOON, make_failed, make_run
from report_situations import EVIL, run

from evalgate.harmless import log_safe
from evalgate.records import Run, RunRow
from evalgate.report.pages import Format
from evalgate.report.pen import Pen, display_width
from evalgate.report.sides import compare, history, show

BEFORE = run("r-1", {"refunds-1": (1.0, "Within 30 days."), "refunds-2": (1.0, "30 days"), "dates-1": (0.0, "soon")})
AFTER = run("r-2", {"refunds-1": (0.0, "Within 40 days."), "refunds-2": (1.0, "30 days"), "dates-1": (1.0, "30 days")})


def make_row(**changes: Any) -> RunRow:
    """A run of the main branch that passed."""
    values: dict[str, Any] = {
        "id": "r-1",
        "suite": "support-bot",
        "created": NOON,
        "commit": "c0ffee" + "0" * 34,
        "branch": "main",
        "version": "s1:01",
        "selection": None,
        "stopped": None,
        "origin": "run",
        "n_cases": 810,
        "n_results": 810,
        "n_unscored": 0,
        "score": 0.912,
        "cost_usd": None,
        "verdict": "pass",
        "exit_code": 0,
        "blessed": False,
        "plan": "p-1",
    }
    return RunRow(**{**values, **changes})


def test_compare_shows_each_category_with_its_flips() -> None:
    """Means over the cases that both have, and both answers of what flipped."""
    text = compare(BEFORE, AFTER)
    assert "refunds         2  100.0 %   50.0 %   −50.0          1         0" in text
    assert "every case      3   66.7 %   66.7 %     0.0          1         1" in text
    for said in ("2 cases flipped: 1 regressed, 1 improved", "Within 30 days.", "Within 40 days.", "soon"):
        assert said in text


def test_compare_takes_only_cases_that_both_have() -> None:
    """A case of one side alone moves no mean, and is named."""
    extra = make_run("x", refunds=[0])
    more = replace(AFTER, cases=(*AFTER.cases, *extra.cases), results=(*AFTER.results, *extra.results))
    read = json.loads(compare(BEFORE, more, format="json"))
    assert read["categories"]["refunds"]["n"] == 2
    assert "1 case have a score after only: refunds-0" in compare(BEFORE, more)


def test_compare_says_where_content_or_scorers_differ() -> None:
    """Reading is allowed; believing it blindly is not."""
    old, new = (
        replace(side, cases=tuple(replace(ref, content=name) for ref in side.cases))
        for side, name in ((BEFORE, "a"), (AFTER, "b"))
    )
    assert "3 cases differ in content or scorers, and are compared all the same" in compare(old, new)


def test_swapping_the_sides_flips_the_sign() -> None:
    """What regressed one way improved the other way."""
    there, back = (json.loads(compare(a, b, format="json")) for a, b in ((BEFORE, AFTER), (AFTER, BEFORE)))
    for name, row in there["categories"].items():
        assert row["delta"] == -back["categories"][name]["delta"]
        assert row["regressed"] == back["categories"][name]["improved"]


def test_show_tells_one_run() -> None:
    """Its categories, what has no score and why, and the lowest answers."""
    broken = replace(AFTER, results=(*AFTER.results, make_failed("dates-2", "overloaded")), stopped="the budget ended")
    text = show(broken)
    for said in (
        "run r-2 of support-bot",
        "the budget ended",
        "overloaded",
        "1 case below the pass mark",
        "Within 40 days.",
    ):
        assert said in text
    read = json.loads(show(broken, format="json"))
    assert (read["unscored"], read["categories"]["refunds"]["passed"]) == (1, 1)


def test_answers_are_left_out_where_they_are_not_wanted() -> None:
    """A published page names the cases only."""
    for text in (compare(BEFORE, AFTER, format="markdown", show_outputs=False), show(AFTER, show_outputs=False)):
        assert "Within 40 days" not in text
        assert "refunds-1" in text


def test_history_has_a_line_for_each_run() -> None:
    """In the order given, with what sets a run apart from a full one."""
    rows = (
        make_row(),
        make_row(id="r-0", verdict=None, score=None, selection="--category refunds", blessed=True, n_unscored=3),
    )
    lines = history(rows, pen=Pen(width=120)).splitlines()
    assert lines[-2].split()[0] == "r-1"
    assert lines[-1].endswith("not decided, blessed, partial, 3 unscored")
    assert [run["id"] for run in json.loads(history(rows, format="json"))["runs"]] == ["r-1", "r-0"]


def test_an_empty_history_says_so() -> None:
    """Nothing printed would look like a fault."""
    assert history(()) == "No runs.\n"
    assert json.loads(history((), format="json")) == {"runs": []}


def evil_run(id: str, score: float) -> Run:
    return replace(run(id, {f"{EVIL}-1": (score, EVIL)}), branch=EVIL, suite=EVIL, stopped=EVIL, selection=EVIL)


@pytest.mark.parametrize("format", ["text", "markdown", "json"])
def test_hostile_names_do_nothing_on_any_page(format: Format) -> None:
    """No workflow command, marker or escape, in any format."""
    pen = Pen()
    a, b = evil_run(EVIL, 1.0), evil_run(f"{EVIL}2", 0.0)
    pages = (
        compare(a, b, format=format, pen=pen),
        show(b, format=format, pen=pen),
        history((make_row(id=EVIL, suite=EVIL), make_row(branch=EVIL, verdict=EVIL)), format=format, pen=pen),
    )
    for page in pages:
        assert "\x1b" not in page
        if format != "text":  # a text's way to a log leads through `log_safe`
            assert page == log_safe(page)
        assert format == "json" or "<!-- evalgate" not in page or format == "text"


@pytest.mark.parametrize("width", [80, 120])
def test_pages_fit_their_width(width: int) -> None:
    """Names are shortened, numbers are not."""
    pen = Pen(width=width)
    a, b = evil_run("r-1", 1.0), evil_run("r-2", 0.0)
    for page in (compare(a, b, pen=pen), show(b, pen=pen), history((make_row(stopped="x", blessed=True),), pen=pen)):
        assert [line for line in page.splitlines() if display_width(line) > width] == []
