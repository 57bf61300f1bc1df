"""How hard, how long and how dear a run may be. Knows no configuration file: whoever reads one fills this in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The bounds of one run; names are those of the keys under `run:`."""

    concurrency: int = 64
    """Most calls in flight at once, at least 1. An endpoint that asks for patience gets fewer."""
    timeout_s: float = 60.0
    """Longest wait for one attempt of one call, and for one judgement of an asynchronous scorer."""
    deadline_s: float | None = None
    """Longest duration of the whole run, counted anew when a run is resumed; None: no bound."""
    whole_deadline_s: float | None = None
    """What `deadline_s` is the rest of, for messages; None: it is the whole."""
    max_retries: int = 5
    """Further attempts after a failed first one, for faults that another attempt may mend."""
    budget_usd: float | None = None
    """What the calls may cost together, judges' included, resumed or not; None: no bound. A call begins only while the
    budget is expected to bear it beside those in flight, by the mean of the prices seen so far; the first ones in
    flight, at most `concurrency`, begin before any price is known."""
    backoff_s: float = 0.5
    """Upper end of the first random wait before another attempt; doubles with each."""
    backoff_max_s: float = 30.0
    """Where the doubling ends."""
