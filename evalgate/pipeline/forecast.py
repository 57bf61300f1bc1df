"""How many calls a run would make and what they would cost, before the first of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from evalgate.config import read_endpoint
from evalgate.endpoints import KINDS, Settings
from evalgate.endpoints.chat_completions import OpenAI
from evalgate.endpoints.prices import Tokens, pricing_for
from evalgate.errors import InputError
from evalgate.gate.plan import FEW_CASES, FRESH_EPOCHS
from evalgate.pipeline.load import Suite
from evalgate.practices.calibration import cost_per_call
from evalgate.records import Case, Json, Output, Result, Run, Scored
from evalgate.report.numbers import money
from evalgate.scorers.build import judge_of
from evalgate.scorers.judge import Judge

BYTES_PER_TOKEN = 4
"""Rough: 3 to 5 in European languages, about 3 in Chinese."""

TOKENS_PER_MESSAGE = 4
"""What frames each message."""

MOST_RENDERED = 2_000
"""Cases whose prompts are rendered to estimate by; of more, every k-th is."""


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run would use. Unknown is None. First calls are those that every run makes."""

    cases: int
    epochs: int
    categories: dict[str, int]
    calls: int
    """First calls to the endpoint."""
    kept: int = 0
    """Results that the resumed run has answers for already; they are in no other figure."""
    repeats_max: int
    """Of what is in doubt."""
    fresh_calls_max: int
    """Of both sides, before a block."""
    calls_max: int
    """All of these, within `run.max_calls`; retries come on top."""
    judge_calls: int
    """Of the first calls' answers."""
    judge_calls_max: int
    tokens_in: int | None = None
    """Of the first calls and their judges, by the prompts' lengths; roughly."""
    tokens_out_max: int | None = None
    """Of the same, every answer as long as it may be."""
    cost_usd_min: float | None = None
    """Of the same: nothing but the questions, or what earlier runs paid."""
    cost_usd: float | None = None
    """Of the same: what earlier runs paid for as many results, or every answer as long as it may be."""
    cost_usd_max: float | None = None
    """With every repeat and every fresh call."""
    cost_basis: Literal["history", "prompts"] | None = None
    cost_unknown: str | None = None
    """Why there is no `cost_usd`, and what to write; None where there is one."""

    @property
    def sentence(self) -> str:
        """The cost, in a line without a full stop."""
        if self.cost_usd is None:
            return f"cost: unknown before the first call ({self.cost_unknown})"
        most = "" if self.calls_max == self.calls else f", at most {money(self.cost_usd_max)} with every further call"
        if self.cost_basis == "history":
            return f"cost: {money(self.cost_usd)} by earlier runs{most}"
        how = f"by the prompts at {BYTES_PER_TOKEN} bytes a token, answers up to their limit"
        return f"cost: {money(self.cost_usd_min)} to {money(self.cost_usd)} for the first calls ({how}){most}"


def forecast(suite: Suite, environ: Mapping[str, str], known: Sequence[Run] = ()) -> Forecast:
    """What a run of this suite would use: by earlier runs of its baseline, where there are any, else by its prompts.

    What a cache may save is not taken off: nobody knows before how much that is.
    """
    cases, epochs = suite.selected, suite.config.run.epochs
    if not cases:
        return _nothing(epochs)
    counted: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for case in cases:
        counted.update(case.categories)
        judged.update(case.scorers)
    judges = _judges(suite)
    calls = len(cases) * epochs
    asked = sum(judged[key] * judge.samples for key, judge in judges.items()) * epochs
    repeats, fresh = _repeats(suite), _fresh_calls(suite)
    most = calls + repeats + fresh
    if suite.config.run.max_calls is not None:
        most = max(calls, min(most, suite.config.run.max_calls))
    base = Forecast(
        cases=len(cases),
        epochs=epochs,
        categories=dict(sorted(counted.items())),
        calls=calls,
        repeats_max=repeats,
        fresh_calls_max=fresh,
        calls_max=most,
        judge_calls=asked,
        judge_calls_max=round(asked * most / calls),
    )
    base = _by_prompts(suite, environ, base, judges)
    each = cost_per_call(known)
    if each is None:
        return base
    paid = each * calls
    return replace(
        base, cost_usd_min=paid, cost_usd=paid, cost_usd_max=each * most, cost_basis="history", cost_unknown=None
    )


