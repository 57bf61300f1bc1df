"""A repository's remote, reached with git's plumbing from a bare scratch repository of our own.

The user's work tree, index, references, objects and settings are neither read nor changed, but for the settings that
say how the remote is reached. A clone of depth 1, or in GitHub Actions none at all, is enough. The scratch repository
is a cache: it can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from evalgate.errors import RemoteError, RemoteFault
from evalgate.history.git import Entry, Repository
from evalgate.history.remote_scratch import Scratch
from evalgate.history.remote_settings import OURS, Access, access

SCRATCH = Path(".evalgate") / "remote.git"

MOST_NAMED = 500
"""More files than this are looked for in the list of all: a command line has its bounds."""

MOST_TRIES = 3
"""How often a reference is fetched that is named and not given."""

MOST_BYTES = 100 * 2**20
"""Of one file that is read: more than GitHub takes."""

WHO = "evalgate"
EMAIL = "evalgate@users.invalid"

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class Remote:
    """A repository's remote. Every method raises RemoteError where the remote refuses or cannot be reached."""

    def __init__(self, scratch: Path, access: Access) -> None:
        self._scratch = Scratch(scratch, access)
        self._access = access

    @classmethod
    def of(cls, folder: Path, environ: Mapping[str, str], name: str = "origin") -> Remote:
        """The remote of the repository that the folder lies in; the scratch repository is `.evalgate/remote.git` there.

        Credentials are the user's own git set-up; in GitHub Actions also the variable GITHUB_TOKEN, for GitHub's host
        only. Where no remote has this name and there is just one, it is that one. Raises InputError where there is no
        repository or no such remote, or where the scratch repository came with a commit. Asks nobody yet.
        """
        scratch = folder.absolute() / SCRATCH
        Repository(folder).check_not_brought(scratch)
        return cls(scratch, access(folder, environ, name))

    @property
    def place(self) -> str:
        """The remote's URL for messages."""
        return self._access.place

    # ---- what is there ------------------------------------------------------------------------------------

    def tip(self, ref: str) -> str | None:
        """The commit that a full reference (`refs/heads/main`, `HEAD`) names there now; None: there is none."""
        found = self._named(ref, "HEAD")
        if not found and not self._named("refs/heads/*"):
            # A portal's page is read as a repository without branches; that the history is missing must not follow.
            what = f"{self.place} answers as a repository without any branch does. Check its URL (`git remote -v`) and "
            raise RemoteError(RemoteFault.OTHER, what + "the proxy; if it is new, push your code first")
        return found.get(ref)

    def default_branch(self) -> str | None:
        """The branch that the remote's HEAD names."""
        answer = self._scratch.ask("ls-remote", "--symref", OURS, "HEAD", network=True).decode("utf-8", "replace")
        found = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", answer, re.MULTILINE)
        return found[1] if found else None

    def fetch(self, ref: str, *, depth: int | None = None, filter: str | None = "blob:none") -> str | None:
        """Fetches what a full reference names now, and gives that commit; None: there is no such reference there.

        depth: so many commits; None: all that the scratch repository lacks. filter: what is left out until it is
        needed; a server that knows no filters gives everything.
        """
        kept = _kept_as(ref)
        for _ in range(MOST_TRIES):
            try:
                with self._scratch.alone():
                    self._fetch([f"+{ref}:{kept}"], depth=depth, filter=filter)
                return self._known(kept)
            except RemoteError as error:
                if error.fault is not RemoteFault.UNKNOWN_COMMIT:
                    raise
            # Also said where the reference was made, or moved, during the fetch: then it is there.
            if self.tip(ref) is None:
                return None
        raise RemoteError(RemoteFault.BUSY, f"{self.place} names {ref} and does not give it. Try again later")

    def fetch_commit(self, commit: str, *, depth: int | None = 1, filter: str | None = "blob:none") -> None:
        """Fetches this commit, given by its whole id, where it is not in the scratch repository yet."""
        if not self.has(commit):
            with self._scratch.alone():
                self._fetch([_checked(commit)], depth=depth, filter=filter)

    def has(self, commit: str) -> bool:
        """Whether the scratch repository has this commit already. Asks nobody."""
        return self._known(commit) is not None

    def first_parents(self, commit: str, limit: int) -> list[str]:
        """The commit itself, its first parent, that one's first parent …: at most `limit`, fewer only where history
        begins there. Fetches commits alone, as many as it takes."""
        if self.has(_checked(commit)):
            line = self._line(commit, limit)
            if len(line) >= limit or line[-1] not in self._cut():
                return line
        with self._scratch.alone():
            self._fetch([commit], depth=limit, filter="tree:0")
        return self._line(commit, limit)

    def committed(self, commit: str) -> datetime:
        """When a commit of the scratch repository was made, by its committer's clock; UTC."""
        said = self._scratch.ask("show", "--no-patch", "--format=%ct", _checked(commit)).decode("ascii").strip()
        return datetime.fromtimestamp(int(said), UTC)

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether one commit comes before another, or is it, as far as the scratch repository reaches."""
        if not self.has(ancestor) or not self.has(descendant):
            return False
        answer = self._scratch.run(["merge-base", "--is-ancestor", ancestor, descendant], lazy=False)
        return answer.returncode == 0

    # ---- reading ------------------------------------------------------------------------------------------

    def read(self, commit: str, path: str) -> bytes | None:
        """The file's content at this commit; None where it has no such file."""
        return self.read_all(commit, [path]).get(path)

    def read_all(self, commit: str, paths: Collection[str]) -> dict[str, bytes]:
        """The contents of these files at this commit, fetched in one request; what is no file there is left out."""
        wanted = set(paths)
        entries = self.entries(commit, *sorted(wanted)) if len(wanted) < MOST_NAMED else self.entries(commit)
        found = {entry.path: entry.id for entry in entries if entry.is_file and entry.path in wanted}
        contents = dict(self.blobs(found.values()))
        return {path: contents[id] for path, id in found.items()}

    def files(self, commit: str, folder: str = "") -> list[str]:
        """The paths of all files below a folder at this commit, from the repository's top, sorted."""
        return sorted(entry.path for entry in self.entries(commit, folder) if entry.is_file)

    def entries(self, commit: str, *within: str) -> list[Entry]:
        """Everything at this commit that is no folder; only these files, and what lies in these folders, if some are
        named."""
        self.fetch_commit(commit)
        named = [path.strip("/") for path in within if path.strip("/")]
        answer = self._scratch.ask("ls-tree", "-r", "-z", "--full-tree", commit, "--", *named, network=True)
        return [_entry(row) for row in answer.decode("utf-8", "surrogateescape").split("\0") if row]

    def lacking(self, ids: Iterable[str]) -> list[str]:
        """Which of these objects the scratch repository does not have yet. Asks nobody."""
        return [row[0] for row in self._told(list(dict.fromkeys(ids))) if row[-1] == "missing"]

    def fetch_objects(self, ids: Iterable[str]) -> None:
        """Fetches those of these objects that are lacking, all in one request."""
        lacking = self.lacking(ids)
        if lacking:
            with self._scratch.alone():
                self._fetch(lacking, negotiated=False)

    def blobs(self, ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The contents of these files, each once; what is lacking is fetched in one request.

        Raises RemoteError for one above `MOST_BYTES`: ask `sizes` first.
        """
        asked = list(dict.fromkeys(ids))
        self.fetch_objects(asked)
        yield from self._contents(asked)

    def sizes(self, ids: Iterable[str]) -> dict[str, int]:
        """How many bytes each of these files has, fetched as `blobs` does."""
        asked = list(dict.fromkeys(ids))
        self.fetch_objects(asked)
        return {row[0]: int(row[2]) for row in self._told(asked) if len(row) == 3}

    # ---- writing ------------------------------------------------------------------------------------------

    def add(self, contents: Sequence[bytes]) -> list[str]:
        """Puts files into the scratch repository; their ids, in order."""
        with self._scratch.workplace() as folder:
            files = [folder / str(number) for number in range(len(contents))]
            for file, content in zip(files, contents, strict=True):
                file.write_bytes(content)
            answer = self._scratch.ask(
                "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=_lines(map(str, files))
            )
        return answer.decode("ascii").split()

    def commit(self, parent: str | None, changes: Mapping[str, str | None], message: str) -> str:
        """A commit in the scratch repository on top of its parent (None: a first one); its id.

        changes: a path, and the id of its new content; None takes the file away.
        """
        with self._scratch.workplace() as folder:
            more = {"GIT_INDEX_FILE": str(folder / "index")}
            if parent is not None:
                self._scratch.ask("read-tree", f"{parent}^{{tree}}", more=more)
            rows = [f"100644 {id}\t{path}" if id else f"0 {'0' * 40}\t{path}" for path, id in sorted(changes.items())]
            self._scratch.ask(
                "update-index", "-z", "--index-info", stdin="".join(f"{row}\0" for row in rows).encode(), more=more
            )
            tree = self._scratch.ask("write-tree", "--missing-ok", more=more).decode("ascii").strip()
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _WHO.items()}
        on = [] if parent is None else ["-p", parent]
        return self._scratch.ask("commit-tree", tree, *on, stdin=message.encode(), more=who).decode("ascii").strip()

    def push(self, commit: str, ref: str) -> None:
        """Moves the remote's reference to this commit if it is now where the commit's parent is; never by force.

        Raises RemoteError: `MOVED` where somebody else was faster. Where the connection broke, it may have come about.
        """
        answer = self._scratch.run(
            ["push", "--porcelain", "--no-verify", OURS, f"{_checked(commit)}:{ref}"], network=True
        )
        if answer.returncode != 0:
            raise self._scratch.error(answer)

    def check_push(self, ref: str) -> None:
        """Asks whether this reference could be pushed to, and pushes nothing. Raises RemoteError where it could not.

        What the server's rules say of the content (a ruleset, secret scanning) is asked only by a real push.
        """
        present = self.tip(ref)
        if present is None:
            present = self.commit(None, {}, "Nothing")
        else:
            self.fetch_commit(present, filter="tree:0")
        self._scratch.ask("push", "--dry-run", "--porcelain", "--no-verify", OURS, f"{present}:{ref}", network=True)

    # ---- what is remembered -------------------------------------------------------------------------------

    def remember(self, ref: str, commit: str) -> None:
        """Keeps in mind that this is what the reference was seen at."""
        with self._scratch.alone():
            self._scratch.ask("update-ref", _seen_as(ref), commit)
            self._scratch.tidy()

    def remembered(self, ref: str) -> str | None:
        """The commit that `remember` was last told of; None: it never was, or the scratch repository is new."""
        return self._known(_seen_as(ref)) if self._scratch.is_there else None

    # ---- git ----------------------------------------------------------------------------------------------

    def _fetch(
        self,
        what: Sequence[str],
        *,
        depth: int | None = None,
        filter: str | None = "blob:none",
        negotiated: bool = True,
    ) -> None:
        options = [
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-gc",
            "--recurse-submodules=no",
            "--refmap=",
        ]
        options += [f"--depth={depth}"] if depth else []
        options += [f"--filter={filter}"] if filter else []
        # Of single files nothing is known on either side that could be compared.
        first = [] if negotiated else ["-c", "fetch.negotiationAlgorithm=noop"]
        self._scratch.ask(*first, "fetch", *options, "--stdin", OURS, stdin=_lines(what), network=True)

    def _told(self, ids: Sequence[str]) -> list[list[str]]:
        """What git tells of these objects, in words: id, kind and size, or id and `missing`. Asks nobody else."""
        if not ids:
            return []
        answer = self._scratch.ask("cat-file", "--batch-check", stdin=_lines(ids), lazy=False)
        return [line.split(" ") for line in answer.decode("ascii", "replace").splitlines()]

    def _named(self, *patterns: str) -> dict[str, str]:
        """The commits of the references there that these patterns match."""
        answer = self._scratch.ask("ls-remote", OURS, *patterns, network=True).decode("utf-8", "replace")
        found = (line.partition("\t") for line in answer.splitlines())
        return {named: commit for commit, _, named in found if _ID.fullmatch(commit)}

    def _known(self, name: str) -> str | None:
        """The whole id of a commit that is in the scratch repository."""
        question = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
        answer = self._scratch.run(question, lazy=False)
        return answer.stdout.decode("ascii").strip() if answer.returncode == 0 else None

    def _line(self, commit: str, limit: int) -> list[str]:
        line = self._scratch.ask("rev-list", "--first-parent", f"--max-count={limit}", commit, lazy=False)
        return line.decode("ascii").split()

    def _cut(self) -> set[str]:
        """The commits whose parents were left out."""
        try:
            return set((self._scratch.ready() / "shallow").read_text("ascii").split())
        except FileNotFoundError:
            return set()

    def _contents(self, ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        if not ids:
            return
        # Into a file: neither a pipe that nobody reads nor all of them in memory.
        with tempfile.TemporaryFile(dir=self._scratch.ready()) as out:
            self._scratch.run(["cat-file", "--batch"], stdin=_lines(ids), lazy=False, stdout=out, checked=True)
            out.seek(0)
            for id in ids:
                head = out.readline().decode("ascii", "replace").split()
                if len(head) != 3 or head[1] != "blob":
                    raise RemoteError(RemoteFault.OTHER, f"{self.place} did not give the file {id}. Try again")
                if int(head[2]) > MOST_BYTES:
                    raise RemoteError(
                        RemoteFault.OTHER, f"{self.place}: the file {id} is larger than {MOST_BYTES:,} bytes"
                    )
                content = out.read(int(head[2]))
                out.read(1)
                yield id, content


_WHO = {"NAME": WHO, "EMAIL": EMAIL}


def _entry(row: str) -> Entry:
    about, _, path = row.partition("\t")
    mode, _, id = about.split(" ")
    return Entry(mode=mode, id=id, path=path)


def _lines(items: Iterable[str]) -> bytes:
    return "".join(f"{item}\n" for item in items).encode("utf-8", "surrogateescape")


def _checked(commit: str) -> str:
    if not _ID.fullmatch(commit):
        raise ValueError(f"{commit!r} is no whole id of a commit")
    return commit


def _kept_as(ref: str) -> str:
    return f"refs/evalgate/fetched/{_digest(ref)}"


def _seen_as(ref: str) -> str:
    return f"refs/evalgate/seen/{_digest(ref)}"


def _digest(ref: str) -> str:
    # Not the name itself: `a` and `a/b` cannot both be references.
    return hashlib.sha256(ref.encode("utf-8", "surrogateescape")).hexdigest()[:16]
