"""A suite as it stands at a commit, to be compared with or decided by. Nothing of it is executed, nothing is called.

Its files are copied out of git into a folder of their own and read there by the readers of any other: links, paths that
lead out of the repository, and more than so many bytes are refused. Scorers that users bring are compared as bytes.
"""

from __future__ import annotations

import glob
import os
import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

from evalgate import config as configuration
from evalgate import scorers
from evalgate.config import Config
from evalgate.config.documents import is_file, read_yaml
from evalgate.config.exceptions import DEFAULT_FILE
from evalgate.config.places import Faults, quoted, shown
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.errors import Fault, InputError
from evalgate.history.git import Files
from evalgate.pipeline.load import load_config, scorer_kinds
from evalgate.records import EvalSet, Exceptions, Json, ScorerSpec, Source, short
from evalgate.scorers.own import is_own


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is copied out of a commit, at most."""

    files: int = 2_000
    file_bytes: int = 64_000_000
    """Of one file."""
    bytes: int = 256_000_000
    """Of all files of a suite together."""


_MOST_MOVED, _MOST_CONFIG_BYTES = 500, 1_000_000
"""How many files are looked through for a configuration that was moved, and how large it may be."""


class NoSuchFile(InputError):
    """The commit has no configuration of this name: the suite was not there yet, or lay elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Committed:
    """A suite as it stands at a commit."""

    commit: str
    config: Config
    """Its `path` and `base_dir` are named from the repository's top, and nothing is at them."""
    evalset: EvalSet | None
    """The folders of its own scorers are named from the repository's top. None: unread."""
    unread: InputError | None
    """Why its eval sets cannot be read; None where they can, or where they are those of the folder, to the byte."""
    files: Files = field(repr=False)

    def holds(self, name: str) -> bool:
        """Whether a file that is named from the configuration's folder would lie in the repository."""
        path = self._path(name)
        return not posixpath.isabs(path) and path.split("/")[0] != ".."

    def read(self, name: str) -> bytes | None:
        """The content of such a file; None where there is none."""
        path = self._path(name)
        return self.files.read_all(self.commit, [path]).get(path)

    def _path(self, name: str) -> str:
        return posixpath.normpath(posixpath.join(self.config.base_dir.as_posix(), name))


def suite_at(
    files: Files,
    commit: str,
    path: str,
    *,
    here: Config | None = None,
    environ: Mapping[str, str] | None = None,
    most: Sizes | None = None,
) -> Committed:
    """The suite at this commit. Judge and store are left unread, and no rule is held against the eval sets: a rule may
    stand there for no case.

    files: a clone or a remote. path: the configuration's, from the repository's top, with slashes.
    here: the configuration as it is on disk; where the eval sets' files are the same there, they are not read again.
    environ: where the variables of `endpoint` are looked up; then it is read too, and has to be of the kind `openai`.
    Raises NoSuchFile where the commit has no such file, InputError where commit or configuration cannot be read or
    used; every fault names `COMMIT:path`.
    """
    with _copied(files, commit, path, most or Sizes()) as copy:
        config = copy.config()
        if environ is not None:
            config = replace(config, endpoint=copy.endpoint(config, environ), endpoint_kind=OpenAI.kind)
        evalset, unread = None, None
        try:
            with copy.named():
                copy.copy_evalsets(config)
                evalset = (
                    None if here is not None and copy.has_the_same_evalsets(config, here) else copy.evalset(config)
                )
        except InputError as error:
            unread = error
        return Committed(commit=commit, config=config, evalset=evalset, unread=unread, files=files)


def read_evalset(config: Config, base_dir: Path) -> EvalSet:
    """The eval sets that a configuration names, from this folder: read as ever, but no scorer is looked into, let
    alone loaded, and no rule is held against them. Raises InputError."""
    return configuration.load_evalsets(
        config.evalsets,
        base_dir=base_dir,
        scorer_kinds=scorer_kinds(),
        shorthand=scorers.SHORTHAND,
        check_scorer=lambda spec: [],  # it would look into own scorers' files
        problem=lambda spec, case: None,  # it would load them
        rule_categories={},
    )


def asks_for_base(files: Files, commit: str, path: str) -> bool:
    """Whether a configuration, whatever else is wrong with it, says `gate.rules_from: base`. Raises as `suite_at`."""
    with _copied(files, commit, path, Sizes()) as copy:
        return copy.asks_for_base()


def moved_from(files: Files, commit: str, suite: str, is_here: Callable[[str], bool]) -> str | None:
    """Where this commit has the configuration of a suite that lies elsewhere now; None: nowhere.

    is_here: whether the change still has a file of this path. Such a one has not been moved.
    """
    paths = [entry.path for entry in files.entries(commit, "") if entry.is_file and _is_yaml(entry.path)]
    gone = sorted(path for path in paths if not is_here(path))[:_MOST_MOVED]
    for path, content in sorted(files.read_all(commit, gone).items()) if gone else ():
        if b"suite" in content and len(content) <= _MOST_CONFIG_BYTES:
            with _copied(files, commit, path, Sizes()) as copy:
                if copy.suite() == suite:
                    return path
    return None


