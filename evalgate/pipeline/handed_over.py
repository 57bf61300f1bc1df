"""What a fork's run has handed over, and what of it can be believed: fetched, opened, and held against GitHub's word.

The scores are the fork's word and stay it. Which commit they are about, and what each case is, are not taken from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from evalgate.errors import Fault, GitHubError, InputError
from evalgate.github import artifact
from evalgate.github.answers import Pull
from evalgate.github.client import GitHub
from evalgate.github.refusals import NotFoundError
from evalgate.github.trigger import Trigger
from evalgate.history import result_file
from evalgate.history.baseline import Lost
from evalgate.history.result_file import Handed
from evalgate.records import CONFIG, Case, CaseRef, EvalSet, Run, fingerprint, short

FARTHEST = 200
"""How far back on its branch the commit may lie that a pull request was merged with for the run."""


class NothingLeft(InputError):
    """The run has left nothing to decide from: that is no fault of this job."""


def fetch(trigger: Trigger, github: GitHub, *, name: str) -> Handed:
    """What the run has handed over in its artifact `NAME-ATTEMPT`.

    Raises NothingLeft where there is none (any more); InputError where it is refused; GitHubError.
    """
    situation = trigger.situation
    found = artifact.newest(github.artifacts_of(situation.run_id), prefix=name, attempt=situation.run_attempt)
    where = f"artifact {name}-{situation.run_attempt if found is None else found[1]}"
    # After a failure an older attempt's artifact would speak for one that never got so far.
    if found is None or (found[1] != situation.run_attempt and trigger.conclusion != "success"):
        raise NothingLeft(Fault(where=where, what=f"attempt {situation.run_attempt} of the run has left none"))
    item = found[0]
    if item.is_expired:
        raise NothingLeft(Fault(where=where, what="it has expired"))
    if item.size > artifact.MOST_PACKED:
        raise InputError(Fault(where=where, what=f"it is larger than {artifact.MOST_PACKED:,} bytes"))
    try:
        content = github.download(item.id, most_bytes=artifact.MOST_PACKED)
    except NotFoundError as error:
        raise NothingLeft(Fault(where=where, what="it is gone")) from error
    if item.digest not in (None, f"sha256:{hashlib.sha256(content).hexdigest()}"):
        raise GitHubError(f"{where}: what GitHub gave is not what was uploaded. Run the job again")
    return result_file.read(artifact.only_member(content, where=where), where=where)


def merged_with(run: Run, trigger: Trigger, github: GitHub) -> str | None:
    """The commit that the pull request's head was merged with for the run; None: the run was of the head alone.

    Raises InputError where the run is about neither the head nor a merge of it: somebody else's results, or forged.
    """
    head = trigger.situation.head_sha
    if run.commit == head:
        return None
    try:
        parents = github.parents(run.commit) if run.commit is not None else []
    except NotFoundError:
        parents = []
    if parents[1:] != [head]:
        what = f"is about another commit than {short(head)}, which the run was of"
        raise InputError(Fault(where="the result", what=what))
    return parents[0]


class Line(Protocol):
    """What is asked of the repository."""

    def tip(self, branch: str) -> str | None: ...

    def first_parents(self, commit: str, limit: int) -> list[str]: ...


def start(base: str | None, pull: Pull, github: GitHub, git: Line) -> str | Lost:
    """Where the search for a baseline begins: the commit of the base branch that the head was merged with.

    base: as `merged_with` gives it. A fork can make merges of its own, with any parent: it counts only where it lies on
    the branch that the pull request is to go into. Else where it left that branch.
    """
    tip = git.tip(pull.base_branch) if base is not None and pull.base_branch else None
    if base is not None and tip is not None and base in git.first_parents(tip, FARTHEST):
        return base
    return left_base(pull, github)


def left_base(pull: Pull, github: GitHub) -> str | Lost:
    """The commit at which the pull request left the branch that it is to go into, by GitHub's word."""
    try:
        return github.merge_base(pull.base_branch, pull.head_sha)
    except NotFoundError:
        return Lost(why=f"where {short(pull.head_sha)} left its base is not known to GitHub")


def as_known_here(run: Run, evalset: EvalSet, *, id: str, created: datetime, config: str) -> Run:
    """The run, its cases as the default branch has them: their categories, clusters and which of them are critical.

    What a case is asked stays the run's word: where that is not what the baseline was asked, the gate does not compare.
    Cases that the default branch does not have stay as they are; the verdict lists them as added.
    config: the configuration's file, from the repository's top.
    """
    known = {case.id: case for case in evalset.cases}
    cases = tuple(_as_known(ref, known[ref.id]) if ref.id in known else ref for ref in run.cases)
    return replace(run, id=id, created=created, cases=cases, metadata={**run.metadata, CONFIG: config})


def _as_known(ref: CaseRef, case: Case) -> CaseRef:
    return replace(
        ref,
        categories=tuple(sorted(case.categories)),
        critical=case.critical,
        # The file has no names of clusters either.
        cluster=None if case.cluster is None else fingerprint(case.cluster),
    )
