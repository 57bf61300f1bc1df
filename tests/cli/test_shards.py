"""`evalgate run --shard` and `evalgate merge` from outside: the parts make the run, or the reason why not."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from kit import Project, Said, answers, build
from repositories import commit, git, repository

from evalgate.history import run_file

ROOT = Path(__file__).parents[2]
GOOD = {"facts": 20, "numbers": 20}


def run_parts(project: Project, count: int, *more: str) -> list[Said]:
    return [project.evalgate("run", "--shard", f"{index}/{count}", *more) for index in range(1, count + 1)]


def stable(said: Said) -> dict[str, Any]:
    """A verdict without what two runs of one thing never share."""
    return {name: value for name, value in said.json.items() if name not in ("run", "usage")}


def test_merged_shards_decide_as_the_whole_run_does(project: Project) -> None:
    """Same findings, categories and cases as a run on one machine; the parts are not in the history, the run is."""
    build(project, categories=GOOD)
    project.evalgate("run", "--epochs", "1")
    answers(project, {f"numbers-{number}": "wrong" for number in range(14)})
    said = run_parts(project, 3)
    assert [part.code for part in said] == [0, 0, 0]
    assert "evalgate merge 'shard-*-of-3.evalrun'" in said[0].err
    history = project.evalgate("history", "--format", "json").json["runs"]
    assert len(history) == 1
    baseline = history[0]["id"]
    merged = project.evalgate("merge", "shard-*-of-3.evalrun", "--format", "json")
    whole = project.evalgate("run", "--epochs", "1", "--baseline", baseline, "--format", "json")
    assert (merged.code, merged.json["verdict"]) == (1, "fail")
    breached = {row["category"] for row in merged.json["findings"] if row["status"] == "breach"}
    assert breached == {row["category"] for row in whole.json["findings"] if row["status"] == "breach"}
    assert merged.json["categories"] == whole.json["categories"]
    assert merged.json["usage"]["calls"] == 40
    assert not list((project.folder / ".evalgate" / "journal").glob("*.jsonl"))


def test_merging_again_makes_no_second_run(project: Project) -> None:
    """Whatever the order and the names of the files; it is judged again, and a merged run may be a baseline."""
    build(project, categories=GOOD)
    run_parts(project, 2)
    first = project.evalgate("merge", "shard-1-of-2.evalrun", "shard-2-of-2.evalrun", "--format", "json")
    again = project.evalgate("merge", "shard-2-of-2.evalrun", ".", "--format", "json")
    assert first.json["run"]["id"] == again.json["run"]["id"] and stable(first) == stable(again)
    assert "of the history already" in again.err
    assert len(project.evalgate("history", "--format", "json").json["runs"]) == 1
    whole = project.evalgate("run", "--format", "json")
    assert whole.json["baseline"]["ids"] == [first.json["run"]["id"]]


def test_a_missing_shard_is_named_and_nothing_is_decided(project: Project) -> None:
    """Half the cases are no run."""
    build(project, categories=GOOD)
    run_parts(project, 3)
    (project.folder / "shard-2-of-3.evalrun").unlink()
    said = project.evalgate("merge", ".")
    assert said.code == 2 and said.out == ""
    assert "shard 2/3 of tables is missing" in said.err and "evalgate run --shard 2/3" in said.err


def test_the_newer_attempt_of_a_shard_counts(project: Project) -> None:
    """A job that was run again leaves two files; the later one is taken, and that is said."""
    build(project, categories=GOOD)
    answers(project, {f"facts-{number}": "wrong" for number in range(20)})
    run_parts(project, 2)
    (project.folder / "shard-1-of-2.evalrun").rename(project.folder / "z.evalrun")
    answers(project, {f"facts-{number}": f"facts-{number}" for number in range(20)})
    run_parts(project, 2)
    said = project.evalgate("merge", ".", "--format", "json", "--no-gate")
    assert "z.evalrun does not" in said.err
    assert said.json["categories"]["facts"]["score"] == 1.0
    assert said.json["categories"]["*"]["n"] == 40


def changed(project: Project, what: str) -> None:
    """Another system, eval set or question between two parts."""
    file = project.folder / ("evalgate.yaml" if what in ("version", "suite") else "evalsets/tables.yaml")
    text = file.read_text()
    changes = {
        "version": ('version: "1"', 'version: "2"'),
        "suite": ("suite: tables", "suite: others"),
        "eval set": ("input: facts-3,", "input: other,"),
        "list of cases": ("category: facts,", "category: truths,"),
        "scorers": ("[exact]", "[{exact: {ignore_case: true}}]"),
    }
    file.write_text(text.replace(*changes[what]))


@pytest.mark.parametrize("what", ["version", "suite", "eval set", "list of cases", "scorers"])
def test_shards_of_two_systems_are_no_run(project: Project, what: str) -> None:
    """Each difference is told as what it is."""
    build(project, categories=GOOD)
    project.evalgate("run", "--shard", "1/2")
    changed(project, what)
    project.evalgate("run", "--shard", "2/2")
    said = project.evalgate("merge", ".")
    assert said.code == 2 and f"has another {what} than" in said.err


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (["--shard", "1/2"], ["--shard", "2/3"], "number of shards"),
        (["--shard", "1/2"], ["--shard", "2/2", "--epochs", "2"], "number of epochs"),
        (["--shard", "1/2"], ["--shard", "2/2", "--category", "facts"], "selection of cases"),
    ],
)
def test_shards_of_two_commands_are_no_run(project: Project, first: list[str], second: list[str], told: str) -> None:
    """They would be half of one thing and half of another."""
    build(project, categories=GOOD)
    project.evalgate("run", *first)
    project.evalgate("run", *second)
    said = project.evalgate("merge", ".")
    assert said.code == 2 and f"has another {told} than" in said.err


@pytest.mark.parametrize("named", [True, False], ids=["--config", "evalgate.yaml"])
def test_another_suites_rules_decide_on_no_shards(project: Project, named: bool) -> None:
    """From all right to all wrong, and the other suite's rules would let it through: exit 2, and nothing is kept."""
    build(project, categories=GOOD)
    project.evalgate("run", "--epochs", "1")
    answers(project, {f"{name}-{number}": "wrong" for name in GOOD for number in range(20)})
    run_parts(project, 2)
    text = (project.folder / "evalgate.yaml").read_text()
    lax = text.replace("suite: tables", "suite: lax").replace("gate: {}", "gate: {when: {inconclusive: allow}}")
    file = project.write("lax.yaml" if named else "evalgate.yaml", lax).name
    said = project.evalgate("merge", ".", *(["--config", file] if named else []))
    assert (said.code, said.out) == (2, "")
    assert f"these shards are of suite tables, {file} is of suite lax" in said.err
    assert "Name the configuration of suite tables with --config" in said.err
    project.write("tables.yaml", text)
    assert len(project.evalgate("history", "--config", "tables.yaml", "--format", "json").json["runs"]) == 1
    assert project.evalgate("merge", ".", "--config", "tables.yaml").code == 1


