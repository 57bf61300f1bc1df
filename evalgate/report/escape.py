"""Hostile text made harmless, one function a sink. Pure; knows nothing of reports.

Category names, case ids, causes and everything that a model said are written by others. `plain` is for the
terminal and the log, `cell`, `code` and `fence` are for GitHub's Markdown, `visible` is what all of them begin with.

In Markdown two readers have to be stopped. The parser of GitHub Flavored Markdown is: character references are
text and never markup (https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references). The filters
that GitHub runs over the rendered text afterwards (mentions, issue numbers, commits, links) read through character
references, so an empty comment is put inside the word that they look for. Readers see neither.
"""

from __future__ import annotations

import json
import re

from evalgate.records import Json

_ANSI = re.compile(
    r"""
      \x1b[\]PX^_] [^\x07\x1b]* (?:\x07|\x1b\\)   # whole strings: titles, hyperlinks, device controls
    | \x1b\[ [0-?]* [ -/]* [@-~]?                  # colours, cursor
    | \x1b [ -/]* [0-~]?                           # every other escape, and the start of an open string
    """,
    re.VERBOSE,
)

_INVISIBLE = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"  # control characters, without tab and the line ends
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "]"
)
"""Control characters and Unicode's default ignorables: bidirectional controls, zero-width characters, fillers, tags,
variation selectors. They reorder or hide text, or carry text that only a model reads."""

_UNENCODABLE = re.compile("[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_LINE_END = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def visible(text: str) -> str:
    """The text without what cannot be seen: terminal escapes, controls, bidirectional and zero-width characters.

    Lines end in `\\n`, tabs stay, lone surrogates and noncharacters become U+FFFD: the result can be encoded.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _ANSI.sub("", text)
    return _UNENCODABLE.sub("\ufffd", _INVISIBLE.sub("", _LINE_END.sub("\n", text)))


def json_document(value: Json) -> str:
    """The value as indented JSON that ends in a line feed and may be written anywhere: the same value, the same bytes.

    A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD; `##[`, a workflow command's beginning anywhere in a
    line of a log, is spelt with an escape, which readers of JSON do not notice.
    Raises ValueError for a number that JSON cannot hold (NaN, infinity): unknown is null.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("##[", "#\\u0023[")


def plain(text: str, *, limit: int | None = None, in_actions: bool = False) -> str:
    """The text as one line for a terminal or a log, at most `limit` characters, the last an ellipsis if it was cut.

    in_actions: inside GitHub Actions, where the runner reads every line of the log for commands: `::name` at its
    start and the older `##[name]` anywhere in it. Both get a space into them. The space lies inside the limit.
    """
    line = _one_line(text, limit)
    if in_actions:
        line = re.sub(":(?=:)", ": ", line).replace("##[", "# #[")
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


_ACTIVE = re.compile(
    r"""
      (?P<ordinal>^[0-9]{1,9}[.)](?=\s|$))
    | (?P<mention>@)
    | (?P<issue>\#(?=\w))
    | (?P<gh>(?<!\w)[Gg][Hh]-(?=\d))
    | (?P<colon>:(?=\S))
    | (?P<www>[Ww][Ww][Ww](?=\.))
    | (?P<sha>[0-9A-Fa-f]{6}(?=[0-9A-Fa-f]))
    | (?P<dollar>\$)
    | (?P<word>(?<=[^\W_])_(?=[^\W_]))
    | (?P<start>^(?:\+(?=\s|$)|-(?=[\s-]|$)|=))
    | (?P<markup>[&<>\\`*_\[\]#|~])
    """,
    re.VERBOSE,
)
_BREAK = "<!-- -->"


def cell(text: str, *, limit: int | None = None) -> str:
    """The text as one line of inert Markdown: in a table cell, a list item, a paragraph, an alert or a summary.

    A reader sees exactly the visible characters of the text, white space collapsed: no link, image, mention, issue
    or commit reference, formula, emphasis or element. limit: visible characters, as in `plain`.
    """
    return _ACTIVE.sub(_disarm, plain(text, limit=limit))


def code(text: str, *, limit: int | None = None) -> str:
    """The text as inline code, inert as `cell`; `(empty)` where nothing is visible in it."""
    line = plain(text, limit=limit)
    if not line:
        return "(empty)"
    if re.fullmatch(r"[\w .,:;/+=%-]*", line):
        return f"`{line}`"
    return f"<code>{cell(line)}</code>"


def fence(text: str, *, limit: int | None = None, language: str = "text") -> str:
    """The text as a fenced block that it cannot end; stands on lines of its own, with blank ones around it.

    limit: characters of the text that are kept; what is left out is counted below the block's text. Code is no
    place for GitHub's filters, but two readers take the raw text: tools look in it for the comment that marks what is
    theirs, and a log that it is printed to is read for workflow commands. What they look for gets a space.
    """
    shown = re.sub(r"(?m)^([^\S\n]*:)(?=:)", r"\1 ", visible(text).replace("<!--", "<! --").replace("##[", "# #["))
    if limit is not None and len(shown) > limit:
        shown = f"{shown[:limit]}\n… {len(shown) - limit:,} more characters"
    longest = max((len(ticks) for ticks in re.findall("`+", shown)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}{language}\n{shown}\n{ticks}"


def _disarm(match: re.Match[str]) -> str:
    found = match.group()
    match match.lastgroup:
        case "word":
            return found
        case "mention" | "colon" | "www" | "sha":
            return found + _BREAK
        case "issue":
            return f"&#35;{_BREAK}"
        case "gh":
            return f"{found[:2]}{_BREAK}-"
        case "ordinal":
            return f"{_BREAK.join(found[:-1])}&#{ord(found[-1])};"
        case "dollar":
            # The way that GitHub's documentation gives for a dollar sign that is none of a formula's.
            return "<span>$</span>"
        case _:
            return f"&#{ord(found)};"


def _one_line(text: str, limit: int | None) -> str:
    # Answers may be megabytes: no more is read than a line of `limit` characters can need.
    head = text if limit is None else text[: 16 * limit + 1024]
    line = " ".join(visible(head).split())
    return line if len(head) == len(text) else f"{line}…"
