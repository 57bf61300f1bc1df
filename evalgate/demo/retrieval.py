"""Retrieval: which passages a question is answered from. BM25 (bm25s) over words or stems.

An index belongs to one choice of settings, is built once and then only read, so threads may share it.
"""

from __future__ import annotations

import functools
import math
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalgate.demo.pages import Passage, Snippet, passages
from evalgate.demo.words import terms

_WHOLE_QUESTION = 0.3
"""What the rest of a question weighs beside one of its parts: "… and how long is it valid?" needs the topic."""

_UNKNOWN = 1
"""A word that the handbook does not have counts like one that so many passages have: it may be the very point of the
question, or only how this person talks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A retrieved passage."""

    number: int
    """Its place in the index."""
    score: float
    """BM25 over the best passage's BM25 for the same part: 1 for the best, above 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexedSnippet:
    """A snippet with the words that it is compared by."""

    snippet: Snippet
    words: frozenset[str]
    """What it says and what announces it; of a whole list only the latter, its items stand for themselves."""
    said: frozenset[str]
    """What it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Indexed:
    """A passage with the words that it is compared by."""

    passage: Passage
    words: frozenset[str]
    """Title, heading and body, whatever is indexed: coverage asks what the passage is about."""
    heading: frozenset[str]
    snippets: tuple[IndexedSnippet, ...]


class Index:
    """The handbook, ready to be searched."""

    def __init__(self, *, stemming: bool, synonyms: bool, titles: bool) -> None:
        import bm25s

        self._stemming, self._synonyms = stemming, synonyms
        rows: list[Indexed] = []
        indexed: list[list[str]] = []
        for passage in passages():
            heading, body = self.terms(f"{passage.title} {passage.heading}"), self.terms(passage.body)
            snippets = tuple(self._indexed(snippet) for snippet in passage.snippets)
            words = frozenset(heading + body)
            rows.append(Indexed(passage=passage, words=words, heading=frozenset(heading), snippets=snippets))
            indexed.append(heading + body if titles else body)
        self.rows: tuple[Indexed, ...] = tuple(rows)
        self._frequency = Counter(word for row in rows for word in row.words)
        # The numpy backends are named: with "auto" another package's presence (numba, scipy) would choose the code.
        self._bm25: Any = bm25s.BM25(backend="numpy", csc_backend="numpy")
        self._bm25.index(indexed, show_progress=False)

    def _indexed(self, snippet: Snippet) -> IndexedSnippet:
        said, lead = frozenset(self.terms(snippet.text)), frozenset(self.terms(snippet.lead))
        return IndexedSnippet(snippet=snippet, words=lead if snippet.is_list else lead | said, said=said)

    def terms(self, text: str) -> list[str]:
        """The text's words as this index compares them."""
        return terms(text, stemming=self._stemming, synonyms=self._synonyms)

    def rarity(self, word: str) -> float:
        """How telling a word is: inverse document frequency."""
        found = self._frequency[word] or _UNKNOWN
        return math.log(1 + (len(self.rows) - found + 0.5) / (found + 0.5))

    def search(self, part: Sequence[str], question: Sequence[str]) -> list[Hit]:
        """Passages for one part of a question, best first, only those that share a word with the part.

        part, question: words as `terms` gives them; the whole question lends the part its topic.
        """
        own = self._scores(part)
        whole = self._scores(question)
        scores = [mine + _WHOLE_QUESTION * all_ for mine, all_ in zip(own, whole, strict=True)]
        order = sorted((number for number, mine in enumerate(own) if mine > 0), key=lambda n: (-scores[n], n))
        return [Hit(number=number, score=scores[number] / scores[order[0]]) for number in order]

    def _scores(self, words: Sequence[str]) -> list[float]:
        known = self._bm25.get_tokens_ids(list(words))
        return [float(score) for score in self._bm25.get_scores_from_ids(known)]


_build_lock = threading.Lock()


@functools.cache
def _build(stemming: bool, synonyms: bool, titles: bool) -> Index:
    return Index(stemming=stemming, synonyms=synonyms, titles=titles)


def get_index(*, stemming: bool, synonyms: bool, titles: bool) -> Index:
    """The index for these settings; built once, whoever asks first."""
    with _build_lock:
        return _build(stemming, synonyms, titles)


def merge(hits: Sequence[Sequence[Hit]], limit: int) -> list[int]:
    """Numbers of the passages that are read: every part's best, then every part's second, … up to `limit` in all."""
    chosen: list[int] = []
    for rank in range(limit):
        for part in hits:
            if rank < len(part) and part[rank].number not in chosen and len(chosen) < limit:
                chosen.append(part[rank].number)
    return chosen
