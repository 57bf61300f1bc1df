"""The documents tell the truth: what they show is what the program takes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from evalgate.cli.commands import register
from evalgate.pipeline.load import load_suite
from evalgate.records import Case

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
README = (ROOT / "README.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_first_two_commands_are_one_line_each() -> None:
    """One installs and runs the bundled suite, one installs and passes the tests."""
    first, second = blocks(README, "sh")[:2]
    assert first.count("\n") == second.count("\n") == 1
    assert first.rstrip().endswith("evalgate run") and " && .venv/bin/pytest " in second


def test_the_readmes_configuration_and_eval_set_load(tmp_path: Path) -> None:
    """Copied as they stand, with the files that they name."""
    config, evalset = blocks(README, "yaml")[:2]
    (tmp_path / "evalsets").mkdir()
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "system.md").write_text("You help customers.")
    (tmp_path / "evalgate.yaml").write_text(config)
    (tmp_path / "evalsets" / "refunds.yaml").write_text(evalset)
    (tmp_path / "evalsets" / "refunds.jsonl").write_text('{"id": "x", "input": "How?", "expected": "so"}\n')
    suite = load_suite(tmp_path / "evalgate.yaml", {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert [case.id for case in suite.selected] == ["late-01", "safe-07", "x"]
    assert all(isinstance(case, Case) for case in suite.selected)


def named(app: typer.Typer) -> list[str]:
    """What its commands are called."""
    return [command.name or str(getattr(command.callback, "__name__", "")) for command in app.registered_commands]


def test_every_command_stands_in_the_readmes_table() -> None:
    """No more and no fewer, those of a group included."""
    app = typer.Typer()
    register(app)
    known = set(named(app))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        known |= {f"{group.name} {name}" for name in named(group.typer_instance)}
    told = set()
    for cell in re.findall(r"^\| (`evalgate .*?) \|", README, re.MULTILINE):
        group = ""  # of `evalgate baseline list`, `record`
        for words in (quoted.split() for quoted in re.findall(r"`([^`]+)`", cell)):
            names = [word for word in words if word.islower() and word != "evalgate"]
            group = names[0] if len(names) > 1 else group
            told.add(" ".join(names if words[0] == "evalgate" else [group, *names]))
    assert told == known


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link and picture is there."""
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text("utf-8")):
        if not link.startswith(("http:", "https:", "mailto:")):
            assert (document.parent / link).exists(), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_yaml_in_the_documents_is_yaml(document: Path) -> None:
    """A reader can copy it."""
    for block in blocks(document.read_text("utf-8"), "yaml"):
        yaml.safe_load(block)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_nobody_is_sent_to_the_strangers_package(document: Path) -> None:
    """The name on the package index is somebody else's."""
    assert not re.search(r"pip3? install (-\S+ )*evalgate\b(?!-pr)", document.read_text("utf-8"))


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    """The table names each code that the program can end with."""
    from evalgate import errors
    from evalgate.pipeline.suite import Interrupted

    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.EvalgateError)
    ]
    codes = {0, 1, Interrupted.exit_code} | {kind.exit_code for kind in kinds}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)} == codes


def test_the_pinned_requirements_are_those_of_the_project() -> None:
    """Whatever pyproject names is pinned, with hashes, and nothing says where it was fetched from."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    names = {re.split(r"[<>=!~\[ ]", text)[0].lower().replace("_", "-").replace(".", "-") for text in named}
    for file in ("run.txt", "dev.txt", "ray.txt"):
        text = (ROOT / "requirements" / file).read_text("utf-8")
        pinned = {name.lower().replace("_", "-") for name in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)}
        assert names <= pinned
        assert "--hash=sha256:" in text and "index-url" not in text
