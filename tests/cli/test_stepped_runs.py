"""`evalgate run` in steps, from outside: repeats, fresh calls, resuming, waivers, anchors, drift."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from kit import Project, Said

from evalgate.pipeline.drift_tour import take_drift_tour

APP = '''
"""Passes a case as a table beside it says, and writes down every call."""
import json, os, pathlib, signal

HERE = pathlib.Path(__file__).parent

def answer(request):
    return reply(request, "candidate")

def baseline(request):
    return reply(request, "baseline")

def reply(request, side):
    plan = json.loads((HERE / "plan.json").read_text())
    with (HERE / "calls.jsonl").open("a") as file:
        file.write(json.dumps([side, request.case.id, request.epoch]) + "\\n")
    if plan.get("interrupt_at") == [request.case.id, request.epoch]:
        os.kill(os.getpid(), signal.SIGINT)
    fails = request.case.id in plan.get(side, [])
    return {"text": "wrong" if fails else request.case.id, "cost_usd": 0.001, "tokens_in": 1, "tokens_out": 1}
'''

CONFIG = """\
version: 1
suite: steps
evalsets: [cases.yaml]
endpoint: {kind: python, callable: "steps_app:answer", version: "1"}
run: {concurrency: 1, max_retries: 0}
"""

SIZES = {"facts": 20, "lists": 20}


def build(project: Project, gate: str = "{}", more: str = "") -> None:
    rows = [
        f"  - {{id: {name}-{n:02d}, category: {name}, input: x, expected: {name}-{n:02d}}}"
        for name, size in SIZES.items()
        for n in range(size)
    ]
    project.write("cases.yaml", "name: steps\nscorers: [exact]\ncases:\n" + "\n".join(rows) + "\n")
    project.write("steps_app.py", APP)
    project.write("evalgate.yaml", CONFIG + f"gate: {gate}\n{more}")
    plan(project)


def plan(project: Project, **given: Any) -> None:
    project.write("plan.json", json.dumps(given))


def facts(count: int) -> list[str]:
    return [f"facts-{n:02d}" for n in range(count)]


def called(project: Project) -> Counter[tuple[str, str, int]]:
    """How often each (side, case, epoch) was called so far, and forget it."""
    file = project.folder / "calls.jsonl"
    found = Counter(tuple(json.loads(line)) for line in file.read_text().splitlines()) if file.exists() else Counter()
    file.unlink(missing_ok=True)
    return found


def record(project: Project, runs: int = 2) -> None:
    said = project.evalgate("baseline", "record", "--runs", str(runs))
    assert said.code == 0, said.err
    called(project)


def told(said: Said) -> tuple[int, str]:
    return said.code, said.json["verdict"]


def test_only_what_is_undecided_is_called_again(project: Project) -> None:
    """Two of twenty facts break: facts are repeated, lists are called once."""
    build(project, "{overall: null, confirm: false}")
    record(project)
    plan(project, candidate=facts(2))
    said = project.evalgate("run", "--format", "json")
    calls = called(project)
    assert told(said) == (1, "fail")
    assert {case.split("-")[0] for _, case, epoch in calls if epoch > 1} == {"facts"}
    assert said.json["usage"]["calls"] == sum(calls.values()) > 40
    assert set(calls.values()) == {1}


def test_the_verdict_from_the_history_is_the_verdict_of_the_run(project: Project) -> None:
    """Steps and confirmation are stored with the run and replayed; no call is made."""
    build(project)
    record(project)
    plan(project, candidate=facts(8))
    run = project.evalgate("run", "--format", "json").json
    called(project)
    again = project.evalgate("gate", run["run"]["id"], "--format", "json").json
    assert not called(project)
    for side in (run, again):
        side["baseline"]["age_s"] = None
    assert again == run


def test_asked_epochs_are_fixed(project: Project) -> None:
    """`--epochs 2` is two calls a case, whatever is undecided."""
    build(project, "{confirm: false}")
    record(project)
    plan(project, candidate=facts(2))
    project.evalgate("run", "--epochs", "2")
    assert Counter(epoch for _, _, epoch in called(project)) == {1: 40, 2: 40}


def test_an_interrupted_escalation_goes_on_without_calling_anything_twice(project: Project) -> None:
    """Ctrl-C in the second step: what was in flight is called again, nothing else, and the verdict is the same."""
    build(project, "{overall: null, confirm: false}")
    record(project)
    plan(project, candidate=facts(2), interrupt_at=["facts-05", 2])
    said = project.evalgate("run")
    assert (said.code, said.out) == (130, "")
    assert "--resume" in said.err
    first = called(project)
    plan(project, candidate=facts(2))
    resumed = project.evalgate("run", "--resume", "--format", "json")
    second = called(project)
    assert told(resumed) == (1, "fail")
    twice = {key for key in first if key in second}
    assert len(twice) <= 1
    assert resumed.json["usage"]["calls"] >= sum((first + second).values()) - 1
    assert project.evalgate("run", "--resume").code == 2  # nothing is left to go on with


BASELINE = 'baseline_endpoint: {kind: python, callable: "steps_app:baseline", version: "1"}\n'


@pytest.mark.parametrize("more", ["", BASELINE], ids=["alone", "both sides"])
def test_an_interrupted_confirmation_goes_on_without_calling_anything_twice(project: Project, more: str) -> None:
    """However often it is interrupted: only what was in flight is called again, and every call counts."""
    build(project, "{overall: null}", more)
    record(project)
    calls: Counter[tuple[str, str, int]] = Counter()
    for at in (["facts-15", 3], ["facts-03", 6]):
        plan(project, candidate=facts(10), interrupt_at=at)
        assert project.evalgate("run", *(["--resume"] if calls else [])).code == 130
        calls += called(project)
    plan(project, candidate=facts(10))
    resumed = project.evalgate("run", "--resume", "--format", "json")
    calls += called(project)
    assert told(resumed) == (1, "fail")
    once = Counter({("candidate", f"{name}-{n:02d}", 1): 1 for name, size in SIZES.items() for n in range(size)})
    sides = ["candidate", "baseline"] if more else ["candidate"]
    once.update((side, case, epoch) for side in sides for case in facts(20) for epoch in range(1, 9))
    assert not once - calls
    assert (calls - once).total() <= 2
    assert resumed.json["usage"]["calls"] >= calls.total() - 2
    assert not list((project.folder / ".evalgate" / "journal").rglob("*.jsonl"))


def test_a_confirmation_by_another_baseline_begins_anew(project: Project) -> None:
    """Its answers are those of another system; what the first ones cost still counts."""
    build(project, "{overall: null}", BASELINE)
    record(project)
    plan(project, candidate=facts(10), interrupt_at=["facts-15", 3])
    assert project.evalgate("run").code == 130
    first = called(project)
    config = project.folder / "evalgate.yaml"
    config.write_text(config.read_text().replace('baseline", version: "1"', 'baseline", version: "2"'))
    plan(project, candidate=facts(10))
    resumed = project.evalgate("run", "--resume", "--format", "json")
    second = called(project)
    assert set(second) == {(s, case, n) for s in ("candidate", "baseline") for case in facts(20) for n in range(1, 9)}
    assert resumed.json["usage"]["calls"] >= (first + second).total() - 1


def test_a_confirmation_that_died_in_its_first_line_holds_nobody_up(project: Project) -> None:
    """No call had been made by then."""
    build(project, "{overall: null}")
    record(project)
    plan(project, candidate=facts(10), interrupt_at=["facts-15", 3])
    assert project.evalgate("run").code == 130
    (fresh,) = (project.folder / ".evalgate" / "journal" / "fresh").iterdir()
    fresh.write_bytes(b'{"crc":"0')
    plan(project, candidate=facts(10))
    assert told(project.evalgate("run", "--resume", "--format", "json")) == (1, "fail")


def test_a_baseline_endpoint_is_asked_in_turns_and_can_excuse_the_change(project: Project) -> None:
    """Both sides fail now: upstream drift, exit 0, an event in the history."""
    build(project, more=BASELINE)
    record(project)
    plan(project, candidate=facts(10), baseline=facts(10))
    said = project.evalgate("run")
    sides = [side for side, case, _ in called(project) for _ in range(1) if case]
    assert (said.code, "baseline" in sides) == (0, True)
    assert said.out.startswith("PASS")
    assert "UPSTREAM DRIFT, not this change" in " ".join(said.out.split())
    plan(project, candidate=facts(10))
    assert project.evalgate("run").code == 1


def test_without_any_way_to_ask_the_baseline_the_report_says_so(project: Project) -> None:
    """A python endpoint has no stored requests."""
    build(project)
    record(project)
    plan(project, candidate=facts(10))
    said = project.evalgate("run")
    assert said.code == 1
    assert "this change alone: its baseline cannot be called again" in " ".join(said.out.split())


def test_a_waiver_lets_an_intended_drop_through_and_no_further_one(project: Project) -> None:
    """Half of the facts on purpose: named in the first line and in the notes; one more is too many."""
    build(project)
    record(project)
    waivers = """\
