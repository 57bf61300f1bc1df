"""Whole reports, as people get them. `python tests/report/report_situations.py` rewrites the files."""

from __future__ import annotations

import re

import pytest
from report_situations import GOLDEN, RENDERERS, Situation, situations
from workflow_commands import commands

from evalgate.harmless import log_safe
from evalgate.report import terminal
from evalgate.report.pen import display_width

SITUATIONS = tuple(situations())
every_situation = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)


@every_situation
@pytest.mark.parametrize("suffix", sorted(RENDERERS))
def test_a_report_reads_as_it_was_approved(situation: Situation, suffix: str) -> None:
    """The report is the user interface: each change of it is looked at."""
    approved = (GOLDEN / f"{situation.name}.{suffix}").read_text(encoding="utf-8")
    assert approved == RENDERERS[suffix](situation.report)


def test_every_golden_file_has_its_situation() -> None:
    """No file is left behind when a situation goes."""
    assert {path.name for path in GOLDEN.iterdir()} == {
        f"{s.name}.{suffix}" for s in SITUATIONS for suffix in RENDERERS
    }


@every_situation
@pytest.mark.parametrize("width", [80, 120])
def test_a_report_fits_its_width(situation: Situation, width: int) -> None:
    """Nothing but commands, which are copied, is wider than the terminal."""
    text = terminal.render(situation.report, width=width).split("\nAgain:")[0]
    assert [line for line in text.splitlines() if display_width(line) > width] == []


@every_situation
def test_colour_adds_nothing_that_is_not_said(situation: Situation) -> None:
    """Without its colours the report is the one without colours."""
    colored = terminal.render(situation.report, color=True)
    assert "\x1b[" in colored
    assert terminal.render(situation.report) == re.sub(r"\x1b\[[0-9;]*m", "", colored)


@every_situation
def test_a_terminal_without_unicode_gets_ascii(situation: Situation) -> None:
    """Whatever a model wrote, an ASCII terminal can print it."""
    assert terminal.render(situation.report, unicode=False).isascii()


@every_situation
def test_no_line_of_a_log_is_a_workflow_command(situation: Situation) -> None:
    """Inside GitHub Actions neither form of command can be printed."""
    assert commands(log_safe(terminal.render(situation.report))) == []


@every_situation
def test_the_first_line_has_the_verdict(situation: Situation) -> None:
    """The name stands at the head; what was let through says so beside it."""
    first = terminal.render(situation.report).splitlines()[0]
    verdict = situation.report.verdict
    assert first.startswith(verdict.verdict.value.replace("_", " ").upper())
    assert ("let through" in first) == (verdict.exit_code == 0 and verdict.verdict.value != "pass")
