"""Recorded results: rows that any harness can write, checked at the door and turned into a `Run`.

A row is a mapping with `id`, `category` (a text or a list) and exactly one of `score` (alias `correct`; or
`scores: {name: value}`) and `error`. Optional: `epoch` (from 1), `output`, `latency_s`, `tokens_in`, `tokens_out`,
`cost_usd`, `model`, `contexts`, `tool_calls`, `input`, `messages`, `expected` (alias `reference`), `cluster` (cases
that share a context) and `critical`. Other columns are kept as the case's metadata.
This module knows no file and no store: it is given rows and gives a run.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from evalgate.errors import Fault, InputError
from evalgate.records import (
    EVERY_CASE,
    NAMED,
    CaseRef,
    EvalSet,
    Failed,
    Json,
    Output,
    Result,
    Run,
    Score,
    Scored,
    Stage,
    ToolCall,
    Usage,
    Version,
    fingerprint,
    weighted_mean,
)

MOST_FAULTS = 20
"""Faults told at once; a file with a wrong column has one in each row."""

_COLUMNS = (
    "id category score correct scores error epoch output latency_s tokens_in tokens_out cost_usd model contexts "
    "tool_calls input messages expected reference cluster critical"
)
KNOWN = frozenset(_COLUMNS.split())
"""Columns with a meaning; the others are the case's metadata."""

NUMBERS = ("latency_s", "tokens_in", "tokens_out", "cost_usd")

OUTPUT = frozenset({*NUMBERS, "output", "model", "contexts", "tool_calls"})
"""Columns that tell of the call."""

NO_OUTPUT = Output()


@dataclass(kw_only=True)
class _Cases:
    """The cases met so far, and what the rows say of them."""

    refs: dict[str, CaseRef] = field(default_factory=dict)
    results: dict[tuple[str, int], Result] = field(default_factory=dict)
    places: dict[tuple[str, int], str] = field(default_factory=dict)
    first_epochs: dict[str, int] = field(default_factory=dict)


def run_from_rows(
    rows: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    id: str,
    suite: str,
    created: datetime,
    name: str,
    evalset: EvalSet | None = None,
    commit: str | None = None,
    branch: str | None = None,
) -> Run:
    """A run of these rows, its cases and results sorted, whatever the order of the rows.

    rows: each with its place for messages (`results.jsonl:12`, `candidate row 3`). name: what all of them are called.
    evalset: the cases that were to run; it gives categories, and a case of it without a row counts as missing.
    Raises InputError with every fault found (at most 20): no row, duplicate (id, epoch), a score that is no number
    in [0, 1], both or neither of a score and an error, no category.
    """
    known = {case.id: case for case in evalset.cases} if evalset else None
    found = _Cases()
    faults: list[Fault] = []
    for place, row in rows:
        faults.extend(_read(row, place, found, known))
        if len(faults) >= MOST_FAULTS:
            break
    if faults:
        raise InputError(faults[:MOST_FAULTS])
    if not found.results:
        raise InputError(Fault(where=name, what="no row", hint="Recorded results need at least one row."))
    refs = dict(found.refs)
    if evalset is not None:
        bare = [case for case in evalset.cases if not case.categories and case.id not in refs]
        if bare:
            what = f"case {bare[0].id!r} has no category, neither there nor in a row"
            raise InputError(Fault(where=str(bare[0].source), what=what, hint="Add `category` to the eval set."))
        refs.update({case.id: _planned(case, refs.get(case.id)) for case in evalset.cases})
    results = tuple(found.results[key] for key in sorted(found.results))
    return Run(
        id=id,
        suite=suite,
        created=created,
        cases=tuple(refs[case_id] for case_id in sorted(refs)),
        results=results,
        epochs=max(result.epoch for result in results),
        commit=commit,
        branch=branch,
        version=_version(results),
        evalset=evalset.content() if evalset else None,
        origin="import",
        usage=usage_of(results),
    )


def _read(row: Any, place: str, found: _Cases, known: Mapping[str, Any] | None) -> Iterator[Fault]:
    if not isinstance(row, Mapping):
        yield Fault(where=place, what=f"a row is a mapping, this is {type(row).__name__}")
        return
    row = {str(key): value for key, value in row.items() if not _is_absent(value)}
    case_id, categories, faults = _identity(row, place, known)
    epoch = _epoch(row, place, faults)
    result, problems = _result(row, place, case_id, epoch)
    faults.extend(problems)
    if faults or result is None:
        yield from faults
        return
    key = (case_id, epoch)
    if key in found.results:
        yield Fault(
            where=place,
            what=f"case {case_id!r}, epoch {epoch} stands twice (first in {found.places[key]})",
            hint="Give repeats an `epoch` of their own: 1, 2, …",
        )
        return
    earlier = found.refs.get(case_id)
    if earlier is not None and earlier.categories != categories:
        yield Fault(
            where=place,
            what=f"case {case_id!r} is of category {', '.join(categories)} here "
            f"and of {', '.join(earlier.categories)} before",
        )
        return
    if earlier is None or epoch < found.first_epochs[case_id]:
        # What a case asks is as its first epoch says, wherever that row stands.
        found.refs[case_id], found.first_epochs[case_id] = _ref(row, case_id, categories), epoch
    found.results[key], found.places[key] = result, place


