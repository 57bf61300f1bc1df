"""Whatever of a run others write: each carrier puts a text into one place of a small story, two runs and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from builders import NOON, make_failed, make_output, make_run, make_scored

from evalgate import gate
from evalgate.gate.explain import Explanation, explain
from evalgate.records import (
    CaseRef,
    Course,
    Effect,
    Exceptions,
    Failed,
    Look,
    Pinned,
    Quarantined,
    Result,
    RuleChange,
    Run,
    RunRow,
    Score,
    Scored,
    Source,
    SuiteTrend,
    ToolCall,
    Verdict,
    Version,
    Waiver,
)
from evalgate.report import model
from evalgate.report.model import Report

RULES = gate.parse_rules({"each_category": {"max_drop": 0.0, "proof": "literal"}, "limits": {"error_rate": 0.5}})


@dataclass(frozen=True, kw_only=True)
class Story:
    """A candidate that fails against its baseline, and what else a report is made of."""

    candidate: Run
    baseline: Run
    why: str = "the test names it"
    next_step: str | None = None
    reproduce: tuple[str, ...] = ("evalgate run",)
    store: str = "sqlite:///.evalgate/history.db"
    exempt: Exceptions = Exceptions()
    path: str = "/tmp/report/verdict.json"
    """Of a report file, as a step's output names it."""
    changes: tuple[RuleChange, ...] = ()
    """What the change alters about how it is judged."""
    rules_commit: str | None = None
    carriers: tuple[str, ...] = ()
    """Where somebody has written into it."""

    @property
    def pinned(self) -> Pinned:
        return Pinned(runs=(self.baseline,), why=self.why)

    def verdict(self) -> Verdict:
        made = gate.decide(self.candidate, self.pinned, RULES, exempt=self.exempt, now=NOON)
        return replace(made, changes=self.changes, rules_commit=self.rules_commit)

    def report(self, verdict: Verdict) -> Report:
        return model.build(
            verdict,
            self.candidate,
            (self.baseline,),
            reproduce=self.reproduce,
            next_step=self.next_step,
            store=self.store,
            show_outputs=True,
        )

    def explained(self) -> tuple[Explanation, ...]:
        return tuple(explain(self.candidate, self.pinned, RULES, exempt=self.exempt, now=NOON))

    def trend(self) -> SuiteTrend:
        """Where the suite is moving, as the weekly report tells it."""
        run = self.candidate
        categories = sorted({name for ref in run.cases for name in ref.categories})
        courses = [
            Course(
                category=name,
                metric="score",
                values=(0.95, 0.9, 0.8, 0.7),
                early=0.9,
                late=0.7,
                p_worse=0.01,
                is_moving=True,
            )
            for name in ("*", *categories)
        ]
        return SuiteTrend(
            suite=run.suite, runs=4, first=NOON, last=NOON, versions=2, last_verdict="fail", courses=tuple(courses),
            baseline_id=run.id, baseline_age_s=86_400.0, oldest_pooled_age_s=86_400.0,
            looks=(Look.FAILED, Look.MOVING),
        )  # fmt: skip

    def row(self, verdict: Verdict) -> RunRow:
        """The candidate, as the history lists it."""
        run = self.candidate
        return RunRow(
            id=run.id, suite=run.suite, created=run.created, commit=run.commit, branch=run.branch,
            version=run.version.id, selection=run.selection, stopped=run.stopped, origin=run.origin,
            n_cases=len(run.cases), n_results=len(run.results), n_unscored=1, score=0.5, cost_usd=None,
            verdict=verdict.verdict.value, exit_code=verdict.exit_code, blessed=False, plan="p",
        )  # fmt: skip


def benign() -> Story:
    """The story before anybody has written into it."""
    refs = tuple(
        CaseRef(
            id=case_id,
            categories=(case_id.partition("-")[0],),
            input="how long?",
            expected="30 days",
            source=Source(file="evalsets/all.yaml", line=number + 3),
        )
        for number, case_id in enumerate(("lists-1", "plain-1", "plain-2", "refunds-1"))
    )
    candidate = make_run("run-2", results=(make_failed("plain-2"), *_answers(0)))
    baseline = make_run("run-1", minutes=-60, results=(_answer("plain-2", 1), *_answers(1)))
    return Story(
        candidate=replace(candidate, cases=refs, branch="main", commit="c0ffee" + "0" * 34),
        baseline=replace(baseline, cases=refs, commit="beef" + "0" * 36),
    )


def _answers(refunds: float) -> tuple[Scored, ...]:
    return _answer("lists-1", 1), _answer("plain-1", 1), _answer("refunds-1", refunds)


def _answer(case_id: str, score: float) -> Scored:
    said = Score(scorer="contains", value=score, reason="found it" if score else "did not find it", version="1")
    return make_scored(case_id, score, output=make_output("30 days"), scores=(said,))


Carrier = Callable[[Story, str], Story]


def _both(story: Story, change: Callable[[Run], Run]) -> Story:
    return replace(story, candidate=change(story.candidate), baseline=change(story.baseline))


def _case(story: Story, change: Callable[[CaseRef], CaseRef]) -> Story:
    """Changes the case that regresses, on both sides."""
    return _both(
        story, lambda run: replace(run, cases=tuple(change(ref) if _is_told(ref.id) else ref for ref in run.cases))
    )


