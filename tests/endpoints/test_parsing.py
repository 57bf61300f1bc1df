"""Answers in HTTP/1.1, byte by byte: what is read, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalgate.endpoints.wire.parsing import MAX_BODY_BYTES, MAX_HEAD_BYTES, Answer, Malformed, Room, TooLong

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def read(*pieces: bytes, ends: bool = False) -> Answer:
    answer = Answer()
    is_complete = False
    for piece in pieces:
        is_complete = answer.feed(piece)
    assert answer.end() if ends else is_complete
    return answer


def chunks(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;note=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nTrailer: x\r\n\r\n"


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=300),
    how=st.sampled_from(["length", "chunks", "end"]),
    size=st.integers(1, 64),
    cuts=st.lists(st.integers(0, 600), max_size=12),
)
def test_an_answer_reads_the_same_however_it_is_cut(body: bytes, how: str, size: int, cuts: list[int]) -> None:
    """Where the network cuts is nobody's business; an interim answer before it neither."""
    head = {
        "length": OK + b"Content-Length: %d\r\n\r\n" % len(body),
        "chunks": CHUNKED,
        "end": OK + b"\r\n",
    }[how]
    message = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + head + (chunks(body, size) if how == "chunks" else body)
    edges = [0, *sorted(cut % (len(message) + 1) for cut in cuts), len(message)]
    answer = read(*(message[a:b] for a, b in pairwise(edges)), ends=how == "end")
    assert (answer.status, answer.body) == (200, body)
    assert answer.is_reusable is (how != "end")


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=80),
        st.lists(
            st.sampled_from(
                [*b"HTTP/1.1| |200|\r\n|\n|Content-Length|:|5|-1|abcde|\0|0\r\n|f\r\n|204".split(b"|"), OK, CHUNKED]
            ),
            max_size=14,
        ).map(b"".join),
    )
)
def test_nonsense_is_refused_or_waited_for_and_nothing_else(data: bytes) -> None:
    """Whatever a server says, the parser answers with one of its two errors, or asks for more."""
    answer = Answer()
    try:
        if answer.feed(data):
            assert 200 <= answer.status <= 999
    except (Malformed, TooLong):
        pass


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "HTTPS"),
        (b"J\x00\x00\x00\x0a8.0.36", "no HTTP"),
        (b"HTTP/2 200\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 two hundred\r\n\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 099 Odd\r\n\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "another protocol"),
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "CR LF"),
        (OK + b"no colon\r\n\r\n", "header line"),
        (OK + b"a b: c\r\n\r\n", "header line"),
        (OK + b"A: b\r\n folded\r\n\r\n", "header line"),
        (OK + b"A: b\0c\r\n\r\n", "control characters"),
        (OK + b"A: b\rc\r\n\r\n", "control characters"),
        (OK + b"Content-Length: -5\r\n\r\n", "no number of bytes"),
        (OK + b"Content-Length: 5 5\r\n\r\n", "no number of bytes"),
        (OK + b"Content-Length: \xb2\r\n\r\n", "no number of bytes"),
        (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "two lengths"),
        (OK + b"Content-Length: 2\r\n\r\n{} and more", "more than the length"),
        (OK + b"Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n\r\n", "more than the length"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding"),
        (CHUNKED + b"zz\r\n", "without its size"),
        (CHUNKED + b"-2\r\n", "without its size"),
        (CHUNKED + b"\r\n", "without its size"),
        (CHUNKED + b"2\r\nabc\r\n", "longer than it says"),
        (CHUNKED + b"1;" + b"x" * (MAX_HEAD_BYTES + 1), "between the chunks"),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * MAX_HEAD_BYTES, "of headers"),
        (OK + b"A: b\r\n" * MAX_HEAD_BYTES, "of headers"),
        (OK + b"A: " + b"b" * MAX_HEAD_BYTES + b"\r\n\r\n", "of headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_HEAD_BYTES, "of headers"),
    ],
)
def test_what_has_no_single_reading_is_refused(message: bytes, why: str) -> None:
    """In one piece and in two, with a reason in words."""
    for cut in (len(message), len(message) // 2):
        answer = Answer()
        with pytest.raises(Malformed, match=why):
            answer.feed(message[:cut])
            answer.feed(message[cut:])


@pytest.mark.parametrize(
    "message",
    [
        OK + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1),
        OK + b"Content-Length: %b\r\n\r\n" % (b"9" * 5000),
        CHUNKED + b"%x\r\n" % (MAX_BODY_BYTES + 1),
    ],
)
def test_too_long_is_known_from_the_promise(message: bytes) -> None:
    """Nothing of it has to come."""
    with pytest.raises(TooLong):
        Answer().feed(message)


@pytest.mark.parametrize(
    ("message", "is_reusable"),
    [
        (OK + b"Content-Length: %b2\r\n\r\n{}" % (b"0" * 30), True),
        (OK + b"Content-Length: 0\r\n\r\n", True),
        (OK + b"Content-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 204\r\nContent-Length: 7\r\n\r\n", True),
        (OK + b"Content-Length: 0\r\n\r\n\r\n", False),
        (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", True),
        (OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", False),
    ],
)
def test_a_connection_is_kept_only_where_the_next_answer_would_be_told_apart(message: bytes, is_reusable: bool) -> None:
    """Asked to close, an old protocol, an odd end: a new connection costs less than a wrong answer."""
    assert read(message).is_reusable is is_reusable


def test_headers_have_lower_case_names_and_any_bytes() -> None:
    """The last of a repeated one counts; white space around values does not."""
    answer = read(OK + b"X-A: 1\r\nx-a:\t2 \r\nX-Raw: \xff\xfe\r\nEmpty:\r\nContent-Length: 0\r\n\r\n")
    assert answer.headers == {"x-a": "2", "x-raw": "\xff\xfe", "empty": "", "content-length": "0"}


def test_an_answer_that_ends_early_is_not_complete() -> None:
    """Only a body without any length may end with the connection."""
    for message in (b"", OK, OK + b"Content-Length: 3\r\n\r\n{}", CHUNKED + b"2\r\n{}\r\n", CHUNKED + b"0\r\n"):
        answer = Answer()
        assert not answer.feed(message)
        assert not answer.end()


def test_answers_that_come_together_share_their_room() -> None:
    """Each within its bound, hundreds at once would still fill a machine; what is read gives its room back."""
    room = Room(1000)
    first, second, third = Answer(room), Answer(room), Answer(room)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"
    for answer in (first, second, third):
        answer.feed(head + b"x" * 100)
    first.feed(b"x" * 700)
    with pytest.raises(TooLong, match="came beside it"):
        second.feed(b"x" * 700)
    assert first.feed(b"x" * 100) and len(first.body) == 900
    room.give(first.taken)
    assert third.feed(b"x" * 800)
