"""Secrets blotted out: of what is shown, and of what is kept. Pure.

Two kinds are found: values that somebody says are secret, in the spellings in which programs write them, and what looks
like a token of a known make. Whoever means to hide a secret from this can: spelt backwards it is not found.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from evalgate.harmless import INVISIBLE, visible
from evalgate.records import Failed, Output, Result

MASK = "***"

SHORTEST_SECRET = 4
"""Shorter values stand in ordinary words: masking them would blot out the message and hide nothing."""

_LONG = 8
"""From this length on a secret's less usual spellings are looked for: those of a short one stand in ordinary texts."""

_TOKENS = re.compile(
    r"""
      \bsk-(?=[\w-]*[0-9])[\w-]{20,}                                 # OpenAI, Anthropic and their like
    | \b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}                         # Stripe
    | \bgh[opsur]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}
    | \bglpat-[\w-]{16,} | \bnpm_[A-Za-z0-9]{30,} | \bhf_[A-Za-z0-9]{30,} | \bpypi-[\w-]{50,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,}                               # Slack
    | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                                  # AWS
    | \bAIza[\w-]{35}                                                # Google
    | \beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}                     # a signed token with its claims
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----(?:[^-]|-(?!----))*(?:-----END\ [A-Z\ ]*PRIVATE\ KEY-----)?
    """,
    re.VERBOSE,
)
_SHORTEST_TOKEN = 16
# What tokens hold before and after one character of theirs. Most texts have none of it, and to look for one character
# costs next to nothing.
_BEFORE_DASH = ("sk", "glpat", "pypi", "PRIVATE KEY", *(f"xox{kind}" for kind in "abeoprs"))
_BEFORE_UNDERSCORE = ("ghp", "gho", "ghs", "ghu", "ghr", "pat", "live", "test", "npm", "hf")
_AFTER_A = ("KI", "SI", "Iza")


def _may_hold_token(text: str) -> bool:
    return len(text) >= _SHORTEST_TOKEN and (
        ("-" in text and any(piece.endswith(_BEFORE_DASH) for piece in text.split("-")))
        or ("_" in text and any(piece.endswith(_BEFORE_UNDERSCORE) for piece in text.split("_")))
        or ("A" in text and any(piece.startswith(_AFTER_A) for piece in text.split("A")))
        or ("J" in text and any(piece.endswith("ey") for piece in text.split("J")))
    )


_LOOKALIKES = (
    # The look-ahead asks for a digit or some length, so that "bearer authentication" stays readable.
    (re.compile(r"\b(bearer)\s+(?=\S*[0-9]|\S{20})[\w.~+/=-]{4,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(Basic)\s+(?=[A-Za-z0-9+/]*[0-9=])[A-Za-z0-9+/]{8,}={0,2}"), rf"\1 {MASK}"),
    (re.compile(r"\b[sprg]k[-_][\w-]{8,}"), MASK),
    (re.compile(r"\b(gh[opsur]|github_pat|glpat|xox[abp])[-_][\w-]{8,}"), MASK),
    (re.compile(r"\bAKIA[0-9A-Z]{12,}"), MASK),
    (re.compile(r"(://)[^/\s@]+@"), rf"\1{MASK}@"),
)
"""For messages, where half a suspicion is enough: what they quote is nobody's answer."""

_SECRET_NAME = re.compile(
    r"auth|token|secret|passw|cookie|credential|(^|[-_.])(key|sig|signature|pw)($|[-_.])|api-?_?key|access-?_?key", re.I
)
_SECRET_VARIABLE = re.compile(r"(?:.*_)?(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|PAT|CREDENTIALS?)", re.IGNORECASE)
_LIKELY_SECRET = 12
"""Characters from which on the value of a variable with such a name is taken for a secret."""


