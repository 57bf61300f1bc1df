"""A run ↔ rows of the tables, exactly: what is read equals what was written, field by field.

Pure: no connection here. Names of columns are those of `shape`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, TypeAlias, cast

from evalgate.history.exact import to_json
from evalgate.history.figures import Figure, Tally
from evalgate.records import (
    EVERY_CASE,
    CaseRef,
    Confirmation,
    Failed,
    Json,
    Output,
    Result,
    Run,
    Score,
    Scored,
    Source,
    Stage,
    Step,
    ToolCall,
    Usage,
    Version,
)
from evalgate.spool import Spool

Row: TypeAlias = Sequence[Any]
"""In the order of the table's columns."""

Fields: TypeAlias = dict[str, Any]
"""By the column's name."""

AFTER, BEFORE = "after", "before"
"""`results.phase` of a confirmation's two sides; the run's own results have none."""

DETECTABLE = "detectable_drop"
"""`summaries.metric` of the drop that would be seen four times out of five."""


def content_key(value: Json) -> str:
    """128 bits of BLAKE2b of the value's JSON, in hex: equal contents, written the same way, share a row."""
    return _digest(value).hex()


def _digest(value: Json) -> bytes:
    return blake2b(to_json(value).encode(), digest_size=_DIGEST).digest()


_DIGEST = 16


# ---- writing ----------------------------------------------------------------------------------------------


class Plan:
    """The cases of a run as rows of `cases` and `case_texts`, named by their content.

    Rows are made while they are asked for. What stays is a digest a case.
    """

    def __init__(self, cases: Sequence[CaseRef]) -> None:
        self._cases = cases
        self._texts = b"".join(_digest(_texts(case)) for case in cases)
        # As if all rows were one JSON list.
        named = blake2b(b"[", digest_size=_DIGEST)
        for position, row in enumerate(self._rows()):
            named.update((("," if position else "") + to_json(row)).encode())
        named.update(b"]")
        self.key = named.hexdigest()

    def __len__(self) -> int:
        return len(self._cases)

    def cases(self) -> Iterator[Row]:
        """A row a case, in their order."""
        return ((self.key, *row) for row in self._rows())

    def texts(self) -> Iterator[Row]:
        """Inputs, expectations and other columns, each content once, sorted by key: two processes that write at once
        meet them in the same order and never wait for each other in a circle."""
        size = _DIGEST + 4
        last = b""
        for entry in sorted(self._text(n) + n.to_bytes(4, "big") for n in range(len(self))):
            if entry[:_DIGEST] != last:
                last = entry[:_DIGEST]
                yield (last.hex(), *_texts(self._cases[int.from_bytes(entry[_DIGEST:size], "big")]))

    def _text(self, position: int) -> bytes:
        return self._texts[position * _DIGEST : (position + 1) * _DIGEST]

    def _rows(self) -> Iterator[list[Json]]:
        for position, case in enumerate(self._cases):
            source = case.source
            yield [
                *(position, case.id, list(case.categories), case.content, case.scorers, case.critical, case.cluster),
                *(list(case.tags), self._text(position).hex()),
                *((source.file, source.line) if source else (None, None)),
            ]


def _texts(case: CaseRef) -> list[Json]:
    return [case.input, case.expected, case.metadata]


def version_row(version: Version) -> Fields:
    """The version as a row, named by its content: two versions may share an id and differ in what is known of them."""
    return {"key": content_key([version.id, version.parts]), "id": version.id, "parts": version.parts}


