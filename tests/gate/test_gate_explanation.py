"""What `--explain` tells is what decided. `python tests/gate/test_gate_explanation.py` rewrites the golden files."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent.parent))

from builders import NOON, make_run, make_scored
from workflow_commands import commands

from evalgate import gate
from evalgate.gate.explain import Explanation, explain
from evalgate.harmless import log_safe
from evalgate.pipeline.staged import Against, staged
from evalgate.records import (
    EVERY_CASE,
    Baseline,
    CaseRef,
    Confirmation,
    Exceptions,
    Missing,
    Pinned,
    Result,
    Run,
    Status,
    Step,
    Waiver,
)
from evalgate.report import explanation, model
from evalgate.report.pages import Format
from evalgate.report.pen import Pen, display_width

GOLDEN = Path(__file__).parent / "golden_explanation"


def _pinned(*runs: Run) -> Pinned:
    return Pinned(runs=runs, why="named by the test")


def _told(explained: Sequence[Explanation], category: str = EVERY_CASE, rule: str = "max_drop") -> Explanation:
    return next(one for one in explained if (one.category, one.rule) == (category, rule))


def _lines(one: Explanation, title: str) -> str:
    return "\n".join(line for part in one.parts if part.title == title for line in part.lines)


# ---- the same numbers -------------------------------------------------------------------------------------


def _scores(rng: np.random.Generator, rates: np.ndarray[Any, Any], epochs: int, graded: bool) -> list[list[float]]:
    if graded:
        return np.clip(rates[:, None] + rng.normal(0, 0.2, (len(rates), epochs)), 0, 1).round(2).tolist()
    return (rng.random((len(rates), epochs)) < rates[:, None]).astype(float).tolist()


def _results(refs: Sequence[CaseRef], scores: list[list[float]], wanted: dict[str, int] | None = None) -> list[Result]:
    return [
        make_scored(ref.id, score, epoch)
        for ref, values in zip(refs, scores, strict=True)
        for epoch, score in enumerate(values[: wanted[ref.id] if wanted else None], start=1)
    ]


def _run_of(refs: Sequence[CaseRef], id: str, results: Sequence[Result], minutes: float = 0) -> Run:
    return replace(make_run(id, minutes=minutes), cases=tuple(refs), results=tuple(results))


def _any_suite(seed: int) -> tuple[Run, Baseline, gate.Rules, Baseline | None, Exceptions]:
    """A suite of any shape: graded or not, clusters, floors, an anchor, steps, fresh calls, waivers."""
    rng = np.random.default_rng(seed)
    names = [f"c{number}" for number in range(rng.integers(1, 5))]
    has_clusters, is_graded = rng.random() < 0.2, rng.random() < 0.3
    refs = []
    for name in names:
        for number in range(rng.integers(1, 16)):
            also = (str(rng.choice(names)),) if rng.random() < 0.1 else ()
            refs.append(
                CaseRef(
                    id=f"{name}-{number:02d}",
                    categories=tuple(sorted({name, *also})),
                    cluster=f"doc-{number // 3}" if has_clusters else None,
                    critical=bool(rng.random() < 0.1),
                )
            )
    rates = rng.beta(1.5, 0.7, len(refs))
    worse = np.where(rng.random(len(refs)) < rng.choice([0, 0.3, 0.8]), rates * 0.2, rates)
    runs = tuple(
        _run_of(refs, f"base-{k}", _results(refs, _scores(rng, rates, 1, is_graded)), minutes=-k)
        for k in range(rng.integers(1, 6))
    )
    changes: dict[str, Any] = {}
    wanted = None
    epochs = int(rng.integers(1, 4))
    if rng.random() < 0.5:
        epochs = 4
        some = tuple(name for name in names if rng.random() < 0.5)
        steps = [Step(epochs=1, categories=(EVERY_CASE,)), Step(epochs=2, categories=some or (EVERY_CASE,))]
        if rng.random() < 0.5:
            steps.append(Step(epochs=4, categories=some[:1], is_last=True))
        changes |= {"steps": tuple(steps), "against": tuple(run.id for run in runs), "origin": "run"}
        wanted = dict.fromkeys((ref.id for ref in refs), 1)
        for step in steps:
            for ref in refs:
                if EVERY_CASE in step.categories or set(step.categories) & set(ref.categories):
                    wanted[ref.id] = step.epochs
    scores = _scores(rng, worse, epochs, is_graded)
    if rng.random() < 0.6:
        truth = rates if rng.random() < 0.5 else worse
        again = _results(refs, _scores(rng, worse if rng.random() < 0.5 else rates, 4, is_graded))
        before = _results(refs, _scores(rng, truth, 4, is_graded)) if rng.random() < 0.7 else []
        fresh = Confirmation(categories=(EVERY_CASE, *names), epochs=4, after=tuple(again), before=tuple(before))
        changes |= {"confirmation": fresh, "against": tuple(run.id for run in runs)}
    candidate = replace(
        make_run("candidate"),
        cases=tuple(refs),
        results=tuple(_results(refs, scores, wanted)),
        epochs=1 if wanted else epochs,
        **changes,
    )
    rules: dict[str, Any] = {"max_epochs": 4, "each_category": {"proof": str(rng.choice(["shown", "beyond_margin"]))}}
    rules["each_category"]["max_drop"] = float(rng.choice([0, 0.05]))
    rules["categories"] = {
        "c0": {"min": float(rng.choice([0, 0.6, 0.9, 1])), "proof": str(rng.choice(["shown", "literal"]))}
    }
    if rng.random() < 0.3:
        rules["overall"] = {"min": 0.9, "critical": bool(rng.random() < 0.5)}
    anchor: Baseline | None = None
    if rng.random() < 0.4:
        anchor = _pinned(runs[-1]) if rng.random() < 0.7 else Missing(reason="nothing is blessed")
    waiver = Waiver(category="c0", before=1.0, drop=0.9, owner="me", reason="meant", expires=date(2030, 1, 1))
    exempt = Exceptions(waivers=(waiver,)) if rng.random() < 0.3 else Exceptions()
    return candidate, _pinned(*runs), gate.parse_rules(rules), anchor, exempt


@pytest.mark.parametrize("seed", range(80))
def test_an_explanation_has_the_numbers_of_the_verdict(seed: int) -> None:
    """Every finding of any suite is explained once, with its own p, adjusted p, status and words."""
    candidate, baseline, rules, anchor, exempt = _any_suite(seed)
    verdict = gate.decide(candidate, baseline, rules, anchor=anchor, exempt=exempt)
    explained = explain(candidate, baseline, rules, anchor=anchor, exempt=exempt)
    decided = {(f.category, f.rule, f.against): f for f in verdict.findings}
    assert len(explained) == len(decided)
    for one in explained:
        finding = decided[one.category, one.rule, one.against]
        assert (one.p, one.p_adjusted, one.status) == (finding.p, finding.p_adjusted, finding.status)
        assert (one.sentence, one.gating) == (finding.sentence, finding.gating)
        assert _lines(one, "Meaning").startswith(f"{finding.status.value}: ")
        shown = re.search(r"([-\de.]+), (at most|above) \S+: (?:not )?proven\.$", _lines(one, "Budget"))
        if shown:
            assert float(shown[1]) == pytest.approx(finding.p_adjusted, rel=0.06)
            assert (shown[2] == "at most") == (finding.p_adjusted <= rules.alpha)
        worth = re.search(
            r"^(\d+) hypotheses .* is the smallest\. The chance .*: (\S+) \(", _lines(one, "Budget"), re.M
        )
        if worth:
            assert finding.p * 0.94 <= float(worth[2]) <= int(worth[1]) * finding.p * 1.06


def test_many_kinds_of_findings_were_among_them() -> None:
    """The suites above are no help if they hardly differ."""
    titles, statuses = set(), set()
    for seed in range(80):
        candidate, baseline, rules, anchor, exempt = _any_suite(seed)
        for one in explain(candidate, baseline, rules, anchor=anchor, exempt=exempt):
            titles |= {part.title for part in one.parts}
            statuses.add((one.status, one.gating))
    assert titles >= {"Compared", "Chance", "Guards", "Looks", "Budget", "Margin", "Fresh calls", "Floor", "Cases"}
    gating = {(status, True) for status in (Status.BREACH, Status.PASS, Status.DRIFT, Status.INCONCLUSIVE)}
    assert statuses >= {*gating, (Status.BREACH, False)}


@pytest.mark.parametrize("seed", range(40))
def test_the_last_look_told_is_the_one_that_decided(seed: int) -> None:
    """Looks are taken again by the same tests: the last has the finding's own p."""
    candidate, baseline, rules, _, exempt = _any_suite(seed)
    for one in explain(candidate, baseline, rules, exempt=exempt):
        looks = re.findall(r"^Look \d+ .*: p (\S+), adjusted (\S+)\. ", _lines(one, "Looks"), re.MULTILINE)
        if looks:
            assert float(looks[-1][0]) == pytest.approx(one.p, rel=0.06)
            assert float(looks[-1][1]) == pytest.approx(one.p_adjusted, rel=0.06)


