"""The history: can it be read and written, what is in it, and with what would be compared now?"""

from __future__ import annotations

from datetime import timedelta

from evalgate.errors import EvalgateError, InputError, StoreError
from evalgate.pipeline.doctor.asked import Asked
from evalgate.pipeline.doctor.check import Check, fail, failures, ok, skipped, split, warn
from evalgate.records import Missing, RunRow, short
from evalgate.report.numbers import age, count

MOST_JOURNALS = 3
"""How many unfinished runs are named."""


def look(asked: Asked) -> list[Check]:
    """Reads the store, and tries whether it takes a run; nothing is left behind."""
    from evalgate.pipeline.suite import open_history

    try:
        with open_history(asked.history_store, create=False) as history:
            place = history.place
            history.check_writable()
            rows = history.list_runs()
    except InputError as error:
        return _none_yet(error) + _journals(asked)
    except StoreError as error:
        return [*failures("store", error), *_journals(asked)]
    found = [ok("store", f"{place} can be read and written; {count(len(rows), 'run')}")]
    return [*found, *_runs(asked, rows), *_baseline(asked), *_journals(asked)]


def _none_yet(error: InputError) -> list[Check]:
    what, advice = split(str(error))
    if not what.startswith("there is no history"):
        return failures("store", error)
    more = " In CI the history comes from the branch: `evalgate sync pull`."
    return [warn("store", what, f"{advice}.{more}" if advice else more.strip())]


def _runs(asked: Asked, rows: list[RunRow]) -> list[Check]:
    config = asked.readable
    if config is None:
        return [skipped("runs", "the configuration has to be read first")]
    mine = [row for row in rows if row.suite == config.suite]
    if not mine:
        others = sorted({row.suite for row in rows})
        found = f"none of suite {config.suite}" + (f"; there are some of {', '.join(others[:5])}" if others else "")
        return [warn("runs", found, "`evalgate run` makes the first one, which is then the baseline.")]
    newest = max(mine, key=lambda row: row.created)
    old = age((asked.now - newest.created).total_seconds())
    found = f"{count(len(mine), 'run')} of suite {config.suite}; the newest, {newest.id}, is {old} old"
    if newest.created > asked.now + timedelta(minutes=10):
        return [warn("runs", f"the newest run, {newest.id}, is of a time to come", "Set this machine's clock right.")]
    return [ok("runs", found)]


def _baseline(asked: Asked) -> list[Check]:
    """What a run made here and now would be compared with; the eval sets are read for it."""
    from evalgate.pipeline.baselines import outlook

    try:
        found = outlook(asked.config, asked.history_store, asked.environ, now=asked.now)
    except EvalgateError:
        return [skipped("baseline", "configuration and eval sets have to be read first")]
    checks = [_chosen(found.baseline, found.chosen, asked)]
    if isinstance(found.anchor, Missing):
        advice = "Bless a run under this name with `evalgate baseline bless`, or take gate.anchor out."
        checks.append(fail("anchor", f"gate.anchor: {found.anchor.reason}", advice))
    elif found.anchor is not None:
        checks.append(ok("anchor", f"run {found.anchor.runs[0].id}, {found.anchor.why}"))
    return checks


def _chosen(baseline: object, chosen: tuple[RunRow, ...], asked: Asked) -> Check:
    if isinstance(baseline, Missing) or not chosen:
        reason = baseline.reason if isinstance(baseline, Missing) else "no run"
        advice = (
            "`evalgate baseline list` says why; a run on the default branch, or `evalgate baseline record`, makes one."
        )
        return warn("baseline", f"a run made now would be compared with nothing: {reason}", advice)
    newest = max(chosen, key=lambda row: row.created)
    age_s = (asked.now - newest.created).total_seconds()
    at = f" at commit {short(newest.commit)}" if newest.commit else ""
    found = f"run {newest.id}{at}, {age(age_s)} old, pooled of {count(len(chosen), 'run')}"
    most = None if asked.readable is None else asked.readable.rules.max_baseline_age_days
    if most is not None and age_s > most * 86_400:
        advice = "Run the default branch again: what was normal then may not be normal now."
        return warn("baseline", f"{found}, older than gate.max_baseline_age_days ({most:g})", advice)
    return ok("baseline", found)


def _journals(asked: Asked) -> list[Check]:
    from evalgate.runner.journal import Journal

    found = Journal.find(asked.folder / ".evalgate" / "journal")
    checks = [fail("unfinished runs", str(item.fault), "") for item in found.unreadable[:MOST_JOURNALS]]
    for item in found.unfinished[:MOST_JOURNALS]:
        header = item.header
        old = age((asked.now - header.created).total_seconds())
        advice = f"Go on with it: `evalgate run --resume {header.run_id}`; or delete {item.path.name}."
        checks.append(warn("unfinished runs", f"{header.run_id} of suite {header.suite} was begun {old} ago", advice))
    more = len(found.unfinished) - MOST_JOURNALS
    if more > 0:
        checks.append(warn("unfinished runs", f"and {more} more", "They lie in .evalgate/journal."))
    return checks or [ok("unfinished runs", "none")]