def run_row(run: Run, tally: Tally, *, plan: str, version: str) -> Fields:
    """The run's own row; `number` is the database's. Its counts and its score are of the run's own results."""
    return {
        "id": run.id,
        "suite": run.suite,
        "created": run.created,
        "epochs": run.epochs,
        "commit_sha": run.commit,
        "branch": run.branch,
        "version": version,
        "evalset": run.evalset,
        "selection": run.selection,
        "stopped": run.stopped,
        "origin": run.origin,
        "plan": plan,
        "n_results": tally.results,
        "n_unscored": tally.unscored,
        "score": tally.score,
        "calls": run.usage.calls,
        "calls_saved": run.usage.calls_saved,
        "tokens_in": run.usage.tokens_in,
        "tokens_out": run.usage.tokens_out,
        "cost_usd": run.usage.cost_usd,
        "wall_s": run.usage.wall_s,
        "metadata": run.metadata,
        "steps": [_step(step) for step in run.steps] or None,
        "against": list(run.against) or None,
        "confirmation": None if run.confirmation is None else _confirmation(run.confirmation),
    }


def _step(step: Step) -> Json:
    return {"epochs": step.epochs, "categories": list(step.categories), "is_last": step.is_last}


def _confirmation(asked: Confirmation) -> Json:
    """What is kept of a confirmation beside its results."""
    return {"categories": list(asked.categories), "epochs": asked.epochs, "how": asked.how}


def every_result(run: Run) -> Iterator[tuple[Result, str | None]]:
    """The run's own results, then those of its confirmation, each with its phase; a result's place is its number."""
    yield from ((result, None) for result in run.results)
    if run.confirmation is not None:
        yield from ((result, AFTER) for result in run.confirmation.after)
        yield from ((result, BEFORE) for result in run.confirmation.before)


_NO_OUTPUT = Output()


def result_row(result: Result, *, run: int, position: int, phase: str | None) -> Row:
    """One result with its output."""
    output = result.output or _NO_OUTPUT
    if isinstance(result, Scored):
        judged: Row = (result.score, None, None)
    else:
        judged = (None, result.stage.value, result.cause)
    return (
        *(run, position, result.case_id, result.epoch, *judged, result.attempts, result.output is not None),
        *(output.latency_s, output.tokens_in, output.tokens_out, output.cost_usd, output.cached),
        *(output.model, output.system_fingerprint, output.response_id, output.finish_reason, output.text, output.data),
        [[call.name, call.arguments] for call in output.tool_calls] or None,
        None if output.contexts is None else list(output.contexts),
        phase,
    )


def score_rows(result: Result, *, run: int, position: int) -> Iterator[Row]:
    """What each scorer said of one result."""
    for place, score in enumerate(result.scores if isinstance(result, Scored) else ()):
        yield (run, position, place, score.scorer, score.value, score.weight, score.version, score.reason)


def summary_rows(run: Run, tally: Tally, detectable: Mapping[str, float], *, number: int) -> Iterator[Row]:
    """The run's figures, and by category the drop that would be seen, made of the category's cases."""
    for position, figure in enumerate((*tally.figures(), *_detectable(run, detectable))):
        yield (number, position, figure.category, figure.metric, figure.value, figure.n)


def _detectable(run: Run, drops: Mapping[str, float]) -> Iterator[Figure]:
    sizes = Counter(name for case in run.cases for name in {EVERY_CASE, *case.categories}) if drops else {}
    for category, drop in sorted(drops.items()):
        yield Figure(category=category, metric=DETECTABLE, value=drop, n=sizes[category])


def request_rows(bodies: Iterable[tuple[str, Json]], *, version: str, plan: str) -> Iterator[Row]:
    """What was sent for each case, in the order in which it is given."""
    for position, (case_id, body) in enumerate(bodies):
        yield (version, plan, position, case_id, body)


# ---- reading ----------------------------------------------------------------------------------------------


_POSITION, _PHASE = 1, -1
"""Places in a row of `results`."""

_RESULT = 1
"""Place in a row of `scores` of the position of the result that it belongs to."""