def test_the_plain_p_follows_from_the_counts_that_are_shown() -> None:
    """Whoever takes the shown cases and convolves their hypergeometric laws comes to the shown p."""
    runs = [make_run(f"base-{k}", minutes=-k, facts=[1, 1, 1, 1, 1, 1, k % 2, 0, 1, 1, 1, 0]) for k in range(5)]
    now = make_run("now", facts=[0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 0])
    one = _told(explain(now, _pinned(*runs), gate.parse_rules({})))
    cases = re.findall(
        r"^(?:down|up|same) \S+: (\d+) of (\d+) before, (\d+) of (\d+) now", _lines(one, "Compared"), re.M
    )
    law, failed = np.ones(1), 0
    for passed_before, before, passed, after in [tuple(map(int, found)) for found in cases]:
        pool, fails = before + after, before - passed_before + after - passed
        law = np.convolve(law, stats.hypergeom(pool, fails, after).pmf(np.arange(after + 1)))
        failed += after - passed
    assert len(cases) == 6
    assert f"the candidate failed {failed} answers" in _lines(one, "Statistic")
    expected = float((law * np.arange(len(law))).sum())
    assert f"have failed {expected:.3g} on average" in _lines(one, "Statistic")
    assert f"p = {law[failed:].sum():.2g}" in _lines(one, "Chance")


