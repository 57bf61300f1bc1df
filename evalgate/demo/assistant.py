"""The handbook assistant: a question in, an answer cut from the handbook out, with the passages it read.

It reads `passages` sections that BM25 finds, answers each part of a question with the sentence or list that matches it
best, and declines where the handbook is silent or the request is not one for a handbook. It is generic: nothing in it
knows a case, and it is wrong where such assistants are wrong.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from evalgate.demo.extraction import Candidate, find_candidates, sentence, short_answer, speaks_of, value_of
from evalgate.demo.guard import refuses
from evalgate.demo.pages import Passage
from evalgate.demo.questions import Part, Question, read_question, topic_of
from evalgate.demo.retrieval import Hit, Index, get_index, merge
from evalgate.demo.settings import Settings

MODEL = "handbook-1"

_SILENT = "I'm sorry, I can't answer that: the handbook does not say anything about it."
_DECLINED = "I'm sorry, I can't help with that. Please ask the people desk if you need advice."
_NOISE = 0.15
"""What a temperature of 1 is in units of a candidate's score."""


class Asked(Protocol):
    """What the assistant reads of a request."""

    @property
    def prompt(self) -> str: ...
    @property
    def messages(self) -> Sequence[Mapping[str, Any]]: ...
    @property
    def params(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What the assistant says to a conversation."""

    text: str
    passages: tuple[Passage, ...]
    """What it read, best first; () where it declined before it looked anything up."""
    is_cut: bool
    """`max_tokens` ended the text."""
    tokens_in: int
    """Words of the conversation and of the passages."""
    tokens_out: int
    """Words of the text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Found:
    """One part's answer: the candidate, or None where the handbook is silent."""

    part: Part
    candidate: Candidate | None


def answer(request: Asked) -> dict[str, Any]:
    """The assistant's answer to a request, as endpoints of kind `python` return it: text, contexts
    (`{"id": "leave#carry-over", "text": …}`, best first), tool_calls (none), tokens_in, tokens_out (words), model.

    Raises ValueError for parameters that `Settings.of` does not know.
    """
    reply = reply_to(request.prompt, request.messages, Settings.of(request.params))
    return {
        "text": reply.text,
        "contexts": [{"id": passage.id, "text": passage.text} for passage in reply.passages],
        "tool_calls": [],
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
        "model": MODEL,
    }


def reply_to(prompt: str, messages: Sequence[Mapping[str, Any]], settings: Settings) -> Reply:
    """What the assistant says to the prompt, the last of the messages. The same again and again, unless
    `settings.temperature` is above 0."""
    said = [(message.get("role"), content_text(message.get("content"))) for message in messages]
    asked_before = [text for role, text in said if role == "user"][:-1]
    text, passages = _respond(prompt, asked_before[-1] if asked_before else "", settings)
    shown = text
    if settings.max_tokens is not None:
        shown = "".join(re.findall(r"\s*\S+", text)[: settings.max_tokens])
    return Reply(
        text=shown,
        passages=passages,
        is_cut=shown != text,
        tokens_in=sum(len(words.split()) for words in [*(text for _, text in said), *(each.text for each in passages)]),
        tokens_out=len(shown.split()),
    )


def content_text(content: Any) -> str:
    """A message's text: `content` may be a text, a list of parts as chat completions have them, or absent."""
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return "" if content is None else str(content)


def _respond(prompt: str, earlier: str, settings: Settings) -> tuple[str, tuple[Passage, ...]]:
    """The whole answer and what was read for it. earlier: the question before, which gives a follow-up its topic."""
    if refuses(prompt):
        return _DECLINED, ()
    index = get_index(stemming=settings.stemming, synonyms=settings.synonyms, titles=settings.titles)
    question = read_question(prompt)
    topic = index.terms(f"{earlier} {question.text}")
    asked = [_words(index, question, part, earlier) for part in question.parts]
    hits = [index.search(words, topic) for words in asked]
    chosen = merge(hits, settings.passages)
    rng = random.Random(None if settings.seed is None else f"{settings.seed}\n{prompt}")
    found = [
        _Found(
            part=part,
            candidate=_choose(index, part, words, [hit for hit in mine if hit.number in chosen], settings, rng),
        )
        for part, words, mine in zip(question.parts, asked, hits, strict=True)
    ]
    passages = tuple(index.rows[number].passage for number in chosen)
    if all(each.candidate is None for each in found):
        return _SILENT, passages
    return (_as_json(index, question.keys, found) if question.keys else _as_text(index, found)), passages


def _words(index: Index, question: Question, part: Part, earlier: str) -> list[str]:
    """The words that a part is looked up by: its own, or the whole prompt's where it has too few to go by."""
    own = index.terms(topic_of(part))
    if not own or (len(set(own)) < 2 and not question.keys):
        own = own + index.terms(question.text) + index.terms(earlier)
    return own


def _choose(
    index: Index, part: Part, words: Sequence[str], hits: Sequence[Hit], settings: Settings, rng: random.Random
) -> Candidate | None:
    # The best passage has to speak of the question by itself: words gathered from several prove nothing.
    if not hits or not speaks_of(index, words, hits[0]):
        return None
    candidates = find_candidates(index, part, words, hits)
    if settings.temperature == 0:
        return candidates[0]
    best = candidates[0].score
    noise = max(settings.temperature * _NOISE, 1e-9)  # the smallest of floats must not become a division by zero
    weights = [math.exp((each.score - best) / noise) for each in candidates]
    return rng.choices(candidates, weights)[0]


def _as_text(index: Index, found: Sequence[_Found]) -> str:
    said: list[str] = []
    for each in found:
        if each.candidate is None:
            said.append(f"On “{each.part.text}” the handbook is silent.")
            continue
        cited = f"{sentence(each.candidate)} [{each.candidate.passage.id}]"
        short = short_answer(index, each.part, each.candidate)
        said.append(f"{short}. {cited}" if short else cited)
    return "\n".join(dict.fromkeys(said))


def _as_json(index: Index, keys: Sequence[str], found: Sequence[_Found]) -> str:
    values = {
        key: None if each.candidate is None else value_of(index, each.part, each.candidate)
        for key, each in zip(keys, found, strict=True)
    }
    return json.dumps(values, ensure_ascii=False)
