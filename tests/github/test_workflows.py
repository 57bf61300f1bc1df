"""The actions and workflows: valid, pinned, least privilege, and in step with the program."""

from __future__ import annotations

import re
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
        ours = r"\./\S*|OWNER/evalgate(/\.github/actions/[a-z]+)?@0{40}"
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
                if can_write:
                    assert found["with"]["ref"] == "${{ github.event.repository.default_branch }}"
            assert not (can_write and (uses == "./" or re.match(r"OWNER/evalgate@", uses)))


def test_each_input_reaches_the_step_and_is_known_there() -> None:
    """An input without a variable, or a variable without an input, would be ignored in silence."""
    action = content(ROOT / "action.yml")
    (env,) = (found["env"] for found in steps(ROOT / "action.yml") if found.get("id") == "run")
    passed = {key.removeprefix(step.PREFIX).lower().replace("_", "-") for key in env if key.startswith(step.PREFIX)}
    known = {*step.TEXTS, *step.LISTS, *step.NUMBERS, *step.FLAGS, *step.SWITCHES, *step.OTHERS}
    assert passed == known
    assert action["inputs"].keys() == known | {"working-directory"}
    for key, value in env.items():
        if key.startswith(step.PREFIX):
            wanted = key.removeprefix(step.PREFIX).lower().replace("_", "-")
            assert value == f"${{{{ inputs.{wanted} }}}}"


def test_each_input_of_the_run_is_an_option_of_the_same_name() -> None:
    """`evalgate run` knows every option that the step gives it."""
    import typer
    from typer.main import get_command

    from evalgate.cli.commands import register

    app = typer.Typer()
    register(app)
    run = get_command(app).commands["run"]  # type: ignore[attr-defined]
    options = {option for parameter in run.params for option in parameter.opts}
    wanted = {f"--{name}" for name in (*step.TEXTS, *step.LISTS, *step.NUMBERS, *step.FLAGS, "write")}
    assert wanted <= options


def test_the_workflows_for_users_name_the_commit_they_are_given() -> None:
    """No placeholder is left in any of them."""
    sha = "1" * 40
    found = user_workflows(f"acme/evalgate-copy@{sha}")
    assert sorted(found) == [".github/workflows/evalgate-weekly.yml", ".github/workflows/evalgate.yml"]
    for text in found.values():
        assert f"uses: acme/evalgate-copy/.github/actions/history@{sha}" in text
        assert "uses: OWNER" not in text


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
