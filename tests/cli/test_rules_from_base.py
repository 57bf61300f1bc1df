"""A change cannot quietly weaken the rules that it is judged by: it is shown, and the base's rules may decide."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from kit import CONFIG, Project, answers, build
from repositories import committed, git, repository, written

SIZES = {"facts": 12, "tone": 6}
ONCE = "max_epochs: 1, confirm: false"
STRICT = f"{{each_category: {{max_drop: 0.05}}, rules_from: base, {ONCE}}}"
HEAD_DECIDES = f"{{each_category: {{max_drop: 0.05}}, {ONCE}}}"
NOTHING_HELD = f"{{overall: null, each_category: null, removed_categories: [tone], {ONCE}}}"


def beside(project: Project, name: str) -> Path:
    """A place outside the repository that no other test has."""
    return project.folder.parent / f"{project.folder.name}-{name}"


def recorded(project: Project, *, gate: str, runs: int = 2) -> str:
    """The commit of a good suite on `main` with its runs in the history."""
    repository(project.folder)
    build(project, categories=SIZES, gate=gate)
    base = committed(project.folder, {".gitignore": ".evalgate\n__pycache__\n"})
    said = project.evalgate("baseline", "record", "--runs", str(runs))
    assert said.code == 0, said.err
    return base


def break_it(project: Project) -> None:
    answers(project, {f"facts-{number}": "wrong" for number in range(12)})


def rules(project: Project, gate: str) -> None:
    project.write("evalgate.yaml", CONFIG.format(gate=gate, version="1"))


def verdict(project: Project, *arguments: str) -> Any:
    said = project.evalgate("run", *arguments, "--format", "json")
    assert said.out, said.err
    return said.json


def as_pull_request(project: Project, monkeypatch: pytest.MonkeyPatch) -> str:
    """Commits what is there as a pull request's head and checks out its test merge, as a job of GitHub's does."""
    folder = project.folder
    base = git(folder, "rev-parse", "main")
    git(folder, "switch", "--quiet", "-c", "change")
    head = committed(folder, {})
    git(folder, "switch", "--quiet", "--detach", "main")
    git(folder, "merge", "--quiet", "--no-ff", "-m", "merge", "change")
    in_job(project, monkeypatch, base=base, head=head)
    return base


def in_job(project: Project, monkeypatch: pytest.MonkeyPatch, *, base: str, head: str, sha: str | None = None) -> None:
    payload = {
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": {"ref": "change", "sha": head, "repo": {"full_name": "acme/bot"}},
            "base": {"ref": "main", "sha": base, "repo": {"full_name": "acme/bot"}},
        },
        "repository": {"full_name": "acme/bot", "default_branch": "main"},
    }
    event = beside(project, "event.json")
    event.write_text(json.dumps(payload))
    for name, value in {
        "EVALGATE_CACHE_DIR": str(beside(project, "cache")),
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/bot",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SHA": sha or git(project.folder, "rev-parse", "HEAD"),
        "GITHUB_REF": "refs/pull/7/merge",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("is_job", [False, True])
def test_weakened_rules_are_shown_where_the_change_decides(
    project: Project, monkeypatch: pytest.MonkeyPatch, is_job: bool
) -> None:
    """It may pass, but the first line says by what, and the report lists each rule with what it was."""
    recorded(project, gate=HEAD_DECIDES)
    rules(project, NOTHING_HELD)
    break_it(project)
    if is_job:
        as_pull_request(project, monkeypatch)
    found = verdict(project)
    assert (found["exit_code"], found["rules_commit"]) == (0, None)
    assert found["reason"].endswith("; this change weakens how it is judged in 3 places")
    assert [(change["where"], change["effect"], change["before"], change["after"]) for change in found["changes"]] == [
        ("gate.overall.max_drop", "weakens", 0.0, None),
        ("gate.each_category.max_drop", "weakens", 0.05, None),
        ("gate.removed_categories", "weakens", None, "tone"),
    ]
    text = project.evalgate("run").out
    assert "This change also alters how it is judged: ⚠ 3 changes weaken it" in text
    assert "allowed drop of every category without a rule of its own taken away (0.05 → none)" in " ".join(text.split())


@pytest.mark.parametrize("is_job", [False, True])
@pytest.mark.parametrize(
    ("at_base", "here"),
    [
        (STRICT, NOTHING_HELD),
        (STRICT, f"{{each_category: null, overall: null, rules_from: head, {ONCE}}}"),
        (HEAD_DECIDES, f"{{each_category: null, overall: null, rules_from: base, {ONCE}}}"),
    ],
)
def test_the_rules_of_the_base_decide_where_either_side_asks_for_them(
    project: Project, monkeypatch: pytest.MonkeyPatch, at_base: str, here: str, is_job: bool
) -> None:
    """A change cannot switch that off, and may switch it on."""
    base = recorded(project, gate=at_base)
    rules(project, here)
    break_it(project)
    if is_job:
        as_pull_request(project, monkeypatch)
    found = verdict(project)
    assert (found["verdict"], found["exit_code"], found["rules_commit"]) == ("fail", 1, base)
    assert "; judged by the rules of the base; this change weakens how it is judged in " in found["reason"]
    again = project.evalgate("gate", "latest", "--format", "json").json
    assert (again["verdict"], again["rules_commit"], again["changes"]) == ("fail", base, found["changes"])
    markdown = project.evalgate("gate", "latest", "--format", "markdown").out
    assert f"The rules and exceptions of the base (commit `{base[:10]}`) decided, not those of this change" in markdown


def test_a_configuration_that_was_moved_is_held_against_where_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of another name, named to the job, would be rid of the rules of the base, and green."""
    base = recorded(project, gate=STRICT)
    (project.folder / "evalgate.yaml").unlink()
    project.write("other.yaml", CONFIG.format(gate=NOTHING_HELD, version="1"))
    break_it(project)
    as_pull_request(project, monkeypatch)
    found = verdict(project, "--config", "other.yaml")
    assert (found["verdict"], found["exit_code"], found["rules_commit"]) == ("fail", 1, base)
    assert "; this change weakens how it is judged in " in found["reason"]


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_change_cannot_bring_the_history_that_it_is_judged_by(
    project: Project, monkeypatch: pytest.MonkeyPatch, through_a_link: bool
) -> None:
    """A history of bad runs that is committed with the change would hide any drop."""
    recorded(project, gate=HEAD_DECIDES)
    folder = project.folder / ".evalgate"
    if through_a_link:
        folder.rename(project.folder / "elsewhere")
        folder.symlink_to("elsewhere")
    forced = project.folder / ("elsewhere" if through_a_link else ".evalgate")
    git(project.folder, "switch", "--quiet", "-c", "bring")
    git(project.folder, "add", "--force", str(forced / "history.db"))
    as_pull_request(project, monkeypatch)
    for command in (("run",), ("gate", "latest")):
        said = project.evalgate(*command)
        assert (said.code, said.out) == (2, ""), said.out
        assert (
            "history.db: is part of the commit, so whoever wrote that could say what earlier runs measured" in said.err
        )


