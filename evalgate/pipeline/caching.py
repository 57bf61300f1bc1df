"""Whether answers are reused, whose, and where they are kept.

A run that becomes a baseline by itself (a push, a schedule, a run on somebody's own machine) makes its calls anew:
copies of an earlier run's answers would add nothing to it. A pull request's run only judges; what it asks for the
second time is not asked again. What pushes are answered is kept for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalgate.endpoints import Endpoint, Settings
from evalgate.endpoints.http_settings import is_near
from evalgate.errors import Fault, InputError
from evalgate.records import Json
from evalgate.runner.cache import Remembering

if TYPE_CHECKING:
    from evalgate.config import Config
    from evalgate.pipeline.place import Place
    from evalgate.runner.cache_file import CacheFile

FOLDER = "EVALGATE_CACHE_DIR"
MOST_MB = "EVALGATE_CACHE_MAX_MB"
VERSIONLESS = ("openai", "replay")
"""Kinds for whose reuse a `version` decides nothing: always, and never."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Occasion:
    """What a run is made for, as far as it decides on the reuse of answers."""

    wanted: bool | None
    """`run.cache`."""
    is_fresh: bool
    """Somebody asked for calls made anew, or the run is to be a baseline."""
    is_pull: bool
    """It judges a pull request or a merge group."""
    is_ci: bool
    """GitHub says what it is for."""
    commit: Callable[[], str | None] = lambda: None
    """That which is checked out, without a change; None: there is none, or files were changed since. Asks git."""

    @staticmethod
    def of(wanted: bool | None, place: Place, *, is_fresh: bool) -> Occasion:
        """What the job and the configuration say; wanted: `run.cache`; is_fresh: calls are to be made anew."""
        situation = place.situation
        return Occasion(
            wanted=wanted,
            is_fresh=is_fresh,
            is_pull=situation is not None and (situation.pull is not None or situation.event == "merge_group"),
            is_ci=situation is not None,
            commit=lambda: None if place.is_modified else place.commit,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Reuse:
    """How the answers of one endpoint are kept."""

    reads: bool
    """Whether earlier answers are given again."""
    commit: str | None = None
    """The commit that has to be the same for it; None: any."""


def reuse_of(settings: Settings, occasion: Occasion) -> Reuse | None:
    """How the answers of this endpoint are reused on this occasion; None: not at all, and nothing is kept."""
    is_openai = settings.kind == "openai"
    if occasion.wanted is False or settings.kind == "replay" or not (is_openai or settings.version):
        return None  # the same request can meet changed code, and nothing says whether it does
    if occasion.wanted:
        return Reuse(reads=not occasion.is_fresh)
    if not settings.version and is_near(getattr(settings, "base_url", "")):
        # A server that the job may have started from the code under test: within one commit it is the same.
        commit = occasion.commit() if occasion.is_pull else None
        return None if commit is None else Reuse(reads=not occasion.is_fresh, commit=commit)
    return Reuse(reads=occasion.is_pull and not occasion.is_fresh) if occasion.is_ci else None


def unheeded(config: Config) -> list[str]:
    """Where `run.cache: true` has no effect, in sentences without a full stop."""
    asked = {"endpoint": config.endpoint, "judge": config.judge}
    return [
        f"run.cache needs {key}.version for {settings.kind}: without it nothing says whether the same request would "
        "still be answered so, and every call is made"
        for key, settings in asked.items()
        if config.run.cache and settings is not None and settings.kind not in VERSIONLESS and not settings.version
    ]


class Cache:
    """The cache of one run, opened when the first endpoint wants it; use it as a context manager."""

    def __init__(self, occasion: Occasion, environ: Mapping[str, str], base_dir: Path) -> None:
        """Raises InputError where the environment bounds it by what is no number."""
        self._occasion, self._environ, self._base_dir = occasion, environ, base_dir
        self.troubles: list[str] = []
        """Why it could not be used, in a sentence; empty where all is well."""
        self._most_bytes = most_bytes(environ)
        self._file: CacheFile | None = None

    def around(
        self, settings: Settings, endpoint: Endpoint, hide: Callable[[Json], Json] = lambda value: value
    ) -> Remembering | None:
        """The endpoint with its answers kept; None where they are not reused.

        hide: takes out of what names the endpoint whatever is secret.
        """
        reuse = reuse_of(settings, self._occasion)
        if reuse is None:
            return None
        identity = [hide(settings.determinants(self._base_dir)), reuse.commit]
        sees_case = settings.kind != "openai"
        return Remembering(endpoint, self._opened(), identity, sees_case=sees_case, reads=reuse.reads)

    def _opened(self) -> CacheFile:
        if self._file is None:
            from evalgate.runner.cache_file import USUAL, Bounds, CacheFile

            bounds = USUAL if self._most_bytes is None else Bounds(bytes=self._most_bytes)
            self._file = CacheFile.open(folder_of(self._environ), tell=self.troubles.append, bounds=bounds)
        return self._file

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what was kept."""
        if self._file is not None:
            self._file.close()


def cache_of(config: Config, place: Place, environ: Mapping[str, str], *, is_fresh: bool) -> Cache:
    """The cache of a run of this configuration at this place; is_fresh: calls are to be made anew.

    Raises InputError where the environment bounds it by what is no number.
    """
    return Cache(Occasion.of(config.run.cache, place, is_fresh=is_fresh), environ, config.base_dir)


def folder_of(environ: Mapping[str, str]) -> Path:
    """Where calls are kept: `EVALGATE_CACHE_DIR`, or the user's folder for caches."""
    if given := environ.get(FOLDER, "").strip():
        return Path(given).expanduser()
    if base := environ.get("XDG_CACHE_HOME", "").strip():
        return Path(base) / "evalgate"
    home = environ.get("HOME", "").strip()
    return (Path(home) if home else Path("~").expanduser()) / ".cache" / "evalgate"


def most_bytes(environ: Mapping[str, str]) -> int | None:
    """How large the cache may be; None: nobody says. Raises InputError where it is no number."""
    given = environ.get(MOST_MB, "").strip()
    if not given:
        return None
    if not given.isascii() or not given.isdigit() or not 0 < int(given) <= 1_000_000:
        hint = "Write a whole number of megabytes, e.g. 1024; to keep no answers write `run: {cache: false}`."
        raise InputError(Fault(where=MOST_MB, what=f"{given[:40]!r} is no size", hint=hint))
    return int(given) << 20
