"""A prompt → what is asked: its parts, the kind of answer each wants, and the keys of a JSON answer.

Rules about English questions only: nothing here knows the handbook.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What would answer a question."""

    QUANTITY = "quantity"
    TIME = "time"
    PERSON = "person"
    LIST = "list"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One question of a prompt."""

    text: str
    kind: Kind
    unit: str = ""
    """What the value is measured in, where a key of JSON says so: `euros` in `hotel_night_euros`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A prompt, understood as far as the assistant can."""

    text: str
    """The prompt without its instructions on the form of the answer."""
    parts: tuple[Part, ...]
    """At least one. Sentences that ask nothing are no parts where another one asks. For a JSON answer one a key."""
    keys: tuple[str, ...] = ()
    """Keys of the JSON object that is asked for; empty: an answer in words."""


_ASKS_JSON = re.compile(r"\bjson\b", re.IGNORECASE)
_NAMED_KEYS = re.compile(r"\b(?:keys?|fields?)\b[\s:]*(.*)", re.IGNORECASE | re.DOTALL)
_KEY = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")
_NO_KEY = frozenset({"and", "with", "the", "named", "called", "are", "only", "as", "in", "json"})
_CLAUSE = re.compile(r"(?<=[.?!;:])\s+|\n+")
_SENTENCE = re.compile(r"(?<=[.?!])\s+|\n+")
_NEXT_QUESTION = re.compile(
    r"[?;]\s+(?:and\s+)?|,?\s+and\s+(?:also\s+)?"
    r"(?=(?:(?:for|from|at|to|by|until|within|after|before|since|in|on|with) )?"
    r"(?:how|what|whom?|when|which|where|why|is|are|do|does|can|may|must|should)\b)",
    re.IGNORECASE,
)
_MEASURES = frozenset(
    {"seconds", "minutes", "hours", "days", "weeks", "months", "years", "euros", "eur", "percent", "number"}
    | {"kilometres", "km", "kilograms", "kg", "gigabytes"}
)
_MOMENTS = frozenset({"date", "day", "weekday", "month", "time", "deadline", "from", "until", "start", "end", "by"})
_MOMENT_NOUN = r"(?:date|day|weekday|month|year|time)s?"
_FRAME = re.compile(rf"\b(?:what|which) (?:is the (?:latest |earliest )?)?{_MOMENT_NOUN}\b", re.IGNORECASE)
_SIZES = r"(?:many|much|long|often|far|old|soon|big|large|high|late|early|fast|quickly|heavy)"
_AMOUNTS = (
    r"(?:percentage|price|fee|amount|limit|ceiling|share|rate|budget|size|discount|supplement|allowance|surcharge)"
)
_KINDS = (
    (Kind.LIST, r"^(?:please )?(?:list|name|enumerate)\b|\bwhat (?:are|kinds?|sorts?)\b"),
    (Kind.LIST, r"\bwhich (?:\w+ )?(?!days\b|months\b|dates\b|does\b)\w{2,}[^s\W]s\b"),
    (Kind.TIME, rf"^(?:since |until |by |from )?when\b|\b(?:what|which) {_MOMENT_NOUN}\b|\bdeadline\b|\buntil what\b"),
    (Kind.QUANTITY, rf"\bhow {_SIZES}\b|\bwhat (?:\w+ ){{0,2}}{_AMOUNTS}\b|\bcosts?\b"),
    (Kind.PERSON, r"\bwho(?:m|se)?\b"),
)


def read_question(prompt: str) -> Question:
    """The question in a prompt. Never fails: what is not understood is one part of kind TEXT."""
    if _ASKS_JSON.search(prompt):
        question, keys = _without_form(prompt)
        if keys:
            return Question(text=question, parts=tuple(_key_part(key) for key in keys), keys=keys)
    text = " ".join(prompt.split())
    asking = [clause for clause in _CLAUSE.split(text) if "?" in clause]
    pieces = [piece.strip(" ,.?!") for piece in _NEXT_QUESTION.split(" ".join(asking) or text)]
    return Question(text=text, parts=tuple(_part(piece) for piece in pieces if piece) or (_part(text),))


def _without_form(prompt: str) -> tuple[str, tuple[str, ...]]:
    """A prompt that asks for JSON -> what it asks, and the keys that it names."""
    sentences = _SENTENCE.split(prompt.strip())
    form = [number for number, each in enumerate(sentences) if _ASKS_JSON.search(each) or _NAMED_KEYS.search(each)]
    others = [each for number, each in enumerate(sentences) if number not in form]
    # "The price of a zip as JSON with the keys …" is all in one sentence: what stands before "JSON" is the question.
    question = " ".join(others) or _ASKS_JSON.split(prompt)[0]
    return " ".join(question.split()), _keys(" ".join(sentences[number] for number in form))


def topic_of(part: Part) -> str:
    """The part without the words that only say what kind of answer is wanted: `in which months is …`."""
    return _FRAME.sub(" ", part.text)


def _keys(instruction: str) -> tuple[str, ...]:
    quoted = re.findall(r"[\"'`]([a-z][a-z0-9_]*)[\"'`]", instruction)
    named = _NAMED_KEYS.search(instruction)
    found = quoted or (_KEY.findall(named[1]) if named else [])
    return tuple(dict.fromkeys(key for key in found if key not in _NO_KEY))


def _part(text: str) -> Part:
    for kind, pattern in _KINDS:
        if re.search(pattern, text, re.IGNORECASE):
            return Part(text=text, kind=kind)
    return Part(text=text, kind=Kind.TEXT)


def _key_part(key: str) -> Part:
    *topic, unit = key.split("_")
    if unit in _MOMENTS:
        return Part(text=" ".join(topic or [unit]), kind=Kind.TIME, unit=unit)
    is_measure = unit in _MEASURES or f"{unit}s" in _MEASURES
    return Part(text=" ".join(topic if is_measure and topic else [*topic, unit]), kind=Kind.QUANTITY, unit=unit)
