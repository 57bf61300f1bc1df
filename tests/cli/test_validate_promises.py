"""`evalgate validate` names the rules that cannot hold what they promise, and what would help."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from builders import make_run
from kit import Project, build

from evalgate import gate
from evalgate.pipeline.load import load_suite
from evalgate.pipeline.promises import Known, needed_by_category
from evalgate.pipeline.staged import Against, staged
from evalgate.records import Confirmation, Pinned, Run, Status


def said(project: Project, sizes: dict[str, int], gate: str = "{}") -> str:
    build(project, categories=sizes, gate=gate)
    done = project.evalgate("validate")
    assert done.code == 0, done.err
    assert done.out.rstrip().endswith("valid")
    return done.out


def test_a_sound_gate_gets_no_warning(project: Project) -> None:
    """And each category says how many cases must break."""
    out = said(project, {"facts": 30, "tone": 20})
    assert "warning" not in out
    assert "  facts: 30 (2 must break)" in out and "with one run of history" in out


def test_categories_that_can_never_fail_are_named_with_what_helps(project: Project) -> None:
    """Two cases with one run: history helps; one case too."""
    out = said(project, {"facts": 30, "tone": 2, "money": 1})
    assert "can never fail on their own with one run of history: money (1 case)" in out
    assert "tone (2 cases)" in out
    assert "`evalgate baseline record --runs 5`" in out


def test_what_cannot_be_seen_without_repeats_is_said(project: Project) -> None:
    """`max_epochs: 1` leaves small categories blind that repeats would let see."""
    sizes = {"facts": 30, "tone": 4}
    out = said(project, sizes, "{max_epochs: 1}")
    assert "warning: `max_epochs: 1` allows no repeat of what is in doubt; with repeats these could fail: tone" in out
    assert "max_extra_calls: 0" in said(project, sizes, "{max_extra_calls: 0}")
    assert "allows no repeat" not in said(project, sizes)


def test_a_critical_floor_that_no_run_could_prove_is_said_with_the_cases_it_takes(project: Project) -> None:
    """0.9 ^ 22 is the first below twice 5 %: half of the chance of the very result counts (mid-p)."""
    out = said(project, {"facts": 30, "tone": 12}, "{categories: {tone: {min: 0.9, critical: true}}}")
    assert (
        "tone can never pass" in out
        and "12 cases cannot prove it even if all pass, with this history. It needs 22 cases" in out
    )
    assert "can never pass" not in said(project, {"tone": 30}, "{categories: {tone: {min: 0.9, critical: true}}}")


def test_a_floor_that_could_not_be_shown_to_be_missed_is_said(project: Project) -> None:
    """Three cases that all fail do not prove less than 20 %."""
    out = said(project, {"facts": 30, "tone": 3}, "{categories: {tone: {min: 0.2}}}")
    assert "these floors cannot be shown to be missed, even if no case passes: tone (3 cases, min 0.2)" in out


def test_a_floor_of_nothing_is_said(project: Project) -> None:
    """`min: 0` reads like a rule and holds whatever happens."""
    out = said(project, {"facts": 30, "tone": 20}, "{categories: {tone: {min: 0}}}")
    assert "warning: `min: 0` never fails, since no score is below 0: tone\n" in out


def test_an_exception_that_has_expired_is_said_with_its_place(project: Project) -> None:
    """Those that hold are not."""
    who = "from: 0.9, drop: 0.1, owner: someone, reason: shorter answers"
    project.write(
        "evalgate-exceptions.yaml",
        "version: 1\nwaivers:\n"
        f"  - {{category: facts, {who}, expires: 2020-01-31}}\n"
        f"  - {{category: tone, {who}, expires: 2999-01-31}}\n"
        "quarantine:\n"
        "  - {case: tone-1, owner: someone, reason: unsteady, expires: 2020-02-29, judged_on: [a1b2c3]}\n",
    )
    lines = [line for line in said(project, {"facts": 30, "tone": 20}).splitlines() if "expired" in line]
    assert lines == [
        "warning: evalgate-exceptions.yaml:3: the waiver of facts expired on 2020-01-31 and has no effect. "
        "Take it out, or have a later day reviewed",
        "warning: evalgate-exceptions.yaml:6: the quarantine of tone-1 expired on 2020-02-29 and has no effect. "
        "Take it out, or have a later day reviewed",
    ]


def test_a_literal_rule_has_its_false_block_rate_where_the_history_tells_it(project: Project) -> None:
    """Without runs: that noise can fail it. With some: how often."""
    rule = "{each_category: {max_drop: 0, proof: literal}}"
    out = said(project, {"facts": 10}, rule)
    assert "noise alone can fail it. Leave it out" in out
    assert project.evalgate("baseline", "record", "--runs", "2").code == 0
    out = said(project, {"facts": 10}, rule)
    assert "(in 0.0 % of runs that change nothing, by your history)" in out


def test_the_history_is_read_where_there_is_one(project: Project) -> None:
    """Its number of runs, the price of a call, and an anchor that nobody blessed."""
    rules = "{anchor: live}"
    assert "anchor" not in said(project, {"facts": 20, "tone": 4}, rules)
    assert project.evalgate("baseline", "record", "--runs", "3").code == 0
    out = said(project, {"facts": 20, "tone": 4}, rules)
    assert "with the 3 runs of your history" in out
    assert 'warning: no run for the anchor "live"' in out
    assert "cost: 0.024 USD by earlier runs" in out


def test_a_history_that_cannot_be_read_is_a_note(project: Project) -> None:
    """The configuration is valid all the same."""
    build(project, categories={"facts": 5})
    project.write(".evalgate/history.db", "this is no database, and long enough to be looked at" * 20)
    done = project.evalgate("validate")
    assert done.code == 0 and "note: the history was not read" in done.out


def test_who_cannot_be_asked_again_is_a_note(project: Project) -> None:
    """Unless somebody named a `baseline_endpoint`, or wants no confirmation."""
    assert "Write a `baseline_endpoint`" in said(project, {"facts": 20})
    assert "baseline_endpoint" not in said(project, {"facts": 20}, "{confirm: false}")


class Broken:
    """Cases that always fail among others that always pass."""

    def __init__(self, broken: int, size: int) -> None:
        self._broken, self._size = broken, size

    def run(self, id: str, epochs: int) -> Run:
        scores = [0.0] * self._broken + [1.0] * (self._size - self._broken)
        once = make_run(id, facts=scores, tone=[1.0] * 20)
        results = [replace(result, epoch=epoch) for result in once.results for epoch in range(1, epochs + 1)]
        return replace(once, results=tuple(results), epochs=epochs)

    async def more(self, run: Run, more: gate.More) -> Run:
        wide = self.run(run.id, more.epochs)
        have = {(result.case_id, result.epoch) for result in run.results}
        kept = [r for r in wide.results if (r.case_id, r.epoch) in have or r.case_id in more.case_ids]
        return replace(run, results=tuple(kept))

    async def confirm(self, run: Run, doubt: gate.Doubt) -> Confirmation:
        fresh = [r for r in self.run(run.id, doubt.epochs).results if r.case_id in doubt.case_ids]
        before = [r for r in Broken(0, self._size).run("x", doubt.epochs).results if r.case_id in doubt.case_ids]
        return Confirmation(
            categories=doubt.categories, epochs=doubt.epochs, after=tuple(fresh), before=tuple(before), how="test"
        )

    def room(self) -> int | None:
        return None


@pytest.mark.parametrize("runs", [1, 2, 5])
def test_what_must_break_does_block_when_it_breaks(project: Project, runs: int) -> None:
    """The number that is told, put before the gate itself."""
    build(project, categories={"facts": 10, "tone": 20})
    suite = load_suite(project.folder / "evalgate.yaml", {})
    history = tuple(Broken(0, 10).run(f"base-{number}", 1) for number in range(runs))
    needed = needed_by_category(suite, Known(runs=history))["facts"]
    assert needed is not None
    endpoint = Broken(needed, 10)
    against = Against(baseline=Pinned(runs=history, why="test"), rules=suite.config.rules)
    run = asyncio.run(staged(endpoint.run("candidate", 1), against, endpoint))
    verdict = gate.decide(run, against.baseline, against.rules)
    assert ("facts", Status.BREACH) in {(finding.category, finding.status) for finding in verdict.findings}
