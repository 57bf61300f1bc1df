"""One real call of a suite's first case, neither judged nor kept."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from evalgate.endpoints import Opening
from evalgate.errors import CallError, CallFault
from evalgate.pipeline.load import Suite
from evalgate.pipeline.session import discreet
from evalgate.records import Output


def first_answer(suite: Suite, environ: Mapping[str, str]) -> tuple[str, Output]:
    """The first case's id and what the endpoint answers to it. Raises CallError, InputError."""
    config = suite.config
    case = suite.selected[0]
    request = suite.renderer()(case, 1)
    opening = Opening(base_dir=config.base_dir, environ=environ, concurrency=1, timeout_s=config.run.timeout_s)

    async def call() -> Output:
        async with config.endpoint.open(opening) as endpoint:
            try:
                return await asyncio.wait_for(
                    discreet(endpoint, config.endpoint.secrets(environ)).call(request), config.run.timeout_s
                )
            except TimeoutError:
                raise CallError(CallFault.TIMEOUT, f"no answer within {config.run.timeout_s:g} s") from None

    return case.id, asyncio.run(call())
