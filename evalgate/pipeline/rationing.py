"""Endpoints whose every attempt is allowed first: what `run.max_calls` bounds, and what judges use."""

from __future__ import annotations

from evalgate.endpoints import Endpoint
from evalgate.records import Output, Request
from evalgate.runner.allowance import Allowance
from evalgate.runner.journal import Journal


class Rationed:
    """An endpoint that is asked only while the run may still send requests. Raises Halted when it may not."""

    def __init__(self, endpoint: Endpoint, allowance: Allowance) -> None:
        self._endpoint, self._allowance = endpoint, allowance

    async def call(self, request: Request) -> Output:
        self._allowance.take()
        return await self._endpoint.call(request)


class Charged:
    """A judge's endpoint: rationed like any other, and what each attempt used is counted and kept in the journal."""

    def __init__(self, endpoint: Endpoint, allowance: Allowance, journal: Journal) -> None:
        self._endpoint, self._allowance, self._journal = endpoint, allowance, journal

    async def call(self, request: Request) -> Output:
        self._allowance.take()
        output: Output | None = None
        try:
            output = await self._endpoint.call(request)
        finally:  # an attempt that failed or was cut short was made
            self._journal.used.judged(output)
            self._journal.write_judged(output)
        return output
