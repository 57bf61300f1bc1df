"""This machine: Python, git, what its terminal can show, room, the cache of calls, proxies."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from evalgate.errors import InputError
from evalgate.pipeline.caching import FOLDER, folder_of, most_bytes
from evalgate.pipeline.doctor.asked import Asked
from evalgate.pipeline.doctor.check import Check, fail, failures, ok, skipped, warn
from evalgate.report.numbers import count

TESTED = ((3, 11), (3, 13))
"""The oldest and the newest Python that the tests run on."""

LITTLE_BYTES, TOO_LITTLE_BYTES = 200 << 20, 4 << 20
"""Below these a disk is called short of room, and full."""

OLDEST_GIT = (2, 25)
"""What fetches parts of a history needs at least this."""

PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")


def look(asked: Asked) -> list[Check]:
    """Everything that can be known without a configuration."""
    return [_python(asked.version), _git(), _encoding(), *_room(asked), _cache(asked), *_proxies(asked)]


def _python(version: str) -> Check:
    found = f"evalgate {version} on Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    if not TESTED[0] <= sys.version_info[:2] <= TESTED[1]:
        oldest, newest = (".".join(map(str, known)) for known in TESTED)
        return warn("python", found, f"It is tested with Python {oldest} to {newest}: use one of these.")
    return ok("python", found)


def _git() -> Check:
    try:
        said = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        what = "Install git: without it no baseline is found by commit, and the history branch cannot be used."
        return fail("git", "there is no git program that answers", what)
    numbers = re.search(r"(\d+)\.(\d+)", said)
    if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST_GIT:
        return warn("git", said.strip(), f"Install git {'.'.join(map(str, OLDEST_GIT))} or newer.")
    return ok("git", said.strip())


def _encoding() -> Check:
    told = {"output": getattr(sys.stdout, "encoding", None) or "ascii", "file names": sys.getfilesystemencoding()}
    others = [f"{what} {name}" for what, name in told.items() if not name.lower().startswith("utf")]
    if others:
        how = "Set PYTHONUTF8=1 (or a UTF-8 locale): until then reports are drawn in ASCII."
        return warn("encoding", f"not UTF-8: {', '.join(others)}", how)
    return ok("encoding", "UTF-8")


def _room(asked: Asked) -> list[Check]:
    places = {"room for results": asked.folder, "room for temporary files": Path(tempfile.gettempdir())}
    return [_room_in(name, _existing(folder)) for name, folder in places.items()]


def _room_in(name: str, folder: Path) -> Check:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return warn(name, f"{folder} cannot be asked: {error.strerror}", "Look for yourself.")
    found = f"{_size(free)} free in {folder}"
    if free < TOO_LITTLE_BYTES:
        return fail(name, found, "Make room: no run is begun there.")
    return warn(name, found, "Make room: a large run may not fit.") if free < LITTLE_BYTES else ok(name, found)


def _size(number: int) -> str:
    return f"{number / (1 << 30):,.1f} GB" if number >= 1 << 30 else f"{number >> 20:,} MB"


def _cache(asked: Asked) -> Check:
    try:
        most_bytes(asked.environ)
    except InputError as error:
        return failures("cache of calls", error)[0]
    folder = folder_of(asked.environ)
    beginning = _existing(folder)
    if not os.access(beginning, os.W_OK | os.X_OK) or not beginning.is_dir():
        advice = f"Make it writable, or name another folder in {FOLDER}: until then every call is made and paid anew."
        return warn("cache of calls", f"{folder} cannot be written", advice)
    return ok("cache of calls", f"{folder} is writable")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))


def _proxies(asked: Asked) -> list[Check]:
    """Names only: a proxy's value may hold a password."""
    named = [name for name in PROXIES if asked.environ.get(name, "").strip()]
    if not named:
        return [skipped("proxies", "none is named by the environment")]
    return [ok("proxies", f"{count(len(named), 'variable')} set: {', '.join(named)}")]
