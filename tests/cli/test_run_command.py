"""`evalgate run` from outside: verdict, exit code, what is written and where."""

from __future__ import annotations

import json
import re
import shlex
import xml.etree.ElementTree as ElementTree

import pytest
from kit import Project, answers, build

import evalgate
from evalgate.history import result_file, run_file
from evalgate.report.machine import verdict_schema

GOOD = {"facts": 20, "numbers": 20}


def break_(project: Project, category: str, count: int) -> None:
    answers(project, {f"{category}-{number}": "wrong" for number in range(count)})


def test_the_first_run_is_recorded_and_says_that_it_was_compared_with_nothing(project: Project) -> None:
    """No baseline is no pass: exit 0 by default, and the first line says so."""
    build(project, categories=GOOD)
    said = project.evalgate("run")
    assert said.code == 0
    assert said.out.startswith("NO BASELINE")
    assert project.evalgate("history", "--format", "json").json["runs"][0]["verdict"] == "no_baseline"


def test_an_unchanged_system_passes_and_a_broken_category_is_named(project: Project) -> None:
    """The category that was hurt, and none of the others; exit 1 is the gate's alone."""
    build(project, categories=GOOD)
    project.evalgate("run")
    assert project.evalgate("run").out.startswith("PASS")
    break_(project, "numbers", 14)
    said = project.evalgate("run", "--format", "json")
    breached = {row["category"] for row in said.json["findings"] if row["status"] == "breach"}
    assert (said.code, said.json["verdict"], breached) == (1, "fail", {"numbers", "*"})
    assert said.json["baseline"]["kind"] == "nearest"
    assert said.json["cases"]["regressed"] == sorted(f"numbers-{number}" for number in range(14))


def test_a_failed_run_does_not_become_the_baseline(project: Project) -> None:
    """Otherwise the second try of a bad change would pass."""
    build(project, categories=GOOD)
    project.evalgate("run")
    break_(project, "numbers", 14)
    assert project.evalgate("run").code == 1
    assert project.evalgate("run").code == 1


def test_one_run_writes_every_format(project: Project) -> None:
    """Terminal text on stdout, the files as asked; each of them a whole document."""
    build(project, categories=GOOD)
    said = project.evalgate("run", "--write", "json=v.json", "--write", "markdown=v.md", "--write", "junit=v.xml")
    assert said.out.startswith("NO BASELINE")
    verdict = json.loads((project.folder / "v.json").read_text())
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(verdict, verdict_schema())
    assert (project.folder / "v.md").read_text().startswith("> [!WARNING]")
    suites = ElementTree.parse(project.folder / "v.xml").getroot()
    assert {suite.get("name") for suite in suites} == {"evalgate gate", "facts", "numbers"}


def test_the_run_itself_can_be_written_to_a_file_and_again_from_the_history(project: Project) -> None:
    """`--write run=FILE`: the same bytes from `run` and from `gate`."""
    build(project, categories={"facts": 4})
    assert project.evalgate("run", "--write", "run=a.evalrun").code == 0
    assert project.evalgate("gate", "latest", "--write", "run=b.evalrun").code == 0
    assert project.evalgate("gate", "latest", "--explain", "--write", "run=c.evalrun").code == 0
    first, *others = (project.folder / name for name in ("a.evalrun", "b.evalrun", "c.evalrun"))
    assert [file.read_bytes() for file in others] == [first.read_bytes()] * 2
    assert len(run_file.read(first).run.results) == 4
    assert project.evalgate("history", "--write", "run=x").code == 2


def test_what_is_written_for_the_historys_branch_has_no_texts_unless_the_branch_may_have_them(project: Project) -> None:
    """`--write history=FILE`: an artifact can be read by whoever reads the repository, as its branches can."""
    build(project, categories={"facts": 4})
    assert project.evalgate("run", "--write", "history=a.evalrun").code == 0
    with (project.folder / "evalgate.yaml").open("a") as config:
        config.write("history: {outputs: full}\n")
    assert project.evalgate("run", "--write", "history=b.evalrun").code == 0
    hashed, whole = (run_file.read(project.folder / name) for name in ("a.evalrun", "b.evalrun"))
    assert (hashed.outputs, whole.outputs) == ("hashes", "full")
    assert len(hashed.beside.verdicts) == 1