def test_what_an_own_scorer_imports_is_shown_where_it_is_altered(project: Project) -> None:
    """The helper of a scorer judges as much as the scorer does."""
    recorded(project, gate=STRICT)
    project.write(
        "evalsets/own.py", "import helper\n\ndef judge(case, output):\n    return helper.right(case, output)\n"
    )
    project.write("evalsets/helper.py", "def right(case, output):\n    return output.text == case.expected\n")
    file = project.folder / "evalsets" / "tables.yaml"
    file.write_text(file.read_text().replace("[exact]", '["own.py:judge"]'))
    committed(project.folder, {})
    project.evalgate("baseline", "record", "--runs", "2")
    project.write("evalsets/helper.py", "def right(case, output):\n    return True\n")
    found = verdict(project)
    assert (found["verdict"], found["exit_code"]) == ("not_comparable", 3)
    assert [(change["kind"], change["where"]) for change in found["changes"]] == [("own_scorer", "evalsets/helper.py")]


def test_a_change_that_leaves_the_rules_alone_is_told_nothing_of_them(project: Project) -> None:
    """Nothing altered, nothing said: the commit alone stands in the JSON."""
    base = recorded(project, gate=STRICT)
    found = verdict(project)
    assert (found["verdict"], found["rules_commit"], found["changes"]) == ("pass", base, [])
    assert ";" not in found["reason"] and "rules" not in " ".join(found["notes"])
    assert "alters" not in project.evalgate("run").out