def _ref(row: Mapping[str, Any], case_id: str, categories: tuple[str, ...]) -> CaseRef:
    return CaseRef(
        id=case_id,
        categories=categories,
        input=row.get("input", row.get("messages")),
        expected=row.get("expected", row.get("reference")),
        scorers=NAMED + ",".join(sorted(map(str, row["scores"]))) if isinstance(row.get("scores"), Mapping) else None,
        critical=row.get("critical") is True,
        cluster=_cluster(row),
        metadata={name: value for name, value in row.items() if name not in KNOWN},
    )


def _cluster(row: Mapping[str, Any]) -> str | None:
    value = row.get("cluster")
    return None if value is None or _is_nan(value) else str(value)


def _is_absent(value: Any) -> bool:
    """None, and the marks by which tables (pandas) say that a cell is empty, NaN excepted: a NaN *score* is a fault."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _epoch(row: dict[str, Any], place: str, faults: list[Fault]) -> int:
    given = row.get("epoch", 1)
    if _is_nan(given):
        return 1  # an empty cell of a table
    if isinstance(given, float) and given.is_integer():
        given = int(given)
    if isinstance(given, bool) or not hasattr(given, "__index__") or given < 1:
        faults.append(Fault(where=place, what=f"epoch {given!r} is no whole number from 1"))
        return 1
    return int(given)


def _identity(
    row: dict[str, Any], place: str, known: Mapping[str, Any] | None
) -> tuple[str, tuple[str, ...], list[Fault]]:
    raw = row.get("id")
    faults: list[Fault] = []
    if raw is None or isinstance(raw, (Mapping, list, bool)) or str(raw) == "" or _is_nan(raw):
        return "", (), [Fault(where=place, what="no `id`", hint="Each row names its case.")]
    case_id = str(raw)
    if known is not None:
        case = known.get(case_id)
        if case is None:
            faults.append(Fault(where=place, what=f"case {case_id!r} is not in the eval set"))
            return case_id, (), faults
        if case.categories:
            return case_id, tuple(sorted(case.categories)), faults
    raw = row.get("category")
    if raw is not None and hasattr(raw, "tolist"):
        raw = raw.tolist()  # a cell of a table that holds a list
    if type(raw) is str and raw and raw != EVERY_CASE:  # nearly every row
        return case_id, (raw,), faults
    names = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    if isinstance(raw, Mapping) or any(isinstance(name, (Mapping, list, tuple, bool)) for name in names):
        return case_id, (), [Fault(where=place, what=f"`category` is a text or a list of texts, this is {raw!r}")]
    if not names or any(_is_absent(name) or _is_nan(name) or str(name) == "" for name in names):
        hint = "Add one to each row, or pass the eval set (`--evalset`)."
        return case_id, (), [Fault(where=place, what=f"case {case_id!r} has no `category`", hint=hint)]
    categories = tuple(dict.fromkeys(str(name) for name in names))
    if EVERY_CASE in categories:
        faults.append(Fault(where=place, what="category '*' stands for every case and cannot be one of them"))
    return case_id, tuple(sorted(categories)), faults


def _result(row: dict[str, Any], place: str, case_id: str, epoch: int) -> tuple[Result | None, list[Fault]]:
    faults: list[Fault] = []
    scores = _scores(row, place, faults)
    numbers = {name: _number(row, name, place, faults) for name in NUMBERS if name in row}
    error = row.get("error")
    if _is_nan(error):
        error = None
    if not faults and (scores is None) == (error is None):
        what = "neither `score` nor `error`" if error is None else "both a score and an `error`"
        faults.append(Fault(where=place, what=f"case {case_id!r} has {what}", hint="Exactly one of them is needed."))
    if faults:
        return None, faults
    output = _output(row, numbers) if not OUTPUT.isdisjoint(row) else NO_OUTPUT
    if scores is None:
        cause = str(error).strip() or "the recorded row gives no cause"
        # A row that tells nothing but its error had no answer: its latency is not unknown, there is none.
        given = None if output == NO_OUTPUT else output
        return Failed(case_id=case_id, epoch=epoch, stage=Stage.RECORDED, cause=cause, output=given), faults
    return Scored(case_id=case_id, epoch=epoch, score=weighted_mean(scores), scores=scores, output=output), faults


def _scores(row: dict[str, Any], place: str, faults: list[Fault]) -> tuple[Score, ...] | None:
    given = [name for name in ("score", "correct", "scores") if name in row]
    if "error" in row and not _is_nan(row["error"]):
        # A table has every column in every row: an empty score beside an error is no score.
        given = [name for name in given if not _is_nan(row[name])]
    if len(given) > 1:
        faults.append(Fault(where=place, what=f"both `{given[0]}` and `{given[1]}`", hint="Keep one of them."))
        return None
    if not given:
        return None
    named: Mapping[str, Any] = {"score": row[given[0]]}
    if given[0] == "scores":
        if not isinstance(row["scores"], Mapping) or not row["scores"]:
            faults.append(Fault(where=place, what="`scores` is no mapping of names to numbers"))
            return None
        named = row["scores"]
    for name, value in named.items():
        if not _is_score(value):
            what = f"{name} {value!r} is no number in [0, 1]"
            faults.append(Fault(where=place, what=what, hint="Scale it, or write `error` for a case without a score."))
    if faults:
        return None
    return tuple(
        Score(scorer=str(name), value=float(value), reason="recorded", version="recorded")
        for name, value in sorted(named.items(), key=lambda item: str(item[0]))
    )


def _is_score(value: Any) -> bool:
    number = _as_float(value)
    return number is not None and 0.0 <= number <= 1.0  # a NaN is in no interval


def _as_float(value: Any) -> float | None:
    """The number that this is; None for texts, for whole arrays and for what no float can hold."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _number(row: dict[str, Any], name: str, place: str, faults: list[Fault]) -> float | None:
    value = row.get(name)
    if value is None or _is_nan(value):
        return None
    number = None if isinstance(value, bool) else _as_float(value)
    if number is None or not math.isfinite(number) or number < 0:
        faults.append(Fault(where=place, what=f"{name} {value!r} is no number from 0"))
        return None
    return number


