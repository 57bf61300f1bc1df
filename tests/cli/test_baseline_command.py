"""`evalgate baseline`: what would be compared with, filling the history, blessing."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from builders import NOON, make_run
from kit import Project, answers, build
from repositories import commit, repository

from evalgate.history.store import History

SIZES = {"facts": 6, "tone": 4}


def suite(project: Project, **changes: str) -> None:
    build(project, categories=SIZES, **changes)


def recorded(project: Project, runs: int) -> list[str]:
    """Ids of so many unjudged runs, oldest first."""
    said = project.evalgate("baseline", "record", "--runs", str(runs))
    assert said.code == 0, said.err
    return said.out.split()


def store(project: Project) -> str:
    return f"sqlite:///{project.folder / '.evalgate' / 'history.db'}"


# ---- list -------------------------------------------------------------------------------------------------


def test_the_list_names_the_runs_that_the_next_run_is_then_compared_with(project: Project) -> None:
    """What is announced is what happens: scorers and contents are fingerprinted as a run does it."""
    suite(project)
    ids = recorded(project, 3)
    listed = project.evalgate("baseline", "list", "--format", "json").json
    verdict = project.evalgate("run", "--format", "json").json
    assert listed["baseline"]["ids"] == verdict["baseline"]["ids"] == ids[::-1]
    assert listed["baseline"]["why"] == verdict["baseline"]["why"]
    assert (listed["suite"], listed["baseline"]["kind"], listed["passed_over"]) == ("tables", "nearest", [])


def test_the_list_says_why_other_runs_are_passed_over(project: Project) -> None:
    """A part, another version, another scorer, a failure: each with its reason, the newest first."""
    suite(project)
    (older,) = recorded(project, 1)
    suite(project, version="2")
    (newer,) = recorded(project, 1)
    part = project.evalgate("run", "--limit", "2", "--no-gate", "--format", "json").json["run"]["id"]
    answers(project, {f"facts-{number}": "wrong" for number in range(6)})
    failed = project.evalgate("run", "--format", "json").json
    assert failed["verdict"] == "fail"
    listed = project.evalgate("baseline", "list", "--format", "json").json
    assert listed["baseline"]["ids"] == [newer]
    assert [(row["run"], row["why"]) for row in listed["passed_over"]] == [
        (failed["run"]["id"], "exited 1 and not blessed"),
        (part, "of a part of the eval set"),
        (older, f"of another version than {newer}"),
    ]
    text = project.evalgate("baseline", "list").out
    assert "Passed over" in text and "exited 1 and not blessed" in text
    evalset = project.folder / "evalsets" / "tables.yaml"
    evalset.write_text(evalset.read_text().replace("[exact]", "[contains]"))
    assert "shares no comparable case" in project.evalgate("baseline", "list").out


def test_the_list_of_what_was_passed_over_is_bounded(project: Project) -> None:
    """Twenty of them, the rest counted: a history may hold thousands."""
    suite(project)
    project.evalgate("run")
    with History.open(store(project)) as history:
        for number in range(25):
            run = make_run(f"other-{number:02}", minutes=number, facts=[1])
            history.write_run(replace(run, suite="tables"))
    listed = project.evalgate("baseline", "list", "--format", "json").json
    assert (len(listed["passed_over"]), listed["passed_over_in_all"]) == (20, 25)
    assert "… and 5 more" in project.evalgate("baseline", "list", "--format", "markdown").out


def test_the_list_names_the_anchor_and_who_blessed_what(project: Project) -> None:
    """The configuration's anchor, found or not, and every blessing with its reason."""
    suite(project, gate="{anchor: live}")
    (run,) = recorded(project, 1)
    before = project.evalgate("baseline", "list", "--format", "json").json
    assert before["anchor"]["id"] is None and "no other run of this suite is blessed" in before["anchor"]["why"]
    project.evalgate("baseline", "bless", run, "--reason", "release 4", "--name", "live", "--author", "ann")
    after = project.evalgate("baseline", "list", "--format", "json").json
    assert (after["anchor"]["name"], after["anchor"]["id"]) == ("live", run)
    assert [(row["run"], row["name"], row["author"], row["reason"]) for row in after["blessed"]] == [
        (run, "live", "ann", "release 4")
    ]
    text = project.evalgate("baseline", "list").out
    assert f"run {run}, anchor" in text and "release 4" in text


