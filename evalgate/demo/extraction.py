"""Passages → an answer: candidates scored by the question's words, and the value that a question asks for.

The assistant writes no sentence of its own about the company: what it says is cut from a passage.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evalgate.demo.pages import Passage, Snippet
from evalgate.demo.questions import Kind, Part
from evalgate.demo.retrieval import Hit, Index, Indexed, IndexedSnippet

# How much a question's word counts by where a candidate has it.
_IN_HEADING, _IN_PASSAGE = 0.6, 0.3
_PASSAGE_RANK = 0.5
_RIGHT_KIND = 0.25

_MOST = 0.5
_TOGETHER = 3

_COMMA = 4
"""A comma parts a value from a word as so many words do."""

_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_DAY = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_TIME = re.compile(
    rf"\d{{1,2}} (?:{_MONTH})(?: \d{{4}})?|\d{{1,2}}(?:st|nd|rd|th)\b|\d{{1,2}}:\d{{2}}"
    rf"|\b(?:{_MONTH})\b|\b(?:{_DAY})s?\b"
)
_QUANTITY = re.compile(r"(?<![\d:.])\d+(?:\.\d+)?(?![\d:]|th\b)(?: ?(?:percent|%)|(?: [a-z-]+){0,3})?")
_MEASURED = re.compile(
    r"\d+(?:\.\d+)?(?: ?%| percent| (?:[a-z-]+ ){0,2}?(?:euros?|(?:second|minute|hour|day|week|month|year)s?)\b)"
)
_ROLE = re.compile(
    r"\b(?:desk|lead|head|director|officer|council|team|agency|physician|manager|agent|workshop|auditor|buddy|engineer)\b"
)
_LENGTH = frozenset({"minute", "hour", "day", "week", "month", "year", "second"})
_MONEY = frozenset({"euro", "eur", "percent", "%"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A snippet of a passage with how well it answers one part of the question."""

    passage: Passage
    snippet: Snippet
    score: float
    """At least 0; above 1 is a good match."""


def find_candidates(index: Index, part: Part, words: Sequence[str], hits: Sequence[Hit]) -> list[Candidate]:
    """Every snippet of the passages, best first. words: the part's, as the index compares them."""
    asked = dict.fromkeys(words)
    total = sum(index.rarity(word) for word in asked) or 1.0
    found = []
    for hit in hits:
        row = index.rows[hit.number]
        for each in row.snippets:
            match = sum(index.rarity(word) * _credit(word, each, row) for word in asked) / total
            form = _fits(index, part, each.snippet)
            if each.snippet.is_item and each.said.isdisjoint(asked):
                form = 0.0  # the question is about what announces the list, not about this item
            score = match + _PASSAGE_RANK * hit.score + _RIGHT_KIND * form
            found.append(Candidate(passage=row.passage, snippet=each.snippet, score=score))
    return sorted(found, key=lambda candidate: -candidate.score)


def _credit(word: str, snippet: IndexedSnippet, row: Indexed) -> float:
    if word in snippet.words:
        return 1.0
    return _IN_HEADING if word in row.heading else _IN_PASSAGE if word in row.words else 0.0


def speaks_of(index: Index, words: Sequence[str], hit: Hit) -> bool:
    """Whether the passage is about what is asked: it has most of the question's words, rare words counting more, or
    several of them in one sentence. A single word in common proves nothing where more were asked."""
    asked = set(words)
    row = index.rows[hit.number]
    shared = asked & row.words
    together = max(len(asked & (each.words | row.heading)) for each in row.snippets)
    share = sum(map(index.rarity, shared)) / sum(map(index.rarity, asked))
    return together >= _TOGETHER or (len(shared) >= min(2, len(asked)) and share >= _MOST)


def _fits(index: Index, part: Part, snippet: Snippet) -> float:
    """How far a snippet has the form of the answer, in [0, 2]."""
    match part.kind:
        case Kind.QUANTITY if part.unit:
            return 2.0 * (not snippet.is_list and bool(_with_unit(index, part.unit, snippet.text)))
        case Kind.QUANTITY:
            return float(not snippet.is_list and bool(_QUANTITY.search(snippet.text)))
        case Kind.TIME:
            return float(not snippet.is_list and bool(_TIME.search(snippet.text)))
        case Kind.PERSON:
            return float(not snippet.is_list and bool(_ROLE.search(snippet.text)))
        case Kind.LIST:
            return 2.0 if snippet.is_list else float(snippet.text.count(",") >= 2)
        case Kind.TEXT:
            return float(not snippet.is_list) / 2


