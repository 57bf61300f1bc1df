"""Limits: plain ceilings on the run's latency, cost, tokens and error rate, or on their rise against the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from evalgate.gate import sentences
from evalgate.gate.pool import mean
from evalgate.gate.rules import Limit, Rules
from evalgate.gate.sides import Sides, outputs
from evalgate.records import EVERY_CASE, Finding, Output, Scored, Status
from evalgate.stats.interval import percentile


def findings(sides: Sides, rules: Rules) -> list[Finding]:
    """One finding a limit; `missing` where the run (or the baseline, for a rise) does not tell the metric."""
    found = [] if rules.error_rate is None else [error_rate(sides, rules.error_rate)]
    if not rules.limits:
        return found
    after = outputs(sides.candidate)
    before = [output for run in sides.baseline_runs for output in outputs(run)]
    copies = sum([r.output is not None and r.output.cached for r in sides.candidate.results])
    for limit in rules.limits:
        finding = _judge(limit, measure(limit.metric, before), measure(limit.metric, after), len(sides.refs))
        if copies:
            sentence = sentences.limit_beside_copies(finding.sentence, limit.metric, copies, len(after))
            finding = replace(finding, sentence=sentence)
        found.append(finding)
    return found


def error_rate(sides: Sides, ceiling: float) -> Finding:
    """The share of the planned results that have no score."""
    results = sides.candidate.results
    planned = max(len(results) + len(sides.lost), 1)
    unscored = sum([not isinstance(result, Scored) for result in results]) + len(sides.lost)
    rate = unscored / planned
    return Finding(
        rule="error_rate",
        metric="error_rate",
        category=EVERY_CASE,
        status=Status.BREACH if rate > ceiling + 1e-12 else Status.PASS,
        sentence=sentences.error_rate(unscored, planned, ceiling, lost=len(sides.lost)),
        n=len(sides.refs),
        after=rate,
        limit=ceiling,
    )


def measure(metric: str, found: Sequence[Output]) -> float | None:
    """The metric over these outputs; None where any of them does not tell, or there is none."""
    if metric.startswith("latency_p"):
        percent = float(metric.removeprefix("latency_p").removesuffix("_s"))
        latencies = _complete([output.latency_s for output in found])
        return percentile(latencies, percent) if latencies else None
    if metric == "cost_per_call_usd":
        costs = _complete([output.cost_usd for output in found])
        return mean(sorted(costs)) if costs else None
    tokens_in = _complete([output.tokens_in for output in found])
    tokens_out = _complete([output.tokens_out for output in found])
    if not tokens_in or not tokens_out:
        return None
    return (math.fsum(tokens_in) + math.fsum(tokens_out)) / len(found)


def _complete(values: Sequence[float | int | None]) -> list[float]:
    """The values, if all are known: the mean of those that happen to be known could be of the cheap half."""
    known = [float(value) for value in values if value is not None]
    return known if len(known) == len(values) else []


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
