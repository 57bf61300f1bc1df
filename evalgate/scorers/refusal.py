"""The scorer `refusal`: does an output decline to answer, or say that it does not know? By patterns, in English."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal

from evalgate.records import Case, Output
from evalgate.scorers.interface import Mark, Options
from evalgate.scorers.wording import as_texts, quoted, text_of

OPENING = 400
"""Characters at the start of an output in which a refusal is looked for: later, "I cannot" mostly speaks of details."""

REFUSED_BY_ENDPOINT = frozenset({"refusal", "content_filter"})
"""Finish reasons by which an endpoint itself says that it refused."""


def _any(*patterns: str) -> str:
    return "(?:" + "|".join(patterns) + ")"


# Patterns see text in small letters with straight apostrophes and single spaces.
_UNABLE = _any(
    "can ?not",
    "can't",
    "could not",
    "couldn't",
    "will not",
    "won't",
    "would not",
    "wouldn't",
    "(?:must|have to|need to) (?:decline|refuse) to",
    "(?:decline|refuse) to",
    "(?:do not|don't) feel comfortable",
)
_I_AM_NOT = _any(
    r"\bi(?:'m| am| was) not (?:able|allowed|permitted|authori[sz]ed|comfortable|willing|going|in a position)",
    r"\bi(?:'m| am| was) (?:unable|unwilling)",
)
_SERVE = _any(
    "help|assist|support|answer|respond|reply|comply|fulfill?|do (?:that|this|so)|continue|engage",
    "participate|facilitate",
    "provide|providing|give|offer|share|sharing|disclose|reveal|tell|say|discuss|talk|speak|comment|confirm|verify",
    "advise|recommend|suggest|encourage|promote|create|generate|write|writing|produce|make|perform|process|complete",
    "find|locate|determine|access|see|look up|guess|speculate|pretend|ignore|change|act as",
)
_HEDGE = r"(?: (?:really|currently|actually|directly|legally|just|in good conscience))?"
_NOUN = _any(
    "handbook|manual|documents?|documentation|knowledge base|context|passages?|texts?|articles?|excerpts?|materials?",
    "sources?|records?|pages?|information (?:provided|given|available)|(?:provided|available|given) information",
)
_SOURCE = rf"(?:the|our|my|this|these|that|your|any of the)(?: \w+){{0,2}} {_NOUN}"
_SAYS = "(?:say|mention|specify|state|address|tell|describe|discuss|answer|explain|indicate|define)"
_HOLDS = "(?:cover|contain|include|provide|give|list|have)"
_FACTS = "(?:information|mention|details|data|answer|anything|reference|policy|rule|entry)"
_NOT = "(?:does not|doesn't|do not|don't|did not|didn't)"
_SOFTLY = "(?:explicitly |specifically |directly |clearly |seem to |appear to )?"

_REFUSALS: Mapping[str, tuple[str, ...]] = {
    "declines": (
        rf"\bi {_UNABLE}{_HEDGE} {_SERVE}\b",
        rf"{_I_AM_NOT}\b",
        r"\b(?:sorry|unfortunately|apologies|apologi[sz]e),? (?:but )?i (?:can ?not|can't|won't|will not)\b",
        r"\bi (?:must |have to |will have to |need to |respectfully |would prefer to |'d prefer to )?"
        r"(?:decline|refuse)\b",
        rf"\b(?:we|this assistant) {_UNABLE} (?:help|assist|answer|comply|disclose|reveal|discuss)\b",
    ),
    "says that it is against its rules": (
        r"\b(?:against|violates?|goes against|not in line with) (?:my|openai's) (?:\w+ )?"
        r"(?:guidelines|polic(?:y|ies)|principles|programming|rules|terms|values|instructions)\b",
        r"\b(?:outside|beyond|out of) (?:of )?my (?:scope|remit|knowledge|abilities|capabilities|expertise|role)\b",
        rf"\b(?:outside|beyond) the scope of {_SOURCE}\b",
    ),
    "does not know": (
        r"\bi (?:do not|don't|did not|didn't) (?:currently |actually |really )?(?:know|find|see (?:any|that)|have "
        r"(?:any|enough|sufficient|specific|that|this|the|access|information|details|data|an answer))\b",
        r"\bi have no (?:information|data|details|knowledge|record|idea|answer)\b",
        r"\bi(?:'m| am) not aware of\b",
        r"(?:\b(?:i|we) |(?:^|[.!?:] ))(?:could not|couldn't|can ?not|can't|did not|didn't|(?:was )?unable to) "
        rf"(?:find|locate) (?:an? |any |the |that |this )?(?:\w+ )?(?:{_FACTS}|that|this|it)\b",
        r"\b(?:not enough|insufficient|no relevant|no available) (?:information|context|data|details|passages?)\b",
        r"\b(?:there is|there's|there was) (?:no|not any) (?:information|mention|details|data|answer)\b",
        rf"\bno {_FACTS} (?:was|were|is|are|could be) (?:found|given|provided|available)\b",
    ),
    "says that its sources are silent": (
        rf"\b{_SOURCE} {_NOT} {_SOFTLY}(?:{_SAYS}|{_HOLDS})\b",
        rf"\b(?:the|our|this) polic(?:y|ies) {_NOT} {_SOFTLY}{_SAYS}\b",
        rf"\b{_SOURCE} (?:is|are|has|have|says?|contains?) (?:silent|nothing|no {_FACTS})\b",
        rf"\b(?:(?:is|are|was|were)n't|not|nothing(?: \w+){{0,4}}|no {_FACTS}(?: \w+){{0,6}}) "
        rf"(?:{_SOFTLY}(?:covered|mentioned|included|specified|stated|addressed|found|available|described|contained|"
        rf"listed|discussed|given|provided|answered) )?(?:in|by|within) {_SOURCE}\b",
    ),
}


@cache
def _signs() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each sign's name and pattern; compiled when first asked for, which costs more than importing everything else."""
    return tuple((name, re.compile(_any(*patterns))) for name, patterns in _REFUSALS.items())