def without_kept(ahead: Forecast, suite: Suite, kept: Mapping[tuple[str, int], Result]) -> Forecast:
    """The forecast of a run that is gone on with; kept: by case and epoch, what it has already."""
    answered, scored = 0, 0
    for case in suite.selected:
        for epoch in range(1, ahead.epochs + 1):
            found = kept.get((case.id, epoch))
            answered += found is not None and found.output is not None
            scored += isinstance(found, Scored)
    if not answered:
        return ahead
    left, unscored = 1 - answered / ahead.calls, 1 - scored / ahead.calls
    paid = None if ahead.cost_usd is None else ahead.cost_usd * (1 - left)
    return replace(
        ahead,
        kept=answered,
        calls=ahead.calls - answered,
        calls_max=ahead.calls_max - answered,
        judge_calls=round(ahead.judge_calls * unscored),
        judge_calls_max=ahead.judge_calls_max - ahead.judge_calls + round(ahead.judge_calls * unscored),
        tokens_in=None if ahead.tokens_in is None else round(ahead.tokens_in * left),
        tokens_out_max=None if ahead.tokens_out_max is None else round(ahead.tokens_out_max * left),
        cost_usd_min=None if ahead.cost_usd_min is None else ahead.cost_usd_min * left,
        cost_usd=None if ahead.cost_usd is None else ahead.cost_usd * left,
        cost_usd_max=None if ahead.cost_usd_max is None or paid is None else ahead.cost_usd_max - paid,
    )


def _nothing(epochs: int) -> Forecast:
    """Of a part without a case: no call, which costs nothing."""
    return Forecast(
        cases=0,
        epochs=epochs,
        categories={},
        calls=0,
        repeats_max=0,
        fresh_calls_max=0,
        calls_max=0,
        judge_calls=0,
        judge_calls_max=0,
        tokens_in=0,
        tokens_out_max=0,
        cost_usd_min=0.0,
        cost_usd=0.0,
        cost_usd_max=0.0,
        cost_basis="prompts",
    )


def _repeats(suite: Suite) -> int:
    rules, cases = suite.config.rules, len(suite.selected)
    if suite.has_fixed_epochs or rules.max_epochs <= 1:
        return 0
    return min(int(rules.extra_calls(cases)), cases * (int(rules.max_epochs) - 1))


def _fresh_calls(suite: Suite) -> int:
    config, cases = suite.config, len(suite.selected)
    if not config.rules.confirm or not suite.can_be_called_again:
        return 0
    sides = 2 if config.baseline_endpoint is not None or config.endpoint_kind == "openai" else 1
    return sides * max(FRESH_EPOCHS * cases, 2 * FRESH_EPOCHS * min(cases, FEW_CASES))


def _judges(suite: Suite) -> dict[str, Judge]:
    found = {key: judge_of(spec) for key, spec in suite.evalset.scorers.items()}
    return {key: judge for key, judge in found.items() if judge is not None}


# ---- by the prompts ---------------------------------------------------------------------------------------


