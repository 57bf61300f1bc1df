"""Texts that may be shown: secrets blotted out, one line, no control characters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

MASK = "***"

SHORTEST_SECRET = 4
"""Shorter values stand in ordinary words: masking them would blot out the message and hide nothing."""

_TOKENS = (
    # The look-ahead asks for a digit or some length, so that "bearer authentication" stays readable.
    (re.compile(r"\b(bearer)\s+(?=\S*[0-9]|\S{20})[\w.~+/=-]{4,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(Basic)\s+(?=[A-Za-z0-9+/]*[0-9=])[A-Za-z0-9+/]{8,}={0,2}"), rf"\1 {MASK}"),
    (re.compile(r"\b[sprg]k[-_][\w-]{8,}"), MASK),
    (re.compile(r"\b(gh[opsur]|github_pat|glpat|xox[abp])[-_][\w-]{8,}"), MASK),
    (re.compile(r"\bAKIA[0-9A-Z]{12,}"), MASK),
    (re.compile(r"(://)[^/\s@]+@"), rf"\1{MASK}@"),
)

_SECRET_NAME = re.compile(
    r"auth|token|secret|passw|cookie|credential|(^|[-_.])(key|sig|signature|pw)($|[-_.])|api-?_?key|access-?_?key", re.I
)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` with `***` for each secret, also where it is Base64, URL-quoted or JSON-escaped, and for look-alikes.

    Secrets of fewer than 4 characters are left alone: they would blot out ordinary words.
    """
    forms = {form for secret in secrets if len(secret.strip()) >= SHORTEST_SECRET for form in _forms(secret.strip())}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, MASK)
    for pattern, replacement in _TOKENS:
        text = pattern.sub(replacement, text)
    return text


def excerpt(text: str, limit: int, secrets: Iterable[str] = ()) -> str:
    """At most `limit` characters of `text` on one line, masked, without control characters.

    Masked before it is cut: half a secret is still a secret.
    """
    # A megabyte of answer is not searched for the sake of a few hundred characters.
    window = text[: max(limit * 8, 8192)]
    line = " ".join("".join(c if c.isprintable() else " " for c in mask(window, secrets)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def is_secret_name(name: str) -> bool:
    """Whether a header, query key or option of this name usually carries a secret."""
    return bool(_SECRET_NAME.search(name))


def secret_headers(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Values of headers that usually carry a secret, also without their scheme (`Bearer …`)."""
    values = [value for name, value in headers.items() if is_secret_name(name)]
    return tuple(values + [value.split(None, 1)[1] for value in values if len(value.split(None, 1)) == 2])


def _forms(secret: str) -> Iterable[str]:
    import base64

    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield quote(raw, safe="")
    yield quote_plus(raw)
    yield json.dumps(secret)[1:-1]
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