def sentence(candidate: Candidate) -> str:
    """The candidate as it is said: items of a list with what they are items of."""
    snippet = candidate.snippet
    if snippet.is_item or snippet.is_list:
        return f"{snippet.lead.rstrip(':') or candidate.passage.heading}: {snippet.text}."
    return snippet.text


def short_answer(index: Index, part: Part, candidate: Candidate) -> str | None:
    """The quantity, date or time that the part asks for, cut from the candidate; None where there is none."""
    if candidate.snippet.is_list:
        return None
    text = candidate.snippet.text
    if part.kind is Kind.TIME:
        found = list(_TIME.finditer(text))
        return _nearest(index, part, text, found)[0].strip() if found else None
    if part.kind is Kind.QUANTITY:
        asked = set(re.findall(r"\d+(?:\.\d+)?", part.text))
        found = [match for match in _QUANTITY.finditer(text) if match[0].split()[0] not in asked]
        fitting = [match for match in found if _unit_fits(index, part.text, match[0])]
        return _trim(index, part.text, _nearest(index, part, text, fitting or found)[0]) if found else None
    return None


def value_of(index: Index, part: Part, candidate: Candidate) -> str | int | float:
    """What a JSON answer holds: a number where the key names a unit, a date or time, a label's value, or the text."""
    text = candidate.snippet.text
    if part.kind is Kind.TIME:
        times = list(_TIME.finditer(text))
        if times:
            return _nearest(index, part, text, times)[0]
    fitting = _with_unit(index, part.unit, text)
    if fitting:
        number = float(re.split(r"[ %]", _nearest(index, part, text, fitting)[0], maxsplit=1)[0])
        return int(number) if number.is_integer() else number
    if candidate.snippet.is_item and ": " in text:
        return text.split(": ", 1)[1]
    return text.rstrip(".")


def _with_unit(index: Index, unit: str, text: str) -> list[re.Match[str]]:
    wanted = set(index.terms("euros" if unit == "eur" else unit))
    found = _QUANTITY.finditer(text)
    return [match for match in found if wanted & set(index.terms(match[0].replace("%", " percent")))]


def _unit_fits(index: Index, question: str, quantity: str) -> bool:
    units = {word.rstrip("s") for word in re.findall(r"[a-z%]+", quantity)}
    lowered = question.lower()
    many = re.search(r"how many ((?:[a-z-]+ ){0,2}[a-z-]+)", lowered)
    if many:
        return bool(set(index.terms(many[1])) & set(index.terms(quantity)))
    if re.search(r"how much|cost|price|fee|amount|budget|ceiling", lowered):
        return bool(units & _MONEY)
    if re.search(r"how (?:long|old|soon|late|early|fast|quickly)", lowered):
        return bool(units & _LENGTH)
    return True


def _nearest(index: Index, part: Part, text: str, found: Sequence[re.Match[str]]) -> re.Match[str]:
    """The match with the most of the question's words around it: near words and rare words count more."""
    asked = set(index.terms(part.text))
    places: list[tuple[int, int, set[str]]] = []
    place = 0
    for token in re.finditer(r"[\w.]+|[,;:]", text):
        place += _COMMA if token[0] in ",;:" else 1
        places.append((token.start(), place, asked & set(index.terms(token[0]))))

    def nearness(match: re.Match[str]) -> float:
        here = next(place for start, place, _ in places if start >= match.start())
        return sum(index.rarity(word) / (1 + abs(place - here)) for _, place, words in places for word in words)

    return max(found, key=nearness)


def _trim(index: Index, question: str, quantity: str) -> str:
    """`6 unused days of annual` -> `6 unused days`: up to the unit, or up to what is counted; else the number alone."""
    head = _MEASURED.match(quantity)
    if head:
        return head[0]
    words = quantity.split()
    asked = set(index.terms(question))
    counted = max((number for number, word in enumerate(words, 1) if asked & set(index.terms(word))), default=1)
    return " ".join(words[:counted])