def rewritten(file: Path, target: Path, *, cases_of: Path) -> None:
    """A shard's file with another's cases: nothing that evalgate would write."""
    read, other = run_file.read(file), run_file.read(cases_of)
    run_file.write(target, other.run, shard=read.shard)


def test_a_case_in_two_shards_is_refused(project: Project) -> None:
    """It would count twice."""
    build(project, categories=GOOD)
    run_parts(project, 2)
    two = project.folder / "shard-2-of-2.evalrun"
    rewritten(two, two, cases_of=project.folder / "shard-1-of-2.evalrun")
    said = project.evalgate("merge", ".")
    assert said.code == 2 and "holds cases that" in said.err


def test_shards_that_lack_a_case_are_refused(project: Project) -> None:
    """All parts are there and a case is not: somebody has made the files by other means."""
    build(project, categories=GOOD)
    run_parts(project, 2)
    one, two = (project.folder / f"shard-{index}-of-2.evalrun" for index in (1, 2))
    shard = run_file.read(one).shard
    project.evalgate("run", "--shard", "1/3", "--write", "run=three.evalrun")
    run_file.write(one, run_file.read(project.folder / "three.evalrun").run, shard=shard)
    said = project.evalgate("merge", one, two)
    assert said.code == 2 and ("not the 40 that were to run" in said.err or "holds cases that" in said.err)


def test_what_is_no_shard_is_refused(project: Project) -> None:
    """A whole run, a foreign file, no file, an empty folder: each told, together."""
    build(project, categories=GOOD)
    project.evalgate("run", "--write", "run=whole.evalrun")
    project.write("note.txt", "hello")
    (project.folder / "empty").mkdir()
    said = project.evalgate("merge", "whole.evalrun", "note.txt")
    assert said.code == 2 and "is the whole run" in said.err and "no run file" in said.err
    said = project.evalgate("merge", "nowhere-*.evalrun", "empty")
    assert said.code == 2 and said.err.count("evalgate run --shard I/N") == 2