def test_what_a_fork_hands_over_can_be_written_beside_the_report(project: Project) -> None:
    """`--write result=FILE`: the same bytes from `run` and from `gate`; and a file also where nothing could be run."""
    build(project, categories={"facts": 4})
    assert project.evalgate("run", "--write", "result=a.json").code == 0
    assert project.evalgate("gate", "latest", "--write", "result=b.json").code == 0
    assert project.evalgate("gate", "latest", "--explain", "--write", "result=c.json").code == 0
    first, *others = ((project.folder / name).read_bytes() for name in ("a.json", "b.json", "c.json"))
    assert others == [first] * 2
    found = result_file.read(first, where="a.json")
    assert found.run is not None and (found.suite, len(found.run.results)) == ("tables", 4)
    schema = project.evalgate("schema", "result").json
    pytest.importorskip("jsonschema").validate(json.loads(first), schema)
    config = project.folder / "evalgate.yaml"
    keyless = "{kind: openai, base_url: http://127.0.0.1:1, api_key_env: NO_SUCH_KEY, model: m}"
    config.write_text(re.sub("(?m)^endpoint: .*$", f"endpoint: {keyless}", config.read_text()))
    assert project.evalgate("run", "--write", "result=d.json").code == 0
    unrun = result_file.read((project.folder / "d.json").read_bytes(), where="d.json")
    assert (unrun.suite, unrun.run, unrun.unrun) == ("tables", None, "no_credentials")


def test_the_report_goes_where_it_is_sent(project: Project) -> None:
    """`--output` takes the report; stdout stays empty."""
    build(project, categories=GOOD)
    said = project.evalgate("run", "--format", "json", "--output", "v.json")
    assert said.out == ""
    assert json.loads((project.folder / "v.json").read_text())["usage"]["cost_usd"] == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--category", "fats"], "no case has 'fats'. Did you mean 'facts'?"),
        (["--tag", "slow"], "no case has 'slow'"),
        (["--limit", "0"], "leaves no case"),
        (["--epochs", "0"], "no number of repetitions"),
        (["--write", "pdf=x"], "no FORMAT=FILE"),
        (["--write", "json=nowhere/x.json"], "does not exist"),
        (["--baseline", "abcdef"], "no run"),
        (["--resume", "abc"], "no unfinished run"),
        (["--config", "other.yaml"], "there is no such file"),
        (["--nonsense"], "No such option"),
    ],
)
def test_bad_usage_is_exit_2_with_one_message_and_nothing_written(
    project: Project, arguments: list[str], message: str
) -> None:
    """Nothing on stdout, no run in the history."""
    build(project, categories=GOOD)
    said = project.evalgate("run", *arguments)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    history = project.evalgate("history", "--format", "json")
    assert history.code == 2 or history.json["runs"] == []


def test_every_fault_of_the_files_is_told_at_once(project: Project) -> None:
    """Unknown scorer, missing category, rule for nothing: one message, exit 2, no call."""
    build(project, categories=GOOD, gate="{categories: {legal: {min: 0.9}}}")
    said = project.evalgate("run")
    assert (said.code, said.out) == (2, "")
    assert "evalgate.yaml:6:" in said.err and "legal" in said.err
    project.write("evalsets/tables.yaml", "name: x\nscorers: [exakt]\ncases: [{id: a, input: b, expected: c}]\n")
    said = project.evalgate("run")
    assert "exakt" in said.err and "Did you mean `exact`?" in said.err and "category" in said.err


