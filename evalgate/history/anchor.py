"""The anchor: the blessed run that stays where it is, whatever happens to the baseline."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from evalgate.history.baseline import why_incomplete
from evalgate.history.listing import BLESSED, Blessing
from evalgate.records import Missing, Pinned, Run

if TYPE_CHECKING:
    from evalgate.history.store import History

SHORTEST_PREFIX = 4
"""Fewer characters of a run's id do not name it as anchor."""


def anchored(history: History, name: str, candidate: Run, *, today: date) -> Pinned | Missing:
    """The blessed run of the candidate's suite that `gate.anchor` names; where there is none, why.

    name: a blessing's name (the newest blessing of that name wins), `blessed` (the run that was blessed last), or a
    blessed run's id or a unique prefix of it. Never the candidate itself: what is compared with itself never got worse.
    today: in UTC. Where the blessing that is meant has expired, no earlier one takes its place: that one was replaced
    on purpose.
    """
    given = sorted(history.blessings(suite=candidate.suite), key=lambda blessing: blessing.created)
    others = [blessing for blessing in given if blessing.run_id != candidate.id]
    found = _meant(others, name)
    if isinstance(found, str):
        itself = not isinstance(_meant(given, name), str)
        return Missing(reason=f'the anchor "{name}" is this very run' if itself else found)
    if not found.holds(today):
        how = f"`evalgate baseline bless {found.run_id} --reason TEXT{_named(found)}` blesses it again"
        expired = f"the blessing of run {found.run_id} expired on {found.expires}"
        return Missing(reason=f'no run for the anchor "{name}": {expired}. {how}')
    row = next(row for row in history.list_runs(suite=candidate.suite) if row.id == found.run_id)
    unfit = why_incomplete(row)
    if unfit is not None:
        return Missing(reason=f'the anchor "{name}" is {row.id}, a run {unfit}: bless another')
    by_name = f' as "{found.name}"' if found.name and found.name != name else ""
    until = f" until {found.expires}" if found.expires else ""
    why = f'anchor "{name}": blessed{by_name} on {found.created:%Y-%m-%d}{until} by {found.author}, "{found.reason}"'
    return Pinned(runs=(history.read_run(row.id),), why=why, detectable=history.detectable(row.id))


def _meant(blessings: Sequence[Blessing], name: str) -> Blessing | str:
    """The blessing of this name, oldest first given; or why there is none."""
    from difflib import get_close_matches

    if not blessings:
        how = "`evalgate baseline bless RUN --reason TEXT` blesses one"
        return f'no run for the anchor "{name}": no other run of this suite is blessed. {how}'
    named = [blessing for blessing in blessings if name in (blessing.name, BLESSED)]
    exact = named or [blessing for blessing in blessings if blessing.run_id == name]
    if exact:
        return exact[-1]
    begun = [blessing for blessing in blessings if blessing.run_id.startswith(name)]
    meant = list(dict.fromkeys(blessing.run_id for blessing in begun))
    if len(meant) == 1 and len(name) >= SHORTEST_PREFIX:
        return begun[-1]
    if meant:
        return f'the anchor "{name}" may mean {_few(meant)}: give more of the id'
    known = list(dict.fromkeys(name for b in reversed(blessings) for name in (b.name, b.run_id) if name))
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Blessed: {_few(known)}"
    return f'no blessed run for the anchor "{name}". {hint}'


def _named(blessing: Blessing) -> str:
    return f" --name {shlex.quote(blessing.name)}" if blessing.name else ""


def _few(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
