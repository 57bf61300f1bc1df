"""Whether a verdict has anything to tell that was not so before: what a comment is folded, or left out, by. Pure."""

from __future__ import annotations

from evalgate.records import Status, Verdict, VerdictName

_NEWS = (Status.BREACH, Status.MISSING, Status.DRIFT)
_MOVED = ("regressed", "improved", "added", "removed", "missing", "unscored", "changed")
"""Lists of cases of which a single one is news. A flaky case is none: it was so before."""


def has_changed(verdict: Verdict) -> bool:
    """False only where the gate passed and every case came out as in the baseline.

    Nothing changed: the verdict is `pass` with exit code 0; no rule, gating or not, is breached or missing or found
    drift; no rule that could not be decided saw a fall; no case flipped, was added, removed or changed, or is without a
    score; and nothing about how it is judged was altered. A flip counts although it may lie within the noise.
    """
    if verdict.verdict is not VerdictName.PASS or verdict.exit_code != 0 or verdict.drift:
        return True
    if verdict.changes or any(getattr(verdict.cases, name) for name in _MOVED):
        return True
    return any(
        finding.status in _NEWS or (finding.status is Status.INCONCLUSIVE and (finding.delta or 0.0) < 0)
        for finding in verdict.findings
    )