def test_the_list_needs_no_endpoint_and_writes_nothing(project: Project) -> None:
    """Whoever only reads needs no key; where there is no history, none is begun."""
    suite(project)
    recorded(project, 1)
    config = (project.folder / "evalgate.yaml").read_text()
    lines = [line for line in config.splitlines() if not line.startswith("endpoint")]
    project.write(
        "evalgate.yaml", "\n".join([*lines, "endpoint: {kind: openai, base_url: '${NOWHERE}', model: m}", ""])
    )
    assert project.evalgate("baseline", "list").code == 0
    said = project.evalgate("baseline", "list", "--store", "sqlite:///none.db")
    assert (said.code, said.out) == (2, "") and "there is no history" in said.err
    assert not (project.folder / "none.db").exists()


def test_the_list_speaks_of_the_commit_that_is_checked_out(project: Project) -> None:
    """In a repository the search begins at this commit."""
    suite(project)
    committed(project, "first")
    ids = recorded(project, 2)
    listed = project.evalgate("baseline", "list", "--format", "json").json
    assert (listed["baseline"]["ids"], listed["baseline"]["behind"]) == (ids[::-1], 0)
    assert listed["commit"][:10] in project.evalgate("baseline", "list").out


def test_a_run_tells_which_configuration_it_is_of(project: Project) -> None:
    """Two services with suites of the same name in one store: each is compared with its own runs."""
    services = {name: Project(project.folder / "services" / name, project.capture) for name in ("a", "b")}
    for service in services.values():
        suite(service)
    committed(project, "first")
    ran = {
        name: project.evalgate(
            *("baseline", "record", "--runs", "1", "--store", store(project)),
            *("--config", service.folder / "evalgate.yaml"),
        ).out.strip()
        for name, service in services.items()
    }
    for name, other in (("a", "b"), ("b", "a")):
        arguments = ("--store", store(project), "--config", services[name].folder / "evalgate.yaml", "--format", "json")
        listed = project.evalgate("baseline", "list", *arguments).json
        assert listed["baseline"]["ids"] == [ran[name]]
        why = f"of services/{other}/evalgate.yaml, another suite of the same name"
        assert [(row["run"], row["why"]) for row in listed["passed_over"]] == [(ran[other], why)]


# ---- list, in a job of GitHub Actions ---------------------------------------------------------------------


def committed(project: Project, message: str) -> str:
    """A new commit that is checked out; its id."""
    if not (project.folder / ".git").exists():
        repository(project.folder)
    return commit(project.folder, message)


