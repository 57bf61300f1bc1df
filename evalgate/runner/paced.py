"""An endpoint whose calls wait for their turn at its provider."""

from __future__ import annotations

import asyncio

from evalgate.errors import CallError, CallFault
from evalgate.records import Output, Request
from evalgate.runner.calls import Halted, in_turn, is_again
from evalgate.runner.pace import Pace
from evalgate.runner.ports import Endpoint

_FAILURES = frozenset({CallFault.SERVER, CallFault.TIMEOUT, CallFault.CONNECTION})


class Paced:
    """Makes the calls of an endpoint within a pace, which other endpoints of the same provider may share."""

    def __init__(self, endpoint: Endpoint, pace: Pace, *, first: bool = False) -> None:
        """first: its calls go before others that wait, as further attempts do: what they are for is paid already."""
        self._endpoint = endpoint
        self._pace = pace
        self._first = first

    async def call(self, request: Request) -> Output:
        pace = self._pace
        if not pace.take():
            await in_turn(pace.queue(first=self._first or is_again()))
        entered = pace.round
        try:
            output = await self._endpoint.call(request)
        except CallError as error:
            if error.fault is CallFault.RATE_LIMITED:
                pace.refused(entered, error.retry_after_s)
            elif error.fault in _FAILURES:
                pace.failed(entered, timed_out=error.fault is CallFault.TIMEOUT)
            else:  # an answer, if no good one
                pace.answered(entered)
            raise
        except Halted:
            pace.leave()
            raise
        except asyncio.CancelledError:  # by a time-out, or at the end of the run, when it does not matter
            pace.failed(entered, timed_out=True)
            raise
        except BaseException:  # the endpoint's own code broke
            pace.answered(entered)
            raise
        pace.answered(entered, _tokens(output), output.latency_s)
        return output


def _tokens(output: Output) -> int | None:
    if output.tokens_in is None and output.tokens_out is None:
        return None
    return (output.tokens_in or 0) + (output.tokens_out or 0)
