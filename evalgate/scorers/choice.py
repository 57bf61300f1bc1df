"""The scorer `choice`: which one of a few choices an output commits to."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from evalgate.records import Case, Output
from evalgate.scorers.interface import Lacks, Mark, Options, lacking
from evalgate.scorers.wording import did_you_mean, quoted, scalar_text, text_of

_WRAPPING = " \t\r\n*_`\"'“”‘’()[]{}<>.:,;!$"
_DENIED = re.compile(r"(?:\bnot|\bnever|n['’]t|\bneither|\bnor|\bexcept|\brather than|\binstead of)\W+$", re.IGNORECASE)
_DISMISSED = re.compile(r"[)\]*_.'\"]*\s+(?:is|was|would be|are)\s+(?:wrong|incorrect|false|not)\b", re.IGNORECASE)
_STATED = (
    r"(?:\banswer\b\W{0,4}(?:\b(?:is|would\ be|should\ be|must\ be)\b)?"
    r"|\b(?:correct|right|best|final)\ (?:option|choice|one|label)\b\W{0,4}(?:\b(?:is|would\ be)\b)?"
    r"|\bI(?:['’]d|\ would|\ will|['’]ll)?\ (?:choose|pick|select|go\ with|say)\b"
    r"|\\boxed\b)"
    r"\W{0,6}(?:(?:option|choice|label|letter)\b\W{0,4})?"
)


@dataclass(frozen=True, kw_only=True)
class Choice(Options):
    """1 where the output commits to the expected choice, and to no other.

    Tried in this order, the first that finds any choice decides: the whole output; a statement ("the answer is B",
    "Answer: B", "\\boxed{B}"); the label that the output opens or ends with; the choices that it mentions.
    """

    VERSION: ClassVar[str] = "choice/1"

    choices: tuple[str, ...] | Mapping[str, str] | None = None
    """The labels, or labels with the texts that mean the same. Absent: `metadata.choices`, else A to Z."""
    ignore_case: bool = True
    """`b` is `B` where the choice stands alone or is stated; within a sentence letters count as written."""

    def faults(self) -> list[str]:
        if self.choices is None:
            return []
        try:
            _labels(self.choices, "`choices`")
        except Lacks as lack:
            return [str(lack)]
        return []

    def problem(self, case: Case) -> str | None:
        return lacking(self._wanted, case)

    def mark(self, case: Case, output: Output) -> Mark:
        wanted, words = self._wanted(case)
        text = text_of(output)
        if text is None or not text.strip():
            return Mark(value=0.0, reason="the output has no text" if text is None else "the output is empty")
        found = committed(text, words, ignore_case=self.ignore_case)
        if found == {wanted}:
            return Mark(value=1.0, reason=f"commits to {quoted(wanted)}")
        if not found:
            return Mark(value=0.0, reason=f"expected {quoted(wanted)}, but {quoted(text.strip())} commits to no choice")
        if len(found) > 1:
            named = ", ".join(quoted(label, 20) for label in sorted(found)[:4])
            return Mark(value=0.0, reason=f"expected {quoted(wanted)}, but the output commits to several: {named}")
        return Mark(value=0.0, reason=f"expected {quoted(wanted)}, got {quoted(next(iter(found)))}")

    def _wanted(self, case: Case) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The expected label, and each word with the label it stands for."""
        if self.choices is not None:
            words = _labels(self.choices, "`choices`")
        elif "choices" in case.metadata:
            words = _labels(case.metadata["choices"], "`metadata.choices`")
        else:
            words = tuple((letter, letter) for letter in string.ascii_uppercase)
        if case.expected is None or isinstance(case.expected, dict | list | tuple):
            raise Lacks("no choice in `expected`: write the label of the right one")
        expected = scalar_text(case.expected).strip()
        for word, label in words:
            if expected == word or (self.ignore_case and expected.casefold() == word.casefold()):
                return label, words
        known = sorted({label for _, label in words})
        raise Lacks(
            f"`expected` {quoted(expected)} is none of the choices {', '.join(known[:8])}"
            f"{', …' if len(known) > 8 else ''}: write one of them.{did_you_mean(expected, known)}"
        )