def test_a_category_let_go_is_told_as_it_was_then() -> None:
    """Answers that came later, for others' sake, are not among the counts that its p was made of."""
    candidate, baseline, rules = _situation()
    dates = _told(explain(candidate, baseline, rules), "dates")
    assert "Answers a case: 1 now" in _lines(dates, "Compared")
    assert _lines(dates, "Looks").count("Look ") == 1
    assert "Let go: above 0.4" in _lines(dates, "Looks")


def test_what_matters_most_is_told_first() -> None:
    """Breaches, then drift, then what was not confirmed, then the rest."""
    ranks = [one.status for one in explain(*_situation())]
    first = [status for status in ranks if status in (Status.BREACH, Status.DRIFT)]
    assert first == sorted(first, key=[Status.BREACH, Status.DRIFT].index)
    assert ranks[: len(first)] == first


def test_without_a_baseline_nothing_is_made_up() -> None:
    """No p, no counts: the finding says that there was nothing to compare with."""
    one = _told(explain(make_run("now", facts=[1, 0]), Missing(reason="none yet"), gate.parse_rules({})), "facts")
    assert (one.p, one.status) == (None, Status.INCONCLUSIVE)
    assert [part.title for part in one.parts] == ["Comparison", "Meaning"]


# ---- how it reads -----------------------------------------------------------------------------------------

CATEGORIES = {"billing": 12, "dates": 8, "lists": 10, "safe|<b>ty": 6}
HOSTILE = "billing-00 ::error::\x1b[31m@team"


FELL = ("billing-01", "billing-02", "billing-03", "billing-04", "billing-05", HOSTILE)
SEEMED_TO_FALL = ("lists-00", "lists-01", "lists-02", "lists-03")


