"""The configuration, its eval sets and its endpoints: could a run begin, and what would it be worth?"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from evalgate.config.key_hosts import NAME as KEY_HOSTS
from evalgate.config.key_hosts import KeyHosts
from evalgate.endpoints import Settings
from evalgate.errors import CallError, InputError
from evalgate.pipeline.doctor.asked import Asked, Loaded
from evalgate.pipeline.doctor.check import UNREACHED, Check, fail, failures, ok, skipped, split, warn
from evalgate.report.numbers import count, money, seconds

if TYPE_CHECKING:
    from evalgate.config import Config
    from evalgate.pipeline.load import Suite

# ---- configuration ----------------------------------------------------------------------------------------


def look(asked: Asked) -> tuple[list[Check], Loaded]:
    """Configuration and eval sets as `evalgate validate` reads them."""
    from evalgate.pipeline.load import load_config, load_suite

    try:
        config = load_config(asked.config, asked.environ)
    except InputError as error:
        return failures("configuration", error), Loaded(config=None, suite=None)
    found = [ok("configuration", f"{asked.config}: suite {config.suite}, endpoint of kind {config.endpoint_kind}")]
    try:
        suite = load_suite(asked.config, asked.environ)
    except InputError as error:
        return [*found, *failures("eval sets", error)], Loaded(config=config, suite=None)
    return [*found, *_cases(suite, asked), *_begins(suite, asked)], Loaded(config=config, suite=suite)


def _cases(suite: Suite, asked: Asked) -> list[Check]:
    from evalgate.pipeline.estimate import outlook

    ahead = outlook(suite, asked.environ, now=asked.now)
    sizes = ahead.forecast.categories
    groups = "1 category" if len(sizes) == 1 else f"{len(sizes)} categories"
    smallest = min(sizes, key=lambda name: (sizes[name], name))
    found = [
        ok(
            "eval sets",
            f"{count(len(suite.selected), 'case')} in {groups}; the smallest, {smallest}, has {sizes[smallest]:,}",
        ),
        ok("price of a run", ahead.forecast.sentence.removeprefix("cost: ")),
    ]
    for remark in ahead.remarks:
        kind, _, text = remark.partition(": ")
        if kind == "warning":
            found.append(warn("what the gate can see", *split(text)))
    if not any(check.name == "what the gate can see" for check in found):
        found.append(ok("what the gate can see", "every rule can fail, as far as is known before a run"))
    return found


def _begins(suite: Suite, asked: Asked) -> list[Check]:
    """Whether endpoint and scorers open: the user's own code is loaded for it, and called for nothing."""
    from evalgate.pipeline.execute import preflight

    lacking = suite.config.endpoint.missing_credentials(asked.environ)
    if lacking is not None:
        return [skipped("scorers and endpoint", "they open once the key is there")]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            built = preflight(suite, asked.environ)
    except InputError as error:
        return failures("scorers and endpoint", error)
    return [ok("scorers and endpoint", f"the endpoint and {count(len(built), 'scorer')} open")]


# ---- endpoints --------------------------------------------------------------------------------------------


def look_at_endpoints(asked: Asked, loaded: Loaded) -> list[Check]:
    """Keys, where they would go, and whether anybody is there. Sends nothing, unless a call was asked for."""
    if loaded.config is None:
        return [skipped("endpoint", "the configuration has to be read first")]
    found = []
    for name, settings in _endpoints(loaded.config):
        found += [*_key(name, settings, asked.environ), *_server(name, settings, asked)]
    found += _bound(loaded.config, asked)
    if asked.calls:
        found += _call(asked, loaded)
    return found


def _endpoints(config: Config) -> Iterator[tuple[str, Settings]]:
    yield "endpoint", config.endpoint
    if config.baseline_endpoint is not None:
        yield "baseline_endpoint", config.baseline_endpoint
    if config.judge is not None:
        yield "judge", config.judge


def _key(name: str, settings: Settings, environ: Mapping[str, str]) -> list[Check]:
    variable = getattr(settings, "api_key_env", None)
    lacking = settings.missing_credentials(environ)
    if lacking is not None:
        advice = (
            "Set it; in GitHub Actions pass it to the gate's step: env: {NAME: ${{ secrets.NAME }}}. Without it the "
            "verdict is not_evaluated."
        )
        return [fail(f"{name}: key", lacking, advice)]
    if variable is None:
        return [skipped(f"{name}: key", "no key is named")] if settings.kind in ("openai", "http") else []
    if environ[variable] != environ[variable].strip():
        advice = "It is cut off when the key is sent; other programs may not do that. Set it again without."
        return [warn(f"{name}: key", f"{variable} is set, with white space at an end", advice)]
    return [ok(f"{name}: key", f"{variable} is set")]


def _bound(config: Config, asked: Asked) -> list[Check]:
    """Whether a pull request that names another host would get the key."""
    if not any(settings.secrets(asked.environ) for _, settings in _endpoints(config)):
        return []
    hosts = KeyHosts.of(asked.environ)  # a value that cannot be read was a fault of the configuration
    if hosts is not None:
        return [ok("key hosts", f"{KEY_HOSTS} binds {', '.join(sorted(hosts.allowed))}")]
    if asked.situation is None:
        return [skipped("key hosts", f"{KEY_HOSTS} is not set here; in CI it keeps a pull request from moving the key")]
    advice = f"Set {KEY_HOSTS} beside the key: else a pull request that names another host in the URL gets it."
    return [warn("key hosts", f"{KEY_HOSTS} is not set", advice)]


def _server(name: str, settings: Settings, asked: Asked) -> list[Check]:
    from evalgate.endpoints.http_settings import is_near
    from evalgate.endpoints.reach import reach, server_of

    url = server_of(settings)
    if url is None:
        return [skipped(f"{name}: server", f"an endpoint of kind {settings.kind} has none")]
    found = []
    if urlsplit(url).scheme == "http" and not is_near(url) and settings.secrets(asked.environ):
        host = urlsplit(url).hostname
        found.append(warn(f"{name}: way", f"the key goes to {host} unencrypted", "Write https:// in the URL."))
    if asked.is_offline:
        return [*found, skipped(f"{name}: server", "offline")]
    try:
        place = reach(url, asked.environ, timeout_s=asked.timeout_s)
    except CallError as error:
        return [*found, fail(f"{name}: server", *split(str(error)), exit_code=UNREACHED)]
    except InputError as error:
        return [*found, *failures(f"{name}: server", error)]
    return [*found, ok(f"{name}: server", f"{place} takes connections (nothing was sent)")]


def _call(asked: Asked, loaded: Loaded) -> list[Check]:
    if loaded.suite is None or asked.is_offline:
        why = "offline" if asked.is_offline else "the eval sets have to be read first"
        return [skipped("endpoint: call", why)]
    if loaded.suite.config.endpoint.missing_credentials(asked.environ) is not None:
        return [skipped("endpoint: call", "there is no key")]
    from evalgate.pipeline.doctor.calling import first_answer

    try:
        with contextlib.redirect_stdout(sys.stderr):
            case, output = first_answer(loaded.suite, asked.environ)
    except CallError as error:
        return [fail("endpoint: call", *split(str(error)), exit_code=UNREACHED)]
    except InputError as error:
        return failures("endpoint: call", error)
    tokens = "" if output.tokens_in is None else f", {output.tokens_in:,} tokens in, {output.tokens_out or 0:,} out"
    cost = "price unknown" if output.cost_usd is None else money(output.cost_usd)
    return [ok("endpoint: call", f"case {case} was answered in {seconds(output.latency_s)}{tokens}, {cost}")]
