"""How the baseline can be asked again before a block: its stored requests, or an endpoint that stands for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from evalgate.config import Config
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.http_settings import place_of
from evalgate.errors import InputError
from evalgate.history.store import History
from evalgate.pipeline.load import Suite
from evalgate.pipeline.session import AskAgain
from evalgate.records import Baseline, Json, Missing, fingerprint

PARTS = ("model", "system", "tools", "response_format", "contexts", "params")
"""What of a stored version makes its requests, beside the server and the messages."""

NAME_ONE = "write a `baseline_endpoint` to have it called beside this change"


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


def asking_again(config: Config, baseline: Baseline, history: History) -> AskAgain:
    """How the first run of this baseline can be asked again, or why not."""
    if config.baseline_endpoint is not None:
        return AskAgain(settings=config.baseline_endpoint, how="the baseline was asked through `baseline_endpoint`")
    if isinstance(baseline, Missing):
        return AskAgain(settings=None, how="there is no baseline to ask")
    first = baseline.runs[0]
    parts, mine = first.version.parts, config.endpoint
    if not isinstance(mine, OpenAI) or parts.get("kind") != "openai":
        return AskAgain(settings=None, how=f"its baseline cannot be called again; {NAME_ONE}")
    if not history.has_requests(first.id):
        return AskAgain(settings=None, how=f"the baseline's requests are not in the history: {NAME_ONE}")
    if "${" in json.dumps({name: parts.get(name) for name in PARTS}, default=str):
        return AskAgain(settings=None, how=f"a secret in the baseline's requests is not kept: {NAME_ONE}")
    url = str(parts.get("url") or "")
    if urlsplit(url).netloc != urlsplit(place_of(mine.base_url)).netloc:
        # A key goes to the host that the configuration names, never to one that a history names.
        return AskAgain(settings=None, how=f"the baseline was served by another host: {NAME_ONE}")
    settings = replace(mine, **_known(parts), base_url=mine.base_url if url == place_of(mine.base_url) else url)
    return AskAgain(
        settings=settings,
        how="the baseline's stored requests were sent again",
        read_requests=partial(history.requests, first.id),
    )


def _known(parts: Mapping[str, Json]) -> dict[str, Any]:
    return {name: parts[name] for name in PARTS if name in parts}