def in_job(project: Project, monkeypatch: pytest.MonkeyPatch, event: str, sha: str, **payload: Any) -> None:
    """From now on the project is checked out in a job of this event."""
    about = {"repository": {"full_name": "acme/bot", "default_branch": "main"}, **payload}
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": event,
        "GITHUB_EVENT_PATH": str(project.write("event.json", json.dumps(about))),
        "GITHUB_REPOSITORY": "acme/bot",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SHA": sha,
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REF_NAME": "main",
        "GITHUB_REF_TYPE": "branch",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_in_a_job_the_list_says_where_the_search_begins_and_what_it_finds(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event, the start, how far behind, how old, what is pooled, and why the run of this very commit is not."""
    suite(project)
    first = committed(project, "first")
    older = recorded(project, 2)
    second = committed(project, "second")
    third = committed(project, "third")
    (own,) = recorded(project, 1)
    in_job(project, monkeypatch, "push", third)
    listed = project.evalgate("baseline", "list", "--format", "json").json
    assert (listed["event"], listed["commit"], listed["start"]) == ("push", third, second)
    found = listed["baseline"]
    assert (found["ids"], found["commit"], found["behind"]) == (older[::-1], first, 1)
    assert (0 <= found["age_s"] < 600, found["is_stale"]) == (True, False)
    assert [(row["run"], row["why"]) for row in listed["passed_over"]] == [
        (own, f"on {third[:10]}, none of the commits looked at from {second[:10]} back")
    ]
    text = " ".join(project.evalgate("baseline", "list").out.split())
    assert f"at commit {third[:10]}, in this job of event push, would be compared with" in text
    assert f"searched from {second[:10]} back" in text and "less than a minute" in text
    verdict = project.evalgate("run", "--format", "json").json["baseline"]
    assert {key: verdict[key] for key in ("ids", "behind", "why")} == {
        key: found[key] for key in ("ids", "behind", "why")
    }


def test_in_a_job_the_list_says_that_a_baseline_is_stale(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before somebody wonders why nothing passes."""
    suite(project)
    first = committed(project, "first")
    recorded(project, 1)
    second = committed(project, "second")
    with History.open(store(project)) as history:
        (row,) = history.list_runs()
        old = replace(history.read_run(row.id), id="old-run", created=datetime.now(UTC) - timedelta(days=100))
    (project.folder / ".evalgate" / "history.db").unlink()
    with History.open(store(project)) as history:
        history.write_run(old)
    in_job(project, monkeypatch, "push", second)
    listed = project.evalgate("baseline", "list", "--format", "json").json
    assert (listed["baseline"]["commit"], listed["baseline"]["is_stale"]) == (first, True)
    text = project.evalgate("baseline", "list").out
    assert "100 days" in text and "It is stale: allowed are 90 days." in text
    said = project.evalgate("run")
    assert said.code == 0 and said.out.startswith("NO BASELINE, let through (gate.when.stale)")
    assert "the baseline is stale: 100 days old, allowed 90" in " ".join(said.out.split())


def test_in_a_job_the_list_says_what_cannot_be_seen(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout of depth 1 whose remote does not answer is no first run; neither the list nor the run says it is."""
    suite(project)
    committed(project, "first")
    recorded(project, 1)
    ends = committed(project, "second")
    third = committed(project, "third")
    (project.folder / ".git" / "shallow").write_text(f"{ends}\n{third}\n")
    in_job(project, monkeypatch, "push", third)
    listed = project.evalgate("baseline", "list", "--format", "json").json
    assert listed["baseline"]["kind"] == "missing"
    assert "could not look further back than" in listed["baseline"]["why"]
    assert "the repository has no remote origin" in listed["baseline"]["why"]
    verdict = project.evalgate("run", "--format", "json").json
    assert (verdict["verdict"], verdict["baseline"]["kind"]) == ("no_baseline", "missing")
    assert listed["baseline"]["why"] in verdict["reason"]


# ---- record -----------------------------------------------------------------------------------------------


def test_record_fills_the_history_with_whole_unjudged_runs(project: Project) -> None:
    """One run a repetition, ids on stdout, talk on stderr; the next run is compared with all of them."""
    suite(project)
    said = project.evalgate("baseline", "record", "--runs", "3")
    ids = said.out.split()
    assert (said.code, len(set(ids))) == (0, 3)
    assert f"3 of 3: run {ids[2]}, 10 results, mean score 100.0 %" in said.err
    rows = project.evalgate("history", "--format", "json").json["runs"]
    assert [(row["id"], row["selection"], row["results"]) for row in rows] == [(i, None, 10) for i in ids[::-1]]
    assert project.evalgate("run", "--format", "json").json["verdict"] == "pass"


def test_record_as_json_lists_the_runs(project: Project) -> None:
    """For programs, as `import` does it."""
    suite(project)
    runs = project.evalgate("baseline", "record", "--runs", "2", "--format", "json").json["runs"]
    assert [(row["cases"], row["results"]) for row in runs] == [(10, 10)] * 2


@pytest.mark.parametrize("runs", ["0", "51", "many"])
def test_record_takes_1_to_50_runs(project: Project, runs: str) -> None:
    """A slip in a number costs no call."""
    suite(project)
    said = project.evalgate("baseline", "record", "--runs", runs)
    assert (said.code, said.out) == (2, "")
    assert not (project.folder / ".evalgate").exists()


COUNTING = """
import json, pathlib
COUNT = pathlib.Path(__file__).with_name("calls.txt")

def answer(request):
    calls = int(COUNT.read_text()) if COUNT.exists() else 0
    COUNT.write_text(str(calls + 1))
    if calls >= 25:
        raise RuntimeError("the index is gone")
    return request.case.id
"""


def test_record_ends_at_the_first_run_that_measured_nothing(project: Project) -> None:
    """Exit 3; what was recorded before is kept and named, nothing further is called."""
    suite(project)
    project.write("app.py", COUNTING)
    config = (project.folder / "evalgate.yaml").read_text().replace("concurrency: 4", "concurrency: 1")
    project.write("evalgate.yaml", config)
    said = project.evalgate("baseline", "record", "--runs", "9")
    ids = said.out.split()
    assert (said.code, len(ids)) == (3, 2)
    assert "run 3 of 9: " in said.err and "the index is gone" in said.err
    assert f"Recorded before and kept: {ids[0]}, {ids[1]}" in said.err
    assert int((project.folder / "calls.txt").read_text()) <= 30
    assert project.evalgate("baseline", "list", "--format", "json").json["baseline"]["ids"] == ids[::-1]


INTERRUPTED = """
import os, pathlib, signal
COUNT = pathlib.Path(__file__).with_name("calls.txt")

def answer(request):
    calls = int(COUNT.read_text()) if COUNT.exists() else 0
    COUNT.write_text(str(calls + 1))
    if calls == 15:
        os.kill(os.getpid(), signal.SIGINT)
    return request.case.id
"""


def test_record_that_is_interrupted_says_what_is_kept(project: Project) -> None:
    """Exit 130, nothing on stdout; the finished run is in the history, and it says what is to do for the others."""
    suite(project)
    project.write("app.py", INTERRUPTED)
    config = (project.folder / "evalgate.yaml").read_text().replace("concurrency: 4", "concurrency: 1")
    project.write("evalgate.yaml", config)
    command = [sys.executable, "-c", "from evalgate.cli import main; main()", "baseline", "record", "--runs", "3"]
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=60)
    (kept,) = (row["id"] for row in project.evalgate("history", "--format", "json").json["runs"])
    assert (done.returncode, done.stdout) == (130, "")
    assert f"Recorded before and kept: {kept}" in done.stderr and "call the same command again" in done.stderr


def test_record_without_credentials_records_nothing(project: Project) -> None:
    """A key that is not there is told once, with exit 3, not N times as a run."""
    suite(project)
    config = (project.folder / "evalgate.yaml").read_text().splitlines()
    endpoint = "endpoint: {kind: openai, base_url: 'http://127.0.0.1:9/v1', api_key_env: NO_SUCH_KEY, model: m}"
    project.write("evalgate.yaml", "\n".join(endpoint if line.startswith("endpoint") else line for line in config))
    said = project.evalgate("baseline", "record", "--runs", "3")
    assert (said.code, said.out) == (3, "")
    assert "NO_SUCH_KEY" in said.err and "No run was recorded" in said.err


# ---- bless ------------------------------------------------------------------------------------------------


def test_a_blessing_is_kept_with_name_author_and_reason(project: Project) -> None:
    """It is said how to use it; a name that moves says where it was."""
    suite(project)
    first, second = recorded(project, 2)
    said = project.evalgate(
        "baseline", "bless", first[:6], "--reason", "release 4", "--name", "live", "--author", "ann"
    )
    assert said.code == 0
    assert said.out.startswith(f"Blessed run {first} of suite tables as live, by ann: release 4\n")
    assert "anchor: live" in said.out
    again = project.evalgate(
        "baseline", "bless", "latest", "--reason", "release 5", "--name", "live", "--author", "bob"
    )
    assert f"Until now live was run {first}" in again.out
    with History.open(store(project)) as history:
        assert [(given.run_id, given.name, given.author, given.reason) for given in history.blessings()] == [
            (first, "live", "ann", "release 4"),
            (second, "live", "bob", "release 5"),
        ]


def test_a_blessing_without_a_name_is_used_by_the_runs_id(project: Project) -> None:
    """And the JSON holds what was written down."""
    suite(project)
    (run,) = recorded(project, 1)
    assert f"anchor: {run}" in project.evalgate("baseline", "bless", run, "--reason", "r").out
    document = project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "ann", "--format", "json").json
    assert {key: document[key] for key in ("suite", "run", "name", "author", "reason")} == {
        "suite": "tables",
        "run": run,
        "name": None,
        "author": "ann",
        "reason": "r",
    }


def test_who_blesses_is_gits_user_by_default(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person who works here, not an account of the machine."""
    suite(project)
    (run,) = recorded(project, 1)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(project.write("gitconfig", "[user]\nname = Ann Example\n")))
    document = project.evalgate("baseline", "bless", run, "--reason", "r", "--format", "json").json
    assert document["author"] == "Ann Example"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (["--limit", "2"], "this is a run of a part of the eval set"),
        (["boom"], "this is a run that could not be evaluated"),
        (["wrong"], "its last verdict is fail"),
    ],
)
def test_a_run_that_is_no_standard_is_not_blessed(project: Project, made: list[str], message: str) -> None:
    """Partial, not evaluated or failed: exit 2, and nothing is written."""
    suite(project)
    recorded(project, 2)
    if made[0] in ("boom", "wrong"):
        answers(project, {f"facts-{number}": made[0] for number in range(6)})
        made = []
    run = project.evalgate("run", "--format", "json", *made).json["run"]["id"]
    said = project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "ann")
    assert (said.code, said.out) == (2, "")
    assert f"run {run}: {message}" in said.err
    assert project.evalgate("baseline", "list", "--format", "json").json["blessed"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--reason", "r"], 'no run "nowhere"'),
        (["latest", "--reason", " "], "needs a reason"),
        (["latest"], "--reason"),
        (["latest", "--reason", "r", "--name", "blessed"], "cannot name a blessing"),
        (["latest", "--reason", "r", "--author", " "], "nobody is named"),
    ],
)
def test_a_blessing_that_is_not_clear_is_refused(project: Project, arguments: list[str], message: str) -> None:
    """Exit 2 with one message, and nothing is written."""
    suite(project)
    recorded(project, 1)
    said = project.evalgate("baseline", "bless", *arguments)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert project.evalgate("baseline", "list", "--format", "json").json["blessed"] == []


