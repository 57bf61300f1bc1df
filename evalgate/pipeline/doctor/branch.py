"""The branch that keeps the history: is it there, how new, is it whole, and could this machine push to it?"""

from __future__ import annotations

from evalgate.errors import EvalgateError, InputError, RemoteError
from evalgate.history.branch import DEFAULT, Branch
from evalgate.history.branch_sight import Sight
from evalgate.history.remote import Remote
from evalgate.pipeline.doctor.asked import Asked
from evalgate.pipeline.doctor.check import Check, fail, failures, ok, skipped, split, warn
from evalgate.pipeline.doctor.repository import refused, remote_of
from evalgate.pipeline.pushing import PENDING
from evalgate.records import short
from evalgate.report.numbers import age, count

MOST_FAULTS = 3
"""How many files that are none of ours are named."""


def look(asked: Asked) -> list[Check]:
    """Names alone are fetched, no run file."""
    waiting = _pending(asked)
    if asked.readable is None:
        return [skipped("history branch", "the configuration has to be read first"), *waiting]
    remote = remote_of(asked)
    if isinstance(remote, list):
        return [skipped("history branch", "the remote has to be reached first"), *waiting]
    try:
        branch = Branch(remote, asked.readable.history_branch or DEFAULT)
        seen, sight = branch.was_seen(), branch.look()
    except RemoteError as error:
        return [refused("history branch", error), *waiting]
    except InputError as error:
        return [*failures("history branch", error), *waiting]
    if sight is None:
        return [_absent(branch, seen), _push(remote, branch), *waiting]
    return [*_there(branch, sight, remote, asked), *_unpulled(sight, asked), _push(remote, branch), *waiting]


def _absent(branch: Branch, seen: str | None) -> Check:
    if seen is not None:
        advice = "Renamed: set history.branch. Deleted: `evalgate sync push` writes again what this store has."
        return fail("history branch", f"{branch.place} was at {short(seen)} and is gone", advice)
    advice = "The first push to the default branch with the workflow makes it, or `evalgate sync push` from here."
    return warn("history branch", f"there is no {branch.place} yet", advice)


def _there(branch: Branch, sight: Sight, remote: Remote, asked: Asked) -> list[Check]:
    old = age((asked.now - remote.committed(sight.commit)).total_seconds())
    found = [ok("history branch", f"{branch.place} has {count(len(sight.run_ids), 'run')}; last written {old} ago")]
    for fault in sight.faults[:MOST_FAULTS]:
        advice = fault.hint or "It is left out when runs are pulled. docs/history.md says what to do."
        found.append(warn("files on it", f"{fault.where}: {fault.what}", advice))
    found += [
        warn("what changed on it", text.rstrip("."), "Protect the branch; see docs/history.md.")
        for text in sight.warnings
    ]
    return found


def _unpulled(sight: Sight, asked: Asked) -> list[Check]:
    """Runs of the branch that the store lacks: a baseline is searched in the store alone."""
    from evalgate.pipeline.suite import open_history

    try:
        with open_history(asked.history_store, create=False) as history:
            known = {row.id for row in history.list_runs()}
    except EvalgateError:
        known = set()
    lacking = len(sight.run_ids - known)
    if not lacking:
        return []
    return [warn("not pulled", f"the branch has {count(lacking, 'run')} that the store lacks", "`evalgate sync pull`")]


def _push(remote: Remote, branch: Branch) -> Check:
    try:
        remote.check_push(f"refs/heads/{branch.name}")
    except RemoteError as error:
        advice = "Only the job `record` of the default branch has to be able to: on your machine it may be right so."
        return warn("pushing to it", split(str(error))[0], advice)
    return ok("pushing to it", "a dry run was accepted; a ruleset of the server shows itself only at a real push")


def _pending(asked: Asked) -> list[Check]:
    files = sorted((asked.folder / PENDING).glob("*.evalrun"))
    if not files:
        return []
    advice = "`evalgate sync push` takes them along, once it is not refused."
    return [warn("waiting run files", f"{count(len(files), 'run file')} could not be pushed yet, in {PENDING}", advice)]