def test_more_errors_than_allowed_are_no_statement_on_quality(project: Project) -> None:
    """Exit 3, the cause named, nothing scored 0."""
    build(project, categories=GOOD)
    answers(project, {f"facts-{number}": "boom" for number in range(3)})
    said = project.evalgate("run", "--format", "json")
    assert (said.code, said.json["verdict"]) == (3, "error")
    assert "the index is gone" in said.json["reason"]
    assert said.json["categories"]["facts"] == {"n": 20, "passed": 17, "unscored": 3, "score": 1.0, "before": None}


def test_a_few_errors_are_told_and_do_not_fail(project: Project) -> None:
    """Within the allowed rate they are listed apart from failures."""
    build(project, categories={"facts": 100})
    answers(project, {"facts-0": "boom"})
    said = project.evalgate("run", "--format", "json")
    assert (said.code, said.json["verdict"], said.json["cases"]["unscored"]) == (0, "no_baseline", ["facts-0"])


def test_no_case_that_ran_is_an_error(project: Project) -> None:
    """Every call failed: exit 3, never a pass."""
    build(project, categories={"facts": 5}, gate="{limits: {error_rate: null}}")
    answers(project, {f"facts-{number}": "boom" for number in range(5)})
    said = project.evalgate("run", "--format", "json")
    assert (said.code, said.json["verdict"]) == (3, "error")


def test_a_category_that_vanished_fails(project: Project) -> None:
    """Taking its cases out is no way to make it green; saying so in the rules is."""
    build(project, categories=GOOD)
    project.evalgate("run")
    build(project, categories={"facts": 20})
    said = project.evalgate("run", "--format", "json")
    found = [row for row in said.json["findings"] if row["category"] == "numbers"]
    assert (said.code, said.json["verdict"], [row["status"] for row in found]) == (1, "fail", ["missing"])
    build(project, categories={"facts": 20}, gate="{removed_categories: [numbers]}")
    said = project.evalgate("run", "--format", "json")
    assert (said.code, said.json["verdict"]) == (0, "pass")
    assert said.json["cases"]["removed"] == sorted(f"numbers-{number}" for number in range(20))


def test_a_partial_run_is_labelled_and_never_serves_as_baseline(project: Project) -> None:
    """Ten good cases say nothing of the rest."""
    build(project, categories=GOOD)
    assert "Partial run (--category facts)" in project.evalgate("run", "--category", "facts").out
    assert project.evalgate("run", "--format", "json").json["verdict"] == "no_baseline"


def test_when_decides_what_unproven_costs(project: Project) -> None:
    """`stop` turns a missing baseline into exit 3; the verdict keeps its name."""
    build(project, categories=GOOD, gate="{when: {no_baseline: stop}}")
    said = project.evalgate("run", "--format", "json")
    assert (said.code, said.json["verdict"]) == (3, "no_baseline")


def test_no_gate_records_without_judging(project: Project) -> None:
    """The next run is compared with it."""
    build(project, categories=GOOD)
    said = project.evalgate("run", "--no-gate", "--format", "json")
    assert (said.code, said.json["reason"]) == (0, "recorded without judging it (--no-gate)")
    assert project.evalgate("run", "--format", "json").json["verdict"] == "pass"


def test_a_named_baseline_is_used(project: Project) -> None:
    """`--baseline` wins over the nearest."""
    build(project, categories=GOOD)
    first = project.evalgate("run", "--format", "json").json["run"]["id"]
    project.evalgate("run")
    said = project.evalgate("run", "--baseline", first, "--format", "json")
    assert (said.json["baseline"]["kind"], said.json["baseline"]["ids"]) == ("pinned", [first])


def test_epochs_sharpen_and_are_not_cases(project: Project) -> None:
    """Results count repetitions, findings count cases."""
    build(project, categories={"facts": 10})
    verdict = project.evalgate("run", "--epochs", "3", "--format", "json").json
    assert verdict["categories"]["facts"]["n"] == 30
    assert next(row["n"] for row in verdict["findings"] if row["category"] == "facts") == 10


