"""Of a stranger's zip there is one file or one clear error: nothing on disk, no more memory than the caps say."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from builders import peak_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from evalgate.errors import InputError
from evalgate.github.answers import Artifact
from evalgate.github.artifact import MOST_BYTES, newest, only_member

RESULT = b'{"schema": "evalgate.result/1"}\n'
END = struct.Struct("<4s4H2LH")


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how, **options) as archive:
        for name, content in members:
            archive.writestr(name, content, how)
    return buffer.getvalue()


def streamed(content: bytes) -> bytes:
    """A zip as GitHub's own upload writes it: without knowing sizes beforehand, which follow the content."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.written += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        archive.writestr("result.json", content)
    return pipe.written


def info(name: str = "result.json", **fields: Any) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def linked(target: bytes = b"/etc/passwd") -> bytes:
    return zipped((info(create_system=3, external_attr=(stat.S_IFLNK | 0o777) << 16), target))


def changed(content: bytes, *, local: int, central: int, to: bytes) -> bytes:
    """The zip with these bytes at this place of the file's own header and of its entry in the directory."""
    (start,) = struct.unpack("<L", content[-6:-2])
    made = bytearray(content)
    made[local : local + len(to)] = to
    made[start + central : start + central + len(to)] = to
    return bytes(made)


def promised(size: int) -> bytes:
    """A zip whose directory and header promise this size."""
    return changed(zipped(("result.json", RESULT)), local=22, central=24, to=struct.pack("<L", size))


def end(**fields: int) -> bytes:
    """A zip with another last record: here, entries, size, offset, comment."""
    content = zipped(("result.json", RESULT))
    names = ("sign", "disk", "first", "here", "entries", "size", "offset", "comment")
    values = dict(zip(names, END.unpack(content[-END.size :]), strict=True)) | fields
    return content[: -END.size] + END.pack(*values.values())


def quine() -> bytes:
    """A zip in a zip in a zip."""
    content = RESULT
    for _ in range(10):
        content = zipped(("result.json", content))
    return zipped(("inner.zip", content))


def bomb(size: int) -> bytes:
    """Zeros, of which a thousand take one byte."""
    return zipped(("result.json", bytes(size)))


def liar() -> bytes:
    """More than a million bytes under the name of thirty."""
    return changed(bomb(2**21), local=22, central=24, to=struct.pack("<L", 30))


def huge_directory() -> bytes:
    """Two hundred thousand entries, each of which a reader would make an object of."""
    content = zipped(("result.json", RESULT))
    (start,) = struct.unpack("<L", content[-6:-2])
    entry, tail = content[start : -END.size], list(END.unpack(content[-END.size :]))
    tail[5] = len(entry) * 200_000
    return content[:start] + entry * 200_000 + END.pack(*tail)


WHOLE = zipped(("result.json", RESULT))

ATTACKS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no zip": lambda: RESULT,
    "html": lambda: b"<html>Unicorn!</html>" * 9,
    "gzip": lambda: b"\x1f\x8b\x08" + bytes(40),
    "no member": lambda: zipped(),
    "end only": lambda: END.pack(b"PK\x05\x06", 0, 0, 1, 1, 0, 0, 0),
    "two entries": lambda: zipped(("result.json", RESULT), ("other.json", b"")),
    "a file and a report": lambda: zipped(("report.md", b"# Approved by the maintainers"), ("result.json", RESULT)),
    "traversal": lambda: zipped(("../result.json", RESULT)),
    "deep traversal": lambda: zipped(("../../../../etc/cron.d/result.json", RESULT)),
    "traversal for Windows": lambda: zipped(("..\\result.json", RESULT)),
    "absolute": lambda: zipped(("/result.json", RESULT)),
    "drive": lambda: zipped(("C:\\result.json", RESULT)),
    "in a folder": lambda: zipped(("evalgate/result.json", RESULT)),
    "here": lambda: zipped(("./result.json", RESULT)),
    "folder": lambda: zipped(("result.json/", b"")),
    "folder by its attribute": lambda: zipped((info(external_attr=0x10), b"")),
    "wrong name": lambda: zipped(("verdict.json", RESULT)),
    "capitals": lambda: zipped(("RESULT.JSON", RESULT)),
    "name with an end": lambda: changed(zipped(("result.jsonXexe", RESULT)), local=41, central=57, to=b"\0"),
    "name that looks alike": lambda: zipped(("r\u0435sult.json", RESULT)),
    "name with a line end": lambda: zipped(("result.json\n", RESULT)),
    "name that speaks": lambda: zipped(("::set-output name=verdict::pass", RESULT)),
    "symbolic link": linked,
    "device": lambda: zipped((info(create_system=3, external_attr=(stat.S_IFCHR | 0o666) << 16), b"")),
    "pipe": lambda: zipped((info(create_system=3, external_attr=(stat.S_IFIFO | 0o666) << 16), b"")),
    "encrypted": lambda: changed(WHOLE, local=6, central=8, to=b"\x01\x00"),
    "strongly encrypted": lambda: changed(WHOLE, local=6, central=8, to=b"\x41\x00"),
    "masked": lambda: changed(WHOLE, local=6, central=8, to=b"\x00\x20"),
    "lzma": lambda: zipped(("result.json", RESULT), how=zipfile.ZIP_LZMA),
    "bzip2": lambda: zipped(("result.json", RESULT), how=zipfile.ZIP_BZIP2),
    "unknown packing": lambda: changed(WHOLE, local=8, central=10, to=b"\x63\x00"),
    "bomb": lambda: bomb(2**26),
    "small bomb": lambda: bomb(2**21),
    "bomb that lies": liar,
    "promises 4 GB": lambda: promised(2**32 - 2),
    "promises too much": lambda: promised(MOST_BYTES + 1),
    "promises one more": lambda: promised(len(RESULT) + 1),
    "promises nothing": lambda: promised(0),
    "zip in a zip": quine,
    "wrong checksum": lambda: changed(WHOLE, local=14, central=16, to=b"\0\0\0\0"),
    "damaged content": lambda: WHOLE[:45] + b"\xff\xff" + WHOLE[47:],
    "cut off": lambda: WHOLE[:-1],
    "cut off in the middle": lambda: WHOLE[: len(WHOLE) // 2],
    "something before it": lambda: b"#!/bin/sh\n" + WHOLE,
    "something after it": lambda: WHOLE + b"<script>",
    "a comment": lambda: end(comment=3) + b"abc",
    "zip64": lambda: end(entries=0xFFFF, here=0xFFFF),
    "two promised": lambda: end(entries=2, here=2),
    "one promised, two there": lambda: two_in_the_directory(),
    "other disk": lambda: end(disk=1),
    "directory beyond the end": lambda: end(offset=2**32 - 1),
    "huge directory": huge_directory,
    "two names for one": lambda: changed(WHOLE, local=30, central=46, to=b"r")[:30] + b"R" + WHOLE[31:],
}


