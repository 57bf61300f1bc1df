"""What the history asks of a repository: which commit this is, and which came before it.

Asks the `git` program and never writes: no work tree, no index, no reference is touched.
"""

from __future__ import annotations

import os
import posixpath
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Protocol

from evalgate.errors import Fault, InputError

TIMEOUT_S = 20.0

SHALLOW = "this clone is shallow: fetch older commits (fetch-depth: 0)"

# Set by git for hooks, relative to another folder than ours: the repository is the one that the path lies in.
_OF_A_HOOK = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"})


class Git(Protocol):
    """A repository to ask. Every answer is None, False or empty where there is none, or where it does not know."""

    def head(self) -> str | None: ...

    def branch(self) -> str | None: ...

    def is_dirty(self) -> bool: ...

    def is_shallow(self) -> bool: ...

    def unseen(self, commit: str) -> str | None: ...

    def exists(self, commit: str) -> bool: ...

    def resolve(self, name: str) -> str | None: ...

    def parents(self, commit: str) -> list[str]: ...

    def first_parents(self, commit: str, limit: int) -> list[str]: ...

    def ancestors(self, commit: str, limit: int) -> list[str]: ...

    def merge_base(self, a: str, b: str) -> str | None: ...

    def distance(self, ancestor: str, descendant: str) -> int | None: ...

    def has_file(self, path: str) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A file, link or submodule as a tree names it."""

    mode: str
    """`100644` and `100755`: a file; `120000`: a symbolic link; `160000`: a submodule."""
    id: str
    path: str
    """From the repository's top; whatever somebody has committed there."""

    @property
    def is_file(self) -> bool:
        return self.mode in ("100644", "100755")


class Files(Protocol):
    """The files of commits, which a clone has or its remote. A link's content is never that of what it points at."""

    def entries(self, commit: str, folder: str, /) -> list[Entry]:
        """Everything below a folder at this commit that is no folder; "" is the repository's top."""

    def read_all(self, commit: str, paths: Collection[str]) -> dict[str, bytes]:
        """The contents of these files at this commit; what is no file there is left out."""


