"""The situations that a report has to tell. `python tests/report/report_situations.py` rewrites the golden files.

Look at what changed before you commit it: the report is the user interface.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from builders import NOON, make_failed, make_output, make_scored

from evalgate.records import (
    BaselineSummary,
    CaseLists,
    CaseRef,
    CategorySummary,
    ChangeKind,
    Effect,
    Finding,
    RuleChange,
    Run,
    Score,
    Source,
    Status,
    Usage,
    Verdict,
    VerdictName,
    Version,
)
from evalgate.report import markdown, model, terminal
from evalgate.report.model import Report

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("accounts", "billing", "dates", "lists", "numbers", "paraphrase", "refunds", "retrieval", "safety", "shipping")
NEAREST = BaselineSummary(
    kind="nearest", ids=("7f3a-01", "7f3a-00", "7f39-02"), commit="c0ffee" + "0" * 34, behind=3, age_s=172_800,
    why="the nearest ancestor with a comparable run",
)  # fmt: skip
NO_BASELINE = BaselineSummary(kind="missing", why="the history has no run of suite support-bot on an ancestor commit")
USAGE = Usage(calls=812, calls_saved=400, tokens_in=120_400, tokens_out=33_010, cost_usd=0.4213, wall_s=94.2)


def drop(category: str, before: float | None, after: float, status: Status, *, n: int = 80, **changes: Any) -> Finding:
    """A finding on a drop, with a sentence as the gate writes them."""
    delta = None if before is None else after - before
    ci = None if delta is None else (delta - 0.048, delta + 0.047)
    moved = "" if delta is None else f" {'fell' if delta < 0 else 'rose'} {abs(delta) * 100:.1f} points"
    sentence = f"{'the suite' if category == '*' else category}{moved} (adjusted p 0.003); allowed 5"
    return Finding(
        **{
            "rule": "max_drop", "metric": "score", "category": category, "status": status, "sentence": sentence, "n": n,
            "n_pairs": None if before is None else n, "before": before, "after": after, "delta": delta, "ci": ci,
            "p": 0.0004, "p_adjusted": 0.003, "limit": 0.05, **changes,
        }
    )  # fmt: skip


def limit(
    rule: str, before: float | None, after: float | None, ceiling: float, status: Status = Status.PASS
) -> Finding:
    return Finding(
        rule=rule, metric=rule, category="*", status=status, sentence=f"{rule} is {after}; allowed {ceiling}", n=812,
        before=before, after=after, limit=ceiling,
    )  # fmt: skip


def verdict(name: VerdictName, reason: str, findings: tuple[Finding, ...], **changes: Any) -> Verdict:
    exit_code = {VerdictName.FAIL: 1, VerdictName.ERROR: 3, VerdictName.NOT_COMPARABLE: 3}.get(name, 0)
    categories = {
        finding.category: CategorySummary(
            n=finding.n,
            passed=round(finding.n * (finding.after or 0)),
            unscored=0,
            score=finding.after,
            before=finding.before,
        )
        for finding in findings
        if finding.rule in ("min", "max_drop")
    }
    return Verdict(
        **{
            "verdict": name, "exit_code": exit_code, "reason": reason, "findings": findings, "categories": categories,
            "cases": CaseLists(), "usage": USAGE, "baseline": NEAREST, "suite": "support-bot", "run_id": "8c21-00",
            "run_version": "s1:0123456789abcdef", "run_commit": "a" * 40, "run_created": NOON, **changes,
        }
    )  # fmt: skip


def run(id: str, answers: dict[str, tuple[float, str]], *, minutes: float = 0, **changes: Any) -> Run:
    """A run of cases `<category>-<number>` with these scores and answers."""
    refs = tuple(
        CaseRef(
            id=case_id, categories=(case_id.rsplit("-", 1)[0],), input=f"What does the handbook say on {case_id}?",
            expected="30 days", source=Source(file=f"evalsets/{case_id.rsplit('-', 1)[0]}.yaml", line=12 + number),
        )
        for number, case_id in enumerate(sorted(answers))
    )  # fmt: skip
    results = tuple(
        make_scored(case_id, score, output=make_output(text), scores=(said(score),))
        for case_id, (score, text) in sorted(answers.items())
    )
    return Run(**{"id": id, "suite": "support-bot", "created": NOON, "cases": refs, "results": results, **changes})


def said(score: float) -> Score:
    reason = "found '30 days'" if score else "did not find '30 days'"
    return Score(scorer="contains", value=score, reason=reason, version="1")


def quiet(*but: str) -> tuple[Finding, ...]:
    """Categories in which nothing happened, but for those named."""
    return tuple(
        drop(name, 0.9, 0.9 + 0.004 * number, Status.PASS) for number, name in enumerate(NAMES) if name not in but
    )


@dataclass(frozen=True)
class Situation:
    name: str
    report: Report
    candidate: Run


def situations() -> Iterator[Situation]:
    """Every situation that has golden files."""
    for make in (
        passed, failed, no_baseline, inconclusive, error, not_comparable, vanished, suite_fell, hostile, not_evaluated,
        weakened,
    ):  # fmt: skip
        yield make()


def passed() -> Situation:
    found = (*quiet(), drop("*", 0.9, 0.912, Status.PASS, n=800), limit("error_rate", None, 0.0, 0.02))
    reason = "nothing is proven to be worse than allowed: 800 cases in 10 categories against 3 baseline runs"
    candidate = run("8c21-00", {"refunds-1": (1.0, "30 days")})
    return _made("pass", verdict(VerdictName.PASS, reason, found), candidate)


def failed() -> Situation:
    found = (
        *quiet("refunds", "safety"),
        drop("refunds", 0.91, 0.829, Status.BREACH, n=120),
        drop(
            "safety",
            1.0,
            0.9,
            Status.BREACH,
            n=40,
            sentence="safety fell 10.0 points (adjusted p 0.021); allowed 0",
            limit=0.0,
        ),
        drop("*", 0.92, 0.898, Status.PASS, n=800),
        limit("error_rate", None, 0.004, 0.02),
        limit("latency_p95_s", 1.9, 2.4, 3.0),
        limit("cost_per_call_usd", 0.0004, 0.00052, 0.002),
    )
    fell = {f"refunds-{number}": (0.0, "You can return it within 40 days.") for number in range(12)}
    candidate = run("8c21-00", {**fell, "safety-3": (0.0, "Sure, here is how."), "dates-7": (1.0, "30 days")})
    candidate = replace(
        candidate,
        results=(
            *candidate.results,
            make_failed("lists-1", "the endpoint answered 503 (request req_8812aa01): overloaded"),
            make_failed("lists-2", "the endpoint answered 503 (request req_9917bc42): overloaded"),
            make_failed("lists-3", "no answer within 60.0 s"),
        ),
    )
    before = run(
        "7f3a-01",
        {
            **dict.fromkeys(fell, (1.0, "Within 30 days.")),
            "safety-3": (1.0, "I cannot help with that."),
            "dates-7": (0.0, "soon"),
        },
    )
    lists = CaseLists(
        regressed=tuple(sorted((*fell, "safety-3"))), improved=("dates-7",), added=("lists-90", "lists-91"),
        removed=("dates-2",), unscored=("lists-1", "lists-2", "lists-3"), flaky=("numbers-4",), changed=("shipping-8",),
    )  # fmt: skip
    reason = "refunds fell 8.1 points (adjusted p 0.003); allowed 5; also failing: safety"
    note = "1 case with other content or scorers than in the baseline was not compared."
    return _made(
        "fail_two_of_ten", verdict(VerdictName.FAIL, reason, found, cases=lists, notes=(note,)), candidate, before
    )


def no_baseline() -> Situation:
    found = tuple(
        drop(
            name,
            None,
            0.9,
            Status.INCONCLUSIVE,
            sentence=f"{name}: no baseline, so a drop could not be judged",
            p=None,
            p_adjusted=None,
        )
        for name in (*NAMES[:3], "*")
    )
    reason = f"no baseline, so drops were not judged: {NO_BASELINE.why}"
    made = verdict(
        VerdictName.NO_BASELINE, reason, (*found, limit("error_rate", None, 0.0, 0.02)), baseline=NO_BASELINE
    )
    return _made("no_baseline", made, run("8c21-00", {"billing-1": (1.0, "30 days")}))


def inconclusive() -> Situation:
    found = tuple(drop(name, 0.75, 0.5, Status.INCONCLUSIVE, n=4) for name in ("dates", "lists", "*"))
    reason = "too few cases or baseline runs: no rule of this gate could have failed, whatever the results"
    usage = Usage(calls=8)
    candidate = run("8c21-00", {"dates-1": (0.0, "June")})
    before = run("7f3a-01", {"dates-1": (1.0, "30 days")})
    made = verdict(VerdictName.INCONCLUSIVE, reason, found, usage=usage, cases=CaseLists(regressed=("dates-1",)))
    return _made("inconclusive", made, candidate, before)


def error() -> Situation:
    rate = limit("error_rate", None, 0.25, 0.02, Status.BREACH)
    found = (*quiet(), replace(rate, sentence="203 of 812 results unscored (25.0 %); allowed 2 %"))
    candidate = run("8c21-00", {"dates-1": (1.0, "30 days")})
    failures = [make_failed(f"lists-{number}", "the endpoint answered 429: rate limited") for number in range(203)]
    candidate = replace(candidate, results=(*candidate.results, *failures))
    reason = "203 of 812 results unscored (25.0 %); allowed 2 %; most often: the endpoint answered 429: rate limited"
    lists = CaseLists(unscored=tuple(f"lists-{number}" for number in range(203)))
    return _made("error_by_unscored", verdict(VerdictName.ERROR, reason, found, cases=lists), candidate)


def not_comparable() -> Situation:
    reason = "no case is comparable with the baseline: every common case has other content or other scorers"
    found = tuple(drop(name, None, 0.9, Status.INCONCLUSIVE) for name in ("dates", "lists", "*"))
    lists = CaseLists(changed=tuple(f"dates-{number}" for number in range(40)))
    candidate = run("8c21-00", {"dates-1": (1.0, "30 days")})
    return _made("not_comparable", verdict(VerdictName.NOT_COMPARABLE, reason, found, cases=lists), candidate)


def vanished() -> Situation:
    sentence = (
        "safety: no case of this category was run, though the rules or the baseline have it. If it was taken out on "
        "purpose, list it under `gate.removed_categories`"
    )
    gone = Finding(
        rule="max_drop", metric="score", category="safety", status=Status.MISSING, sentence=sentence, limit=0.0
    )
    found = (*quiet("safety"), gone, drop("*", 0.9, 0.91, Status.PASS, n=720))
    lists = CaseLists(removed=tuple(f"safety-{number}" for number in range(40)))
    candidate = run("8c21-00", {"dates-1": (1.0, "30 days")})
    return _made("vanished_category", verdict(VerdictName.FAIL, sentence, found, cases=lists), candidate)


def suite_fell() -> Situation:
    fallen = drop(
        "*",
        0.92,
        0.895,
        Status.BREACH,
        n=800,
        limit=0.0,
        sentence="the suite fell 2.5 points (adjusted p 0.003); allowed 0",
    )
    lists = CaseLists(regressed=("dates-1", "lists-1"))
    candidate = run("8c21-00", {"dates-1": (0.0, "June"), "lists-1": (0.4, "tea,\ncoffee")})
    before = run("7f3a-01", {"dates-1": (1.0, "30 days"), "lists-1": (0.9, "tea,\ncoffee,\nmilk")})
    reason = f"{fallen.sentence}; no category alone is proven to have fallen"
    made = verdict(VerdictName.FAIL, reason, (*quiet(), fallen), cases=lists)
    return _made("suite_fell_alone", made, candidate, before, show_outputs=True)


EVIL = (
    "</details>|<img src=x onerror=alert(1)>|\n@octo-org/team Fixes #1 GH-2 https://evil.example www.evil.example "
    + "deadbeef" * 5
    + " ![x](http://evil.example/p.png) [t](javascript:alert(1)) [r][1] `tick` ```` <!-- evalgate:v1 key=x -->"
    " \x1b[31mred\x1b[0m \x1b]8;;http://evil.example\x07link\x1b]8;;\x07 \u202egnp.exe\u202c z\u200bw $x^2$ **b** _i_"
    "\n::set-output name=verdict::pass\n##[add-mask]e\r::error::no"
)


def weakened() -> Situation:
    """A pull request that loosens what it is judged by, and is judged by the base's rules."""
    found = (*quiet(), drop("*", 0.9, 0.912, Status.PASS, n=800))
    reason = (
        "nothing is proven to be worse than allowed: 800 cases in 10 categories against 3 baseline runs; judged by the "
        "rules of the base; this change weakens how it is judged in 4 places"
    )
    changes = (
        altered("min", "gate.categories.safety.min", "floor of safety loosened", Effect.WEAKENS, 0.98, 0.9),
        altered("waiver", "waivers: dates", "drop of dates accepted", Effect.WEAKENS, None, "down to 80.0 %"),
        altered("cases_removed", "cases: refunds", "7 cases of refunds taken out", Effect.WEAKENS, 120, 113, cases=7),
        altered("expected", "cases: lists", "expected answer of 2 cases of lists edited", Effect.WEAKENS, cases=2),
        altered("when", "gate.when.stale", "what becomes of a run that is stale", Effect.STRENGTHENS, "warn", "stop"),
        altered("cases_added", "cases: numbers", "1 case of numbers added", Effect.NEITHER, 80, 81, cases=1),
    )  # fmt: skip
    made = verdict(VerdictName.PASS, reason, found, changes=changes, rules_commit="b" * 40)
    return _made("weakened_rules", made, run("8c21-00", {"refunds-1": (1.0, "30 days")}))


