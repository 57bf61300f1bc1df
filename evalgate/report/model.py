"""What a report says, chosen and looked up once for every format. Knows no format, file or network.

The verdict brings every number and every judgement; what is added here is what the runs alone know: the answers
behind the flips, the causes behind the failures, the places of the cases.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalgate.records import (
    EVERY_CASE,
    CaseRef,
    CommentWhen,
    Failed,
    Finding,
    Json,
    Output,
    Run,
    Scored,
    Source,
    Status,
    Verdict,
    VerdictName,
)


@dataclass(frozen=True, kw_only=True)
class Flip:
    """A case that went from one side of the pass mark to the other."""

    case_id: str
    categories: tuple[str, ...]
    kind: Literal["regressed", "improved"]
    before: float | None
    """Mean score over the baseline's runs, in [0, 1]."""
    after: float | None
    input: str | None = None
    expected: str | None = None
    output_before: str | None = None
    """The newest baseline run's answer; of several epochs the one that shows the contrast. None: not recorded."""
    output_after: str | None = None
    reason: str | None = None
    """What the scorers said of `output_after`."""
    source: Source | None = None


@dataclass(frozen=True, kw_only=True)
class FailedCase:
    """A case with results that have no score: nothing was learnt about its quality."""

    case_id: str
    stage: str
    cause: str
    count: int
    """Results of the case that failed in this way."""


@dataclass(frozen=True, kw_only=True)
class CauseGroup:
    """Failures that look alike, whatever numbers and request ids they carry."""

    stage: str
    cause: str
    """Of the first of them."""
    count: int
    """Results."""
    case_ids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CategoryRow:
    """One category in the table."""

    name: str
    cases: int
    """Cases with a score."""
    before: float | None
    after: float | None
    delta: float | None
    ci: tuple[float, float] | None
    status: Status | None
    """The gravest of its rules' outcomes; None: no rule judges it."""

    @property
    def fails(self) -> bool:
        return self.status in (Status.BREACH, Status.MISSING)


@dataclass(frozen=True, kw_only=True)
class Job:
    """The CI job that a report comes from."""

    url: str
    """Where its log and the whole report are."""
    head: str
    """The commit that the author pushed; what was run may be its test merge."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that a renderer shows."""

    verdict: Verdict
    flips: tuple[Flip, ...] = ()
    """Regressed ones first; those of categories in breach first, then the largest change."""
    failures: tuple[FailedCase, ...] = ()
    reproduce: tuple[str, ...] = ()
    """Commands."""
    next_step: str | None = None
    store: str | None = None
    """Where the run was recorded."""
    show_outputs: bool = False
    """Whether what a model wrote may stand where others read it: Markdown and JUnit. The terminal always shows it."""
    comment: CommentWhen = "always"
    """When the pull request gets a comment."""
    job: Job | None = None
    """None outside CI."""


def build(
    verdict: Verdict,
    candidate: Run,
    baseline_runs: Sequence[Run] = (),
    *,
    reproduce: Sequence[str] = (),
    next_step: str | None = None,
    waiver: str | None = None,
    store: str | None = None,
    show_outputs: bool = False,
    comment: CommentWhen = "always",
    job: Job | None = None,
) -> Report:
    """A report on a verdict, with the answers, causes and places that the two sides recorded.

    next_step: one sentence; without it the one that fits the verdict. waiver: the line that would accept what failed.
    """
    return Report(
        verdict=verdict,
        flips=_flips(verdict, candidate, baseline_runs),
        failures=failed_cases(candidate),
        reproduce=tuple(reproduce),
        next_step=next_step or _next_step(verdict, waiver),
        store=store,
        show_outputs=show_outputs,
        comment=comment,
        job=job,
    )


_NEXT: Mapping[VerdictName, str | None] = {
    VerdictName.ERROR: "Mend what failed (see the errors) and run again. Nothing was decided about quality.",
    VerdictName.NOT_COMPARABLE: "Record a baseline with these eval sets and scorers: run evalgate on the baseline's "
    "commit, or merge and let the default branch record one.",
    VerdictName.NOT_EVALUATED: "Run it where the endpoint's key is available.",
    VerdictName.FAIL: None,
    VerdictName.NO_BASELINE: "Record a baseline: run evalgate on the default branch. Floors and limits were judged "
    "without one, drops were not.",
    VerdictName.INCONCLUSIVE: "Add cases, epochs or baseline runs: with what is there no rule could have failed.",
    VerdictName.PASS: None,
}


