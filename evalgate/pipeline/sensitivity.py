"""What a gate could see: the smallest drop of each category that it would find four times out of five.

Worked out when a run is recorded and kept with it, since it holds for whatever is compared with that run next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from evalgate.gate import reach
from evalgate.pipeline.staged import Against
from evalgate.records import Missing, Run


def seen_from(run: Run, against: Against, *, epochs: int | None) -> Mapping[str, float]:
    """The detectable drops of whatever is compared with this run next, pooled with the baseline's of its version.

    epochs: repeats of such a candidate, fixed beforehand; None: step by step. A run that could be no baseline has none.
    """
    if run.selection is not None or run.stopped is not None:
        return {}
    return reach.detectable((run, *_of_its_version(run, against)), against.rules, epochs=epochs)


def with_detectable(run: Run, against: Against) -> Against:
    """The same with the baseline's detectable drops, worked out where nobody has."""
    baseline = against.baseline
    if isinstance(baseline, Missing) or baseline.detectable:
        return against
    epochs = None if run.steps else run.epochs
    found = reach.detectable(baseline.runs, against.rules, epochs=epochs)
    return replace(against, baseline=replace(baseline, detectable=found))


def _of_its_version(run: Run, against: Against) -> tuple[Run, ...]:
    baseline = against.baseline
    if isinstance(baseline, Missing) or run.version.id is None:
        return ()
    same = [other for other in baseline.runs if other.version.id == run.version.id]
    return tuple(same[: against.rules.baseline_runs - 1])
