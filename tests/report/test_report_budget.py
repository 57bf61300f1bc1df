"""However large and hostile a report is, what is posted is whole: no table, fold, fence or character is cut."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_situations import EVIL
from test_report_markdown import huge

from evalgate.report import markdown
from evalgate.report.model import Job, Report
from evalgate.report.room import BUDGET, SUMMARY_BUDGET

cmarkgfm = pytest.importorskip("cmarkgfm")

JOB = Job(url="https://github.com/acme/support-bot/actions/runs/100", head="a" * 40)
WORDS = st.sampled_from(
    ["refunds", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "e\u0301\u0302\u0303" * 3,
     "中文类别", "\u0639\u0631\u0628", "\U0001d4b3", "`" * 5, "```", "|", "\\|", "</details>", "<summary>", "<!--",
     "-->", "@octo", "#12", "&amp;", "\n", "\r\n", "\x1b[31m", "\u202e", "\u2066", "\u200b", "\ud800", "~~~", "> ",
     "- [ ] ", "$x$", "https://evil.example", "deadbeef" * 5, EVIL[:60]]
)  # fmt: skip
NAMES = st.lists(WORDS, min_size=1, max_size=12).map("".join).map(lambda name: name * 4)


def whole(report: Report, text: str) -> None:
    """Asserts that a page has lost nothing but whole rows and parts."""
    text.encode("utf-8")
    page = cmarkgfm.github_flavored_markdown_to_html(text, options=cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    assert page.count("<details>") == page.count("</details>") == len(re.findall("^<details>$", text, re.MULTILINE))
    assert page.count("<table>") == len(re.findall(r"^\|:?-", text, re.MULTILINE))
    for table in re.findall(r"<table>.*?</table>", page, re.DOTALL):
        rows = [len(re.findall(r"<t[hd]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)]
        assert len(set(rows)) == 1
    outside = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"^`{3,}", outside, re.MULTILINE)
    assert f'<a href="{JOB.url}">whole report</a> for aaaaaa' in page
    first = page[: page.index("</p>")]
    assert report.verdict.verdict.value.upper() in first and "fell" in first


@settings(max_examples=15, deadline=None)
@given(name=NAMES, size=st.sampled_from([3, 40, 100]), budget=st.sampled_from([12_000, 20_000, BUDGET]))
def test_a_huge_hostile_report_is_shortened_whole(name: str, size: int, budget: int) -> None:
    """Thousands of rows with emoji, combining characters, code, HTML and table marks in every name."""
    report = replace(huge(size, name), job=JOB)
    report = replace(report, verdict=replace(report.verdict, reason=f"refunds fell; {name}"))
    text = markdown.render(report, budget=budget)
    assert len(text.encode("utf-8")) <= budget
    whole(report, text)


def test_thousands_of_categories_fit_the_jobs_summary() -> None:
    """As many rows as a megabyte takes, and never more."""
    report = replace(huge(1_000, "Ünï 中文 |"), job=JOB)
    text = markdown.render_summary(report)
    assert 400_000 < len(text.encode("utf-8")) <= SUMMARY_BUDGET
    whole(report, text)
