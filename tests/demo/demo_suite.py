"""The bundled suite as tests use it: its cases through the real loader, its scorers, the assistant in process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalgate.config import load_evalsets
from evalgate.demo import evalsets_dir
from evalgate.records import Case, EvalSet, Output, Request, weighted_mean
from evalgate.scorers import KINDS, SHORTHAND
from evalgate.scorers.build import build, check

REPOSITORY = Path(__file__).resolve().parents[2]


def load_suite() -> EvalSet:
    """Every case of `handbook-*.yaml`."""
    return load_evalsets(
        ["handbook-*.yaml"],
        base_dir=evalsets_dir(),
        scorer_kinds=KINDS,
        shorthand=SHORTHAND,
        check_scorer=check,
        problem=lambda spec, case: build(spec).problem(case),
        rule_categories={},
    )


class Marks:
    """Scores what the assistant answered, with the scorers that the eval set names."""

    def __init__(self, suite: EvalSet) -> None:
        self._scorers = {key: build(spec) for key, spec in suite.scorers.items()}

    def __call__(self, case: Case, answered: Mapping[str, Any]) -> float:
        output = Output(text=answered["text"], contexts=tuple(answered["contexts"]))
        return weighted_mean([self._scorers[key].score_now(case, output) for key in case.scorers])


def make_request(prompt: str, *, earlier: str | None = None, **params: Any) -> Request:
    """A request as the runner makes one. earlier: a question that was asked before, with an answer to it."""
    before = () if earlier is None else ({"role": "user", "content": earlier}, {"role": "assistant", "content": "…"})
    case = Case(id="case-1", categories=("facts",), input=prompt)
    messages = (*before, {"role": "user", "content": prompt})
    return Request(case=case, epoch=1, prompt=prompt, messages=messages, params=params)
