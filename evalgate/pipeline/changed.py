"""Which cases a change touches: `--changed-only` runs those that the baseline cannot speak for, and no other.

It is a partial run of what changed, and not a whole one filled up with the baseline's results: copies are no evidence,
and a run that holds them would later be pooled with the very run that they are from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalgate.config import Config
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.http_settings import is_near
from evalgate.errors import EvalgateError
from evalgate.gate import sentences
from evalgate.history.store import History
from evalgate.pipeline.load import Suite
from evalgate.pipeline.remade import suite_of
from evalgate.pipeline.ruling import in_short
from evalgate.pipeline.selection import Selection, narrowed
from evalgate.records import NAMED, Baseline, CaseRef, Json, Missing, Run, Scored, Version, fingerprint
from evalgate.spool import gathered

if TYPE_CHECKING:
    from evalgate.pipeline.place import Place


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What has changed since the baseline's first run."""

    cases: Mapping[str, str]
    """Id of each case that is to run → why: `new`, `other content`, …"""
    since: str | None
    """The run's id; None: every case counts as changed."""
    sentence: str
    """What is known of it, without a full stop."""


def changes(
    suite: Suite,
    refs: Sequence[CaseRef],
    baseline: Baseline,
    history: History,
    place: Place,
    *,
    may_vanish: Collection[str],
) -> Changes:
    """What the baseline's first run cannot speak for.

    refs: every case of the eval set. place: where the run's commit is, which tells what was sent where the history
    does not. may_vanish: `removed_categories` of the rules that decide. Every case counts as
    changed where there is no baseline, where what is tested is another version, where nothing names it, and where a
    whole category has vanished: then the run is whole.
    """
    why = _why_everything(suite, refs, baseline, may_vanish)
    if why is not None or isinstance(baseline, Missing):
        return _everything(refs, str(why))
    run = baseline.runs[0]
    try:
        then = _made_with(suite, run, history, place)
    except EvalgateError as error:
        lacking = f"the requests of run {run.id} are not in the history and cannot be made again"
        return _everything(refs, f"{lacking}: {in_short(error)}")
    asked = _asked_otherwise(suite, run, then, history)
    if asked is None:
        return _everything(refs, "the prompts have changed, and the requests of the baseline are not in the history")
    before, scored = {ref.id: ref for ref in run.cases}, {r.case_id for r in run.results if isinstance(r, Scored)}
    if then is not None:
        columns = {case.id: case.metadata for case in then.selected}
        before = {case_id: replace(ref, metadata=columns[case_id]) for case_id, ref in before.items()}
    found = {ref.id: _why(ref, before.get(ref.id), scored, asked) for ref in refs}
    cases = {case_id: reason for case_id, reason in found.items() if reason is not None}
    gone = len(before.keys() - found.keys())
    return Changes(cases=cases, since=run.id, sentence=_told(cases, len(refs), run.id, gone))


def _everything(refs: Sequence[CaseRef], sentence: str) -> Changes:
    cases = dict.fromkeys((ref.id for ref in refs), "of another version")
    return Changes(cases=cases, since=None, sentence=sentence)


def only_changed(suite: Suite, selection: Selection, found: Changes) -> Suite:
    """The suite with what is left to run; possibly nothing."""
    chosen = narrowed(gathered(case for case in suite.selected if case.id in found.cases), selection)
    is_whole = len(chosen) == len(suite.evalset.cases)
    prefix = "--changed-only: every case counts as changed, since " if found.since is None else ""
    return replace(
        suite,
        selected=chosen,
        selection=None if is_whole else str(selection),
        changed_since=None if is_whole else found.since,
        notes=(*suite.notes, f"{prefix}{found.sentence}."),
    )


def _why_everything(
    suite: Suite, refs: Sequence[CaseRef], baseline: Baseline, may_vanish: Collection[str]
) -> str | None:
    if isinstance(baseline, Missing):
        return f"there is no baseline: {baseline.reason}"
    unnamed = _unnamed(suite.config)
    if unnamed is not None:
        return unnamed
    run, version = baseline.runs[0], suite.version()
    if run.version.id is None:
        return f"run {run.id} does not tell its version"
    others = sorted(
        name
        for name in run.version.parts.keys() | version.parts.keys()
        if name != "templates" and not _is_same(run.version.parts.get(name), version.parts.get(name))
    )
    if others:
        return f"what is tested is not what run {run.id} tested: {sentences.several(others)} changed"
    here = {name for ref in refs for name in ref.categories}
    vanished = {name for ref in run.cases for name in ref.categories} - here - set(may_vanish)
    if vanished:
        return f"{sentences.several(sorted(vanished))} of run {run.id} vanished"
    return None


def _unnamed(config: Config) -> str | None:
    """Why the same request may meet another system though nothing here tells; None: the version covers it."""
    endpoint = config.endpoint
    if endpoint.version or config.endpoint_kind == "replay":
        return None
    if config.endpoint_kind != "openai":
        what = f"an endpoint of kind {config.endpoint_kind}"
    elif is_near(endpoint.base_url):
        what = "an endpoint on this machine or in a private network"
    else:
        return None
    return f"{what} may have changed behind the same requests; name what it serves with `endpoint.version`"


def _made_with(suite: Suite, run: Run, history: History, place: Place) -> Suite | None:
    """The suite that a run was made with, where only that tells what was sent; None: the history does. Raises as
    `suite_of`."""
    if not isinstance(suite.config.endpoint, OpenAI) or history.has_requests(run.id):
        return None
    return suite_of(run, suite.config, place)


def _asked_otherwise(suite: Suite, run: Run, made_with: Suite | None, history: History) -> Container[str] | None:
    """The cases whose request differs from what was sent then; None: nobody knows what was sent."""
    from evalgate.pipeline.asking import requests_of

    now = requests_of(suite)
    if now is None:  # without templates, a request is what the case's content says
        return frozenset() if _is_same(_templates(run.version), _templates(suite.version())) else None
    then = history.requests(run.id) if made_with is None else dict(requests_of(made_with) or ())
    if not then:
        return None
    return {case_id for case_id, body in now if then.get(case_id) != body}


def _templates(version: Version) -> Json:
    return version.parts.get("templates")


def _is_same(then: Json, now: Json) -> bool:
    """Of a run that came from the history's branch only the fingerprints of prompts are known."""
    return then == now or (isinstance(then, str) and bool(now) and then == fingerprint(now))


def _why(now: CaseRef, before: CaseRef | None, scored: Container[str], asked: Container[str]) -> str | None:
    """What has changed about a case; None: nothing, so the baseline's result is what it would have."""
    if before is None:
        return "new"
    if now.content is None or now.content != before.content:
        return "with other content"
    if now.id in asked:
        return "with another request"
    if dict(now.metadata) != dict(before.metadata):
        return "with other columns"
    if now.scorers is None or now.scorers != before.scorers or now.scorers.startswith(NAMED):
        return "with other scorers"
    return None if now.id in scored else "without a score there"


def _told(cases: Mapping[str, str], size: int, run_id: str, gone: int) -> str:
    left = f"; {sentences.count(gone, 'case')} of it were taken out" if gone else ""
    if not cases:
        return f"no case has changed since run {run_id}, nor what is tested{left}"
    kinds = Counter(cases.values())
    told = ", ".join(f"{kinds[kind]:,} {kind}" for kind in sorted(kinds))
    return f"{len(cases):,} of {sentences.count(size, 'case')} changed since run {run_id} ({told}){left}"
