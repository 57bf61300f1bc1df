"""What an HTTP status means."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalgate.endpoints.statuses import failure_of
from evalgate.errors import HOPELESS, CallFault

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def said(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "code": code}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (400, said("bad"), CallFault.REFUSED_REQUEST),
        (400, said("no such model", "model_not_found"), CallFault.NOT_FOUND),
        (401, b"", CallFault.CREDENTIALS),
        (402, b"", CallFault.CREDENTIALS),
        (403, b"", CallFault.CREDENTIALS),
        (404, b"<html>", CallFault.NOT_FOUND),
        (407, b"", CallFault.CREDENTIALS),
        (408, b"", CallFault.TIMEOUT),
        (409, b"", CallFault.SERVER),
        (413, b"", CallFault.REFUSED_REQUEST),
        (422, said("context too long"), CallFault.REFUSED_REQUEST),
        (425, b"", CallFault.SERVER),
        (429, said("slow down", "rate_limit_exceeded"), CallFault.RATE_LIMITED),
        (429, said("You exceeded your current quota", "insufficient_quota"), CallFault.CREDENTIALS),
        (500, b"\xff\xfe", CallFault.SERVER),
        (501, b"", CallFault.REFUSED_REQUEST),
        (503, b"[1]", CallFault.SERVER),
        (505, b"", CallFault.REFUSED_REQUEST),
        (529, b"null", CallFault.SERVER),
    ],
)
def test_each_status_has_its_fault(status: int, body: bytes, fault: CallFault) -> None:
    """The fault decides whether to ask again and whether to stop: one table, walked whole."""
    error = failure_of(status, {}, body)
    assert error.fault is fault
    assert f"answered {status}" in str(error)


def test_a_used_up_quota_stops_the_run_and_says_so() -> None:
    """It is a 429, but waiting does not help."""
    error = failure_of(429, {"retry-after": "1"}, said("You exceeded it", "insufficient_quota"))
    assert error.fault in HOPELESS
    assert "quota" in str(error)
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Sun, 01 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sun, 01 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
    ],
)
def test_how_long_to_wait_is_read_in_every_spelling(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds or a date; what cannot be read is unknown, never zero."""
    assert failure_of(429, headers, b"", now=NOW).retry_after_s == seconds


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (said("it is\nbroken"), "it is broken"),
        (b'{"detail": "not here"}', "not here"),
        (b'{"message": "gone"}', "gone"),
        (b'{"error": "plain"}', "plain"),
        (b"just text", "just text"),
        (b'{"detail": [{"loc": ["body"], "msg": "missing"}]}', "missing"),
    ],
)
def test_the_endpoints_own_words_are_found_where_servers_put_them(body: bytes, words: str) -> None:
    """OpenAI's, FastAPI's, plain texts: on one line."""
    assert words in str(failure_of(400, {}, body))


def test_the_message_is_cut_and_masked() -> None:
    """300 characters are enough, and no secret among them, also not one at the cut."""
    secret = "k" * 40
    text = str(failure_of(400, {}, said("x " * 145 + secret), [secret]))
    assert "kkkk" not in text
    assert len(text) < 420


@given(st.integers(400, 599), st.binary(max_size=200), st.dictionaries(st.just("retry-after"), st.text(max_size=20)))
def test_any_answer_becomes_one_line_about_it(status: int, body: bytes, headers: dict[str, str]) -> None:
    """Whatever a server sends, the error is one printable line, and the wait is no negative number."""
    error = failure_of(status, headers, body)
    assert str(error).isprintable()
    assert error.retry_after_s is None or error.retry_after_s >= 0