def two_in_the_directory() -> bytes:
    content = zipped(("result.json", RESULT), ("result.jsoN", b"{}"))
    tail = list(END.unpack(content[-END.size :]))
    tail[3] = tail[4] = 1
    return content[: -END.size] + END.pack(*tail)


@pytest.mark.parametrize("name", ATTACKS)
def test_each_attack_is_refused_with_one_sentence(name: str) -> None:
    """Which repeats nothing of the zip, and costs next to no memory."""
    content = ATTACKS[name]()
    with peak_bytes() as peak, pytest.raises(InputError) as caught:
        only_member(content, where="artifact 7")
    said = str(caught.value)
    assert len(caught.value.faults) == 1 and said.startswith("artifact 7: ")
    assert "set-output" not in said and "passwd" not in said and ".." not in said
    assert peak[0] < 2**20


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_plain_zip_gives_its_file(how: int) -> None:
    """Packed or not, with the mode of a plain file or none."""
    assert only_member(zipped(("result.json", RESULT), how=how), where="it") == RESULT
    mode = info(create_system=3, external_attr=(stat.S_IFREG | 0o644) << 16)
    assert only_member(zipped((mode, RESULT), how=how), where="it") == RESULT


def test_a_zip_that_was_streamed_gives_its_file() -> None:
    """As `actions/upload-artifact` makes them: the header knows no size, which stands behind the content."""
    content = streamed(RESULT * 50)
    assert content[6] & 0x08
    assert only_member(content, where="it") == RESULT * 50


def test_a_large_honest_file_is_taken() -> None:
    """Scores repeat themselves and pack well: that alone is no bomb."""
    rows = b"".join(b'{"case":"refunds-%06d","epoch":1,"score":1.0,"latency_s":0.25},\n' % n for n in range(60_000))
    assert only_member(zipped(("result.json", rows)), where="it") == rows


def test_inflating_ends_at_the_cap() -> None:
    """Whatever the directory says of the size."""
    with pytest.raises(InputError, match="larger than 10 bytes"):
        only_member(WHOLE, where="it", most_bytes=10)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"PK\x03\x04" + tail + WHOLE[-22:]))
def test_any_bytes_are_refused(content: bytes) -> None:
    """Never another exception."""
    with pytest.raises(InputError):
        only_member(content, where="it")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4))
def test_any_change_of_a_zip_is_refused_or_harmless(place: int, bytes_there: bytes) -> None:
    """Never another exception, and never another content: the checksum holds."""
    try:
        found = only_member(WHOLE[:place] + bytes_there + WHOLE[place + len(bytes_there) :], where="it")
    except InputError:
        return
    assert found == RESULT


# ---- which artifact -----------------------------------------------------------------------------------------


def artifact(name: str, id: int = 1, **fields: Any) -> Artifact:
    values = {"size": 9, "digest": None, "is_expired": False, "run_id": 100}
    return Artifact(id=id, name=name, **{**values, "created": "", **fields})


@pytest.mark.parametrize(
    ("names", "attempt", "found"),
    [
        ([], 1, None),
        (["evalgate-result-1"], 1, (0, 1)),
        (["evalgate-result-1", "evalgate-result-2"], 2, (1, 2)),
        (["evalgate-result-10", "evalgate-result-9"], 10, (0, 10)),
        (["evalgate-result-3", "evalgate-result-2"], 2, (1, 2)),
        (["evalgate-result-1"], 3, (0, 1)),
        (["evalgate-result-2"], 1, None),
        (["evalgate-result-1", "evalgate-result-1"], 1, (0, 1)),
        (
            ["evalgate-result-", "evalgate-result-0", "evalgate-result-01", "evalgate-result-1x", "xevalgate-result-1"],
            1,
            None,
        ),
        (["evalgate-result-٣", "evalgate-result-99999999999999999999"], 10**9, None),
        (["evalgate-report-1"], 1, None),
    ],
)
def test_the_newest_attempt_up_to_this_one_counts(
    names: list[str], attempt: int, found: tuple[int, int] | None
) -> None:
    """A re-run of failed jobs alone leaves the artifact of the attempt before; a later attempt has its own event."""
    artifacts = [artifact(name, id=number) for number, name in enumerate(names)]
    chosen = newest(artifacts, prefix="evalgate-result", attempt=attempt)
    assert (None if chosen is None else (chosen[0].id, chosen[1])) == found
