"""Limits: plain ceilings on the run's latency, cost, tokens and error rate, or on their rise against the baseline."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace

from evalgate.gate import sentences
from evalgate.gate.pool import mean
from evalgate.gate.rules import Limit, Rules
from evalgate.gate.sides import Sides
from evalgate.records import EVERY_CASE, Finding, Run, Status
from evalgate.stats.interval import percentile


def findings(sides: Sides, rules: Rules) -> list[Finding]:
    """One finding a limit; `missing` where the run (or the baseline, for a rise) does not tell the metric."""
    found = [] if rules.error_rate is None else [error_rate(sides, rules.error_rate)]
    if not rules.limits:
        return found
    after = _Measured([sides.candidate])
    before = _Measured(sides.baseline_runs)
    for limit in rules.limits:
        finding = _judge(limit, before.metric(limit.metric), after.metric(limit.metric), len(sides.cases))
        if after.copies:
            sentence = sentences.limit_beside_copies(finding.sentence, limit.metric, after.copies, after.asked)
            finding = replace(finding, sentence=sentence)
        found.append(finding)
    return found


def error_rate(sides: Sides, ceiling: float) -> Finding:
    """The share of the planned results that have no score."""
    planned = max(sides.answers.total + len(sides.lost), 1)
    unscored = sides.answers.failed + len(sides.lost)
    rate = unscored / planned
    return Finding(
        rule="error_rate",
        metric="error_rate",
        category=EVERY_CASE,
        status=Status.BREACH if rate > ceiling + 1e-12 else Status.PASS,
        sentence=sentences.error_rate(unscored, planned, ceiling, lost=len(sides.lost)),
        n=len(sides.cases),
        after=rate,
        limit=ceiling,
    )


class _Measured:
    """What the endpoint's answers in these runs say of themselves: NaN where one does not tell. Answers from a cache
    are left out: they have no latency and no cost."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._latencies, self._costs, self._tokens = array("d"), array("d"), array("d")
        self.copies = 0
        """Answers from a cache."""
        for output in (result.output for run in runs for result in run.results if result.output is not None):
            if output.cached:
                self.copies += 1
                continue
            self._latencies.append(_known(output.latency_s))
            self._costs.append(_known(output.cost_usd))
            self._tokens.append(_known(output.tokens_in) + _known(output.tokens_out))

    @property
    def asked(self) -> int:
        """Answers that the endpoint gave."""
        return len(self._latencies)

    def metric(self, name: str) -> float | None:
        """The metric over all of them; None where any of them does not tell, or there is none."""
        if name.startswith("latency_p"):
            percent = float(name.removeprefix("latency_p").removesuffix("_s"))
            latencies = _complete(self._latencies)
            return percentile(latencies, percent) if latencies else None
        values = _complete(self._costs if name == "cost_per_call_usd" else self._tokens)
        return mean(values) if values else None


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _complete(values: Sequence[float]) -> Sequence[float]:
    """The values, if all are known: the mean of those that happen to be known could be of the cheap half."""
    return () if any(map(math.isnan, values)) else values


def _judge(limit: Limit, before: float | None, after: float | None, count: int) -> Finding:
    ceilings = [] if limit.ceiling is None else [limit.ceiling]
    if limit.max_rise is not None and before is not None:
        ceilings.append(before * (1 + limit.max_rise))
    unknown_before = limit.max_rise is not None and before is None
    ceiling = min(ceilings) if ceilings else None
    if after is not None and ceiling is not None and after > ceiling + 1e-12:
        status = Status.BREACH
    elif after is None:
        status = Status.MISSING
    else:
        status = Status.INCONCLUSIVE if unknown_before else Status.PASS
    return Finding(
        rule=limit.metric,
        metric=limit.metric,
        category=EVERY_CASE,
        status=status,
        sentence=sentences.limit(limit.metric, before, after, ceiling, unknown_before=unknown_before),
        n=count,
        before=before,
        after=after,
        delta=None if before is None or after is None else after - before,
        limit=ceiling,
    )
