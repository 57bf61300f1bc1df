"""`--changed-only`: what a change touches is run, and nothing that is not known to be as it was is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kit import Project, build

APP = '''
"""Answers right, but for one case where there is a file `broken`; every call leaves the case's id behind."""
import pathlib

def answer(request):
    with pathlib.Path(__file__).with_name("asked").open("a") as file:
        file.write(request.case.id + "\\n")
    if request.case.id == "facts-5" and pathlib.Path(__file__).with_name("broken").exists():
        raise RuntimeError("the index is gone")
    return {"text": request.case.id}
'''
GOOD = {"facts": 12, "numbers": 12}


def suite(project: Project, *, gate: str = "{}", version: str = "1") -> Path:
    """A suite with a complete run in its history; the eval set's file."""
    build(project, categories=GOOD, gate=gate, version=version)
    project.write("app.py", APP)
    project.evalgate("run")
    return project.folder / "evalsets" / "tables.yaml"


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def asked_by(project: Project, *arguments: str) -> tuple[list[str], Any]:
    """The cases that a run asked, sorted, and its verdict."""
    log = project.folder / "asked"
    log.unlink(missing_ok=True)
    said = project.evalgate("run", *arguments, "--format", "json")
    return sorted(set(log.read_text().split())) if log.exists() else [], said.json


EVERY = sorted(f"{name}-{number}" for name, size in GOOD.items() for number in range(size))


@pytest.mark.parametrize(
    ("before", "after", "wanted", "why"),
    [
        ("input: facts-3,", "input: 'which?',", ["facts-3"], "1 with other content"),
        ("expected: facts-3}", "expected: facts-3, scorers: [contains]}", ["facts-3"], "1 with other scorers"),
        ("expected: facts-3}", "expected: facts-3, metadata: {level: hard}}", ["facts-3"], "1 with other columns"),
        ("cases:\n", "cases:\n  - {id: new, category: facts, input: new, expected: new}\n", ["new"], "1 new"),
    ],
)
def test_what_changed_is_run_and_nothing_else(
    project: Project, before: str, after: str, wanted: list[str], why: str
) -> None:
    """Content, scorers, columns that either may use, and new cases; the report counts them and names the run."""
    file = suite(project)
    change(file, before, after)
    asked, verdict = asked_by(project, "--changed-only")
    assert asked == wanted
    assert verdict["selection"] == "--changed-only"
    assert any(f"changed since run {verdict['baseline']['ids'][0]} ({why})" in note for note in verdict["notes"])
    assert (verdict["verdict"], verdict["exit_code"]) == ("inconclusive", 0)


def test_where_nothing_changed_nothing_is_called_and_nothing_passes(project: Project) -> None:
    """Exit as `gate.when` says, the run that speaks for it named, no run recorded."""
    suite(project)
    asked, verdict = asked_by(project, "--changed-only")
    (base,) = verdict["baseline"]["ids"]
    assert (asked, verdict["verdict"], verdict["exit_code"]) == ([], "inconclusive", 0)
    assert (verdict["usage"]["calls"], verdict["usage"]["cost_usd"], verdict["selection"]) == (0, 0.0, "--changed-only")
    assert verdict["reason"] == f"no case has changed since run {base}, nor what is tested: nothing was called"
    assert len(project.evalgate("history", "--format", "json").json["runs"]) == 1
    said = project.evalgate("run", "--changed-only")
    assert said.out.startswith("INCONCLUSIVE")
    assert "To have every case judged, run it without --changed-only." in said.out
    config = project.folder / "evalgate.yaml"
    change(config, "gate: {}", "gate: {when: {inconclusive: stop}}")
    assert project.evalgate("run", "--changed-only").code == 3


def test_another_version_changes_every_case(project: Project) -> None:
    """Then the run is whole, and may be a baseline like any other."""
    suite(project)
    change(project.folder / "evalgate.yaml", 'version: "1"', 'version: "2"')
    asked, verdict = asked_by(project, "--changed-only")
    assert (asked, verdict["selection"], verdict["verdict"]) == (EVERY, None, "pass")
    assert any("every case counts as changed" in note and "version changed" in note for note in verdict["notes"])


def test_code_that_nobody_names_may_have_changed(project: Project) -> None:
    """Without `endpoint.version` the same request may meet another program."""
    suite(project)
    change(project.folder / "evalgate.yaml", ', version: "1"', "")
    project.evalgate("run")
    asked, verdict = asked_by(project, "--changed-only")
    assert asked == EVERY
    assert any("may have changed behind the same requests" in note for note in verdict["notes"])


def test_without_a_baseline_every_case_is_run(project: Project) -> None:
    build(project, categories=GOOD)
    project.write("app.py", APP)
    asked, verdict = asked_by(project, "--changed-only")
    assert (asked, verdict["verdict"], verdict["selection"]) == (EVERY, "no_baseline", None)


def test_a_category_that_vanished_is_judged_by_a_whole_run(project: Project) -> None:
    """Taking all cases of a category out is a change that no case of the rest would show."""
    file = suite(project)
    file.write_text("\n".join(line for line in file.read_text().split("\n") if "category: numbers" not in line))
    asked, verdict = asked_by(project, "--changed-only")
    assert (len(asked), verdict["verdict"], verdict["exit_code"]) == (12, "fail", 1)


def test_a_prompt_changes_the_cases_that_are_rendered_by_it(project: Project) -> None:
    """Other eval sets keep theirs; and those cases are compared, since their content is as it was."""
    suite(project)
    other = "name: more\nprompt: 'Say {{ input }}'\nscorers: [exact]\ncases:\n"
    other += "".join(f"  - {{id: m-{n}, category: more, input: 'm-{n}', expected: 'm-{n}'}}\n" for n in range(12))
    file = project.write("evalsets/more.yaml", other)
    project.evalgate("run", "--no-gate")
    change(file, "Say", "Please say")
    asked, verdict = asked_by(project, "--changed-only")
    assert asked == sorted(f"m-{n}" for n in range(12))
    assert verdict["verdict"] == "pass"
    assert next(row["n_pairs"] for row in verdict["findings"] if row["category"] == "more") == 12


def test_a_case_without_a_score_in_the_baseline_is_run(project: Project) -> None:
    """Nothing is known of it that could stand for a result."""
    suite(project, gate="{limits: {error_rate: 0.5}}")
    broken = project.write("broken", "")
    project.evalgate("run")
    broken.unlink()
    asked, verdict = asked_by(project, "--changed-only")
    assert asked == ["facts-5"] and any("1 without a score there" in note for note in verdict["notes"])


def test_a_floor_is_judged_on_what_changed(project: Project) -> None:
    """Nothing to compare with is no excuse for being bad."""
    file = suite(project, gate="{each_category: {min: 0.9, max_drop: 0}}")
    text = file.read_text()
    for number in range(12):
        text = text.replace(f"expected: facts-{number}}}", "expected: wrong}")
    file.write_text(text)
    asked, verdict = asked_by(project, "--changed-only")
    assert (len(asked), verdict["verdict"], verdict["exit_code"]) == (12, "fail", 1)


def test_a_run_of_what_changed_is_no_baseline_and_is_decided_again_alike(project: Project) -> None:
    """The command printed names the runs that it was judged by."""
    file = suite(project)
    change(file, "input: facts-3,", "input: 'which?',")
    _, verdict = asked_by(project, "--changed-only")
    run = verdict["run"]["id"]
    again = project.evalgate("gate", run, "--baseline", verdict["baseline"]["ids"][0], "--format", "json").json
    assert (again["verdict"], again["reason"]) == (verdict["verdict"], verdict["reason"])
    later = project.evalgate("run", "--format", "json").json
    assert run not in later["baseline"]["ids"]
    assert project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "a").code == 2


def test_it_composes_with_the_other_options(project: Project) -> None:
    """Category and tag before, sample and limit after; `--baseline` says since when."""
    file = suite(project)
    (first,) = project.evalgate("history", "--format", "json").json["runs"]
    for case in ("facts-1", "facts-2", "facts-3", "numbers-1"):
        change(file, f"input: {case},", "input: 'which?',")
    arguments = ["--changed-only", "--category", "facts", "--sample", "2", "--baseline", first["id"]]
    asked, verdict = asked_by(project, *arguments)
    assert len(asked) == 2 and set(asked) < {"facts-1", "facts-2", "facts-3"}
    assert verdict["selection"] == "--category facts --changed-only --sample 2 --seed 0"
    assert json.dumps(verdict["notes"]).count("4 of 24 cases changed") == 1
    said = project.evalgate("run", "--shard", "1/2", "--changed-only")
    assert (said.code, said.out) == (2, "")


def test_a_floor_that_holds_makes_no_pass_of_what_cannot_be_compared(project: Project) -> None:
    """Other scorers are another measure, also where only their cases were run."""
    file = suite(project, gate="{each_category: {min: 0.1, max_drop: 0}}")
    file.write_text(file.read_text().replace("[exact]", "[contains]"))
    asked, verdict = asked_by(project, "--changed-only")
    assert asked == EVERY and verdict["verdict"] != "pass"
    file.write_text(
        file.read_text().replace("[contains]", "[exact]").replace("numbers-1}", "numbers-1, scorers: [contains]}")
    )
    asked, verdict = asked_by(project, "--changed-only")
    assert (asked, verdict["verdict"]) == (["numbers-1"], "inconclusive")
    assert "not comparable" in verdict["reason"] or "no case is comparable" in verdict["reason"]
