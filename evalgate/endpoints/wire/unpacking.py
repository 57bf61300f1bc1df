"""Compressed bodies, opened within a bound."""

from __future__ import annotations

import zlib

from evalgate.endpoints.wire.parsing import MAX_BODY_BYTES, Malformed, TooLong

ACCEPTED = "gzip, deflate"
"""What can be unpacked: the value of Accept-Encoding."""

_WITH_GZIP_HEADER = 31
_WITH_ZLIB_HEADER = 15
_BARE = -15

_MOST_MEMBERS = 100
"""Each member costs a copy of what follows: a body of empty ones would cost minutes."""


def unpack(body: bytes, encoding: str) -> bytes:
    """`body` without its Content-Encoding. Raises Malformed, or TooLong as soon as it has grown too long."""
    for coding in reversed([part.strip().lower() for part in encoding.split(",")]):
        if coding in ("", "identity"):
            continue
        if coding in ("gzip", "x-gzip"):
            body = _inflate(body, _WITH_GZIP_HEADER)
        elif coding == "deflate":
            # Half of the servers mean zlib's format, as the standard says, and half the bare one.
            is_zlib = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
            body = _inflate(body, _WITH_ZLIB_HEADER if is_zlib else _BARE)
        else:
            raise Malformed("a body in an encoding that was not asked for", coding)
    return body


def _inflate(body: bytes, bits: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while body:  # gzip may hold several members
        if len(parts) >= _MOST_MEMBERS:
            raise Malformed("a compressed body of far too many pieces")
        worker = zlib.decompressobj(bits)
        try:
            part = worker.decompress(body, MAX_BODY_BYTES + 1 - size)
        except zlib.error as error:
            raise Malformed(f"a badly compressed body ({error})") from None
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise TooLong
        if not worker.eof:
            raise Malformed("a compressed body that was cut off")
        parts.append(part)
        body = worker.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)
