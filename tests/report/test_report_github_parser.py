"""The escapes against GitHub's own parser (cmark-gfm), where its binding is installed."""

from __future__ import annotations

import re

import pytest
from report_situations import RENDERERS, Situation, situations
from test_report_escape import ATTACKS, Read

from evalgate.report.escape import cell, code, fence, plain

cmarkgfm = pytest.importorskip("cmarkgfm")


def github(text: str) -> str:
    from cmarkgfm.cmark import Options

    rendered: str = cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE)
    return rendered


@pytest.mark.parametrize("text", ATTACKS)
def test_no_attack_becomes_a_link_or_an_element(text: str) -> None:
    """Autolinks, tables and strike-through are GitHub's extensions: none of them sees anything in the text."""
    page = github(f"| h | i |\n| - | - |\n| ({cell(text)}) | {code(text)} |\n\n{fence(text)}\n")
    read = Read(page)
    assert set(read.tags) <= {"table", "thead", "tbody", "tr", "th", "td", "code", "span", "pre"}
    assert read.tags.count("td") == 2
    assert f"({plain(text)})" in read.text


@pytest.mark.parametrize("situation", tuple(situations()), ids=lambda situation: situation.name)
def test_every_report_keeps_its_shape(situation: Situation) -> None:
    """Tables have as many cells in each row as in their heads, folds are closed, nothing links anywhere."""
    page = github(RENDERERS["md"](situation.report))
    read = Read(page)
    assert not {"a", "img", "script", "input"} & set(read.tags)
    assert page.count("<details>") == page.count("</details>")
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
        assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1
