"""One pace for each provider: endpoint, judges and baseline share it where they ask one server with one key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from evalgate.config.settings import RunSettings
from evalgate.endpoints import Settings
from evalgate.runner.pace import Pace


class Paces:
    """The paces of a session, each made when its provider is first asked."""

    def __init__(self, settings: RunSettings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._environ = environ
        self._paces: dict[str, Pace] = {}

    def of(self, settings: Settings) -> Pace:
        """The pace of an endpoint's calls; one for all that ask the same provider."""
        provider = settings.provider(self._environ)
        if provider is None:
            return self._new()
        if provider not in self._paces:
            self._paces[provider] = self._new()
        return self._paces[provider]

    def _new(self) -> Pace:
        return Pace(
            self._settings.concurrency,
            requests_per_minute=self._settings.requests_per_minute,
            tokens_per_minute=self._settings.tokens_per_minute,
        )


def share_of(whole: RunSettings, concurrency: int) -> RunSettings:
    """The settings of a worker that may have `concurrency` of all calls in flight: so much of a minute is its own."""
    share = min(1.0, concurrency / whole.concurrency)

    def of(a_minute: float | None) -> float | None:
        return None if a_minute is None else max(1.0, a_minute * share)

    return replace(
        whole,
        concurrency=concurrency,
        requests_per_minute=of(whole.requests_per_minute),
        tokens_per_minute=of(whole.tokens_per_minute),
    )