class Masker:
    """Blots out some secrets and whatever looks like a token. Made once, used for every text of a run."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """secrets: those of fewer than 4 characters are left alone: they would blot out ordinary words."""
        self._secrets = frozenset(secret.strip() for secret in secrets if len(secret.strip()) >= SHORTEST_SECRET)

    @cached_property
    def _forms(self) -> tuple[str, ...]:
        found = {form for secret in self._secrets for form in _forms(secret)}
        return tuple(sorted(found, key=len, reverse=True))

    @cached_property
    def _shortest(self) -> int:
        """Length of the shortest form; in a shorter text there is none."""
        return min(map(len, self._forms), default=sys.maxsize)

    def known(self, text: str) -> str:
        """`text` with `***` for each secret, also encoded, and where invisible characters stand inside it."""
        if len(text) < self._shortest:
            return text
        return _bare_too(self._replaced, text)

    def __call__(self, text: str) -> str:
        """`text` without the secrets, and without what looks like a token of a known make."""
        if len(text) < min(self._shortest, _SHORTEST_TOKEN):
            return text
        return _bare_too(self._all_replaced, text)

    def _replaced(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def _all_replaced(self, text: str) -> str:
        text = self._replaced(text)
        return _TOKENS.sub(MASK, text) if _may_hold_token(text) else text

    def value(self, value: Any) -> Any:
        """A structure with every text in it masked, names of mappings too; itself where nothing was."""
        return _mapped(value, self)

    def output(self, output: Output, *, is_known: bool = False) -> Output:
        """An endpoint's output, masked; itself where nothing was. is_known: only of the secrets, not of tokens."""
        mask = self.known if is_known else self
        changed: dict[str, Any] = {}
        for name in ("text", "data", "contexts", "model", "system_fingerprint", "response_id", "finish_reason"):
            before = getattr(output, name)
            after = _mapped(before, mask)
            if after is not before:
                changed[name] = after
        calls = tuple(
            call
            if (told := _mapped(call.arguments, mask)) is call.arguments and mask(call.name) == call.name
            else replace(call, name=mask(call.name), arguments=told)
            for call in output.tool_calls
        )
        if any(after is not before for after, before in zip(calls, output.tool_calls, strict=True)):
            changed["tool_calls"] = calls
        return replace(output, **changed) if changed else output

    def result(self, result: Result) -> Result:
        """A result, masked, as it may be kept and shown; itself where nothing was. Its score stays what it was."""
        changed: dict[str, Any] = {}
        if result.output is not None and (output := self.output(result.output)) is not result.output:
            changed["output"] = output
        if isinstance(result, Failed):
            if (cause := self(result.cause)) != result.cause:
                changed["cause"] = cause
        else:
            reasons = [self(score.reason) for score in result.scores]
            if any(after != score.reason for after, score in zip(reasons, result.scores, strict=True)):
                told = zip(reasons, result.scores, strict=True)
                changed["scores"] = tuple(replace(score, reason=after) for after, score in told)
        return replace(result, **changed) if changed else result


def _mapped(value: Any, mask: Any) -> Any:
    if isinstance(value, str):
        masked = mask(value)
        return value if masked == value else masked
    if isinstance(value, Mapping):
        pairs = {_mapped(name, mask): _mapped(item, mask) for name, item in value.items()}
        is_same = all(pairs.get(name) is item for name, item in value.items())
        return value if is_same else pairs
    if isinstance(value, (list, tuple)):
        items = [_mapped(item, mask) for item in value]
        is_same = all(after is before for after, before in zip(items, value, strict=True))
        return value if is_same else type(value)(items)
    return value


_CONTROLS = tuple(chr(code) for code in (*range(32), 127) if chr(code) not in "\t\n\r")


def _bare_too(mask: Callable[[str], str], text: str) -> str:
    """The text masked, and, where invisible characters stand in it, masked without them if that makes a difference.

    Whoever shows the text takes out what cannot be seen, and would put the secret together.
    """
    text = mask(text)
    if not _hides_something(text):
        return text
    bare = visible(text)
    masked = mask(bare)
    return text if masked == bare else masked


def _hides_something(text: str) -> bool:
    if text.isascii():
        return not text.isprintable() and any(control in text for control in _CONTROLS)
    return INVISIBLE.search(text) is not None


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Values of the environment's variables whose names say that they are secret, from 12 characters on. Paths and
    texts with white space are none."""
    return [
        value.strip()
        for name, value in environ.items()
        if _SECRET_VARIABLE.fullmatch(name)
        and len(value.strip()) >= _LIKELY_SECRET
        and not value.startswith(("/", "~"))
        and len(value.split()) == 1
    ]


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """A message with `***` for each secret, in every spelling that a `Masker` knows, and for look-alikes."""
    text = Masker(secrets)(text)
    for pattern, replacement in _LOOKALIKES:
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
    """The spellings of a secret. Base64 also as a part of something longer, at each of its three alignments."""
    import base64
    import html

    raw = secret.encode("utf-8", "surrogatepass")
    yield secret
    # A path's slashes may stay as they are; a URL inside a URL is quoted twice.
    for quoted in (quote(raw, safe=""), quote_plus(raw), quote(raw), quote(quote(raw, safe=""), safe="")):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), quoted)
    for spelt in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        yield spelt[1:-1]
        yield spelt[1:-1].replace("/", "\\/")  # as PHP and some gateways write it
        yield json.dumps(spelt[1:-1])[1:-1]  # JSON in JSON, as in a tool's arguments
    yield html.escape(secret)
    yield html.escape(secret, quote=False)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(raw).decode().rstrip("=")
        if len(raw) >= _LONG:
            for before in (1, 2):
                # The characters that hold bits of this secret alone.
                encoded = encode(b"\0" * before + raw).decode()
                yield encoded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]
            yield encode(raw).decode()[: 8 * len(raw) // 6]
    if len(raw) >= _LONG:
        yield raw.hex()
        yield raw.hex().upper()
        yield base64.b32encode(raw).decode().rstrip("=")