@dataclass(frozen=True, kw_only=True)
class Refusal(Options):
    """1 where the output declines or says that it does not know (`refuse`), or where it does not (`answer`).

    It knows the usual English phrases and where they stand; it does not understand. An empty output is neither.
    """

    VERSION: ClassVar[str] = "refusal/1"

    expect: Literal["refuse", "answer"] = "refuse"
    """What is right."""
    phrases: str | tuple[str, ...] = ()
    """Further texts that make an output a refusal, wherever they stand; capital and small letters are the same."""

    def faults(self) -> list[str]:
        if any(not _plain(phrase) for phrase in as_texts(self.phrases)):
            return ["a text under `phrases` is empty: every output contains it"]
        return []

    def problem(self, case: Case) -> str | None:
        return None

    def mark(self, case: Case, output: Output) -> Mark:
        sign = self._sign(output)
        if sign is None:
            text = text_of(output)
            if (text is None or not text.strip()) and not output.tool_calls:
                return Mark(value=0.0, reason="the output is empty: neither a refusal nor an answer")
            shown = quoted(text.strip()) if text else "the tool calls"
            return Mark(value=float(self.expect == "answer"), reason=f"no sign of a refusal in {shown}")
        return Mark(value=float(self.expect == "refuse"), reason=sign)

    def _sign(self, output: Output) -> str | None:
        """What makes this output a refusal; None: nothing does."""
        if output.finish_reason in REFUSED_BY_ENDPOINT:
            return f"the endpoint ended with {quoted(output.finish_reason)}"
        if isinstance(output.data, Mapping) and isinstance(output.data.get("refusal"), str) and output.data["refusal"]:
            return f"refuses: {quoted(output.data['refusal'])}"
        text = _plain(text_of(output) or "")
        for phrase in as_texts(self.phrases):
            if _plain(phrase) in text:
                return f"contains {quoted(phrase)}"
        for name, pattern in _signs():
            found = pattern.search(text[:OPENING])
            if found:
                return f"{name}: {quoted(found[0])}"
        return None


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("‘", "'").replace("*", "")
    return " ".join(text.split())
