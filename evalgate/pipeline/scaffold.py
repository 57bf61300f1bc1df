"""`evalgate init`: the first files of a repository."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from evalgate.errors import Fault, InputError
from evalgate.pipeline.journals import IGNORED
from evalgate.pipeline.schemas import schema_of


def scaffold(folder: Path, *, github: bool, action: str | None = None) -> list[tuple[Path, bool]]:
    """Writes what is not there yet; each file with whether it was written. Raises InputError."""
    texts = {
        "evalgate.yaml": _template("evalgate.yaml"),
        "evalsets/example.yaml": _template("example.yaml"),
        ".evalgate/.gitignore": IGNORED,
        ".evalgate/config.schema.json": _schema("config"),
        ".evalgate/evalset.schema.json": _schema("evalset"),
    }
    if github:
        from evalgate.github.workflows import user_workflows

        texts |= user_workflows(action)
    return [(folder / name, _write(folder / name, text)) for name, text in texts.items()]


def _template(name: str) -> str:
    return (resources.files("evalgate") / "templates" / name).read_text("utf-8")


def _schema(document: str) -> str:
    return json.dumps(schema_of(document), indent=2, ensure_ascii=False) + "\n"


def _write(file: Path, text: str) -> bool:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        if file.is_file():
            return False
        raise InputError(Fault(where=str(file), what="is in the way: it is no file")) from None
    except OSError as error:
        raise InputError(Fault(where=str(file), what=f"cannot be written: {error.strerror}")) from error
    return True
