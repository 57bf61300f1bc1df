"""How the runner finds commands in a log, written after its `ActionCommand`: for tests that nothing slips through."""

from __future__ import annotations

import re
import unicodedata

KNOWN = {
    "add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice", "remove-matcher",
    "save-state", "set-env", "set-output", "stop-commands", "warning",
}  # fmt: skip


def commands(log: str) -> list[tuple[str, str]]:
    """(command, data) of every line that the runner would execute, with every character it may overlook left out."""
    return [found for line in re.split(r"\r\n|[\r\n]", log) if (found := _command(line)) is not None]


def _command(line: str) -> tuple[str, str] | None:
    # Comparing by culture may overlook control and format characters, marks, and what stands for the undecodable.
    overlooked = ("Cc", "Cf", "Mn", "Me", "Mc")
    seen = "".join(char for char in line if char == "\t" or unicodedata.category(char) not in overlooked)
    seen = seen.replace("\N{REPLACEMENT CHARACTER}", "")
    if found := re.match(r"\s*::([a-z-]+)([^:]|:(?!:))*?::(.*)", seen, re.IGNORECASE | re.DOTALL):
        name, data = found[1], found[3]
    elif found := re.search(r"##\[([a-z-]+)[^\]]*\](.*)", seen, re.IGNORECASE | re.DOTALL):
        name, data = found[1], found[2]
    else:
        return None
    return (name.lower(), data) if name.lower() in KNOWN else None
