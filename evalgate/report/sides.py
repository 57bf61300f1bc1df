"""Runs to read, without a decision: two side by side, one alone, and the list of a history.

`format` is `text` (for a terminal of `width` columns), `markdown` or `json`. What others wrote is escaped for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from evalgate.records import EVERY_CASE, DriftEvent, Failed, Json, Run, RunRow, short, utc
from evalgate.report.escape import json_document
from evalgate.report.model import CauseGroup, Flip, cause_groups, failed_cases, make_flips, mean_scores
from evalgate.report.numbers import UNKNOWN, count, money, percent, points, seconds
from evalgate.report.pages import Format, Grid, Part, Passage, Sentence, as_markdown, as_text, few
from evalgate.report.pen import Pen

PASS_MARK = 0.5
PASSAGES_SHOWN = 10


def compare(
    a: Run,
    b: Run,
    *,
    format: Format = "text",
    pass_mark: float = PASS_MARK,
    show_outputs: bool = True,
    pen: Pen | None = None,
) -> str:
    """Two runs side by side: each category's mean score over the cases that both have, and what flipped from a to b.

    pass_mark: a mean score at or above counts as passed. show_outputs: with both answers, at most ten cases of them.
    Says nothing about chance: that is the gate's.
    """
    before, after = mean_scores([a]), mean_scores([b])
    shared = sorted(before.keys() & after.keys())
    fell = [i for i in shared if before[i] >= pass_mark > after[i]]
    rose = [i for i in shared if before[i] < pass_mark <= after[i]]
    rows = _compared(a, b, before, after, frozenset(fell), frozenset(rose))
    flips = make_flips(fell, rose, b, [a])
    if format == "json":
        return json_document(
            {"a": _facts(a), "b": _facts(b), "categories": rows, "flips": [_flip(flip) for flip in flips]}
        )
    headers = ("category", "cases", "before", "after", "points", "regressed", "improved")
    grid = [
        (
            _every(name),
            f"{row['n']:,}",
            percent(row["before"]),
            percent(row["after"]),
            points(row["delta"]),
            f"{row['regressed']:,}",
            f"{row['improved']:,}",
        )
        for name, row in rows.items()
    ]
    parts: list[Part] = [Sentence(text=f"before: {_headline(a)}"), Sentence(text=f"after: {_headline(b)}")]
    parts += [Sentence(text=text) for text in _unlike(a, b, before, after)]
    parts.append(Grid(headers=headers, rows=tuple(grid), last_is_text=False))
    if flips:
        title = f"{count(len(flips), 'case')} flipped: {len(fell):,} regressed, {len(rose):,} improved"
        parts.append(Sentence(text=title, is_heading=True))
        parts += [_passage(flip, show_outputs) for flip in flips[:PASSAGES_SHOWN]]
        parts += _rest(len(flips))
    return _drawn(parts, format, pen)


def show(
    run: Run,
    *,
    format: Format = "text",
    pass_mark: float = PASS_MARK,
    show_outputs: bool = True,
    pen: Pen | None = None,
) -> str:
    """One run: what it was, its categories, what has no score and why, and the lowest cases with their answers."""
    means = mean_scores([run])
    rows = _alone(run, means, pass_mark)
    groups = cause_groups(failed_cases(run))
    if format == "json":
        return json_document({**_facts(run), "categories": rows, "errors": [_cause(group) for group in groups]})
    parts: list[Part] = [Sentence(text=_headline(run)), *(Sentence(text=text) for text in _particulars(run))]
    headers = ("category", "cases", "score", "passed", "unscored")
    grid = [
        (_every(name), f"{row['n']:,}", percent(row["score"]), f"{row['passed']:,}", f"{row['unscored']:,}")
        for name, row in rows.items()
    ]
    parts.append(Grid(headers=headers, rows=tuple(grid), last_is_text=False))
    if groups:
        total = sum(group.count for group in groups)
        parts.append(Sentence(text=f"{count(total, 'result')} without a score", is_heading=True))
        parts += [
            Sentence(text=f"{group.count:,}: {group.stage}: {group.cause[:500]} ({few(group.case_ids)})")
            for group in groups[:5]
        ]
    low = sorted((case_id for case_id, mean in means.items() if mean < pass_mark), key=lambda i: (means[i], i))
    if low:
        parts.append(
            Sentence(text=f"{count(len(low), 'case')} below the pass mark of {percent(pass_mark)}", is_heading=True)
        )
        flips = make_flips(low[:PASSAGES_SHOWN], (), run, ())
        parts += [_passage(flip, show_outputs) for flip in flips]
        parts += _rest(len(low))
    return _drawn(parts, format, pen)


def history(
    rows: Sequence[RunRow], drifts: Sequence[DriftEvent] = (), *, format: Format = "text", pen: Pen | None = None
) -> str:
    """The runs of a history in the order given, one a line; below them the drift that was seen upstream."""
    if format == "json":
        seen = {"drift": [_drift(event) for event in drifts]} if drifts else {}
        return json_document({"runs": [_row(row) for row in rows], **seen})
    if not rows:
        return _drawn([Sentence(text="No runs.")], format, pen)
    suites = len({row.suite for row in rows}) > 1
    headers = ("run", *(("suite",) if suites else ()), "created (UTC)", "commit", "cases", "score", "verdict")
    grid = [
        (
            row.id,
            *((row.suite,) if suites else ()),
            f"{row.created:%Y-%m-%d %H:%M}",
            short(row.commit) if row.commit else UNKNOWN,
            f"{row.n_cases:,}",
            percent(row.score),
            ", ".join([row.verdict or "not decided", *_remarks(row)]),
        )
        for row in rows
    ]
    parts: list[Part] = [Grid(headers=headers, rows=tuple(grid), keeps_names=True)]
    if drifts:
        parts.append(Sentence(text="Upstream drift: the baseline's own requests fared worse", is_heading=True))
        told = [
            (
                event.category,
                f"{event.created:%Y-%m-%d %H:%M}",
                event.run_id,
                percent(event.before),
                percent(event.after),
            )
            for event in drifts
        ]
        headers = ("category", "seen (UTC)", "by run", "in its history", "then")
        parts.append(Grid(headers=headers, rows=tuple(told), last_is_text=False))
    return _drawn(parts, format, pen)


def _drift(event: DriftEvent) -> dict[str, Json]:
    return {
        "run": event.run_id,
        "created": f"{event.created:%Y-%m-%dT%H:%M:%SZ}",
        "category": event.category,
        "before": round(event.before, 6),
        "after": round(event.after, 6),
        "p": event.p,
        "sentence": event.sentence,
    }


# ---- what is counted --------------------------------------------------------------------------------------


def _members(*runs: Run) -> dict[str, set[str]]:
    """Case ids of each category, of every case under `*`, last."""
    members: dict[str, set[str]] = {}
    for run in runs:
        for ref in run.cases:
            for category in ref.categories:
                members.setdefault(category, set()).add(ref.id)
    every = {ref.id for run in runs for ref in run.cases}
    return {**dict(sorted(members.items())), EVERY_CASE: every}


def _compared(
    a: Run,
    b: Run,
    before: Mapping[str, float],
    after: Mapping[str, float],
    fell: frozenset[str],
    rose: frozenset[str],
) -> dict[str, Json]:
    rows: dict[str, Json] = {}
    for name, members in _members(a, b).items():
        pairs = sorted(members & before.keys() & after.keys())
        old, new = _mean([before[i] for i in pairs]), _mean([after[i] for i in pairs])
        rows[name] = {
            "n": len(pairs),
            "before": old,
            "after": new,
            "delta": None if old is None or new is None else round(new - old, 6) + 0.0,
            "regressed": len(members & fell),
            "improved": len(members & rose),
        }
    return rows


def _alone(run: Run, means: Mapping[str, float], pass_mark: float) -> dict[str, Json]:
    unscored = frozenset(ref.id for ref in run.cases) - means.keys()
    rows: dict[str, Json] = {}
    for name, members in _members(run).items():
        known = [means[i] for i in sorted(members) if i in means]
        rows[name] = {
            "n": len(members),
            "score": _mean(known),
            "passed": sum(mean >= pass_mark for mean in known),
            "unscored": len(members & unscored),
        }
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 6) if values else None


# ---- what is said -----------------------------------------------------------------------------------------


def _headline(run: Run) -> str:
    parts = [f"run {run.id} of {run.suite}", f"{run.created:%Y-%m-%d %H:%M} UTC"]
    parts += [f"commit {short(run.commit)}"] if run.commit else []
    parts += [f"branch {run.branch}"] if run.branch else []
    parts += [f"version {run.version.id}"] if run.version.id else []
    return ", ".join(parts)


def _particulars(run: Run) -> list[str]:
    usage = run.usage
    said = [f"{count(len(run.results), 'result')} of {count(len(run.cases), 'case')}, {count(run.epochs, 'epoch')}"]
    said[0] += f"; {count(usage.calls, 'call')}, cost {money(usage.cost_usd)}"
    said[0] += f", {seconds(usage.wall_s)}" if usage.wall_s is not None else ""
    said += [f"Only a part of the eval set: {run.selection}"] if run.selection else []
    said += [f"Ended before its plan did: {run.stopped}"] if run.stopped else []
    said += [
        f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}"
        for name, value in sorted(run.version.parts.items())
    ]
    return said


def _unlike(a: Run, b: Run, before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """What keeps the two from being the same measurement."""
    old, new = ({ref.id: ref for ref in run.cases} for run in (a, b))
    changed = sorted(
        i
        for i in old.keys() & new.keys()
        if (old[i].content and new[i].content and old[i].content != new[i].content)
        or (old[i].scorers and new[i].scorers and old[i].scorers != new[i].scorers)
    )
    only_a, only_b = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    told = (
        (changed, "differ in content or scorers, and are compared all the same"),
        (only_a, "have a score before only"),
        (only_b, "have a score after only"),
    )
    return [f"{count(len(cases), 'case')} {meaning}: {few(cases)}" for cases, meaning in told if cases]


def _passage(flip: Flip, show_outputs: bool) -> Passage:
    moved = percent(flip.after) if flip.before is None else f"{percent(flip.before)} → {percent(flip.after)}"
    place = [str(flip.source)] if flip.source and flip.source.file else []
    before = flip.output_before if flip.before is not None else None
    texts = (
        ("asked", flip.input),
        ("expected", flip.expected),
        ("before", before),
        ("now", flip.output_after),
        ("because", flip.reason),
    )
    facts = ", ".join([*flip.categories, moved, *place])
    return Passage(name=flip.case_id, facts=facts, texts=texts if show_outputs else ())


def _rest(total: int) -> list[Part]:
    left_out = total - PASSAGES_SHOWN
    return [Sentence(text=f"… and {left_out:,} more")] if left_out > 0 else []


def _remarks(row: RunRow) -> list[str]:
    until = f" until {row.blessed_until}" if row.blessed_until else ""
    remarks = [f"blessed{until}"] if row.blessed else []
    remarks += ["imported"] if row.origin == "import" else []
    remarks += ["partial"] if row.selection else []
    remarks += ["unfinished"] if row.stopped else []
    remarks += [f"{row.n_unscored:,} unscored"] if row.n_unscored else []
    return remarks


def _every(category: str) -> str:
    return "every case" if category == EVERY_CASE else category


def _drawn(parts: Iterable[Part], format: Format, pen: Pen | None) -> str:
    return as_markdown(parts) if format == "markdown" else as_text(parts, pen or Pen())


# ---- for programs -----------------------------------------------------------------------------------------


def _facts(run: Run) -> dict[str, Json]:
    return {
        "id": run.id,
        "suite": run.suite,
        "created": utc(run.created),
        "commit": run.commit,
        "branch": run.branch,
        "version": {"id": run.version.id, "parts": dict(run.version.parts)},
        "selection": run.selection,
        "stopped": run.stopped,
        "origin": run.origin,
        "epochs": run.epochs,
        "cases": len(run.cases),
        "results": len(run.results),
        "unscored": sum(isinstance(result, Failed) for result in run.results),
        "usage": {
            "calls": run.usage.calls,
            "calls_saved": run.usage.calls_saved,
            "tokens_in": run.usage.tokens_in,
            "tokens_out": run.usage.tokens_out,
            "cost_usd": run.usage.cost_usd,
            "wall_s": run.usage.wall_s,
        },
    }


def _flip(flip: Flip) -> dict[str, Json]:
    return {
        "case": flip.case_id,
        "kind": flip.kind,
        "categories": list(flip.categories),
        "before": flip.before,
        "after": flip.after,
        "input": flip.input,
        "expected": flip.expected,
        "output_before": flip.output_before,
        "output_after": flip.output_after,
        "reason": flip.reason,
        "source": str(flip.source) if flip.source else None,
    }


def _cause(group: CauseGroup) -> dict[str, Json]:
    return {"stage": group.stage, "cause": group.cause, "results": group.count, "cases": list(group.case_ids)}


def _row(row: RunRow) -> dict[str, Json]:
    return {
        "id": row.id,
        "suite": row.suite,
        "created": utc(row.created),
        "commit": row.commit,
        "branch": row.branch,
        "version": row.version,
        "selection": row.selection,
        "stopped": row.stopped,
        "origin": row.origin,
        "cases": row.n_cases,
        "results": row.n_results,
        "unscored": row.n_unscored,
        "score": row.score,
        "cost_usd": row.cost_usd,
        "verdict": row.verdict,
        "exit_code": row.exit_code,
        "blessed": row.blessed,
        "blessed_until": None if row.blessed_until is None else row.blessed_until.isoformat(),
    }
