"""What a pull request from a fork alters about how it will be judged: its files read as data, from afar, and compared.

Nothing of it decides, and nothing of it is executed or written into a report but names: it counts once it is merged.
"""

from __future__ import annotations

from dataclasses import replace

from evalgate.errors import EvalgateError
from evalgate.gate.sentences import count
from evalgate.github.answers import Pull
from evalgate.history.baseline import Lost
from evalgate.history.remote import Remote
from evalgate.pipeline.altered import altered
from evalgate.pipeline.committed import Committed, NoSuchFile, Sizes, suite_at
from evalgate.pipeline.ruling import UNKNOWN, Ruling
from evalgate.records import Json, RuleChange

MOST = Sizes(files=500, file_bytes=4_000_000, bytes=16_000_000)
"""Of a stranger's files less is read than of one's own."""


def proposed(here: Committed, remote: Remote, pull: Pull, *, base: str | Lost, path: str) -> Ruling:
    """The default branch's rules, which decide, and what the pull request alters since it left its base.

    here: the suite as the default branch has it. base: the commit at which it left. Where its files cannot be read,
    that is told; the fault is not, since it would repeat them.
    """
    own = Ruling(rules=here.config.rules, exempt=here.config.exceptions)
    try:
        if isinstance(base, Lost):
            raise EvalgateError(base.why)
        before = here if base == here.commit else suite_at(remote, base, path)
        # By its name: not every server gives a commit that only a pull request has.
        remote.fetch(f"refs/pull/{pull.number}/head", depth=1)
        after = suite_at(remote, pull.head_sha, path, most=MOST)
        changes = tuple(map(_without_texts, _altered(before, after)))
    except NoSuchFile:
        return replace(own, notes=(f"{UNKNOWN}: the suite is new, moved or taken out there.",))
    except (EvalgateError, RecursionError):
        return replace(own, notes=(f"{UNKNOWN}: its files, or those of its base, cannot be read.",))
    weaker = sum(change.weakens for change in changes)
    aside = f"; once merged, this change weakens the rules in {count(weaker, 'place')}" if weaker else ""
    return replace(own, changes=changes, aside=aside)


def _altered(before: Committed, after: Committed) -> tuple[RuleChange, ...]:
    evalset = after.evalset
    if after.unread is not None:
        raise after.unread
    return altered(before, after.config, None if evalset is None else lambda: evalset, read=after.read)


def _without_texts(change: RuleChange) -> RuleChange:
    """The change without values that a stranger has written: numbers stay."""
    return replace(change, before=_number(change.before), after=_number(change.after))


def _number(value: Json) -> Json:
    return value if isinstance(value, (int, float)) else None
