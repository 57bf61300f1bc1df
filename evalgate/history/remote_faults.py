"""What git says when a remote refuses, as one line that says why and what to do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from evalgate.errors import RemoteError, RemoteFault

_LONGEST = 300
"""Characters of what git said that a message repeats."""

_ROOM = "Make room there, or choose another place for the configuration"

_SIGNS: tuple[tuple[tuple[str, ...], RemoteFault, str], ...] = (
    # The first that fits: what names its cause more exactly stands first.
    (
        ("push protection", "push cannot contain secrets", "secret detected", "contain secrets"),
        RemoteFault.SECRET,
        "refused the push: its secret scanning sees a secret in it. Find it in the texts of the run (a key in a prompt "
        "or an answer), take it out, and leave texts out of the branch with history.outputs: hashes",
    ),
    (
        ("gh013", "repository rule violations"),
        RemoteFault.RULES,
        "refused the push (GH013): a ruleset covers this branch{rules}. Exclude the branch from the ruleset, or let "
        "whoever pushes (in CI: GitHub Actions) bypass it: Settings > Rules > Rulesets",
    ),
    (
        ("gh006", "protected branch"),
        RemoteFault.RULES,
        "refused the push (GH006): the branch is protected. Take it out of the protection rule: Settings > Branches",
    ),
    (
        ("gh001", "exceeds github's file size limit", "large files detected"),
        RemoteFault.RULES,
        "refused the push: a file is too large for it. Leave texts out with history.outputs: hashes",
    ),
    (
        ("fetch first", "non-fast-forward", "cannot lock ref", "incorrect old value", "reference already exists"),
        RemoteFault.MOVED,
        "was pushed to by somebody else in the meantime. Try again",
    ),
    (
        # The branch has gone, and the commit that begins it anew is, to the second, the one that began it.
        ("shallow update not allowed",),
        RemoteFault.BUSY,
        "lost this branch a moment ago: {said}. Try again",
    ),
    (
        ("hook declined", "remote rejected", "deny updating"),
        RemoteFault.RULES,
        "refused the push: {words}. Ask whoever keeps the repository to let this branch be pushed",
    ),
    (
        (
            "write access to repository not granted",
            "permission to",
            "error: 403",
            "not allowed to push",
            "insufficient",
        ),
        RemoteFault.PERMISSION,
        "does not let this token or user in. To push, a job needs `permissions: contents: write`, and a person the "
        "right to write; to read, `contents: read`",
    ),
    (
        ("could not read username", "could not read password", "authentication failed", "invalid username or password"),
        RemoteFault.CREDENTIALS,
        "asks who you are, and git has no answer. Log in with git's own means, or in a job of GitHub Actions set the "
        "variable GITHUB_TOKEN to ${{{{ github.token }}}}",
    ),
    (
        ("permission denied (publickey", "host key verification failed", "no supported authentication"),
        RemoteFault.CREDENTIALS,
        "does not accept this SSH key, or SSH does not know the host yet. Try `git fetch` by hand: it has to work "
        "without a question",
    ),
    (
        (
            "repository not found",
            "does not appear to be a git repository",
            "not found",
            "error: 404",
            "no such project",
        ),
        RemoteFault.NOT_FOUND,
        "is not there, or hidden from this token or user. Check the remote's URL (`git remote -v`) and the permissions",
    ),
    (
        ("not our ref", "unadvertised object", "couldn't find remote ref", "could not find remote ref"),
        RemoteFault.UNKNOWN_COMMIT,
        "does not have what was asked for: {said}. Push the commit or the branch first",
    ),
    (
        (
            *("could not resolve host", "couldn't resolve host", "name or service not known", "failed to connect"),
            *("connection refused", "network is unreachable", "no route to host", "couldn't connect"),
            *("temporary failure in name resolution", "could not connect", "ssl certificate", "certificate verif"),
        ),
        RemoteFault.UNREACHABLE,
        "cannot be reached: {said}. Check the network, the proxy and the remote's URL",
    ),
    (
        (
            *("error: 5", "error: 429", "timed out", "timeout", "connection reset", "hung up", "early eof"),
            *("unexpected disconnect", "rpc failed", "broken pipe", "operation too slow", "connection closed"),
            *("ref updates failed", "failed to update ref", "failure, please", "internal server error"),
        ),
        RemoteFault.BUSY,
        "did not answer properly: {said}. Try again later",
    ),
    (("dubious ownership",), RemoteFault.OTHER, "is not trusted by git: {said}. Add it to git's safe.directory"),
    (
        ("no space left", "disk full", "quota exceeded"),
        RemoteFault.OTHER,
        f"did not fit on the disk: {{said}}. {_ROOM}",
    ),
)

_USER = re.compile(r"(?<=://)[^/@\s'\"]*@")
_PREFIX = re.compile(r"^(?:remote:|error:|fatal:|warning:|hint:)\s*", re.IGNORECASE)


def clean(text: str, secrets: Iterable[str] = ()) -> str:
    """The text in one line, without the secrets, without users and passwords in URLs and what speaks to a terminal."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _USER.sub("", text)
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def explained(place: str, said: str, secrets: Iterable[str] = ()) -> RemoteError:
    """The error for what git wrote to stderr and stdout when it was refused. place: the remote, as it may be shown."""
    low = said.lower()
    for signs, fault, sentence in _SIGNS:
        sign = next((sign for sign in signs if sign in low), None)
        if sign is not None:
            told = sentence.format(
                said=_line_with(said, sign, secrets),
                words=_servers_words(said, secrets) or _line_with(said, sign, secrets),
                rules=_rules(said, secrets),
            )
            return RemoteError(fault, f"{place} {told}")
    return RemoteError(RemoteFault.OTHER, f"{place}: git failed: {_line_with(said, 'fatal', secrets) or 'no reason'}")


def _line_with(said: str, sign: str, secrets: Iterable[str]) -> str:
    """The line of git's that has the sign; else the last one."""
    lines = [line for line in said.splitlines() if line.strip()]
    line = next((line for line in lines if sign in line.lower()), lines[-1] if lines else "")
    line = _PREFIX.sub("", _PREFIX.sub("", clean(line, secrets)))
    return (line[:_LONGEST] + "…" if len(line) > _LONGEST else line).rstrip(".")


_SERVERS = "remote:"
"""Before each line that the server itself wrote."""


def _servers_lines(said: str, secrets: Iterable[str]) -> list[str]:
    lines = [line.strip().removeprefix(_SERVERS) for line in said.splitlines() if line.strip().startswith(_SERVERS)]
    return [line for line in (_PREFIX.sub("", clean(line, secrets)) for line in lines) if line]


def _servers_words(said: str, secrets: Iterable[str]) -> str:
    """What the server gave as its reason; empty where it gave none."""
    words = "; ".join(line.rstrip(".").replace(". ", "; ") for line in _servers_lines(said, secrets))
    return words[:_LONGEST] + "…" if len(words) > _LONGEST else words


def _rules(said: str, secrets: Iterable[str]) -> str:
    """The rules that are named in a list, as `: one; other`; empty where none is."""
    named = [line.removeprefix("- ").rstrip(".") for line in _servers_lines(said, secrets) if line.startswith("- ")]
    told = "; ".join(named)[:_LONGEST]
    return f": {told}" if told else ""
