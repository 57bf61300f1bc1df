"""Answers given again to the same question: the key that stands for a question, and an endpoint that remembers.

The key is made of everything that determines an answer, and of the case and the epoch: two cases, or two repeats of one
case, that ask the same are two samples and never share an answer. What judges a case is no part of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from evalgate.codec import output_from_json, output_to_json
from evalgate.records import Json, Output, Request
from evalgate.runner.ports import Endpoint

if TYPE_CHECKING:
    from evalgate.runner.cache_file import CacheFile

KEYS = "evalgate.calls/1"
"""Raised whenever the same key could stand for another question, or an answer is written in another way."""

_encode = json.JSONEncoder(separators=(",", ":")).encode
# What is no JSON is told apart by its type too: a date is not its text. The order of keys counts: a model reads it.
_encode_any = json.JSONEncoder(separators=(",", ":"), default=lambda value: [type(value).__name__, str(value)]).encode


class Remembering:
    """An endpoint whose answers are kept, and known again when the same is asked."""

    def __init__(
        self, endpoint: Endpoint, file: CacheFile, identity: Json, *, sees_case: bool, reads: bool = True
    ) -> None:
        """identity: who answers, and all that determines how beside the request; no secret. sees_case: the endpoint is
        given more of a case than its messages. reads: whether earlier answers are given; new ones are kept anyhow."""
        self._endpoint, self._file, self._sees_case, self._reads = endpoint, file, sees_case, reads
        self._begun = sha256(_encode_any([KEYS, identity]).encode("ascii"))

    def key(self, request: Request, sample: Json = None) -> bytes | None:
        """Names the question; None: it has no name, and its answer is not kept.

        sample: tells apart what is asked several times in one epoch.
        """
        case = request.case
        asked = [case.id, request.epoch, sample, request.messages, request.params]
        if self._sees_case:
            asked += [request.prompt, case.input, case.context, case.categories, case.tags, case.metadata]
        digest = self._begun.copy()
        try:
            digest.update(_encode_any(asked).encode("ascii"))
        except (TypeError, ValueError, RecursionError):  # a column may hold what has no JSON at all
            return None
        return digest.digest()

    def recall(self, request: Request, sample: Json = None) -> Output | None:
        """The earlier answer to the same question, without its latency and its cost; None: it has to be asked."""
        key = self.key(request, sample) if self._reads else None
        text = None if key is None else self._file.get(key)
        if text is None:
            return None
        try:
            return replace(output_from_json(json.loads(text)), cached=True)
        except (ValueError, TypeError, AttributeError):
            return None

    async def call(self, request: Request) -> Output:
        """The endpoint's own answer, which is kept. Raises what the endpoint raises; a failure is not kept."""
        output = await self._endpoint.call(request)
        self.keep(request, output)
        return output

    def keep(self, request: Request, output: Output, sample: Json = None) -> None:
        """Keeps an answer, where it can be given again as it was."""
        key = self.key(request, sample)
        if key is None:
            return
        row = output_to_json(replace(output, latency_s=None, cost_usd=None))
        try:
            text = _encode(row)
            # Code may answer with what JSON changes (a tuple, a NaN): given again it would be another answer.
            is_faithful = not self._sees_case or json.loads(text) == row
        except (TypeError, ValueError):
            return
        if is_faithful:
            self._file.put(key, text)
