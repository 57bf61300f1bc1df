"""The sentences that every rendering of a verdict shares, as plain text. Knows no format.

What stands here may hold names that others wrote (suite, branch, category): renderers pass it through their escape.
"""

from __future__ import annotations

from evalgate.records import BaselineSummary, Status, Verdict, VerdictName, short
from evalgate.report.model import is_stale, let_through
from evalgate.report.numbers import age, count, money, seconds

TITLES: dict[VerdictName, str] = {
    VerdictName.ERROR: "ERROR",
    VerdictName.NOT_COMPARABLE: "NOT COMPARABLE",
    VerdictName.NOT_EVALUATED: "NOT EVALUATED",
    VerdictName.FAIL: "FAIL",
    VerdictName.NO_BASELINE: "NO BASELINE",
    VerdictName.INCONCLUSIVE: "INCONCLUSIVE",
    VerdictName.PASS: "PASS",
}

STATUS_WORDS: dict[Status | None, str] = {
    Status.PASS: "pass",
    Status.BREACH: "breach",
    Status.INCONCLUSIVE: "inconclusive",
    Status.MISSING: "missing",
    Status.DRIFT: "drift",
    Status.INFO: "info",
    None: "no rule",
}

CASE_LISTS: tuple[tuple[str, str], ...] = (
    ("missing", "to be run or in the baseline, but not answered here"),
    ("removed", "taken out of the eval set"),
    ("added", "new in the eval set"),
    ("changed", "changed in content or scorers, so not compared"),
    ("flaky", "passed and failed in repeats of the same version"),
)
"""The lists of cases that a report shows by id, and what each means; flips and unscored cases have their own parts."""


EMPTY = "(empty)"
"""Stands for a name in which nothing is visible."""

EVERY_CASE_NAME = "* every case"

UNDECIDED = "Nothing was decided. What has a score, for reading only:"
"""Above the table where the verdict is no statement on quality."""


NOTHING_CHANGED = "no case flipped"
"""Where `has_changed` is false."""


def says_nothing_on_quality(verdict: Verdict) -> bool:
    """Whether the rules' outcomes in the table count for nothing."""
    return verdict.verdict in (VerdictName.ERROR, VerdictName.NOT_COMPARABLE, VerdictName.NOT_EVALUATED)


def title(verdict: Verdict) -> str:
    """The verdict's name, and how it leaves: `NO BASELINE, let through (gate.when.no_baseline)`."""
    name = TITLES[verdict.verdict]
    if verdict.verdict is VerdictName.PASS and verdict.exit_code:
        return f"{name}, stopped (gate.when.drift)"
    if let_through(verdict):
        return f"{name}, let through (gate.when.{'stale' if is_stale(verdict) else verdict.verdict.value})"
    return name


def baseline_line(verdict: Verdict) -> str | None:
    """Which runs were compared with: commit, distance, age, how many, and why those; None where the reason says it."""
    baseline = verdict.baseline
    if baseline.kind == "missing":
        return None if baseline.why in verdict.reason else f"No baseline: {baseline.why}"
    which = baseline.ids[0] if baseline.ids else "unnamed"
    place = [f"commit {short(baseline.commit)}"] if baseline.commit else []
    pooled = [f"{len(baseline.ids)} runs pooled"] if len(baseline.ids) > 1 else []
    return f"Baseline: run {which} ({', '.join([*place, *_distance(baseline), *pooled])}): {baseline.why}"


def baseline_facts(verdict: Verdict) -> str:
    """The same in a few words: `baseline c0ffee0000, 3 commits behind, 2 days old`; empty where there is none."""
    baseline = verdict.baseline
    if baseline.kind == "missing":
        return ""
    place = [short(baseline.commit)] if baseline.commit else []
    return f"baseline {', '.join([*place, *_distance(baseline)])}"


def _distance(baseline: BaselineSummary) -> list[str]:
    behind = [f"{count(baseline.behind, 'commit')} behind"] if baseline.behind is not None else []
    return [*behind, f"{age(baseline.age_s)} old" if baseline.age_s is not None else "of unknown age"]


def usage_line(verdict: Verdict) -> str:
    """Calls, tokens, cost and time of the run."""
    usage = verdict.usage
    calls = count(usage.calls, "call")
    if usage.calls_saved:
        calls += f" ({usage.calls_saved:,} saved)"
    tokens = (
        "tokens unknown"
        if usage.tokens_in is None and usage.tokens_out is None
        else f"{_tokens(usage.tokens_in)} tokens in, {_tokens(usage.tokens_out)} out"
    )
    parts = [calls, tokens, f"cost {money(usage.cost_usd)}"]
    if usage.wall_s is not None:
        parts.append(seconds(usage.wall_s))
    return ", ".join(parts)


def run_line(verdict: Verdict) -> str:
    """What was judged: run, suite, version, commit."""
    parts = [f"run {verdict.run_id}"] if verdict.run_id else []
    parts += [f"suite {verdict.suite}"] if verdict.suite and verdict.run_id else []
    parts += [f"version {verdict.run_version}"] if verdict.run_version else []
    parts += [f"commit {short(verdict.run_commit)}"] if verdict.run_commit else []
    return ", ".join(parts)


def _tokens(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"
