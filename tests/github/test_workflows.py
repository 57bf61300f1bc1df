"""The actions and workflows: valid, pinned, least privilege, and in step with the program."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from evalgate.errors import InputError
from evalgate.github import step
from evalgate.github.workflows import user_workflows
from evalgate.pipeline.caching import most_bytes

ROOT = Path(__file__).parents[2]
ACTIONS = [ROOT / "action.yml", *sorted(ROOT.glob(".github/actions/*/action.yml"))]
FOLDERS = (".github/workflows", "evalgate/templates/workflows", "docs/examples")
WORKFLOWS = sorted(file for folder in FOLDERS for file in (ROOT / folder).glob("*.yml"))
FILES = [*ACTIONS, *WORKFLOWS]
SCRIPTS = [*ACTIONS, ROOT / ".github/actions/install.sh"]


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def content(file: Path) -> Any:
    return yaml.safe_load(file.read_text("utf-8"))


def steps(file: Path) -> list[Any]:
    found = content(file)
    return [s for job in found.get("jobs", {"": found.get("runs")}).values() for s in job["steps"]]


def tool(program: str) -> str:
    found = Path(sys.executable).parent / program
    if not found.exists():
        pytest.skip(f"{program} is not installed beside this Python")
    return str(found)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-actions", ACTIONS),
        ("github-workflows", WORKFLOWS),
        ("dependabot", [ROOT / ".github/dependabot.yml"]),
    ],
)
def test_every_file_fits_its_schema(schema: str, files: list[Path]) -> None:
    """As the schemas of the schema store say."""
    command = [tool("check-jsonschema"), "--builtin-schema", f"vendor.{schema}", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    """No injection, no excessive permission, no unpinned action, no leaking credential; in the templates neither."""
    command = [
        tool("zizmor"),
        "--offline",
        "--no-progress",
        "--config",
        str(ROOT / ".github/zizmor.yml"),
        *map(str, FILES),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", FILES, ids=name)
def test_no_script_contains_an_expression(file: Path) -> None:
    """Whatever comes from outside reaches a script through the environment."""
    assert [s["run"] for s in steps(file) if "${{" in s.get("run", "")] == []


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_foreign_action_is_pinned_with_its_version(file: Path) -> None:
    """By the full commit, with the version beside it for the reader; our own by path or placeholder."""
    for line in re.findall(r"uses: .*", file.read_text("utf-8")):
        ours = r"\./\S*|OWNER/evalgate(/\.github/actions/[a-z-]+)?@0{40}"
        assert re.fullmatch(rf"uses: ({ours}|actions/[a-z/-]+@[0-9a-f]{{40}} # v\d+\.\d+\.\d+)", line), line


@pytest.mark.parametrize("file", ACTIONS, ids=name)
def test_every_action_installs_in_the_same_way(file: Path) -> None:
    """Four steps, word for word but for the way to the repository's root."""
    *installing, _ = (found for found in steps(ROOT / "action.yml"))
    there = ("/.github/actions/install.sh", '"$GITHUB_ACTION_PATH"')
    here = ("/../install.sh", '"$GITHUB_ACTION_PATH/../../.."')
    if file.parent != ROOT:
        for found in installing:
            if "run" in found:
                found["run"] = found["run"].replace(f" {there[1]}", f" {here[1]}").replace(there[0], here[0])
    assert steps(file)[:4] == installing


@pytest.mark.parametrize("file", SCRIPTS, ids=name)
def test_no_script_needs_more_than_macos_has(file: Path) -> None:
    """Its bash is 3.2, and its tools are BSD's."""
    newer = r"mapfile|readarray|declare -[AgN]|\$\{\w+(,,|\^\^|@)|&>>|\|&|coproc|wait -n|\[-1\]"
    gnu = r"readlink -f|realpath|sed -[ir]|date -d|grep -[a-zA-Z]*P|sha\d+sum|timeout |mktemp --|stat -c|xargs -r|tac\b"
    texts = [found.get("run", "") for found in steps(file)] if file.suffix == ".yml" else [file.read_text("utf-8")]
    assert [text for text in texts if re.search(f"{newer}|{gnu}", text)] == []


def test_the_same_action_is_pinned_to_one_commit_everywhere() -> None:
    """An update forgets no file."""
    pins = {
        found
        for file in FILES
        for found in re.findall(r"(actions/[a-z-]+)[a-z/-]*@([0-9a-f]{40})", file.read_text("utf-8"))
    }
    assert len({action for action, _ in pins}) == len(pins)


def test_the_cache_of_calls_is_carried_from_job_to_job() -> None:
    """Fetched before the gate and kept after it, failed or not, under names that GitHub does not let it overwrite."""
    found = steps(ROOT / "evalgate/templates/workflows/evalgate.yml")
    uses = [step.get("uses", "").partition("@")[0] for step in found]
    fetch, gate, keep = (
        found[uses.index(action)] for action in ("actions/cache/restore", "OWNER/evalgate", "actions/cache/save")
    )
    assert uses.index("actions/cache/restore") < uses.index("OWNER/evalgate") < uses.index("actions/cache/save")
    assert fetch["with"]["path"] == keep["with"]["path"] == gate["env"]["EVALGATE_CACHE_DIR"]
    assert fetch["with"]["key"] == keep["with"]["key"]
    assert fetch["with"]["key"].startswith(fetch["with"]["restore-keys"])
    assert "github.run_attempt" in keep["with"]["key"]
    assert keep["if"].startswith("always()")
    assert most_bytes(gate["env"]) == 256 << 20


