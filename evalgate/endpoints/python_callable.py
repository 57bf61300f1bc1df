"""The kind `python`: a function of the user's, in this process, sync or async."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from evalgate.endpoints.answers import output_from
from evalgate.endpoints.interface import Endpoint, Opening, Settings
from evalgate.errors import CallError, CallFault, Fault, InputError
from evalgate.masking import excerpt
from evalgate.records import Json, Output, Request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

    from evalgate.endpoints.threads import Threads

SHOWN = 300
MOST_FILES = 2_000
MOST_BYTES = 64_000_000


@dataclass(frozen=True, kw_only=True)
class PythonCallable(Settings):
    """A Python function, called with one request (`.prompt`, `.messages`, `.case`, `.params`, `.epoch`)."""

    kind: ClassVar[str] = "python"

    callable: str
    """`module:function`; the module is looked for beside the configuration file first."""

    def problems(self) -> list[tuple[str, str, str]]:
        module, colon, function = self.callable.partition(":")
        names = [*module.split("."), *function.split(".")]
        is_file = module.endswith(".py")
        if colon and not is_file and all(name.isidentifier() for name in names):
            return []
        hint = "Write module:function, e.g. app.assistant:answer"
        if is_file:
            hint = f"Write the module without .py: {Path(module).stem}:{function or 'function'}"
        return [("callable", f"{self.callable} is not module:function", hint)]

    def identity(self, base_dir: Path) -> dict[str, Json]:
        identity = super().identity(base_dir) | {"callable": self.callable}
        if self.version:
            return identity
        source = _source_of(self.callable.partition(":")[0], base_dir)
        return identity | {"source_sha256": _digest(source) if source else None}

    @asynccontextmanager
    async def open(self, opening: Opening) -> AsyncIterator[Endpoint]:
        from evalgate.endpoints.threads import Threads

        # Left in place until the end: functions import their helpers when they are first called, too.
        with _importable(opening.base_dir):
            yield _Callable(self.callable, _load(self.callable, opening.base_dir), opening.base_dir, Threads())


class _Callable:
    """The opened endpoint."""

    def __init__(self, name: str, function: Callable[[Request], Any], base_dir: Path, threads: Threads) -> None:
        self._name = name
        self._function = function
        self._base_dir = base_dir.resolve()
        self._threads = threads

    async def call(self, request: Request) -> Output:
        import asyncio
        import inspect

        begin = time.perf_counter()
        try:
            if _is_async(self._function):
                answer = await self._function(request)
            else:
                answer = await self._threads.run(self._function, request)
                if inspect.isawaitable(answer):
                    answer = await answer
        except CallError:
            raise  # the user's code knows better what went wrong
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise self._failure(error) from None
        except (Exception, SystemExit) as error:  # the user's code was called
            raise self._failure(error) from error
        return output_from(answer, time.perf_counter() - begin, self._name)

    def _failure(self, error: BaseException) -> CallError:
        """Type, message and the innermost place in the user's own files."""
        import traceback

        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if self._is_users(frame.filename)]
        place = ""
        if own or frames:
            frame = (own or frames)[-1]
            file = Path(frame.filename)
            with suppress(ValueError):
                file = file.resolve().relative_to(self._base_dir)
            place = f" ({file}:{frame.lineno} in {frame.name})"
        said = excerpt(str(error), SHOWN)
        return CallError(
            CallFault.CODE, f"{self._name} raised {type(error).__name__}{': ' if said else ''}{said}{place}"
        )

    def _is_users(self, filename: str) -> bool:
        path = Path(filename)
        return path.is_relative_to(self._base_dir) and "site-packages" not in path.parts


def _load(name: str, base_dir: Path) -> Callable[[Request], Any]:
    """The function, imported. Raises InputError where there is none."""
    import importlib

    module_name, _, attribute = name.partition(":")
    importlib.invalidate_caches()
    _forget_namesake(module_name, base_dir)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            hint = f"Check the name; it was looked for in {base_dir} and among the installed packages"
            raise _fault(f"there is no module {error.name}", hint) from None
        raise _fault(f"{module_name} needs the module {error.name}, which is not installed", "Install it") from error
    except (Exception, SystemExit) as error:  # the user's module was executed
        said = excerpt(str(error), SHOWN)
        hint = f'Check that `python -c "import {module_name}"` works in {base_dir}'
        raise _fault(f"importing {module_name} raised {type(error).__name__}: {said}", hint) from error
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            offered = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            hint = f"It has {', '.join(sorted(offered)[:10])}" if offered else "It has no function"
            raise _fault(f"{module_name} has no {attribute}", hint)
        found = getattr(found, part)
    if not callable(found):
        raise _fault(f"{name} cannot be called: it is a {type(found).__name__}", "Name a function of one request")
    return found  # type: ignore[no-any-return]


def _fault(what: str, hint: str) -> InputError:
    return InputError(Fault(where="endpoint.callable", what=what, hint=hint))


@contextmanager
def _importable(base_dir: Path) -> Iterator[None]:
    entry = str(base_dir.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(entry)


def _forget_namesake(module_name: str, base_dir: Path) -> None:
    """Drop an already imported module of the same name from another place: two suites may each have an `app.py`."""
    top = module_name.partition(".")[0]
    if top == __name__.partition(".")[0]:
        return  # this very program: a checkout of it beside the configuration is no reason to load it twice
    loaded, spec = sys.modules.get(top), _find(top, base_dir)
    origin = getattr(getattr(loaded, "__spec__", None), "origin", None)
    if loaded is not None and spec is not None and spec.origin and origin and spec.origin != origin:
        for name in [name for name in sys.modules if name == top or name.startswith(top + ".")]:
            del sys.modules[name]


def _source_of(module_name: str, base_dir: Path) -> Path | None:
    """The module's source file, found without running any of it; None where there is none to read."""
    spec = _find(module_name, base_dir)
    source = Path(spec.origin) if spec and spec.origin else None
    return source if source and source.suffix == ".py" and source.is_file() else None


def _digest(source: Path) -> str:
    """Fingerprint of the code: of the module's package where it has one, data files included (prompts, an index); of
    the one file where it stands alone. In a package of more than 2,000 files or 64 MB the Python files count only.
    """
    if not (source.parent / "__init__.py").is_file():
        return hashlib.sha256(source.read_bytes()).hexdigest()
    folder = source.parent
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file()
        and not any(part[0] == "." or part == "__pycache__" for part in file.relative_to(folder).parts)
    )
    if len(files) > MOST_FILES or sum(file.stat().st_size for file in files) > MOST_BYTES:
        files = [file for file in files if file.suffix == ".py"]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _find(module_name: str, base_dir: Path) -> ModuleSpec | None:
    from importlib.machinery import PathFinder

    path: list[str] | None = [str(base_dir.resolve()), *sys.path]
    parts = module_name.split(".")
    spec = None
    for depth in range(len(parts)):
        spec = PathFinder.find_spec(".".join(parts[: depth + 1]), path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    return spec


def _is_async(function: Callable[..., Any]) -> bool:
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)