def test_a_category_that_a_change_takes_out_fails_by_the_rules_of_the_base(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the change puts under `removed_categories`; its cases are listed."""
    recorded(project, gate=STRICT)
    build(project, categories={"facts": 12}, gate=f"{{removed_categories: [tone], {ONCE}}}")
    as_pull_request(project, monkeypatch)
    found = verdict(project)
    assert (found["verdict"], found["exit_code"]) == ("fail", 1)
    assert {row["category"]: row["status"] for row in found["findings"]}["tone"] == "missing"
    gone = [f"tone-{number}" for number in range(6)]
    assert sorted(found["cases"]["removed"]) == sorted(gone)
    (removed,) = [change for change in found["changes"] if change["kind"] == "cases_removed"]
    assert (removed["where"], removed["before"], removed["after"]) == ("cases: tone", 6, 0)
    assert sorted(removed["cases"]) == sorted(gone)
    for kind in ("text", "markdown"):
        said = project.evalgate("gate", "latest", "--format", kind).out
        assert "6 cases of tone taken out" in " ".join(said.split()) and "tone-4" in said


def test_a_waiver_that_a_change_brings_along_covers_nothing_where_the_base_decides(project: Project) -> None:
    """It covers what comes after it was reviewed."""
    recorded(project, gate=STRICT)
    waiver = "{category: facts, from: 1, drop: 1, owner: me, reason: because, expires: 2999-12-31}"
    project.write("evalgate-exceptions.yaml", f"waivers:\n  - {waiver}\n")
    break_it(project)
    found = verdict(project)
    assert (found["verdict"], [change["kind"] for change in found["changes"]]) == ("fail", ["waiver"])


@pytest.mark.parametrize("gate", [STRICT, HEAD_DECIDES])
def test_rules_that_are_new_with_the_change_decide_and_the_first_line_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch, gate: str
) -> None:
    """A suite has to begin somewhere; so does one that was moved."""
    repository(project.folder)
    base = committed(project.folder, {"README.md": "x", ".gitignore": ".evalgate\n__pycache__\n"})
    build(project, categories=SIZES, gate=gate)
    as_pull_request(project, monkeypatch)
    found = verdict(project)
    assert (found["verdict"], found["exit_code"], found["rules_commit"]) == ("no_baseline", 0, None)
    assert found["reason"].endswith("; judged by its own rules, since the base has none")
    assert found["notes"][-1] == (
        "What this change alters about its own rules is not known: the suite is new, moved or renamed "
        f"({base[:10]}:evalgate.yaml: the commit has no such file)."
    )


@pytest.mark.parametrize("asks_for_base", ["base", "head"])
def test_rules_of_the_base_that_cannot_be_used_end_the_run_before_a_call(
    project: Project, monkeypatch: pytest.MonkeyPatch, asks_for_base: str
) -> None:
    """Where they are to decide: `error`, exit 3, and what is wrong with them. Else a note."""
    repository(project.folder)
    build(project, categories=SIZES, gate=f"{{alpha: 7, rules_from: {asks_for_base}}}")
    base = committed(project.folder, {".gitignore": ".evalgate\n__pycache__\n"})
    rules(project, "{}")
    as_pull_request(project, monkeypatch)
    found = verdict(project)
    why = f"{base[:10]}:evalgate.yaml:6:8: `alpha` is a number in (0, 0.5], this is 7"
    if asks_for_base == "base":
        assert (found["verdict"], found["exit_code"], found["usage"]["calls"]) == ("error", 3, 0)
        assert found["reason"].startswith(
            f"the rules of the base are to decide (gate.rules_from: base), and cannot be had: {why}. Mend that"
        )
    else:
        assert (found["verdict"], found["exit_code"]) == ("no_baseline", 0)
        assert found["reason"].endswith("; judged by its own rules, since the base cannot be seen")
        assert f"What this change alters about its own rules is not known: {why}." in found["notes"]


@pytest.mark.parametrize(("gate", "expected"), [("{rules_from: base}", "error"), ("{}", "no_baseline")])
def test_a_base_that_the_clone_lacks_and_nobody_can_give_is_no_base_without_rules(
    project: Project, monkeypatch: pytest.MonkeyPatch, gate: str, expected: str
) -> None:
    """A shallow clone without its remote: nothing is decided where the base is to decide."""
    origin = repository(beside(project, "origin"))
    written(origin, {".gitignore": ".evalgate\n__pycache__\n"})
    base = committed(origin, {"README.md": "x"})
    head = committed(origin, {"README.md": "y"})
    git(project.folder, "init", "--quiet")
    git(project.folder, "fetch", "--quiet", "--depth=1", origin.as_uri(), head)
    git(project.folder, "checkout", "--quiet", head)
    build(project, categories=SIZES, gate=gate)
    in_job(project, monkeypatch, base=base, head=head)
    found = verdict(project)
    assert found["verdict"] == expected
    assert "is not known" in " ".join(found["notes"]) or "cannot be had" in found["reason"]


def test_a_checkout_of_depth_1_asks_its_remote_for_the_rules_of_the_base(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a job of GitHub's has it; the clone stays as shallow as it was."""
    base = recorded(project, gate=STRICT)
    rules(project, NOTHING_HELD)
    break_it(project)
    as_pull_request(project, monkeypatch)
    merge, folder = git(project.folder, "rev-parse", "HEAD"), project.folder
    origin = beside(project, "origin.git")
    shutil.move(folder / ".git", origin)
    for key in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter", "core.bare"):
        git(origin, "config", key, "true")
    git(folder, "init", "--quiet")
    git(folder, "remote", "add", "origin", origin.as_uri())
    git(folder, "fetch", "--quiet", "--depth=1", "origin", merge)
    git(folder, "checkout", "--quiet", "--force", merge)
    found = verdict(project)
    assert (found["verdict"], found["rules_commit"]) == ("fail", base)
    assert len(found["changes"]) == 4
    assert git(folder, "rev-list", "--all", "HEAD") == merge


def test_without_a_key_the_base_says_whether_that_is_let_through(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change could otherwise let itself through by having no key; what it alters is shown all the same."""
    endpoint = "endpoint: {kind: openai, base_url: http://localhost:1, model: m, api_key_env: NO_SUCH_KEY}"
    repository(project.folder)
    build(project, categories=SIZES, gate="{when: {not_evaluated: stop}, rules_from: base}")
    text = (project.folder / "evalgate.yaml").read_text()
    keyed = "\n".join(endpoint if line.startswith("endpoint:") else line for line in text.splitlines()) + "\n"
    committed(project.folder, {"evalgate.yaml": keyed, ".gitignore": ".evalgate\n__pycache__\n"})
    project.write("evalgate.yaml", keyed.replace("not_evaluated: stop", "not_evaluated: allow"))
    as_pull_request(project, monkeypatch)
    found = verdict(project)
    assert (found["verdict"], found["exit_code"]) == ("not_evaluated", 3)
    assert [change["where"] for change in found["changes"]] == ["gate.when.not_evaluated"]


def test_what_only_changed_is_decided_by_the_base_too(project: Project) -> None:
    """A category that vanished has every case run, unless the rules that decide let it vanish."""
    base = recorded(project, gate=STRICT)
    build(project, categories={"facts": 12}, gate=f"{{removed_categories: [tone], rules_from: head, {ONCE}}}")
    found = verdict(project, "--changed-only")
    assert (found["verdict"], found["rules_commit"]) == ("fail", base)


@pytest.mark.parametrize(("gate", "expected"), [("{rules_from: base}", "error"), ("{}", "no_baseline")])
def test_a_job_without_a_repository_has_no_rules_of_a_base(
    project: Project, monkeypatch: pytest.MonkeyPatch, gate: str, expected: str
) -> None:
    """Files that were unpacked without their history: nothing is decided where the base is to decide."""
    elsewhere = repository(beside(project, "elsewhere"))
    commit = committed(elsewhere, {"README.md": "x"})
    build(project, categories=SIZES, gate=gate)
    in_job(project, monkeypatch, base=commit, head=commit, sha=commit)
    found = verdict(project)
    assert (found["verdict"], "rules" in found["reason"]) == (expected, True)
    assert found["usage"]["calls"] == (0 if expected == "error" else 18)


def test_a_first_run_on_ones_own_machine_is_told_nothing_of_earlier_rules(project: Project) -> None:
    """That it has no baseline says it all."""
    repository(project.folder)
    build(project, categories=SIZES)
    committed(project.folder, {".gitignore": ".evalgate\n__pycache__\n"})
    found = verdict(project)
    assert found["verdict"] == "no_baseline"
    assert not [note for note in found["notes"] if "rules" in note]


def test_outside_a_repository_nothing_is_told(project: Project) -> None:
    """There is nothing to compare with."""
    build(project, categories=SIZES, gate=HEAD_DECIDES)
    found = verdict(project)
    assert (found["changes"], found["rules_commit"], found["notes"]) == ([], None, [])
