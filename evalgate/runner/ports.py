"""What the runner is given: the shapes that an endpoint and a scorer must have. Knows no kind of either."""

from __future__ import annotations

from typing import Protocol

from evalgate.records import Case, Output, Request, Score


class Endpoint(Protocol):
    """What is under test."""

    async def call(self, request: Request) -> Output:
        """The answer to one request; one attempt, no retry of its own. Raises CallError."""


class Scorer(Protocol):
    """A judge of outputs. `score_now` is called where neither `is_async` nor `is_beside` is true, else `score`."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def is_async(self) -> bool: ...
    @property
    def is_beside(self) -> bool:
        """Whether it judges in another process, which bounds its time itself. May become true during a run."""

    def score_now(self, case: Case, output: Output) -> Score:
        """The judgement, without waiting for anything. Raises ScorerError."""

    async def score(self, case: Case, output: Output) -> Score:
        """The judgement, after calls of its own. Raises ScorerError, or CallError for a fault worth another try."""
