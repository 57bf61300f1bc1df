"""What a fork's workflow run has left: the one file in one zip, of which no byte is trusted.

Nothing is written to disk, and no more is held than the caps below say, whatever the zip promises. No message repeats
what stands in it: messages end up in comments and logs. Knows no JSON and no run.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable

from evalgate.errors import Fault, InputError
from evalgate.github.answers import Artifact

MEMBER = "result.json"

MOST_PACKED = 8 * 2**20
"""Bytes of the zip."""

MOST_BYTES = 32 * 2**20
"""Of the file in it: some 100,000 cases."""

MOST_RATIO = 200
"""How many times its packed size the file may have, where it has more than `_ALWAYS`: what compresses better is written
to fill memory."""

_ALWAYS = 2**20
_MOST_DIRECTORY = 2**16
_END = struct.Struct("<4s4H2LH")
_PACKED_ALIKE = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_UNUSUAL_FLAGS = 0x1 | 0x20 | 0x40 | 0x2000
"""Encrypted, patch data, strongly encrypted, masked header."""

# zipfile has a name of its own for only some of what a damaged zip makes it raise.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    LookupError,
    OSError,
    struct.error,
)


def newest(artifacts: Iterable[Artifact], *, prefix: str, attempt: int) -> tuple[Artifact, int] | None:
    """The artifact of the newest attempt up to this one, and that attempt; None: there is none.

    They are named `PREFIX-ATTEMPT`. artifacts: of one workflow run, newest first, which counts where one attempt has
    left several. One that has expired counts: it is to be told, not to be passed over for an older one.
    """
    named = re.compile(re.escape(prefix) + r"-([1-9][0-9]{0,8})")
    found = [(artifact, int(match[1])) for artifact in artifacts if (match := named.fullmatch(artifact.name))]
    return max((pair for pair in found if pair[1] <= attempt), key=lambda pair: pair[1], default=None)


def only_member(content: bytes, *, where: str, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of `result.json`, which is all that this zip holds.

    where: how the zip is named in messages. Raises InputError, with one sentence, for whatever is no plain zip of one
    plain file of that name, or where that is larger than `most_bytes` or `MOST_RATIO` allow.
    """
    try:
        _check_end(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (member,) = archive.infolist()
            _check(member, most_bytes)
            with archive.open(member) as file:
                found = file.read(member.file_size + 1)
        if len(found) != member.file_size:
            raise _Refused("its file is not as long as the zip says")
    except _Refused as fault:
        raise InputError(Fault(where=where, what=str(fault), hint=_HINT)) from None
    except _DAMAGED:
        raise InputError(Fault(where=where, what="the zip is damaged or cut off", hint=_HINT)) from None
    return found


_HINT = f"It is to hold one file, {MEMBER}, as `evalgate run --write result={MEMBER}` writes it."


class _Refused(Exception):
    """Why a zip is not opened; a sentence without a full stop."""


def _check_end(content: bytes) -> None:
    """Refuses what is not exactly one file and a directory of one entry, before anything goes through the entries."""
    if len(content) < _END.size or not content.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        raise _Refused("is no zip")
    sign, disk, first_disk, here, entries, size, offset, comment = _END.unpack(content[-_END.size :])
    if sign != b"PK\x05\x06" or disk or first_disk or comment or offset + size + _END.size != len(content):
        raise _Refused("the zip is damaged or cut off, or something stands before or after it")
    if here != 1 or entries != 1:
        raise _Refused(f"the zip holds {entries:,} files, and not one")
    if size > _MOST_DIRECTORY:
        raise _Refused("the zip's directory is larger than one file needs")


def _check(member: zipfile.ZipInfo, most_bytes: int) -> None:
    mode = member.external_attr >> 16
    if member.orig_filename != MEMBER or member.filename != MEMBER:
        raise _Refused(f"the file in the zip is not named {MEMBER}")
    if member.is_dir() or member.external_attr & 0x10 or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise _Refused(f"{MEMBER} is no plain file")
    if member.flag_bits & _UNUSUAL_FLAGS or member.compress_type not in _PACKED_ALIKE:
        raise _Refused(f"{MEMBER} is encrypted, or packed in an unusual way")
    if member.header_offset != 0:
        raise _Refused("something stands before the file in the zip")
    if member.file_size > most_bytes:
        raise _Refused(f"{MEMBER} is larger than {most_bytes:,} bytes")
    if member.file_size > _ALWAYS and member.file_size > MOST_RATIO * member.compress_size:
        raise _Refused(f"{MEMBER} is packed more than {MOST_RATIO} to 1, as files that are to fill memory are")