def _output(row: dict[str, Any], numbers: Mapping[str, float | None]) -> Output:
    answer, contexts, model = row.get("output"), row.get("contexts"), row.get("model")
    tokens_in, tokens_out = (numbers.get(name) for name in ("tokens_in", "tokens_out"))
    is_text = isinstance(answer, str)
    return Output(
        text=answer if is_text else None,
        data=None if is_text or _is_nan(answer) else answer,
        contexts=tuple(contexts) if isinstance(contexts, (list, tuple)) else None,
        tool_calls=_tool_calls(row.get("tool_calls")),
        latency_s=numbers.get("latency_s"),
        cost_usd=numbers.get("cost_usd"),
        model=model if isinstance(model, str) else None,
        tokens_in=None if tokens_in is None else int(tokens_in),
        tokens_out=None if tokens_out is None else int(tokens_out),
    )


def _tool_calls(value: Any) -> tuple[ToolCall, ...]:
    """Calls as `{name, arguments}`, or as bare names; anything else is no call that could be compared."""
    if not isinstance(value, (list, tuple)):
        return ()
    calls = []
    for item in value:
        if isinstance(item, str):
            calls.append(ToolCall(name=item))
        elif isinstance(item, Mapping) and isinstance(item.get("name"), str):
            calls.append(ToolCall(name=item["name"], arguments=item.get("arguments")))
    return tuple(calls)


def _planned(case: Any, seen: CaseRef | None) -> CaseRef:
    return CaseRef(
        id=case.id,
        categories=tuple(sorted(case.categories or (seen.categories if seen else ()))),
        scorers=seen.scorers if seen else None,
        critical=case.critical or bool(seen and seen.critical),
        cluster=case.cluster if case.cluster is not None else (seen.cluster if seen else None),
        tags=case.tags,
        input=case.input if case.input is not None else (seen.input if seen else None),
        expected=case.expected if case.expected is not None else (seen.expected if seen else None),
        source=case.source,
        metadata={**(seen.metadata if seen else {}), **case.metadata},
    )


def _version(results: Iterable[Result]) -> Version:
    """The models that the rows name; recorded rows know nothing else of what was tested."""
    models = sorted({r.output.model for r in results if r.output is not None and r.output.model is not None})
    parts: dict[str, Json] = {"models": models} if models else {}
    return Version(id=fingerprint(parts) if parts else None, parts=parts)


def usage_of(results: Iterable[Result], *, wall_s: float | None = None) -> Usage:
    """What these results say that they cost: one call a result, sums over the calls that were answered.

    A sum is None where an answered call does not say its part: a sum of some would look like the whole.
    """
    found = list(results)
    answered = [result.output for result in found if result.output is not None]
    return Usage(
        calls=len(found),
        tokens_in=_whole_sum(output.tokens_in for output in answered),
        tokens_out=_whole_sum(output.tokens_out for output in answered),
        cost_usd=_float_sum(output.cost_usd for output in answered),
        wall_s=wall_s,
    )


def _whole_sum(values: Iterable[int | None]) -> int | None:
    known = list(values)
    return None if not known or None in known else sum(value for value in known if value is not None)


def _float_sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    # fsum: the sum must not depend on the order of the rows.
    return None if not known or None in known else math.fsum(value for value in known if value is not None)