def test_a_spent_budget_ends_in_an_error_that_can_be_resumed(project: Project) -> None:
    """Exit 3 with what is missing; with more money the run goes on and is recorded as a run of its own."""
    build(project, categories=GOOD)
    config = project.folder / "evalgate.yaml"
    text = config.read_text()
    config.write_text(text.replace("max_retries: 0", "max_retries: 0, budget_usd: 0.01"))
    said = project.evalgate("run", "--format", "json")
    assert (said.code, said.json["verdict"]) == (3, "error")
    assert "budget of $0.01 spent" in said.json["reason"]
    stopped = said.json["run"]["id"]
    config.write_text(text)
    again = project.evalgate("run", "--resume", stopped, "--format", "json").json
    assert (again["verdict"], again["usage"]["calls"]) == ("no_baseline", 40)
    assert again["run"]["id"] != stopped


def test_the_advice_how_to_go_on_works_as_it_is_printed(project: Project) -> None:
    """With the part of the eval set and the repeats that were asked for, and after a second stop too."""
    build(project, categories=GOOD)
    config = project.folder / "evalgate.yaml"
    text = config.read_text()
    command = ["evalgate", "run", "--category", "facts", "--limit", "15", "--epochs", "2"]
    for budget in ("0.01", "0.02"):
        config.write_text(text.replace("max_retries: 0", f"max_retries: 0, budget_usd: {budget}"))
        said = project.evalgate(*command[1:])
        assert said.code == 3
        (advice,) = re.findall("without repeating a call: (evalgate run .*)", " ".join(said.out.split("\n")))
        command = shlex.split(advice)[:10]
    config.write_text(text)
    done = project.evalgate(*command[1:], "--format", "json")
    assert (done.code, done.json["usage"]["calls"]) == (0, 30)


def test_a_dry_run_calls_nothing(project: Project) -> None:
    """It says how many calls it would be, and leaves no history."""
    build(project, categories=GOOD)
    answers(project, {"facts-0": "boom"})
    said = project.evalgate("run", "--dry-run", "--epochs", "2")
    assert said.code == 0 and "80 calls" in said.out
    assert not (project.folder / ".evalgate").exists()


def test_the_same_verdict_is_decided_again_from_the_history(project: Project) -> None:
    """`gate RUN` calls no model and gives the same numbers."""
    build(project, categories=GOOD)
    project.evalgate("run")
    break_(project, "facts", 15)
    first = project.evalgate("run", "--format", "json").json
    (project.folder / "answers.json").unlink()
    again = project.evalgate("gate", first["run"]["id"], "--format", "json")
    assert again.code == 1
    assert {**again.json, "baseline": None} == {**first, "baseline": None}


def test_what_only_opening_can_find_is_told_before_anything_is_written(project: Project) -> None:
    """`validate` says it too; no history, no journal."""
    build(project, categories=GOOD)
    config = project.folder / "evalgate.yaml"
    config.write_text(config.read_text().replace("app:answer", "app:respond"))
    for command in ("validate", "run"):
        said = project.evalgate(command)
        assert (said.code, said.out) == (2, "")
        assert "evalgate.yaml: endpoint.callable" in said.err and "It has answer" in said.err
    assert not (project.folder / ".evalgate").exists()


def test_what_user_code_prints_is_talk(project: Project) -> None:
    """The report is alone on stdout."""
    build(project, categories=GOOD)
    app = project.folder / "app.py"
    app.write_text(app.read_text().replace("    reply =", "    print('thinking')\n    reply ="))
    said = project.evalgate("run", "--format", "json")
    assert said.json["verdict"] == "no_baseline" and "thinking" in said.err


def test_no_gate_judges_no_limit_either(project: Project) -> None:
    """Only recorded, whatever the rules say."""
    build(project, categories=GOOD, gate="{limits: {cost_per_call_usd: 0.0000001}, when: {inconclusive: stop}}")
    assert project.evalgate("run", "--no-gate").code == 0