@pytest.mark.parametrize(("given", "days"), [("90d", 90), ("2w", 14), ("0d", 0)])
def test_a_blessing_holds_as_long_as_is_said(project: Project, given: str, days: int) -> None:
    """A duration is a last day from today; the command, the list and the JSON say which."""
    suite(project)
    (run,) = recorded(project, 1)
    last = (datetime.now(UTC) + timedelta(days=days)).date()
    said = project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "ann", "--expires", given)
    assert f"It holds until the end of {last} (UTC)." in said.out
    (told,) = project.evalgate("baseline", "list", "--format", "json").json["blessed"]
    assert (told["expires"], told["expired"]) == (str(last), False)
    assert f"until {last}" in project.evalgate("baseline", "list").out
    assert f"blessed until {last}" in project.evalgate("history").out
    assert project.evalgate("history", "--format", "json").json["runs"][0]["blessed_until"] == str(last)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("2020-01-01", "2020-01-01 is over: today is"),
        ("soon", "no day"),
        ("31.12.2030", "no day"),
        ("99999999d", "no day"),
    ],
)
def test_a_blessing_cannot_end_before_it_begins(project: Project, given: str, message: str) -> None:
    """A slip in a year would bless nothing; exit 2, and nothing is written."""
    suite(project)
    recorded(project, 1)
    said = project.evalgate("baseline", "bless", "latest", "--reason", "r", "--author", "a", "--expires", given)
    assert (said.code, said.out) == (2, "")
    assert f"--expires: {given!r} is {message}" in said.err or f"--expires: {message}" in said.err
    assert project.evalgate("baseline", "list", "--format", "json").json["blessed"] == []


