"""What a scorer is made of: the protocol of a kind, what it returns, and what a judge is asked through.

Knows the records and nothing of any kind, of files or of networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from evalgate.errors import ScorerError
from evalgate.records import Case, Json, Output


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What a kind says of one output."""

    value: float
    """In [0, 1]."""
    reason: str
    """One short sentence, the same for the same case and output."""


class Lacks(ScorerError):
    """The case does not have what the scorer compares with. Known before any call, by `problem`."""


class Options:
    """Root of every kind's options: what a reader of configuration has to refuse besides wrong types."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "allow_inf_nan": False}


class Kind(Protocol):
    """A family of scorers. Its class is a frozen, keyword-only dataclass whose fields are the options."""

    VERSION: ClassVar[str]
    """`contains/1`; raised whenever the same output with the same options could be judged differently."""

    def faults(self) -> list[str]:
        """What is wrong with the options that their types cannot say, one sentence each."""
        ...

    def problem(self, case: Case) -> str | None:
        """What this case lacks for this scorer, and what to write; None: nothing. Known before any call."""
        ...

    def mark(self, case: Case, output: Output) -> Mark:
        """The mark. Raises ScorerError where the output cannot be judged at all."""
        ...


class JudgeEndpoint(Protocol):
    """The model that a judge asks. Retries, time-outs and limits are its own business."""

    @property
    def identity(self) -> Mapping[str, Json]:
        """Who answers: kind, address, model, parameters; no secret. Part of the scores' version."""
        ...

    async def ask(self, messages: list[dict[str, Json]], response_format: Mapping[str, Json] | None) -> Output:
        """The answer to these messages. Raises CallError."""
        ...


OpenJudge = Callable[[Mapping[str, Json] | None], JudgeEndpoint]
"""From a judge's `endpoint` option (None: the suite's own choice) to the endpoint to ask."""


def lacking(find: Callable[[Case], object], case: Case) -> str | None:
    """Why `find` cannot give what a scorer needs from this case; None: it can."""
    try:
        find(case)
    except Lacks as lack:
        return str(lack)
    return None
