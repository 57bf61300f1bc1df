"""What a change alters about its own rules: counted whatever the room, listed as far as it goes, in every format."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from jsonschema import validate
from report_situations import EVIL, altered, weakened

from evalgate.records import Effect
from evalgate.report import machine, markdown, terminal
from evalgate.report.model import Report


def many(size: int, name: str = "a") -> Report:
    """A report on so many weakened rules of each of three kinds."""
    report = weakened().report
    changes = tuple(
        altered("min", f"{name}-{number}", f"floor of {name}-{number} loosened", effect, 0.98, 0.9, cases=30)
        for effect in Effect
        for number in range(size)
    )
    return replace(report, verdict=replace(report.verdict, changes=changes))


@pytest.mark.parametrize("budget", [1, 5_000, 56_000])
@pytest.mark.parametrize("name", ["a", EVIL])
def test_that_rules_are_weakened_and_how_often_is_never_left_out(budget: int, name: str) -> None:
    """Nor whose rules decided."""
    text = markdown.render(many(60, name), budget=budget)
    assert "alters how it is judged: ⚠ 60 changes weaken it, 60 strengthen it, 60 others**" in text
    assert "The rules and exceptions of the base (commit `bbbbbbbbbb`) decided" in text
    assert text.startswith("> [!WARNING]\n> **PASS**")


def test_rows_that_are_left_out_are_counted_and_what_weakens_stays_longest() -> None:
    """Long tables are folded, below the line that counts."""
    text = markdown.render(many(100))
    rows = [
        line
        for line in text.splitlines()
        if line.startswith(("| ⚠\N{NO-BREAK SPACE}weakens", "| strengthens", "| other"))
    ]
    assert f"… {300 - len(rows)} more changes in the JSON report." in text
    assert rows and all(row.startswith("| ⚠\N{NO-BREAK SPACE}weakens") and row.endswith("|") for row in rows)
    assert "<summary>The changes</summary>" in text and "The changes<" not in markdown.render(many(2))
    assert "and 10 more" in text  # cases of one row


def test_a_comment_with_weakened_rules_is_not_folded_to_a_line() -> None:
    """Something changed, though every case came out as before."""
    report = weakened().report
    quiet = replace(report, verdict=replace(report.verdict, changes=(), rules_commit=None))
    assert markdown.render(quiet).startswith("<details>")
    assert not markdown.render(report).startswith("<details>")
    assert (machine.document(quiet)["comment"]["changed"], machine.document(report)["comment"]["changed"]) == (
        False,
        True,
    )


def test_the_terminal_lists_the_first_and_counts_the_rest() -> None:
    """What weakens stands first."""
    text = terminal.render(many(20))
    assert text.count("⚠ weakens: floor of") == 10
    assert "… and 50 more changes: the JSON report lists them all" in text
    assert "! weakens: floor of" in terminal.render(many(1), unicode=False)


def test_programs_get_every_change_as_the_schema_says() -> None:
    """Numbers as numbers, and always a list."""
    report = weakened().report
    found = json.loads(machine.render(report))
    validate(found, machine.verdict_schema())
    assert found["rules_commit"] == "b" * 40
    assert found["changes"][0] == {
        "kind": "min",
        "where": "gate.categories.safety.min",
        "effect": "weakens",
        "before": 0.98,
        "after": 0.9,
        "cases": [],
        "sentence": "floor of safety loosened",
    }