def _next_step(verdict: Verdict, waiver: str | None) -> str | None:
    """What to do about this verdict, in one or two sentences; None where there is nothing to do."""
    if verdict.drift and verdict.verdict is VerdictName.PASS:
        return (
            "Look at what surrounds the system (provider, model, index): the baseline's own requests fare worse. "
            "What it gives now becomes the baseline with the next recorded runs."
        )
    if is_stale(verdict):
        return "Record a new baseline: run evalgate on the default branch. This one is too old to prove a pass by it."
    if verdict.verdict is VerdictName.NO_BASELINE and any(f.against == "anchor" for f in verdict.findings):
        return "Bless the run that later ones are held against: `evalgate baseline bless RUN --reason … --name NAME`."
    if verdict.verdict is not VerdictName.FAIL:
        return _NEXT[verdict.verdict]
    failing = [finding for finding in verdict.findings if gating_status(finding) in (Status.BREACH, Status.MISSING)]
    breaches = [finding for finding in failing if finding.rule in JUDGING_RULES and finding.status is Status.BREACH]
    if breaches and all(f.rule == "min" and (f.after or 0.0) >= (f.limit or 0.0) for f in breaches):
        return "More cases, repeats (`--epochs`) or baseline runs can prove a critical floor; or lower its `min`."
    if breaches:
        flipped = "Look at the cases that flipped. " if verdict.cases.regressed else ""
        accept = "accept it with a waiver in `evalgate-exceptions.yaml`."
        if waiver is not None:
            accept = f"accept it in evalgate-exceptions.yaml, under `waivers:`: `{waiver}`"
        return f"{flipped}Mend it; or, if the drop is meant, {accept}"
    if any(finding.rule in JUDGING_RULES for finding in failing):
        return "Bring the category's cases back, or list it under gate.removed_categories."
    return "Bring it back under the limit, or raise the limit in the rules."


# ---- rows -------------------------------------------------------------------------------------------------

_GRAVITY = (Status.MISSING, Status.BREACH, Status.DRIFT, Status.INCONCLUSIVE, Status.PASS, Status.INFO)
JUDGING_RULES = frozenset({"min", "max_drop", "critical"})
"""The rules on scores. Every other finding is a limit."""


def category_rows(verdict: Verdict) -> tuple[CategoryRow, ...]:
    """Every category that the verdict names: failing ones first, then by name; every case (`*`) last."""
    by_name: dict[str, list[Finding]] = {name: [] for name in verdict.categories}
    for finding in verdict.findings:
        if finding.rule in JUDGING_RULES:
            by_name.setdefault(finding.category, []).append(finding)
    rows = [_category_row(name, findings, verdict) for name, findings in by_name.items()]
    return tuple(sorted(rows, key=lambda row: (row.name == EVERY_CASE, not row.fails, row.name)))


def _category_row(name: str, findings: Sequence[Finding], verdict: Verdict) -> CategoryRow:
    summary = verdict.categories.get(name)
    compared = next((finding for finding in findings if finding.delta is not None), None)
    cases = max((finding.n for finding in findings), default=summary.n if summary else 0)
    return CategoryRow(
        name=name,
        cases=cases,
        # Where a difference is shown, its own two sides stand beside it: they cover the cases that both have.
        before=compared.before if compared else summary.before if summary else None,
        after=compared.after if compared else summary.score if summary else None,
        delta=compared.delta if compared else None,
        ci=compared.ci if compared else None,
        status=min(map(gating_status, findings), key=_GRAVITY.index, default=None),
    )


def gating_status(finding: Finding) -> Status:
    """The finding's status; `info` for one that does not gate, whatever it found."""
    return finding.status if finding.gating else Status.INFO


