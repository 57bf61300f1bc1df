"""From a scorer as it was asked for to one that judges, and the one door through which every mark passes.

A value that is no number in [0, 1] is refused here, never clipped; an exception becomes a ScorerError, never a zero.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from evalgate.errors import CallError, InputError, ScorerError
from evalgate.records import Case, Json, Output, Score, ScorerSpec, fingerprint
from evalgate.scorers import KINDS
from evalgate.scorers.interface import Mark, OpenJudge
from evalgate.scorers.own import OwnFunction, described, faults_of, is_own, load_file, load_offered, offered
from evalgate.scorers.wording import did_you_mean, quoted, scalar_text, sentence

if TYPE_CHECKING:
    from evalgate.scorers.judge import Judge

Judgement: TypeAlias = Callable[[Case, Output], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Scorer:
    """One scorer, ready to judge. Equal specs may share one; it keeps nothing from one output to the next."""

    name: str
    version: str
    """Kind or source, with a fingerprint of whatever else the judgement depends on."""
    weight: float
    is_async: bool
    """Whether it waits for something: then `score`, else `score_now`."""
    is_beside: ClassVar[bool] = False
    """It judges where it is called."""
    _judge: Judgement = field(repr=False)
    _problem: Callable[[Case], str | None] = field(repr=False)
    _own: OwnFunction | None = field(default=None, repr=False)

    def problem(self, case: Case) -> str | None:
        """What this case lacks for this scorer, and what to write; None: nothing. Known before any call."""
        return self._problem(case)

    def score_now(self, case: Case, output: Output) -> Score:
        """The judgement of a scorer that waits for nothing. Raises ScorerError."""
        try:
            given = self._judge(case, output)
        except (Exception, SystemExit) as error:
            raise self._fault(error) from error
        return self._score(given)

    async def score(self, case: Case, output: Output) -> Score:
        """The judgement. Raises ScorerError; a judge's CallError that another attempt may mend passes through."""
        try:
            given = self._judge(case, output)
            if inspect.isawaitable(given):
                given = await given
        except (Exception, SystemExit) as error:
            if isinstance(error, CallError) and error.is_retryable:
                raise
            raise self._fault(error) from error
        return self._score(given)

    def _score(self, given: object) -> Score:
        if inspect.isawaitable(given):
            if inspect.iscoroutine(given):
                given.close()
            raise ScorerError(f"scorer {self.name}: returned something to wait for; write it as `async def`")
        try:
            mark = as_mark(given)
        except Unusable as error:
            raise ScorerError(f"scorer {self.name}: {error}") from error
        except Exception as error:  # what a user's code returned may be an object of any behaviour
            raise self._fault(error) from error
        return Score(scorer=self.name, value=mark.value, reason=mark.reason, version=self.version, weight=self.weight)

    def _fault(self, error: BaseException) -> ScorerError:
        said = str(error) if isinstance(error, ScorerError) else described(error, self._own)
        return ScorerError(f"scorer {self.name}: {said}")


class Unusable(Exception):
    """What a scorer returned is no value in [0, 1]."""


def as_mark(given: object) -> Mark:
    """What a scorer returned as a value in [0, 1] with a reason. Raises Unusable for anything that is no such value.

    Taken are a bool, a number, `(value, reason)`, a Mark, a Score, and a mapping with `value` or `score` and, if it has
    one, `reason`.
    """
    value: object
    reason: object = None
    if isinstance(given, Mark | Score):
        value, reason = given.value, given.reason
    elif isinstance(given, tuple):
        if len(given) != 2:
            raise Unusable(f"returned {len(given)} values; return a number, or (number, reason)")
        value, reason = given
    elif isinstance(given, Mapping):
        value, reason = _from_mapping(given), given.get("reason")
    else:
        value = given
    number = _number(value)
    if reason is None or reason == "":
        return Mark(value=number, reason=f"{number:g}, no reason given")
    if not isinstance(reason, str):
        raise Unusable(f"returned a reason of type {type(reason).__name__}; return a text")
    return Mark(value=number, reason=sentence(reason))


def _from_mapping(given: Mapping[Any, Any]) -> object:
    unknown = [key for key in given if key not in ("value", "score", "reason")]
    if unknown:
        raise Unusable(f"returned a mapping with the key {quoted(str(unknown[0]), 40)}; use `value` and `reason`")
    if ("value" in given) == ("score" in given):
        raise Unusable("returned a mapping without exactly one of `value` and `score`")
    return given["value"] if "value" in given else given["score"]


def _number(value: object) -> float:
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()  # type: ignore[attr-defined]
    if not isinstance(value, bool | int | float):
        raise Unusable(f"returned {quoted(repr(value), 40)} ({type(value).__name__}); return a number in [0, 1]")
    if not 0 <= value <= 1:  # true for NaN too
        raise Unusable(f"returned {value!r:.40}, which is not in [0, 1]; divide by the highest possible value")
    return float(value) + 0.0  # no negative zero


# ---- checking and building --------------------------------------------------------------------------------


def check(spec: ScorerSpec) -> list[str]:
    """What is wrong with this spec beyond the types of its options, one sentence each; empty: it can be built.

    Reads files that it names, executes none of them.
    """
    found = (
        [] if math.isfinite(spec.weight) and spec.weight > 0 else [f"`weight` is {spec.weight:g}: write more than 0"]
    )
    if is_own(spec.name):
        return found + faults_of(spec)
    kind = KINDS.get(spec.name)
    if kind is None:
        names = offered()
        if spec.name in names:
            return found
        known = [*KINDS, *names]
        return [
            *found,
            f"unknown scorer `{spec.name}`.{did_you_mean(spec.name, known) or ' Known: ' + ', '.join(known)}",
        ]
    try:
        return [*found, *_kind(kind, spec).faults()]
    except InputError as error:
        return found + [fault.what for fault in error.faults]