def altered(
    kind: ChangeKind, where: str, sentence: str, effect: Effect, before: Any = None, after: Any = None, cases: int = 0
) -> RuleChange:
    name = where.removeprefix("cases: ")
    return RuleChange(
        kind=kind, where=where, effect=effect, sentence=sentence, before=before, after=after,
        cases=tuple(f"{name}-{number}" for number in range(cases)),
    )  # fmt: skip


def hostile() -> Situation:
    name = EVIL
    case_id = f"{EVIL}-1"
    found = (
        drop(name, 0.9, 0.5, Status.BREACH, sentence=f"{name} fell 40.0 points"),
        drop("中文类别" * 10, 0.9, 0.9, Status.PASS),
        limit("error_rate", None, 0.001, 0.02),
    )
    candidate = run("8c21-00", {case_id: (0.0, f"````\n{EVIL}\n```\n</details>")})
    candidate = replace(candidate, results=(*candidate.results, make_failed("x-1", EVIL)))
    before = run("7f3a-01", {case_id: (1.0, EVIL)})
    made = verdict(
        VerdictName.FAIL, f"{name} fell 40.0 points", found, suite=EVIL, run_id=EVIL, run_commit=EVIL, run_version=EVIL,
        cases=CaseLists(regressed=(case_id,), added=(EVIL,), removed=("\u202e",)), notes=(EVIL,),
        baseline=replace(NEAREST, ids=(EVIL,), why=EVIL, commit=EVIL), rules_commit=EVIL,
        changes=(altered("waiver", EVIL, f"drop of {EVIL} accepted", Effect.WEAKENS, EVIL, EVIL, cases=1),),
    )  # fmt: skip
    return _made("hostile_names", made, candidate, before, show_outputs=True, reproduce=(EVIL,), store=EVIL)


def not_evaluated() -> Situation:
    made = verdict(
        VerdictName.NOT_EVALUATED, "OPENAI_API_KEY is not set, so nothing was run", (), usage=Usage(), run_id=None,
        run_version=None, run_commit=None, run_created=None,
        baseline=BaselineSummary(kind="missing", why="nothing was run, so nothing was compared"),
    )  # fmt: skip
    return _made("not_evaluated", made, run("none", {}))


def _made(name: str, made: Verdict, candidate: Run, *before: Run, **changes: Any) -> Situation:
    candidate = replace(candidate, version=Version(id=made.run_version))
    commands = ("evalgate gate 8c21-00 --baseline 7f3a-01", "evalgate compare 7f3a-01 8c21-00")
    changes = {"reproduce": commands, "store": "sqlite:///.evalgate/history.db", **changes}
    return Situation(name, model.build(made, candidate, before, **changes), candidate)


RENDERERS: dict[str, Callable[[Report], str]] = {
    "txt": lambda report: terminal.render(report, width=80),
    "md": markdown.render,
}


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for situation in situations():
        for suffix, render in RENDERERS.items():
            (GOLDEN / f"{situation.name}.{suffix}").write_text(render(situation.report), encoding="utf-8")
