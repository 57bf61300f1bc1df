"""Bytes of an answer in HTTP/1.1 -> status, headers, body. Pure: no socket, no clock.

Strict, since an answer that can be read in two ways must not be scored: whatever RFC 9112 leaves no single reading for
is `Malformed`. Everything that a server can make long is bounded. Own, and not a C parser: llhttp, by httptools, saves
5 us of a request's 50, and leaves the bounds, bodies that end with their connection, and the words to us anyway.
"""

from __future__ import annotations

import re
from collections.abc import Callable

MAX_BODY_BYTES = 32 * 1024 * 1024
MOST_TOGETHER_BYTES = 4 * MAX_BODY_BYTES
MAX_HEAD_BYTES = 128 * 1024
"""Of status line and headers, those of 1xx answers before it and the trailer included; or of one chunk's size line."""

_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: |$)")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,12})[ \t]*(?:;|$)")
_NAMES: dict[str, str] = {}
"""Lower-case names of headers that were found right; a server sends the same ones again and again."""


SHOWN = 40
"""Characters of what was said instead that a message shows."""

Show = Callable[[str], str]
"""Makes a text of a server fit to be shown: masked, then cut to `SHOWN`. In this order: half a secret is still one."""


class Malformed(Exception):
    """What came is no answer in HTTP; says in a few words why, as the end of a sentence: 'the server sent …'."""

    def __init__(self, what: str, said: str = "") -> None:
        """said: the server's words, neither cut nor masked."""
        super().__init__(what)
        self.said = said

    def told(self, show: Show) -> str:
        """With the server's words, if they can be shown."""
        return f"{self}: {show(self.said)!r}" if self.said else str(self)


class TooLong(Exception):
    """The body is longer than may be; says so as the end of a sentence: 'the answer …'."""

    def __init__(self, said: str = "") -> None:
        super().__init__(said or f"is longer than {MAX_BODY_BYTES >> 20} MiB")


# What comes next. Plain numbers: an Enum's members would cost more than the parsing itself.
_HEAD, _BODY, _SIZE, _CHUNK, _CHUNK_END, _TRAILER, _TO_THE_END, _DONE = range(8)


class Room:
    """What the bodies that are coming may take together: each within its bound, hundreds would still fill a machine."""

    def __init__(self, size: int = MOST_TOGETHER_BYTES) -> None:
        self._size = self._left = size

    def take(self, count: int) -> None:
        """Raises TooLong where there is no room for so many bytes more."""
        if count > self._left:
            raise TooLong(f"is long, and with others that came beside it longer than {self._size >> 20} MiB")
        self._left -= count

    def give(self, count: int) -> None:
        """So many bytes have been read, or thrown away."""
        self._left += count