def test_an_expired_blessing_is_shown_as_that_and_is_no_anchor(project: Project) -> None:
    """With its date, and with the command that renews it; the verdict says that the anchor is missing."""
    suite(project, gate="{anchor: live}")
    (run,) = recorded(project, 1)
    with History.open(store(project)) as history:
        day = date(2026, 1, 31)
        history.write_blessing(run, reason="release 4", author="ann", name="live", created=NOON, expires=day)
    listed = project.evalgate("baseline", "list", "--format", "json").json
    assert [(given["expires"], given["expired"]) for given in listed["blessed"]] == [("2026-01-31", True)]
    assert (listed["anchor"]["id"], "expired on 2026-01-31" in listed["anchor"]["why"]) == (None, True)
    assert "expired on 2026-01-31" in project.evalgate("baseline", "list").out
    verdict = project.evalgate("run", "--format", "json").json
    assert verdict["verdict"] == "no_baseline" and "expired on 2026-01-31" in verdict["reason"]


def test_a_run_that_other_scorers_judged_is_not_blessed(project: Project) -> None:
    """Nothing of today could be compared with it, so it would be an anchor that holds nothing."""
    suite(project)
    (run,) = recorded(project, 1)
    evalset = project.folder / "evalsets" / "tables.yaml"
    text = evalset.read_text()
    evalset.write_text(text.replace("[exact]", "[contains]"))
    said = project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "a")
    assert (said.code, said.out) == (2, "")
    assert (
        f"run {run}: it is outdated: of the 10 cases that it shares with evalgate.yaml, 10 were judged by" in said.err
    )
    evalset.write_text(text.replace("facts-0", "others-0").replace("facts-1", "others-1"))
    assert project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "a").code == 0
    evalset.write_text(text.replace("facts", "others").replace("tone", "style"))
    said = project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "a")
    assert said.code == 2 and "it shares no case with evalgate.yaml" in said.err