def _is_yaml(path: str) -> bool:
    return path.endswith((".yaml", ".yml", ".json"))


def own_file(spec: ScorerSpec, base_dir: Path) -> str | None:
    """The file of an own scorer, from the configuration's folder; None: it is none of the user's own."""
    if not is_own(spec.name):
        return None
    written = spec.name.rpartition(":")[0]
    return Path(os.path.relpath(Path(spec.base_dir) / written, base_dir)).as_posix()


@contextmanager
def _copied(files: Files, commit: str, path: str, most: Sizes) -> Iterator[_Copy]:
    with TemporaryDirectory(prefix="evalgate-") as root:
        copy = _Copy(files=files, commit=commit, path=posixpath.normpath(path), root=Path(root), most=most)
        with copy.named():
            yield copy


@dataclass(kw_only=True)
class _Copy:
    """The files of a suite at a commit, copied as far as they were asked for."""

    files: Files
    commit: str
    path: str
    root: Path
    most: Sizes
    copied: dict[str, int] = field(default_factory=dict)
    """Path → bytes."""
    others: set[str] = field(default_factory=set)
    """Those of them that are no eval set's."""

    @property
    def folder(self) -> str:
        return posixpath.dirname(self.path)

    def asks_for_base(self) -> bool:
        self._find_config()
        gate = self._data(self.path).get("gate")
        return isinstance(gate, dict) and gate.get("rules_from") == "base"

    def suite(self) -> Json:
        """The name that the file gives its suite, if it is a configuration."""
        self._find_config()
        return self._data(self.path).get("suite")

    def config(self) -> Config:
        self._find_config()
        named = self._data(self.path).get("exceptions")
        exceptions = self._within(named if isinstance(named, str) and named else DEFAULT_FILE)
        self._copy([exceptions])  # one that is named and not there is told by the reader
        self.others.update((self.path, exceptions))
        config = load_config(self.root / self.path, {}, needs_endpoint=False, needs_store=False)
        places = {name: self._renamed(place) for name, place in config.rule_categories.items()}
        return replace(
            config,
            path=Path(self.path),
            base_dir=Path(self.folder),
            rule_categories=places,
            exceptions=self._sourced(config.exceptions),
        )

    def endpoint(self, config: Config, environ: Mapping[str, str]) -> OpenAI:
        """The endpoint that the configuration names, with its file of a system prompt."""
        written = config.raw.get("endpoint")
        system = written.get("system") if isinstance(written, dict) else None
        named = system.get("file") if isinstance(system, dict) else None
        self._copy([self._within(named)] if isinstance(named, str) and named else [])
        kinds = {OpenAI.kind: OpenAI}
        read: OpenAI = configuration.load_endpoint(self.root / self.path, environ=environ, endpoint_kinds=kinds)
        return read

    def copy_evalsets(self, config: Config) -> None:
        """Copies what the configuration's patterns name, and the data files that those eval sets name."""
        paths = sorted({path for pattern in config.evalsets for path in self._matching(pattern)})
        self._copy(paths)
        self._copy(sorted({name for path in paths for name in self._data_files(path)}))

    def has_the_same_evalsets(self, config: Config, here: Config) -> bool:
        """Whether the eval sets that both configurations name are the same files here, to the byte."""
        copied = self.root / self.folder
        if _files_of(here.evalsets, here.base_dir) != _files_of(config.evalsets, copied):
            return False
        names = {os.path.relpath(path, self.folder or ".") for path in self.copied if path not in self.others}
        return all(_bytes(here.base_dir / name) == _bytes(copied / name) for name in names)

    def evalset(self, config: Config) -> EvalSet:
        loaded = read_evalset(config, self.root / self.folder)
        specs = {
            key: replace(spec, base_dir=os.path.relpath(spec.base_dir, self.root))
            for key, spec in loaded.scorers.items()
        }
        return replace(loaded, scorers=specs)

    # ---- copying ------------------------------------------------------------------------------------------

    def _find_config(self) -> None:
        """Copies the configuration. What cannot be read must not pass for what is not there: its rules may decide."""
        self._copy([self._within(self.path, "")])
        if self.path in self.copied:
            return
        every = {entry.path for entry in self.files.entries(self.commit, "")}
        if self.path in every:
            raise InputError(Fault(where=self._place(self.path), what="is a link, or cannot be read"))
        if not every:
            hint = "A shallow clone may lack it: check out with `fetch-depth: 0`."
            raise InputError(Fault(where=short(self.commit), what="the files of this commit cannot be read", hint=hint))
        raise NoSuchFile(Fault(where=self._place(self.path), what="the commit has no such file"))

    def _copy(self, paths: Sequence[str]) -> None:
        """Copies these files; what is no file is left out, and missed by whoever reads it."""
        new = [path for path in paths if path not in self.copied]
        if len(self.copied) + len(new) > self.most.files:
            raise self._too_large(self.path, f"the suite has more than {self.most.files:,} files")
        for path, content in self.files.read_all(self.commit, new).items() if new else ():
            self.copied[path] = len(content)
            if len(content) > self.most.file_bytes:
                raise self._too_large(path, f"is larger than {self.most.file_bytes:,} bytes")
            if sum(self.copied.values()) > self.most.bytes:
                raise self._too_large(self.path, f"the suite's files are larger than {self.most.bytes:,} bytes")
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def _too_large(self, path: str, what: str) -> InputError:
        return InputError(Fault(where=self._place(path), what=what, hint="So much is not compared with."))

    def _data_files(self, path: str) -> list[str]:
        """The data files that an eval set names."""
        if path not in self.copied or b"cases_from" not in (self.root / path).read_bytes():
            return []
        named = self._data(path).get("cases_from")
        names = named if isinstance(named, list) else [named]
        return [self._within(name, posixpath.dirname(path)) for name in names if isinstance(name, str) and name]

    def _data(self, path: str) -> Mapping[str, Json]:
        """What stands in a YAML file; what is wrong with it is told by whoever reads it for good."""
        document = read_yaml(self.root / path, Faults())
        return document.data if document is not None and isinstance(document.data, dict) else {}

    def _matching(self, pattern: str) -> list[str]:
        """The paths that a pattern of the configuration names."""
        wanted = self._within(pattern).split("/")
        literal = next((number for number, part in enumerate(wanted) if glob.has_magic(part)), len(wanted) - 1)
        below = self.files.entries(self.commit, "/".join(wanted[:literal]))
        found = [entry for entry in below if _matches(entry.path.split("/"), wanted)]
        for entry in found:
            if not entry.is_file:
                what = "is a link or a submodule: it is not followed"
                raise InputError(Fault(where=self._place(entry.path), what=what))
        return [entry.path for entry in found]

    def _within(self, name: str, folder: str | None = None) -> str:
        """The path from the repository's top of what is named from a folder, the configuration's by default."""
        path = posixpath.normpath(posixpath.join(self.folder if folder is None else folder, name))
        if posixpath.isabs(path) or path.split("/")[0] == ".." or "\0" in path:
            what = f"{quoted(name)} leads out of the repository, so its content at this commit is not known"
            raise InputError(Fault(where=self._place(self.path), what=what, hint="Name a file of the repository."))
        return path

    # ---- messages -----------------------------------------------------------------------------------------

    def _place(self, path: str) -> str:
        return f"{short(self.commit)}:{path}"

    def _renamed(self, text: str) -> str:
        """The text with `COMMIT:path` for each path of the copy."""
        for root in (str(self.root), self.root.as_posix(), shown(self.root)):
            text = text.replace(f"{root}/", f"{short(self.commit)}:")
        return text

    def _sourced(self, exceptions: Exceptions) -> Exceptions:
        """The exceptions with `COMMIT:path` as the places in which they stand."""

        def moved(source: Source | None) -> Source | None:
            return None if source is None else replace(source, file=self._renamed(source.file))

        return Exceptions(
            waivers=tuple(replace(waiver, source=moved(waiver.source)) for waiver in exceptions.waivers),
            quarantine=tuple(replace(case, source=moved(case.source)) for case in exceptions.quarantine),
        )

    @contextmanager
    def named(self) -> Iterator[None]:
        """Lets faults name the commit instead of the copy."""
        try:
            yield
        except InputError as error:
            faults = [
                Fault(where=self._renamed(fault.where), what=self._renamed(fault.what), hint=self._renamed(fault.hint))
                for fault in error.faults
            ]
            raise type(error)(faults) from error


def _files_of(patterns: Sequence[str], folder: Path) -> list[str]:
    """The files that these patterns name, from the folder."""
    found = {name for pattern in patterns for name in glob.glob(pattern, root_dir=folder, recursive=True)}  # noqa: PTH207
    return sorted(posixpath.normpath(name) for name in found if is_file(folder / name))


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path is one that `glob` finds, both in parts: `**` is any number of folders, hidden names are asked
    for by name."""
    if not pattern or not path:
        return not pattern and not path
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        hidden = next((number for number, part in enumerate(path) if part.startswith(".")), len(path))
        if not rest:
            return hidden == len(path)
        return any(_matches(path[number:], rest) for number in range(hidden + 1))
    is_seen = not path[0].startswith(".") or first.startswith(".")
    return is_seen and fnmatchcase(path[0], first) and _matches(path[1:], rest)
