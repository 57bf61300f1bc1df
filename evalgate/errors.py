"""The exceptions of evalgate: one family, one catch.

    EvalgateError
    ├── InputError      the user can mend it: configuration, eval set, arguments        exit 2
    ├── StoreError      the history store cannot be read or written                     exit 3
    ├── CallError       one call to an endpoint failed; becomes a `Failed` result       (a value)
    ├── ScorerError     one scorer could not judge one output; becomes `Failed`         (a value)
    ├── GitHubError     GitHub refused or could not be reached                          exit 3
    └── RemoteError     the repository's remote refused or could not be reached         exit 3

Anything else that escapes is our own fault: exit 70, with a traceback. This module knows nothing of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class EvalgateError(Exception):
    """The root: whoever catches this catches every error that evalgate raises on purpose."""

    exit_code = 70


@dataclass(frozen=True, kw_only=True, order=True)
class Fault:
    """One thing that is wrong in what a user gave: what, where, what now."""

    where: str
    """File, line and column, `evalgate.yaml:3:5`; or the argument's name; may be empty."""
    what: str
    """One sentence without a full stop."""
    hint: str = ""
    """What to write instead; may be empty."""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.what}. {self.hint}".rstrip() if self.hint else f"{place}{self.what}"


class InputError(EvalgateError):
    """What the user gave cannot be used. Carries every fault that was found, not only the first."""

    exit_code = 2

    def __init__(self, faults: str | Fault | Sequence[Fault]) -> None:
        if isinstance(faults, str):
            faults = Fault(where="", what=faults)
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class StoreError(EvalgateError):
    """The history store is locked, read-only, corrupt, full or unreachable; the message says which and what to do."""

    exit_code = 3


class GitHubError(EvalgateError):
    """GitHub refused a request or did not answer; the message says what to check."""

    exit_code = 3


class RemoteFault(StrEnum):
    """Why the repository's remote did not do what it was asked."""

    MOVED = "moved"
    """Somebody else pushed first: fetch, and try again."""
    RULES = "rules"
    """A ruleset, a protected branch or a hook refuses the push."""
    SECRET = "secret"
    """The push is refused since it may hold a secret."""
    PERMISSION = "permission"
    CREDENTIALS = "credentials"
    NOT_FOUND = "not_found"
    """There is no such repository, or it is hidden from whoever asks."""
    UNKNOWN_COMMIT = "unknown_commit"
    """The remote has no such commit or branch, or does not give it."""
    UNREACHABLE = "unreachable"
    BUSY = "busy"
    """It answered with a passing trouble, or not in time."""
    OTHER = "other"


class RemoteError(EvalgateError):
    """The repository's remote refused or did not answer; the message says why and what to do, and holds no secret."""

    exit_code = 3

    def __init__(self, fault: RemoteFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault

    @property
    def is_passing(self) -> bool:
        """Another attempt may go well."""
        return self.fault in (RemoteFault.MOVED, RemoteFault.UNREACHABLE, RemoteFault.BUSY)


class CallFault(StrEnum):
    """Why a call failed, in the terms in which the user can act on it."""

    RATE_LIMITED = "rate_limited"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    CERTIFICATE = "certificate"
    """The server does not prove who it is. It will not the next time either, and a key must not go to a stranger."""
    CREDENTIALS = "credentials"
    NOT_FOUND = "not_found"
    REFUSED_REQUEST = "refused_request"
    BAD_ANSWER = "bad_answer"
    CODE = "code"
    """The user's own callable or command raised or exited non-zero."""


RETRYABLE = frozenset({CallFault.RATE_LIMITED, CallFault.SERVER, CallFault.TIMEOUT, CallFault.CONNECTION})
"""Faults that another attempt may mend. The rest are answers: asking again costs money and changes nothing."""

HOPELESS = frozenset({CallFault.CREDENTIALS, CallFault.NOT_FOUND, CallFault.CERTIFICATE})
"""Faults that every further case would meet too: a run that meets one before any success stops."""


class CallError(EvalgateError):
    """One call failed. The message says what the endpoint said (secrets masked) and what to check."""

    exit_code = 3

    def __init__(self, fault: CallFault, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after_s = retry_after_s

    @property
    def is_retryable(self) -> bool:
        return self.fault in RETRYABLE


class ScorerError(EvalgateError):
    """A scorer could not judge this output. Never a score of 0: that would be a statement on quality."""


def install_extra(name: str) -> str:
    """How to install what only an extra brings: from a clone, since no package index has evalgate under this name."""
    return f"Install evalgate with its extra `{name}`: pip install '.[{name}]' in a clone of it"
