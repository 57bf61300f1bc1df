"""What a run would be, before it is made: cases, calls, and whether the gate could say anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from evalgate.pipeline.load import Suite

SMALL = 9
"""Always-passing cases that must break before a category can fail, with one baseline run and a dozen categories."""


def describe(suite: Suite, environ: Mapping[str, str]) -> list[str]:
    """Lines for people. Raises nothing: what is wrong with a suite was said when it was loaded."""
    config, epochs = suite.config, suite.config.run.epochs
    sizes = Counter(category for case in suite.selected for category in case.categories)
    calls = len(suite.selected) * epochs
    lines = [
        f"{config.path}: suite {config.suite}, endpoint {config.endpoint_kind}",
        f"{len(suite.selected):,} cases in {len(sizes)} categories, {epochs} each: {calls:,} calls, "
        f"and up to {config.run.max_retries} retries of one that fails",
    ]
    lines += [f"  {name}: {count:,}" for name, count in sorted(sizes.items())]
    judged = sum(any(suite.evalset.scorers[key].name == "judge" for key in case.scorers) for case in suite.selected)
    if judged:
        lines.append(f"{judged * epochs:,} further calls to judges")
    budget = config.run.budget_usd
    lines.append(
        "cost: unknown before the first call; "
        + ("no budget is set" if budget is None else f"the run stops at ${budget:.2f}")
    )
    small = sorted(name for name, count in sizes.items() if count < SMALL)
    if small:
        lines.append(
            f"note: with one baseline run these can hardly fail on their own, having fewer than {SMALL} cases: "
            f"{', '.join(small)}"
        )
    critical = sum(case.critical for case in suite.selected)
    if critical or any(rule.critical for rule in config.rules.categories.values()):
        lines.append("note: `critical` is recorded but not yet enforced")
    if any(case.cluster for case in suite.selected):
        lines.append("note: `cluster` is recorded but not yet used: its cases are judged one by one")
    lacking = config.endpoint.missing_credentials(environ)
    if lacking is not None:
        lines.append(f"note: {lacking}")
    return [*lines, "valid"]