class Repository:
    """The repository that a folder lies in, asked through the `git` program."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._commits: set[str] = set()
        """Whole ids of commits that are known to be there: what an id names never changes, and a process is dear."""

    def head(self) -> str | None:
        """The commit that is checked out; None before the first."""
        return self.resolve("HEAD")

    def top(self) -> Path | None:
        """The folder that the whole work tree lies in; None outside a repository."""
        found = self._ask("rev-parse", "--show-toplevel")
        return Path(found) if found else None

    def branch(self) -> str | None:
        """The branch that is checked out; None on a detached HEAD, as in CI."""
        return self._ask("symbolic-ref", "--quiet", "--short", "HEAD") or None

    def default_branch(self) -> str | None:
        """The branch that `origin` calls its default, as far as this clone was told; None: it was not."""
        found = self._ask("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        return found.removeprefix("origin/") if found else None

    def address(self, remote: str = "origin") -> str | None:
        """Where a remote is; it may hold a password. None: there is no such remote."""
        return self._ask("remote", "get-url", "--end-of-options", remote) or None

    def latest(self) -> datetime | None:
        """When HEAD was committed."""
        found = self._ask("show", "--no-patch", "--format=%ct", "HEAD")
        return datetime.fromtimestamp(int(found), UTC) if found and found.isdecimal() else None

    def holds(self, commit: str, path: str) -> bool:
        """Whether a file or folder of this path is in a commit."""
        return bool(self._ask("ls-tree", "--full-tree", "--name-only", "--end-of-options", commit, path))

    def is_tracked(self, path: Path) -> bool:
        """Whether git keeps a file of the work tree."""
        return bool(self._ask("ls-files", "--", str(path)))

    def check_not_brought(self, path: Path) -> None:
        """Raises InputError where a file or folder that evalgate keeps for itself came with the commit: whoever wrote
        the commit could have written into it what they are compared with."""
        if path.exists() and self.is_tracked(path.resolve()):
            what = "is part of the commit, so whoever wrote that could say what earlier runs measured"
            hint = "Take it out: `git rm -r --cached .evalgate`, and `.evalgate/` into .gitignore."
            raise InputError(Fault(where=str(path), what=what, hint=hint))

    def user(self) -> str | None:
        """Who works here: `user.name` as git's settings have it."""
        return self._ask("config", "user.name") or None

    def is_dirty(self) -> bool:
        """True where tracked files differ from HEAD: a run then tests what no commit holds."""
        return bool(self._ask("status", "--porcelain", "--untracked-files=no"))

    def is_shallow(self) -> bool:
        """True where the clone lacks older commits."""
        return self._ask("rev-parse", "--is-shallow-repository") == "true"

    def unseen(self, commit: str) -> str | None:
        """Why what came before this commit cannot be looked at; None: it can, or nothing did."""
        if not self.is_shallow():
            return None
        is_end = not self._list("rev-list", "--max-count=1", "--parents", "--end-of-options", commit, split=None)[1:]
        return SHALLOW if is_end and (self.parents(commit) or not self.exists(commit)) else None

    def exists(self, commit: str) -> bool:
        return self.resolve(commit) is not None

    def resolve(self, name: str) -> str | None:
        """The full id of the commit of this name (`HEAD^1`, a branch, the beginning of an id)."""
        if name in self._commits:
            return name
        found = self._ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if found:
            self._commits.add(found)
        return found or None

    def parents(self, commit: str) -> list[str]:
        """The commit's parents as they stand in it, the first one first, whether or not the clone has them."""
        found = self.resolve(commit)
        # `rev-list` leaves them out where the clone is shallow.
        header = self._list("cat-file", "commit", found) if found else []
        named = takewhile(lambda line: line.startswith(("tree ", "parent ")), header)
        return [line.removeprefix("parent ") for line in named if line.startswith("parent ")]

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
        count = "0" if newer == older else self._ask("rev-list", "--count", newer, f"^{older}")
        return int(count) if count else None

    @cached_property
    def prefix(self) -> str:
        """Where the folder lies in its repository: `evals/` for one below its top, else an empty text."""
        return self._ask("rev-parse", "--show-prefix") or ""

    def has_file(self, path: str) -> bool:
        """Whether this file, named from the repository's top, lies in the work tree now."""
        top = self._ask("rev-parse", "--show-toplevel")
        return top is not None and (Path(top) / path).is_file()

    def entries(self, commit: str, folder: str = "") -> list[Entry]:
        """Everything below a folder at this commit that is no folder; empty where there is no such commit."""
        return self._entries(commit, [f"{folder.rstrip('/')}/"] if folder.strip("/") else [], "-r")

    def read_all(self, commit: str, paths: Collection[str]) -> dict[str, bytes]:
        """The contents of these files at this commit; what is no file there (a link is none) is left out."""
        # One path that leaves the repository, and git names none.
        inside = sorted(path for path in paths if posixpath.normpath(path).split("/")[0] not in ("", ".", ".."))
        named = self._entries(commit, inside) if inside else []
        found = {entry.path: entry.id for entry in named if entry.is_file}
        if not found:
            return {}
        content = self._bytes("cat-file", "--batch", stdin="".join(f"{id}\n" for id in found.values()).encode())
        contents, start = {}, 0
        while content and start < len(content):
            end = content.index(b"\n", start)
            about = content[start:end].decode("ascii").split(" ")
            size = int(about[2]) if about[1] == "blob" else -1  # what is missing in a damaged clone has no content
            if size >= 0:
                contents[about[0]] = content[end + 1 : end + 1 + size]
            start = end + 1 + size + 1
        return {path: contents[id] for path, id in found.items() if id in contents}

    def _entries(self, commit: str, paths: Sequence[str], *options: str) -> list[Entry]:
        known = self.resolve(commit)
        if known is None:
            return []
        listed = self._bytes("--literal-pathspecs", "ls-tree", *options, "-z", "--full-tree", known, "--", *paths)
        rows = (row.partition("\t") for row in (listed or b"").decode("utf-8", "surrogateescape").split("\0") if row)
        about = ((facts.split(" "), path) for facts, _, path in rows)
        return [Entry(mode=mode, id=id, path=path) for (mode, _, id), path in about]

    def _list(self, *arguments: str, split: str | None = "\n") -> list[str]:
        answer = self._ask(*arguments)
        return answer.split(split) if answer else []

    def _ask(self, *arguments: str) -> str | None:
        """What git answers, without white space at the ends; None where it refuses, hangs or is not there."""
        answer = self._bytes(*arguments)
        return None if answer is None else answer.decode("utf-8", "surrogateescape").strip()

    def _bytes(self, *arguments: str, stdin: bytes = b"") -> bytes | None:
        environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
        environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
        try:
            answer = subprocess.run(
                ["git", "-C", str(self.path), "-c", "core.quotepath=off", *arguments],
                input=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired, ValueError):
            return None
        return answer.stdout if answer.returncode == 0 else None
