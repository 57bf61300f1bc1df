"""Secrets do not reach a message."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalgate.masking import excerpt, is_secret_name, mask, secret_headers


def test_a_secret_with_slashes_is_masked_as_others_escape_it() -> None:
    """A key in Base64 has slashes: quoted as part of a path, twice, or in JSON from PHP it was left readable."""
    secret = "sk-Zq8/Xy+7mNpQrStUvWx0123456789=="
    for spelling in (quote(secret), quote(quote(secret, safe=""), safe=""), secret.replace("/", "\\/")):
        assert spelling not in mask(f"no such key: {spelling}.", [secret])


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=4, max_size=40), st.text(max_size=30))
def test_a_secret_is_masked_in_every_spelling(secret: str, around: str) -> None:
    """As it is, Base64, URL-quoted and JSON-escaped: what is left has none of them."""
    spellings = [secret, base64.b64encode(secret.encode()).decode(), quote(secret, safe=""), json.dumps(secret)[1:-1]]
    for spelling in spellings:
        if spelling.strip("*"):
            masked = mask(f"{around} <{spelling}>", [secret])
            assert f"<{spelling}>" not in masked


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef0123456789",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "key sk-proj-abcdefgh12345678 refused",
        "https://user:hunter2@host/path",
        "ghp_0123456789abcdefABCDEF",
    ],
)
def test_what_looks_like_a_secret_is_masked_unasked(text: str) -> None:
    """A key that evalgate was never told of, in an endpoint's own words."""
    masked = mask(text)
    assert "***" in masked
    assert not any(part in masked for part in ("abcdef", "dXNlcjpw", "hunter2"))


def test_ordinary_words_stay_readable() -> None:
    """Masking that eats the message helps nobody."""
    text = "missing bearer authentication in a basic request, task-oriented, at https://host/a@b"
    assert mask(text, ["", "ab"]) == text


def test_an_excerpt_is_one_printable_line_and_masked_before_it_is_cut() -> None:
    """Control characters would reach the terminal; half a secret is still a secret."""
    assert excerpt("a\x1b[31m\r\nb\u202e", 50) == "a [31m b"
    assert "secr" not in excerpt("x" * 16 + "secret-value", 20, ["secret-value"])
    assert len(excerpt("y" * 10_000_000, 20)) == 20


def test_secret_names_are_known() -> None:
    """Headers, query keys and options that carry secrets, and some that only sound alike."""
    assert all(
        map(is_secret_name, ("Authorization", "api-key", "x-api-key", "apikey", "token", "Cookie", "sig", "key"))
    )
    assert not any(map(is_secret_name, ("X-Team", "monkey", "model", "design", "Accept")))
    assert set(secret_headers({"Authorization": "Token abc1", "X-Team": "t"})) == {"Token abc1", "abc1"}
