"""Light rows of the history: what lists, trends and the choice of a baseline read instead of whole runs.

Knows neither the database nor the gate; importing it costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from evalgate.records import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRow:
    """One run without its cases and results."""

    id: str
    suite: str
    created: datetime
    """UTC."""
    commit: str | None
    branch: str | None
    version: str | None
    """`Version.id`."""
    selection: str | None
    stopped: str | None
    origin: str
    n_cases: int
    n_results: int
    n_unscored: int
    score: float | None
    """Mean over the cases with a score, in [0, 1]; per case first. None: no case has one."""
    cost_usd: float | None
    verdict: str | None
    """Name of the last verdict; None: never decided."""
    exit_code: int | None
    """Exit code of the last verdict."""
    blessed: bool
    plan: str
    """Names the run's list of cases: runs with the same plan planned exactly the same cases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SummaryRow:
    """One metric of one category of one run."""

    run_id: str
    created: datetime
    """UTC."""
    commit: str | None
    branch: str | None
    category: str
    """`"*"`: every case."""
    metric: str
    """`score`, `error_rate`, `latency_p50_s`, `latency_p95_s`, `cost_per_call_usd` or `tokens_per_call`."""
    value: float
    n: int
    """How many values it is made of: cases for `score`, results for `error_rate`, calls for the others."""


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
class Blessing:
    """Somebody's word that a run may serve as baseline."""

    run_id: str
    created: datetime
    """UTC."""
    author: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseMark:
    """What has to agree for two runs' results of a case to be compared."""

    id: str
    content: str | None
    scorers: str | None
