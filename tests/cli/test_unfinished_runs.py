"""`evalgate run --resume` from outside: whatever ended a run, nothing is lost, recorded twice or paid for twice."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from kit import Project, Said, answers, build
from repositories import commit, git, repository

from evalgate.runner.journal import Journal

GOOD = {"facts": 20}


def journals(project: Project) -> list[Path]:
    return sorted((project.folder / ".evalgate" / "journal").glob("*.jsonl"))


def stop(project: Project, budget: str = "0.01") -> str:
    """A run that ends early; its id."""
    config = project.folder / "evalgate.yaml"
    text = config.read_text()
    config.write_text(text.replace("max_retries: 0", f"max_retries: 0, budget_usd: {budget}"))
    said = project.evalgate("run", "--format", "json")
    assert said.code == 3
    config.write_text(text)
    return str(said.json["run"]["id"])


def kept(project: Project) -> list[dict[str, str]]:
    runs: list[dict[str, str]] = project.evalgate("history", "--format", "json").json["runs"]
    return runs


def moved_on(project: Project) -> str:
    """One more commit of everything; the id of the one before."""
    if not (project.folder / ".git").exists():
        repository(project.folder)
        commit(project.folder, "first")
    before = git(project.folder, "rev-parse", "HEAD")
    commit(project.folder, "another")
    return before


def told(said: Said) -> tuple[int, str]:
    return said.code, said.json["verdict"]


def test_a_run_killed_after_it_was_recorded_is_not_recorded_again(project: Project) -> None:
    """Its journal is left; resuming gives its verdict, calls nothing and clears up."""
    build(project, categories=GOOD)
    stop(project)
    (journal,) = journals(project)
    shutil.copy(journal, project.folder / "left")
    finished = project.evalgate("run", "--resume", "--format", "json")
    assert (told(finished), journals(project), len(kept(project))) == ((0, "no_baseline"), [], 2)
    shutil.copy(project.folder / "left", journal)
    answers(project, {f"facts-{number}": "boom" for number in range(20)})
    again = project.evalgate("run", "--resume", "--format", "json")
    assert told(again) == told(finished)
    assert finished.json["run"]["id"] == again.json["run"]["id"]
    assert "recorded already" in again.err
    assert (journals(project), len(kept(project))) == ([], 2)


def test_a_second_process_that_resumes_a_run_is_told(project: Project) -> None:
    """It would pay for the same calls; nothing is called, and the first one's journal is untouched."""
    build(project, categories=GOOD)
    stop(project)
    (path,) = journals(project)
    journal = Journal.resume(path, Journal.find(path.parent).unfinished[0].header)
    before = path.read_bytes()
    with journal:
        said = project.evalgate("run", "--resume")
        assert (said.code, said.out) == (2, "")
        assert "another process is running this run" in said.err and "without --resume" in said.err
    assert before == path.read_bytes()


def test_another_suites_run_is_refused_by_its_name(project: Project) -> None:
    """Two suites of one folder share their journals; alone, `--resume` looks at its own suite only."""
    build(project, categories=GOOD)
    run_id = stop(project)
    config = project.folder / "evalgate.yaml"
    config.write_text(config.read_text().replace("suite: tables", "suite: other"))
    said = project.evalgate("run", "--resume", run_id)
    assert (said.code, said.out) == (2, "")
    assert "begun with suite tables, now it is other" in said.err and "configuration that began it" in said.err
    said = project.evalgate("run", "--resume")
    assert (said.code, "no unfinished run of suite 'other'" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: row | {"schema": "evalgate.journal/1"}, "Finish the run with the evalgate that began it"),
        (lambda row: row | {"suite": "forged"}, "first line is damaged"),
    ],
)
@pytest.mark.parametrize("is_named", [True, False])
def test_a_journal_that_cannot_be_read_is_named_with_its_reason(
    project: Project, change: object, words: str, is_named: bool
) -> None:
    """ "No unfinished run" would be a lie: paid calls are in it."""
    build(project, categories=GOOD)
    run_id = stop(project)
    (path,) = journals(project)
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(json.dumps(change(json.loads(first))).encode() + b"\n" + rest)  # type: ignore[operator]
    said = project.evalgate("run", "--resume", *([run_id] if is_named else []))
    assert (said.code, said.out) == (2, "")
    assert words in " ".join(re.split(r"\s+", said.err)) and f"{run_id}.jsonl" in said.err


