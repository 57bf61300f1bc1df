"""Workers on Ray (extra `ray`): a batch is a task, and what becomes of it is streamed back while it runs.

Ray is asked for nothing but processes: a task that dies is not tried again by it, since only whoever collects the
results knows which of its calls are done. Without `RAY_ADDRESS` a cluster of this machine alone is started: on the
loopback, without dashboard and without reports to its makers, its files in a folder that goes with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import queue
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from evalgate.errors import EvalgateError, Fault, InputError, install_extra
from evalgate.runner.spread import Batch, Died, Ended, Told

CHUNK_S = 0.05
"""How long what a worker has to tell may wait for more to go with it."""

MOST_AT_ONCE = 128

CONNECT_S = 5.0

ADDRESS = "RAY_ADDRESS"

# Set before Ray is imported. The second makes it keep to 127.0.0.1 on every system, as it does on some.
_LOCAL = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
_ALWAYS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


def check_installed() -> None:
    """Raises InputError where there is no Ray, without importing it."""
    if importlib.util.find_spec("ray") is None:
        hint = install_extra("ray")
        raise InputError(Fault(where="--engine ray", what="Ray is not installed here", hint=hint))


def check_address(address: str) -> None:
    """Raises InputError where nobody listens at a cluster's address: Ray itself would look for minutes."""
    if "://" in address:
        hint = "Start evalgate on a node of the cluster, or by `ray job submit`."
        raise InputError(Fault(where=ADDRESS, what=f"{address} is for Ray's client, which streams nothing", hint=hint))
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return  # `auto`, `local`: Ray finds out
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except (OSError, OverflowError) as error:
        hint = "Look whether the cluster is up, or unset the variable: then one is started here."
        raise InputError(Fault(where=ADDRESS, what=f"nobody answers at {address}: {error}", hint=hint)) from error


class Job(Protocol):
    """What a worker does with a batch. Pickled: it holds no secret."""

    def run(self, batch: Batch, tell: Callable[[Told], object]) -> None:
        """Runs the batch to its end. Raises EvalgateError."""


class OnRay:
    """Workers of a Ray cluster. A context manager: inside, the cluster is connected; a cluster of our own is up."""

    def __init__(self, job: Job, *, count: int | None, environ: Mapping[str, str]) -> None:
        """count: how many batches at the same time; None: one for each processor of the cluster."""
        self._job = job
        self._count = count
        self._address = environ.get(ADDRESS) or None
        self._folder: Path | None = None
        self._is_ours = False

    @property
    def count(self) -> int:
        assert self._count is not None, "known once the cluster is there"
        return self._count

    def __enter__(self) -> OnRay:
        ray = self._ray()
        if not ray.is_initialized():
            self._is_ours = True
            options: dict[str, Any] = {"address": self._address} if self._address else self._own_cluster()
            try:
                ray.init(log_to_driver=False, logging_level="ERROR", **options)
            except Exception as error:  # Ray raises whatever it likes when it does not come up
                self._leave()
                where = f"{ADDRESS}={self._address}" if self._address else "--engine ray"
                hint = "Look whether the cluster is up." if self._address else "Is there room in /tmp and /dev/shm?"
                raise InputError(Fault(where=where, what=f"Ray does not start: {error}", hint=hint)) from error
        if self._count is None:
            self._count = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._task = ray.remote(num_returns="streaming", max_retries=0, num_cpus=1)(_work)
        self._job_ref = ray.put(self._job)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _ray(self) -> Any:
        check_installed()
        for name, value in (_ALWAYS if self._address else {**_ALWAYS, **_LOCAL}).items():
            os.environ.setdefault(name, value)
        import ray

        return ray

    def _own_cluster(self) -> dict[str, Any]:
        # Short: the names of its sockets are in it, and those may have some hundred characters.
        short = "/tmp" if Path("/tmp").is_dir() else None
        self._folder = Path(tempfile.mkdtemp(prefix="evalgate-", dir=short))
        if self._count is None:
            self._count = os.cpu_count() or 1
        return {
            "num_cpus": self._count,
            "include_dashboard": False,
            "object_store_memory": 200 * 2**20,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": str(self._folder),
        }

    def _leave(self) -> None:
        if self._is_ours:
            import ray

            ray.shutdown()
            self._is_ours = False
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def run(self, batch: Batch) -> AsyncGenerator[Sequence[Told]]:
        """See `spread.Workers`."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        stream = self._task.remote(self._job_ref, batch)
        is_over = False
        try:
            async for ref in stream:
                told = await ref
                if isinstance(told, EvalgateError):
                    raise told
                yield told
            is_over = True
        except RayTaskError as error:
            is_over = True
            if isinstance(error.cause, ImportError):
                hint = "Install the same evalgate, and what your scorers and endpoint import, on every node."
                raise InputError(Fault(where="Ray worker", what=str(error.cause), hint=hint)) from error
            raise  # our own fault: its text has the worker's traceback
        except RayError as error:
            is_over = True
            raise Died(str(error).splitlines()[0]) from error
        finally:
            if not is_over:
                ray.cancel(stream, force=True)


def _work(job: Job, batch: Batch) -> Iterator[Sequence[Told] | EvalgateError]:
    """The task: runs beside the one that tells, so that results leave while others are being made."""
    told: queue.SimpleQueue[Told | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            # A worker's stdout goes to a file of the cluster; what a user's own code prints there stays there.
            with contextlib.redirect_stdout(sys.stderr):
                job.run(batch, told.put)
        except BaseException as error:  # noqa: BLE001 -- it is raised again, on the other side
            told.put(error)

    threading.Thread(target=run, daemon=True).start()
    while True:
        some = _some(told)
        last = some[-1]
        if isinstance(last, EvalgateError):
            yield [one for one in some[:-1] if not isinstance(one, BaseException)]
            yield last
            return
        if isinstance(last, BaseException):
            raise last
        yield [one for one in some if not isinstance(one, BaseException)]
        if isinstance(last, Ended):
            return


def _some(told: queue.SimpleQueue[Told | BaseException]) -> list[Told | BaseException]:
    """What there is to tell now: at least one, and what comes within a moment. An end comes last."""
    some = [told.get()]
    ends_at = time.monotonic() + CHUNK_S
    with contextlib.suppress(queue.Empty):
        while len(some) < MOST_AT_ONCE and not isinstance(some[-1], (Ended, BaseException)):
            some.append(told.get(timeout=max(0.0, ends_at - time.monotonic())))
    return some