def run_from(
    row: Mapping[str, Any],
    *,
    version: Mapping[str, Any],
    cases: Sequence[CaseRef],
    results: Iterable[Row],
    scores: Iterable[Row],
) -> Run:
    """The run of these rows: mappings for the run and its version, rows in the order of their tables for the rest."""
    by_phase: dict[str | None, Spool[Result]] = {None: Spool(), AFTER: Spool(), BEFORE: Spool()}
    groups = groupby(scores, key=itemgetter(_RESULT))
    number, group = next(groups, (None, ()))
    for result in results:
        judged: tuple[Score, ...] = ()
        if result[_POSITION] == number:
            judged = tuple(map(_score, group))
            number, group = next(groups, (None, ()))
        by_phase[result[_PHASE]].append(_result(result, judged))
    return Run(
        id=row["id"],
        suite=row["suite"],
        created=row["created"],
        cases=cases,
        results=by_phase[None].kept(),
        epochs=row["epochs"],
        commit=row["commit_sha"],
        branch=row["branch"],
        version=Version(id=version["id"], parts=version["parts"]),
        evalset=row["evalset"],
        selection=row["selection"],
        stopped=row["stopped"],
        origin=cast(Literal["run", "import"], row["origin"]),
        usage=Usage(
            calls=row["calls"],
            calls_saved=row["calls_saved"],
            tokens_in=row["tokens_in"],
            tokens_out=row["tokens_out"],
            cost_usd=row["cost_usd"],
            wall_s=row["wall_s"],
        ),
        steps=tuple(map(_stepped, row["steps"] or ())),
        against=tuple(row["against"] or ()),
        confirmation=_confirmed(row["confirmation"], after=by_phase[AFTER], before=by_phase[BEFORE]),
        metadata=row["metadata"],
    )


def _stepped(kept: Json) -> Step:
    return Step(epochs=kept["epochs"], categories=tuple(kept["categories"]), is_last=kept["is_last"])


def _confirmed(kept: Json, *, after: Sequence[Result], before: Sequence[Result]) -> Confirmation | None:
    if kept is None:
        return None
    return Confirmation(
        categories=tuple(kept["categories"]),
        epochs=kept["epochs"],
        after=tuple(after),
        before=tuple(before),
        how=kept["how"],
    )


def case_from(row: Row) -> CaseRef:
    """The case of this row: its columns in `cases` between position and texts, its source, and its texts."""
    case_id, categories, content, scorers, critical, cluster, tags, file, line, asked, expected, metadata = row
    return CaseRef(
        id=case_id,
        categories=tuple(categories),
        content=content,
        scorers=scorers,
        critical=critical,
        cluster=cluster,
        tags=tuple(tags),
        input=asked,
        expected=expected,
        metadata=metadata,
        source=None if file is None else Source(file=file, line=line),
    )


def _result(row: Row, scores: tuple[Score, ...]) -> Result:
    _, _, case_id, epoch, score, stage, cause, attempts, has_output, latency_s, tokens_in, tokens_out, *rest = row
    cost_usd, cached, model, system_fingerprint, response_id, finish_reason, text, data, tool_calls, contexts, _ = rest
    output = None
    if has_output:
        output = Output(
            text=text,
            data=data,
            tool_calls=tuple([ToolCall(name=name, arguments=arguments) for name, arguments in tool_calls or ()]),
            contexts=None if contexts is None else tuple(contexts),
            latency_s=latency_s,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_usd=cost_usd,
            model=model,
            system_fingerprint=system_fingerprint,
            response_id=response_id,
            finish_reason=finish_reason,
            cached=cached,
        )
    if stage is not None:
        return Failed(case_id=case_id, epoch=epoch, stage=Stage(stage), cause=cause, output=output, attempts=attempts)
    return Scored(
        case_id=case_id, epoch=epoch, score=score, scores=scores, output=output or _NO_OUTPUT, attempts=attempts
    )


def _score(row: Row) -> Score:
    _run, _result, _position, scorer, value, weight, version, reason = row
    return Score(scorer=scorer, value=value, reason=reason, version=version, weight=weight)
