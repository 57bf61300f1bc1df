"""The scratch repository: bare, ours alone, and the only place in which git processes work for `Remote`.

It is a cache and can be deleted at any time. Several processes may use it at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from evalgate.errors import RemoteError, RemoteFault
from evalgate.history.remote_faults import explained
from evalgate.history.remote_settings import Access

if sys.platform != "win32":
    import fcntl

LOCAL_TIMEOUT_S = 60.0
NETWORK_TIMEOUT_S = 180.0

LOCK_WAIT_S = 240.0
"""How long a process waits for another one's fetch."""

ABANDONED_S = 3600.0
"""A working folder that is older belongs to nobody."""

MOST_PACKS = 60
"""More packs than this are made one."""


class Scratch:
    """A bare repository of our own. Every method raises RemoteError."""

    def __init__(self, folder: Path, access: Access) -> None:
        self._folder = folder
        self._access = access

    @property
    def is_there(self) -> bool:
        return (self._folder / "HEAD").exists()

    def ready(self) -> Path:
        """Its folder, made where it is not there."""
        if not self.is_there:
            try:
                _make(self._folder, self._access.environ)
            except OSError as error:
                what = f"{self._folder} cannot be made: {error.strerror or error}. Make its folder writable"
                raise RemoteError(RemoteFault.OTHER, what) from error
        return self._folder

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """A folder in it for a moment."""
        with tempfile.TemporaryDirectory(dir=self.ready(), prefix="work-") as folder:
            yield Path(folder)

    def ask(
        self,
        *arguments: str,
        stdin: bytes = b"",
        network: bool = False,
        lazy: bool = True,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        """What git answers. Raises RemoteError where it refuses."""
        return self.run(arguments, stdin=stdin, network=network, lazy=lazy, more=more, checked=True).stdout

    def run(
        self,
        arguments: Sequence[str],
        *,
        stdin: bytes = b"",
        network: bool = False,
        lazy: bool = True,
        more: Mapping[str, str] | None = None,
        stdout: IO[bytes] | None = None,
        checked: bool = False,
    ) -> subprocess.CompletedProcess[bytes]:
        """One git process in the scratch repository. lazy: it may fetch what was left out before."""
        environ = {**self._access.environ, **(more or {})}
        if not lazy:
            # Without its settings the remote is nobody to ask.
            environ["GIT_CONFIG_COUNT"] = "0"
        answer = _finished(
            ["git", f"--git-dir={self.ready()}", *arguments],
            environ,
            stdin,
            stdout,
            NETWORK_TIMEOUT_S if network else LOCAL_TIMEOUT_S,
        )
        if answer is None:
            said = f"git {arguments[0]} timed out after {NETWORK_TIMEOUT_S if network else LOCAL_TIMEOUT_S:.0f} s"
            raise explained(self._access.place, said)
        if checked and answer.returncode != 0:
            raise self.error(answer)
        return answer

    def error(self, answer: subprocess.CompletedProcess[bytes]) -> RemoteError:
        said = (answer.stderr + b"\n" + (answer.stdout or b"")).decode("utf-8", "replace")
        return explained(self._access.place, said, self._access.secrets)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else fetches meanwhile: git's own locks do not wait."""
        with (self.ready() / "evalgate.lock").open("ab") as file:
            end = time.monotonic() + LOCK_WAIT_S
            while sys.platform != "win32":
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        what = f"{self._folder} has been in use by another process for {LOCK_WAIT_S:.0f} s. Try again"
                        raise RemoteError(RemoteFault.BUSY, what) from None
                    time.sleep(0.02)
            self._sweep()
            yield

    def tidy(self) -> None:
        if sum(1 for _ in self._folder.glob("objects/pack/*.pack")) > MOST_PACKS:
            self.run(["repack", "-a", "-d", "-q"], network=True)

    def _sweep(self) -> None:
        """Removes what a killed process has left: whoever holds the lock is the only one to write here."""
        for left in [*self._folder.glob("*.lock"), *self._folder.glob("refs/evalgate/*/*.lock")]:
            if left.name != "evalgate.lock":
                left.unlink(missing_ok=True)
        for folder in self._folder.glob("work-*"):
            with contextlib.suppress(OSError):
                if time.time() - folder.stat().st_mtime > ABANDONED_S:
                    shutil.rmtree(folder)


def _make(scratch: Path, environ: Mapping[str, str]) -> None:
    """A bare repository, whole or not at all."""
    scratch.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=scratch.parent, prefix="remote-"))
    try:
        done = _finished(
            ["git", "init", "--quiet", "--bare", "--template=", str(draft)], environ, b"", None, LOCAL_TIMEOUT_S
        )
        if done is None or done.returncode != 0:
            said = b"" if done is None else done.stderr
            raise explained(str(scratch), said.decode("utf-8", "replace"))
        (draft / ".gitignore").write_text("*\n", encoding="ascii")
        with contextlib.suppress(OSError):  # another process was faster
            draft.rename(scratch)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _finished(
    command: Sequence[str], environ: Mapping[str, str], stdin: bytes, stdout: IO[bytes] | None, timeout_s: float
) -> subprocess.CompletedProcess[bytes] | None:
    """A process that has ended, with all that it has started; None: it took too long."""
    try:
        # A session of its own: nothing asks on the terminal, and what it has started can be ended with it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            env=dict(environ),
            start_new_session=True,
        )
    except OSError as error:
        raise RemoteError(RemoteFault.OTHER, f"the program `git` cannot be started: {error.strerror}") from error
    try:
        out, err = process.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        return None
    except BaseException:
        _end(process)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out or b"", err)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
