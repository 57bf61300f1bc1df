"""What the history asks of a repository: which commit this is, and which came before it.

Asks the `git` program and never writes: no work tree, no index, no reference is touched.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Protocol

TIMEOUT_S = 20.0

# Set by git for hooks, relative to another folder than ours: the repository is the one that the path lies in.
_OF_A_HOOK = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"})


class Git(Protocol):
    """A repository to ask. Every answer is None, False or empty where there is none, or where it does not know."""

    def head(self) -> str | None: ...

    def branch(self) -> str | None: ...

    def is_dirty(self) -> bool: ...

    def is_shallow(self) -> bool: ...

    def exists(self, commit: str) -> bool: ...

    def resolve(self, name: str) -> str | None: ...

    def parents(self, commit: str) -> list[str]: ...

    def first_parents(self, commit: str, limit: int) -> list[str]: ...

    def ancestors(self, commit: str, limit: int) -> list[str]: ...

    def merge_base(self, a: str, b: str) -> str | None: ...

    def distance(self, ancestor: str, descendant: str) -> int | None: ...


class Repository:
    """The repository that a folder lies in, asked through the `git` program."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def head(self) -> str | None:
        """The commit that is checked out; None before the first."""
        return self.resolve("HEAD")

    def branch(self) -> str | None:
        """The branch that is checked out; None on a detached HEAD, as in CI."""
        return self._ask("symbolic-ref", "--quiet", "--short", "HEAD") or None

    def user(self) -> str | None:
        """Who works here: `user.name` as git's settings have it."""
        return self._ask("config", "user.name") or None

    def is_dirty(self) -> bool:
        """True where tracked files differ from HEAD: a run then tests what no commit holds."""
        return bool(self._ask("status", "--porcelain", "--untracked-files=no"))

    def is_shallow(self) -> bool:
        """True where the clone lacks older commits."""
        return self._ask("rev-parse", "--is-shallow-repository") == "true"

    def exists(self, commit: str) -> bool:
        return self.resolve(commit) is not None

    def resolve(self, name: str) -> str | None:
        """The full id of the commit of this name (`HEAD^1`, a branch, the beginning of an id)."""
        return self._ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}") or None

    def parents(self, commit: str) -> list[str]:
        """The commit's parents, the first one first."""
        return self._list("rev-list", "--max-count=1", "--parents", "--end-of-options", commit, split=None)[1:]

    def first_parents(self, commit: str, limit: int) -> list[str]:
        """The commit itself, its first parent, the first parent's first parent …, at most `limit`."""
        return self._list("rev-list", f"--max-count={limit}", "--first-parent", "--end-of-options", commit)

    def ancestors(self, commit: str, limit: int) -> list[str]:
        """The commit itself and what came before it by any parent, newest first, at most `limit`."""
        return self._list("rev-list", f"--max-count={limit}", "--end-of-options", commit)

    def merge_base(self, a: str, b: str) -> str | None:
        """The newest commit that both come from."""
        ours, theirs = self.resolve(a), self.resolve(b)
        if ours is None or theirs is None:
            return None
        return (self._ask("merge-base", ours, theirs) or "").split("\n")[0] or None

    def distance(self, ancestor: str, descendant: str) -> int | None:
        """How many commits the descendant has that the ancestor has not."""
        newer, older = self.resolve(descendant), self.resolve(ancestor)
        if newer is None or older is None:
            return None
        count = self._ask("rev-list", "--count", newer, f"^{older}")
        return int(count) if count else None

    def _list(self, *arguments: str, split: str | None = "\n") -> list[str]:
        answer = self._ask(*arguments)
        return answer.split(split) if answer else []

    def _ask(self, *arguments: str) -> str | None:
        """What git answers, without white space at the ends; None where it refuses, hangs or is not there."""
        environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
        environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
        try:
            answer = subprocess.run(
                ["git", "-C", str(self._path), "-c", "core.quotepath=off", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired, ValueError):
            return None
        return answer.stdout.decode("utf-8", "surrogateescape").strip() if answer.returncode == 0 else None
