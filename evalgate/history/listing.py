"""Light rows of the history: what lists, trends and the choice of a baseline read instead of whole runs.

Knows neither the database nor the gate; importing it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from evalgate.records import DriftEvent, Json

BLESSED = "blessed"
"""As an anchor's name: whatever run of the suite was blessed last."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRow:
    """One decision about a run, as it was written down."""

    run_id: str
    decided: datetime
    """UTC."""
    verdict: str
    exit_code: int
    body: Mapping[str, Json]
    """The verdict as `evalgate.verdict/1`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """What a store keeps beside a run and a run's file takes along."""

    verdicts: tuple[VerdictRow, ...] = ()
    """In the order in which they were decided; the last one counts."""
    drifts: tuple[DriftEvent, ...] = ()
    detectable: Mapping[str, float] = field(default_factory=dict)
    """By category, the drop that would be seen four times out of five with this run as baseline."""


NOTHING = Beside()


@dataclass(frozen=True, kw_only=True, slots=True)
class Blessing:
    """Somebody's word that a run may serve as baseline."""

    run_id: str
    created: datetime
    """UTC."""
    author: str
    reason: str
    name: str | None = None
    """What `gate.anchor` may call it; None: only by the run's id."""
    expires: date | None = None
    """The last day on which it holds, UTC; None: it holds for good."""

    def holds(self, today: date) -> bool:
        """Whether it has not expired. today: in UTC."""
        return self.expires is None or today <= self.expires


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseMark:
    """What has to agree for two runs' results of a case to be compared."""

    id: str
    content: str | None
    scorers: str | None