@pytest.mark.parametrize("file", WORKFLOWS, ids=name)
def test_no_job_that_may_write_runs_the_pull_requests_code(file: Path) -> None:
    """Nothing by default; who can write checks out the default branch or nothing, and evaluates nothing."""
    workflow = content(file)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        can_write = "write" in job["permissions"].values()
        for found in job["steps"]:
            uses = found.get("uses", "")
            if uses.startswith("actions/checkout@"):
                assert found["with"]["persist-credentials"] is False
                if can_write and "github.event_name == 'push'" not in job.get("if", "") and not is_scheduled(workflow):
                    assert found["with"]["ref"] == "${{ github.event.repository.default_branch }}"
            assert not (can_write and (uses == "./" or re.match(r"OWNER/evalgate@", uses)))
            assert not (can_write and "secrets." in str(found))


def is_scheduled(workflow: Any) -> bool:
    """On the default branch, or by hand of somebody who may write anyway. PyYAML reads the key `on` as true."""
    return workflow[True].keys() <= {"schedule", "workflow_dispatch"}


TEMPLATES = {file.name: content(file) for file in sorted((ROOT / "evalgate/templates/workflows").glob("*.yml"))}


def test_this_repository_runs_what_users_are_given() -> None:
    """The same jobs with the same permissions, conditions and steps, but for paths, the calls' cache and the checkouts
    that paths need."""
    placed = {"./": "OWNER/evalgate", "./.github": "OWNER/evalgate/.github"}

    def shape(workflow: Any, job: Any) -> Any:
        uses = [re.sub(r"@.*", "", step["uses"]) for step in job["steps"]]
        uses = [re.sub(r"^\./(\.github)?", lambda found: placed[found[0]], one) for one in uses]
        kept = [one for one in uses if not one.startswith(("actions/cache/", "actions/checkout"))]
        permissions = {k: v for k, v in job["permissions"].items() if k != "contents" or v == "write"}
        return workflow[True], workflow["concurrency"], job.get("needs"), job.get("if"), permissions, kept

    for file, template in TEMPLATES.items():
        own = content(ROOT / ".github/workflows" / file)
        assert own["jobs"].keys() == template["jobs"].keys()
        for job in own["jobs"]:
            assert shape(own, own["jobs"][job]) == shape(template, template["jobs"][job])


def test_only_the_job_that_runs_the_change_may_hold_the_models_key() -> None:
    """Its permissions are to read and nothing else; no other job runs the gate."""
    for file, workflow in TEMPLATES.items():
        for name, job in workflow["jobs"].items():
            if any(step.get("uses", "").startswith("OWNER/evalgate@") for step in job["steps"]):
                assert (file, name, job["permissions"]) == ("evalgate.yml", "evaluate", {"contents": "read"})


def test_what_a_rerun_uploads_does_not_clash() -> None:
    """Names of artifacts have the attempt; who downloads takes that of the job that has uploaded."""
    jobs = TEMPLATES["evalgate.yml"]["jobs"]
    names = {
        step["with"]["name"]
        for job in jobs.values()
        for step in job["steps"]
        if step.get("uses", "").startswith(("actions/upload-artifact", "actions/download-artifact"))
    }
    assert names == {
        "evalgate-report-${{ github.run_attempt }}",
        "evalgate-result-${{ github.run_attempt }}",
        "evalgate-report-${{ needs.evaluate.outputs.attempt || github.run_attempt }}",
        "evalgate-report-${{ needs.evaluate.outputs.attempt }}",
    }


def test_each_input_reaches_the_step_and_is_known_there() -> None:
    """An input without a variable, or a variable without an input, would be ignored in silence."""
    action = content(ROOT / "action.yml")
    (env,) = (found["env"] for found in steps(ROOT / "action.yml") if found.get("id") == "run")
    passed = {key.removeprefix(step.PREFIX).lower().replace("_", "-") for key in env if key.startswith(step.PREFIX)}
    known = {*step.TEXTS, *step.LISTS, *step.NUMBERS, *step.FLAGS, *step.SWITCHES, *step.CHOICES, *step.OTHERS}
    assert passed == known
    assert action["inputs"].keys() == known | {"working-directory"}
    for key, value in env.items():
        if key.startswith(step.PREFIX):
            wanted = key.removeprefix(step.PREFIX).lower().replace("_", "-")
            assert value == f"${{{{ inputs.{wanted} }}}}"