version: 1
waivers:
  - {category: facts, from: 1.0, drop: 0.5, owner: "@ann", reason: "shorter on purpose", expires: 2099-12-31}
  - {category: "*", from: 1.0, drop: 0.25, owner: "@ann", reason: "shorter on purpose", expires: 2099-12-31}
"""
    project.write("evalgate-exceptions.yaml", waivers)
    plan(project, candidate=facts(10))
    said = project.evalgate("run")
    text = " ".join(said.out.split())
    assert said.code == 0
    assert "waived: the suite, facts" in text
    assert "Waiver used: facts down to 50.0 % until 2099-12-31 (@ann: shorter on purpose)." in text
    plan(project, candidate=facts(15))
    assert project.evalgate("run", "--baseline", "latest").code in (0, 1)
    worse = project.evalgate("run", "--format", "json")
    assert worse.json["verdict"] == "fail"


def test_a_failing_category_shows_the_line_that_would_accept_it(project: Project) -> None:
    """Ready to be filled in: owner, reason, day."""
    build(project, "{overall: null}")
    record(project)
    plan(project, candidate=facts(10))
    text = " ".join(project.evalgate("run").out.split())
    assert '- {category: "facts", from: 1, drop: 0.55, owner: "<who answers for it>"' in text


def test_an_exception_for_what_does_not_exist_is_refused_before_any_call(project: Project) -> None:
    """With its place in the file."""
    build(project)
    project.write(
        "evalgate-exceptions.yaml",
        "version: 1\nwaivers:\n  - {category: fakts, from: 1, drop: 0.5, owner: a, reason: b, expires: 2099-12-31}\n",
    )
    said = project.evalgate("run")
    assert said.code == 2
    assert "evalgate-exceptions.yaml:3" in said.err
    assert "facts" in said.err


def test_a_case_in_quarantine_is_run_and_shown_but_not_judged(project: Project) -> None:
    """Judged on a run that is not the baseline's; one that nobody knows is no reason."""
    build(project, "{confirm: false, baseline_runs: 1}")
    record(project, 3)
    oldest = project.evalgate("history", "--format", "json").json["runs"][-1]["id"]
    project.write(
        "evalgate-exceptions.yaml",
        "version: 1\nquarantine:\n"
        + "".join(
            f"  - {{case: {case}, owner: bob, reason: index, expires: 2099-12-31, judged_on: [{oldest}]}}\n"
            for case in facts(10)
        ),
    )
    plan(project, candidate=facts(10))
    said = project.evalgate("run", "--format", "json")
    assert told(said) == (0, "pass")
    assert "in quarantine and not judged: 10 cases" in said.json["reason"]
    assert set(facts(10)) <= set(said.json["cases"]["regressed"])
    assert sum("Quarantine of facts-" in note for note in said.json["notes"]) == 10
    file = project.folder / "evalgate-exceptions.yaml"
    file.write_text(file.read_text().replace(oldest, "feedfacefeed"))
    unknown = project.evalgate("gate", said.json["run"]["id"], "--format", "json")
    assert told(unknown) == (1, "fail")
    assert any("feedfacefeed, which the history does not have" in note for note in unknown.json["notes"])


