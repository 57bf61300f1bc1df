"""Every bad file gets all its faults in one message, each with its place and what to write instead.

Each case is a text file under `bad/`: the files, each after a line `--- NAME`, then `--- message` and what is said.
Run with `EVALGATE_WRITE_GOLDEN=1` to write the messages anew, and read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from config_kit import config, evalsets

from evalgate.errors import InputError

BAD = sorted((Path(__file__).parent / "bad").glob("*.txt"))


def _parts(text: str) -> dict[str, str]:
    found = {}
    for part in text.split("\n--- ")[1:]:
        name, _, content = part.partition("\n")
        found[name] = content
    return found


def _said(folder: Path) -> str:
    try:
        if (folder / "evalgate.yaml").exists():
            loaded = config(folder / "evalgate.yaml")
            evalsets(folder, *loaded.evalsets, rules=loaded.rule_categories, places=loaded.pattern_places)
        else:
            evalsets(folder, "set*.yaml")
    except InputError as error:
        return f"{type(error).__name__}\n{error}\n"
    return "nothing\n"


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_a_bad_file_gets_all_its_faults_in_one_message(file: Path, folder: Path) -> None:
    """What is said of the bad files is exactly the golden message."""
    parts = _parts("\n" + file.read_text("utf-8"))
    for name, content in parts.items():
        if name != "message":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            # \x.. stands for bytes that no text file can hold.
            raw = content.encode()
            if "\\x" in content:
                raw = raw.decode("unicode_escape").encode("latin-1")
            (folder / name).write_bytes(raw)

    said = _said(folder)

    if os.environ.get("EVALGATE_WRITE_GOLDEN"):
        kept = {name: content.rstrip("\n") for name, content in parts.items() if name != "message"}
        files = "".join(f"--- {name}\n{content}\n" for name, content in kept.items())
        file.write_text(f"{files}--- message\n{said}", "utf-8")
    assert said == parts.get("message")


def test_there_are_bad_files() -> None:
    """The table is not empty: a wrong folder would pass in silence."""
    assert len(BAD) > 25