def options_of(*command: str) -> set[str]:
    """What a command of `evalgate` can be told."""
    import typer
    from typer.main import get_command

    from evalgate.cli.commands import register

    app = typer.Typer()
    register(app)
    found: Any = get_command(app)
    for name in command:
        found = found.commands[name]
    return {option for parameter in found.params for option in parameter.opts}


def test_each_input_of_the_run_is_an_option_of_the_same_name() -> None:
    """`evalgate run` knows every option that the step gives it; whoever fetches the history knows where that is."""
    wanted = {f"--{name}" for name in (*step.TEXTS, *step.LISTS, *step.NUMBERS, *step.FLAGS, "write")}
    assert wanted <= options_of("run")
    assert {f"--{name}" for name in step.PLACES} <= options_of("sync", "pull") & options_of("baseline", "list")


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("comment", ["comment"]),
        ("fork-comment", ["comment"]),
        ("record", ["sync", "push"]),
        ("compact", ["sync", "compact"]),
        ("trend", ["trend"]),
    ],
)
def test_each_input_of_a_smaller_action_reaches_an_option_that_there_is(action: str, command: list[str]) -> None:
    """Every input has a variable, every variable is used, and every option is one of the command's."""
    file = ROOT / ".github/actions" / action / "action.yml"
    *_, last = steps(file)
    given = {name: value for name, value in last["env"].items() if "inputs." in value}
    taken = set(re.findall(r"inputs\.([\w-]+)", str([*given.values(), last.get("working-directory")])))
    assert taken == content(file)["inputs"].keys()
    read_by_the_program = {"GITHUB_TOKEN", "EVALGATE_COMMENT_LOGIN"}
    assert [name for name in given.keys() - read_by_the_program if f"${name}" not in last["run"]] == []
    assert f'evalgate" {" ".join(command)} ' in last["run"]
    assert set(re.findall(r"--[a-z][a-z-]+", last["run"])) <= options_of(*command)


def test_the_workflows_for_users_name_the_commit_they_are_given() -> None:
    """No placeholder is left in any of them."""
    sha = "1" * 40
    found = user_workflows(f"acme/evalgate-copy@{sha}")
    assert sorted(found) == sorted(f".github/workflows/{file}" for file in TEMPLATES)
    for text in found.values():
        assert "uses: acme/evalgate-copy/.github/actions/" in text and f"@{sha}" in text
        assert "OWNER" not in text and "Before the first push" not in text and "000..." not in text


@pytest.mark.parametrize("folder", ["services/bot", "a b/Ünïcode: #1", "x/'y\"z"])
def test_a_folder_of_a_monorepo_gets_workflows_of_its_own(folder: str) -> None:
    """Files, checks, caches and the trigger for forks do not collide with those of the root; all run in the folder."""
    root, own = user_workflows(branch="trunk"), user_workflows(branch="trunk", folder=folder)
    assert len({*root, *own}) == 2 * len(TEMPLATES)
    evaluate, fork, weekly = (yaml.safe_load(text) for text in own.values())
    assert evaluate["name"] == f"evalgate {folder}" and fork[True]["workflow_run"]["workflows"] == [
        f"evalgate {folder}"
    ]
    assert evaluate["jobs"]["evaluate"]["name"] == f"evaluate {folder}"
    assert evaluate[True]["push"]["branches"] == ["trunk"]
    given = [
        step.get("with", {})
        for one in (evaluate, fork, weekly)
        for job in one["jobs"].values()
        for step in job["steps"]
    ]
    assert {(row.get("working-directory"), row["config"]) for row in given if "config" in row} == {
        (folder, "evalgate.yaml"),
        (None, f"{folder}/evalgate.yaml"),
    }
    assert f"#   evalgate init {shlex.quote(folder)} --github --action " in next(iter(own.values()))
    shared = TEMPLATES["evalgate.yml"]["jobs"]["evaluate"]["steps"][1]["with"]["restore-keys"]
    assert not evaluate["jobs"]["evaluate"]["steps"][1]["with"]["key"].startswith(shared)


@pytest.mark.parametrize("branch", ["main", "release/2.x", "main+next", "1.0", "yes", "a]b"])
def test_the_default_branch_is_matched_as_it_is_named(branch: str) -> None:
    """The list holds patterns, and YAML knows words that are no texts."""
    found = yaml.safe_load(user_workflows(branch=branch)[".github/workflows/evalgate.yml"])[True]["push"]["branches"]
    assert [re.sub(r"\\(.)", r"\1", pattern) for pattern in found] == [branch]
    assert not re.search(r"(?<!\\)[+*?\[\]!]", found[0])


@pytest.mark.parametrize(
    "action", ["acme/evalgate", "acme/evalgate@main", "acme/evalgate@" + "1" * 39, "a b/c@" + "1" * 40]
)
def test_a_movable_reference_is_refused(action: str) -> None:
    """A branch or a tag can be moved by others."""
    with pytest.raises(InputError, match="40 hex digits"):
        user_workflows(action)


def test_without_a_commit_the_placeholder_stays() -> None:
    """GitHub then refuses to run the workflow, rather than running somebody else's action."""
    assert all("uses: OWNER/evalgate" in text for text in user_workflows().values())