class _Rates:
    """What calls of one endpoint cost, as far as its settings tell."""

    def __init__(self, key: str, settings: Settings | None) -> None:
        """key: where it is written, for whoever has to write more there."""
        self.is_told = isinstance(settings, OpenAI)
        """Whether the settings tell what a request holds; who asks otherwise may put anything into it."""
        self.unknown: str | None = None
        """Why not even a question has a known price."""
        self.longest: int | None = None
        """Most tokens of an answer."""
        self.frame = 0
        """Tokens of every question beside its messages."""
        if not isinstance(settings, OpenAI):
            kind = "" if settings is None else f" of kind {settings.kind}"
            self.unknown = f"`{key}`{kind} tells its price with its answers, if at all"
            return
        limits = [settings.params.get(name) for name in ("max_tokens", "max_completion_tokens")]
        self.longest = next((limit for limit in limits if isinstance(limit, int)), None)
        self.frame = sum(_tokens(part) for part in (settings.system, settings.tools, settings.response_format) if part)
        self._pricing, self._model = pricing_for(settings.base_url, settings.price), settings.model
        if self.usd(1000, 0) is None:
            self.unknown = f"no list has a price of {settings.model} at this address: write `{key}.price`"
        self.unlimited = f"no limit on the length of an answer: write `{key}.params.max_tokens`"

    def usd(self, tokens_in: float, tokens_out: float) -> float | None:
        """Dollars of one call."""
        return self._pricing(Tokens(input=round(tokens_in), output=round(tokens_out)), (self._model,))


def _by_prompts(suite: Suite, environ: Mapping[str, str], base: Forecast, judges: Mapping[str, Judge]) -> Forecast:
    """The forecast with tokens and cost, or why they are unknown."""
    cases = suite.selected[:: -(-base.cases // MOST_RENDERED)]
    weight = base.calls / len(cases)
    mine = _Rates("endpoint", suite.config.endpoint)
    asked = [tokens + mine.frame for case in cases if (tokens := _question(suite, case)) is not None]
    groups = [(mine, sum(asked) / len(asked) if asked else 0.0, base.calls, 0)]
    for key, judge in judges.items():
        questions = [
            sum(_tokens(message) for message in judge.messages(case, Output(text="")))
            for case in cases
            if key in case.scorers and judge.problem(case) is None
        ]
        if questions:
            rates = _Rates("judge", _asked_by(judge, suite, environ))
            each = sum(questions) / len(questions) + rates.frame
            groups.append((rates, each, round(len(questions) * judge.samples * weight), mine.longest or 0))
    unknown = next((rates.unknown for rates, *_ in groups if rates.unknown is not None), None)
    if not all(rates.is_told for rates, *_ in groups):
        return replace(base, cost_unknown=unknown)
    base = replace(base, tokens_in=round(sum((each + answer) * calls for _, each, calls, answer in groups)))
    endless = next((rates.unlimited for rates, *_ in groups if rates.longest is None), None)
    if endless is None:
        base = replace(base, tokens_out_max=sum((rates.longest or 0) * calls for rates, _, calls, _ in groups))
    if unknown is not None:
        return replace(base, cost_unknown=unknown)
    least = sum((rates.usd(each, 0) or 0.0) * calls for rates, each, calls, _ in groups)
    if endless is not None:
        return replace(base, cost_usd_min=least, cost_unknown=endless)
    dearest = sum(
        (rates.usd(each + answer, rates.longest or 0) or 0.0) * calls for rates, each, calls, answer in groups
    )
    return replace(
        base,
        cost_usd_min=least,
        cost_usd=dearest,
        cost_usd_max=dearest * base.calls_max / base.calls,
        cost_basis="prompts",
    )


def _question(suite: Suite, case: Case) -> int | None:
    """Tokens of a case's messages; None where it cannot be rendered: its result will say so."""
    try:
        return sum(_tokens(message) for message in suite.renderer()(case, 1).messages)
    except InputError:
        return None


def _asked_by(judge: Judge, suite: Suite, environ: Mapping[str, str]) -> Settings | None:
    """The endpoint that a judge asks."""
    if judge.endpoint is None:
        settings: Settings | None = suite.config.judge
        return settings
    own: Settings = read_endpoint(judge.endpoint, base_dir=suite.config.base_dir, environ=environ, endpoint_kinds=KINDS)
    return own


def _tokens(value: Json) -> int:
    """Of a message, or of what else stands in a request; roughly."""
    if isinstance(value, Mapping) and isinstance(value.get("content"), str):
        return TOKENS_PER_MESSAGE + _tokens(value["content"])
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)
