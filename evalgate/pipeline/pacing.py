"""One pace for each provider: endpoint, judges and baseline share it where they ask one server with one key."""

from __future__ import annotations

from collections.abc import Mapping

from evalgate.endpoints import Endpoint, Settings
from evalgate.runner.pace import Pace
from evalgate.runner.paced import Paced


class Paces:
    """The paces of a session, each made when its provider is first asked."""

    def __init__(self, concurrency: int, environ: Mapping[str, str]) -> None:
        self._concurrency = concurrency
        self._environ = environ
        self._paces: dict[str, Pace] = {}

    def paced(self, endpoint: Endpoint, settings: Settings, *, first: bool = False) -> Paced:
        """The opened endpoint, called as fast as its provider bears. first: before others of that provider."""
        provider = settings.provider(self._environ)
        if provider is None:
            return Paced(endpoint, Pace(self._concurrency), first=first)
        pace = self._paces.setdefault(provider, Pace(self._concurrency))
        return Paced(endpoint, pace, first=first)
