"""What others wrote is shown as it is, and does nothing."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from evalgate.harmless import log_safe, visible
from evalgate.report.escape import cell, code, fence, json_document, plain, prose

ATTACKS = (
    "@octo-org/security please",
    "mail a@b.example now",
    "Fixes #1, closes octo/repo#22, GH-3, gh-4",
    "deadbeef" * 5,
    "0123456 and abcdef0 and a" + "0" * 39,
    "https://evil.example/x?y=z http://evil.example mailto:a@b.example ftp://evil.example",
    "www.evil.example WWW.EVIL.EXAMPLE",
    "![pixel](https://evil.example/p.png?q=secret)",
    "[click](javascript:alert(1)) [ref][1] [1]: https://evil.example <https://evil.example>",
    "<img src=x onerror=alert(1)> <script>alert(1)</script> </details></summary></td></table>",
    "<!-- evalgate:v1 key=suite head_sha=x -->",
    "-->",
    "a|b|c \\| d \\",
    "line\nline\r\nline\u2028line\x85line",
    "```\nout of the fence\n```",
    "~~~\nout\n~~~~",
    "`one` ``two`` ````four````",
    "`",
    "**bold** __bold__ *i* _i_ ~~s~~ snake_case_name",
    "# heading", "- item", "+ item", "* item", "1. item", "2) item", "> quote", "---", "===", "    code", "\tcode",
    "[!CAUTION]", "[x] task", "[^1] note",
    "$x^2$ and $`y`$ and $$z$$",
    ":tada: 12:30",
    "&lt;b&gt; &amp; &#64;x &copy",
    "\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07 \x1b]0;title\x1b\\ \x1bc \x9b31m",
    "\x1b]0;open string",
    "\u202egnp.exe\u202c \u2066x\u2069 a\u200bb\u200dc\ufeffd \U000e0041\U000e0042",
    "::set-output name=verdict::pass", "  ::error::x", "a\r::add-mask::e", "##[set-env name=PATH]x", ":\u200b:error::",
    "\ud800 lone \udfff", "\ufffe\uffff\x00\x08",
    "",
    " ",
    "a" * 500,
)  # fmt: skip

GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])

EXAMPLES = 80
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(ATTACKS), min_size=1, max_size=3).map("".join),
    st.text(alphabet="@#:/|`*_~<>[]()!-+=.$&;\\\n\r\t 01aFgGhHwW\x1b\u200b\u202e", max_size=40),
)


class Read(HTMLParser):
    """The elements of a page, and its text nodes as the filters after the parser see them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.nodes: list[str] = [""]
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.nodes.append("")

    def handle_endtag(self, tag: str) -> None:
        self.nodes.append("")

    def handle_comment(self, data: str) -> None:
        assert data == " "
        self.nodes.append("")

    def handle_data(self, data: str) -> None:
        self.nodes[-1] += data

    @property
    def text(self) -> str:
        return "".join(self.nodes)


FILTERS = re.compile(r"@\w|#\d|\bGH-\d|:[/\w]|www\.|[0-9a-f]{7}|\$.|.\$", re.IGNORECASE)
"""What GitHub's filters look for in one text node."""


