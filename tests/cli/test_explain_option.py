"""`evalgate gate RUN --explain`: the report with the derivation of its findings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit import Project


def _imported(project: Project) -> list[str]:
    """Three good runs, then one in which a category broke; the words that judge it."""
    good = [{"id": f"{name}-{i}", "category": name, "score": 1} for name in ("facts", "dates") for i in range(20)]
    bad = [{**row, "score": 0 if row["category"] == "facts" else 1} for row in good]
    files = [project.rows(f"good-{number}.jsonl", good) for number in range(3)]
    before = project.evalgate("import", *files, "--suite", "tables").out.split()
    assert project.evalgate("import", project.rows("bad.jsonl", bad), "--suite", "tables").code == 0
    return ["gate", "latest", "--baseline", ",".join(before)]


def test_a_decision_is_explained_below_its_report(project: Project) -> None:
    """From the cases that moved to the adjusted p; the report above it and the exit code are as without."""
    judge = _imported(project)
    plain, told = project.evalgate(*judge), project.evalgate(*judge, "--explain")
    assert (plain.code, told.code) == (1, 1)
    assert told.out.startswith(plain.out)
    below = told.out[len(plain.out) :]
    assert "\nHow each finding came about\n" in below
    assert "facts, max_drop: breach" in below
    assert "down facts-0: 3 of 3 before, 0 of 1 now" in below
    assert "dates, max_drop: pass" in below


def test_programs_get_the_explanation_beside_the_verdict(project: Project) -> None:
    """The verdict's own keys stay as they are; one more holds the derivations, in the same numbers."""
    judge = _imported(project)
    plain = project.evalgate(*judge, "--format", "json").json
    told = project.evalgate(*judge, "--format", "json", "--explain").json
    explained = told.pop("explanation")
    for verdict in (plain, told):
        verdict["baseline"].pop("age_s")  # a clock stands between the two
    assert told == plain
    decided = {(f["category"], f["rule"]): (f["p"], f["p_adjusted"], f["status"]) for f in plain["findings"]}
    assert {(e["category"], e["rule"]): (e["p"], e["p_adjusted"], e["status"]) for e in explained} == decided
    assert all(part["title"] and part["lines"] for one in explained for part in one["parts"])


@pytest.mark.parametrize("kind", ["json", "markdown", "junit"])
def test_files_are_explained_as_far_as_their_format_can(project: Project, kind: str) -> None:
    """JSON and Markdown hold the derivations, JUnit is the same as ever."""
    judge = _imported(project)
    for name, more in (("plain", []), ("told", ["--explain"])):
        assert project.evalgate(*judge, *more, "--write", f"{kind}={name}").code == 1
    plain, told = (Path(project.folder, name).read_text(encoding="utf-8") for name in ("plain", "told"))
    if kind == "junit":
        assert told == plain
    elif kind == "json":
        assert set(json.loads(told)) - set(json.loads(plain)) == {"explanation"}
    else:
        assert told.startswith(plain.rstrip("\n"))
        assert "### How each finding came about" in told


def test_a_run_that_cannot_be_read_has_nothing_to_explain(project: Project) -> None:
    """The error is told as without the option."""
    project.write(".evalgate/history.db", "this is no database")
    plain, told = project.evalgate("gate", "latest"), project.evalgate("gate", "latest", "--explain")
    assert (told.code, told.out, told.err) == (plain.code, plain.out, plain.err)
