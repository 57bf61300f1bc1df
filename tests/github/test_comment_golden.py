"""Whole comments, as they are posted. `python tests/github/comment_situations.py` rewrites the files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from comment_situations import FORK, GOLDEN, JOB, SITUATIONS, Situation

from evalgate.github.comment import Marker
from evalgate.github.publish import MAX_COMMENT

every_situation = pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
every_file = pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.md")), ids=lambda file: file.stem)


@every_situation
def test_a_comment_reads_as_it_was_approved(situation: Situation) -> None:
    """Through the verdict file and the report file, onto a pull request."""
    assert (GOLDEN / f"{situation.name}.md").read_text(encoding="utf-8") == situation.body()


def test_every_golden_comment_has_its_situation() -> None:
    """No file is left behind when a situation goes."""
    assert {file.stem for file in GOLDEN.iterdir()} == {situation.name for situation in SITUATIONS}


@every_file
def test_a_comment_begins_with_its_marker_and_fits(file: Path) -> None:
    """In whatever unit GitHub counts."""
    body = file.read_text("utf-8")
    assert Marker.of(body) is not None
    assert len(body.encode()) <= MAX_COMMENT


@every_file
def test_a_comment_keeps_its_shape_on_github(file: Path) -> None:
    """Rows of a table are as long as its head, folds are closed, the marker is not seen, the only link is the job's."""
    cmarkgfm = pytest.importorskip("cmarkgfm")
    unsafe = cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE
    page = cmarkgfm.github_flavored_markdown_to_html(file.read_text("utf-8"), options=unsafe)
    assert page.count("<details>") == page.count("</details>")
    assert "evalgate:v1" not in re.sub(r"<!--.*?-->", "", page)
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
        assert len({len(re.findall(r"<t[hd]", row)) for row in rows}) == 1
    assert set(re.findall(r'href="([^"]*)"', page)) == {JOB.url}
    assert re.search(r"\[!(CAUTION|WARNING|TIP)\]|<summary>✅ <b>PASS</b>", page)


@every_file
def test_a_comment_says_its_verdict_and_its_commit_first(file: Path) -> None:
    """What a reader sees without opening or scrolling anything."""
    shown = file.read_text("utf-8").partition("\n")[2].removeprefix(FORK)
    first = shown[: shown.index("\n\n")]
    assert re.search(r"(\*\*|<b>)(PASS|FAIL|NO BASELINE|NOT EVALUATED|ERROR|INCONCLUSIVE)", first)
    assert "aaaaaa" in shown
