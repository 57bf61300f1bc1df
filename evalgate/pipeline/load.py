"""Configuration and eval sets, loaded and checked against every name that the other stages know."""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from evalgate import config as configuration
from evalgate import endpoints, gate, scorers
from evalgate.config import Config, Renderer
from evalgate.errors import CallError, CallFault, Fault, InputError
from evalgate.history.place import password_of
from evalgate.masking import secrets_in
from evalgate.pipeline.selection import Selection, select
from evalgate.records import Case, EvalSet, Exceptions, Json, Output, ScorerSpec, Version, fingerprint_of
from evalgate.scorers.build import Scorer, build, check
from evalgate.scorers.own import offered
from evalgate.spool import Names, gathered

DEFAULT_CONFIG = Path("evalgate.yaml")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """Everything that is known before the first call."""

    config: Config
    evalset: EvalSet
    selected: Sequence[Case]
    """The cases to run; all of the eval set's where nothing was selected. On disk where they are many."""
    selection: str | None
    """Which part that is; None: all of it."""
    changed_since: str | None = None
    """The run that speaks for the cases left out, since nothing about them has changed; None: no run does."""
    notes: tuple[str, ...] = ()
    """What a reader of its results has to know, one sentence each."""
    are_epochs_asked: bool = False
    """Whether somebody said how often each case is to be repeated in this run."""
    secrets: Mapping[str, str]
    """Values that secret-looking variables have filled in, each with the name that may be shown instead."""

    @property
    def has_fixed_epochs(self) -> bool:
        """Whether the repeats are fixed beforehand: by this call, by a number above 1 in the configuration, or since
        the endpoint cannot be called again."""
        return self.are_epochs_asked or self.config.run.epochs != 1 or not self.can_be_called_again

    @property
    def can_be_called_again(self) -> bool:
        """Whether another call may give another answer: a replay has the recorded ones and no other."""
        return self.config.endpoint_kind != "replay"

    @cached_property
    def order(self) -> Sequence[int]:
        """The places of the selected cases in the order of their ids."""
        return Names(case.id for case in self.selected).order()

    def by_id(self, ids: Collection[str] | None = None) -> Sequence[Case]:
        """The selected cases sorted by id; only these where some are given."""
        wanted = None if ids is None else frozenset(ids)
        sorted_cases = (self.selected[place] for place in self.order)
        return gathered(case for case in sorted_cases if wanted is None or case.id in wanted)

    @cached_property
    def contents(self) -> Names:
        """The fingerprint of each selected case's content, in their order."""
        return Names(case.content() for case in self.selected)

    @cached_property
    def selected_content(self) -> str:
        """Fingerprint of the selected cases' contents, whatever their order."""
        return fingerprint_of(self.contents[place] for place in self.contents.order())

    def content(self) -> str:
        """Fingerprint of the whole eval set, whatever is selected of it."""
        is_whole = len(self.selected) == len(self.evalset.cases)
        return self.selected_content if is_whole else self.evalset.content()

    def renderer(self) -> Renderer:
        return Renderer(self.evalset, self.config.endpoint.params)

    def discreetly(self, value: Json) -> Json:
        """A copy in which each secret of the configuration is its variable's name."""
        return _without(value, self.secrets)

    def known_secrets(self, environ: Mapping[str, str]) -> list[str]:
        """What must not be kept or shown, whoever repeats it: every endpoint's keys, the history's password, what
        secret variables have filled in, and what the environment calls a secret."""
        config = self.config
        asked = [settings for settings in (config.endpoint, config.baseline_endpoint, config.judge) if settings]
        keys = [secret for settings in asked for secret in settings.secrets(environ)]
        return [*keys, *self.secrets, *password_of(config.history_store), *secrets_in(environ)]

    def version(self) -> Version:
        """What is tested: the endpoint's identity and the prompts' templates."""
        parts: dict[str, Json] = self.discreetly(self.config.endpoint.identity(self.config.base_dir))
        if self.evalset.templates:
            parts["templates"] = [self.evalset.templates[key] for key in sorted(self.evalset.templates)]
        return Version.of(parts)