def test_a_blessing_says_how_many_cases_have_changed_since(project: Project) -> None:
    """Up to a fifth: those are not compared with it, the others are."""
    suite(project)
    (run,) = recorded(project, 1)
    evalset = project.folder / "evalsets" / "tables.yaml"
    evalset.write_text(evalset.read_text().replace("input: tone-0,", "input: tone-0x,"))
    said = project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "a", "--format", "json")
    assert said.json["changed_cases"] == 1


def test_latest_is_of_the_configurations_suite(project: Project) -> None:
    """In a store of several suites nobody blesses another suite's run by mistake."""
    suite(project)
    (run,) = recorded(project, 1)
    rows = [{"id": "a", "category": "x", "score": 1.0}]
    project.evalgate("import", project.rows("r.jsonl", rows), "--suite", "other")
    assert f"Blessed run {run}" in project.evalgate("baseline", "bless", "latest", "--reason", "r").out


def test_an_imported_run_can_be_blessed_without_a_configuration(project: Project) -> None:
    """Any harness's run may be an anchor."""
    rows = [{"id": "a", "category": "x", "score": 1.0}]
    run = project.evalgate("import", project.rows("r.jsonl", rows), "--suite", "other").out.strip()
    assert project.evalgate("baseline", "bless", run, "--reason", "r", "--author", "ann").code == 0


@pytest.mark.parametrize("command", [[], ["list"], ["record"], ["bless"]])
def test_every_part_explains_itself(project: Project, command: list[str]) -> None:
    """`--help` is text on stdout and exit 0."""
    said = project.evalgate("baseline", *command, "--help")
    assert said.code == 0 and said.out.startswith(" ".join(["Usage: evalgate baseline", *command]))
