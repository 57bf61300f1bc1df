"""The runs of a past month as one file: a plain tar of the immutable run files, and a list of what is in it. Pure.

The list is what a pull reads to know whether a store lacks anything of the pack.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evalgate.errors import Fault, InputError
from evalgate.history import branch_names as names
from evalgate.history import checks
from evalgate.history.branch_names import Kind

SCHEMA = "evalgate.pack/1"

MOST_BYTES = 48 * 2**20
"""Of one pack: a server takes no file of 100 MB. More of a month is another pack."""

MOST_LIST_BYTES = 16 * 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A run file in a pack."""

    path: str
    """Where it lay on the branch."""
    size: int
    sha256: str


def pack(month: str, files: Mapping[str, bytes]) -> tuple[dict[str, bytes], tuple[Member, ...]]:
    """The pack of a month's run files and its list, by path. The same files give the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in sorted(files.items()):
            header = tarfile.TarInfo(path)
            header.size, header.mode = len(content), 0o644
            tar.addfile(header, io.BytesIO(content))
    members = tuple(
        Member(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        for path, content in sorted(files.items())
    )
    content = out.getvalue()
    tar_path, list_path = names.pack_paths(month, content)
    listed = {
        "schema": SCHEMA,
        "month": month,
        "sha256": hashlib.sha256(content).hexdigest(),
        "members": [{"path": member.path, "size": member.size, "sha256": member.sha256} for member in members],
    }
    text = json.dumps(listed, sort_keys=True, separators=(",", ":")) + "\n"
    return {tar_path: content, list_path: text.encode("ascii")}, members


def read_list(path: str, content: bytes) -> tuple[Member, ...]:
    """What a pack's list says. Raises InputError where it is none."""
    try:
        row = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(Fault(where=path, what="this is no JSON")) from error
    schema = row.get("schema") if isinstance(row, dict) else None
    if isinstance(schema, str) and schema.startswith("evalgate.pack/") and schema != SCHEMA:
        hint = "Read it with the evalgate that wrote it, or a newer one."
        what = f"its schema is {schema[:40]!r}, this evalgate reads {SCHEMA!r}"
        raise InputError(Fault(where=path, what=what, hint=hint))
    if not _LIST(row) or any(names.of(member["path"]).kind is not Kind.RUN for member in row["members"]):
        raise InputError(Fault(where=path, what="this is no list of a pack"))
    return tuple(Member(**member) for member in row["members"])


def unpack(path: str, content: bytes, members: Mapping[str, Member]) -> Iterator[tuple[str, bytes]]:
    """Those files of a pack that are named here, each checked against its list.

    Raises InputError where the pack is damaged, or lacks one of them.
    """
    found = set()
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for entry in tar:
                member = members.get(entry.name)
                if member is None or not entry.isreg() or entry.name in found:
                    continue
                found.add(entry.name)
                if entry.size != member.size:
                    continue
                file = tar.extractfile(entry)
                held = b"" if file is None else file.read(member.size)
                yield entry.name, held if hashlib.sha256(held).hexdigest() == member.sha256 else b""
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        raise InputError(Fault(where=path, what="the pack is cut off or damaged")) from error
    lacking = members.keys() - found
    if lacking:
        raise InputError(Fault(where=path, what=f"the pack lacks {len(lacking)} of the runs that its list names"))


_MEMBER = checks.shape({"path": checks.text, "size": checks.count, "sha256": checks.text})

_LIST = checks.shape(
    {
        "schema": checks.one_of(SCHEMA),
        "month": checks.text,
        "sha256": checks.text,
        "members": lambda value: isinstance(value, list) and all(map(_MEMBER, value)),
    }
)
