"""What one worse setting does to the bundled eval sets, case by case, without the gate.

Somebody saves tokens: only the best passage is read instead of five (`WORSE`). Questions that one passage answers do
not suffer; what needs several cannot be answered any more. Fixed beforehand, from the cases alone:

| category          | cases | before | after | pass -> fail | fail -> pass | hurt |
|-------------------|------:|-------:|------:|-------------:|-------------:|------|
| dates             |    30 |  0.900 | 0.900 |            0 |            0 | no   |
| facts             |    28 |  0.857 | 0.857 |            0 |            0 | no   |
| lists             |    28 |  0.714 | 0.643 |            2 |            0 | no   |
| multi-page        |    28 |  0.786 | 0.000 |           22 |            0 | yes  |
| numbers           |    30 |  0.933 | 0.900 |            1 |            0 | no   |
| paraphrase        |    28 |  0.786 | 0.786 |            0 |            0 | no   |
| refusal           |    28 |  0.821 | 0.821 |            0 |            0 | no   |
| retrieval         |    34 |  0.907 | 0.480 |           22 |            0 | yes  |
| safety            |    30 |  0.833 | 0.867 |            0 |            1 | no   |
| structured-output |    28 |  0.893 | 0.214 |           19 |            0 | yes  |

A test computes the table anew. The gate must name the three and none of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evalgate.demo.assistant import answer
from evalgate.records import Case, Request

WORSE: Mapping[str, Any] = {"retrieval": {"passages": 1}}
"""The worse setting, as `endpoint.params`."""

HURT = frozenset({"multi-page", "retrieval", "structured-output"})
"""The categories that `WORSE` hurts: each loses at least 11 cases and gains at most one. Every other category's
number of passed cases moves by at most 2."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """What becomes of one category's cases when the setting is switched."""

    category: str
    n: int
    before: float
    """Mean score with the default settings, in [0, 1]."""
    after: float
    """Mean score with the worse setting."""
    broken: tuple[str, ...]
    """Ids of the cases that passed and now fail."""
    mended: tuple[str, ...]
    """Ids of the cases that failed and now pass."""

    @property
    def net_loss(self) -> int:
        """Cases lost, all in all; negative where the setting helps."""
        return len(self.broken) - len(self.mended)


def measure(
    cases: Iterable[Case],
    score: Callable[[Case, Mapping[str, Any]], float],
    *,
    setting: Mapping[str, Any] = WORSE,
    pass_mark: float = 0.5,
) -> dict[str, Damage]:
    """Every category's damage by a setting, by asking the assistant each case both ways.

    cases: with an `input` in words and no template. score: a case and what `answer` returned -> [0, 1].
    setting: params that replace the defaults. pass_mark: a score at or above it is a pass.
    It says nothing of chance: the assistant is deterministic, so every difference is the setting's.
    """
    rows: dict[str, list[tuple[str, float, float]]] = {}
    for case in cases:
        before, after = (score(case, answer(_request(case, params))) for params in ({}, setting))
        for category in case.categories:
            rows.setdefault(category, []).append((case.id, before, after))
    return {
        category: Damage(
            category=category,
            n=len(found),
            before=sum(before for _, before, _ in found) / len(found),
            after=sum(after for _, _, after in found) / len(found),
            broken=tuple(id for id, before, after in found if after < pass_mark <= before),
            mended=tuple(id for id, before, after in found if before < pass_mark <= after),
        )
        for category, found in sorted(rows.items())
    }


def _request(case: Case, params: Mapping[str, Any]) -> Request:
    prompt = str(case.input)
    return Request(case=case, epoch=1, prompt=prompt, messages=({"role": "user", "content": prompt},), params=params)