def test_a_part_that_ended_early_is_an_error_of_the_merged_run(project: Project) -> None:
    """Exit 3 from the part, exit 3 from the merge with the part's reason; resumed, it is one run like any other."""
    build(project, categories=GOOD)
    config = project.folder / "evalgate.yaml"
    text = config.read_text()
    config.write_text(text.replace("max_retries: 0", "max_retries: 0, budget_usd: 0.01"))
    said = run_parts(project, 2)
    assert [part.code for part in said] == [3, 3]
    assert "budget of $0.0050 spent" in said[0].out.replace("$0.005 ", "$0.0050 ")
    merged = project.evalgate("merge", ".", "--format", "json")
    assert (merged.code, merged.json["verdict"]) == (3, "error")
    assert "shard 1/2: budget" in merged.json["reason"]
    config.write_text(text)
    assert [part.code for part in run_parts(project, 2, "--resume")] == [0, 0]
    assert project.evalgate("merge", ".", "--format", "json").json["usage"]["calls"] == 40


def commands(text: str) -> list[list[str]]:
    """The `evalgate` commands that a message tells, as words."""
    found = re.findall(r"evalgate (?:run|merge) [^;\n]*", text)
    return [shlex.split(command.rstrip(". "))[1:] for command in found]


def test_the_printed_commands_lead_on(project: Project) -> None:
    """From a part that ended early to its rest, to the part that is missing, to the merge: each runs as it stands."""
    build(project, categories=GOOD)
    text = (project.folder / "evalgate.yaml").read_text()
    (project.folder / "evalgate.yaml").unlink()
    project.write("my suite.yaml", text.replace("max_retries: 0", "max_retries: 0, max_calls: 4"))
    (project.folder / "parts").mkdir()
    file = "run=parts/1.evalrun"
    said = project.evalgate("run", "--shard", "1/2", "-c", "my suite.yaml", "--limit", "30", "--write", file)
    assert said.code == 3 and "written to parts/1.evalrun. Not complete: call limit" in said.out
    assert "Raise `run.max_calls`, then go on" in said.err
    rest = commands(said.err)[0]
    missing = commands(project.evalgate("merge", "parts", "-c", "my suite.yaml").err)[0]
    assert missing[-2:] == ["--write", "run=parts/2.evalrun"]
    assert project.evalgate(*missing).code == 3
    merged = project.evalgate("merge", "parts", "--config", "my suite.yaml", "--format", "json")
    assert merged.code == 3
    report = " ".join(project.evalgate("merge", "parts", "--config", "my suite.yaml").out.split())
    report = report.partition("Raise `run.max_calls`, then go on with the parts where they were run")[2]
    first, second = commands(report.replace("; ", "\n").replace("evalrun ", "evalrun;"))[:2]
    assert first == rest
    project.write("my suite.yaml", text)
    for words in (first, second):
        told = project.evalgate(*words)
        assert told.code == 0 and "When all 2 parts are there: " in told.err
        (merge,) = commands(told.err)
        assert merge == ["merge", "parts/*.evalrun", "--config", "my suite.yaml"]
    done = project.evalgate(*merge, "--format", "json")
    assert (done.code, done.json["usage"]["calls"]) == (0, 30)


@pytest.mark.parametrize(
    ("shard", "file", "told"),
    [
        ("1/1", "only.evalrun", "To have it judged: evalgate merge only.evalrun"),
        ("2/2", "part-02-of-02.evalrun", "evalgate merge 'part-*-of-02.evalrun'"),
        ("2/2", "v2-part2of2.evalrun", "evalgate merge 'v2-part*of2.evalrun'"),
        ("1/2", "a part.evalrun", "evalgate merge ."),
        ("1/2", "one", "evalgate merge one"),
    ],
)
def test_the_merge_is_told_as_the_files_are_named(project: Project, shard: str, file: str, told: str) -> None:
    """As far as one part's name can tell the others'."""
    build(project, categories={"facts": 4})
    said = project.evalgate("run", "--shard", shard, "--write", f"run={file}")
    assert (said.code, said.err.strip().splitlines()[-1].endswith(told)) == (0, True), said.err


def test_more_parts_than_cases_leave_some_empty(project: Project) -> None:
    """A part without a case is complete, and the merge wants it nevertheless."""
    build(project, categories={"facts": 2})
    said = run_parts(project, 5)
    assert [part.code for part in said] == [0] * 5
    assert "0 of 0 results" in "".join(part.out for part in said)
    assert project.evalgate("merge", ".", "--format", "json").json["categories"]["*"]["n"] == 2