def limit_findings(verdict: Verdict) -> tuple[Finding, ...]:
    """The findings on limits (error rate, latency, cost, tokens), breached ones first."""
    limits = [finding for finding in verdict.findings if finding.rule not in JUDGING_RULES]
    return tuple(sorted(limits, key=lambda finding: (_GRAVITY.index(gating_status(finding)), finding.rule)))


def told_limits(verdict: Verdict) -> tuple[Finding, ...]:
    """The limits, where they say more than that the error rate, which every gate limits, is held."""
    limits = limit_findings(verdict)
    is_news = any(finding.rule != "error_rate" or gating_status(finding) is not Status.PASS for finding in limits)
    return limits if is_news else ()


def grave_sentences(verdict: Verdict) -> tuple[str, ...]:
    """What the failing rules and those that found drift say, without what the reason says already."""
    grave = (Status.BREACH, Status.MISSING, Status.DRIFT)
    # A waived breach is told as well: somebody has accepted it, and everybody is to see what.
    sentences = [f.sentence for f in verdict.findings if f.status in grave and (f.gating or f.status is Status.BREACH)]
    return tuple(sentence for sentence in dict.fromkeys(sentences) if sentence not in verdict.reason)


def let_through(verdict: Verdict) -> bool:
    """Whether `gate.when` lets this verdict exit 0 although nothing was proven."""
    return verdict.exit_code == 0 and verdict.verdict is not VerdictName.PASS


def is_stale(verdict: Verdict) -> bool:
    """Whether there is a baseline, and nothing but its age keeps the verdict from being a pass."""
    return verdict.verdict is VerdictName.NO_BASELINE and verdict.baseline.is_stale


def breached_categories(verdict: Verdict) -> frozenset[str]:
    """The categories whose scores breach a gating rule; `*` among them stands for every case."""
    return frozenset(
        finding.category
        for finding in verdict.findings
        if finding.rule in JUDGING_RULES and gating_status(finding) is Status.BREACH
    )


def cause_groups(failures: Iterable[FailedCase]) -> tuple[CauseGroup, ...]:
    """Failures that look alike together, the most frequent first."""
    groups: dict[tuple[str, str], list[FailedCase]] = {}
    for failure in failures:
        groups.setdefault((failure.stage, _shape(failure.cause)), []).append(failure)
    made = [
        CauseGroup(
            stage=stage,
            cause=members[0].cause,
            count=sum(member.count for member in members),
            case_ids=tuple(dict.fromkeys(member.case_id for member in members)),
        )
        for (stage, _), members in groups.items()
    ]
    return tuple(sorted(made, key=lambda group: (-group.count, group.stage, group.cause)))


NaturalKey: TypeAlias = tuple[tuple[str, int], ...]


def natural(name: str) -> NaturalKey:
    """A key that sorts names as people count: `late-2` before `late-10`."""
    return tuple((text, int(digits or 0)) for text, digits in re.findall(r"([^0-9]*)([0-9]{0,18})", name))


def _shape(cause: str) -> str:
    """A cause without what differs from call to call: request ids and measured times, not status codes."""
    return re.sub(r"\b(?=[\w-]*\d)[\w-]{8,}\b|\b\d+\.\d+\b", "…", cause[:500])


# ---- looked up in the runs --------------------------------------------------------------------------------