def _labels(choices: object, where: str) -> tuple[tuple[str, str], ...]:
    if isinstance(choices, Mapping):
        pairs = [(str(label), str(label)) for label in choices]
        pairs += [(str(text).strip(), str(label)) for label, text in choices.items()]
    elif isinstance(choices, list | tuple):
        pairs = [(scalar_text(label), scalar_text(label)) for label in choices]
    else:
        raise Lacks(f"{where} is neither a list of labels nor a mapping of labels to texts")
    words: dict[str, str] = {}
    for word, label in pairs:
        if not word.strip():
            raise Lacks(f"{where} holds an empty text: write what an output would say")
        if words.setdefault(word, label) != label:
            raise Lacks(f"{where}: {quoted(word)} stands for two choices")
    if len(set(words.values())) < 2:
        raise Lacks(f"{where} has fewer than two choices")
    return tuple(words.items())


def committed(text: str, words: tuple[tuple[str, str], ...], *, ignore_case: bool = True) -> set[str]:
    """The labels that the text commits to: none, one, or several where it contradicts itself.

    words: (what may be written, its label); two words may share a label.
    """
    text = unicodedata.normalize("NFKC", text)
    labels = dict(words)
    folded = {word.casefold(): label for word, label in words} if ignore_case else {}

    def label_of(word: str) -> str:
        return labels.get(word) or folded[word.casefold()]

    patterns = _patterns(tuple(labels), ignore_case)
    for candidate in (text.strip(), text.strip(_WRAPPING)):
        if candidate in labels or candidate.casefold() in folded:
            return {label_of(candidate)}
    for pattern in patterns:
        found = {
            label_of(match["choice"])
            for match in pattern.finditer(text)
            if not _is_denied(text, match.start("choice"), match.end("choice"))
        }
        if found:
            return found
    return set()


def _is_denied(text: str, start: int, end: int) -> bool:
    """Whether the text says there that this is not the choice: "not B", "B is wrong"."""
    return bool(_DENIED.search(text, max(0, start - 24), start) or _DISMISSED.match(text, end))


@lru_cache(maxsize=256)
def _patterns(words: tuple[str, ...], ignore_case: bool) -> tuple[re.Pattern[str], ...]:
    flags = re.IGNORECASE if ignore_case else 0
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    choice = "(?P<choice>" + "|".join(re.escape(word) for word in longest_first) + ")"
    phrases = "|".join(re.escape(word) for word in longest_first if len(word) > 1)
    letters = "|".join(re.escape(word) for word in longest_first if len(word) == 1)
    stated = re.compile(rf"(?i:{_STATED}){choice}(?![\w'’])", flags)
    opening = re.compile(rf"\A\s*[*_(\[]{{0,3}}{choice}(?:[*_]{{0,2}}[)\].:,;–—]|[*_]{{1,2}}|\s*(?:\n|$))", flags)
    ending = re.compile(rf"\n[\s*_(\[]*{choice}[\s*_)\].!]*\Z", flags)
    mentions = []
    if phrases:
        mentions.append(rf"(?<!\w)(?{'i' if ignore_case else ''}:{phrases})(?!\w)")
    if letters:
        # A and I are English words too: before another word they are none of the choices, "A or B" excepted.
        word_follows = r"\s+(?!(?:or|and|nor|is|was|vs)\b)[a-z]"
        mentions.append(rf"(?<=[(\[*{{])(?:{letters})(?=[)\]*}}])")
        mentions.append(rf"(?<![\w'’.-])(?:{letters})(?![\w'’-])(?!(?<=[AIa]){word_follows})")
    return stated, opening, ending, re.compile(f"(?P<choice>{'|'.join(mentions)})")