@pytest.mark.parametrize(
    ("frame", "tags"),
    [
        ("{}", ["p"]),
        ("x {}", ["p"]),
        ("- {}", ["ul", "li"]),
        ("> {}", ["blockquote", "p"]),
        ("| h | i |\n| - | - |\n| {} | z |", ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]),
        ("<details>\n<summary>{}</summary>\n\nx\n\n</details>", ["details", "summary", "p"]),
        ("**{}**", ["p", "strong"]),
    ],
)
@settings(max_examples=EXAMPLES // 2)
@given(text=TEXTS)
def test_a_cell_shows_its_text_and_nothing_else(frame: str, tags: list[str], text: str) -> None:
    """Wherever it stands, the text is read as it was written, and makes no element, link or reference."""
    read = Read(GITHUB.render(frame.format(f"({cell(text)})")))
    assert [tag for tag in read.tags if tag != "span"] == tags
    assert f"({plain(text)})" in read.text
    assert not [node for node in read.nodes if FILTERS.search(node)]


@pytest.mark.parametrize("text", ATTACKS)
def test_every_known_attack_is_inert_at_the_start_of_a_block(text: str) -> None:
    """At the head of a paragraph or an item, where Markdown's block markers count."""
    check_at_the_start_of_a_block(text)


@settings(max_examples=EXAMPLES)
@given(text=TEXTS)
def test_any_text_is_inert_at_the_start_of_a_block(text: str) -> None:
    """At the head of a paragraph or an item, where Markdown's block markers count."""
    check_at_the_start_of_a_block(text)


def check_at_the_start_of_a_block(text: str) -> None:
    for frame, tags in (("{}", ["p"]), ("- {}", ["ul", "li"])):
        read = Read(GITHUB.render(frame.format(cell(text) or "x")))
        assert [tag for tag in read.tags if tag != "span"] == tags
        assert plain(text).strip() in read.text
        assert not [node for node in read.nodes if FILTERS.search(node)]


@settings(max_examples=EXAMPLES)
@given(text=TEXTS)
@example(text="`@a`b`#1`")
def test_a_sentence_shows_its_text_and_code_and_nothing_else(text: str) -> None:
    """What stands between backticks is code; the rest is read as written, and nothing in either is a reference."""
    for frame, tags in (("({})", ["p"]), ("{}", ["p"]), ("- {}", ["ul", "li"])):
        read = Read(GITHUB.render(frame.format(prose(text) or "x")))
        assert [tag for tag in read.tags if tag not in ("span", "code")] == tags
        assert not [node for node in read.nodes if FILTERS.search(node)]
    if "`" not in text:
        assert prose(text) == cell(text)


def test_a_sentence_quotes_keys_as_code() -> None:
    """As our own sentences write them."""
    assert prose("write `waivers:` under it") == "write `waivers:` under it"


@settings(max_examples=EXAMPLES)
@given(text=TEXTS)
def test_code_shows_its_text_as_code(text: str) -> None:
    """One code element in a table's cell, with the text as it was written."""
    read = Read(GITHUB.render(f"| h |\n| - |\n| {code(text)} |"))
    expected = ["code"] if plain(text) else []
    assert [tag for tag in read.tags if tag != "span"][7:] == expected
    assert (plain(text) or "(empty)") in read.text


@settings(max_examples=EXAMPLES)
@given(text=TEXTS)
@example(text="`" * 12)
@example(text="```\n</details>\n\n# out")
def test_a_fence_cannot_be_ended_from_within(text: str) -> None:
    """Everything between the fences is code, and what follows is not."""
    tokens = GITHUB.parse(f"<details>\n\n{fence(text)}\n\n# after\n")
    assert [token.type for token in tokens if token.type in ("fence", "heading_open")] == ["fence", "heading_open"]
    assert "<!--" not in fence(text)


def test_a_long_text_in_a_fence_says_how_much_is_left_out() -> None:
    """Cut after a character, with the rest counted."""
    assert fence("abcdef", limit=4) == "```text\nabcd\n… 2 more characters\n```"


@given(text=TEXTS)
def test_no_form_of_a_text_holds_our_marker(text: str) -> None:
    """Nobody can write the comment that tells evalgate which comment is its own."""
    for made in (cell, code, fence, prose):
        assert "<!-- evalgate" not in made(f"{text}<!-- evalgate:v1 key=x -->{text}")


@given(text=TEXTS, limit=st.integers(1, 40))
def test_plain_text_is_one_visible_line_within_its_limit(text: str, limit: int) -> None:
    """One line, no control or format character, encodable, no longer than asked."""
    line = plain(text, limit=limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert "\x1b" not in line
    line.encode("utf-8")


@given(text=TEXTS)
def test_a_document_does_nothing_in_a_log(text: str) -> None:
    """Markdown and JSON that a job prints: there is nothing in them that the log's filter would change."""
    for shown in (cell(text), code(text), prose(text), fence(text), json_document({"key": text, text: 1})):
        assert shown == log_safe(shown)


@given(text=TEXTS)
def test_json_keeps_the_text(text: str) -> None:
    """Escapes that stop a log's reader are none to a reader of JSON."""
    read = json.loads(json_document({"key": text}).encode("utf-8"))
    assert read == {"key": text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_what_it_cannot_hold(number: float) -> None:
    """NaN in a report is our own fault, and no other program could read it."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_document(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x1b]8;;https://evil.example\x07text\x1b]8;;\x1b\\", "text"),
        ("\x1b]0;never closed", "0;never closed"),
        ("a\x1b", "a"),
        ("a\u202eb\u200bc\x00", "abc"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("\ud800", "\ufffd"),
        ("naïve – 中文 🎉", "naïve – 中文 🎉"),
    ],
)
def test_only_what_can_be_seen_is_left(text: str, expected: str) -> None:
    """Escapes go whole; words of any language stay."""
    assert expected == visible(text)


def test_no_invisible_character_of_unicode_is_left() -> None:
    """Controls and format characters go, but for the few that are drawn (Arabic number signs and their like)."""
    drawn = ("ARABIC", "SYRIAC", "KAITHI", "EGYPTIAN")
    left = [
        character
        for character in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and not unicodedata.name(character, "").startswith(drawn)
        and visible(f"a{character}b") not in ("a", "ab", "a\nb", "a\ufffdb", "a\tb")
    ]
    assert left == []


def test_a_cut_is_marked_even_where_the_rest_was_not_read() -> None:
    """Padding with invisible characters cannot make a long text look whole."""
    assert plain("a" + "\u200b" * 100_000 + "b", limit=10) == "a…"


def test_neutralising_comes_after_cutting() -> None:
    """A reference that the cut completes is stopped all the same."""
    assert cell("x @ab", limit=4) == "x @<!-- -->…"
