"""What an endpoint is, and what every kind's settings can say about themselves.

Knows nothing of scoring, of retries or of the run around a call: those are the runner's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from evalgate.records import Json, Output, Remaining, Request


class Endpoint(Protocol):
    """What is under test, opened: request in, output out."""

    async def call(self, request: Request) -> Output:
        """The answer to one request, with its latency in seconds.

        Raises CallError for whatever goes wrong with this one call. Cancelling it (a time-out is the runner's business)
        closes the connection or kills the process; a sync Python function cannot be stopped, its answer is dropped.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What settings are given to open themselves."""

    base_dir: Path
    """Folder of the configuration file: paths are relative to it."""
    environ: Mapping[str, str] = field(repr=False)
    """The environment: keys, proxies and certificates are read from here."""
    concurrency: int
    """How many calls will be made at the same time, at most."""
    timeout_s: float
    """How long the runner lets one call take."""
    told: Callable[[Sequence[Remaining]], object] | None = field(default=None, repr=False)
    """Is told what an answer says of the provider's limits, as soon as it says so."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every kind has: the keys under `endpoint` beside `kind`. A kind overrides what differs."""

    kind: ClassVar[str]

    version: str | None = None
    """Names what is served (an index's date, a build): equal versions answer alike, so that answers may be reused."""
    params: Mapping[str, Json] = field(default_factory=dict)
    """Parameters of every request: temperature, max_tokens, …"""

    def problems(self) -> list[tuple[str, str, str]]:
        """Faults that types cannot express: (key, what, what to write instead), all of them."""
        return []

    def missing_credentials(self, environ: Mapping[str, str]) -> str | None:
        """A sentence where a key is named that `environ` does not have; None: nothing is missing."""
        return None

    def secrets(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Values that must never be shown."""
        return ()

    def identity(self, base_dir: Path) -> dict[str, Json]:
        """What determines the answers, for the fingerprint of the version. Never a secret."""
        identity: dict[str, Json] = {"kind": self.kind, "params": dict(self.params)}
        return identity | {"version": self.version} if self.version else identity

    def provider(self, environ: Mapping[str, str]) -> str | None:
        """Names whose limits hold for the calls; endpoints with one name share them. None: nobody else's."""
        return None

    def determinants(self, base_dir: Path) -> dict[str, Json]:
        """All that determines the answer to a request beside the request itself, as far as it is written. Never a
        secret: a rotated key asks the same thing."""
        return self.identity(base_dir)

    def open(self, opening: Opening) -> AbstractAsyncContextManager[Endpoint]:
        """The endpoint, ready to be called. Raises InputError for what only opening can find."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it is opened")
