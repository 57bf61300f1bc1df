"""`evalgate calibrate`: from stored runs or fresh ones, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from builders import make_run
from kit import Project, build

from evalgate.history.store import History
from evalgate.records import Run, Usage

SIZES = {"facts": 24, "tone": 5}


def suite(project: Project, **changes: str) -> None:
    build(project, categories=SIZES, **changes)


def record(project: Project, runs: Sequence[Run]) -> None:
    """Puts these into the project's history, blessed, so that they may serve whatever they are."""
    with History.open(f"sqlite:///{project.folder / '.evalgate' / 'history.db'}") as history:
        for run in runs:
            history.write_run(run)
            history.write_blessing(run.id, reason="made by hand", author="test", created=run.created, name=None)


def made(count: int, rate: float = 0.9, *, seed: int = 1, usd: float | None = None) -> list[Run]:
    """Runs in which every case passes with this rate, each answer by itself."""
    rng = Random(seed)
    found = []
    for number in range(count):
        scores = {name: [float(rng.random() < rate) for _ in range(size)] for name, size in SIZES.items()}
        run = make_run(f"run-{number}", minutes=number, **scores)
        found.append(replace(run, suite="tables", usage=Usage(calls=29, cost_usd=usd)))
    return found


def test_stored_runs_tell_false_blocks_noise_reach_and_advice(project: Project) -> None:
    """One page; the endpoint is not called and may be unknown."""
    suite(project)
    record(project, made(5, usd=0.058))
    (project.folder / "app.py").unlink()
    said = project.evalgate("calibrate", "--simulations", "40")
    assert said.code == 0, said.err
    text = " ".join(said.out.split())
    assert "of 100 pull requests that change nothing" in text
    assert "0 of 5 of your own unchanged runs would have been blocked" in text
    assert "passed at one time and failed at another though nothing changed" in text
    assert "tone even a drop of 20 points may pass unseen" in text
    assert "USD) more for every pull request" in text or "USD), once" in text


def test_programs_get_the_same_under_a_schema(project: Project) -> None:
    """Every figure of the page, and the same bytes from the same history."""
    suite(project)
    record(project, made(4))
    first = project.evalgate("calibrate", "--simulations", "30", "--format", "json")
    told = first.json
    assert (told["schema"], told["suite"], told["cases"]) == ("evalgate.calibration/1", "tables", 29)
    assert told["runs"] == ["run-3", "run-2", "run-1", "run-0"]
    assert (told["left_out"]["judged"], told["simulated"]["pulls"]) == (4, 30)
    assert told["simulated"]["blocked"] <= 6 and told["simulated"]["standard_error"] > 0
    assert 1 <= told["simulated"]["calls_per_case"] <= 3
    assert set(told["categories"]) == {"*", "facts", "tone"}
    drops = told["categories"]["facts"]["detectable"]
    assert set(drops) == {"now", "three_repeats", "twice_the_cases", "runs_of_history_5", "runs_of_history_10"}
    assert 0 < drops["twice_the_cases"] < drops["now"] < 1
    assert told["cost_per_call_usd"] is None and told["advice"]["usd_once"] is None
    assert project.evalgate("calibrate", "--simulations", "30", "--format", "json").out == first.out


def test_one_run_says_what_it_cannot_tell(project: Project) -> None:
    """No noise and no false blocks are made up; the runs that are lacking have a price."""
    suite(project)
    record(project, made(1, usd=0.29))
    told = project.evalgate("calibrate", "--format", "json").json
    assert (told["simulated"], told["left_out"], told["wavering"]) == (None, None, [])
    assert (told["runs_to_know"], told["calls_to_know"]) == (4, 116)
    assert told["categories"]["facts"]["changed"] is None
    text = " ".join(project.evalgate("calibrate").out.split())
    assert "cannot be told yet" in text
    assert "evalgate calibrate --runs 4. Price: 116 calls (about 1.16 USD), once." in text


