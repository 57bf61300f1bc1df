"""Requests that are none for a handbook: to drop the rules, for what is private to others, or for help with a wrong.

A short list of patterns of everyday English, as such guards are: it misses some and stops a few harmless ones.
"""

from __future__ import annotations

import re

_PRIVATE = (
    r"(?:password|salar(?:y|ies)|pay ?slips?|(?:home|private) address|phone number|diagnosis|illness|bank details)"
)
_OTHERS = r"(?:colleagues?|boss|lead|managers?|director|customers?|employees?|staff|person|team|friend|neighbour)"

_PATTERNS = (
    # to drop the rules
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
    r"\b(?:instruct\w*|rules?|prompts?|guidelines?|polic\w+|restrictions?)\b",
    r"\b(?:system|hidden|secret) (?:prompt|instructions?)\b",
    r"\b(?:pretend|act as|role-?play|you are now|developer mode|jailbreak)\b",
    # what is private to others
    rf"\b{_PRIVATE}\b.{{0,30}}\b(?:of|for|from|belong\w*|about) (?:my|our|the|an?|another|his|her|each|every)\b"
    rf".{{0,20}}\b{_OTHERS}\b",
    rf"\b{_OTHERS}(?:'s|s').{{0,30}}\b(?:{_PRIVATE}|pay|address|number|account|medical)\b",
    # help with a wrong
    r"\b(?:forge|fake|falsify|backdate|steal|cheat|hack|smuggle|launder|spy|blackmail|bribe)\w*\b",
    r"\bwithout (?:\w+ ){0,4}(?:noticing|knowing|finding out|being caught|getting caught)\b",
    r"\b(?:get around|work around|cover up|hide)\b",
)
_GUARD = re.compile("|".join(_PATTERNS), re.IGNORECASE | re.DOTALL)


def refuses(prompt: str) -> bool:
    """Whether a request is declined before anything is looked up."""
    return bool(_GUARD.search(prompt.replace("’", "'")))