def test_a_new_category_is_named_and_does_not_hide_that_the_rest_passed(project: Project) -> None:
    """The eval set says that its cases are new: there is nothing to compare them with, and nothing is missing."""
    build(project, categories=GOOD)
    project.evalgate("run")
    build(project, categories={**GOOD, "extra": 3})
    said = project.evalgate("run", "--format", "json").json
    assert (said["verdict"], said["cases"]["added"]) == ("pass", ["extra-0", "extra-1", "extra-2"])
    assert "new and not compared: extra" in said["reason"]


def test_a_baseline_that_ran_only_a_part_is_no_pass(project: Project) -> None:
    """Not even where it covers most cases."""
    build(project, categories=GOOD)
    part = project.evalgate("run", "--limit", "39", "--format", "json").json["run"]["id"]
    said = project.evalgate("run", "--baseline", part, "--format", "json").json
    assert said["verdict"] == "no_baseline" and "partial" in said["reason"]


def test_moving_a_case_to_another_category_or_adding_a_column_keeps_its_history(project: Project) -> None:
    """Same question, same expectation: the same case."""
    build(project, categories={"facts": 20})
    project.evalgate("run")
    file = project.folder / "evalsets" / "tables.yaml"
    file.write_text(file.read_text().replace("category: facts,", "category: [facts, geo], metadata: {level: easy},"))
    said = project.evalgate("run", "--format", "json").json
    assert (said["verdict"], said["cases"]["changed"]) == ("pass", [])
    file.write_text(file.read_text().replace("expected: facts-1}", "expected: other}"))
    assert project.evalgate("run", "--format", "json").json["cases"]["changed"] == ["facts-1"]


def test_a_run_inside_a_checkout_of_evalgate_knows_itself(project: Project) -> None:
    """A folder named evalgate beside the configuration is no reason to load this program twice."""
    project.write("evalgate/__init__.py", "raise RuntimeError('not this one')\n")
    project.write(
        "evalgate.yaml",
        'version: 1\nsuite: s\nevalsets: [s.yaml]\nendpoint: {kind: python, callable: "evalgate.demo:answer"}\n',
    )
    project.write(
        "s.yaml",
        "name: s\nscorers: [contains]\ncases: [{id: a, category: c, input: Hello?, expected: x}]\n",
    )
    project.evalgate("run")
    said = project.evalgate("run", "--write", "junit=j.xml")
    assert said.out.startswith("INCONCLUSIVE")
    assert 'errors="0"' in (project.folder / "j.xml").read_text()


def test_an_empty_baseline_is_no_choice(project: Project) -> None:
    """A variable that is not set in CI must not silently mean the nearest run."""
    build(project, categories=GOOD)
    said = project.evalgate("run", "--baseline", ",")
    assert (said.code, said.out) == (2, "") and "--baseline" in said.err


def test_github_actions_without_an_event_is_somewhere_else(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that only inherits GITHUB_ACTIONS runs as it would anywhere."""
    build(project, categories=GOOD)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_EVENT_NAME", raising=False)
    assert project.evalgate("run").code == 0


def test_what_was_run_stays_out_of_git(project: Project) -> None:
    """The history holds inputs and outputs; `git add -A` must not publish them."""
    build(project, categories=GOOD)
    project.evalgate("run")
    assert "*" in (project.folder / ".evalgate" / ".gitignore").read_text().splitlines()


def test_python_runs_the_same_way(project: Project) -> None:
    """`evalgate.run` gives the verdict, prints nothing, and the history can be opened and read."""
    build(project, categories=GOOD)
    project.capture.readouterr()
    verdict = evalgate.run("evalgate.yaml")
    assert (verdict.verdict.value, project.capture.readouterr().out) == ("no_baseline", "")
    with evalgate.open_history("sqlite:///.evalgate/history.db") as history:
        assert len(history.read_run("latest").results) == 40