def as_text(value: Json) -> str | None:
    """A value that a user or a model gave, as text to read: text as it is, structure as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def output_text(output: Output | None) -> str | None:
    """What an output says: its text, its structure, its tool calls; None where nothing was recorded."""
    if output is None:
        return None
    calls = [f"{call.name}({as_text(call.arguments) or ''})" for call in output.tool_calls]
    said = output.text if output.text is not None else as_text(output.data)
    return "\n".join([*([said] if said is not None else []), *calls]) if said is not None or calls else None


def mean_scores(runs: Iterable[Run], case_ids: Iterable[str] | None = None) -> dict[str, float]:
    """Mean score of each case that has one, over the epochs of all the runs; of `case_ids` only where given."""
    wanted = None if case_ids is None else frozenset(case_ids)
    totals: dict[str, list[float]] = {}
    for run in runs:
        for result in scored_results(run):
            if wanted is None or result.case_id in wanted:
                totals.setdefault(result.case_id, []).append(result.score)
    return {case_id: sum(scores) / len(scores) for case_id, scores in totals.items()}


def scored_results(run: Run) -> Iterator[Scored]:
    return (result for result in run.results if isinstance(result, Scored))


def make_flips(
    regressed: Sequence[str], improved: Sequence[str], candidate: Run, baseline_runs: Sequence[Run]
) -> tuple[Flip, ...]:
    """The flips of these cases, in the order given, with what both sides answered."""
    wanted = frozenset(regressed) | frozenset(improved)
    if not wanted:
        return ()
    newest_first = sorted(baseline_runs, key=lambda run: run.created, reverse=True)
    refs = {ref.id: ref for run in (*reversed(newest_first), candidate) for ref in run.cases if ref.id in wanted}
    before, after = mean_scores(newest_first, wanted), mean_scores([candidate], wanted)
    fallen = frozenset(regressed)
    best_before = _telling_results(newest_first, wanted, lambda case_id: case_id in fallen)
    worst_after = _telling_results([candidate], wanted, lambda case_id: case_id not in fallen)
    flips: list[Flip] = []
    for case_id in (*regressed, *improved):
        ref = refs.get(case_id, CaseRef(id=case_id, categories=()))
        old, new = best_before.get(case_id), worst_after.get(case_id)
        flips.append(
            Flip(
                case_id=case_id,
                categories=ref.categories,
                kind="regressed" if case_id in fallen else "improved",
                before=before.get(case_id),
                after=after.get(case_id),
                input=as_text(ref.input),
                expected=as_text(ref.expected),
                output_before=output_text(old.output) if old else None,
                output_after=output_text(new.output) if new else None,
                reason="; ".join(score.reason for score in new.scores if score.reason) or None if new else None,
                source=ref.source,
            )
        )
    return tuple(flips)


def _telling_results(
    newest_first: Sequence[Run], wanted: frozenset[str], highest: Callable[[str], bool]
) -> dict[str, Scored]:
    """One result a case, from the newest run that scored it: its highest where `highest` says so, else its lowest."""
    found: dict[str, Scored] = {}
    for run in newest_first:
        here: dict[str, Scored] = {}
        for result in scored_results(run):
            case_id = result.case_id
            if case_id not in wanted or case_id in found:
                continue
            other = here.get(case_id)
            if other is None or (result.score > other.score if highest(case_id) else result.score < other.score):
                here[case_id] = result
        found |= here
    return found


def _flips(verdict: Verdict, candidate: Run, baseline_runs: Sequence[Run]) -> tuple[Flip, ...]:
    guilty = breached_categories(verdict)

    def telling(flip: Flip) -> tuple[bool, bool, float, NaturalKey]:
        change = abs((flip.after or 0.0) - (flip.before or 0.0))
        return flip.kind != "regressed", guilty.isdisjoint(flip.categories), -change, natural(flip.case_id)

    flips = make_flips(verdict.cases.regressed, verdict.cases.improved, candidate, baseline_runs)
    return tuple(_in_turns(sorted(flips, key=telling), guilty))


def _in_turns(flips: Sequence[Flip], guilty: Collection[str]) -> list[Flip]:
    """The flips with their categories taking turns: the first few shown are of every category that failed."""
    met: Counter[tuple[str, str]] = Counter()
    ranks = []
    for flip in flips:
        blamed = next((name for name in flip.categories if name in guilty), "".join(flip.categories[:1]))
        ranks.append(met[flip.kind, blamed])
        met[flip.kind, blamed] += 1
    order = sorted(
        range(len(flips)),
        key=lambda i: (flips[i].kind != "regressed", not set(flips[i].categories) & set(guilty), ranks[i], i),
    )
    return [flips[index] for index in order]


def failed_cases(candidate: Run) -> tuple[FailedCase, ...]:
    """The run's results without a score, alike ones of a case counted together; sorted by case."""
    failed = Counter(
        (result.case_id, result.stage.value, result.cause) for result in candidate.results if isinstance(result, Failed)
    )
    return tuple(
        FailedCase(case_id=case_id, stage=stage, cause=cause, count=count)
        for (case_id, stage, cause), count in sorted(failed.items())
    )