class _Calls:
    """The endpoint of this situation: billing fell for good, lists have a bad hour."""

    async def more(self, run: Run, more: gate.More) -> Run:
        asked = set(more.case_ids)
        refs = [ref for ref in run.cases if ref.id in asked]
        kept = [result for result in run.results if result.case_id not in asked]
        return replace(
            run, results=tuple(sorted([*kept, *_at(refs, more.epochs, (*FELL, *SEEMED_TO_FALL))], key=_place))
        )

    async def confirm(self, run: Run, doubt: gate.Doubt) -> Confirmation:
        refs = [ref for ref in run.cases if ref.id in doubt.case_ids]
        after, before = _at(refs, doubt.epochs, FELL), _at(refs, doubt.epochs, ())
        how = "the baseline's own requests, sent again"
        return Confirmation(categories=doubt.categories, epochs=doubt.epochs, after=after, before=before, how=how)

    def room(self) -> int | None:
        return None


def _place(result: Result) -> tuple[str, int]:
    return result.case_id, result.epoch


def _at(refs: Sequence[CaseRef], epochs: int, fell: Sequence[str], mood: int = 0) -> tuple[Result, ...]:
    """Results of each case: those that fell fail every time, `-07` every second time, `safe-05` at first."""
    results = []
    for ref in refs:
        for epoch in range(1, epochs + 1):
            is_flaky = ref.id.endswith("-07") and (epoch + mood) % 2 == 0
            is_late = bool(fell) and ref.id == "safe-05" and epoch == 1
            results.append(make_scored(ref.id, 0.0 if ref.id in fell or is_flaky or is_late else 1.0, epoch))
    return tuple(results)


def _situation() -> tuple[Run, Baseline, gate.Rules]:
    """A run in steps: billing fell and is confirmed, lists only seemed to, dates was let go, safety has a floor."""
    refs = tuple(
        CaseRef(
            id=HOSTILE if (name, number) == ("billing", 0) else f"{name.split('|')[0]}-{number:02d}",
            categories=(name,),
            critical=name == "safe|<b>ty" and number == 5,
        )
        for name, size in sorted(CATEGORIES.items())
        for number in range(size)
    )
    runs = [_run_of(refs, f"base-{k}", _at(refs, 1, (), k), minutes=-60 * k) for k in range(3)]
    rules = {
        "overall": None,
        "categories": {"safe|<b>ty": {"min": 0.9}, "dates": {"min": 0.7, "critical": True}},
        "limits": {"latency_p95_s": 3},
    }
    against = Against(baseline=_pinned(*runs), rules=gate.parse_rules(rules))
    first = replace(_run_of(refs, "now", _at(refs, 1, (*FELL, *SEEMED_TO_FALL))), origin="run")
    return asyncio.run(staged(first, against, _Calls())), against.baseline, against.rules


def _page(format: Format, **pen: Any) -> str:
    """What stands below the report."""
    candidate, baseline, rules = _situation()
    report = model.build(gate.decide(candidate, baseline, rules, now=NOON), candidate)
    page = explanation.render(report, explain(candidate, baseline, rules, now=NOON), format=format, pen=Pen(**pen))
    return page[page.index(explanation.TITLE) :]


@pytest.mark.parametrize("format", ["text", "markdown"])
def test_an_explanation_reads_as_it_was_approved(format: Format) -> None:
    """It is there to be read: each change of it is looked at."""
    assert GOLDEN.with_suffix(f".{format}").read_text(encoding="utf-8") == _page(format)


def test_hostile_names_do_nothing_in_an_explanation() -> None:
    """Neither a terminal, nor a log of GitHub Actions, nor Markdown takes a case's name for anything but text."""
    text, page = log_safe(_page("text")), _page("markdown")
    assert "\x1b" not in text + page
    assert commands(text) == []
    assert "@team" not in page
    assert "<b>" not in page
    assert _page("text", unicode=False).isascii()
    assert [line for line in _page("text", width=80).splitlines() if display_width(line) > 80] == []


def test_markdown_stays_within_what_github_takes() -> None:
    """Of many derivations those that fit are shown whole, and the rest is counted."""
    candidate, baseline, rules = _situation()
    report = model.build(gate.decide(candidate, baseline, rules), candidate)
    page = explanation.render(report, explain(candidate, baseline, rules) * 20, format="markdown")
    assert len(page.encode()) <= 60_000
    assert re.search(r"^\d+ more are left out here", page, re.MULTILINE)
    assert page.count("<details>") == page.count("</details>")


if __name__ == "__main__":
    for suffix in ("text", "markdown"):
        GOLDEN.with_suffix(f".{suffix}").write_text(_page(suffix), encoding="utf-8")
