"""The rule of the house: data flows one way, and a stage never imports another stage."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "evalgate"
GROUND = {"records", "errors", "kinds", "rows", "codec", "spool", "stats", "harmless", "masking"}
STAGES = {"config", "endpoints", "scorers", "runner", "history", "gate", "practices", "report", "github"}
TOP = {"pipeline", "cli", "api", "__init__"}
APPS = {"demo"}
"""The bundled assistant: something under test, not a part of the way."""

HOMES = {
    "pydantic": {"config"},
    "yaml": {"config"},
    "yamlcore": {"config"},
    "jinja2": {"config", "endpoints"},
    "jmespath": {"endpoints"},
    "genai_prices": {"endpoints"},
    "jsonschema": {"scorers"},
    "rapidfuzz": {"scorers"},
    "sqlalchemy": {"history"},
    "alembic": {"history"},
    "psycopg": {"history"},
    "numpy": {"stats", "gate"},
    "pandas": {"practices"},
    "tabulate": {"report"},
    "github3": {"github"},
    "requests": {"github"},
    "urllib3": {"github"},
    "typer": {"cli"},
    "duckdb": {"config"},
    "ray": {"runner"},
    "bm25s": {"demo"},
    "snowballstemmer": {"demo"},
}
HEAVY = {"pandas", "scipy", "github3", "alembic", "duckdb", "genai_prices", "jsonschema", "rapidfuzz", "tabulate"}
HEAVY |= {"ray", "bm25s", "requests", "jmespath"}

FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def imports(file: Path, *, at_start: bool = False) -> set[str]:
    """Dotted names that a file imports; with `at_start` only those that run when it is imported."""
    tree = ast.parse(file.read_text("utf-8"))
    found: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if at_start and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if at_start and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        todo.extend(ast.iter_child_nodes(node))
    return found


def parts_of_evalgate(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("evalgate.")}


def test_every_file_belongs_to_a_part_that_the_rule_knows() -> None:
    """A new folder has to be given its place before it can be used."""
    assert {part_of(file) for file in FILES} <= GROUND | STAGES | TOP | APPS | {"templates"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_stage_imports_the_ground_floor_and_itself_only(file: Path) -> None:
    """Neither another stage, nor what stands above them."""
    part = part_of(file)
    used = parts_of_evalgate(imports(file)) - {part}
    if part in GROUND or part in STAGES | APPS:
        assert used <= GROUND
    elif part == "pipeline":
        assert used <= GROUND | STAGES | APPS


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Of two files in a circle neither can be read, tested or moved without the other."""
    names = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): file
        for file in FILES
    }
    arrows = {
        name: {used if used in names else used.rpartition(".")[0] for used in imports(file)} & names.keys()
        for name, file in names.items()
    }
    # Whoever imports nothing that is left is in no circle.
    while free := {name for name, used in arrows.items() if not used & arrows.keys()}:
        arrows = {name: used for name, used in arrows.items() if name not in free}
    assert sorted(arrows) == []


def test_the_floor_of_records_and_errors_imports_nothing_of_evalgate() -> None:
    """Whatever they imported would be imported by everything."""
    assert not parts_of_evalgate(imports(PACKAGE / "records.py") | imports(PACKAGE / "errors.py"))


@pytest.mark.parametrize("package", sorted(HOMES))
def test_a_third_party_package_has_one_home(package: str) -> None:
    """Replacing a library is the business of one stage."""
    users = {part_of(file) for file in FILES if any(name.split(".")[0] == package for name in imports(file))}
    assert users <= HOMES[package]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_nothing_heavy_is_imported_at_start(file: Path) -> None:
    """A command pays only for what it uses."""
    allowed = {"alembic", "sqlalchemy"} if "migrations" in file.parts else set()
    assert not {name.split(".")[0] for name in imports(file, at_start=True)} & (HEAVY - allowed)


def test_the_process_is_ended_in_one_place_only() -> None:
    """`sys.exit` belongs to the command line; the Action's step and the demo server are programs of their own."""
    users = {part_of(file) for file in FILES if "sys.exit(" in file.read_text("utf-8")}
    assert users <= {"cli", "github"}
