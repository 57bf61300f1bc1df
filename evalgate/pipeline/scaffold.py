"""`evalgate init`: the first files of a repository."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.errors import Fault, InputError, RemoteError
from evalgate.pipeline.journals import IGNORED
from evalgate.pipeline.schemas import schema_of

if TYPE_CHECKING:
    from evalgate.history.git import Repository


class Outcome(StrEnum):
    """What became of a file."""

    WROTE = "wrote"
    FILLED = "filled in"
    KEPT = "kept"


def scaffold(
    folder: Path, *, github: bool, action: str | None = None, environ: Mapping[str, str] | None = None
) -> list[tuple[Path, Outcome]]:
    """Writes what is not there yet; each file with what became of it. Raises InputError.

    github: the workflows too, into the repository that the folder is in, for that repository's default branch.
    action: their commit of evalgate, also in those that are there and still have the placeholder for it.
    """
    texts = {
        folder / "evalgate.yaml": _template("evalgate.yaml"),
        folder / "evalsets" / "example.yaml": _template("example.yaml"),
        folder / ".evalgate" / ".gitignore": IGNORED,
        folder / ".evalgate" / "config.schema.json": _schema("config"),
        folder / ".evalgate" / "evalset.schema.json": _schema("evalset"),
    }
    if github:
        texts |= _workflows(folder, action, environ or {})
    return [(file, _write(file, text, action if file.suffix == ".yml" else None)) for file, text in texts.items()]


def _workflows(folder: Path, action: str | None, environ: Mapping[str, str]) -> dict[Path, str]:
    from evalgate.github.workflows import user_workflows
    from evalgate.history.git import Repository

    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    repository = Repository(there)
    top = repository.top()
    if top is None:
        return {folder / name: text for name, text in user_workflows(action).items()}
    inside = folder.resolve().relative_to(top.resolve())
    root = folder / Path(*[".."] * len(inside.parts))
    texts = user_workflows(action, branch=_default_branch(repository, top, environ), folder=inside.as_posix())
    return {Path(os.path.normpath(root / name)): text for name, text in texts.items()}


def _default_branch(repository: Repository, top: Path, environ: Mapping[str, str]) -> str:
    """As the clone was told, else as the remote says, else the one that is checked out."""
    from evalgate.history.remote import Remote

    found = repository.default_branch()
    if found is None:
        with suppress(InputError, RemoteError):
            found = Remote.of(top, environ).default_branch()
    return found or repository.branch() or "main"


def _template(name: str) -> str:
    return (resources.files("evalgate") / "templates" / name).read_text("utf-8")


def _schema(document: str) -> str:
    return json.dumps(schema_of(document), indent=2, ensure_ascii=False) + "\n"


def _write(file: Path, text: str, action: str | None) -> Outcome:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        if file.is_file():
            return Outcome.KEPT if action is None else _fill_in(file, action)
        raise InputError(Fault(where=str(file), what="is in the way: it is no file")) from None
    except OSError as error:
        raise InputError(Fault(where=str(file), what=f"cannot be written: {error.strerror}")) from error
    return Outcome.WROTE


def _fill_in(file: Path, action: str) -> Outcome:
    from evalgate.github.workflows import PLACEHOLDER, filled_in

    try:
        text = file.read_text("utf-8")
        if PLACEHOLDER not in text:
            return Outcome.KEPT
        file.write_text(filled_in(text, action), encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Fault(where=str(file), what=f"cannot be filled in: {error}")) from error
    return Outcome.FILLED