def build(spec: ScorerSpec, *, open_judge: OpenJudge | None = None) -> Scorer:
    """The scorer that a spec asks for. Raises InputError for what `check` finds and for code that does not load.

    open_judge: gives a judge's endpoint for its `endpoint` option; without it no judge can be built.
    """
    faults = check(spec)
    if faults:
        raise InputError("; ".join(f"scorer `{spec.name}`: {fault}" for fault in faults))
    if is_own(spec.name) or spec.name not in KINDS:
        return _own_scorer(spec)
    kind = _kind(KINDS[spec.name], spec)
    if spec.name == "judge":
        return _judge_scorer(spec, kind, open_judge)
    return Scorer(
        name=spec.name,
        version=_version(kind.VERSION, _said(kind)),
        weight=spec.weight,
        is_async=inspect.iscoroutinefunction(kind.mark),
        _judge=kind.mark,
        _problem=kind.problem,
    )


def judge_of(spec: ScorerSpec) -> Judge | None:
    """The judge that a checked spec asks for, whose questions can be told without asking; None: it is no judge."""
    if spec.name != "judge":
        return None
    judge: Judge = _kind(KINDS["judge"], spec)
    return judge


def _own_scorer(spec: ScorerSpec) -> Scorer:
    function = load_file(spec) if is_own(spec.name) else load_offered(spec)
    options = dict(spec.options)
    call = function.call
    return Scorer(
        name=spec.name,
        version=_version(function.version, options),
        weight=spec.weight,
        is_async=_is_async(call),
        _judge=(lambda case, output: call(case, output, **options)) if options else call,
        _problem=lambda case: None,
        _own=function,
    )


def _is_async(call: Callable[..., Any]) -> bool:
    """Whether calling it gives something to wait for: `async def`, or an object whose `__call__` is."""
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)


def _judge_scorer(spec: ScorerSpec, kind: Judge, open_judge: OpenJudge | None) -> Scorer:
    from evalgate.scorers.judge import PROMPT_VERSION

    if open_judge is None:
        raise InputError("scorer `judge`: there is no endpoint to ask. Give it an `endpoint`")
    endpoint = open_judge(kind.endpoint)

    def ask(case: Case, output: Output) -> Awaitable[Mark]:
        return kind.mark(case, output, endpoint)

    said = {name: value for name, value in _said(kind).items() if name != "endpoint"}
    depends = {"options": said, "prompt": PROMPT_VERSION, "endpoint": dict(endpoint.identity)}
    return Scorer(
        name=spec.name,
        version=_version(kind.VERSION, depends),
        weight=spec.weight,
        is_async=True,
        _judge=ask,
        _problem=kind.problem,
    )


def _version(base: str, depends: Mapping[str, Json]) -> str:
    return f"{base}+{fingerprint(depends)}" if depends else base


def _said(kind: Any) -> dict[str, Json]:
    """The options that differ from their defaults: writing a default out changes no version."""
    said = {}
    for option in dataclasses.fields(kind):
        value = _jsonable(getattr(kind, option.name))
        if option.default is dataclasses.MISSING or value != _jsonable(option.default):
            said[option.name] = value
    return said


def _jsonable(value: Any) -> Json:
    return json.loads(json.dumps(value, default=str))


def _kind(kind: type[Any], spec: ScorerSpec) -> Any:
    """The kind with these options, files read. Raises InputError for unknown and absent ones."""
    fields = {option.name: option for option in dataclasses.fields(kind)}
    for name in spec.options:
        if name not in fields:
            raise InputError(f"no option `{name}`.{did_you_mean(name, fields) or ' Options: ' + ', '.join(fields)}")
    for name, option in fields.items():
        if option.default is dataclasses.MISSING and name not in spec.options:
            raise InputError(f"the option `{name}` is required")
    options = {name: _frozen(value) for name, value in spec.options.items()}
    if spec.name == "json_schema" and isinstance(options["schema"], str):
        options["schema"] = _schema(options["schema"], spec)
    if spec.name == "judge" and isinstance(options["rubric"], Mapping):
        options["rubric"] = _rubric(options["rubric"], spec)
    return kind(**options)


def _frozen(value: Json) -> Json:
    return tuple(value) if isinstance(value, list) else value


def _schema(written: str, spec: ScorerSpec) -> Mapping[str, Json]:
    from evalgate.scorers.structure import NoJson, parse_json

    try:
        schema = parse_json(_file_text(written, spec))
    except NoJson as error:
        raise InputError(f"the schema file `{written}` is no JSON: {error}") from error
    if not isinstance(schema, dict):
        raise InputError(f"the schema file `{written}` holds no JSON object")
    return schema


def _rubric(written: Mapping[str, str], spec: ScorerSpec) -> str:
    if set(written) != {"file"}:
        raise InputError(f"`rubric` is a text, or `{{file: path}}`, not {scalar_text(sorted(written))}")
    return _file_text(written["file"], spec)


def _file_text(written: str, spec: ScorerSpec) -> str:
    try:
        return (Path(spec.base_dir) / Path(written).expanduser()).read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"there is no file `{written}`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the file `{written}` cannot be read: {error}") from error
