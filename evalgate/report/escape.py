"""Hostile text made harmless, one function a sink. Pure; knows nothing of reports.

Category names, case ids, causes and everything that a model said are written by others. `plain` is for the
terminal, `cell`, `code` and `fence` are for GitHub's Markdown, `json_document` for JSON; all begin with `visible`. A
document may end up in a job's log, on its way or by `cat`: there is nothing in it that `log_safe` would change.

In Markdown two readers have to be stopped. The parser of GitHub Flavored Markdown is: character references are
text and never markup (https://spec.commonmark.org/0.31.2/#entity-and-numeric-character-references). The filters
that GitHub runs over the rendered text afterwards (mentions, issue numbers, commits, links) read through character
references, so an empty comment is put inside the word that they look for. Readers see neither.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator

from evalgate.harmless import INVISIBLE, UNENCODABLE, log_safe, visible
from evalgate.records import Json


def json_document(value: Json) -> str:
    """The value as indented JSON that ends in a line feed and may be written anywhere: the same value, the same bytes.

    A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD. What cannot be seen, and `##[`, a workflow command's
    beginning anywhere in a line of a log, are spelt with escapes, which readers of JSON do not notice.
    Raises ValueError for a number that JSON cannot hold (NaN, infinity): unknown is null.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if not text.isascii():
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if not text.isascii() or "\x7f" in text:
        text = _SPELT_OUT.sub(lambda found: "".join(f"\\u{unit:04x}" for unit in _utf16(found.group())), text)
    return text.replace("##[", "#\\u0023[")


_SPELT_OUT = re.compile(
    f"{INVISIBLE.pattern}|{UNENCODABLE.pattern}|[\x85\u2028\u2029]|#(?=[^\x00-\x7f]*#[^\x00-\x7f]*\\[)"
)


def _utf16(text: str) -> Iterator[int]:
    for (unit,) in struct.iter_unpack(">H", text.encode("utf-16-be")):
        yield unit


def plain(text: str, *, limit: int | None = None) -> str:
    """The text as one line for a terminal, at most `limit` characters, the last an ellipsis if it was cut."""
    line = _one_line(text, limit)
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


def prose(text: str, *, limit: int | None = None) -> str:
    """A sentence as `cell`, with what it has between backticks as `code`: ours quote keys and commands like that.

    Inert whoever wrote it. limit: visible characters, as in `plain`.
    """
    parts = re.split("`([^`]+)`", plain(text, limit=limit))
    return "".join(code(part) if number % 2 else _ACTIVE.sub(_disarm, part) for number, part in enumerate(parts))


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
    shown = log_safe(visible(text).replace("<!--", "<! --"))
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