def _is_told(case_id: str) -> bool:
    return case_id not in ("lists-1", "plain-1", "plain-2")


def _result(story: Story, **changes: object) -> Story:
    def changed(run: Run) -> Run:
        return replace(
            run,
            results=tuple(
                replace(result, output=replace(result.output, **changes))  # type: ignore[arg-type]
                if _is_told(result.case_id) and result.output is not None
                else result
                for result in run.results
            ),
        )

    return _both(story, changed)


def _score(story: Story, **changes: str) -> Story:
    def changed(run: Run) -> Run:
        results = [
            replace(result, scores=tuple(replace(score, **changes) for score in result.scores))  # type: ignore[arg-type]
            if isinstance(result, Scored)
            else result
            for result in run.results
        ]
        return replace(run, results=tuple(results))

    return _both(story, changed)


def _case_id(story: Story, text: str) -> Story:
    def changed(run: Run) -> Run:
        name = f"{text}-refunds-1"
        return replace(
            run,
            cases=tuple(sorted((_renamed(ref, name) for ref in run.cases), key=lambda ref: ref.id)),
            results=tuple(
                sorted((_renamed_result(result, name) for result in run.results), key=lambda result: result.case_id)
            ),
        )

    return _both(story, changed)


def _renamed(ref: CaseRef, name: str) -> CaseRef:
    return replace(ref, id=name) if _is_told(ref.id) else ref


def _renamed_result(result: Result, name: str) -> Result:
    return replace(result, case_id=name) if _is_told(result.case_id) else result


def _failure(story: Story, text: str) -> Story:
    results = tuple(
        replace(result, cause=text) if isinstance(result, Failed) else result for result in story.candidate.results
    )
    return replace(story, candidate=replace(story.candidate, results=results))


def _altered(story: Story, text: str) -> Story:
    change = RuleChange(
        kind="rule", where=text, effect=Effect.WEAKENS, sentence=text, before=text, after=text, cases=(text,)
    )
    return replace(story, changes=(change,), rules_commit=text)


def _exempt(story: Story, text: str) -> Story:
    soon = date(2026, 12, 1)
    waiver = Waiver(category="plain", before=0.9, drop=0.1, owner=text, reason=text, expires=soon)
    quarantined = Quarantined(case_id="plain-1", owner=text, reason=text, judged_on=(text,), expires=soon)
    return replace(story, exempt=Exceptions(waivers=(waiver,), quarantine=(quarantined,)))


CARRIERS: Mapping[str, Carrier] = {
    "model output": lambda story, text: _result(story, text=text),
    "structured output": lambda story, text: _result(story, data={text: text}),
    "tool call": lambda story, text: _result(story, tool_calls=(ToolCall(name=text, arguments={text: text}),)),
    "retrieved passage": lambda story, text: _result(story, contexts=(text,)),
    "name of the model": lambda story, text: _result(story, model=text, finish_reason=text, response_id=text),
    "failure's cause": _failure,
    "case id": _case_id,
    "category": lambda story, text: _case(story, lambda ref: replace(ref, categories=(f"{text}", "refunds"))),
    "case's input": lambda story, text: _case(story, lambda ref: replace(ref, input=text, expected=text)),
    "tag and cluster": lambda story, text: _case(story, lambda ref: replace(ref, tags=(text,), cluster=text or None)),
    "case's column": lambda story, text: _case(story, lambda ref: replace(ref, metadata={text: text})),
    "eval-set file": lambda story, text: _case(story, lambda ref: replace(ref, source=Source(file=text, line=3))),
    "scorer's reason": lambda story, text: _score(story, reason=text),
    "scorer's name": lambda story, text: _score(story, scorer=text, version=text),
    "suite": lambda story, text: _both(story, lambda run: replace(run, suite=text)),
    "run id": lambda story, text: replace(story, candidate=replace(story.candidate, id=text)),
    "branch": lambda story, text: _both(story, lambda run: replace(run, branch=text)),
    "commit": lambda story, text: _both(story, lambda run: replace(run, commit=text)),
    "version": lambda story, text: _both(story, lambda run: replace(run, version=Version(id=text, parts={text: text}))),
    "selection": lambda story, text: replace(story, candidate=replace(story.candidate, selection=text)),
    "run's notes": lambda story, text: _both(
        story, lambda run: replace(run, metadata={"notes": [text], "models": [text], "system_fingerprints": [text]})
    ),
    "why this baseline": lambda story, text: replace(story, why=text),
    "waiver": _exempt,
    "changed rule": _altered,
    "next step": lambda story, text: replace(story, next_step=text),
    "command": lambda story, text: replace(story, reproduce=(text,), store=text),
    "report's path": lambda story, text: replace(story, path=f"/tmp/{text}/verdict.json"),
}


def carried(text: str, carriers: Iterable[str] = CARRIERS) -> Story:
    """The story with this text in each of these places."""
    return telling(dict.fromkeys(carriers, text))


def telling(texts: Mapping[str, str]) -> Story:
    """The story with these texts, by what carries them."""
    story = benign()
    for name, text in texts.items():
        story = CARRIERS[name](story, text)
    return replace(story, carriers=tuple(texts))
