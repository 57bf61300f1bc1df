"""Scorers that users bring: a function in a file, or one that an installed package offers.

The only place that loads them. Knows no case and no output: it gives back what can be called with them.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import posixpath
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from evalgate.errors import Fault, InputError
from evalgate.records import Json, ScorerSpec
from evalgate.scorers.wording import did_you_mean, sentence

GROUP = "evalgate.scorers"
"""Entry point group in which a package offers scorers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnFunction:
    """A user's function, ready to be called with `(case, output, **options)`."""

    call: Callable[..., Any]
    file: str | None
    """Its source file; None where it has none."""
    shown: str
    """How messages name that file: as the user wrote it."""
    version: str
    """Changes with each change of the source file, comments included, and of the files beside it that it imports."""


def is_own(name: str) -> bool:
    """Whether a scorer's name is `file.py:function`."""
    return ":" in name


def faults_of(spec: ScorerSpec) -> list[str]:
    """What can be said against `file.py:function` without executing it, one sentence each."""
    path, function = _parts(spec)
    if path.suffix != ".py" or not function.isidentifier():
        return [f"`{spec.name}` is no `file.py:function`"]
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        written = spec.name.rpartition(":")[0]
        return [f"there is no file `{written}`, looked for in {_folder(spec)}.{_file_alike(path)}"]
    except OSError as error:
        return [f"`{spec.name}` cannot be read: {error.strerror or error}"]
    try:
        tree = ast.parse(source, filename=path.name)
    except (SyntaxError, ValueError) as error:
        return [f"`{spec.name.rpartition(':')[0]}` is no valid Python: {_syntax(error)}"]
    names = _names(tree)
    if names is None or function in names:
        return []
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f"`{path.name}` has no function `{function}`.{did_you_mean(function, functions)}"]


def load_file(spec: ScorerSpec) -> OwnFunction:
    """The function that `file.py:function` names. Raises InputError with the place in the user's file."""
    faults = faults_of(spec)
    if faults:
        raise InputError(faults[0])
    path, function = _parts(spec)
    source = path.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    shown = spec.name.rpartition(":")[0]
    call = getattr(_module(path.resolve(), source, digest, shown), function, None)
    version = f"{function}/sha256:{_with_imported(path, digest)[:16]}"
    return OwnFunction(call=_checked(call, spec), file=str(path.resolve()), shown=shown, version=version)


