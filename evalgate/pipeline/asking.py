"""How the baseline can be asked again before a block: its requests, stored or made again, or what stands for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from evalgate.config import Config
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.http_settings import place_of
from evalgate.errors import EvalgateError, InputError
from evalgate.history.store import History
from evalgate.pipeline.load import Suite
from evalgate.pipeline.remade import suite_of, why_not
from evalgate.pipeline.ruling import in_short
from evalgate.pipeline.session import AskAgain
from evalgate.records import Baseline, Json, Missing, Run, fingerprint

if TYPE_CHECKING:
    from evalgate.pipeline.place import Place

PARTS = ("model", "system", "tools", "response_format", "contexts", "params")
"""What of a version makes its requests, beside the server and the messages."""


def requests_of(suite: Suite) -> Iterator[tuple[str, Json]] | None:
    """Each case's id, sorted, with the messages as they are sent, to be kept with the run; rendered while they are
    asked for. Where they could not be sent again, their fingerprints; None where no template makes them: then the
    cases tell them."""
    if isinstance(suite.config.endpoint, OpenAI):
        return _rendered(suite)
    return ((i, fingerprint(body)) for i, body in _rendered(suite)) if suite.evalset.templates else None


def _rendered(suite: Suite) -> Iterator[tuple[str, Json]]:
    render = suite.renderer()
    for place in suite.order:
        case = suite.selected[place]
        try:
            yield case.id, [dict(message) for message in render(case, 1).messages]
        except InputError:
            continue  # its result is a `Failed` that says so


def asking_again(config: Config, baseline: Baseline, history: History, place: Place) -> AskAgain:
    """How the first run of this baseline can be asked again, or why not. No commit is read before it is to be asked."""
    if config.baseline_endpoint is not None:
        return AskAgain(settings=config.baseline_endpoint, how="the baseline was asked through `baseline_endpoint`")
    if isinstance(baseline, Missing):
        return AskAgain(settings=None, how="there is no baseline to ask")
    first = baseline.runs[0]
    mine = config.endpoint
    if not isinstance(mine, OpenAI) or first.version.parts.get("kind") != "openai":
        return _not_asked("its baseline cannot be called again")
    if not _is_of_host(first.version.parts, mine):
        return _not_asked("the baseline was served by another host")
    if history.has_requests(first.id):
        return AskAgain(settings=None, how="", read=partial(_stored, first, mine, history))
    lacking = why_not(first, place)
    if lacking is not None:
        return _not_asked(f"the baseline's requests are not in the history and cannot be made again: {lacking}")
    return AskAgain(settings=None, how="", read=partial(_made_again, first, config, place))


def _stored(run: Run, mine: OpenAI, history: History, case_ids: Collection[str]) -> AskAgain:
    how = "the baseline's stored requests were sent again"
    return _sent_again(mine, run.version.parts, history.requests(run.id), case_ids, how)


def _made_again(run: Run, config: Config, place: Place, case_ids: Collection[str]) -> AskAgain:
    """As the suite at the run's commit makes them, where that is the suite that the run was made with."""
    try:
        suite = suite_of(run, config, place)
        wanted = frozenset(case_ids)
        asked = {case.id for case in run.cases if case.id in wanted}
        requests = dict(_rendered(replace(suite, selected=suite.by_id(asked))))
    except EvalgateError as error:
        return _not_asked(f"the baseline's requests are not in the history and cannot be made again: {in_short(error)}")
    how = f"the baseline's requests were made again from its commit {str(run.commit)[:10]} and sent"
    return _sent_again(config.endpoint, suite.version().parts, requests, case_ids, how)


def _sent_again(
    mine: OpenAI, parts: Mapping[str, Json], requests: Mapping[str, Json], case_ids: Collection[str], how: str
) -> AskAgain:
    """mine: what the key, the headers and the host are of. parts: of the version that made these requests."""
    if not any(case_id in requests for case_id in case_ids):
        return AskAgain(settings=None, how="the baseline was asked none of these cases")
    asked = {name: parts[name] for name in PARTS if name in parts}
    if "${" in json.dumps(asked, default=str):
        return _not_asked("a secret in the baseline's requests is not kept")
    url = str(parts.get("url"))
    base_url = mine.base_url if url == place_of(mine.base_url) else url
    return AskAgain(settings=replace(mine, **asked, base_url=base_url), how=how, requests=requests)


def _is_of_host(parts: Mapping[str, Json], mine: OpenAI) -> bool:
    """A key goes to the host that the configuration names, never to one that a history names, nor unencrypted."""
    return urlsplit(str(parts.get("url") or ""))[:2] == urlsplit(place_of(mine.base_url))[:2]


def _not_asked(why: str) -> AskAgain:
    return AskAgain(settings=None, how=f"{why}; write a `baseline_endpoint` to have it called beside this change")
