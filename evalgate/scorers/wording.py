"""Texts as the scorers see them: an output's text, the differences that are overlooked, how a text is quoted."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from evalgate.records import Case, Json, Output
from evalgate.scorers.interface import Lacks, Options

QUOTED = 80
"""Longest quotation of an expected or given text in a reason, in characters."""

REASON = 300
"""Longest reason that a judge or an own function may give, in characters."""

_ARTICLE = re.compile(r"(?<!\S)(?:a|an|the)(?!\S)", re.IGNORECASE)
_MARK = re.compile(r"[^\w\s]|_")


@dataclass(frozen=True, kw_only=True)
class Wording(Options):
    """Which differences between two texts do not count. Both sides are treated alike."""

    ignore_case: bool = False
    """`Yes` is `yes`."""
    ignore_punctuation: bool = False
    """Punctuation counts as white space, apostrophes as nothing; what belongs to a number (`-3.5`, `10:30`) stays."""
    ignore_whitespace: bool = False
    """Any run of white space, line breaks too, counts as one space."""
    ignore_articles: bool = False
    """The words `a`, `an` and `the` do not count."""
    unicode: bool = True
    """Characters that mean the same are the same (NFKC): full-width digits, ligatures, composed accents."""

    def normal(self, text: str) -> str:
        """The text without the differences that do not count; applying it twice changes nothing more."""
        ascii_only = text.isascii()
        if self.unicode and not ascii_only:
            text = unicodedata.normalize("NFKC", text)
        if self.ignore_case:
            text = _folded(text) if self.unicode and not ascii_only else text.casefold()
        if self.ignore_punctuation:
            text = _MARK.sub(_space_for_mark, text.replace("'", "").replace("’", ""))
            if self.unicode and not ascii_only:
                text = unicodedata.normalize("NFKC", text)  # an accent may now stand beside its letter
        if self.ignore_articles:
            text = _ARTICLE.sub("", text)
        if self.ignore_whitespace or self.ignore_punctuation or self.ignore_articles:
            text = " ".join(text.split())
        return text


def _folded(text: str) -> str:
    # Folding alone is not stable for composed characters; this is the order of the Unicode standard's definition
    # of a compatibility caseless match (chapter 3.13, D146).
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKC", text.casefold())


def _space_for_mark(found: re.Match[str]) -> str:
    mark, whole, at = found[0], found.string, found.start()
    if unicodedata.category(mark)[0] != "P":
        return mark
    before, after = whole[at - 1 : at] if at else "", whole[at + 1 : at + 2]
    if mark in ".,:/" and before.isdigit() and after.isdigit():
        return mark
    if mark == "-" and after.isdigit() and not (before.isalnum() or before == "_"):
        return mark
    return " "


def text_of(output: Output) -> str | None:
    """The output as text: its text, or its structure as JSON with sorted keys; None where it has neither."""
    if output.text is not None:
        return output.text
    if output.data is None:
        return None
    return scalar_text(output.data)


def scalar_text(value: Json) -> str:
    """A value as a user would write it: texts as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def expected_texts(case: Case, instead: str) -> tuple[str, ...]:
    """The case's `expected` as texts: one, or each item of a list. Raises Lacks; `instead` says what else to write."""
    expected = case.expected
    if expected is None:
        raise Lacks(f"no `expected`: write one, or {instead}")
    if isinstance(expected, list | tuple):
        if not expected:
            raise Lacks(f"`expected` is an empty list: write at least one text, or {instead}")
        if not any(isinstance(item, dict | list | tuple) or item is None for item in expected):
            return tuple(scalar_text(item) for item in expected)
    elif not isinstance(expected, dict):
        return (scalar_text(expected),)
    raise Lacks("`expected` is a structure, this scorer compares texts: write a text, or use `json_subset`")


def as_texts(value: str | Iterable[str]) -> tuple[str, ...]:
    """One text, or several."""
    return (value,) if isinstance(value, str) else tuple(value)


def quoted(value: Json, limit: int = QUOTED) -> str:
    """The value in quotation marks on one line, without invisible characters, cut at `limit` characters."""
    text = scalar_text(value)
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return '"' + _visible(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def sentence(text: str, limit: int = REASON) -> str:
    """A foreign text as a reason: one line, without invisible characters, cut at `limit` characters."""
    text = " ".join(text[: 4 * limit].split())
    return _visible(text if len(text) <= limit else text[: limit - 1] + "…")


def _visible(text: str) -> str:
    # Control and direction characters of a model's answer could rewrite the line of a terminal or a log.
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean X?` where a known word is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean `{close[0]}`?" if close else ""
