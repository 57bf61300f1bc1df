"""The repository: commits to search a baseline among, and the remote."""

from __future__ import annotations

from evalgate.errors import EvalgateError, InputError, RemoteError, RemoteFault
from evalgate.history.git import Repository
from evalgate.history.remote import Remote
from evalgate.pipeline.doctor.asked import Asked
from evalgate.pipeline.doctor.check import MEND, UNREACHED, Check, fail, failures, ok, skipped, split, warn
from evalgate.records import short

OURS_TO_MEND = (
    RemoteFault.RULES, RemoteFault.PERMISSION, RemoteFault.CREDENTIALS, RemoteFault.NOT_FOUND, RemoteFault.SECRET
)  # fmt: skip


def look(asked: Asked) -> list[Check]:
    """The clone as it is here; asks nobody."""
    repository = asked.repository
    if repository is None:
        advice = "Fine for a first try. For baselines by commit run `git init` and commit."
        return [warn("git repository", f"{asked.folder} lies in none", advice)]
    head = repository.head()
    if head is None:
        return [
            warn("git repository", f"{repository.top()} has no commit yet", "Commit once: a run belongs to a commit.")
        ]
    branch = repository.branch() or "no branch (a detached HEAD, as in CI)"
    found = [ok("git repository", f"{repository.top()}, commit {short(head)} on {branch}")]
    return [*found, *_depth(repository), *_kept_out(asked, repository)]


def _depth(repository: Repository) -> list[Check]:
    if not repository.is_shallow():
        return [ok("commits", "the clone is whole")]
    advice = (
        "Missing commits are fetched where a baseline needs them, if the remote can be reached. Else check out with "
        "`fetch-depth: 0`."
    )
    return [warn("commits", "the clone is shallow: older commits are not in it", advice)]


def _kept_out(asked: Asked, repository: Repository) -> list[Check]:
    kept = asked.folder / ".evalgate" / "history.db"
    if not repository.is_tracked(kept):
        return []
    advice = "It holds inputs and outputs, and changes with every run: git rm --cached .evalgate/history.db"
    return [fail("local history", "git keeps .evalgate/history.db", advice)]


def look_at_remote(asked: Asked) -> list[Check]:
    """The remote and its default branch."""
    remote = remote_of(asked)
    if isinstance(remote, list):
        return remote
    try:
        default = remote.default_branch()
    except RemoteError as error:
        return [refused("remote", error)]
    if default is None:
        return [warn("remote", f"{remote.place} has no default branch yet", "Push once.")]
    found = [ok("remote", f"{remote.place} answers; its default branch is {default}")]
    told = asked.repository.default_branch() if asked.repository else None
    if told is not None and told != default:
        advice = "Tell this clone: git remote set-head origin --auto"
        found.append(warn("default branch", f"this clone still takes {told} for the default branch", advice))
    return found


def remote_of(asked: Asked) -> Remote | list[Check]:
    if asked.repository is None:
        return [skipped("remote", "there is no repository")]
    if asked.is_offline:
        return [skipped("remote", "offline")]
    try:
        return Remote.of(asked.folder, asked.environ)
    except InputError as error:
        what, advice = split(str(error))
        return [warn("remote", what, advice)]
    except EvalgateError as error:
        return failures("remote", error)


def refused(name: str, error: RemoteError) -> Check:
    """The line for a remote that refuses or cannot be reached."""
    code = MEND if error.fault in OURS_TO_MEND else UNREACHED
    return fail(name, *split(str(error)), exit_code=code)
