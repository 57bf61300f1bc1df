"""The comment: fits its budget, says what it leaves out, shows no model's text unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import make_failed
from report_situations import EVIL, drop, failed, hostile, limit, run, situations, verdict

from evalgate.records import CaseLists, Status, VerdictName
from evalgate.report import markdown
from evalgate.report.model import Report, build
from evalgate.report.room import BUDGET


def huge(size: int, name: str = "category") -> Report:
    """A report with `size` of everything."""
    names = [f"{name}-{number}" for number in range(size)]
    found = (
        *(drop(each, 0.9, 0.5, Status.BREACH, sentence=f"{each} fell") for each in names),
        *(drop(f"quiet {each}", 0.9, 0.9, Status.PASS) for each in names),
        *(limit(f"latency_p{number}_s", 1.0, 2.0, 1.5, Status.BREACH) for number in range(size)),
    )
    cases = tuple(f"{name}-case-{number}" for number in range(size))
    lists = CaseLists(regressed=cases, added=cases, removed=cases, missing=cases, flaky=cases, changed=cases)
    candidate = run("c", dict.fromkeys(cases, (0.0, "answer " * 200)))
    candidate = replace(candidate, results=(*candidate.results, *(make_failed(f"e-{each}", each) for each in names)))
    made = verdict(VerdictName.FAIL, f"{name} fell", found, cases=lists, notes=tuple(names))
    before = run("b", dict.fromkeys(cases, (1.0, "answer " * 200)))
    return build(made, candidate, (before,), reproduce=tuple(names), show_outputs=True)


@pytest.mark.parametrize("budget", [8_000, 60_000, 1_000_000])
@pytest.mark.parametrize("name", ["category", "Ünï 中文", "@#:$`|"])
def test_a_comment_never_exceeds_its_budget(budget: int, name: str) -> None:
    """Counted in bytes: no other way of counting gives more."""
    assert len(markdown.render(huge(400, name), budget=budget).encode()) <= budget


def test_hostile_names_of_any_length_cannot_burst_the_budget() -> None:
    """Names are shortened one by one, rows are left out whole."""
    assert len(markdown.render(huge(40, EVIL * 20)).encode()) <= BUDGET


@pytest.mark.parametrize("budget", [8_000, 20_000, 60_000])
def test_what_is_left_out_is_counted(budget: int) -> None:
    """Every row of the table is whole, and the missing ones are numbered."""
    text = markdown.render(huge(400), budget=budget)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
    shown = sum(line.startswith(("| **`category", "| `quiet category")) for line in rows)
    assert f"… {800 - shown:,} more categories in the JSON report." in text


def test_parts_are_left_out_in_a_fixed_order() -> None:
    """Answers first, then lists of ids, then flips; the verdict and the failing categories stay longest."""
    report = huge(60)
    whole = len(markdown.render(report, budget=10_000_000).encode())
    kept = []
    for budget in range(whole, 6_000, -4_000):
        text = markdown.render(report, budget=budget)
        kept.append(
            tuple(
                sign in text for sign in ("before:\n", "new in the eval set): ", "🔻", "**`category-0`**", "[!CAUTION]")
            )
        )
    assert kept == sorted(kept, reverse=True)
    assert kept[0] == (True, True, True, True, True)
    assert kept[-1] == (False, False, False, True, True)


def test_no_text_of_a_model_is_shown_unasked() -> None:
    """Neither question, nor answer, nor what the scorer quoted from it."""
    report = failed().report
    closed, opened = markdown.render(report), markdown.render(replace(report, show_outputs=True))
    for text in ("You can return it within 40 days", "Within 30 days", "did not find", "What does the handbook say"):
        assert text not in closed
        assert text in opened


@pytest.mark.parametrize("situation", tuple(situations()), ids=lambda situation: situation.name)
def test_parts_with_nothing_to_say_are_not_there(situation: object) -> None:
    """No empty table, fold or list."""
    text = markdown.render(situation.report)  # type: ignore[attr-defined]
    assert "\n\n\n" not in text
    assert "| :-- |\n\n" not in text
    assert ": \n" not in text


@pytest.mark.parametrize("name", list(VerdictName))
@pytest.mark.parametrize("exit_code", [0, 3])
def test_only_a_pass_looks_like_one(name: VerdictName, exit_code: int) -> None:
    """Every verdict has its alert, and what was let through says so."""
    report = Report(verdict=verdict(name, "because", (), exit_code=exit_code))
    first, second = markdown.render_summary(report).splitlines()[:2]
    assert ("TIP" in first) == (name is VerdictName.PASS)
    assert ("CAUTION" in first) == (name is VerdictName.FAIL)
    assert ("let through" in second) == (exit_code == 0 and name is not VerdictName.PASS)


def test_our_marker_is_never_in_a_report() -> None:
    """The publisher adds it; nobody else's text may look like it."""
    assert "<!-- evalgate" not in markdown.render(hostile().report)


def test_half_a_command_is_no_command() -> None:
    """One that is too long is left out."""
    report = replace(failed().report, reproduce=("evalgate gate " + "x" * 1_000,))
    assert "xxxx" not in markdown.render(report)