class Answer:
    """One answer, fed with bytes until it is complete."""

    __slots__ = (
        "_body",
        "_held",
        "_is_head",
        "_left",
        "_overhead",
        "_room",
        "_step",
        "headers",
        "is_reusable",
        "promised",
        "status",
        "taken",
    )

    def __init__(self, room: Room | None = None, *, is_head: bool = False) -> None:
        """room: shared with the answers that come beside it. is_head: it ends with its headers, as the answer to
        CONNECT does."""
        self._is_head = is_head
        self._room = room
        self.taken = 0
        """Bytes that it has taken of the room, to be given back."""
        self.status = 0
        """0 until the head is there."""
        self.headers: dict[str, str] = {}
        """With lower-case names; of a repeated header the last value."""
        self.is_reusable = False
        """Whether the server keeps the connection for another request."""
        self.promised: int | None = None
        """Bytes of body that Content-Length tells; None: it does not."""
        self._body: bytes | bytearray = b""
        self._held = b""
        """What came and cannot be read before more has come."""
        self._left = 0
        self._overhead = 0
        self._step = _HEAD

    @property
    def body(self) -> bytes:
        """What has come of the body."""
        return self._body if isinstance(self._body, bytes) else bytes(self._body)

    def feed(self, data: bytes) -> bool:
        """Reads on; True: the answer is complete. Raises Malformed or TooLong; then it is not to be fed again."""
        if self._held:
            data, self._held = self._held + data, b""
        at, size = 0, len(data)
        while at < size and (step := self._step) != _DONE:
            begin = at
            if step == _HEAD:
                at = self._read_head(data, at)
            elif step in (_BODY, _CHUNK):
                at = self._read_body(data, at)
            elif step == _TO_THE_END:
                at = self._keep(data, at, size)
            else:
                at = self._read_line(data, at)
            if at == begin:  # it takes more to go on
                self._held = data[at:]
                return False
        if at < size and not self._is_head:
            self._check_surplus(data[at:])
        return self._step == _DONE

    def end(self) -> bool:
        """The server has closed the connection; True: that completes the answer."""
        if self._step is _TO_THE_END:
            self._step = _DONE
        return self._step is _DONE

    # ---- head ----

    def _read_head(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            self._check_beginning(data[at:])
            return at
        self._count(end + 4 - at)
        text = data[at:end].decode("latin-1")
        self._parse_head(text)
        if self.status < 200:
            if self.status == 101:
                raise Malformed("a change to another protocol (101)")
            self.status, self.headers, self.promised, self._step = 0, {}, None, _HEAD
        elif self._is_head or self.status in (204, 304):
            self._step = _DONE
        return end + 4

    def _check_beginning(self, data: bytes) -> None:
        """Sees early that it will not become a head: a server of another protocol may wait for an answer."""
        if not data.startswith(b"HTTP/1."[: len(data)]):
            raise _something_else(data)
        line_end = data.find(b"\n")
        if line_end > 0 and data[line_end - 1] != 13:
            raise Malformed("lines that do not end in CR LF")
        if len(data) + self._overhead > MAX_HEAD_BYTES:
            self._count(len(data))

    def _parse_head(self, text: str) -> None:
        lines = text.split("\r\n")
        match = _STATUS.match(lines[0])
        if match is None:
            raise _something_else(text.encode("latin-1"))
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
            raise Malformed("control characters in its headers")
        headers = self.headers
        is_chunked = False
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = _NAMES.get(name) or _checked(name, line)
            value = value.strip(" \t")
            if name == "content-length":
                self._promise(value)
            elif name == "transfer-encoding":
                is_chunked = _is_chunked(value) or is_chunked
            headers[name] = value
        minor, status = match.groups()
        self.status = int(status)
        options = headers.get("connection", "").lower()
        self.is_reusable = "close" not in options if minor == "1" else "keep-alive" in options
        self._begin_body(is_chunked)

    def _begin_body(self, is_chunked: bool) -> None:
        if is_chunked:
            # RFC 9112, 6.3: the encoding holds, and a length beside it is to be mistrusted.
            self.is_reusable = self.is_reusable and self.promised is None
            self.promised = None
            self._step = _SIZE
        elif self.promised is None:
            self.is_reusable = False
            self._step = _TO_THE_END
        else:
            self._left = self.promised
            self._step = _BODY if self.promised else _DONE

    def _promise(self, value: str) -> None:
        if not (value.isascii() and value.isdecimal()):
            raise Malformed("a Content-Length that is no number of bytes", value)
        length = int(value.lstrip("0")[:18] or "0")
        if self.promised is not None and self.promised != length:
            raise Malformed(f"two lengths of one answer: {self.promised} and {length} bytes")
        if length > MAX_BODY_BYTES:
            raise TooLong
        self.promised = length

    def _count(self, size: int) -> None:
        self._overhead += size
        if self._overhead > MAX_HEAD_BYTES:
            raise Malformed(f"more than {MAX_HEAD_BYTES >> 10} KiB of headers")

    # ---- body ----

    def _read_body(self, data: bytes, at: int) -> int:
        end = min(at + self._left, len(data))
        self._left -= end - at
        if not self._left:
            self._step = _DONE if self._step == _BODY else _CHUNK_END
        return self._keep(data, at, end)

    def _keep(self, data: bytes, at: int, end: int) -> int:
        if not self._body:
            self._body = data[at:end]  # mostly all of it: one copy
        else:
            if len(self._body) + end - at > MAX_BODY_BYTES:
                raise TooLong
            if self._room is not None:
                self._room.take(end - at)
                self.taken += end - at
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += data[at:end]
        return end

    def _read_line(self, data: bytes, at: int) -> int:
        """Reads what stands between chunks: their sizes, their ends, the trailer."""
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > MAX_HEAD_BYTES:
                raise Malformed(f"more than {MAX_HEAD_BYTES >> 10} KiB between the chunks of its body")
            return at
        line = data[at:end]
        if self._step is _CHUNK_END:
            if line:
                raise Malformed("a chunk that is longer than it says")
            self._step = _SIZE
        elif self._step is _SIZE:
            match = _SIZE_LINE.match(line)
            if match is None:
                raise Malformed("a chunk without its size")
            self._left = int(match[1], 16)
            if self._left > MAX_BODY_BYTES:
                raise TooLong
            self._step = _CHUNK if self._left else _TRAILER
        elif line:
            self._count(len(line) + 2)
        else:
            self._step = _DONE
        return end + 2

    def _check_surplus(self, surplus: bytes) -> None:
        """A line break after the body is an old habit of servers; anything else says that the length is wrong."""
        if surplus.strip():
            raise Malformed("more than the length of its answer, which is wrong, or a second answer")
        self.is_reusable = False


def _checked(name: str, line: str) -> str:
    if not _NAME.fullmatch(name) or len(name) == len(line):
        raise Malformed("a header line that is none", line)
    lowered = name.lower()
    if len(_NAMES) < 1000:
        _NAMES[name] = lowered
    return lowered


def _is_chunked(value: str) -> bool:
    coding = value.lower()
    if coding not in ("chunked", "identity"):
        raise Malformed("a Transfer-Encoding that was not asked for", value)
    return coding == "chunked"


def _something_else(data: bytes) -> Malformed:
    """What data that is no head may be."""
    if data[:2] == b"\x15\x03" or data[:2] == b"\x16\x03":
        return Malformed("TLS: it speaks HTTPS there")
    what = "no HTTP/1.1" if data.startswith(b"HTTP/") else "something that is no HTTP"
    return Malformed(what, data[: 1 << 12].decode("latin-1"))
