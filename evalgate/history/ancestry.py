"""Which commits came before one, where there is a shallow clone or none: the remote is asked for what is lacking.

Commits alone are fetched, into the scratch repository of `Remote`; the clone stays as it is. Where they cannot be had,
`unseen` says why. Both classes are a `Git`, so a baseline can be chosen with either.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from typing import Protocol, TypeVar

from evalgate.errors import InputError, RemoteError, RemoteFault
from evalgate.history.git import Repository

FARTHEST = 200
"""How many generations back the commit is looked for at which a change left its base."""

OR_DEEPER = "Or check out with fetch-depth: 0"
"""What helps in a job whatever the remote's trouble is."""

ORIGIN = "refs/remotes/origin/"

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

T = TypeVar("T")


class Commits(Protocol):
    """What is asked of a `Remote`. Raises RemoteError where it does not answer."""

    def first_parents(self, commit: str, limit: int) -> list[str]: ...

    def is_ancestor(self, ancestor: str, descendant: str) -> bool: ...

    def tip(self, ref: str) -> str | None: ...


class Distant:
    """A repository without a clone. Commits are named by their whole ids."""

    def __init__(self, remote: Callable[[], Commits], head: str | None = None) -> None:
        """remote: opened when it is first needed; may raise InputError. head: the commit that stands for HEAD."""
        self._open, self._head = remote, head
        self._remote: Commits | None = None
        self._down: str | None = None
        self._unseen: dict[str, str] = {}

    def head(self) -> str | None:
        return self._head

    def branch(self) -> str | None:
        return None

    def is_dirty(self) -> bool:
        return False

    def is_shallow(self) -> bool:
        return False

    def unseen(self, commit: str) -> str | None:
        """Why what came before this commit could not be fetched; None: it could, or nothing did."""
        return self._unseen.get(commit)

    def exists(self, commit: str) -> bool:
        """Whether the remote gives it."""
        return _ID.fullmatch(commit) is not None and bool(self._fetched(commit, 1))

    def resolve(self, name: str) -> str | None:
        """The name itself where it is a whole id, or the head's."""
        named = self._head if name == "HEAD" else name
        return named if named is not None and _ID.fullmatch(named) else None

    def parents(self, commit: str) -> list[str]:
        """The first parent alone: the others are never asked for."""
        return self._fetched(commit, 2)[1:]

    def first_parents(self, commit: str, limit: int) -> list[str]:
        """As far as they can be fetched: the commit alone where they cannot."""
        found = self.resolve(commit)
        return [] if found is None else self._fetched(found, limit) or [found]

    def ancestors(self, commit: str, limit: int) -> list[str]:
        """The first parents: the others are never asked for."""
        return self.first_parents(commit, limit)

    def merge_base(self, a: str, b: str) -> str | None:
        """The newest commit on the first-parent line of `b` that `a` comes from, within `FARTHEST` generations."""
        ours, theirs = self.resolve(a), self.resolve(b)
        if ours is None or theirs is None:
            return None
        # Both lines are fetched before the first question: what is not there is nobody's ancestor.
        self._fetched(ours, FARTHEST)
        line = self._fetched(theirs, FARTHEST)
        # Where one is an ancestor, every older one is too.
        place = bisect_left(line, True, key=lambda commit: self._asked(lambda r: r.is_ancestor(commit, ours), False))
        return line[place] if place < len(line) else None

    def distance(self, ancestor: str, descendant: str) -> int | None:
        """How far back on the first-parent line."""
        line = self.first_parents(descendant, FARTHEST)
        return line.index(ancestor) if ancestor in line else None

    def has_file(self, path: str) -> bool:
        """False: there is no work tree."""
        return False

    def tip(self, branch: str) -> str | None:
        """The commit at which a branch is now."""
        return self._asked(lambda remote: remote.tip(f"refs/heads/{branch}"), None)

    @property
    def trouble(self) -> str | None:
        """Why the remote could not be asked; None: it could, or was not."""
        return self._down or next(iter(self._unseen.values()), None)

    def _fetched(self, commit: str, limit: int) -> list[str]:
        return self._asked(lambda remote: remote.first_parents(commit, limit), [], about=commit)

    def _asked(self, question: Callable[[Commits], T], otherwise: T, *, about: str | None = None) -> T:
        """The remote's answer. Where it cannot be reached it is asked no more."""
        if self._down is None:
            try:
                self._remote = self._remote or self._open()
                return question(self._remote)
            except (RemoteError, InputError) as error:
                if about is None or getattr(error, "fault", None) is not RemoteFault.UNKNOWN_COMMIT:
                    self._down = str(error)
                else:
                    self._unseen[about] = str(error)
        if about is not None and self._down is not None:
            self._unseen[about] = self._down
        return otherwise


class Deepened(Repository):
    """A clone whose older commits are fetched as they are asked for. It is not changed itself."""

    def __init__(self, clone: Repository, remote: Callable[[], Commits]) -> None:
        """remote: opened when it is first needed; may raise InputError."""
        super().__init__(clone.path)
        self._beyond = Distant(remote)

    def unseen(self, commit: str) -> str | None:
        """Why what came before this commit could not be fetched; None: it could, or nothing did."""
        why = self._beyond.unseen(commit)
        return None if why is None else f"older commits could not be fetched. {why}. {OR_DEEPER}"

    def first_parents(self, commit: str, limit: int) -> list[str]:
        """The commit itself, its first parent …, at most `limit`; fewer where older ones cannot be fetched."""
        found = super().first_parents(commit, limit)
        line = found or ([commit] if _ID.fullmatch(commit) else [])
        if not line or len(line) >= limit or (found and super().unseen(line[-1]) is None):
            return line
        more = self._beyond.first_parents(line[-1], limit - len(line) + 1)
        return line + more[1:]

    def merge_base(self, a: str, b: str) -> str | None:
        """The newest commit that both come from; in a shallow clone, the newest on the first-parent line of `b`."""
        ours, theirs = self.resolve(a), self.resolve(b) or b
        if ours is None:
            return None
        known = None if self.is_shallow() else super().merge_base(ours, theirs)
        return known or (None if self.is_whole(theirs) else self._beyond.merge_base(ours, theirs))

    def is_whole(self, commit: str) -> bool:
        """Whether the clone has everything before this commit."""
        return not self.is_shallow() and self.exists(commit)

    def tip(self, branch: str) -> str | None:
        """The commit at which a branch of the remote is: as the clone has it, else as it is now."""
        return self.resolve(f"{ORIGIN}{branch}") or self._beyond.tip(branch)

    @property
    def trouble(self) -> str | None:
        """Why the remote could not be asked; None: it could, or was not."""
        return self._beyond.trouble