def _with_imported(path: Path, digest: str) -> str:
    """The digest of a scorer's file, or one of it and of what it imports from beside it."""
    beside = imported(path.name, lambda name: _bytes(path.parent / name))
    if not beside:
        return digest
    parts = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in beside.items()]
    return hashlib.sha256("\n".join([digest, *parts]).encode("utf-8", "surrogateescape")).hexdigest()


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def imported(name: str, read: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """The Python files beside a scorer that it imports, and those that they import in turn: name → content.

    Found in the source, not by executing it: what is imported by a computed name is not seen. name: of the scorer's
    file. read: gives the content of a file that is named in the same way, from the same folder; None: there is none.
    """
    folder, open_ends = posixpath.dirname(name), [name]
    found: dict[str, bytes] = {}
    while open_ends:
        current = open_ends.pop()
        source = found.get(current) or read(current) or b""
        for beside in _may_import(source, posixpath.relpath(current, folder or ".")):
            path = posixpath.join(folder, beside)
            content = None if path in found or path == name else read(path)
            if content is not None:
                found[path] = content
                open_ends.append(path)
    return dict(sorted(found.items()))


def _may_import(source: bytes, path: str) -> list[str]:
    """The files that a source's imports would name if they lay in the folder; path: its own, from there."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.split("/")[: -node.level] if node.level else []
            origin = ".".join([*package, *([node.module] if node.module else [])])
            modules.update(f"{origin}.{alias.name}".lstrip(".") for alias in node.names)
    steps = {"/".join(parts[:n]) for parts in (m.split(".") for m in modules) for n in range(1, len(parts) + 1)}
    return sorted(file for step in steps for file in (f"{step}.py", f"{step}/__init__.py"))


def offered() -> list[str]:
    """Names of the scorers that installed packages offer, sorted."""
    from importlib.metadata import entry_points

    return sorted({point.name for point in entry_points(group=GROUP)})


def load_offered(spec: ScorerSpec) -> OwnFunction:
    """The function that an installed package offers under this name. Raises InputError."""
    from importlib.metadata import entry_points

    points = list(entry_points(group=GROUP, name=spec.name))
    if len({point.value for point in points}) != 1:
        what = "more than one package offers it" if points else "no installed package offers it"
        raise InputError(f"scorer `{spec.name}`: {what}")
    point = points[0]
    try:
        call = point.load()
    except (Exception, SystemExit) as error:
        raise InputError(f"scorer `{spec.name}`: {point.value} cannot be loaded: {described(error)}") from error
    file = _source_file(call)
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else "unknown"
    package = f"{point.dist.name}-{point.dist.version}" if point.dist else "?"
    return OwnFunction(
        call=_checked(call, spec), file=file, shown=point.module, version=f"{point.value}/{package}/sha256:{digest}"
    )


def described(error: BaseException, function: OwnFunction | None = None) -> str:
    """An exception of a user's code: type, message, and the line of their file where it is known."""
    message = sentence(str(error))
    said = f"{type(error).__name__}: {message}" if message else type(error).__name__
    line = None if function is None else line_in(error, function.file)
    if line is not None and function is not None:
        return f"{said} ({function.shown}:{line})"
    return said


def line_in(error: BaseException, file: str | None) -> int | None:
    """The innermost line of this file that the exception passed through; None: it did not."""
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == file:
            line = step.tb_lineno
        step = step.tb_next
    return line


def _parts(spec: ScorerSpec) -> tuple[Path, str]:
    written, _, function = spec.name.rpartition(":")
    return Path(spec.base_dir) / Path(written).expanduser(), function.strip()


def _folder(spec: ScorerSpec) -> str:
    return "the current directory" if spec.base_dir in ("", ".") else f"`{spec.base_dir}`"


def _file_alike(path: Path) -> str:
    try:
        return did_you_mean(path.name, sorted(other.name for other in path.parent.glob("*.py")))
    except OSError:
        return ""


def _syntax(error: SyntaxError | ValueError) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.msg} at line {error.lineno}"
    return str(error)


def _names(tree: ast.Module) -> set[str] | None:
    """What the module's top level binds, conditions included; None where only running it could tell."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            if any(alias.name == "*" for alias in node.names):
                return None
            names.update(alias.asname or alias.name for alias in node.names)
    return names


_MODULES: dict[tuple[str, str], ModuleType] = {}
"""Each source file is executed once for each content it had, however many cases ask for it."""


def _module(path: Path, source: bytes, digest: str, shown: str) -> ModuleType:
    key = (str(path), digest)
    if key in _MODULES:
        return _MODULES[key]
    name = "_evalgate_own_" + hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    # Registered under its private name: dataclasses and pickle look a class's module up there.
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))  # for `import helpers` beside it, while it is loaded
    try:
        # The bytes whose digest is the version, not what a file or a cached byte code holds a moment later.
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        line = line_in(error, str(path))
        place = f"{shown}:{line}" if line else shown
        raise InputError(
            Fault(where=place, what=f"this scorer cannot be loaded: {described(error)}", hint=_hint(error))
        ) from error
    finally:
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
    _MODULES[key] = module
    return module


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"Install `{error.name}` where evalgate runs, or put `{error.name}.py` beside the scorer"
    return ""


def _checked(call: object, spec: ScorerSpec) -> Callable[..., Any]:
    """The function, if it can be called with a case, an output and the options."""
    if not callable(call) or isinstance(call, ModuleType):
        raise InputError(f"scorer `{spec.name}` is no function: write `def scorer(case, output):`")
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):  # built-ins without a signature
        return call
    try:
        signature.bind(None, None, **spec.options)
    except TypeError as error:
        raise InputError(f"scorer `{spec.name}` cannot be called with {_arguments(spec.options)}: {error}") from error
    return call


def _arguments(options: Mapping[str, Json] | Iterable[str]) -> str:
    return "(" + ", ".join(["case", "output", *(f"{name}=…" for name in options)]) + ")"


def _source_file(call: object) -> str | None:
    try:
        return inspect.getsourcefile(inspect.unwrap(call))  # type: ignore[arg-type]
    except TypeError:
        return None
