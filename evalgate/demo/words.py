"""Text → the words that retrieval and extraction compare: lower case, without function words, reduced to stems.

Stems are Snowball's English ones. Knows nothing of passages.
"""

from __future__ import annotations

import functools
import re
import threading
from typing import Any

_WORD = re.compile(r"[a-z0-9]+(?:\.[0-9]+)?")

_FUNCTION_WORDS = """
    a about above after all also am an and any are as at be because been before being both but by can could did do does
    doing done each either else every few for from get gets getting give given gives go goes going got had has have
    having he her here hers him his how i if in into is it its just let like make makes many may me might mine more most
    much must my need needs no nor not of off often on once one only onto or other our ours out over own per please put
    same shall she should since so some someone somebody something still such take takes tell than that the their theirs
    them then there these they thing things this those through to too under until up upon us used using very want was we
    well were what when where whether which while who whom whose why will with within without would yet you your yours
    cant dont find found happen happens id im isnt ive know known now ok okay say says today tomorrow way ways
    handbook quillmarsh
"""
"""Words that say nothing of the topic. The last line: every passage is about the company and from its handbook."""

_SYNONYMS = """
    leave: vacation pto
    salary: wage paycheck income
    sick: ill illness sickness unwell
    lead: boss manager supervisor
    company: firm employer
    colleague: coworker teammate workmate
    customer: client shopper buyer
    partner: spouse husband wife
    parent: mother father mum dad
    grandparent: grandmother grandfather grandma grandpa
    child: kid baby son daughter
    wedding: marry marriage married
    death: die died funeral bereavement
    doctor: physician
    laptop: computer notebook
    phone: telephone mobile
    bicycle: bike cycle
    train: rail railway
    flight: fly plane aeroplane
    trip: journey
    car: vehicle automobile
    warranty: guarantee
    parcel: package
    repair: fix mend
    shop: store boutique
    buy: purchase bought
    price: cost fee charge
    course: class seminar
    abroad: foreign overseas
    allowed: permitted permissible
    notice: resign resignation quit
    stolen: steal stole theft
    thief: shoplifter
    meal: lunch dinner
    remote: telework homeworking
    bullying: mobbing
    dog: puppy
    fire: burn burning blaze
    password: passphrase
"""
"""The handbook's word: what people say instead. One list for the whole handbook, as its editors would keep it."""

_SKIPPED = frozenset(_FUNCTION_WORDS.split())

_stem_lock = threading.Lock()


@functools.cache
def _stemmer() -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@functools.lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """The word's Snowball stem. Safe to call from many threads."""
    with _stem_lock:  # a stemmer keeps the word that it is working on in itself
        return str(_stemmer().stemWord(word))


@functools.cache
def _canonical() -> dict[str, str]:
    """Each word of the list, and its stem, -> the handbook's word."""
    table: dict[str, str] = {}
    for line in _SYNONYMS.strip().splitlines():
        word, _, others = line.strip().partition(": ")
        for other in others.split():
            table[other] = table[stem(other)] = word
    return table


def terms(text: str, *, stemming: bool, synonyms: bool) -> list[str]:
    """The words of a text that carry its topic, in order, with repetitions."""
    plain = text.lower().replace("’", "'").replace("'s ", " ").replace("'", "")
    words = [word for word in _WORD.findall(plain) if word not in _SKIPPED]
    if synonyms:
        table = _canonical()
        words = [table.get(word) or (table.get(stem(word)) if stemming else None) or word for word in words]
    return [stem(word) for word in words] if stemming else words
