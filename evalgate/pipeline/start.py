"""Where the search for a baseline begins in a job of GitHub Actions: at the commit that the change is held against."""

from __future__ import annotations

from evalgate.github.event import PARENT, Situation
from evalgate.history.ancestry import OR_DEEPER, Deepened
from evalgate.history.baseline import Lost
from evalgate.records import short


def start(repository: Deepened, situation: Situation) -> str | Lost | None:
    """The commit; `Lost` where the change has a base that cannot be found; None: nothing came before it.

    The commit need not be in the clone: GitHub names it, or the checked out commit does.
    """
    head = repository.head()
    if head is None:
        return None
    parents = repository.parents(head)
    if situation.pull is not None and parents[1:] == [situation.head_sha]:
        return parents[0]  # GitHub's test merge, of this event or a later one: the base that it was merged with
    if head == situation.evaluated_sha and situation.base_rev is not None:
        if situation.base_rev == PARENT:
            return parents[0] if parents else None
        return head if situation.base_rev == "HEAD" else situation.base_rev
    return _left_its_base(repository, situation, head)


def _left_its_base(repository: Deepened, situation: Situation, head: str) -> str | Lost | None:
    """The newest commit of the base that the checked out one comes from."""
    branch = situation.base_branch
    tip = repository.tip(branch) if branch is not None else None
    # The branch as it is now also knows what was merged into the change since the event. But where the change itself
    # has been merged meanwhile (a re-run), only the event still knows where the branch was.
    bases = [base for base in (tip, situation.merge_base_with) if base is not None]
    found = [repository.merge_base(head, base) for base in bases]
    before = next((commit for commit in found if commit not in (None, head)), None)
    if before is not None:
        return before
    if head in found:
        return None  # it is on its base already: what came before it is what it is held against
    name = f"branch {branch}" if branch is not None else "its base"
    trouble = repository.trouble
    why = f"no commit in common with {name} was found" if trouble is None else f"{trouble}. {OR_DEEPER}"
    return Lost(why=f"where {short(head)} left {name} could not be found: {why}")
