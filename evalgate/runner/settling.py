"""Forces what is written to a file to the disk, soon, without keeping its writer waiting. Knows no journal."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import IO

SOON_S = 1.0
"""What a power failure can cost, beside the time the disk itself takes."""


class Settling:
    """A thread that forces one file to the disk once in a while, as long as there is something new in it.

    Forced line by line, a run would wait for the disk at each result: 0.2 to 2 ms each on an SSD, more than all other
    work on a case together. The file belongs to the caller, who stops this before closing it.
    """

    def __init__(
        self, file: IO[bytes], *, soon_s: float = SOON_S, force: Callable[[int], object] | None = None
    ) -> None:
        """force: what brings a file, by its descriptor, to the disk."""
        self._number = file.fileno()
        self._soon_s = soon_s
        self._force = force or to_disk
        self._thread: threading.Thread | None = None
        self._is_new = False
        self._ended = threading.Event()
        self._failed: OSError | None = None

    def written(self) -> None:
        """Something was written. Raises the OSError of an earlier forcing: what it was about may be lost."""
        if self._failed is not None:
            raise self._failed
        self._is_new = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._settle, name="evalgate-journal", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Returns once the thread no longer touches the file; forces nothing."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _settle(self) -> None:
        while not self._ended.wait(self._soon_s):
            if self._is_new:
                self._is_new = False  # before forcing: what is written meanwhile is for the next time
                try:
                    self._force(self._number)
                except OSError as error:
                    self._failed = error
                    return


def to_disk(number: int) -> None:
    """Forces a file, by its descriptor, to the disk. Where its file system knows no such thing, nothing is forced.

    Raises OSError where the disk refuses.
    """
    try:
        if hasattr(os, "fdatasync"):
            os.fdatasync(number)
        else:  # macOS, Windows
            os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