@pytest.mark.parametrize(("version", "is_told"), [("1", False), ("", True)])
def test_a_run_that_goes_on_at_another_commit_says_so(project: Project, version: str, is_told: bool) -> None:
    """Its first results are of the code of then, unless a version says that it is the same."""
    build(project, categories=GOOD, version=version)
    moved_on(project)
    stop(project)
    first = moved_on(project)
    said = project.evalgate("run", "--resume")
    assert said.code == 0
    assert (f"begun at commit {first[:10]}" in " ".join(said.out.split())) == is_told


def test_two_runs_at_once_on_one_store_are_both_kept(project: Project) -> None:
    """Each with its own journal, whole and once."""
    build(project, categories={"facts": 40})
    code = f"import sys; sys.path[:0] = {sys.path!r}; from evalgate.cli import main; main()"
    both = [subprocess.Popen([sys.executable, "-c", code, "run", "--output", f"{n}.txt"]) for n in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert (len(kept(project)), journals(project)) == (2, [])
    with sqlite3.connect(project.folder / ".evalgate" / "history.db") as history:
        rows = history.execute("SELECT run, COUNT(*), COUNT(DISTINCT position) FROM results GROUP BY run").fetchall()
    history.close()
    assert [row[1:] for row in rows] == [(40, 40), (40, 40)]


def test_a_bare_resume_takes_the_newest_run_that_it_can_go_on_with(project: Project) -> None:
    """Parts and selections of one suite are unfinished side by side; only where none fits is the newest refused."""
    build(project, categories={"facts": 20, "numbers": 20})
    config = project.folder / "evalgate.yaml"
    text = config.read_text()
    config.write_text(text.replace("max_retries: 0", "max_retries: 0, budget_usd: 0.01"))
    for category in ("facts", "numbers"):
        assert project.evalgate("run", "--category", category).code == 3
    config.write_text(text)
    said = project.evalgate("run", "--category", "facts", "--resume", "--format", "json")
    assert (said.code, list(said.json["categories"])) == (0, ["*", "facts"])
    said = project.evalgate("run", "--category", "facts", "--resume")
    assert said.code == 2 and "or others are selected" in " ".join(said.err.split())


def test_a_clock_that_was_set_back_hides_no_run(project: Project) -> None:
    """A run begun by a clock that went ahead is found by its id, and finished by one that is right again."""
    build(project, categories=GOOD)
    run_id = stop(project)
    (path,) = journals(project)
    header = Journal.find(path.parent).unfinished[0].header
    path.unlink()
    ahead = replace(header, created=header.created + timedelta(days=3650))
    Journal.create(path, ahead).close()
    said = project.evalgate("run", "--resume", run_id, "--format", "json")
    assert told(said) == (0, "no_baseline")
    assert (journals(project), len(kept(project))) == ([], 2)


def test_ctrl_c_before_anything_has_begun_says_that_it_was_heard(project: Project) -> None:
    """Exit 130 with one line: nothing is there to go on with."""
    build(project, categories=GOOD)
    project.write("app.py", "raise KeyboardInterrupt\n")
    said = project.evalgate("run")
    assert (said.code, said.out, said.err) == (130, "", "evalgate: interrupted\n")
    assert journals(project) == []


def test_without_an_unfinished_run_the_way_to_a_finished_one_is_told(project: Project) -> None:
    """Whoever was killed at the very end asks for a verdict, not for a run."""
    build(project, categories=GOOD)
    project.evalgate("run")
    said = project.evalgate("run", "--resume")
    assert said.code == 2 and "evalgate gate latest" in said.err
    assert project.evalgate("gate", "latest").code == 0


def test_the_folder_of_journals_is_kept_out_of_git_whole_or_not_at_all(project: Project) -> None:
    """Half a `.gitignore` would let outputs into the repository."""
    build(project, categories=GOOD)
    stop(project)
    assert [file.name for file in (project.folder / ".evalgate").glob(".gitignore*")] == [".gitignore"]
    assert "\n*\n" in (project.folder / ".evalgate" / ".gitignore").read_text()