def load_config(
    path: Path, environ: Mapping[str, str], *, needs_endpoint: bool = True, needs_store: bool = True
) -> Config:
    """The configuration in this file, its endpoint and its rules checked. Raises InputError with every fault."""
    return configuration.load_config(
        path,
        environ=environ,
        endpoint_kinds=endpoints.KINDS,
        check_rules=gate.parse_rules,
        needs_endpoint=needs_endpoint,
        needs_store=needs_store,
    )


def load_suite(path: Path, environ: Mapping[str, str], selection: Selection | None = None) -> Suite:
    """A suite ready to run. Raises InputError with every fault that can be known before the first call."""
    config = load_config(path, environ)
    evalset = load_evalset(config)
    _check_exceptions(config.exceptions, evalset)
    chosen = select(evalset, selection or Selection())
    is_whole = len(chosen) == len(evalset.cases)
    return Suite(
        config=config,
        evalset=evalset,
        selected=chosen,
        selection=None if is_whole else str(selection),
        secrets=secret_variables(config, environ),
    )


def _check_exceptions(exceptions: Exceptions, evalset: EvalSet) -> None:
    categories = {name for case in evalset.cases for name in case.categories} if exceptions.waivers else set()
    ids = {case.id for case in evalset.cases} if exceptions.quarantine else set()
    faults = configuration.check_exceptions(exceptions, categories, ids)
    if faults:
        raise InputError(faults)


_SECRET_NAME = re.compile(r"\$\{([A-Za-z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL)[A-Za-z0-9_]*)\}", re.IGNORECASE)


def secret_variables(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """Values that secret-looking variables have filled in, each with the name that may be shown instead."""
    names = set(
        _SECRET_NAME.findall(
            json.dumps([config.raw.get(key) for key in ("endpoint", "baseline_endpoint")], default=str)
        )
    )
    return {environ[name]: f"${{{name}}}" for name in sorted(names) if environ.get(name)}


def _without(value: Json, secrets: Mapping[str, str]) -> Any:
    """A copy in which each secret is its variable's name."""
    if isinstance(value, dict):
        return {key: _without(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_without(item, secrets) for item in value]
    if isinstance(value, str):
        for secret, name in secrets.items():
            value = value.replace(secret, name)
    return value


def load_evalset(config: Config) -> EvalSet:
    """Every case of the suite. Raises InputError with every fault of every file."""
    return configuration.load_evalsets(
        config.evalsets,
        base_dir=config.base_dir,
        scorer_kinds=scorer_kinds(),
        shorthand=scorers.SHORTHAND,
        check_scorer=check,
        problem=_problem(),
        rule_categories=config.rule_categories,
        pattern_places=config.pattern_places,
    )


def scorer_kinds() -> Mapping[str, type]:
    """Every scorer that a name alone can ask for, with those of installed packages."""
    return ChainMap(dict.fromkeys(offered(), object), scorers.KINDS)  # type: ignore[arg-type]


def _problem() -> Callable[[ScorerSpec, Case], str | None]:
    """Asks each scorer, built once, why it could never judge a case. Nobody is called, a judge neither."""
    # By identity, since the eval set's table has each spec once: its key would be made anew for each case.
    built: dict[int, Scorer] = {}

    def problem(spec: ScorerSpec, case: Case) -> str | None:
        scorer = built.get(id(spec))
        if scorer is None:
            scorer = built[id(spec)] = build(spec, open_judge=_Nobody)
        return scorer.problem(case)

    return problem


class _Nobody:
    """Stands where a judge's endpoint will be, while cases are only checked."""

    identity: Mapping[str, Json] = MappingProxyType({})

    def __init__(self, wanted: Mapping[str, Json] | None) -> None:
        """wanted: the judge's own `endpoint`, checked when it is opened."""

    async def ask(self, messages: list[dict[str, Json]], response_format: Mapping[str, Json] | None) -> Output:
        raise CallError(CallFault.CODE, "cases are being checked: no judge is asked")


def with_epochs(suite: Suite, epochs: int | None) -> Suite:
    """The suite with another number of repetitions; None changes nothing."""
    if epochs is None:
        return suite
    if epochs < 1:
        raise InputError(Fault(where="--epochs", what=f"{epochs} is no number of repetitions from 1"))
    config = replace(suite.config, run=replace(suite.config.run, epochs=epochs))
    return replace(suite, config=config, are_epochs_asked=True)
