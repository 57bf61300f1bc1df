"""The journals of unfinished runs: begun, found again, and cleared away once their run is in the history."""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.endpoints.http_settings import is_near
from evalgate.errors import Fault, InputError, StoreError
from evalgate.pipeline.load import Suite
from evalgate.records import Run, short
from evalgate.runner.journal import Journal, Unfinished
from evalgate.runner.journal_lines import Header

if TYPE_CHECKING:
    from evalgate.history.store import History

IGNORED = """\
# Written by evalgate: the local history and the journals of runs are not for the repository.
*
!*.schema.json
!.gitignore
"""


def keep_out_of_git(folder: Path) -> None:
    """Makes `.evalgate` a folder whose contents git leaves alone: it holds inputs and outputs."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ".gitignore").exists():
            # Whole or not at all: what stands half there would stay so.
            draft = folder / f".gitignore.{os.getpid()}"
            draft.write_text(IGNORED, encoding="utf-8")
            draft.replace(folder / ".gitignore")
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}. Make it writable") from error


def open_journal(
    suite: Suite, created: datetime, resume: str | None, *, commit: str | None = None
) -> tuple[Journal, Header]:
    """A new journal, or an unfinished run's: `resume` is its id, a prefix of it, or "" for the suite's newest.

    Nobody else can go on with the run while it is open. Raises InputError where there is none to resume, it is in use,
    or it belongs to another suite, version or eval set.
    """
    header, folder = _header(suite, created, commit), _folder(suite)
    keep_out_of_git(folder.parent)
    if resume is None:
        return Journal.create(folder / f"{header.run_id}.jsonl", header), header
    found = _meant(folder, header, resume)
    return Journal.resume(found.path, header), found.header


def reopen(suite: Suite, now: datetime, resume: str) -> Journal:
    """The journal that `open_journal` would go on with, for a look at what it holds; raises as that does."""
    header = _header(suite, now, None)
    return Journal.resume(_meant(_folder(suite), header, resume).path, header)


def _folder(suite: Suite) -> Path:
    return suite.config.base_dir / ".evalgate" / "journal"


def _header(suite: Suite, created: datetime, commit: str | None) -> Header:
    return Header(
        run_id=uuid.uuid4().hex[:12],
        suite=suite.config.suite,
        version=suite.version().id,
        evalset=suite.selected_content,
        epochs=suite.config.run.epochs,
        created=created,
        meta={} if commit is None else {"commit": commit},
    )


def _meant(folder: Path, now: Header, resume: str) -> Unfinished:
    found, suite = Journal.find(folder), now.suite
    mine = [item for item in found.unfinished if item.header.suite == suite]
    if not resume and mine:
        # Shards of one run may leave a journal each: the one with these cases is meant.
        return next((item for item in mine if item.header.evalset == now.evalset), mine[0])
    if resume:
        for item in (*mine, *found.unfinished):  # another suite's too: resuming it tells the difference
            if item.header.run_id.startswith(resume):
                return item
    faults = [item.fault for item in found.unreadable if item.path.name.startswith(resume)]
    if faults:
        raise InputError(faults)
    what = f"no unfinished run {resume!r}" if resume else f"no unfinished run of suite {suite!r}"
    names = ", ".join(item.header.run_id for item in mine)
    hint = (
        f"Unfinished runs: {names}"
        if names
        else "Start a new run without --resume; a finished one is decided again by `evalgate gate latest`"
    )
    raise InputError(Fault(where="--resume", what=f"{what} in {folder}", hint=hint))


def begun_elsewhere(suite: Suite, header: Header, commit: str | None) -> str | None:
    """What has to be said of a run that goes on at another commit than it was begun at; None: nothing.

    An `openai` endpoint at a public address is no code of the repository, and a version that is named says that the
    code is the same.
    """
    then, kind, endpoint = header.meta.get("commit"), suite.config.endpoint_kind, suite.config.endpoint
    is_code = kind in ("python", "command", "http") or (kind == "openai" and is_near(endpoint.base_url))
    if then == commit or then is None or not is_code or suite.config.endpoint.version:
        return None
    return f"This run was begun at commit {short(then)}: its first results are of the code of then."


def fresh_path(journal: Journal) -> Path | None:
    """Where the fresh calls of both sides are kept, beside the run's own: there a case has other answers."""
    return None if journal.path is None else journal.path.parent / "fresh" / journal.path.name


def clear(journal: Journal) -> None:
    """Removes a run's journals: it is in the history. The run's own goes last: as long as it is there, another try
    finds what is left to be cleared away. Where they cannot be deleted they stay, which costs nothing but room."""
    path = fresh_path(journal)
    with contextlib.suppress(OSError, StoreError):
        if path is not None:
            path.unlink(missing_ok=True)
        journal.remove()


def kept_as(history: History, run_id: str) -> tuple[str, Run | None]:
    """The id under which a resumed run is to be kept, and the finished run, where the history has it already.

    A run that was stopped (budget, deadline) is recorded as it was then, and stays so; what becomes of it is another
    run. Its id follows from the first one's, so that whoever is killed between recording and removing the journal
    finds it again, and nothing is recorded twice.
    """
    while history.has_run(run_id):
        run = history.read_run(run_id)
        if run.stopped is None:
            return run_id, run
        run_id = hashlib.sha256(run_id.encode()).hexdigest()[:12]
    return run_id, None