def test_a_part_has_a_page_for_machines_and_no_report(project: Project) -> None:
    """`--format json` says where it is and what it holds; a verdict's formats are refused."""
    build(project, categories=GOOD)
    said = project.evalgate("run", "--shard", "1/1", "--format", "json", "--write", "run=here.evalrun").json
    assert (said["schema"], said["complete"], said["file"], said["results"]) == (
        "evalgate.shard/1",
        True,
        "here.evalrun",
        40,
    )
    for wrong in (["--write", "junit=x.xml"], ["--baseline", "abcd"], ["--write", "run=a", "--write", "run=b"]):
        assert project.evalgate("run", "--shard", "1/1", *wrong).code == 2
    for wrong in (["0/2"], ["3/2"], ["x"], ["auto"]):
        assert project.evalgate("run", "--shard", *wrong).code == 2


# ---- the document -----------------------------------------------------------------------------------------


def scripts(job: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    return [(step["run"], step.get("env", {})) for step in job["steps"] if "evalgate " in step.get("run", "")]


def in_workflow(project: Project, monkeypatch: pytest.MonkeyPatch, script: str, variables: dict[str, str]) -> Said:
    """A step's lines until one fails, with the variables that GitHub would have set."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for line in script.splitlines():
        command, *arguments = shlex.split(os.path.expandvars(line)) or [""]
        said = project.evalgate(*arguments) if command == "evalgate" else None
        if said is not None and said.code != 0:
            break
    assert said is not None
    return said


def test_the_github_workflow_makes_one_verdict_of_its_parts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/examples/evalgate-shards.yml, its commands in order: the parts of its matrix, then the merge."""
    build(project, categories=GOOD)
    remote = project.folder / "remote.git"
    repository(project.folder)
    git(project.folder, "init", "--quiet", "--bare", str(remote))
    git(project.folder, "remote", "add", "origin", str(remote))
    commit(project.folder, "first")
    git(project.folder, "push", "--quiet", "origin", "HEAD:main")
    jobs = yaml.safe_load((ROOT / "docs/examples/evalgate-shards.yml").read_text("utf-8"))["jobs"]
    (part, given), matrix = scripts(jobs["shard"])[0], jobs["shard"]["strategy"]["matrix"]["shard"]
    temp = project.folder / "temp" / "shards"
    temp.mkdir(parents=True)
    for index in matrix:
        variables = {name: value.replace("${{ matrix.shard }}", str(index)) for name, value in given.items()}
        said = in_workflow(project, monkeypatch, part, {"RUNNER_TEMP": str(temp), **variables})
        assert said.code == 0
    monkeypatch.setenv("RUNNER_TEMP", str(temp.parent))
    summary = project.folder / "summary.md"
    store = {"EVALGATE_STORE": "sqlite:///history.db", "GITHUB_STEP_SUMMARY": str(summary)}
    report = temp.parent / "evalgate-report"
    report.mkdir()
    said = in_workflow(project, monkeypatch, scripts(jobs["evaluate"])[0][0], store)
    assert said.code == 0 and "no_baseline" in said.err
    assert "facts" in summary.read_text()
    assert json.loads((report / "verdict.json").read_text())["usage"]["calls"] == 40 and (report / "report.md").exists()
    assert jobs["evaluate"]["if"] == "${{ !cancelled() }}"


def test_the_other_schedulers_commands_are_commands(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitLab's, Slurm's and Kubernetes' lines of docs/scale.md, each as the scheduler calls it."""
    build(project, categories={"facts": 3})
    (project.folder / "shards").mkdir()
    text = (ROOT / "docs/scale.md").read_text("utf-8")
    lines = re.findall(r"evalgate run --shard auto\S* --write run=[^\s\"]+", text)
    told = [
        {"CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "4"},
        {"SLURM_ARRAY_TASK_ID": "16", "SLURM_ARRAY_TASK_COUNT": "16", "SLURM_ARRAY_TASK_MIN": "1"},
        {"JOB_COMPLETION_INDEX": "0"},
    ]
    assert len(lines) == len(told)
    for line, variables in zip(lines, told, strict=True):
        line = line.replace("run=/shards", "run=shards")
        with monkeypatch.context() as patch:
            assert in_workflow(project, patch, line, variables).code == 0