def test_an_anchor_blessed_by_name_is_held_as_well(project: Project) -> None:
    """Two small losses, each unproven against the rolling baseline: the second is a breach against what was blessed."""
    build(project, "{overall: null, anchor: live, confirm: false, baseline_runs: 2}")
    record(project, 2)
    missing = project.evalgate("run", "--format", "json")
    assert told(missing) == (0, "no_baseline")
    run = project.evalgate("history", "--format", "json").json["runs"][0]["id"]
    assert project.evalgate("baseline", "bless", run, "--reason", "release 4", "--name", "live").code in (0, 2)
    first = project.evalgate("history", "--format", "json").json["runs"][1]["id"]
    assert project.evalgate("baseline", "bless", first, "--reason", "release 4", "--name", "live").code == 0
    held = project.evalgate("run", "--format", "json")
    assert told(held) == (0, "pass")
    assert any(finding.get("against") == "anchor" for finding in held.json["findings"])


def test_the_drift_demo_names_the_drift_and_blames_nobody(project: Project) -> None:
    """Stored requests are sent again to a real server that got worse."""
    said: list[str] = []
    assert take_drift_tour(project.folder / "drift", tell=said.append, show=lambda report, run: None) == 0
    assert any(line.startswith("kept in the history: multi-page") for line in said)
