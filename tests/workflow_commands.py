"""How the runner finds commands in a log, written after its `ActionCommand`: for tests that nothing slips through."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

KNOWN = {
    "add-mask", "add-matcher", "add-path", "command", "debug", "echo", "endgroup", "error", "group", "notice",
    "remove-matcher", "save-state", "section", "set-env", "set-output", "stop-commands", "warning",
}  # fmt: skip


def commands(log: str) -> list[tuple[str, str]]:
    """(command, data) of every line that the runner would execute, with every character it may overlook left out."""
    return [found for line in re.split(r"\r\n|[\r\n]", log) if (found := _command(line)) is not None]


@cache
def _is_overlooked(char: str) -> bool:
    return (char != "\t" and unicodedata.category(char) in ("Cc", "Cf", "Mn", "Me", "Mc")) or char == "\ufffd"


def _command(line: str) -> tuple[str, str] | None:
    # Comparing by culture may overlook control and format characters, marks, and what stands for the undecodable.
    seen = line
    if not line.isascii() or not line.isprintable():
        seen = "".join(char for char in line if not _is_overlooked(char))
    if "::" not in seen and "##[" not in seen:
        return None
    if found := re.match(r"\s*::([a-z-]+)([^:]|:(?!:))*?::(.*)", seen, re.IGNORECASE | re.DOTALL):
        name, data = found[1], found[3]
    elif found := re.search(r"##\[([a-z-]+)[^\]]*\](.*)", seen, re.IGNORECASE | re.DOTALL):
        name, data = found[1], found[2]
    else:
        return None
    return (name.lower(), data) if name.lower() in KNOWN else None
