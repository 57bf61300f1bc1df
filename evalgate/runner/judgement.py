"""Which answer is being judged, known to whatever is called meanwhile. Knows no judge and no cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from evalgate.records import Json


@dataclass(slots=True)
class Judgement:
    """The judgement under way: for which answer, and how often the same was asked within it."""

    case_id: str
    epoch: int
    asked: Counter[str] = field(default_factory=Counter)
    afterwards: list[Callable[[], object]] = field(default_factory=list)
    """Called once it has come to a score: a judge's reply that could not be read is not to be met again."""

    def sample(self, question: str) -> list[Json]:
        """Tells this question apart from the same one for another case or epoch, and from the one before."""
        self.asked[question] += 1
        return [self.case_id, self.epoch, self.asked[question]]


_UNDER_WAY: ContextVar[Judgement | None] = ContextVar("evalgate_judgement", default=None)


def judgement() -> Judgement | None:
    """The judgement under way in this task; None: its calls are not to be reused."""
    return _UNDER_WAY.get()


@contextmanager
def judging(case_id: str, epoch: int) -> Iterator[None]:
    """Names the answer that is being judged: a judge's calls within may be reused for the same answer."""
    under_way = Judgement(case_id, epoch)
    token = _UNDER_WAY.set(under_way)
    try:
        yield
    finally:
        _UNDER_WAY.reset(token)
    for call in under_way.afterwards:
        call()
