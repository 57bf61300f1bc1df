"""What a run would be, before it is made: cases, calls, and whether the gate could hold what its rules promise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path

from evalgate.errors import EvalgateError
from evalgate.gate.sentences import named
from evalgate.pipeline.load import Suite
from evalgate.pipeline.promises import Known, broken_promises, needed_by_category
from evalgate.practices.calibration import cost_per_call
from evalgate.records import Missing
from evalgate.report.numbers import money

SQLITE = "sqlite:///"


def describe(suite: Suite, environ: Mapping[str, str], *, now: datetime) -> list[str]:
    """Lines for people. Raises nothing: what is wrong with a suite was said when it was loaded.

    Where the history is a file that is there, it is read; without one, a single run of history is assumed.
    now: UTC; for the age of what is in the history and for what has expired.
    """
    config, epochs = suite.config, suite.config.run.epochs
    known, unread = _known(suite, environ, now)
    sizes = Counter(category for case in suite.selected for category in case.categories)
    calls = len(suite.selected) * epochs
    groups = f"{len(sizes)} categor{'y' if len(sizes) == 1 else 'ies'}"
    lines = [
        f"{config.path}: suite {config.suite}, endpoint {config.endpoint_kind}",
        f"{len(suite.selected):,} cases in {groups}, {epochs} each: {calls:,} calls, "
        f"and up to {config.run.max_retries} retries of one that fails",
    ]
    if not suite.has_fixed_epochs and config.rules.max_epochs > 1:
        most = config.rules.extra_calls(len(suite.selected))
        lines.append(f"what is in doubt is repeated: up to {most:,} further calls")
    needed = needed_by_category(suite, known)
    lines += [f"  {name}: {count:,}{_must_break(needed.get(name))}" for name, count in sorted(sizes.items())]
    if any(needed.values()):
        lines.append(
            "must break: how many cases that always passed have to fail for good before a category blocks, "
            f"{known.sentence}; more where others waver"
        )
    judged = sum(any(suite.evalset.scorers[key].name == "judge" for key in case.scorers) for case in suite.selected)
    if judged:
        lines.append(f"{judged * epochs:,} further calls to judges")
    each, budget = cost_per_call(known.runs), config.run.budget_usd
    lines.append(
        ("cost: unknown before the first call; " if each is None else f"cost: {money(each * calls)} by earlier runs; ")
        + ("no budget is set" if budget is None else f"the run stops at ${budget:.2f}")
    )
    lines += [*unread, *broken_promises(suite, known), *_expired(suite, now.date()), *_unconfirmed(suite)]
    lacking = config.endpoint.missing_credentials(environ)
    if lacking is not None:
        lines.append(f"note: {lacking}")
    return [*lines, "valid"]


def _must_break(needed: int | None) -> str:
    return "" if needed is None else f" ({needed} must break)"


def _expired(suite: Suite, today: date) -> list[str]:
    exempt = suite.config.exceptions
    over = [(one.source, one.expires, f"waiver of {named(one.category)}") for one in exempt.waivers]
    over += [(one.source, one.expires, f"quarantine of {one.case_id}") for one in exempt.quarantine]
    return [
        f"warning: {f'{source}: ' if source else ''}the {what} expired on {expires} and has no effect. Take it out, or "
        "have a later day reviewed"
        for source, expires, what in over
        if today > expires
    ]


def _unconfirmed(suite: Suite) -> list[str]:
    config = suite.config
    if not config.rules.confirm or config.baseline_endpoint is not None or config.endpoint_kind == "openai":
        return []
    return [
        f"note: before a block only this change is called anew: an endpoint of kind {config.endpoint_kind} cannot be "
        "asked as it was for the baseline. Write a `baseline_endpoint` where what is in production can be called"
    ]


def _known(suite: Suite, environ: Mapping[str, str], now: datetime) -> tuple[Known, list[str]]:
    """What the history tells, and a line where it could not be read. A server is not asked: this is to be quick."""
    store = suite.config.history_store
    if not store.startswith(SQLITE) or not Path(store.removeprefix(SQLITE)).is_file():
        return Known(), []
    from evalgate.pipeline.baselines import outlook  # SQLAlchemy: only where there is something to read

    try:
        found = outlook(suite.config.path, None, environ, now=now)
    except EvalgateError as error:
        return Known(), [f"note: the history was not read: {error}"]
    runs = () if isinstance(found.baseline, Missing) else tuple(found.baseline.runs)
    return Known(runs=runs, anchor=found.anchor if isinstance(found.anchor, Missing) else None), []