def test_fresh_runs_are_made_and_kept(project: Project) -> None:
    """As `baseline record` makes them; a steady system is said to be steady."""
    suite(project)
    said = project.evalgate("calibrate", "--runs", "3", "--simulations", "20", "--format", "json")
    assert said.code == 0, said.err
    assert len(said.json["runs"]) == 3 and "3 of 3: run" in said.err
    assert said.json["simulated"]["blocked"] == said.json["categories"]["*"]["changed"] == 0
    assert said.json["cost_per_call_usd"] == pytest.approx(0.001)
    assert len(project.evalgate("baseline", "list", "--format", "json").json["baseline"]["ids"]) == 3


def test_without_a_run_it_says_how_to_get_some(project: Project) -> None:
    """Exit 2, and no history is begun."""
    suite(project)
    missing = project.evalgate("calibrate")
    assert missing.code != 0 and "history" in missing.err
    assert not (project.folder / ".evalgate").exists()
    record(project, [replace(run, selection="--limit 3") for run in made(1)])
    none = project.evalgate("calibrate")
    assert none.code == 2 and "calibrate --runs 5" in none.err


def test_a_floor_that_blocks_every_unchanged_change_is_named(project: Project) -> None:
    """It is no noise of the gate, and more history would not help."""
    suite(project, gate="{categories: {facts: {min: 0.98, critical: true}}}")
    record(project, made(3))
    told = project.evalgate("calibrate", "--simulations", "20", "--format", "json").json
    assert told["left_out"]["blocked"] == ["run-2", "run-1", "run-0"]
    assert [(c["category"], c["rule"], c["floor"]) for c in told["culprits"]] == [("facts", "min", 0.98)]
    text = " ".join(project.evalgate("calibrate", "--simulations", "20").out.split())
    assert "facts alone blocks" in text and "which is below it" in text


def test_a_rule_that_compares_two_numbers_blocks_what_did_not_change(project: Project) -> None:
    """And the page says so: the simulation goes through the gate as it is configured."""
    suite(project, gate="{each_category: {max_drop: 0, proof: literal}}")
    record(project, made(5))
    told = project.evalgate("calibrate", "--simulations", "30", "--format", "json").json
    assert told["simulated"]["blocked"] > 10
    assert any(culprit["literal"] for culprit in told["culprits"])


def test_runs_of_another_version_and_blocked_ones_are_left_out(project: Project) -> None:
    """A version's noise is that of its own runs; what was kept out is said."""
    suite(project)
    old = [replace(run, id=f"old-{run.id}") for run in made(2)]
    record(project, [replace(run, version=replace(run.version, id="v0")) for run in old])
    record(project, [replace(run, created=run.created.replace(hour=15)) for run in made(2)])
    told = project.evalgate("calibrate", "--simulations", "5", "--format", "json").json
    assert set(told["runs"]) == {"run-0", "run-1"}


def test_fixed_repeats_are_simulated_as_such(project: Project) -> None:
    """With `epochs: 2` every pull request takes two calls a case, and none is repeated further."""
    suite(project)
    config = project.folder / "evalgate.yaml"
    config.write_text(config.read_text().replace("max_retries: 0", "max_retries: 0, epochs: 2"))
    record(project, made(3, rate=1.0))
    told = project.evalgate("calibrate", "--simulations", "5", "--format", "json").json
    assert told["simulated"]["calls_per_case"] == 2.0


def test_the_page_goes_to_files_in_other_formats(project: Project) -> None:
    """`--output` and `--write`, as everywhere."""
    suite(project)
    record(project, made(2))
    said = project.evalgate("calibrate", "--simulations", "5", "--output", "page.txt", "--write", "markdown=page.md")
    assert (said.code, said.out) == (0, "")
    assert "pull requests that change nothing" in (project.folder / "page.txt").read_text("utf-8")
    assert (project.folder / "page.md").read_text("utf-8").startswith("### This gate would block")
    assert project.evalgate("calibrate", "--write", "junit=x.xml").code == 2
