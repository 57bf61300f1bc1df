"""What a run would be, before it is made: cases, calls, and whether the gate could hold what its rules promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

from evalgate.errors import EvalgateError
from evalgate.gate.sentences import named
from evalgate.pipeline.caching import unheeded
from evalgate.pipeline.forecast import Forecast, forecast, without_kept
from evalgate.pipeline.load import Suite
from evalgate.pipeline.promises import Known, broken_promises, needed_by_category
from evalgate.records import Json, Missing, Result
from evalgate.report.numbers import money, seconds
from evalgate.runner.buckets import least_s

SQLITE = "sqlite:///"
SCHEMA = "evalgate.estimate/1"


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What a run would be."""

    suite: Suite
    forecast: Forecast
    lines: tuple[str, ...]
    """For people, the last one is `valid`."""
    remarks: tuple[str, ...]
    """Of these, warnings and notes."""

    def to_dict(self) -> dict[str, Json]:
        """As JSON; unknown is null. Times are not in it: they depend on the endpoint."""
        run, figures = self.suite.config.run, asdict(self.forecast)
        return {
            "schema": SCHEMA,
            "valid": True,
            "suite": self.suite.config.suite,
            "selection": self.suite.selection,
            **{name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()},
            "max_retries": run.max_retries,
            "budget_usd": run.budget_usd,
            "max_calls": run.max_calls,
            "remarks": list(self.remarks),
        }


def outlook(
    suite: Suite,
    environ: Mapping[str, str],
    *,
    now: datetime,
    kept: Mapping[tuple[str, int], Result] | None = None,
) -> Outlook:
    """Raises nothing: what is wrong with a suite was said when it was loaded.

    Where the history is a file that is there, it is read; without one, a single run of history is assumed.
    kept: what a resumed run has already. now: UTC; for the age of what is in the history and for what has expired.
    """
    config, epochs = suite.config, suite.config.run.epochs
    known, unread = _known(suite, environ, now)
    ahead = without_kept(forecast(suite, environ, known.runs), suite, kept or {})
    sizes, calls = ahead.categories, ahead.calls
    groups = f"{len(sizes)} categor{'y' if len(sizes) == 1 else 'ies'}"
    kept_before = f" beside {ahead.kept:,} that are answered already" if ahead.kept else ""
    lines = [
        f"{config.path}: suite {config.suite}, endpoint {config.endpoint_kind}",
        f"{len(suite.selected):,} cases in {groups}, {epochs} each: {calls:,} calls{kept_before}, "
        f"and up to {config.run.max_retries} retries of one that fails",
    ]
    lines += _further(ahead, config.run.max_calls)
    needed = needed_by_category(suite, known)
    lines += [f"  {name}: {count:,}{_must_break(needed.get(name))}" for name, count in sorted(sizes.items())]
    if any(needed.values()):
        lines.append(
            "must break: how many cases that always passed have to fail for good before a category blocks, "
            f"{known.sentence}; more where others waver"
        )
    if ahead.judge_calls:
        most = "" if ahead.calls_max == ahead.calls else f", up to {ahead.judge_calls_max:,} with every further call"
        lines.append(f"{ahead.judge_calls:,} calls to judges{most}")
    lines.append(f"{ahead.sentence}; {_bounds(suite)}")
    remarks = [*unread, *broken_promises(suite, known), *_expired(suite, now.date()), *_unconfirmed(suite)]
    remarks += [*_too_slow(suite, calls), *(f"note: {remark}" for remark in (*suite.notes, *unheeded(config)))]
    lacking = config.endpoint.missing_credentials(environ)
    if lacking is not None:
        remarks.append(f"note: {lacking}")
    return Outlook(suite=suite, forecast=ahead, lines=(*lines, *remarks, "valid"), remarks=tuple(remarks))


def _further(ahead: Forecast, max_calls: int | None) -> list[str]:
    """What the gate may ask for after the first calls; nothing where it may not."""
    asked = {"repeats of what is in doubt": ahead.repeats_max, "fresh calls before a block": ahead.fresh_calls_max}
    parts = [f"{number:,} {what}" for what, number in asked.items() if number]
    if not parts:
        return []
    whole = ahead.calls + ahead.repeats_max + ahead.fresh_calls_max
    within = "" if max_calls is None or whole <= max_calls else f", all within the {max_calls:,} of run.max_calls"
    return [f"after these, where needed: up to {' and '.join(parts)}{within}"]


def _bounds(suite: Suite) -> str:
    run = suite.config.run
    stops = [] if run.budget_usd is None else [money(run.budget_usd)]
    stops += [] if run.max_calls is None else [f"{run.max_calls:,} calls"]
    return f"the run stops at {' or '.join(stops)}" if stops else "no budget is set"


def _must_break(needed: int | None) -> str:
    return "" if needed is None else f" ({needed} must break)"


def _too_slow(suite: Suite, calls: int) -> list[str]:
    """Where the first calls alone cannot be made in time. Judges' calls are left out: they may go elsewhere."""
    run = suite.config.run
    if run.requests_per_minute is None or run.deadline_s is None:
        return []
    needed_s = least_s(calls, run.requests_per_minute)
    if needed_s <= run.deadline_s:
        return []
    return [
        f"warning: at {run.requests_per_minute:g} requests a minute {calls:,} calls take {seconds(needed_s)}, "
        f"run.deadline_s is {run.deadline_s:g} s"
    ]


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
    from evalgate.pipeline.baselines import outlook as known_by  # only where there is something to read

    try:
        found = known_by(suite.config.path, None, environ, now=now)
    except EvalgateError as error:
        return Known(), [f"note: the history was not read: {error}"]
    runs = () if isinstance(found.baseline, Missing) else tuple(found.baseline.runs)
    return Known(runs=runs, anchor=found.anchor if isinstance(found.anchor, Missing) else None), []
